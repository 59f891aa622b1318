"""Checks that every descriptor of the registry must pass; used by the tests of the descriptors.

A new descriptor needs one line in EXAMPLES, one of whole structures in STRUCTURES.
"""

import dataclasses
import itertools

import mercer
import numpy as np
import pytest
from ase import Atoms
from mercer.descriptors import (
    LMBTR,
    MBTR,
    SOAP,
    AverageSOAP,
    BagOfBonds,
    ClusterDistances,
    CoulombMatrix,
    Environments,
    EwaldMatrix,
    InverseDistances,
    InversePowers,
    PairDistance,
    RadialSpectrum,
    SineMatrix,
    Triplet,
)
from mercer.errors import ConfigError, DataError


def clusters(kind, share_of_cutoff=1.0, **fixed):
    """An example of a descriptor of clusters, which takes those options that it has."""
    names = {field.name for field in dataclasses.fields(kind)}

    def make(species, r_cut, **options):
        options = {name: value for name, value in options.items() if name in names}
        return kind(species, share_of_cutoff * r_cut, **fixed, **options)

    return make


def lmbtr(**fixed):
    """An example with weights that end smoothly at the cutoff, k = 3 with both places of the atom, and k = 2."""

    def make(species, r_cut, *, cutoff="polynomial", cutoff_width=1.0, ignore_unknown=False, **_):
        end = {"cutoff": cutoff, "cutoff_width": cutoff_width}
        k2 = {"geometry": "distance", "grid": (-0.5, 6, 14), "sigma": 0.4, "r_cut": r_cut} | end
        k3 = {"geometry": "cosine", "grid": (-1, 1, 9), "sigma": 0.25, "r_cut": 0.5 * r_cut}
        k3 |= end | {"cutoff_width": 0.5 * cutoff_width, "weight": {"function": "exponential", "scale": 0.3}}
        return LMBTR(species, k2=k2, k3=k3, ignore_unknown=ignore_unknown, **fixed)

    return make


#: name in the registry, and where there are several, a word -> a small example for some species, a cutoff and options.
EXAMPLES = {
    "SOAP": lambda species, r_cut, **options: SOAP(species, r_cut, 4, 3, 0.5, **options),
    "RadialSpectrum": lambda species, r_cut, **options: RadialSpectrum(species, r_cut, 5, 0.4, **options),
    "LMBTR": lmbtr(),
    "LMBTR l2": lmbtr(normalization="l2"),
    "PairDistance": clusters(PairDistance, exponents=(1, -2, 3), scales=(1.0, 0.5, 10.0)),
    "PairDistance tail": clusters(PairDistance, tail_exponent=1.5, tail_range=0.8),
    "Triplet": clusters(Triplet, scales=(2.0, 1.0, 0.5)),
    "ClusterDistances": clusters(ClusterDistances, order=3),
    "ClusterDistances permuted": clusters(
        ClusterDistances, order=3, permutations=[(0, 1, 2), (1, 0, 2), (0, 2, 1), (2, 1, 0), (1, 2, 0), (2, 0, 1)]
    ),
    "ClusterDistances connected": clusters(ClusterDistances, 0.8, order=3, compact=False, scales=(0.7, 0.7, 0.7)),
}

PERIODICITIES = list(itertools.product([False, True], repeat=3))
SPECIES = ["H", "C", "N", "O", "Si"]
MOLECULES = [(False, False, False)]
CRYSTALS = [(True, True, True)]


@dataclasses.dataclass(frozen=True)
class Structures:
    """An example of a descriptor of whole structures, and what holds for it.

    make(species, r_cut) -> descriptor, for structures of at most 9 atoms (copies of a cell included: 32) with these
    periodic directions; `fixed_order`: atoms must keep their order; `extensive`: the row of a supercell is a multiple.
    """

    make: object
    periodicities: tuple = tuple(PERIODICITIES)
    fixed_order: bool = False
    extensive: bool = True


def mbtr(correlated=False, **options):
    """An example with k = 2 and 3 and weights that end smoothly at the cutoff."""

    def make(species, r_cut):
        correlation = np.cos(np.arange(2 * len(species))).reshape(2, -1) if correlated else None
        cutoff = {"r_cut": r_cut, "cutoff": "polynomial", "cutoff_width": 1.0}
        k2 = {"geometry": "inverse_distance", "grid": (0, 1.5, 20), "sigma": 0.1, "weight": "inverse_square"}
        k3 = {
            "geometry": "cosine",
            "grid": (-1, 1, 12),
            "sigma": 0.2,
            "weight": {"function": "exponential", "scale": 0.3},
        }
        return MBTR(species, k2=k2 | cutoff, k3=k3 | cutoff, correlation=correlation, **options)

    return make


