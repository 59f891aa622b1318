"""Time of kernels of structures on molecules, beside DScribe's REMatchKernel and AverageKernel.

    PYTHONPATH=/where/peers/are python bench/python/bench_structure_kernels.py qm7.extxyz [--structures 1000]
        [--peer-structures 60] [--threads 1 2] [--gamma 0.2] [--zeta 1]

Rows are normalised SOAP of mercer for all. DScribe computes `--peer-structures` x `--peer-structures` pairs, of which
it makes the upper triangle only, as mercer does; its time for all structures is extrapolated by the number of pairs.
Both have the same gamma (alpha = gamma / 2). DScribe stops at its threshold of 1e-6 for changes, mercer at 1e-9 for row
and column sums: the largest difference of the values is printed too.
"""

import argparse
import time

import mercer
import numpy as np
from ase.io import read
from mercer import SOAP
from mercer.kernels import Average, Polynomial, REMatch, StructureRows


def timed(call):
    """Seconds, the less of two calls, and the result."""
    times = []
    for _ in range(2):
        start = time.perf_counter()
        result = call()
        times.append(time.perf_counter() - start)
    return min(times), result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path")
    parser.add_argument("--structures", type=int, default=1000)
    parser.add_argument("--peer-structures", type=int, default=60)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--gamma", type=float, default=0.2)
    parser.add_argument("--zeta", type=int, default=1)
    parser.add_argument("--n-max", type=int, default=4)
    parser.add_argument("--l-max", type=int, default=3)
    arguments = parser.parse_args()

    frames = read(arguments.path, slice(None))
    frames = [frames[i] for i in np.random.default_rng(0).permutation(len(frames))[: arguments.structures]]
    species = sorted({int(z) for atoms in frames for z in atoms.numbers})
    rows = StructureRows.of(SOAP(species, 4.0, arguments.n_max, arguments.l_max, 0.4), frames)
    n, local = len(rows), Polynomial(zeta=arguments.zeta)
    n_pairs = n * (n + 1) // 2
    options = {"match_groups": False}
    kernels = {
        "REMatch": REMatch(local, gamma=arguments.gamma, **options),
        "REMatch, groups match": REMatch(local, gamma=arguments.gamma),
        "Average": Average(local, **options),
    }
    if arguments.zeta == 1:
        kernels["Average, Linear()"] = Average(**options)
    print(rows)
    print(f"{'':28s} threads  seconds  us/pair")
    values, seconds = {}, {}
    for n_threads in arguments.threads:
        for name, kernel in kernels.items():
            seconds[name], values[name] = timed(lambda k=kernel, t=n_threads: k(rows, n_threads=t))
            print(
                f"mercer {name:21s} {n_threads:7d} {seconds[name]:8.3f} {1e6 * seconds[name] / n_pairs:8.2f}",
                flush=True,
            )
    query = rows[:10]
    weights = np.ones((len(query), n))
    for name, kernel in kernels.items():
        taken, _ = timed(lambda k=kernel: k.vjp(query, rows, weights, n_threads=1))
        print(
            f"gradient {name:19s} {1:7d} {taken:8.3f} {1e6 * taken / weights.size:8.2f}   of 10 x {n} pairs", flush=True
        )

    try:
        from dscribe.kernels import AverageKernel, REMatchKernel
    except ImportError:
        print("DScribe is not there: set PYTHONPATH")
        return
    m = min(arguments.peer_structures, n)
    features = [rows[[s]].features for s in range(m)]
    metric = {"metric": "polynomial", "degree": arguments.zeta, "gamma": 1.0, "coef0": 0.0}
    peers = {
        "REMatch": REMatchKernel(alpha=arguments.gamma / 2, threshold=1e-6, **metric),
        "Average": AverageKernel(**metric),
    }
    for name, peer in peers.items():
        with mercer.threads(1):
            taken, K = timed(lambda p=peer: p.create(features))
        all_pairs = taken * n_pairs / (m * (m + 1) // 2)
        difference = np.abs(K - values[name][:m, :m]).max()
        print(
            f"DScribe {name:20s} {1:7d} {all_pairs:8.1f} {1e6 * all_pairs / n_pairs:8.2f}   extrapolated from {m} "
            f"structures in {taken:.2f} s; differs by {difference:.1e}"
        )


if __name__ == "__main__":
    main()
