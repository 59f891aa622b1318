"""Times MBTR beside dscribe, where that can be imported: milliseconds per frame for values and gradients.

    python bench/python/bench_mbtr.py --data FOLDER [--threads 1 2] [--repeat 20] [--only aspirin] [--memory FILE]

FOLDER holds aspirin.extxyz, organics.extxyz and nacl8.extxyz; without it, structures of the same kind are made up.
k = 2 is the inverse distance from 0 to 1.5 / Angstrom with sigma 0.02, k = 3 the cosine from -1 to 1 with sigma 0.05,
100 grid points each, with exponential weights of scale 0.8 and 0.5 and threshold 1e-3. Neighbour lists are part of the
time; the minimum of the repeats counts, and dscribe is measured in the same run. FILE holds many frames (those of QM7,
for instance); with it, peak memory and time of a child process that makes their dense and sparse rows are shown too.
"""

import argparse
import json
import subprocess
import sys
import time
import warnings
from pathlib import Path

import ase.io
import numpy as np
from ase.build import bulk, molecule

PARTS = {  # geometry, first, last, sigma, scale
    2: ("inverse_distance", 0.0, 1.5, 0.02, 0.8),
    3: ("cosine", -1.0, 1.0, 0.05, 0.5),
}
N, THRESHOLD = 100, 1e-3


def made_up(case):
    """Structures of the kind that the case stands for."""
    if case == "nacl8":
        return [bulk("NaCl", "rocksalt", a=5.64, cubic=True)]
    if case == "aspirin":
        return [molecule("C6H6") + molecule("CH3COOH")[:-1]]
    return [molecule(name) for name in ("CH3CH2OH", "C6H6", "CH3CONH2", "C4H4NH", "CH3COF", "C5H8") * 14]


def frames_of(case, folder):
    """From the folder, or made up."""
    path = Path(folder or "") / f"{case}.extxyz"
    return ase.io.read(path, ":") if folder and path.exists() else made_up(case)


def best(function, repeat):
    """Seconds of the fastest of `repeat` calls, after one that warms up."""
    function()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def mercer_mbtr(species, k):
    """With the settings of PARTS."""
    import mercer

    geometry, first, last, sigma, scale = PARTS[k]
    weight = {"function": "exponential", "scale": scale}
    part = {"geometry": geometry, "grid": (first, last, N), "sigma": sigma, "weight": weight, "threshold": THRESHOLD}
    return mercer.MBTR(species, **{f"k{k}": part | {"values": "average"}})


def run_mercer(frames, species, k, repeat, threads):
    """(what, seconds, rows) of mercer."""
    import mercer

    mbtr = mercer_mbtr(species, k)
    for n in threads:
        mercer.set_num_threads(n)
        environments = mbtr.environments(frames)
        rows = mbtr.transform(frames)
        gradients = mbtr.gradients(frames).values
        yield f"mercer value, {n} thr", best(lambda: mbtr.transform(frames, out=rows), repeat), rows  # noqa: B023
        yield f"  of that the tuples, {n} thr", best(lambda: mbtr.transform(environments, out=rows), repeat), None  # noqa: B023
        yield f"mercer gradient, {n} thr", best(lambda: mbtr.gradients(frames, out=gradients), repeat), None  # noqa: B023
        yield f"mercer vjp, {n} thr", best(lambda: mbtr.vjp(frames, rows), repeat), None  # noqa: B023
    mercer.set_num_threads(0)