#: name in the registry, and where there are several, a word -> example.
STRUCTURES = {
    "MBTR": Structures(mbtr()),
    "MBTR correlated": Structures(mbtr(correlated=True)),
    "MBTR l2": Structures(mbtr(normalization="l2"), extensive=False),
    "MBTR n_atoms": Structures(mbtr(normalization="n_atoms"), extensive=False),
    "MBTR valle_oganov": Structures(mbtr(normalization="valle_oganov"), CRYSTALS, extensive=False),
    "CoulombMatrix": Structures(lambda species, r_cut: CoulombMatrix(9, permutation="none"), MOLECULES, True),
    "CoulombMatrix sorted": Structures(lambda species, r_cut: CoulombMatrix(9, unit="bohr"), MOLECULES),
    "CoulombMatrix eigenvalues": Structures(
        lambda species, r_cut: CoulombMatrix(9, permutation="eigenspectrum"), MOLECULES
    ),
    "InverseDistances": Structures(lambda species, r_cut: InverseDistances(9), MOLECULES, True),
    "SineMatrix": Structures(lambda species, r_cut: SineMatrix(9, permutation="none"), CRYSTALS, True, False),
    "SineMatrix sorted": Structures(lambda species, r_cut: SineMatrix(9, unit="bohr"), CRYSTALS, extensive=False),
    "SineMatrix eigenvalues": Structures(
        lambda species, r_cut: SineMatrix(9, permutation="eigenspectrum"), CRYSTALS, extensive=False
    ),
    "EwaldMatrix": Structures(
        lambda species, r_cut: EwaldMatrix(9, permutation="none", accuracy=1e-15), CRYSTALS, True, False
    ),
    "EwaldMatrix sorted": Structures(lambda species, r_cut: EwaldMatrix(9, accuracy=1e-15), CRYSTALS, extensive=False),
    "EwaldMatrix eigenvalues": Structures(
        lambda species, r_cut: EwaldMatrix(9, permutation="eigenspectrum", accuracy=1e-15), CRYSTALS, extensive=False
    ),
    "AverageSOAP": Structures(lambda species, r_cut: AverageSOAP(species, r_cut, 4, 3, 0.5), extensive=False),
    "AverageSOAP raw": Structures(
        lambda species, r_cut: AverageSOAP(
            species, r_cut, 3, 2, 0.5, normalize=False, channels=np.ones((len(species), 2)), centers=["H", "O"]
        ),
        extensive=False,
    ),
    "BagOfBonds": Structures(lambda species, r_cut: BagOfBonds(dict.fromkeys(species, 5)), MOLECULES),
    "BagOfBonds without diagonal": Structures(
        lambda species, r_cut: BagOfBonds(dict.fromkeys(species, 5), diagonal=False, unit="bohr"), MOLECULES
    ),
    "InversePowers": Structures(
        lambda species, r_cut: InversePowers(species, r_cut, pair_powers=(1, 3), triple_powers=(1, 2, 4))
    ),
    "InversePowers of molecules": Structures(lambda species, r_cut: InversePowers(species), MOLECULES),
}


def random_atoms(seed=0, n=5, species=("H", "C", "O"), pbc=True, length=4.0, r_min=0.8):
    """Random atoms in a triclinic cell with edges of about `length`, none closer than r_min."""
    rng = np.random.default_rng(seed)
    cell = length * (np.eye(3) + 0.25 * rng.uniform(-1, 1, (3, 3)))
    symbols = [species[i % len(species)] for i in range(n)]
    while True:
        atoms = Atoms(symbols, cell=cell, pbc=pbc, scaled_positions=rng.uniform(size=(n, 3)))
        distances = atoms.get_all_distances(mic=True)[np.triu_indices(n, 1)]
        if n == 1 or distances.min() > r_min:
            return atoms
        cell = cell * 1.01


def random_rotation(rng, proper=True):
    """A random orthogonal matrix of determinant 1, or -1."""
    q = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    return q * np.sign(np.linalg.det(q)) * (1 if proper else -1)


