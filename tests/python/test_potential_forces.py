"""Potentials learnt from forces and virials, and what they predict, against finite differences and dense formulas."""

import subprocess
import sys

import mercer
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.morse import MorsePotential
from mercer import baselines, kernels
from mercer.descriptors import Environments, PairDistance, RadialSpectrum, Triplet
from mercer.errors import ConfigError, DataError, ModelFileError
from mercer.models import Potential, SparsePoints, Term, force_variance
from mercer.models import memory as memory_module
from mercer.models.term import SparseTerm
from mercer.structures import read_labels

SPECIES = ["C", "Si"]
TERMS = {
    "pair": Term(PairDistance(SPECIES, 3.0), kernels.Gaussian(length_scale=0.7), delta=0.8, n_sparse=12),
    "triplet": Term(Triplet(SPECIES, 2.8), kernels.Gaussian(length_scale=1.5), delta=0.5, n_sparse=12),
    "radial": Term(RadialSpectrum(SPECIES, 3.0, 4, 0.5), kernels.Gaussian(length_scale=0.3), delta=0.5, n_sparse=12),
    "soap": Term(mercer.SOAP(SPECIES, 3.0, 3, 2, 0.5), kernels.Polynomial(zeta=4), delta=0.5, n_sparse=12),
}
SETS = {name: [term] for name, term in TERMS.items()} | {
    "sum": [TERMS["pair"], TERMS["soap"]],
    "all species covary": [Term(TERMS["soap"].descriptor, kernels.Matern(nu=2.5), n_sparse=12, match_species=False)],
}
SIGMA = {"energy": 0.01, "forces": 0.05, "virial": 0.05}
ALL = ("energy", "forces", "virial")


def target(atoms):
    """Energy, forces and virial of a smooth pair potential that no term holds exactly."""

    def pair(z1, z2, r):
        depth = 0.1 + 0.002 * (z1 + z2)
        x = np.clip(r / 3.0, 0.0, 1.0)
        smooth, slope = (1 - x**2) ** 3, -2 * x * (1 - x**2) ** 2  # slope of smooth by r, as 3 (1/3) ...
        wave, wave_slope = np.sin(2 * r), 2 * np.cos(2 * r)
        return depth * wave * smooth, depth * (wave_slope * smooth + wave * slope)

    energies, forces, virial = baselines.evaluate_pairs([atoms], 3.0, pair)
    return energies, forces, virial[0]


def label(atoms, kinds=ALL):
    energies, forces, virial = target(atoms)
    if "energy" in kinds:
        atoms.info["REF_energy"] = float(energies.sum())
    if "energies" in kinds:
        atoms.arrays["REF_energies"] = energies
    if "forces" in kinds:
        atoms.arrays["REF_forces"] = forces
    if "virial" in kinds:
        atoms.info["REF_virial"] = virial
    return atoms


def make_frames(n, seed=0, kinds=ALL, periodic=True):
    rng, frames = np.random.default_rng(seed), []
    for _ in range(n):
        atoms = bulk("SiC", "zincblende", a=float(rng.uniform(4.0, 4.6)), cubic=True)
        atoms.positions += rng.normal(0.0, 0.12, atoms.positions.shape)
        if not periodic:
            atoms.pbc = False
            atoms.cell[:] = 0
        frames.append(label(atoms, kinds))
    return frames


@pytest.fixture(scope="module")
def frames():
    return make_frames(8)


@pytest.fixture(scope="module")
def fitted(frames):
    """One potential per set of terms, learnt from everything."""
    return {name: Potential(terms, sigma=SIGMA, e0=None).fit(frames) for name, terms in SETS.items()}


def moved(atoms, *, atom=None, axis=None, strain=None, step=0.0):
    other = atoms.copy()
    if atom is not None:
        other.positions[atom, axis] += step
    else:
        deformation = np.eye(3) + step * strain
        other.set_cell(atoms.cell.array @ deformation.T)
        other.positions = atoms.positions @ deformation.T
    return other


def difference(potential, atoms, **change):
    low, high = (moved(atoms, **change, step=step) for step in (-1e-4, 1e-4))
    energies = potential.predict([low, high], forces=False)["energy"]
    return -(energies[1] - energies[0]) / 2e-4


