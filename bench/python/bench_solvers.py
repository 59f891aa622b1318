"""Time and loss of digits of the sparse solvers, and time of the selection methods.

    python bench/python/bench_solvers.py [--rows 20000] [--points 1000] [--features 546] [--threads 1]

The rows are smooth functions of a few variables, normalised, as SOAP vectors of a disordered material are; the kernel
is (x.y)^4. Solvers: rates count 2 rows points^2 multiplications (whitening and rank-k update), and "change" is the
largest change of a prediction when the features are permuted, which changes nothing but rounding.
"""

import argparse
import time
import warnings

import mercer
import numpy as np
from mercer.kernels import Polynomial
from mercer.linalg import SOLVERS, SparseSystem
from mercer.selection import SELECTIONS, select
from threadpoolctl import threadpool_limits

KERNEL = Polynomial(zeta=4)
BLOCK = 8192


def smooth_rows(n, n_features, seed=0):
    """Features and labels of `n` random states of twelve variables."""
    rng = np.random.default_rng(0)
    mixing, phase = 0.5 * rng.normal(size=(12, n_features)), rng.uniform(0, 2 * np.pi, n_features)
    state = np.random.default_rng(seed).normal(size=(n, 12))
    X = 1 + 0.3 * np.cos(state @ mixing + phase)
    X /= np.linalg.norm(X, axis=1)[:, None]
    return X, np.sin(state[:, 0]) * state[:, 1] + np.cos(state.sum(axis=1))


def fit(solver, X, y, Z, sigma):
    """Weights and seconds without the kernel, or None where the solver fails."""
    seconds = -time.perf_counter()
    system = SparseSystem(KERNEL(Z), solver=solver)
    seconds += time.perf_counter()
    for start in range(0, len(X), BLOCK):
        K = KERNEL(X[start : start + BLOCK], Z)
        seconds -= time.perf_counter()
        system.update(K, y[start : start + BLOCK], sigma)
        seconds += time.perf_counter()
    seconds -= time.perf_counter()
    try:
        solution = system.solve()
    except ValueError:
        return None
    return solution, seconds + time.perf_counter()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20000)
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--features", type=int, default=546)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    X, y = smooth_rows(options.rows, options.features)
    X_new, _ = smooth_rows(500, options.features, seed=1)
    order = np.random.default_rng(2).permutation(options.features)
    with mercer.threads(options.threads), threadpool_limits(options.threads):
        print(f"{options.rows} rows, {options.points} points, {options.features} features, {options.threads} threads")
        for method in SELECTIONS:
            start = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                chosen = select(X, options.points, method, kernel=KERNEL)
            print(f"select {method:17s} {time.perf_counter() - start:8.2f} s  {len(chosen)} points")
        Z = X[select(X, options.points, "cur")]
        columns = ("sigma", 6), ("s", 7), ("GF/s", 6), ("rank", 5), ("cond K_MM", 9), ("cond", 8), ("change", 8)
        print("\nsolver   ", *(f"{name:>{width}s}" for name, width in columns))
        for sigma in (1e-2, 1e-4):
            for solver in SOLVERS:
                result = fit(solver, X, y, Z, sigma)
                if result is None:
                    print(f"{solver:9s} {sigma:6.0e}  not positive definite")
                    continue
                solution, seconds = result
                again = fit(solver, X[:, order], y, Z[:, order], sigma)
                predictions = KERNEL(X_new, Z) @ solution.weights
                change = np.nan
                if again is not None:
                    change = np.abs(KERNEL(X_new[:, order], Z[:, order]) @ again[0].weights - predictions).max()
                rate = 2 * options.rows * options.points**2 / seconds / 1e9
                print(
                    f"{solver:9s} {sigma:6.0e} {seconds:7.2f} {rate:6.1f} {solution.rank:5d} "
                    f"{solution.condition_number_kmm:9.1e} {solution.condition_number:8.1e} {change:8.1e}"
                )


if __name__ == "__main__":
    main()
