"""Potentials with terms on whole structures: kernel ridge regression with everything that a potential offers."""

import pickle

import mercer
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import PropertyNotImplementedError
from descriptor_conformance import STRUCTURES, difference, random_atoms
from mercer import GPR, KRR, Potential, Term
from mercer.descriptors import SOAP, CoulombMatrix, Environments, InversePowers, SineMatrix
from mercer.errors import ConfigError, DataError
from mercer.kernels import Gaussian, Laplacian, Linear, Matern, Polynomial
from mercer.models.force_variance import force_variance

E0 = {1: -1.0, 6: -2.0, 8: -3.0}
EXAMPLE = pytest.mark.parametrize("name", STRUCTURES)
DIFFERENTIABLE = [name for name in STRUCTURES if STRUCTURES[name].make(["H"], 3.0).differentiable]


def structures(name, n, seed=0, sizes=(5,)):
    """Structures like each other, so that a model learns something, with energies."""
    pbcs, rng, made = STRUCTURES[name].periodicities, np.random.default_rng(seed), []
    for k in range(n):
        atoms = random_atoms(7, n=sizes[k % len(sizes)], pbc=pbcs[-1])
        atoms.positions += 0.15 * rng.normal(size=atoms.positions.shape)
        atoms.info["REF_energy"] = sum(E0[z] for z in atoms.numbers) + float(np.cos(atoms.positions).sum()) * 0.1
        made.append(atoms)
    return made


def energies(frames):
    return np.array([atoms.info["REF_energy"] - sum(E0[z] for z in atoms.numbers) for atoms in frames])


def scaled(name):
    """The descriptor of an example, and a length scale for its rows."""
    descriptor = STRUCTURES[name].make(["H", "C", "O"], 3.5)
    X = descriptor.transform(structures(name, 8))
    return descriptor, float(np.median(np.linalg.norm(X[:, None] - X, axis=-1)[np.triu_indices(8, 1)]))


def fitted(name, kernel=None, n_sparse="all", **options):
    descriptor, length = scaled(name)
    term = Term(descriptor, kernel or Gaussian(length_scale=length), delta=0.7, n_sparse=n_sparse)
    return Potential(term, sigma={"energy": 0.05}, sigma_scaling="total", e0=E0, **options)


@pytest.mark.filterwarnings("ignore:standard deviations of")
@EXAMPLE
def test_is_kernel_ridge_regression(name):
    train, test = structures(name, 12, sizes=(5, 4)), structures(name, 6, seed=1, sizes=(4, 5))
    descriptor, length = scaled(name)
    for kernel in (
        Gaussian(length_scale=length),
        Laplacian(length_scale=10 * length),
        Matern(nu=1.5, length_scale=length),
    ):
        potential = fitted(name, kernel).set_params(cross_validation=0).fit(train)
        X, Y = descriptor.transform(train), descriptor.transform(test)
        expected = KRR(kernel, alpha=(0.05 / 0.7) ** 2).fit(X, energies(train)).predict(Y)
        missed = potential.predict(train)["energy"] - [atoms.info["REF_energy"] for atoms in train]
        assert abs(potential.fit_report_["residuals"]["energy"]["mae"] - np.abs(missed).mean()) <= 1e-10
        forces = descriptor.differentiable and kernel.differentiable
        found = potential.predict(test, std=True)
        assert np.ptp(expected) > 0.01
        free = np.array([sum(E0[z] for z in atoms.numbers) for atoms in test])
        assert np.abs(found["energy"] - free - expected).max() <= 1e-9
        assert ("forces" in found) == forces
        gpr = GPR(kernel, noise=0.05, delta=0.7).fit(X, energies(train))
        _, std = gpr.predict(Y, return_std=True)
        assert np.abs(found["energy_std"] - std).max() <= 1e-8
        # every atom has the same share
        local = found["energies"] - np.concatenate([[E0[z] for z in atoms.numbers] for atoms in test])
        sizes = [len(atoms) for atoms in test]
        assert np.abs(local - np.repeat(expected / sizes, sizes)).max() <= 1e-9
        assert np.abs(found["energies_std"] - np.repeat(found["energy_std"] / sizes, sizes)).max() <= 1e-9


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_forces_and_virials(name):
    potential = fitted(name).fit(structures(name, 10))
    atoms = structures(name, 1, seed=3)[0]
    found = potential.predict(atoms)
    assert np.abs(found["forces"]).max() > 1e-2

    def displaced(i, a, step):
        moved = atoms.copy()
        moved.positions[i, a] += step
        return potential.predict(moved)["energy"][0]

    def strained(a, b, step):
        matrix, moved = np.eye(3), atoms.copy()
        matrix[a, b] += step
        moved.set_cell(atoms.cell.array @ matrix.T)
        moved.positions = atoms.positions @ matrix.T
        return potential.predict(moved)["energy"][0]

    for i, a in ((0, 0), (2, 1), (4, 2)):
        numeric = -difference(lambda s, i=i, a=a: displaced(i, a, s), 1e-3)
        assert abs(found["forces"][i, a] - numeric) <= 1e-7
    for a, b in ((0, 0), (1, 2), (2, 1)):
        numeric = -difference(lambda s, a=a, b=b: strained(a, b, s), 1e-3)
        assert abs(found["virial"][0, a, b] - numeric) <= 1e-7
    if atoms.pbc.all():
        expected = -found["virial"][0].ravel()[[0, 4, 8, 5, 2, 1]] / atoms.get_volume()
        assert np.abs(found["stress"][0] - expected).max() <= 1e-14
    calculator = potential.calculator()
    atoms.calc = calculator
    for step in (0.0, 0.3):
        atoms.positions[1] += step
        again = potential.predict(atoms)
        assert abs(atoms.get_potential_energy() - again["energy"][0]) <= 1e-12
        assert np.abs(atoms.get_forces() - again["forces"]).max() <= 1e-12