# ---------------------------------------------------------------------------------------------------- predictions


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("pbc", [True, False, (True, True, False)])
def test_forces_and_virials_are_derivatives_of_the_energy(fitted, name, pbc):
    atoms = make_frames(1, seed=5)[0]
    atoms.pbc = pbc
    predicted = fitted[name].predict(atoms)
    forces, virial = predicted["forces"], predicted["virial"][0]
    for atom, axis in ((0, 0), (3, 2), (6, 1)):
        assert abs(difference(fitted[name], atoms, atom=atom, axis=axis) - forces[atom, axis]) <= 1e-6
    for a, b in ((0, 0), (1, 2), (2, 0)):
        strain = np.zeros((3, 3))
        strain[a, b] = 1.0
        assert abs(difference(fitted[name], atoms, strain=strain) - virial[a, b]) <= 1e-5
    assert np.abs(forces.sum(axis=0)).max() <= 1e-9
    assert np.abs(virial - virial.T).max() <= 1e-9
    if pbc is True:
        stress = -virial.reshape(-1)[[0, 4, 8, 5, 2, 1]] / atoms.get_volume()
        assert np.abs(predicted["stress"][0] - stress).max() <= 1e-12
    else:
        assert np.isnan(predicted["stress"]).all()


def test_predict_takes_environments_of_a_larger_cutoff(fitted, frames):
    for potential in (fitted["sum"], fitted["triplet"]):
        expected = potential.predict(frames, std=True)
        predicted = potential.predict(Environments.of(frames, potential.r_cut + 0.7), std=True)
        for key, values in expected.items():
            assert np.abs(predicted[key] - values).max() <= 1e-10, key


def test_forces_can_be_left_out_and_kernels_without_derivative_have_none(frames):
    term = Term(TERMS["soap"].descriptor, kernels.Laplacian(length_scale=1.0), n_sparse=10)
    potential = Potential(term, sigma={"energy": 0.01}, e0=None).fit(frames)
    assert set(potential.predict(frames)) == {"energy", "energies"}
    with pytest.raises(ConfigError, match=r"Laplacian.*no forces"):
        potential.predict(frames, forces=True)
    with pytest.raises(ConfigError, match="Laplacian"):
        Potential(term, sigma=SIGMA, e0=None).fit(frames)


# ------------------------------------------------------------------------------------------------------- training


def rows_by_differences(potential, frames, points, kinds):
    """K_LM and y from energies of models with one weight each, by central differences."""
    rows, y, noise = [], [], []

    def kernel_sums(atoms):
        found = []
        for term, p in zip(potential.terms, points, strict=True):
            X, layout = term.descriptor.transform(atoms), term.descriptor.rows(atoms)
            n = X.shape[1] - term.descriptor.has_factor
            K = term.delta**2 * term.kernel(X[:, :n], p.features[:, :n])
            if term.descriptor.has_factor:
                K = K * X[:, n:] * p.features[:, n]
            found.append((K * (layout.groups[:, None] == p.species)).sum(axis=0))
        return np.concatenate(found)

    for atoms in frames:
        labels = read_labels([atoms])
        if "energy" in kinds:
            rows.append(kernel_sums(atoms))
            y.append(labels.energy[0])
            noise.append(SIGMA["energy"] * np.sqrt(len(atoms)))
        if "forces" in kinds:
            for k, axis in np.ndindex(len(atoms), 3):
                low, high = (kernel_sums(moved(atoms, atom=k, axis=axis, step=h)) for h in (-1e-4, 1e-4))
                rows.append(-(high - low) / 2e-4)
            y.extend(labels.forces.reshape(-1))
            noise.extend([SIGMA["forces"]] * 3 * len(atoms))
        if "virial" in kinds:
            for a, b in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)):
                strain = np.zeros((3, 3))
                strain[a, b] = 1.0
                low, high = (kernel_sums(moved(atoms, strain=strain, step=h)) for h in (-1e-4, 1e-4))
                rows.append(-(high - low) / 2e-4)
                y.append(labels.virial[0, a, b])
            noise.extend([SIGMA["virial"] * np.sqrt(len(atoms))] * 6)
    return np.array(rows), np.array(y), np.array(noise)


@pytest.mark.parametrize("kinds", [("forces",), ("virial",), ALL], ids="+".join)
@pytest.mark.parametrize("name", ["sum", "triplet"])
def test_the_weights_are_those_of_the_dense_formula(kinds, name):
    frames = make_frames(2, kinds=kinds)
    potential = Potential(SETS[name], sigma=SIGMA, e0=None).fit(frames)
    K, y, noise = rows_by_differences(potential, frames, potential.sparse_points_, kinds)
    sizes = [len(points) for points in potential.sparse_points_]
    K_MM, start = np.zeros((sum(sizes), sum(sizes))), 0
    for term, size in zip(potential.terms_, sizes, strict=True):
        K_MM[start : start + size, start : start + size] = term.gram()
        start += size
    weighted = K / noise[:, None] ** 2
    jitter = 1e-9 * np.trace(K_MM) / len(K_MM) * np.eye(len(K_MM))
    c = np.linalg.solve(K_MM + jitter + K.T @ weighted, weighted.T @ y)
    scale = np.abs(y).max()
    assert np.abs(K @ c - K @ potential.weights_).max() <= 1e-3 * scale
    # the loss at its minimum: differences enter in second order, and the jitter only raises that of the dense formula
    loss = [np.sum(((y - K @ w) / noise) ** 2) + w @ K_MM @ w for w in (c, potential.weights_)]
    assert loss[1] <= loss[0] * (1 + 1e-6)
    assert loss[0] <= loss[1] * (1 + 1e-3)


