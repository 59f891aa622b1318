"""Molecular dynamics with ASE for a first trial of a potential: conserved energy, temperature, speed."""

import time
from dataclasses import dataclass, field

import ase.io
import numpy as np
from ase import units
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import force_temperature
from ase.md.verlet import VelocityVerlet

from mercer._validation import check_choice, check_count, check_positive
from mercer.errors import DataError
from mercer.neighbors import build_pairs

__all__ = ["Explosion", "Run", "append_frame", "draw_velocities", "follow"]

#: An atom that moves further than this in one step (Angstrom) is not followed any more.
_LARGEST_STEP = 1.0
#: K; above this a number is a mistake.
_HOTTEST = 1e9
#: The run ends when more than this part of the atoms has lost all neighbours.
_MOST_LOST = 0.1
_LOOK_FOR_LOST = 10
_WAY_OUT = "take a smaller time step or temperature, relax the start, or train on structures like these"


class Explosion(DataError):
    """A run that cannot go on: energies or positions that are not finite, atoms that fly apart."""


@dataclass
class Run:
    """What a run went through, a number per step, the start included.

    Attributes
    ----------
    n_atoms : int
    ensemble : {"nve", "nvt"}
    timestep : float
        fs.
    potential, kinetic : list of float
        Energies in eV.
    temperature : list of float
        K; of the degrees of freedom that constraints leave, 3 N without.
    seconds : float
        Time of the run, without writing.
    """

    n_atoms: int
    ensemble: str
    timestep: float
    potential: list = field(default_factory=list)
    kinetic: list = field(default_factory=list)
    temperature: list = field(default_factory=list)
    seconds: float = 0.0

    @property
    def n_steps(self):
        """Steps made."""
        return max(0, len(self.potential) - 1)

    @property
    def total(self):
        """Total energy per atom at each step, eV: an array."""
        return (np.array(self.potential) + np.array(self.kinetic)) / max(1, self.n_atoms)

    @property
    def drift(self):
        """Slope of a straight line through the total energy, eV/atom/ps; NaN for less than two steps."""
        if self.n_steps < 2:
            return np.nan
        t = np.arange(self.n_steps + 1) * self.timestep * 1e-3
        return float(np.polyfit(t - t.mean(), self.total, 1)[0])

    @property
    def speed(self):
        """Time per atom and step, microseconds."""
        return 1e6 * self.seconds / max(1, self.n_steps * self.n_atoms)


def draw_velocities(atoms, temperature, seed=0):
    """Set Maxwell-Boltzmann velocities, scaled to exactly `temperature`.

    The centre of mass is at rest, unless constraints hold atoms in place.

    Parameters
    ----------
    atoms : ase.Atoms
        What constraints fix stays at rest.
    temperature : float
        K; of the degrees of freedom that constraints leave, 3 N without, as `ase.Atoms.get_temperature` counts.
    seed : int

    Raises
    ------
    DataError
        If constraints fix every atom.
    """
    temperature = check_positive(temperature, "temperature", allow_zero=True, largest=_HOTTEST)
    seed = check_count(seed, "seed", minimum=0, maximum=2**63 - 1)
    _require_freedom(atoms)
    masses = atoms.get_masses()[:, None]
    velocities = np.random.default_rng(seed).standard_normal((len(atoms), 3)) / np.sqrt(masses)
    together = np.broadcast_to(masses, velocities.shape)
    atoms.set_momenta(together)
    free = np.allclose(atoms.get_momenta(), together)  # all atoms may move together
    atoms.set_momenta(masses * velocities)
    if len(atoms) > 1 and free:
        momenta = atoms.get_momenta()
        atoms.set_momenta(momenta - masses * momenta.sum(axis=0) / masses.sum())
    force_temperature(atoms, temperature)


def _require_freedom(atoms):
    if not len(atoms):
        raise DataError("there are no atoms to move")
    if atoms.get_number_of_degrees_of_freedom() < 1:
        raise DataError("constraints fix every atom: nothing can move")


def append_frame(file, atoms):
    """Write the structure with its energy, forces, stress and velocities to an open extended-XYZ file."""
    ase.io.write(file, atoms, format="extxyz")
    file.flush()


