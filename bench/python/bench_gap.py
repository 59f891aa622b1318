"""Energies, forces and stress of GAP potentials beside quippy, one thread each, on supercells of a crystal.

    python bench/python/bench_gap.py POTENTIAL.xml [--atoms 512] [--peers FOLDER] [--repeat 5]

quippy is imported from the environment or, where given, from the folder PEERS. What is timed is a call for new atoms,
neighbour list and everything. Prints milliseconds per call (minimum of the repeats), microseconds per
atom, the ratio, and the largest differences.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import sys
import time

import mercer
import numpy as np
from ase.build import bulk
from ase.data import chemical_symbols
from mercer.gap import read_gap


def crystal(species, n_atoms, spacing):
    """A rattled simple cubic crystal of about `n_atoms` atoms with the elements at random."""
    n = max(1, round(n_atoms ** (1 / 3)))
    atoms = bulk("X", "sc", a=spacing).repeat((n, n, n))
    rng = np.random.default_rng(0)
    atoms.symbols = [chemical_symbols[z] for z in rng.choice(species, len(atoms))]
    atoms.rattle(0.1, seed=1)
    return atoms


def best(function, repeat):
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        result = function()
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("potential")
    parser.add_argument("--atoms", type=int, default=512)
    parser.add_argument("--spacing", type=float, default=1.9, help="distance of neighbours, Angstrom")
    parser.add_argument("--peers", help="folder that holds quippy")
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.peers:
        sys.path.append(arguments.peers)

    species = sorted(read_gap(arguments.potential).e0)
    atoms = crystal(species, arguments.atoms, arguments.spacing)
    potential = mercer.load(arguments.potential)
    with mercer.threads(1):
        mine, predicted = best(lambda: potential.predict(atoms), arguments.repeat)
    print(f"{arguments.potential}: {len(atoms)} atoms of {', '.join(sorted(set(atoms.get_chemical_symbols())))}")
    print(f"mercer   {1e3 * mine:10.2f} ms {1e6 * mine / len(atoms):10.2f} us/atom")
    try:
        from quippy.potential import Potential
    except ImportError:
        print("quippy is not installed: nothing to compare with")
        return
    gap = Potential(param_filename=arguments.potential)

    def evaluate():
        moved = atoms.copy()
        moved.calc = gap
        gap.reset()
        return moved.get_potential_energy(), moved.get_forces(), moved.get_stress()

    theirs, (energy, forces, stress) = best(evaluate, min(3, arguments.repeat))
    print(f"quippy   {1e3 * theirs:10.2f} ms {1e6 * theirs / len(atoms):10.2f} us/atom   ratio {theirs / mine:.1f}")
    print(
        f"differences: energy {abs(predicted['energy'][0] - energy) / len(atoms):.1e} eV/atom, forces "
        f"{np.abs(predicted['forces'] - forces).max():.1e} eV/A, stress "
        f"{np.abs(predicted['stress'][0] - stress).max():.1e} eV/A^3"
    )


if __name__ == "__main__":
    main()