def assert_close(a, b, tolerance):
    """Largest difference relative to the largest element."""
    assert a.shape == b.shape
    assert np.abs(a - b).max() <= tolerance * max(np.abs(a).max(), np.abs(b).max())


def energies(descriptor, atoms):
    """A number for every atom out of the rows that it shares, with another function for every group."""
    X = descriptor.transform(atoms)
    if isinstance(descriptor, ClusterDistances):  # whose distances come in any order of like atoms
        X = np.sort(X, axis=1)
    groups = descriptor.rows(atoms).groups
    weights = np.random.default_rng(7).normal(size=descriptor.n_features)
    return descriptor.share(atoms, np.cos(X @ weights + groups) - np.cos(groups))


def check_invariance(descriptor, atoms):
    """Rotations, reflections, translations, wrapping, permutations and supercells."""
    rng = np.random.default_rng(1)
    reference, energy = descriptor.transform(atoms), energies(descriptor, atoms)
    assert np.abs(reference).max() > 1e-3
    assert np.abs(energy).max() > 1e-3
    for proper in (True, False):
        q = random_rotation(rng, proper)
        moved = Atoms(atoms.numbers, positions=atoms.positions @ q.T, cell=atoms.cell.array @ q.T, pbc=atoms.pbc)
        assert_close(descriptor.transform(moved), reference, 1e-10)
    moved = atoms.copy()
    moved.translate(rng.normal(size=3))
    assert_close(descriptor.transform(moved), reference, 1e-10)
    moved.wrap()
    assert_close(energies(descriptor, moved), energy, 1e-10)
    order = rng.permutation(len(atoms))
    assert_close(energies(descriptor, atoms[order]), energy[order], 1e-10)
    if descriptor.per_atom:
        assert_close(descriptor.transform(atoms[order]), reference[order], 1e-10)
    repeats = [2 if periodic else 1 for periodic in atoms.pbc]
    copies = int(np.prod(repeats))
    assert_close(energies(descriptor, atoms.repeat(repeats)), np.tile(energy, copies), 1e-10)


def check_structure_invariance(example, atoms):
    """Of rows per frame: rotations, reflections, translations, wrapping, permutations and supercells."""
    rng = np.random.default_rng(1)
    descriptor = example.make(["H", "C", "O"], 3.5)
    reference = descriptor.transform(atoms)
    assert reference.shape == (1, descriptor.n_features)
    assert np.abs(reference).max() > 1e-3
    for proper in (True, False):
        q = random_rotation(rng, proper)
        moved = Atoms(atoms.numbers, positions=atoms.positions @ q.T, cell=atoms.cell.array @ q.T, pbc=atoms.pbc)
        assert_close(descriptor.transform(moved), reference, 1e-10)
    moved = atoms.copy()
    moved.translate(rng.normal(size=3))
    assert_close(descriptor.transform(moved), reference, 1e-10)
    moved.wrap()
    assert_close(descriptor.transform(moved), reference, 1e-10)
    if example.fixed_order:
        return
    assert_close(descriptor.transform(atoms[rng.permutation(len(atoms))]), reference, 1e-10)
    if example.extensive and atoms.pbc.any():
        repeats = [2 if periodic else 1 for periodic in atoms.pbc]
        assert_close(descriptor.transform(atoms.repeat(repeats)), np.prod(repeats) * reference, 1e-10)
        skewed = atoms.copy()  # another cell of the same lattice
        cell = atoms.cell.array.copy()
        periodic = np.flatnonzero(atoms.pbc)
        cell[periodic[0]] += 2 * cell[periodic[-1]] if len(periodic) > 1 else 0
        skewed.set_cell(cell)
        assert_close(descriptor.transform(skewed), reference, 1e-10)


def check_structure_refusals(descriptor, atoms):
    """Descriptors without derivatives say so by name."""
    assert not descriptor.differentiable
    X = descriptor.transform(atoms)
    for use in (lambda: descriptor.gradients(atoms), lambda: descriptor.vjp(atoms, X)):
        with pytest.raises(ConfigError, match=type(descriptor).__name__):
            use()
    environments = descriptor.environments(atoms)
    with pytest.raises(ValueError, match=type(descriptor).__name__):
        descriptor._core.bind(environments.structures, environments.pairs).vjp(X)


