"""The ASE calculator: results, caching, copies, threads, processes, memory."""

import copy
import multiprocessing
import pickle
import threading
import warnings
from concurrent.futures import ProcessPoolExecutor

import ase.io
import mercer
import numpy as np
import psutil
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.emt import EMT
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from mercer.calculators import PotentialCalculator
from mercer.errors import ConfigError, DataError, ModelFileError
from mercer.models.potential import PRIOR_VARIANCES

STD = tuple(PRIOR_VARIANCES)


def alloy(seed, element="Cu"):
    rng = np.random.default_rng(seed)
    atoms = bulk(element, cubic=True, a=3.9)
    atoms.symbols[rng.integers(4)] = "Au"
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(0, 0.03, (3, 3))), scale_atoms=True)
    atoms.positions += rng.normal(0, 0.1, (4, 3))
    return atoms


@pytest.fixture(scope="module")
def potential():
    frames = [alloy(seed) for seed in range(12)]
    for atoms in frames:
        atoms.calc = EMT()
        atoms.info["REF_energy"] = atoms.get_potential_energy()
        atoms.calc = None
    term = mercer.Term(mercer.SOAP(["Cu", "Au"], 4.0, 4, 3, 0.6), mercer.kernels.Polynomial(zeta=3), n_sparse=16)
    return mercer.Potential(term, e0={"Cu": 0.1, "Au": -0.2}).fit(frames)


@pytest.fixture
def atoms(potential):
    atoms = alloy(100)
    atoms.calc = potential.calculator()
    return atoms


# ------------------------------------------------------------------------------------------------ results


def test_energies_are_those_of_the_potential(potential, atoms):
    predicted = potential.predict(atoms)
    assert atoms.get_potential_energy() == predicted["energy"][0]
    assert np.array_equal(atoms.get_potential_energies(), predicted["energies"])
    assert abs(atoms.get_potential_energies().sum() - atoms.get_potential_energy()) <= 1e-10
    assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()
    assert "forces" not in atoms.calc.results  # nobody has asked


@pytest.mark.parametrize("flip", [False, True], ids=["right-handed", "left-handed"])
def test_forces_and_stress_are_derivatives_of_the_energy(atoms, flip):
    if flip:
        atoms.set_cell(atoms.cell.array[[1, 0, 2]])
    forces, stress = atoms.get_forces(), atoms.get_stress()
    assert np.abs(forces).max() > 0.1 and np.abs(stress).max() > 1e-3
    assert np.abs(forces - calculate_numerical_forces(atoms, eps=1e-4)).max() <= 1e-6
    assert np.abs(stress - calculate_numerical_stress(atoms, eps=1e-5)).max() <= 1e-7
    assert np.abs(forces.sum(axis=0)).max() <= 1e-12


@pytest.mark.parametrize("pbc", [p for p in np.ndindex(2, 2, 2) if not all(p)], ids=str)
def test_no_stress_without_three_periodic_directions(atoms, pbc):
    atoms.pbc = pbc
    atoms.set_cell(atoms.cell.array * np.array(pbc)[:, None])
    assert np.isfinite(atoms.get_forces()).all()
    with pytest.raises(PropertyNotImplementedError):
        atoms.get_stress()
    assert "stress" not in atoms.calc.results


def test_standard_deviations_on_request(potential, atoms):
    with pytest.raises(PropertyNotImplementedError):
        atoms.calc.get_property("energy_std", atoms)
    atoms.calc = potential.calculator(std=STD)
    expected = potential.predict(atoms, std=STD)
    atoms.get_potential_energy()
    assert {"energy_std", "energies_std"} <= atoms.calc.results.keys()
    for kind in STD:
        values = atoms.calc.get_property(f"{kind}_std", atoms)
        assert np.array_equal(values, np.squeeze(expected[f"{kind}_std"]))
        assert np.all(values > 0)
    assert isinstance(atoms.calc.results["energy_std"], float)


def test_standard_deviations_of_energies_by_true(potential, atoms):
    atoms.calc = potential.calculator(std=True)
    atoms.get_potential_energy()
    assert {"energy_std", "energies_std"} <= set(atoms.calc.results)
    atoms.calc = potential.calculator(std=False)
    atoms.get_potential_energy()
    assert not any(name.endswith("_std") for name in atoms.calc.results)
    with pytest.raises(ConfigError, match="std"):
        potential.calculator(std=3)


