"""Time of a step of molecular dynamics with the ASE calculator, beside quippy where it can be imported.

    python bench/python/bench_md.py [--gap gp.xml] [--model FILE] [--structure FILE] [--steps 30] [--threads 1]

Without a model: SOAP potentials with (n_max, l_max) = (12, 6) and (8, 4), cutoff 3.7 Angstrom, 500 sparse points, on
216 atoms of carbon (or --structure), fitted to a pair potential, since the numbers do not matter. With --gap, the
potential is that of the file, in mercer and in quippy. Prints microseconds per atom and step: the median of the steps,
every one with new positions, with all of ASE's and the neighbour list's work; "pairs" is the list alone.
"""

import argparse
import statistics
import time

import ase.io
import mercer
import numpy as np
from ase import units
from ase.build import bulk
from ase.calculators.morse import MorsePotential
from ase.md.verlet import VelocityVerlet
from mercer.dynamics import draw_velocities
from mercer.neighbors import VerletPairs

SIZES = ((12, 6), (8, 4))


def carbon():
    """216 atoms of a crystal, moved at random."""
    atoms = bulk("C", cubic=True) * (3, 3, 3)
    atoms.rattle(0.1, seed=0)
    return atoms


def fitted(n_max, l_max, n_sparse):
    """A potential of the size wanted."""
    frames = []
    for seed in range(8):
        atoms = bulk("C", cubic=True) * (2, 2, 2)
        atoms.rattle(0.15, seed=seed)
        atoms.calc = MorsePotential(epsilon=1.0, r0=1.55, rho0=4.0, rcut1=3.0, rcut2=3.7)
        atoms.info["REF_energy"] = atoms.get_potential_energy()
        atoms.calc = None
        frames.append(atoms)
    soap = mercer.SOAP(["C"], 3.7, n_max, l_max, 0.5, cutoff_width=0.5)
    term = mercer.Term(soap, mercer.kernels.Polynomial(zeta=4), n_sparse=n_sparse, selection="random")
    return mercer.Potential(term, e0=0.0).fit(frames)


def step_time(atoms, steps, timestep):
    """Median time of a step, per atom, in microseconds."""
    mover = VelocityVerlet(atoms, timestep * units.fs)
    mover.run(3)
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        mover.run(1)
        times.append(time.perf_counter() - start)
    return 1e6 * statistics.median(times) / len(atoms)


def pair_time(atoms, potential, skin, steps):
    """Median time of the neighbour list, per atom, in microseconds."""
    verlet, rng = VerletPairs(potential.r_cut, skin), np.random.default_rng(0)
    atoms, times = atoms.copy(), []
    for _ in range(steps):
        start = time.perf_counter()
        verlet.update(atoms)
        times.append(time.perf_counter() - start)
        atoms.positions += rng.normal(0, 0.005, atoms.positions.shape)
    return 1e6 * statistics.median(times) / len(atoms)


def row(name, value):
    """One line of the table."""
    print(f"  {name:40s}{value:10.2f}", flush=True)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gap", help="XML file of a GAP potential")
    parser.add_argument("--model", help="model file of mercer")
    parser.add_argument("--structure", help="start, any format of ASE")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--timestep", type=float, default=0.5, help="fs")
    parser.add_argument("--temperature", type=float, default=300, help="K")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--n-sparse", type=int, default=500)
    arguments = parser.parse_args()
    mercer.set_num_threads(arguments.threads)
    start = ase.io.read(arguments.structure) if arguments.structure else carbon()
    draw_velocities(start, arguments.temperature)

    def run(calculator):
        atoms = start.copy()
        atoms.calc = calculator
        return step_time(atoms, arguments.steps, arguments.timestep)

    path = arguments.model or arguments.gap
    if path:
        cases = [(path, lambda: mercer.load(path))]
    else:
        cases = [
            (f"SOAP {size}, M = {arguments.n_sparse}", lambda s=size: fitted(*s, arguments.n_sparse)) for size in SIZES
        ]
    for name, make in cases:
        potential = make()
        print(f"{name}, {len(start)} atoms, {arguments.threads} threads: us per atom and step")
        row("mercer, skin 0.5 A", run(potential.calculator()))
        row("mercer, a new list every step", run(potential.calculator(skin=0.0)))
        row("  pairs, skin 0.5 A", pair_time(start, potential, 0.5, arguments.steps))
        row("  pairs, a new list every step", pair_time(start, potential, 0.0, arguments.steps))
    if arguments.gap:
        try:
            from quippy.potential import Potential
        except ImportError as error:
            print(f"quippy is left out: {error}")
            return
        row("quippy", run(Potential(param_filename=arguments.gap)))


if __name__ == "__main__":
    main()