def check_structure_gradients(descriptor, frames):
    """An entry for every atom, in order, beside what `check_gradients` says."""
    gradients = descriptor.gradients(frames)
    n_atoms = sum(map(len, frames))
    assert gradients.values.shape == (n_atoms, 3, descriptor.n_features)
    np.testing.assert_array_equal(gradients.neighbors, np.arange(n_atoms))
    np.testing.assert_array_equal(gradients.centers, np.repeat(np.arange(len(frames)), list(map(len, frames))))


def check_rows(descriptor, frames):
    """The layout of rows is that of the frames one by one, and sharing loses nothing."""
    layout = descriptor.rows(frames)
    X = descriptor.transform(frames)
    assert layout.offsets[-1] == len(layout.groups) == len(X)
    single = [descriptor.rows(atoms) for atoms in frames]
    np.testing.assert_array_equal(np.diff(layout.offsets), [part.offsets[-1] for part in single])
    np.testing.assert_array_equal(layout.groups, np.concatenate([part.groups for part in single]))
    if descriptor.per_atom:
        np.testing.assert_array_equal(layout.groups, np.concatenate([atoms.numbers for atoms in frames]))
    numbers = np.random.default_rng(0).normal(size=len(X))
    shared = descriptor.share(frames, numbers)
    assert shared.shape == (sum(map(len, frames)),)
    ends = np.cumsum([0, *map(len, frames)])
    for f in range(len(frames)):
        total = numbers[layout.offsets[f] : layout.offsets[f + 1]].sum()
        assert abs(shared[ends[f] : ends[f + 1]].sum() - total) <= 1e-11


def check_batches(descriptor, frames):
    """A batch is the loop over its frames; nothing depends on threads, on what `out` held, or on prepared pairs."""
    vjp = (
        descriptor.vjp
        if descriptor.differentiable
        else lambda *_: (np.zeros((n_atoms, 3)), np.zeros((len(frames), 3, 3)))
    )
    n_atoms = sum(map(len, frames))
    together = descriptor.transform(frames)
    assert together.dtype == np.float64
    assert together.flags.c_contiguous
    assert together.shape[1] == descriptor.n_features == len(descriptor.feature_labels())
    np.testing.assert_array_equal(together, np.concatenate([descriptor.transform(atoms) for atoms in frames]))
    out = np.full_like(together, np.nan)
    assert descriptor.transform(frames, out=out) is out
    np.testing.assert_array_equal(out, together)
    dY_dX = np.random.default_rng(0).normal(size=together.shape)
    environments = descriptor.environments(frames)
    for threads in (1, 2, 3):
        with mercer.threads(threads):
            np.testing.assert_array_equal(descriptor.transform(environments), together)
            positions, strain = vjp(environments, dY_dX)
        if threads == 1:
            first = positions, strain
        np.testing.assert_array_equal(positions, first[0])
        np.testing.assert_array_equal(strain, first[1])
    assert positions.shape == (sum(map(len, frames)), 3)
    assert strain.shape == (len(frames), 3, 3)


def check_smooth(descriptor, symbols="CO", h=1e-3, steps=400):
    """Energies of rows weighted by their factors, and their slopes, do not jump where two or three atoms part."""
    distances = descriptor.r_cut + h * (np.arange(steps) - 0.75 * steps + 0.5)
    triangle = np.array([[0, 0, 0], [0, 0, 1.0], [0, 0.75, 0.6]])[:, None] * distances[:, None]

    def energy_and_slope(positions):
        atoms = Atoms(symbols, positions=positions)
        X = descriptor.transform(atoms)
        factor = X[:, -1] if descriptor.has_factor else 1.0
        weights = np.random.default_rng(7).normal(size=descriptor.n_features)
        inner = X @ weights - (factor * weights[-1] if descriptor.has_factor else 0.0)
        dY_dX = (factor * np.cos(inner))[:, None] * weights if len(X) else X
        if descriptor.has_factor:
            dY_dX[:, -1] = np.sin(inner)
        return np.sum(factor * np.sin(inner)), descriptor.vjp(atoms, dY_dX)[0][-1]

    energies, slopes = zip(*map(energy_and_slope, triangle[: len(symbols)].transpose(1, 0, 2)), strict=True)
    assert np.abs(np.diff(energies)).max() <= 30 * h
    assert np.abs(np.diff(slopes, axis=0)).max() <= 300 * h
    assert np.abs(slopes[0]).max() > 1e-4
    assert np.ptp(energies) > 1e-4