def let_dscribe_run():
    """dscribe 2.1.2 copies structures with arguments by position, which ase 3.27 has moved."""
    from dscribe.core import System

    def from_atoms(atoms):
        system = System.__new__(System)
        ase.Atoms.__init__(system, numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        for name in ("wyckoff_positions", "equivalent_atoms"):
            setattr(system, name, None)
        for name in ("_cell_inverse", "_displacement_tensor", "_distance_matrix", "_inverse_distance_matrix"):
            setattr(system, name, None)
        return system

    System.from_atoms = staticmethod(from_atoms)


def run_dscribe(frames, species, k, repeat):
    """(what, seconds, rows) of dscribe."""
    from dscribe.descriptors import MBTR

    let_dscribe_run()
    geometry, first, last, sigma, scale = PARTS[k]
    periodic = bool(frames[0].pbc.any())
    mbtr = MBTR(
        species=species,
        geometry={"function": geometry},
        grid={"min": first, "max": last, "sigma": sigma, "n": N},
        weighting={"function": "exp", "scale": scale, "threshold": THRESHOLD},
        periodic=periodic,
    )
    rows = np.array([mbtr.create(atoms) for atoms in frames])
    yield "dscribe value", best(lambda: [mbtr.create(atoms) for atoms in frames], max(3, repeat // 5)), rows

    def gradients():
        return [mbtr.derivatives(atoms, return_descriptor=False) for atoms in frames]

    if not periodic and len(frames) == 1:
        yield "dscribe gradient", best(gradients, 3), None


def run_case(case, args):
    """One table."""
    frames = frames_of(case, args.data)
    for atoms in frames:  # what dscribe cannot copy with recent versions of ase
        atoms.calc = None
        atoms.arrays = {name: atoms.arrays[name] for name in ("numbers", "positions")}
    species = sorted({symbol for atoms in frames for symbol in atoms.get_chemical_symbols()})
    for k in args.k:
        print(f"\n{case}, k = {k}: {len(frames)} frames of {len(frames[0])} atoms, {len(species)} elements")
        results = list(run_mercer(frames, species, k, args.repeat, args.threads))
        try:
            results += list(run_dscribe(frames, species, k, args.repeat))
        except (ImportError, TypeError, ValueError) as error:
            print(f"  (dscribe: {error})")
        reference = results[0][2]
        for what, seconds, rows in results:
            text = f"  {what:28s} {1000 * seconds / len(frames):10.4f} ms per frame"
            if rows is not None and rows is not reference:
                text += f"   differs by {np.abs(rows - reference).max() / np.abs(reference).max():.1e} of the largest"
            print(text)


CHILD = """
import json, resource, sys, time
import ase.io, mercer
sys.path.insert(0, sys.argv[2])
from bench_mbtr import mercer_mbtr
frames = ase.io.read(sys.argv[1], ":")
species = sorted({symbol for atoms in frames for symbol in atoms.get_chemical_symbols()})
mbtr = mercer_mbtr(species, 3)
mbtr.transform(frames[:2])
before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
rows = mbtr.transform(frames) if sys.argv[3] == "dense" else mbtr.sparse(frames)
seconds = time.perf_counter() - start
size = rows.nbytes if sys.argv[3] == "dense" else rows.data.nbytes + rows.indices.nbytes + rows.indptr.nbytes
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([len(frames), rows.shape[1], seconds, size, 1024 * (after - before)]))
"""


def run_memory(path):
    """Peak memory of the rows of many frames, in processes of their own."""
    for form in ("dense", "sparse"):
        command = [sys.executable, "-c", CHILD, path, str(Path(__file__).parent), form]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        n, columns, seconds, size, peak = json.loads(output)
        print(
            f"\n{Path(path).name}, k = 3, {form}: {n} frames x {columns} columns in {seconds:.2f} s, "
            f"{size / 1e6:.0f} MB, peak {peak / 1e6:.0f} MB"
        )


def main():
    """Parse arguments and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--only", nargs="+", default=["aspirin", "organics", "nacl8"])
    parser.add_argument("--k", type=int, nargs="+", default=[2, 3])
    parser.add_argument("--memory")
    args = parser.parse_args()
    warnings.simplefilter("ignore", FutureWarning)
    for case in args.only:
        run_case(case, args)
    if args.memory:
        run_memory(args.memory)


if __name__ == "__main__":
    main()
