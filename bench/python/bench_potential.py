"""Times the evaluation of a fitted SOAP term (energy, forces, stress) and rows of K for forces: microseconds per atom.

    python bench/python/bench_potential.py [--data FOLDER] [--threads 1 2] [--repeat 7] [--quippy]

FOLDER holds c216.extxyz; without it, rattled diamond of 216 atoms is made up. Weights are random: the time does not
depend on them. The minimum of the repeats counts. "gemm" is the rate of the core's product of X (4000 x D) and the
sparse points, 2 N M D flops, measured in the same run: what the machine gives now. quippy, if asked for, runs energy,
forces and stress of a GAP of the same size, fitted by its gap_fit to a few frames.
"""

import argparse
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path

import ase.io
import numpy as np
from ase.build import bulk

SETTINGS = [(12, 6, 500), (8, 4, 500), (12, 6, 5000)]
R_CUT, SIGMA, WIDTH, ZETA = 3.7, 0.5, 0.5, 4


def carbon(n, seed):
    atoms = bulk("C", cubic=True) * (n, n, n)
    atoms.rattle(0.1, seed=seed)
    return atoms


def best(function, repeat):
    """Seconds of the fastest of `repeat` calls, after one that warms up."""
    function()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def run_mercer(atoms, n_max, l_max, m, repeat):
    from mercer import SOAP
    from mercer.kernels import Linear, Polynomial
    from mercer.rows import evaluate_term, label_rows

    soap = SOAP("C", R_CUT, n_max, l_max, SIGMA, cutoff_width=WIDTH)
    kernel = Polynomial(zeta=ZETA)
    pool = soap.transform([carbon(3, seed) for seed in range(1, 2 + m // 216)])
    points = pool[np.random.default_rng(0).permutation(len(pool))[:m]].copy()
    groups, weights = [6] * m, np.random.default_rng(1).normal(size=m)
    environments = soap.environments(atoms)
    n = len(atoms)

    X = np.concatenate([pool] * (1 + 4000 // len(pool)))[:4000]
    out = np.empty((len(X), m))
    seconds = best(lambda: Linear()(X, points, out=out), repeat)
    yield "gemm", 2e-9 * out.size * X.shape[1] / seconds, "GF/s"

    def evaluated(frames, **options):
        call = partial(evaluate_term, soap, kernel, frames, points, groups, weights, **options)
        return best(call, repeat) / n * 1e6

    yield "energies", evaluated(environments, gradients=False), "us/atom"
    yield "energies, forces, stress", evaluated(environments), "us/atom"
    yield "the same with neighbour list", evaluated(atoms), "us/atom"
    if m > 1000:
        return

    frames = [carbon(2, seed) for seed in range(4)]
    n = sum(map(len, frames))
    environments = soap.environments(frames)
    flops = 2.0 * 3 * environments.pairs.n_pairs * soap.n_features * m

    def rows(**kinds):
        call = partial(label_rows, soap, kernel, environments, points, groups, **kinds)
        return best(partial(call, out=call()), max(1, repeat // 2))

    seconds = rows(forces=True)
    rate = f"us/atom ({flops / seconds * 1e-9:.0f} GF/s of Jacobian times points)"
    yield "rows for energies, forces", seconds / n * 1e6, rate
    yield "rows for energies, forces, virials", rows(forces=True, virial=True) / n * 1e6, "us/atom"


def run_quippy(atoms, n_max, l_max, m, repeat):
    import quippy
    from quippy.potential import Potential

    frames = [carbon(2, seed) for seed in range(1 + m // 64)]
    rng = np.random.default_rng(0)
    for frame in frames:
        frame.info["energy"] = -7.0 * len(frame) + rng.normal()
        frame.arrays["force"] = rng.normal(size=(len(frame), 3))
    with tempfile.TemporaryDirectory() as folder:
        ase.io.write(f"{folder}/train.xyz", frames, format="extxyz")
        command = [
            str(Path(quippy.__file__).with_name("gap_fit")),
            f"at_file={folder}/train.xyz",
            f"gap={{soap l_max={l_max} n_max={n_max} cutoff={R_CUT} cutoff_transition_width={WIDTH} atom_sigma={SIGMA} "
            f"zeta={ZETA} delta=1.0 covariance_type=dot_product n_sparse={m} sparse_method=random}}",
            "default_sigma={0.01 0.1 0 0}",
            "e0={C:-7.0}",
            "energy_parameter_name=energy",
            "force_parameter_name=no_force",
            f"gp_file={folder}/gap.xml",
        ]
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        potential = Potential(param_filename=f"{folder}/gap.xml")

        moved = atoms.copy()

        def run():
            moved.positions[0, 0] += 1e-6  # else results are reused
            potential.calculate(moved, ["energy", "forces", "stress"])

        yield "quippy: energies, forces, stress", best(run, max(1, repeat // 3)) / len(atoms) * 1e6, "us/atom"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with c216.extxyz")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--quippy", action="store_true", help="also measure quippy")
    arguments = parser.parse_args()

    import mercer

    mercer.show_config()
    atoms = ase.io.read(arguments.data / "c216.extxyz") if arguments.data else carbon(3, 0)
    for n_max, l_max, m in SETTINGS:
        print(f"\n(n_max, l_max) = ({n_max}, {l_max}), M = {m}, {len(atoms)} atoms")
        for threads in arguments.threads:
            with mercer.threads(threads):
                for name, value, unit in run_mercer(atoms, n_max, l_max, m, arguments.repeat):
                    print(f"  {name:36s} {threads} thread(s) {value:9.2f} {unit}", flush=True)
        if arguments.quippy and m <= 1000:
            for name, value, unit in run_quippy(atoms, n_max, l_max, m, arguments.repeat):
                print(f"  {name:36s} 1 thread(s) {value:9.2f} {unit}", flush=True)


if __name__ == "__main__":
    main()
