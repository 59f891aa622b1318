"""Fits data whose matrix K would take 10 GB within 300 MB, and shows that the model does not depend on the limit.

    python bench/python/bench_memory.py [--limit 300] [--other 2000] [--rows-gb 10] [--n-sparse 800] [--threads 2]

Rattled diamond of 216 atoms per frame, labelled with the energies and forces of a smooth pair potential. Limits are in
MB (1024^2 bytes) and hold for everything beyond what the imports take: frames, labels and the fit; what is left after
the frames were made is the `max_memory` of the fit. Each limit runs in a process of its own, whose highest resident
memory (VmHWM of Linux) is read at the end of the fit. Both predict the same new frames.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import mercer
import numpy as np
from ase.build import bulk

MB = 2**20
N_ATOMS = 216


def resident(kind):
    """VmRSS (now) or VmHWM (highest so far) of this process, bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(kind))


def labelled_frame(seed):
    """Rattled, scaled diamond; energy and forces of sum over pairs of 10 exp(-2 r / A) (1 - (r / r_cut)^2)^3 / 2 eV."""
    rng = np.random.default_rng(seed)
    atoms = bulk("C", cubic=True) * (3, 3, 3)
    atoms.set_cell(atoms.cell * rng.uniform(0.95, 1.08), scale_atoms=True)
    atoms.positions += rng.normal(scale=rng.uniform(0.02, 0.15), size=atoms.positions.shape)
    r_cut = 3.5
    i, d, vectors = mercer.neighbor_list("idD", atoms, r_cut)
    window = 1.0 - (d / r_cut) ** 2
    pair = 10.0 * np.exp(-2.0 * d) * window**3
    slope = pair * (-2.0 - 6.0 * d / r_cut**2 / window)
    weights = slope[:, None] * vectors / d[:, None]
    atoms.info["REF_energy"] = 0.5 * float(pair.sum())
    atoms.arrays["REF_forces"] = np.stack([np.bincount(i, w, len(atoms)) for w in weights.T], axis=1)
    return atoms


def worker(options):
    """One fit: prints its figures as JSON, writes predictions."""
    mercer.set_num_threads(options.threads)
    SOAP, Potential, Term, Polynomial = mercer.SOAP, mercer.Potential, mercer.Term, mercer.kernels.Polynomial
    imports = resident("VmRSS")
    frames = [labelled_frame(seed) for seed in range(options.n_frames)]
    data = resident("VmRSS") - imports
    soap = SOAP(["C"], r_cut=3.5, n_max=4, l_max=3, sigma=0.4)
    term = Term(soap, Polynomial(zeta=4), delta=0.2, n_sparse=options.n_sparse)
    # candidates for sparse points are bounded, so that every limit chooses among the same
    potential = Potential(
        term,
        sigma={"energy": 0.002, "forces": 0.1},
        e0="average",
        max_selection=5000,
        max_memory=options.worker * MB - data,
    )
    start = time.perf_counter()
    potential.fit(frames)
    seconds = time.perf_counter() - start
    peak = resident("VmHWM") - imports
    estimate = potential.estimate(frames[:2])
    report = potential.fit_report_
    test = [labelled_frame(10**6 + seed) for seed in range(20)]
    predicted = potential.predict(test)
    np.savez(options.out, energy=predicted["energy"] / N_ATOMS, forces=predicted["forces"])
    error = predicted["forces"] - np.concatenate([atoms.arrays["REF_forces"] for atoms in test])
    figures = {
        "imports": imports / MB,
        "frames": data / MB,
        "peak": peak / MB,
        "seconds": seconds,
        "n_labels": report["n_labels"],
        "n_sparse": estimate["n_sparse"],
        "condition_number": report["condition_number"],
        "force_mae": float(np.abs(error).mean()),
    }
    print(json.dumps(figures))


def main():
    """Run both limits and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=300)
    parser.add_argument("--other", type=int, default=2000, help="a larger limit to compare with")
    parser.add_argument("--rows-gb", type=float, default=10.0, help="size of K, 10^9 bytes")
    parser.add_argument("--n-sparse", type=int, default=800)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--out", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.n_frames = int(np.ceil(options.rows_gb * 1e9 / (8 * options.n_sparse * (3 * N_ATOMS + 1))))
    if options.worker:
        return worker(options)
    print(f"{options.n_frames} frames of {N_ATOMS} atoms, {options.n_sparse} sparse points; memory in MB", flush=True)
    predictions, kept = [], True
    with tempfile.TemporaryDirectory() as folder:
        for limit in (options.limit, options.other):
            out = Path(folder) / f"{limit}.npz"
            command = [sys.executable, __file__, *sys.argv[1:], "--worker", str(limit), "--out", str(out)]
            figures = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
            size = 8e-9 * figures["n_labels"] * figures["n_sparse"]
            print(
                f"limit {limit}: peak {figures['peak']:.0f} beyond the imports ({figures['imports']:.0f}), of it the "
                f"frames {figures['frames']:.0f}; K of {figures['n_labels']} rows would take {size:.2f} GB; "
                f"{figures['seconds']:.0f} s; condition number {figures['condition_number']:.1e}; "
                f"test MAE of forces {1e3 * figures['force_mae']:.2f} meV/A",
                flush=True,
            )
            kept &= figures["peak"] <= limit
            predictions.append(dict(np.load(out)))
    one, two = predictions
    energy, forces = (float(np.abs(one[key] - two[key]).max()) for key in ("energy", "forces"))
    same = energy <= 1e-9
    print(f"largest difference of predictions: {energy:.1e} eV/atom, {forces:.1e} eV/A")
    print(f"limits kept: {kept}; the same to 1e-9 eV/atom: {same}")
    return 0 if kept and same else 1


if __name__ == "__main__":
    sys.exit(main())