@pytest.mark.parametrize("kinds", [("forces",), ("virial",), ("energy", "forces"), ALL], ids="+".join)
def test_any_kind_of_label_alone_or_together_is_learnt(kinds):
    terms = [Term(TERMS["pair"].descriptor, TERMS["pair"].kernel, n_sparse=60)]
    sigma = {kind: 1e-3 for kind in ALL}
    potential = Potential(terms, sigma=sigma, e0="auto").fit(make_frames(10, kinds=kinds))
    test = make_frames(5, seed=9)
    predicted, labels = potential.predict(test), read_labels(test)
    for kind in kinds:
        error = np.sqrt(np.mean((predicted[kind] - getattr(labels, kind)) ** 2))
        assert error <= 0.1 * np.std(getattr(labels, kind)), kind
        assert potential.fit_report_["residuals"][kind]["rmse"] <= 0.05 * np.std(getattr(labels, kind))
    if "energy" not in kinds:
        assert set(potential.fit_report_["e0_sources"].values()) == {"none"}


@pytest.mark.filterwarnings("ignore:standard deviations of")
def test_partial_labels_are_those_of_the_frames_that_have_them():
    """Frames with some kinds of labels are the sum of frames with one kind each."""
    together = make_frames(6, kinds=())
    for k, atoms in enumerate(together):
        label(atoms, [("energy",), ("forces",), ("energy", "forces"), ("virial", "energy"), ALL][k % 5])
    apart = []
    for k, atoms in enumerate(make_frames(6, kinds=())):
        for kind in [("energy",), ("forces",), ("energy", "forces"), ("virial", "energy"), ALL][k % 5]:
            apart.append(label(atoms.copy(), (kind,)))
    test = make_frames(4, seed=3)
    points = Potential(SETS["sum"], sigma=SIGMA, e0=None).fit(together).sparse_points_
    one, two = (
        Potential(SETS["sum"], sigma=SIGMA, e0=None, cross_validation=0)
        .fit(data, sparse_points=points)
        .predict(test, std=True)
        for data in (together, apart)
    )
    for key, values in one.items():
        assert np.abs(two[key] - values).max() <= 1e-8, key


def test_masked_atoms_and_given_sigmas():
    frames, points = make_frames(4, kinds=("forces",)), None
    potential = Potential(TERMS["pair"], sigma=SIGMA, e0=None).fit(frames)
    points, test = potential.sparse_points_, make_frames(3, seed=8)

    def forces(change):
        other = [atoms.copy() for atoms in frames]
        for atoms in other:
            change(atoms)
        potential = Potential(TERMS["pair"], sigma=SIGMA, e0=None).fit(other, sparse_points=points)
        return potential.predict(test)["forces"]

    def spoil(atoms):
        atoms.arrays["REF_forces"][:2] = [[100.0] * 3, [-100.0] * 3]
        atoms.arrays["REF_forces"][2] -= atoms.arrays["REF_forces"].sum(axis=0)

    def mask(atoms):
        spoil(atoms)
        atoms.arrays["force_mask"] = np.arange(len(atoms)) < 2

    def weak(atoms):
        spoil(atoms)
        atoms.arrays["force_atom_sigma"] = np.where(np.arange(len(atoms)) < 2, 1e9, SIGMA["forces"])

    def weak_components(atoms):
        spoil(atoms)
        sigma = np.full((len(atoms), 3), SIGMA["forces"])
        sigma[:2] = 1e9
        atoms.arrays["force_component_sigma"] = sigma

    expected = forces(mask)
    assert np.abs(forces(weak) - expected).max() <= 1e-8
    assert np.abs(forces(weak_components) - expected).max() <= 1e-8
    assert np.abs(forces(spoil) - expected).max() >= 1e-1

    def per_frame(atoms):
        atoms.info["force_sigma"] = 0.5

    other = Potential(TERMS["pair"], sigma={"forces": 0.5}, e0=None).fit(frames, sparse_points=points)
    assert np.abs(forces(per_frame) - other.predict(test)["forces"]).max() <= 1e-10
    with pytest.raises(DataError, match="frame 0: array force_atom_sigma holds numbers that are not positive"):
        forces(lambda atoms: atoms.arrays.update(force_atom_sigma=np.zeros(len(atoms))))