def test_repr_says_what_it_is(potential):
    text = repr(potential.calculator(std="energy", skin=0.3))
    for part in ("Cu, Au", "cutoff 4 Angstrom", "std=('energy',)", "skin=0.3"):
        assert part in text


@pytest.mark.parametrize(("pbc", "words"), [((1, 1, 0), "a and b alone, .* atoms.pbc = True"), ((0, 0, 0), "none$")])
def test_a_missing_stress_is_explained_by_the_directions(atoms, pbc, words):
    atoms.pbc = pbc
    with pytest.raises(PropertyNotImplementedError, match=f"not periodic in all three directions, but in {words}"):
        atoms.get_stress()


def test_standard_deviations_that_are_not_to_be_had(potential, tmp_path):
    with pytest.raises(ConfigError, match="std='virial'"):
        potential.calculator(std="virial")
    potential.save(tmp_path / "model", variance=False)
    with pytest.raises(ModelFileError, match="saved without its covariance"):
        mercer.load(tmp_path / "model").calculator(std="energy")


def test_warning_above_a_standard_deviation(potential, atoms):
    squeezed = atoms.copy()
    squeezed.set_cell(0.8 * atoms.cell.array, scale_atoms=True)
    near, far = (potential.predict(a, std=["energies"])["energies_std"].max() for a in (atoms, squeezed))
    assert near < far
    atoms.calc = potential.calculator(warn_above=(near + far) / 2)
    atoms.get_forces()  # no warning, which would be an error
    atoms.set_cell(squeezed.cell, scale_atoms=True)
    with pytest.warns(UserWarning, match=r"atom \d \(\w\w\): the standard deviation of its energy, .* warn_above="):
        atoms.get_potential_energy()
    atoms.positions[2] += 1e-3
    atoms.get_potential_energy()  # once only
    with pytest.raises(ConfigError, match="warn_above"):
        potential.calculator(warn_above=-1.0)


def test_atoms_without_neighbours_have_a_defined_energy(potential):
    atoms = Atoms("CuAu", positions=[[0, 0, 0], [0, 0, 2.5]], calculator=potential.calculator(std=STD))
    alone = [Atoms(s, calculator=potential.calculator()).get_potential_energy() for s in ("Cu", "Au")]
    gaps = np.arange(2.5, 4.6, 0.3)
    for gap in gaps:
        atoms.positions[1, 2] = gap
        assert np.isfinite(
            [atoms.get_potential_energy(), *atoms.get_forces().ravel(), *atoms.calc.results["energies_std"]]
        ).all()
    assert gaps[-1] > potential.r_cut
    assert np.abs(atoms.get_potential_energies() - alone).max() <= 1e-12
    assert not atoms.get_forces().any()


def test_no_atoms(potential):
    atoms = Atoms(calculator=potential.calculator(warn_above=1.0))
    assert atoms.get_potential_energy() == 0
    assert atoms.get_forces().shape == (0, 3)


def test_unknown_element(potential):
    atoms = molecule("H2O")
    atoms.calc = potential.calculator()
    with pytest.raises(DataError, match="does not know the element O"):
        atoms.get_potential_energy()


def test_positions_that_are_not_finite(atoms):
    atoms.get_forces()
    atoms.positions[1, 1] = np.nan
    with pytest.raises(DataError, match="the position of atom 1 is not finite"):
        atoms.get_forces()
    assert not {"energy", "forces"} & set(atoms.calc.results)


# ------------------------------------------------------------------------------------- neighbours, caching


def test_a_trajectory_is_that_of_new_calculators(potential, atoms):
    rng = np.random.default_rng(3)
    for _ in range(25):
        other = atoms.copy()
        other.calc = PotentialCalculator(potential, skin=0)
        for name in ("get_potential_energies", "get_forces", "get_stress"):
            assert np.array_equal(getattr(atoms, name)(), getattr(other, name)())
        atoms.positions += rng.normal(0, 0.05, (4, 3))
        atoms.set_cell(atoms.cell.array * (1 + rng.normal(0, 0.001)), scale_atoms=True)
    assert 1 < atoms.calc._verlet.n_builds < 15


def test_results_are_kept_until_the_atoms_change(potential, atoms, monkeypatch):
    calls = []
    predict = potential.predict
    monkeypatch.setattr(potential, "predict", lambda *a, **k: calls.append(k["forces"]) or predict(*a, **k))
    for _ in range(2):
        atoms.get_forces(), atoms.get_stress(), atoms.get_potential_energy()
    assert calls == [True]
    atoms.set_initial_charges([1, 0, 0, 0])
    atoms.get_forces()
    assert calls == [True]
    atoms.positions[0] += 0.01
    atoms.get_potential_energy()
    atoms.get_forces()
    assert calls == [True, False, True]
    forces = atoms.get_forces()
    forces[:] = 0  # results belong to the caller
    assert atoms.get_forces().any()


