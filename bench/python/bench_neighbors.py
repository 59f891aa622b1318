"""Time of full neighbour lists with vectors, distances and shifts, beside vesin, matscipy and ASE where importable.

    python bench/python/bench_neighbors.py [--data DIR] [--seconds 0.5] [--threads 1 2]

Prints microseconds per atom, medians of repeated calls. "core" and "vesin" are the bare calculators on prepared arrays
(vesin does not sort by j, mercer does); "neighbor_list" and the others are the calls that return NumPy arrays.
"""

import argparse
import ctypes
import importlib
import statistics
import time
from pathlib import Path

import mercer
import numpy as np
from ase.build import bulk, molecule
from mercer._core import core
from mercer.structures import read_frames, to_batch


def carbon(data):
    """216 atoms of disordered carbon: c216.extxyz of the folder `data`, or a rattled crystal of the same density."""
    path = Path(data) / "c216.extxyz" if data else None
    if path and path.exists():
        return read_frames(path)[0]
    atoms = bulk("C", "diamond", a=3.8713449561811, cubic=True) * 3
    atoms.rattle(0.1, seed=1)
    return atoms


def cases(data):
    """(name, frames, cutoff in Angstrom)."""
    c216 = carbon(data)
    skewed = bulk("Si", "diamond", a=5.43)
    skewed.set_cell(skewed.cell.array + np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0]]) @ skewed.cell.array)
    rng = np.random.default_rng(0)
    names = ["CH4", "H2O", "C6H6", "CH3CH2OH", "NH3", "C4H4NH", "CH3SH", "CH3COCl"]
    molecules = [molecule(names[k]) for k in rng.integers(len(names), size=2000)]
    return [
        ("c216, 3.7 A", [c216], 3.7),
        ("1e4 atoms, 3.7 A", [c216 * (4, 4, 3)], 3.7),
        ("1e5 atoms, 3.7 A", [c216 * (8, 8, 7)], 3.7),
        ("c216, 6 A", [c216], 6.0),
        ("1e4 atoms, 6 A", [c216 * (4, 4, 3)], 6.0),
        ("2 atoms C, 10 A", [bulk("C")], 10.0),
        ("2 atoms Si, skewed, 10 A", [skewed], 10.0),
        ("2000 molecules, 5 A", molecules, 5.0),
    ]


def median_time(call, seconds):
    """Median time of a call, after one to warm up."""
    call()
    times, start = [], time.perf_counter()
    while time.perf_counter() - start < seconds or len(times) < 3:
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def vesin_calls(frames, cutoff, threads):
    """One bare call of vesin's library per frame: no conversion, its memory reused."""
    from vesin import _neighbors as vesin

    calls = []
    for atoms in frames:
        calculator = vesin.NeighborList(cutoff=cutoff, full_list=True, n_threads=threads)
        points = np.ascontiguousarray(atoms.positions)
        box = np.ascontiguousarray(atoms.cell.array)
        periodic = np.array(atoms.pbc)
        calculator.compute(points, box, periodic, "ijSdD", copy=False)
        options = vesin.VesinOptions()
        options.cutoff, options.full, options.sorted = cutoff, True, False
        options.return_shifts = options.return_distances = options.return_vectors = True
        options.algorithm, options.skin, options.n_threads = calculator._c_algorithm, 0.0, threads
        arguments = (
            points.ctypes.data_as(ctypes.POINTER(ctypes.c_double)),
            len(points),
            box.ctypes.data_as(ctypes.POINTER(ctypes.c_double)),
            periodic.ctypes.data_as(ctypes.POINTER(ctypes.c_bool)),
            calculator._neighbors.device,
            options,
            ctypes.byref(calculator._neighbors),
            ctypes.c_char_p(),
        )
        calls.append((calculator, points, box, periodic, arguments))

    def run():
        for calculator, *_, arguments in calls:
            calculator._lib.vesin_neighbors(*arguments)

    return run


def python_calls(module, frames, cutoff):
    """The neighbor_list function of a package, all quantities, one call per frame."""
    found = importlib.import_module(module)
    function = getattr(found, "neighbor_list", None) or found.neighbour_list
    return lambda: [function("ijSdD", atoms, cutoff) for atoms in frames]


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder with c216.extxyz; a rattled crystal is made otherwise")
    parser.add_argument("--seconds", type=float, default=0.5, help="time per measurement")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of threads")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--no-python", action="store_true", help="the bare calculators only")
    arguments = parser.parse_args()
    threads = arguments.threads
    peers = {}
    for name, module in {"vesin": "vesin", "matscipy": "matscipy.neighbours", "ase": "ase.neighborlist"}.items():
        try:
            importlib.import_module(module)
            peers[name] = module
        except ImportError as error:
            print(f"{name} is left out: {error}")

    print(f"{'us/atom':26s}{'pairs/atom':>11s}{'call':>16s}" + "".join(f"{f'{n} thr':>10s}" for n in threads))
    for name, frames, cutoff in cases(arguments.data):
        if arguments.only not in name:
            continue
        batch = to_batch(frames)
        calls = {"core": lambda n, b=batch, c=cutoff: lambda: core.build_pair_list(b, c)}
        if "vesin" in peers:
            calls["vesin"] = lambda n, f=frames, c=cutoff: vesin_calls(f, c, n)
        if not arguments.no_python:
            calls["neighbor_list"] = lambda n, f=frames, c=cutoff: python_calls("mercer", f, c)
            for peer in ("matscipy", "ase"):
                if peer == "matscipy" and any(atoms.cell.rank < 3 for atoms in frames):
                    continue  # it inverts the cell
                if peer in peers and batch.n_atoms < (20000 if peer == "ase" else 200000):
                    calls[peer] = lambda n, p=peers[peer], f=frames, c=cutoff: python_calls(p, f, c)
        pairs = core.build_pair_list(batch, cutoff).n_pairs / batch.n_atoms
        for label, make in calls.items():
            cells = []
            for n in threads:
                if n != threads[0] and label in ("matscipy", "ase"):
                    cells.append(f"{'-':>10s}")
                    continue
                with mercer.threads(n):
                    seconds = median_time(make(n), arguments.seconds)
                cells.append(f"{1e6 * seconds / batch.n_atoms:10.3f}")
            print(f"{name:26s}{pairs:11.1f}{label:>16s}" + "".join(cells), flush=True)


if __name__ == "__main__":
    main()