def test_sigmas_of_config_types_leave_kinds_out():
    frames = make_frames(6)
    for atoms in frames[:3]:
        atoms.info["config_type"] = "loose"
    kinds = {"loose": {"forces": None, "virial": None}}
    points = Potential(TERMS["pair"], sigma=SIGMA, e0=None).fit(frames).sparse_points_
    potential = Potential(TERMS["pair"], sigma=SIGMA, e0=None, config_type_sigma=kinds)
    potential.fit(frames, sparse_points=points)
    assert potential.fit_report_["labels"]["forces"]["rows"] == 3 * 3 * 8
    bare = make_frames(6)
    for atoms in bare[:3]:
        del atoms.arrays["REF_forces"], atoms.info["REF_virial"]
    reference = Potential(TERMS["pair"], sigma=SIGMA, e0=None).fit(bare, sparse_points=points)
    test = make_frames(3, seed=4)
    assert np.abs(potential.predict(test)["forces"] - reference.predict(test)["forces"]).max() <= 1e-9


@pytest.mark.parametrize("kinds", [("energy",), ("virial",), ("energy", "virial")], ids="+".join)
@pytest.mark.parametrize(("scaling", "copies"), [("sqrt", 2), ("per_atom", 1)])
def test_supercells(scaling, copies, kinds):
    frames = make_frames(4, kinds=kinds)
    doubled = [label(atoms.repeat((2, 1, 1)), kinds) for atoms in frames]
    points = Potential(TERMS["soap"], sigma=SIGMA, e0=None).fit(frames).sparse_points_
    fit = Potential(TERMS["soap"], sigma=SIGMA, sigma_scaling=scaling, e0=None).fit(doubled, sparse_points=points)
    listed = Potential(TERMS["soap"], sigma=SIGMA, sigma_scaling=scaling, e0=None)
    listed.fit(frames * copies, sparse_points=points)
    test = make_frames(3, seed=6)
    for key, values in fit.predict(test).items():
        assert np.abs(listed.predict(test)[key] - values).max() <= 1e-7, key


def test_stress_labels_are_virials():
    frames = make_frames(4, kinds=("virial",))
    as_stress = [atoms.copy() for atoms in frames]
    for atoms in as_stress:
        stress = -atoms.info.pop("REF_virial") / atoms.get_volume()
        atoms.info["REF_stress"] = stress.reshape(-1)[[0, 4, 8, 5, 2, 1]]
    one, two = (Potential(TERMS["pair"], sigma=SIGMA, e0=None).fit(data) for data in (frames, as_stress))
    assert np.abs(one.weights_ - two.weights_).max() <= 1e-8
    as_stress[1].info["REF_virial"] = -frames[1].info["REF_virial"]
    with pytest.raises(DataError, match="frame 1: stress and virial labels contradict"):
        Potential(TERMS["pair"], sigma=SIGMA).fit(as_stress)


def test_chunks_and_threads_do_not_matter(frames, monkeypatch):
    test = make_frames(3, seed=2)
    potential = Potential(SETS["sum"], sigma=SIGMA, e0=None).fit(frames)
    points, expected = potential.sparse_points_, potential.predict(test, std=True)

    def check(tolerance):
        other = Potential(SETS["sum"], sigma=SIGMA, e0=None).fit(frames, sparse_points=points)
        for key, values in other.predict(test, std=True).items():
            assert np.abs(expected[key] - values).max() <= tolerance, key

    for threads in (1, 2):
        with mercer.threads(threads):
            check(1e-10)
    monkeypatch.setattr(memory_module, "BLOCK_BYTES", 1)
    check(1e-8)


def test_dense_sparse_points_of_pairs_add_no_noise():
    """Forty points between 2 and 5 Angstrom nearly depend on each other."""

    def morse(z1, z2, r):
        x, smooth = np.exp(-1.5 * (r - 2.4)), np.clip(1 - (r / 5.0) ** 2, 0.0, 1.0)
        value, slope = x * x - 2 * x, -3.0 * (x * x - x)
        return value * smooth**3, slope * smooth**3 - value * 6 * r / 25.0 * smooth**2

    rng, frames = np.random.default_rng(0), []
    for _ in range(30):
        atoms = bulk("Si", a=5.43 * rng.uniform(0.85, 1.1), cubic=True)
        atoms.positions += rng.normal(0.0, 0.1, atoms.positions.shape)
        energies, atoms.arrays["REF_forces"], _ = baselines.evaluate_pairs([atoms], 5.0, morse)
        atoms.info["REF_energy"] = float(energies.sum())
        frames.append(atoms)
    term = Term(PairDistance(["Si"], 5.0, cutoff_width=1.5), kernels.Gaussian(length_scale=1.0), delta=3.0, n_sparse=40)
    potential = Potential(term, sigma={"energy": 1e-3, "forces": 1e-3}, e0={"Si": 0.0}).fit(frames)
    assert 10 <= potential.fit_report_["rank"] <= 13
    assert potential.fit_report_["residuals"]["forces"]["mae"] <= 0.002
    turned = [atoms.copy() for atoms in frames]
    for atoms in turned:
        atoms.rotate(50.0, (1.0, 2.0, 3.0), rotate_cell=True)
    noise = potential.predict(turned)["energy"] - potential.predict(frames)["energy"]
    assert np.abs(noise).max() / 8 <= 8e-9


