"""Rate of kernel blocks K(X, Y), beside NumPy and scikit-learn.

    python bench/python/bench_kernels.py [--rows 20000] [--columns 2000] [--features 546] [--seconds 3] [--threads 1 2]
                                         [--kernels polynomial,gaussian]

Prints seconds and GF/s, where an entry of K counts 2 D flops, as for the matrix product alone; minima of repeated calls
into memory that is written over. "Linear" is the core's own matrix product, and the last column compares with it.
NumPy's OpenBLAS takes processors that it does not know for a Haswell: its choice is printed, and OPENBLAS_CORETYPE in
the environment (SkylakeX for AVX-512) changes it. "two squarings" is the quickest power in NumPy, "** 4" what people
write.
"""

import argparse
import os
import time

import mercer
import numpy as np
import threadpoolctl
from mercer.kernels import KERNELS, Linear
from sklearn.metrics import pairwise


def best_time(call, seconds):
    """The least time of a call, after one to warm up."""
    call()
    times, start = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - start < seconds:
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return min(times)


def squarings(X, Y, out):
    np.dot(X, Y.T, out=out)
    np.square(out, out=out)
    np.square(out, out=out)


#: What others do for a kernel of ours, into `out` where they can.
PEERS = {
    "linear": {"numpy matrix product": lambda X, Y, out: np.dot(X, Y.T, out=out)},
    "polynomial": {
        "numpy, two squarings": squarings,
        "numpy, ** 4": lambda X, Y, out: (X @ Y.T) ** 4,
        "sklearn polynomial_kernel": lambda X, Y, out: pairwise.polynomial_kernel(X, Y, degree=4, gamma=1, coef0=0),
    },
    "gaussian": {"sklearn rbf_kernel": lambda X, Y, out: pairwise.rbf_kernel(X, Y, gamma=0.5)},
    "laplacian": {"sklearn laplacian_kernel": lambda X, Y, out: pairwise.laplacian_kernel(X, Y, gamma=1.0)},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20000)
    parser.add_argument("--columns", type=int, default=2000)
    parser.add_argument("--features", type=int, default=546)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--kernels", default="linear,polynomial,gaussian")
    arguments = parser.parse_args()

    rng = np.random.default_rng(0)
    X, Y = (np.abs(rng.normal(size=(n, arguments.features))) for n in (arguments.rows, arguments.columns))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    Y /= np.linalg.norm(Y, axis=1, keepdims=True)
    out = np.zeros((len(X), len(Y)))
    flops = 2.0 * len(X) * len(Y) * arguments.features

    config = mercer.show_config()
    blas = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    print(f"{'BLAS':17s} {', '.join(sorted({pool.get('architecture') or '?' for pool in blas}))}")
    print(f"{'OPENBLAS_CORETYPE':17s} {os.environ.get('OPENBLAS_CORETYPE', 'not set')}")
    print(f"X {X.shape}, Y {Y.shape}, core level {config['level']}\n")
    print(f"{'':34s} threads  seconds    GF/s  of Linear")
    for n_threads in arguments.threads:
        with mercer.threads(n_threads), threadpoolctl.threadpool_limits(n_threads):
            product = best_time(lambda: Linear()(X, Y, out=out), arguments.seconds)

            def report(name, seconds, n_threads=n_threads, product=product):
                rate = flops / seconds * 1e-9
                print(f"{name:34s} {n_threads:7d} {seconds:8.3f} {rate:7.1f} {product / seconds:9.2f}", flush=True)

            for name in arguments.kernels.split(","):
                kernel = KERNELS[name]()
                if name == "linear":
                    report("mercer Linear()", product)
                else:
                    report(f"mercer {kernel!r}"[:34], best_time(lambda k=kernel: k(X, Y, out=out), arguments.seconds))
                for peer, call in PEERS.get(name, {}).items():
                    report(peer, best_time(lambda c=call: c(X, Y, out), arguments.seconds))


if __name__ == "__main__":
    main()
