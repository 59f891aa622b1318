"""Molecular dynamics: conserved energy, thermostat, what is recorded, and the signs of an explosion."""

import mercer
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms, FixBondLength, FixCartesian
from mercer.dynamics import Explosion, Run, draw_velocities, follow
from mercer.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def potential():
    frames = []
    for seed in range(10):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(0.15, seed=seed)
        atoms.calc = EMT()
        atoms.info["REF_energy"] = atoms.get_potential_energy()
        atoms.calc = None
        frames.append(atoms)
    term = mercer.Term(mercer.SOAP(["Cu"], 4.2, 4, 3, 0.6), mercer.kernels.Polynomial(zeta=2), n_sparse=12)
    return mercer.Potential(term, e0=0.0).fit(frames)


@pytest.fixture
def copper(potential):
    atoms = bulk("Cu", cubic=True)
    atoms.calc = potential.calculator()
    draw_velocities(atoms, 400, seed=1)
    return atoms


def last(runs):
    return list(runs)[-1]


def test_velocities(copper):
    assert abs(copper.get_kinetic_energy() / len(copper) / (1.5 * units.kB) - 400) <= 1e-9
    assert np.abs(copper.get_momenta().sum(axis=0)).max() <= 1e-12
    other = copper.copy()
    draw_velocities(other, 400, seed=1)
    assert np.array_equal(other.get_momenta(), copper.get_momenta())
    draw_velocities(other, 400, seed=2)
    assert not np.array_equal(other.get_momenta(), copper.get_momenta())


@pytest.mark.parametrize("free", [True, False])
def test_temperature_is_of_the_degrees_of_freedom_that_constraints_leave(copper, free):
    atoms = copper * (2, 1, 1)
    atoms.calc = copper.calc
    atoms.set_constraint(FixBondLength(0, 1) if free else [FixAtoms([0, 1, 2]), FixCartesian(3, (True, False, False))])
    draw_velocities(atoms, 300)
    n = 24 - (1 if free else 10)
    assert abs(2 * atoms.get_kinetic_energy() / (n * units.kB) - 300) <= 1e-8
    momentum = np.abs(atoms.get_momenta().sum(axis=0)).max()
    assert momentum <= 1e-10 if free else momentum >= 1.0 and not atoms.get_momenta()[:3].any()
    run = last(follow(atoms, 20))
    assert abs(run.temperature[-1] - 2 * run.kinetic[-1] / (n * units.kB)) <= 1e-8
    atoms.set_constraint(FixAtoms(range(8)))
    for move in (lambda: draw_velocities(atoms, 300), lambda: last(follow(atoms, 1))):
        with pytest.raises(DataError, match="fix every atom"):
            move()


def test_constant_energy(copper):
    run = last(follow(copper, 200, timestep=1.0))
    assert run.n_steps == 200 and len(run.temperature) == 201
    assert np.ptp(run.total) <= 5e-4 and np.ptp(run.potential) >= 0.05
    assert abs(run.drift) <= 1e-3
    assert run.seconds > 0 and run.speed > 0
    assert copper.calc._verlet.n_builds <= 20


def test_the_error_of_verlet_is_of_second_order(potential, copper):
    spread = []
    for timestep in (2.0, 1.0):
        atoms = copper.copy()
        atoms.calc = potential.calculator()
        spread.append(np.std(last(follow(atoms, int(200 / timestep), timestep=timestep)).total))
    assert 3 <= spread[0] / spread[1] <= 5


def test_drift_is_the_slope_of_the_total_energy():
    time = np.arange(51) * 2.0e-3
    run = Run(4, "nve", 2.0, potential=list(-12.0 + 4 * 0.3 * time), kinetic=[1.0] * 51)
    assert abs(run.drift - 0.3) <= 1e-10
    assert np.isnan(Run(4, "nve", 2.0).drift)


def test_thermostat(copper):
    copper.set_momenta(np.zeros((4, 3)))
    run = last(follow(copper, 400, timestep=2.0, ensemble="nvt", temperature=300, friction=0.05, seed=3))
    assert 200 <= np.mean(run.temperature[100:]) <= 400
    again = bulk("Cu", cubic=True)
    again.calc = copper.calc
    last(follow(again, 400, timestep=2.0, ensemble="nvt", temperature=300, friction=0.05, seed=3))
    assert np.abs(again.positions - copper.positions).max() <= 1e-9


def test_fast_atoms_end_the_run(copper):
    copper.set_momenta(copper.get_momenta() * 1e3)
    runs = follow(copper, 100)
    assert next(runs).n_steps == 0
    with pytest.raises(Explosion, match=r"step 1 \(1 fs\): atom \d \(Cu\) moved by .* A in one step"):
        next(runs)


def test_lost_atoms_end_the_run(potential):
    atoms = Atoms("Cu2", positions=[[0, 0, 0], [3.8, 0, 0]], calculator=potential.calculator())
    atoms.set_velocities(np.array([[0, 0, 0], [0.05, 0, 0]]) / units.fs)
    with pytest.raises(Explosion, match=r"2 of 2 atoms have lost all neighbours within 4.2 A, atom 0 first"):
        last(follow(atoms, 100))
    alone = Atoms("Cu", calculator=potential.calculator())  # which never had any
    assert last(follow(alone, 20)).n_steps == 20


@pytest.mark.parametrize("position", [[0.0, 0.0, 0.0], [np.nan, 0.0, 0.0]])
def test_atoms_at_one_place_or_nowhere_end_the_run(copper, position):
    runs = follow(copper, 10)
    next(runs)
    copper.positions[0] = copper.positions[1] if position[0] == 0 else np.nan
    copper.set_momenta(np.zeros((4, 3)))
    with pytest.raises(Explosion, match="step 1: frame 0"):
        next(runs)


def test_bad_input(copper, potential):
    for options, message in [
        ({"timestep": 0.0}, "timestep"),
        ({"ensemble": "npt"}, "ensemble"),
        ({"ensemble": "nvt"}, "temperature"),
        ({"ensemble": "nvt", "temperature": 300, "friction": -1}, "friction"),
    ]:
        with pytest.raises(ConfigError, match=message):
            next(follow(copper, 10, **options))
    with pytest.raises(DataError, match="no atoms"):
        next(follow(Atoms(calculator=potential.calculator()), 10))
    wrong = bulk("Au")
    wrong.calc = potential.calculator()
    with pytest.raises(DataError, match=r"^(?!step).*does not know the element Au"):
        next(follow(wrong, 10))