def test_clusters_keep_their_factor_and_their_origin(frames, fitted):
    for name in ("pair", "triplet"):
        term, points = TERMS[name], fitted[name].sparse_points_[0]
        assert len(points) == 12 and set(points.species.tolist()) <= set(range(len(term.descriptor.kinds)))
        for features, group, (frame, row) in zip(points.features, points.species, points.origin, strict=True):
            assert np.array_equal(term.descriptor.transform(frames[frame])[row], features)
            assert term.descriptor.rows(frames[frame]).groups[row] == group
    with pytest.raises(DataError, match=r"n_sparse=5000 is larger than the data: \d+ environments .*C-Si: \d+"):
        Potential(Term(TERMS["pair"].descriptor, kernels.Gaussian(), n_sparse=5000), sigma=SIGMA).fit(frames)
    with pytest.raises(ConfigError, match="one number for clusters"):
        Potential(Term(TERMS["pair"].descriptor, kernels.Gaussian(), n_sparse={"C": 3}), sigma=SIGMA).fit(frames)


def test_a_sum_of_terms_is_recovered_term_by_term():
    """Totals and forces of a two-body plus a three-body model give back both, up to what one can hold of the other."""
    terms = [TERMS["pair"], TERMS["triplet"]]
    frames = make_frames(12, kinds=())
    points = Potential(terms, sigma={"energy": 1.0}, e0=None)
    for atoms in frames:
        label(atoms, ("energy",))
    points = points.fit(frames).sparse_points_
    rng = np.random.default_rng(0)
    truth = Potential(terms, sigma={"energy": 1.0}, e0=None).fit(frames, sparse_points=points)
    truth.weights_ = rng.normal(size=len(truth.weights_))
    predicted, start = truth.predict(frames), 0
    for k, atoms in enumerate(frames):
        atoms.info["REF_energy"] = float(predicted["energy"][k])
        atoms.arrays["REF_forces"] = predicted["forces"][start : start + len(atoms)]
        start += len(atoms)
    sigma = {"energy": 1e-6, "forces": 1e-6}
    fit = Potential(terms, sigma=sigma, e0=None).fit(frames, sparse_points=points)
    test = make_frames(4, seed=7)
    environments = Environments.of(test, fit.r_cut)
    n = len(points[0])
    for part in (slice(0, n), slice(n, None)):
        only = []
        for potential in (truth, fit):
            weights = np.zeros_like(potential.weights_)
            weights[part] = potential.weights_[part]
            kept, potential.weights_ = potential.weights_, weights
            only.append(potential.predict(environments))
            potential.weights_ = kept
        for key in ("energy", "forces"):
            assert np.abs(only[0][key] - only[1][key]).max() <= 1e-3 * np.abs(only[0][key]).max()


# ---------------------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("name", SETS)
def test_loaded_potentials_predict_bit_for_bit_the_same(fitted, frames, name, tmp_path):
    fitted[name].save(tmp_path / "model")
    loaded = mercer.load(tmp_path / "model")
    for key, values in fitted[name].predict(frames, std=True).items():
        assert np.array_equal(loaded.predict(frames, std=True)[key], values), key


# ------------------------------------------------------------------------------------------------------ baselines


def dimers(element="SiC", distances=(0.7, 1.1, 1.6, 1.9)):
    return [Atoms(element, [[0, 0, 0], [0, 0, d]]) for d in distances]


@pytest.mark.parametrize(
    "baseline",
    [
        baselines.ZBL(1.0, 2.5),
        baselines.ZBL(0.5, 1.0, pairs={"Si-C": (1.2, 2.6)}),
        baselines.CalculatorBaseline(MorsePotential(rcut2=4.0)),
    ],
)
@pytest.mark.parametrize("pbc", [True, False])
def test_baselines_are_consistent(baseline, pbc):
    atoms = make_frames(1)[0]
    atoms.pbc = pbc

    def energy(other):
        return baseline.evaluate([other], forces=False)[0].sum()

    energies, forces, virial = baseline.evaluate([atoms, atoms[:3]])
    assert energies.shape == (11,) and forces.shape == (11, 3) and virial.shape == (2, 3, 3)
    assert abs(energies[:8].sum() - energy(atoms)) <= 1e-12
    for atom, axis in ((0, 0), (5, 2)):
        low, high = (energy(moved(atoms, atom=atom, axis=axis, step=h)) for h in (-1e-5, 1e-5))
        assert abs(forces[atom, axis] + (high - low) / 2e-5) <= 1e-5
    for a, b in ((0, 0), (1, 2)):
        strain = np.zeros((3, 3))
        strain[a, b] = 1.0
        low, high = (energy(moved(atoms, strain=strain, step=h)) for h in (-1e-5, 1e-5))
        assert abs(virial[0, a, b] + (high - low) / 2e-5) <= 1e-4


