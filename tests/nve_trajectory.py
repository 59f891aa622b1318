"""Shows that the C++ example and ASE with mercer's calculator make the same trajectory from the same start.

usage: python tests/nve_trajectory.py <nve program> [model structure [steps [femtoseconds]]]

Without a model it takes the reference of the tests on silicon carbide. The structure is the first frame of a file, with
momenta. Prints the largest differences; the exit status is 1 if they are not those of rounding errors.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import ase.io
import mercer
import numpy as np
from ase import units
from ase.build import bulk
from ase.md.verlet import VelocityVerlet

REFERENCE = Path(__file__).parent / "reference" / "potential_v1.safetensors"


def silicon_carbide():
    """64 atoms at 300 K."""
    atoms = bulk("SiC", "zincblende", a=4.4, cubic=True).repeat(2)
    momenta = np.random.default_rng(0).normal(size=(64, 3)) * np.sqrt(units.kB * 300 * atoms.get_masses())[:, None]
    atoms.set_momenta(momenta - momenta.mean(axis=0))
    return atoms


def python_trajectory(atoms, potential, steps, timestep):
    """Positions, momenta, forces and potential energy after every step."""
    atoms.calc = potential.calculator()
    found = []
    mover = VelocityVerlet(atoms, timestep * units.fs)
    for _ in mover.irun(steps):
        found.append((atoms.get_positions(), atoms.get_momenta(), atoms.get_forces(), atoms.get_potential_energy()))
    return [np.array(values) for values in zip(*found, strict=True)]


def cpp_trajectory(program, model, start, steps, timestep, folder):
    """The same, from the files that the program writes."""
    options = ["--steps", str(steps), "--timestep", str(timestep), "--every", "1", "-o", folder / "nve"]
    print(subprocess.run([program, model, start, *options], check=True, capture_output=True, text=True).stdout.strip())
    frames = ase.io.read(folder / "nve.extxyz", ":")
    return [
        np.array([atoms.get_positions() for atoms in frames]),
        np.array([atoms.get_momenta() for atoms in frames]),
        np.array([atoms.get_forces() for atoms in frames]),
        np.array([atoms.get_potential_energy() for atoms in frames]),
    ]


def main(program, model=REFERENCE, structure=None, steps=100, timestep=1.0):
    """Differences of the two trajectories."""
    steps, timestep = int(steps), float(timestep)
    with tempfile.TemporaryDirectory() as folder:
        start = Path(folder) / "start.extxyz"
        ase.io.write(start, silicon_carbide() if structure is None else ase.io.read(structure, 0))
        ours = python_trajectory(ase.io.read(start), mercer.load(model), steps, timestep)
        theirs = cpp_trajectory(program, model, start, steps, timestep, Path(folder))
    assert len(ours[0]) == len(theirs[0]) == steps + 1
    moved = np.abs(ours[0][-1] - ours[0][0]).max()
    print(f"{steps} steps of {timestep:g} fs, {len(ours[0][0])} atoms; the furthest moved by {moved:.3g} A")
    good = moved > 0.01
    for name, unit, a, b in zip(
        ("positions", "momenta", "forces", "energies"), ("A", "sqrt(u eV)", "eV/A", "eV"), ours, theirs, strict=True
    ):
        difference = np.abs(a - b).max()
        print(f"largest difference of {name}: {difference:.3g} {unit}")
        good &= bool(difference <= 1e-7)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