def check_empty(descriptor):
    """No frames, and a frame without atoms."""
    for frames in ([], [Atoms(pbc=False)]):
        X = descriptor.transform(frames)
        assert X.shape == (descriptor.rows(frames).offsets[-1], descriptor.n_features)
        if not descriptor.differentiable:
            continue
        positions, strain = descriptor.vjp(frames, X)
        assert positions.shape == (0, 3)
        assert strain.shape == (len(frames), 3, 3)
        assert not strain.any()


def difference(function, h):
    """Central difference of fourth order at 0."""
    return (8 * (function(h) - function(-h)) - (function(2 * h) - function(-2 * h))) / (12 * h)


def check_vjp(descriptor, atoms, tolerance=1e-6, h=5e-4):
    """The reverse pass against central differences, in every position and strain; forces and torque."""

    # Away from distances where the cutoff function has a kink in its second derivative.
    def near(atoms):
        return Environments.of(atoms, descriptor.r_cut + 20 * h).pairs.distances

    kinks = [descriptor.r_cut, descriptor.r_cut - getattr(descriptor, "cutoff_width", 0)]
    while np.abs(np.subtract.outer(near(atoms), kinks)).min(initial=1) < 10 * h:
        atoms = atoms.copy()
        atoms.set_cell(atoms.cell.array * 1.003, scale_atoms=True)
        assert atoms.cell.volume > 0
    dY_dX = np.random.default_rng(2).normal(size=descriptor.transform(atoms).shape)
    positions, strain = descriptor.vjp(atoms, dY_dX)

    def displaced(i, a, step):
        moved = atoms.copy()
        moved.positions[i, a] += step
        return np.sum(descriptor.transform(moved) * dY_dX)

    def strained(a, b, step):
        deformation = np.eye(3)
        deformation[a, b] += step
        moved = atoms.copy()
        moved.set_cell(atoms.cell.array @ deformation.T)
        moved.positions = atoms.positions @ deformation.T
        return np.sum(descriptor.transform(moved) * dY_dX)

    numeric = np.array(
        [[difference(lambda s, i=i, a=a: displaced(i, a, s), h) for a in range(3)] for i in range(len(atoms))]
    )
    numeric_strain = np.array(
        [[difference(lambda s, a=a, b=b: strained(a, b, s), h) for b in range(3)] for a in range(3)]
    )
    assert np.abs(strain).max() > 1e-6
    if len(atoms) > 1:
        assert np.abs(positions).max() > 1e-6
        assert_close(positions, numeric, tolerance)
    assert_close(strain[0], numeric_strain, tolerance)
    # Rotation and translation change nothing.
    scale = max(np.abs(positions).max(), np.abs(strain).max())
    assert np.abs(positions.sum(axis=0)).max() <= 1e-11 * scale
    assert np.abs(strain[0] - strain[0].T).max() <= 1e-9 * scale
    if not atoms.pbc.any():
        assert np.abs(np.cross(atoms.positions, positions).sum(axis=0)).max() <= 1e-9 * scale


def check_contraction(descriptor, environments, n_vectors=5, **order):
    """Jacobian times vectors, entry by entry, against the reverse pass; rows with random weights."""
    X = descriptor.transform(environments)
    structures, pairs = environments.structures, environments.pairs
    rng = np.random.default_rng(3)
    Q, weights = rng.normal(size=(n_vectors, X.shape[1])), rng.normal(size=len(X))
    values, along, (rows, origins, atoms, vectors) = descriptor._core.contract(structures, pairs, Q, **order)
    assert values.shape == (len(rows), 3, n_vectors)
    assert len(X) == 0 or np.abs(values).max() > 1e-6 or X.shape[1] == 1

    def compare(entries, dY_dX):
        """Entries summed over atoms, and times vectors, against the gradient of dY_dX . X."""
        positions, strain = descriptor.vjp(environments, dY_dX)
        mine = np.zeros_like(positions)
        np.add.at(mine, atoms, entries)
        np.subtract.at(mine, origins, entries)
        assert np.abs(mine - positions).max() <= 1e-13 + 1e-11 * np.abs(positions).max()
        assert np.abs(entries.T @ vectors - strain.sum(axis=0)).max() <= 1e-13 + 1e-11 * np.abs(strain).max()

    for q in range(n_vectors):
        compare(weights[rows, None] * values[:, :, q], np.outer(weights, Q[q]))
    compare(weights[rows, None] * along, weights[:, None] * X)
    for row in range(min(5, len(X))):
        dY_dX = np.zeros_like(X)
        dY_dX[row] = Q[0]
        compare(np.where(rows[:, None] == row, values[:, :, 0], 0.0), dY_dX)
    with mercer.threads(3):
        np.testing.assert_array_equal(descriptor._core.contract(structures, pairs, Q, **order)[0], values)