def test_zbl_numbers():
    """The universal screening function, written out for one pair; smooth to zero at the cutoff."""
    zbl = baselines.ZBL(1.0, 2.0)
    a = 0.46850 / (14**0.23 + 6**0.23)
    x = 0.7 / a
    phi = 0.18175 * np.exp(-3.1998 * x) + 0.50986 * np.exp(-0.94229 * x)
    phi += 0.28022 * np.exp(-0.4029 * x) + 0.02817 * np.exp(-0.20162 * x)
    energies, forces, _ = zbl.evaluate(dimers())
    assert abs(energies[:2].sum() - 14.399645 * 14 * 6 / 0.7 * phi) <= 1e-8
    assert forces[1, 2] > 0 > forces[0, 2]
    near, far = zbl.evaluate(dimers(distances=(1.9999, 2.0001)))[:2]
    assert 0 < near[0] <= 1e-6 and near[2] == 0 and np.abs(far).max() <= 1e-4
    with pytest.raises(ConfigError, match="r_inner=2 must be below r_outer=1"):
        baselines.ZBL(2.0, 1.0)


def test_zbl_of_pairs():
    zbl = baselines.ZBL(0.5, 1.0, pairs={"Si-C": (1.0, 2.0), "C-C": (0.6, 1.2)})
    assert zbl.r_cut == 2.0
    for element, usual in (("SiC", (1.0, 2.0)), ("CSi", (1.0, 2.0)), ("C2", (0.6, 1.2)), ("Si2", (0.5, 1.0))):
        expected = baselines.ZBL(*usual).evaluate(dimers(element))
        for part, other in zip(zbl.evaluate(dimers(element)), expected, strict=True):
            np.testing.assert_array_equal(part, other)
    parameters = zbl.to_dict()
    assert baselines.baselines_from_dicts([parameters]) == (zbl,)
    assert "pairs" not in baselines.ZBL().to_dict()  # as before there were pairs
    for pairs, message in (
        ({"C-Xx": (1, 2)}, "'C-Xx' is not a pair of elements"),
        ({"C": (1, 2)}, "'C' is not a pair of elements"),
        ({"C-C": 2}, "expected .r_inner, r_outer."),
        ({"C-C": (2, 1)}, "pair C-C: r_inner=2 must be below r_outer=1"),
        ([1], "expected {'C-H'"),
    ):
        with pytest.raises(ConfigError, match=message):
            baselines.ZBL(pairs=pairs)


@pytest.mark.parametrize("calculator", [False, True])
def test_a_baseline_is_subtracted_and_added_back(calculator, tmp_path):
    baseline = MorsePotential(rcut2=4.0) if calculator else baselines.ZBL(1.0, 2.5)
    part = baselines.as_baselines(baseline)[0]
    frames = make_frames(5)
    raised = [atoms.copy() for atoms in frames]
    for atoms in raised:
        energies, forces, virial = part.evaluate([atoms])
        atoms.info["REF_energy"] += energies.sum()
        atoms.arrays["REF_forces"] = atoms.arrays["REF_forces"] + forces
        atoms.info["REF_virial"] = atoms.info["REF_virial"] + virial[0]
    plain = Potential(TERMS["pair"], sigma=SIGMA, e0=None).fit(frames)
    potential = Potential(TERMS["pair"], sigma=SIGMA, e0=None, baseline=baseline)
    potential.fit(raised, sparse_points=plain.sparse_points_)
    test = make_frames(2, seed=4)
    energies, forces, virial = part.evaluate(test)
    added = {"energies": energies, "forces": forces, "virial": virial}
    one, two = plain.predict(test), potential.predict(test)
    for key, values in added.items():
        assert np.abs(one[key] + values - two[key]).max() <= 1e-7, key
    assert np.abs(two["energy"] - two["energies"].reshape(2, -1).sum(axis=1)).max() <= 1e-10
    potential.save(tmp_path / "model")
    if calculator:
        with pytest.raises(ModelFileError, match=r"calculator ase.calculators.morse.MorsePotential.*give it again"):
            mercer.load(tmp_path / "model")
        with pytest.raises(ModelFileError, match="baseline is calculator, but zbl is given"):
            mercer.load(tmp_path / "model", baseline="zbl")
    loaded = mercer.load(tmp_path / "model", baseline=baseline if calculator else None)
    for key, values in loaded.predict(test, std=True).items():
        assert np.array_equal(potential.predict(test, std=True)[key], values), key


