"""Descriptors of whole structures: the checks of descriptor_conformance for every one of the registry."""

import itertools
import json
from pathlib import Path

import descriptor_conformance as conformance
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from descriptor_conformance import STRUCTURES, assert_close, random_atoms
from mercer.descriptors import (
    DESCRIPTORS,
    BagOfBonds,
    CoulombMatrix,
    Environments,
    EwaldMatrix,
    InverseDistances,
    InversePowers,
    SineMatrix,
)
from mercer.descriptors.coulomb_matrix import PERMUTATIONS
from mercer.errors import ConfigError, DataError

NAMES = pytest.mark.parametrize("name", STRUCTURES)
EVERY = [(name, pbc) for name, example in STRUCTURES.items() for pbc in example.periodicities]
DIFFERENTIABLE = [
    (name, pbc) for name, pbc in EVERY if STRUCTURES[name].make(["H"], 3.0).differentiable
]  # fmt: skip


def structures(example, sizes=(1, 3, 5, 4), species=("H", "C", "O")):
    """Frames in the periodicities of an example, with a frame of one atom."""
    some = example.periodicities[:: max(1, len(example.periodicities) // 3)]
    return [random_atoms(s, n=n, species=species, pbc=some[s % len(some)]) for s, n in enumerate(sizes)]


@pytest.mark.parametrize(("name", "pbc"), EVERY)
def test_invariance(name, pbc):
    conformance.check_structure_invariance(STRUCTURES[name], random_atoms(3, n=4, pbc=pbc))


@NAMES
def test_batches_and_rows(name):
    example = STRUCTURES[name]
    descriptor, frames = example.make(["H", "C", "O"], 3.5), structures(example)
    assert not descriptor.per_atom
    assert not descriptor.has_factor
    conformance.check_batches(descriptor, frames)
    conformance.check_rows(descriptor, frames)
    assert descriptor.rows(frames).offsets.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(
        descriptor.share(frames, [3.0, 3.0, 0.0, 0.0]), np.repeat([3.0, 1.0, 0.0, 0.0], [1, 3, 5, 4])
    )


@NAMES
def test_empty(name):
    conformance.check_empty(STRUCTURES[name].make(["H", "C"], 3.5))


@NAMES
def test_is_a_value(name):
    example = STRUCTURES[name]
    others = [other.make(["O", "H", "C"], 3.6) for word, other in STRUCTURES.items() if word != name]
    conformance.check_value(example.make(["O", "H", "C"], 3.5), others[0], example.periodicities[-1])


@pytest.mark.parametrize(("name", "pbc"), DIFFERENTIABLE)
def test_vjp(name, pbc):
    atoms = random_atoms(4, n=4, species=["H", "C"], pbc=pbc, length=3.2)
    conformance.check_vjp(STRUCTURES[name].make(["H", "C"], 3.0), atoms)


@pytest.mark.parametrize(("name", "pbc"), DIFFERENTIABLE)
def test_gradients(name, pbc):
    descriptor = STRUCTURES[name].make(["H", "C", "O"], 3.0)
    frames = [random_atoms(s, n=n, species=["H", "C"], pbc=pbc, length=2.6) for s, n in ((1, 1), (2, 4), (3, 5))]
    conformance.check_gradients(descriptor, frames)
    conformance.check_structure_gradients(descriptor, frames)
    conformance.check_gradients(descriptor, [])


@pytest.mark.parametrize("name", [n for n in STRUCTURES if not STRUCTURES[n].make(["H"], 3.0).differentiable])
def test_no_derivatives(name):
    atoms = random_atoms(0, n=3, pbc=STRUCTURES[name].periodicities[0])
    conformance.check_structure_refusals(STRUCTURES[name].make(["H", "C", "O"], 3.0), atoms)


def test_all_pairs():
    """An infinite cutoff: every pair of a frame, in order, as a cutoff longer than the frame gives them."""
    frames = [molecule("CH3CH2OH"), Atoms(), molecule("H2O"), Atoms("H")]
    found, expected = (Environments.of(frames, r_cut).pairs for r_cut in (np.inf, 100.0))
    assert found.n_pairs == 9 * 8 + 3 * 2
    for name in ("offsets", "neighbors", "shifts", "vectors", "distances"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert Environments.of(frames, 0.0).pairs.n_pairs == 0
    with pytest.raises(DataError, match=r"frame 1: is periodic.*r_cut"):
        Environments.of([molecule("H2O"), bulk("Si")], np.inf)
    with pytest.raises(DataError, match=r"frame 1: atoms 0 and 1 coincide"):
        Environments.of([molecule("H2O"), Atoms("H2")], np.inf)


def test_room():
    with pytest.raises(DataError, match=r"frame 1: has 5 atoms.*CoulombMatrix has room for 3.*n_atoms_max"):
        CoulombMatrix(3).transform([molecule("H2O"), molecule("CH4")])
    with pytest.raises(DataError, match=r"frame 0: has 5 atoms.*n_atoms_max"):
        CoulombMatrix(3, permutation="none").gradients(molecule("CH4"))


def test_matrices_of_dscribe():
    reference = json.loads((Path(__file__).parents[1] / "reference" / "matrices" / "dscribe.json").read_text())
    assert len(reference["cases"]) == 6
    for case in reference["cases"]:
        atoms = Atoms(**reference["structures"][case["structure"]])
        features = DESCRIPTORS[case["cls"]](**case["kwargs"]).transform(atoms)[0]
        assert_close(features, np.array(case["features"]), 1e-12)


def matrix(atoms, inverse_distance):
    Z = atoms.numbers.astype(float)
    M = np.outer(Z, Z) * inverse_distance
    np.fill_diagonal(M, 0.5 * Z**2.4)
    return M


def of_molecule(atoms):
    return 1 / (atoms.get_all_distances() + np.eye(len(atoms)))


def of_crystal(atoms):
    f = atoms.get_scaled_positions(wrap=False)
    u = np.sin(np.pi * (f[:, None] - f)) ** 2 @ atoms.cell.array
    return 1 / (np.linalg.norm(u, axis=-1) + np.eye(len(atoms)))


@pytest.mark.parametrize("unit", ["angstrom", "bohr"])
@pytest.mark.parametrize(
    ("cls", "pbc", "inverse"), [(CoulombMatrix, False, of_molecule), (SineMatrix, True, of_crystal)]
)
def test_matrices_in_closed_form(cls, pbc, inverse, unit):
    atoms, n = random_atoms(2, n=7, species=("H", "C", "O", "H"), pbc=pbc), 9
    atoms.positions[3] += 3 * atoms.cell.array[1]
    M = matrix(atoms, inverse(atoms) * (units.Bohr if unit == "bohr" else 1.0))
    order = np.argsort(-np.linalg.norm(M, axis=1), kind="stable")
    values = np.linalg.eigvalsh(M)
    expected = {
        "none": np.pad(M, (0, 2)).ravel(),
        "sorted_l2": np.pad(M[np.ix_(order, order)], (0, 2)).ravel(),
        "eigenspectrum": np.pad(values[np.argsort(-np.abs(values))], (0, 2)),
    }
    assert list(expected) == list(PERMUTATIONS)
    for permutation, row in expected.items():
        found = cls(n, permutation=permutation, unit=unit)
        assert_close(found.transform(atoms)[0], row, 1e-9 if unit == "bohr" else 1e-12)
        assert len(found.feature_labels()) == len(row)


def test_inverse_distances_in_closed_form():
    atoms = random_atoms(2, n=6, pbc=False)
    inverse = of_molecule(atoms)
    descriptor = InverseDistances(8)
    found = dict(zip(descriptor.feature_labels(), descriptor.transform(atoms)[0], strict=True))
    assert len(found) == 28
    for (i, j), value in found.items():
        assert abs(value - (inverse[i, j] if j < 6 else 0.0)) <= 1e-12


@pytest.mark.parametrize("diagonal", [True, False])
def test_bags_in_closed_form(diagonal):
    atoms = molecule("CH3CH2OH")
    assert BagOfBonds.largest(atoms) == {"H": 6, "C": 2, "O": 1}
    room = {"H": 7, "C": 2, "O": 2}
    descriptor = BagOfBonds(room, diagonal=diagonal)
    M, symbols = matrix(atoms, of_molecule(atoms)), atoms.get_chemical_symbols()
    bags = {}
    for i, j in itertools.combinations_with_replacement(range(len(atoms)), 2):
        key = (symbols[i],) if i == j else tuple(sorted((symbols[i], symbols[j]), key=["H", "C", "O"].index))
        bags.setdefault(key, []).append(M[i, j])
    found = dict(zip(descriptor.feature_labels(), descriptor.transform(atoms)[0], strict=True))
    assert descriptor.n_features == len(found) == 21 + 1 + 1 + 14 + 14 + 4 + 11 * diagonal
    assert any(len(label) == 2 for label in found) == diagonal
    for (*key, k), value in found.items():
        bag = sorted(bags.get(tuple(key), []), reverse=True)
        assert abs(value - (bag[k] if k < len(bag) else 0.0)) <= 1e-12


@pytest.mark.parametrize("alpha", [100.0, 1e-3])
def test_ewald_refuses_sums_without_end(alpha):
    with pytest.raises(DataError, match=r"frame 0: .*terms of a sum.*alpha"):
        EwaldMatrix(1, alpha=alpha).transform(Atoms("H", cell=[4, 4, 4], pbc=True))


def test_bags_refuse():
    bags = BagOfBonds({"H": 2, "O": 1})
    with pytest.raises(DataError, match=r"frame 1: .*\bO\b"):
        bags.transform([molecule("H2O"), molecule("CO")])
    with pytest.raises(DataError, match=r"frame 1: has 4 atoms of element 1, but BagOfBonds has room for 2.*max_atoms"):
        bags.transform([molecule("H2O"), molecule("H2O") + molecule("H2")])
    for wrong in ({}, {"H": 0}, [("H", 1), ("H", 2)], ["H"], 5):
        with pytest.raises(ConfigError, match="max_atoms"):
            BagOfBonds(wrong)


@pytest.mark.parametrize("r_cut", [None, 3.1])
def test_inverse_powers_in_closed_form(r_cut):
    atoms = random_atoms(5, n=6, species=("H", "C", "H", "H", "O"), pbc=False)
    descriptor = InversePowers(["H", "C", "O"], r_cut, pair_powers=(1, 4), triple_powers=(1, 3), cutoff_width=0.9)
    distances = atoms.get_all_distances()

    def p(m, i, j):
        d = distances[i, j]
        x = 0.0 if r_cut is None else np.clip((d - r_cut + 0.9) / 0.9, 0, 1)
        return d ** (-m) * 0.5 * (1 + np.cos(np.pi * x))

    symbols = atoms.get_chemical_symbols()
    found = dict(zip(descriptor.feature_labels(), descriptor.transform(atoms)[0], strict=True))
    # pairs; triples of one element, of two, of three
    assert len(found) == descriptor.n_features == 6 * 2 + 3 * 4 + 6 * 6 + 1 * 8
    for (a, b, *rest), value in found.items():
        if len(rest) == 1:
            pairs = [(i, j) for i, j in itertools.permutations(range(6), 2) if (symbols[i], symbols[j]) == (a, b)]
            expected = sum(p(rest[0], i, j) for i, j in pairs) / (2 if a == b else 1)
        else:
            c, m1, m2, m3 = rest
            triples = [t for t in itertools.permutations(range(6), 3) if [symbols[i] for i in t] == [a, b, c]]
            expected = sum(p(m1, i, j) * p(m2, i, k) * p(m3, j, k) for i, j, k in triples)
        assert abs(value - expected) <= 1e-12 * max(1.0, abs(expected))


def test_inverse_powers_refuse():
    with pytest.raises(DataError, match=r"frame 0: is periodic.*r_cut"):
        InversePowers(["Si"]).transform(bulk("Si"))
    with pytest.raises(DataError, match=r"frame 0: .*\bC\b"):
        InversePowers(["H"]).transform(molecule("CH4"))
    for options in (
        {"pair_powers": [0]},
        {"pair_powers": [1.5]},
        {"pair_powers": "a"},
        {"triple_powers": [1, 1]},
        {"pair_powers": [], "triple_powers": []},
    ):
        with pytest.raises(ConfigError, match="powers"):
            InversePowers(["H"], **options)


def test_sine_matrix_refuses():
    with pytest.raises(DataError, match=r"frame 1: is not periodic in all three.*SineMatrix"):
        SineMatrix(9).transform([bulk("Si"), random_atoms(0, pbc=(1, 1, 0))])
    atoms = bulk("Si", cubic=True)
    atoms.positions[3] = atoms.positions[5] - atoms.cell.array[0]
    with pytest.raises(DataError, match="frame 0: atoms 3 and 5 coincide"):
        SineMatrix(9).transform(atoms)


def test_ewald_matrix_of_cubic_lattices():
    """Energies of lattices of charges in a background, in Z^2 over the radius of a sphere per atom."""
    for structure, energy in (("sc", -0.880059442), ("bcc", -0.895929256), ("fcc", -0.895873616)):
        atoms = bulk("Na", structure, a=3.0)
        radius = (3 * atoms.get_volume() / (4 * np.pi)) ** (1 / 3)
        assert abs(EwaldMatrix(1).transform(atoms)[0, 0] * radius / 121 - energy) <= 2e-9
        # the energy of a cell of several atoms is the sum of the elements i <= j
        matrix = EwaldMatrix(8, permutation="none").transform(atoms * (2, 2, 2)).reshape(8, 8)
        assert abs(np.triu(matrix).sum() * radius / 121 / 8 - energy) <= 2e-9


def test_ewald_matrix_does_not_depend_on_the_split():
    atoms = random_atoms(2)
    reference = EwaldMatrix(5, permutation="none").transform(atoms)
    for alpha in (0.3, 0.9):
        assert np.abs(EwaldMatrix(5, permutation="none", alpha=alpha).transform(atoms) / reference - 1).max() <= 1e-8
    given = EwaldMatrix(5, permutation="none", alpha=0.6, real_cutoff=9.0, reciprocal_cutoff=7.0).transform(atoms)
    assert np.abs(given / reference - 1).max() <= 1e-8
    rough = EwaldMatrix(5, permutation="none", alpha=0.6, real_cutoff=3.0, reciprocal_cutoff=7.0).transform(atoms)
    assert np.abs(rough / reference - 1).max() >= 1e-4
    moved = atoms.copy()
    moved.positions[1] += 2 * moved.cell.array[0] - moved.cell.array[1]
    assert np.abs(EwaldMatrix(5, permutation="none").transform(moved) / reference - 1).max() <= 1e-10


def test_ewald_matrix_refuses():
    with pytest.raises(DataError, match=r"frame 0: is not periodic in all three.*EwaldMatrix"):
        EwaldMatrix(9).transform(random_atoms(0, pbc=(1, 1, 0)))
    atoms = bulk("Si", cubic=True)
    atoms.positions[3] = atoms.positions[5] - atoms.cell.array[0]
    with pytest.raises(DataError, match="frame 0: atoms 3 and 5 coincide"):
        EwaldMatrix(9).transform(atoms)
    for options, message in (
        ({"accuracy": 2}, "accuracy = 2, expected 0 < accuracy < 1"),
        ({"alpha": 0}, "alpha=0"),
        ({"real_cutoff": 3}, "give both of real_cutoff and reciprocal_cutoff"),
        ({"permutation": "sorted"}, "permutation"),
        ({"n_atoms_max": 0}, "n_atoms_max"),
    ):
        with pytest.raises(ConfigError, match=message):
            EwaldMatrix(**({"n_atoms_max": 3} | options))


@pytest.mark.parametrize("cls", [CoulombMatrix, SineMatrix])
def test_parameters_of_matrices(cls):
    for options in ({"permutation": "sorted"}, {"unit": "nm"}, {"n_atoms_max": 0}):
        with pytest.raises(ConfigError, match=next(iter(options))):
            cls(**({"n_atoms_max": 3} | options))