@EXAMPLE
def test_files_pickles_and_cpp(name, tmp_path):
    potential = fitted(name).fit(structures(name, 12))
    potential.save(tmp_path / "model")
    test = structures(name, 3, seed=5, sizes=(5, 3))
    expected = potential.predict(test, std=True)
    for twin in (mercer.load(tmp_path / "model"), pickle.loads(pickle.dumps(potential))):
        found = twin.predict(test, std=True)
        for key, values in expected.items():
            np.testing.assert_array_equal(found[key], values)
        assert twin.terms_[0].term == potential.terms_[0].term
        assert twin.terms_[0].term.n_sparse == "all"
    forces = name in DIFFERENTIABLE
    found = mercer._core.core.Potential.load(str(tmp_path / "model")).evaluate(
        Environments.of(test, potential.r_cut).structures,
        energy_std=True,
        energies_std=True,
        forces=forces,
        virial=forces,
    )
    keys = ("energy", "energies", "energy_std", "energies_std") + ("forces", "virial") * forces
    for key in keys:
        scale = max(1.0, np.abs(expected[key]).max())
        assert np.abs(found[key] - expected[key]).max() <= (1e-9 if key.endswith("std") else 1e-11) * scale
    if not forces:
        with pytest.raises(ValueError, match=name.split()[0]):
            mercer._core.core.Potential.load(str(tmp_path / "model")).evaluate(
                Environments.of(test, potential.r_cut).structures
            )


@pytest.mark.parametrize("name", DIFFERENTIABLE)
@pytest.mark.parametrize("kernel", [Gaussian, Polynomial])
def test_rows_of_forces(name, kernel):
    """What standard deviations of forces need, against central differences of the rows of energies."""
    length = {} if kernel is Polynomial else {"length_scale": scaled(name)[1]}
    (term,) = fitted(name, kernel(**length)).fit(structures(name, 6)).terms_
    frames = structures(name, 2, seed=4, sizes=(4, 5))
    found = term.rows(term.descriptor.environments(frames), ("energy", "forces"))["forces"].reshape(9, 3, 6)

    def energy_row(f, i, a, step):
        moved = frames[f].copy()
        moved.positions[i, a] += step
        return term.rows(term.descriptor.environments(moved), ("energy",))["energy"][0]

    for f, i, a in ((0, 1, 0), (0, 3, 2), (1, 4, 1)):
        numeric = -difference(lambda s, f=f, i=i, a=a: energy_row(f, i, a, s), 1e-3)
        assert np.abs(found[4 * f + i, a] - numeric).max() <= 1e-6 * np.abs(found).max()


@pytest.mark.parametrize("name", DIFFERENTIABLE)
@pytest.mark.parametrize("kernel", [Gaussian, Polynomial, Matern])
def test_prior_variance_of_forces(name, kernel):
    """Mixed central differences of the kernel of two displaced copies."""
    descriptor, length = scaled(name)
    kernel = (
        kernel() if kernel is Polynomial else kernel(**({"nu": 2.5} if kernel is Matern else {}), length_scale=length)
    )
    frames = structures(name, 2, sizes=(4, 5))
    found = force_variance(descriptor, kernel, descriptor.environments(frames))
    assert found.shape == (9, 3)
    h = 1e-3
    for f, i, a in ((0, 1, 0), (0, 3, 2), (1, 4, 1)):
        rows = []
        for step in (h, -h):
            moved = frames[f].copy()
            moved.positions[i, a] += step
            rows.append(descriptor.transform(moved)[0])
        K = kernel(np.array(rows), np.array(rows))
        numeric = (K[0, 0] - K[0, 1] - K[1, 0] + K[1, 1]) / (4 * h**2)
        assert abs(found[4 * f + i, a] - numeric) <= 2e-3 * found.max() + 1e-9
    potential = fitted(name).fit(structures(name, 9))
    std = potential.predict(frames, std=["forces"])["forces_std"]
    assert std.shape == (9, 3)
    assert (std > 0).any()