def test_a_baseline_without_a_labelled_kind_is_refused():
    class EnergyOnly(baselines.Baseline):
        name = "energy only"

        def evaluate(self, frames, forces=True):
            n = sum(map(len, frames))
            return np.zeros(n), np.zeros((n, 3)), np.full((len(frames), 3, 3), np.nan)

    try:
        with pytest.raises(DataError, match="frame 0: the baseline gives no virial"):
            Potential(TERMS["pair"], sigma=SIGMA, baseline=EnergyOnly()).fit(make_frames(2))
    finally:
        del baselines.BASELINES["energy only"]


# ------------------------------------------------------------------------------ standard deviations and calibration


STD_TERMS = TERMS | {
    "gaussian": Term(TERMS["soap"].descriptor, kernels.Gaussian(length_scale=0.3), delta=0.7, n_sparse=12),
    "matern": Term(TERMS["soap"].descriptor, kernels.Matern(nu=2.5), n_sparse=12, match_species=False),
    "wide cutoff": Term(PairDistance(SPECIES, 3.0, cutoff_width=2.5), kernels.Gaussian(length_scale=0.7), n_sparse=12),
}


@pytest.mark.parametrize("columns", [1, 10**6])
@pytest.mark.parametrize("name", STD_TERMS)
def test_the_variance_of_a_force_is_the_second_derivative_of_the_covariance(name, columns, monkeypatch):
    term = STD_TERMS[name]
    monkeypatch.setattr(force_variance, "_JACOBIAN_BYTES", columns)
    atoms = make_frames(1)[0][:6]
    atoms.pbc = (True, False, True)

    def term_on(frame):
        X, groups = term.descriptor.transform(frame), term.descriptor.rows(frame).groups
        return SparseTerm(term, SparsePoints(X, groups, np.zeros((len(X), 2))))

    variance = term_on(atoms).force_variance(Environments.of([atoms, atoms[:2]], term.descriptor.r_cut + 0.5))
    assert variance.shape == (8, 3)

    def covariance(a, b):
        a = term_on(a).points
        return term_on(b)._covariance(a.features, a.species).sum()

    for atom, axis in ((0, 0), (3, 2)):
        low, high = (moved(atoms, atom=atom, axis=axis, step=h) for h in (-1e-3, 1e-3))
        mixed = covariance(high, high) - covariance(high, low) - covariance(low, high) + covariance(low, low)
        assert abs(mixed / 4e-6 / variance[atom, axis] - 1.0) <= 1e-4


def test_standard_deviations_of_forces_are_those_of_the_dense_formula(frames, fitted):
    potential, test = fitted["sum"], make_frames(2, seed=12)
    std = potential.predict(test, std=["forces"])["forces_std"] / potential.calibration_["forces"]
    assert std.shape == (16, 3)
    environments = Environments.of(test, potential.r_cut)
    K = np.concatenate([term.rows(environments, ("forces",))["forces"] for term in potential.terms_], axis=1)
    prior = sum(term.force_variance(environments) for term in potential.terms_).reshape(-1)
    assert np.abs(std.reshape(-1) ** 2 - potential.covariance_.variance(K, prior)).max() <= 1e-12
    # what is learnt is known better than before, and best where it was learnt
    assert (std.reshape(-1) <= np.sqrt(prior) * (1 + 1e-9)).all()
    assert (
        np.mean(potential.predict(frames, std="forces")["forces_std"])
        < np.mean(std) * 1.5 * potential.calibration_["forces"]
    )
    with pytest.raises(ConfigError, match="no forces"):
        term = Term(TERMS["soap"].descriptor, kernels.Laplacian(length_scale=1.0), n_sparse=10)
        Potential(term, sigma={"energy": 0.01}, e0=None).fit(frames).predict(frames, std=["forces"])


def factor(z):
    """What puts 68 % of the errors within one standard deviation."""
    return np.sqrt(np.mean(z**2)) if z.size < 20 else np.quantile(np.abs(z), 0.6827)