def test_frames_with_results_are_written(potential, atoms, tmp_path):
    atoms.calc = potential.calculator(std=STD)
    atoms.get_forces()
    ase.io.write(tmp_path / "out.extxyz", atoms)
    back = ase.io.read(tmp_path / "out.extxyz")
    assert abs(back.get_potential_energy() - atoms.get_potential_energy()) <= 1e-8
    assert np.abs(back.get_forces() - atoms.get_forces()).max() <= 1e-7


# --------------------------------------------------------------------------------- copies, threads, processes


def same_results(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def test_a_copy_shares_the_potential_even_where_it_is_in_a_file(potential, atoms, tmp_path):
    atoms.calc = copy.deepcopy(potential).calculator()
    atoms.calc.potential.save(tmp_path / "model")
    energy = atoms.get_potential_energy()
    other = copy.copy(atoms.calc)
    assert other is not atoms.calc and other.potential is atoms.calc.potential and other.options == atoms.calc.options
    atoms.positions[0] += 0.1
    assert other.get_potential_energy(atoms) != energy and atoms.calc.results["energy"] == energy


def test_deepcopy_shares_the_potential_only(potential, atoms):
    atoms.calc = potential.calculator(std="energy", skin=0.7)
    atoms.get_forces()
    other = copy.deepcopy(atoms)
    assert other.calc is not atoms.calc and other.calc.potential is potential
    assert other.calc.options == atoms.calc.options and same_results(other.calc.results, atoms.calc.results)
    other.positions[0] += 0.1
    assert other.get_potential_energy() != atoms.get_potential_energy()


def test_a_pickle_names_the_file_or_holds_the_arrays(potential, atoms, tmp_path):
    atoms.calc = copy.deepcopy(potential).calculator(std="energies")
    forces = atoms.get_forces()
    arrays = pickle.dumps(atoms.calc)
    atoms.calc.potential.save(tmp_path / "model")
    by_name = pickle.dumps(atoms.calc)
    assert len(by_name) < 4000 < len(arrays)
    for text in (arrays, by_name, pickle.dumps(PotentialCalculator(tmp_path / "model", std="energies"))):
        other = atoms.copy()
        other.calc = pickle.loads(text)
        assert np.array_equal(other.get_forces(), forces)
        assert other.calc.options == atoms.calc.options
    other.calc.potential.weights_[0] += 1.0
    other.calc.potential.save(tmp_path / "model")
    with pytest.raises(ModelFileError, match="holds another potential"):
        pickle.loads(by_name)
    (tmp_path / "model").unlink()
    assert len(pickle.dumps(atoms.calc)) > 4000


def _forces_of(atoms):
    return atoms.get_forces()


def test_a_spawned_process(atoms):
    atoms.calc.reset()
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        forces = pool.submit(_forces_of, atoms).result(60)
    assert np.abs(forces - atoms.get_forces()).max() <= 1e-12


@pytest.mark.parametrize("shared", [False, True], ids=["two calculators", "one calculator"])
def test_threads(potential, shared):
    calculators = [potential.calculator(std="energy") for _ in range(2)]
    wrong = []

    def run(k):
        atoms, rng = alloy(k), np.random.default_rng(k)
        atoms.calc = calculators[0 if shared else k]
        for _ in range(40):
            atoms.positions += rng.normal(0, 0.02, (4, 3))
            energy, forces = atoms.get_potential_energy(), atoms.get_forces()
            expected = potential.predict(atoms)
            if energy != expected["energy"][0] or not np.array_equal(forces, expected["forces"]):
                wrong.append(k)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads) and wrong == []


def test_memory_does_not_grow(potential, atoms):
    atoms.calc = potential.calculator(std=STD)
    process, rng = psutil.Process(), np.random.default_rng(0)

    def run(n):
        for _ in range(n):
            atoms.positions += rng.normal(0, 0.002, (4, 3))
            atoms.get_forces()
        return process.memory_info().rss

    with mercer.threads(1):
        before = run(150)
        assert run(700) - before <= 2 * 2**20


def test_warnings_are_not_hidden(potential):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        atoms = alloy(0)
        atoms.calc = potential.calculator()
        atoms.get_forces()
    assert caught == []