def follow(atoms, steps, *, timestep=1.0, ensemble="nve", temperature=None, friction=0.01, seed=0):
    """Move the atoms with their calculator, step by step, from their present velocities.

    Parameters
    ----------
    atoms : ase.Atoms
        With a calculator; moved in place.
    steps : int
    timestep : float
        fs.
    ensemble : {"nve", "nvt"}
        Velocity Verlet, or Langevin dynamics at `temperature`.
    temperature : float, optional
        K; for "nvt".
    friction : float
        Of the Langevin thermostat, 1/fs.
    seed : int
        Of the Langevin thermostat.

    Yields
    ------
    Run
        The same object after the start and after each step.

    Raises
    ------
    DataError
        If there are no atoms, or constraints fix all of them.
    Explosion
        When an energy or a position is not finite, an atom moves by more than 1 Angstrom in a step, or more than a
        tenth of the atoms has lost all neighbours.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase.calculators.emt import EMT
    >>> atoms = bulk("Cu", cubic=True)
    >>> atoms.calc = EMT()
    >>> draw_velocities(atoms, 300)
    >>> for run in follow(atoms, 20, timestep=2.0):
    ...     pass
    >>> run.n_steps, bool(abs(run.drift) < 0.01)
    (20, True)
    """
    check_count(steps, "steps", minimum=0)
    timestep = check_positive(timestep, "timestep", smallest=1e-6, largest=1e6)
    seed = check_count(seed, "seed", minimum=0, maximum=2**63 - 1)
    check_choice(ensemble, ("nve", "nvt"), "ensemble")
    _require_freedom(atoms)
    if ensemble == "nvt":
        temperature = check_positive(temperature, "temperature", largest=_HOTTEST)
        friction = check_positive(friction, "friction", smallest=1e-12, largest=1e3) / units.fs
        rng = np.random.default_rng(seed)
        mover = Langevin(atoms, timestep * units.fs, temperature_K=temperature, friction=friction, fixcm=False, rng=rng)
    else:
        mover = VelocityVerlet(atoms, timestep * units.fs)
    run = Run(len(atoms), ensemble, timestep)
    watch = _Watch(atoms)
    steps_of = mover.irun(steps)
    for step in range(steps + 1):
        start = time.perf_counter()
        try:
            next(steps_of)
            energy = atoms.get_potential_energy()
        except DataError as error:  # of the calculator: two atoms at one place, a position that is not finite
            if step == 0:
                raise
            raise Explosion(f"step {step}: {error}; {_WAY_OUT}") from None
        run.seconds += time.perf_counter() - start if step else 0.0
        run.potential.append(energy)
        run.kinetic.append(atoms.get_kinetic_energy())
        run.temperature.append(atoms.get_temperature())
        watch.check(run, step)
        yield run


class _Watch:
    """Looks for the signs of an explosion."""

    def __init__(self, atoms):
        self.atoms = atoms
        self.positions = atoms.positions.copy()
        self.cutoff = getattr(getattr(atoms.calc, "potential", None), "r_cut", None)
        self.lost_before = self._lost()

    def _lost(self):
        return np.diff(build_pairs(self.atoms, self.cutoff).offsets) == 0 if self.cutoff else np.zeros(0, bool)

    def check(self, run, step):
        where = f"step {step} ({step * run.timestep:g} fs)"
        if not np.isfinite(run.potential[-1] + run.kinetic[-1]):
            raise Explosion(f"{where}: the energy is not finite; {_WAY_OUT}")
        moved = np.linalg.norm(self.atoms.positions - self.positions, axis=1)
        self.positions = self.atoms.positions.copy()
        if not moved.max() <= _LARGEST_STEP:
            worst = int(np.argmax(moved))
            raise Explosion(
                f"{where}: atom {worst} ({self.atoms.symbols[worst]}) moved by {moved[worst]:.3g} A in one step, the "
                f"temperature is {run.temperature[-1]:.3g} K; {_WAY_OUT}"
            )
        if step % _LOOK_FOR_LOST == 0 and step:
            lost = np.flatnonzero(self._lost() & ~self.lost_before)
            if len(lost) > _MOST_LOST * run.n_atoms:
                raise Explosion(
                    f"{where}: {len(lost)} of {run.n_atoms} atoms have lost all neighbours within {self.cutoff:g} A, "
                    f"atom {lost[0]} first; {_WAY_OUT}"
                )