@pytest.mark.filterwarnings("ignore:standard deviations of")
def test_calibration_scales_standard_deviations(frames, tmp_path):
    potential = Potential(TERMS["soap"], sigma=SIGMA, e0=None, cross_validation=0).fit(frames)
    validation, test = make_frames(12, seed=20), make_frames(3, seed=30)
    before = potential.predict(test, std=["energy"])["energy_std"]
    raw = potential.predict(validation, std=["forces"])
    errors = potential.predict(validation, std=["energy"])
    z = (errors["energy"] - [atoms.info["REF_energy"] for atoms in validation]) / errors["energy_std"]
    factors = potential.calibrate(validation)
    assert abs(factors["energy"] - factor(z)) <= 1e-10
    after = potential.predict(test, std=["energy"])["energy_std"]
    assert np.abs(after - factors["energy"] * before).max() <= 1e-10
    assert potential.calibrate(validation) == factors  # not on top of the first
    potential.save(tmp_path / "model")
    assert np.array_equal(mercer.load(tmp_path / "model").predict(test, std=["energy"])["energy_std"], after)
    assert set(factors) == {"energy", "forces"}
    z = errors["forces"] - np.concatenate([atoms.arrays["REF_forces"] for atoms in validation])
    assert abs(factor(z / raw["forces_std"]) / factors["forces"] - 1.0) <= 1e-8
    crystal = bulk("SiC", "zincblende", a=4.3, cubic=True)  # no forces by symmetry
    symmetric = potential.calibrate([*validation, label(crystal)], kinds=["forces"])
    assert abs(symmetric["forces"] / factors["forces"] - 1.0) <= 1e-6
    assert set(potential.calibrate(validation, kinds=["energy"])) == {"energy"}
    kept = dict(potential.calibration_)
    for refused in (make_frames(2, kinds=("virial",)), make_frames(1, kinds=("energy",))):
        with pytest.raises(DataError, match="calibrate"):
            potential.calibrate(refused)
    with pytest.raises(ConfigError, match="kinds='virial'"):
        potential.calibrate(validation, kinds=["virial"])
    assert potential.calibration_ == kept and kept["energies"] == kept["energy"] != kept["forces"]


def test_a_memory_limit_that_cannot_be_kept_is_an_error(frames):
    with pytest.raises(ConfigError, match=r"max_memory=1 MB is too little: .* for 12 sparse points .* at least"):
        Potential(TERMS["pair"], sigma=SIGMA, max_memory="1MB").fit(frames)
    small = Potential(TERMS["pair"], sigma=SIGMA, e0=None, max_memory="100 MB").fit(frames)
    assert np.array_equal(small.weights_, Potential(TERMS["pair"], sigma=SIGMA, e0=None).fit(frames).weights_)


def test_estimate_predicts_without_fitting(frames):
    potential = Potential(SETS["sum"], sigma=SIGMA, e0=None)
    estimate = potential.estimate(frames)
    assert not hasattr(potential, "weights_")
    assert estimate["n_labels"] == {"energy": 8, "forces": 8 * 24, "virial": 8 * 6}
    assert estimate["n_sparse"] == 24 and estimate["rows_bytes"] == 8 * 24 * (8 + 8 * 24 + 8 * 6)
    assert 0 < estimate["seconds"] < 60 and sum(estimate["stages"].values()) == estimate["seconds"]
    larger = Potential(Term(TERMS["soap"].descriptor, TERMS["soap"].kernel, n_sparse=60), sigma=SIGMA, e0=None)
    assert larger.estimate(frames)["memory"] > estimate["memory"] > 0
    with pytest.raises(ConfigError, match="too little"):
        Potential(SETS["sum"], sigma=SIGMA, max_memory="1MB").estimate(frames)


MEMORY = """
import mercer, numpy as np, psutil, sys
sys.path.insert(0, {folder!r})
import test_potential_forces as t
from mercer import kernels
soap = mercer.SOAP(t.SPECIES, 3.0, 4, 3, 0.5)
frames = t.make_frames(150)
potential = mercer.Potential(mercer.Term(soap, kernels.Polynomial(zeta=4), n_sparse=300), sigma=t.SIGMA, e0=None,
                             max_memory={limit})
warm = mercer.Potential(mercer.Term(soap, kernels.Polynomial(zeta=4), n_sparse=10), sigma=t.SIGMA, e0=None)
warm.fit(frames[:2]).predict(frames[:2])
start = psutil.Process().memory_info().rss
potential.fit(frames)
# VmHWM, since ru_maxrss of a process starts at that of the one which started it
peak = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
used = peak - start
print(used, potential.predict(frames[:5])["energy"].tolist())
"""


def test_the_memory_limit_is_kept():
    from pathlib import Path

    results = []
    for limit in (60 * 2**20, None):
        code = MEMORY.format(folder=str(Path(__file__).parent), limit=limit)
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        used, energies = run.stdout.strip().split(" ", 1)
        results.append((int(used), np.array(eval(energies))))
    assert results[0][0] <= 60 * 2**20
    assert np.abs(results[0][1] - results[1][1]).max() <= 1e-7