def test_linear_kernel_and_some_sparse_points():
    name = "InversePowers of molecules"
    train, test = structures(name, 30), structures(name, 5, seed=1)
    descriptor = STRUCTURES[name].make(["H", "C", "O"], 3.5)
    X, Y = descriptor.transform(train), descriptor.transform(test)
    potential = fitted(name, Linear()).fit(train)
    expected = (
        Y
        @ np.linalg.lstsq(
            np.vstack([X, 0.05 / 0.7 * np.eye(X.shape[1])]), np.r_[energies(train), np.zeros(X.shape[1])], rcond=None
        )[0]
    )
    free = np.array([sum(E0[z] for z in atoms.numbers) for atoms in test])
    assert np.abs(potential.predict(test)["energy"] - free - expected).max() <= 1e-5
    few = fitted(name, n_sparse=10).fit(train)
    assert len(few.terms_[0]) == 10
    assert few.fit_report_["n_sparse"] == [{"structure": 10}]
    with pytest.raises(DataError, match=r"n_sparse=31 .* 30 environments \(structure: 30\)"):
        fitted(name, n_sparse=31).fit(train)


def test_beside_terms_on_atoms():
    name = "InversePowers of molecules"
    train = structures(name, 12)
    soap = Term(SOAP(["H", "C", "O"], 4.0, 3, 2, 0.5), Polynomial(zeta=2), delta=0.1, n_sparse="all")
    both = Potential([fitted(name).terms, soap], sigma={"energy": 0.01}, e0=E0).fit(train)
    assert both.r_cut == np.inf
    assert [len(term) for term in both.terms_] == [12, 60]
    assert np.abs(both.predict(train)["energy"] - [a.info["REF_energy"] for a in train]).max() <= 0.05
    estimate = both.estimate(train)
    assert estimate["n_sparse"] == 72


def test_forces_are_not_learnt():
    name = "InverseDistances"
    train = structures(name, 6)
    for atoms in train:
        atoms.arrays["REF_forces"] = np.zeros((5, 3))
    potential = fitted(name)
    potential.sigma = {"energy": 0.05, "forces": 0.1}
    with pytest.raises(
        ConfigError, match=r"InverseDistances describes whole structures.*forces.*sigma=\{'forces': None"
    ):
        potential.fit(train)
    potential.sigma = {"energy": 0.05, "forces": None}
    expected = potential.fit(train).predict(train)["forces"]
    assert np.abs(expected).max() > 1e-3
    potential.sigma = None  # by default energies alone
    potential.fit(train)
    assert set(potential.fit_report_["residuals"]) == {"energy"}
    assert potential.fit_report_["labels"]["forces"]["rows"] == 0


def test_no_forces_by_name():
    train = structures("CoulombMatrix sorted", 6)
    potential = fitted("CoulombMatrix sorted").fit(train)
    with pytest.raises(ConfigError, match=r"CoulombMatrix.*no forces"):
        potential.predict(train, forces=True)
    with pytest.raises(ConfigError, match="CoulombMatrix"):
        potential.predict(train, std=["forces"])
    atoms = train[0].copy()
    atoms.calc = potential.calculator()
    assert abs(atoms.get_potential_energy() - potential.predict(atoms)["energy"][0]) <= 1e-12
    with pytest.raises((PropertyNotImplementedError, ConfigError)):
        atoms.get_forces()


def test_isolated_atoms_of_descriptors_without_neighbours():
    """A cell of one atom is a crystal, where the descriptor sees its images."""
    crystals = [bulk("Cu", a=a) for a in (3.5, 3.6, 3.7)]
    for k, atoms in enumerate(crystals):
        atoms.info["REF_energy"] = -3.0 + 0.1 * k
    free = Atoms("Cu", info={"REF_energy": -1.0})
    potential = Potential(Term(SineMatrix(2), Gaussian(length_scale=1.0), n_sparse="all"), sigma={"energy": 0.01})
    assert potential.isolated_atoms([*crystals, free]).tolist() == [False, False, False, True]
    potential.fit([*crystals, free])
    assert potential.e0_ == {"Cu": -1.0}
    assert potential.fit_report_["n_training_frames"] == 3


def test_periodic_frames_need_a_cutoff():
    crystal = bulk("Si")
    crystal.info["REF_energy"] = -1.0
    for descriptor in (InversePowers(["Si"]), CoulombMatrix(2)):
        with pytest.raises(DataError, match=r"frame 0: is periodic"):
            Potential(Term(descriptor, Gaussian(), n_sparse="all"), sigma={"energy": 0.01}).fit([crystal] * 2)


def test_cpp_reads_sums_with_atoms(tmp_path):
    """With one neighbour list for all terms, where one of them needs none."""
    descriptor, length = scaled("SineMatrix")
    terms = [
        Term(descriptor, Gaussian(length_scale=length), delta=0.5, n_sparse="all"),
        Term(SOAP(["H", "C", "O"], 3.0, 3, 2, 0.5), Polynomial(zeta=2), n_sparse=10, selection="random"),
    ]
    potential = Potential(terms, sigma={"energy": 0.01}, e0=E0).fit(structures("SineMatrix", 8))
    potential.save(tmp_path / "model")
    test = structures("SineMatrix", 2, seed=9)
    expected = potential.predict(test)
    found = mercer._core.core.Potential.load(str(tmp_path / "model")).evaluate(Environments.of(test, 3.0).structures)
    for key in ("energy", "energies", "forces", "virial"):
        assert np.abs(found[key] - expected[key]).max() <= 1e-11