def check_gradients(descriptor, atoms):
    """Derivatives of rows against the reverse pass; what they are indexed by; `out`; threads."""
    environments = descriptor.environments(atoms)
    X = descriptor.transform(environments)
    gradients = descriptor.gradients(environments)
    dense = np.zeros((len(X), environments.structures.n_atoms, 3, X.shape[1]))
    dense[gradients.centers, gradients.neighbors] += gradients.values
    assert len(X) == 0 or np.abs(dense).max() > 1e-6
    rng = np.random.default_rng(4)
    for _ in range(3):
        dY_dX = rng.normal(size=X.shape)
        positions, _ = descriptor.vjp(environments, dY_dX)
        found = np.einsum("iF,ijaF->ja", dY_dX, dense)
        assert np.abs(found - positions).max(initial=0) <= 1e-13 + 1e-11 * np.abs(positions).max(initial=0)
    out = np.full_like(gradients.values, np.nan)
    with mercer.threads(3):
        assert descriptor.gradients(environments, out=out).values is out
    np.testing.assert_array_equal(out, gradients.values)
    with pytest.raises(DataError, match="out"):
        descriptor.gradients(environments, out=np.empty((len(out) + 1, 3, X.shape[1])))
    with pytest.raises(DataError, match="out"):
        descriptor.gradients(environments, out=np.empty((len(out), 2, X.shape[1])))


def check_raw_gradients(descriptor, environments):
    """Raw derivatives with their factors against those of the rows; `out`; threads."""
    raw = descriptor.raw_gradients(environments)
    found, expected = raw.project(), descriptor.gradients(environments)
    np.testing.assert_array_equal(found.centers, expected.centers)
    np.testing.assert_array_equal(found.neighbors, expected.neighbors)
    size = np.abs(expected.values).max(initial=0)
    assert np.abs(found.values - expected.values).max(initial=0) <= 1e-13 + 1e-12 * size
    X = descriptor.transform(environments)
    assert np.abs(raw.rows - X).max(initial=0) <= 1e-14 + 1e-13 * np.abs(X).max(initial=0)
    if not descriptor.normalize:
        assert (raw.norms == 1).all()
        assert (raw.dots == 0).all()
    n_values = len(raw.values)
    assert raw.value_offsets[-1] == n_values
    assert raw.block_offsets[-1] == len(raw.blocks)
    out = np.full(n_values + 3, np.nan)
    with mercer.threads(3):
        again = descriptor.raw_gradients(environments, out=out)
    assert np.shares_memory(again.values, out) or n_values == 0
    assert np.isnan(out[n_values:]).all()
    for name in ("values", "rows", "norms", "dots", "blocks", "block_offsets", "value_offsets"):
        np.testing.assert_array_equal(getattr(again, name), getattr(raw, name))
    for wrong in (np.empty(n_values + 1, dtype=np.float32), np.empty((n_values, 1)), np.empty(max(0, n_values - 1))):
        if n_values > 0:
            with pytest.raises(DataError, match="out"):
                descriptor.raw_gradients(environments, out=wrong)
    return raw


def check_value(descriptor, other, pbc=True):
    """Equality, hash, pickle, copies, dicts; `other` differs from `descriptor`."""
    import copy
    import json
    import pickle

    atoms = random_atoms(pbc=pbc)
    before = descriptor.transform(atoms)  # the core object exists now
    for twin in (
        pickle.loads(pickle.dumps(descriptor)),
        copy.copy(descriptor),
        copy.deepcopy(descriptor),
        type(descriptor).from_dict(json.loads(json.dumps(descriptor.to_dict()))),
    ):
        assert twin == descriptor
        assert hash(twin) == hash(descriptor)
        np.testing.assert_array_equal(twin.transform(atoms), before)
    assert other != descriptor
