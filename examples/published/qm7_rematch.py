"""Atomisation energies of QM7 by kernel ridge regression with SOAP and REMatch.

    python examples/published/qm7_rematch.py qm7.extxyz [--kernel kernel.npy]

5000 training molecules, the rest for testing, five random splits. Published for SOAP with REMatch (Huo and Rupp, Mach.
Learn.: Sci. Technol. 3, 045017 (2022), table 1): MAE 0.92 and RMSE 1.61 kcal/mol.

Atomisation energies are extensive: the normalised kernel is multiplied by the numbers of atoms of both molecules, and
a least-squares energy per element, of the training molecules, is taken off first. The settings of SOAP, zeta and gamma
were chosen on 2000 molecules (`TUNING`), which are therefore training molecules in every split; alpha is chosen in each
split by exact leave-one-out on its training molecules. The 7101 x 7101 kernel is computed once.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from ase.io import read
from mercer import KRR, SOAP
from mercer.kernels import Polynomial, REMatch, StructureRows

SPECIES = ["H", "C", "N", "O", "S"]
SCALING = {"rate": 1.0, "scale": 2.0, "exponent": 6}
DESCRIPTOR = SOAP(SPECIES, r_cut=5.0, n_max=6, l_max=4, sigma=0.2, radial_scaling=SCALING)
KERNEL = REMatch(Polynomial(zeta=2), gamma=5.0)
ALPHAS = [1e-8, 1e-7, 1e-6, 1e-5]
N_TRAIN, N_SPLITS = 5000, 5
TUNING = np.random.default_rng(1).permutation(7101)[:2000]


def split(n, seed):
    """Training molecules, all of `TUNING` among them, and test molecules."""
    others = np.random.default_rng(100 + seed).permutation(np.setdiff1d(np.arange(n), TUNING))
    return np.concatenate([TUNING, others[: N_TRAIN - len(TUNING)]]), others[N_TRAIN - len(TUNING) :]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path")
    parser.add_argument("--kernel", type=Path, help="file that keeps the kernel matrix for the next time")
    arguments = parser.parse_args()

    frames = read(arguments.path, ":")
    energies = np.array([atoms.info["REF_energy"] for atoms in frames])
    composition = np.array([[atoms.symbols.count(s) for s in SPECIES] for atoms in frames], dtype=float)
    sizes = composition.sum(axis=1) / 15.4  # mean number of atoms
    start = time.perf_counter()
    if arguments.kernel and arguments.kernel.exists():
        K = np.load(arguments.kernel)
    else:
        K = KERNEL(StructureRows.of(DESCRIPTOR, frames))
        K *= np.outer(sizes, sizes)
        if arguments.kernel:
            np.save(arguments.kernel, K)
    print(f"{len(frames)} molecules, {KERNEL}\nkernel matrix in {time.perf_counter() - start:.0f} s", flush=True)

    errors = []
    for seed in range(N_SPLITS):
        train, test = split(len(frames), seed)
        base = composition @ np.linalg.lstsq(composition[train], energies[train], rcond=None)[0]
        y, K_train, best = (energies - base)[train], K[np.ix_(train, train)], None
        for alpha in ALPHAS:
            model = KRR("precomputed", alpha=alpha).fit(K_train, y)
            loo = np.abs(model.leave_one_out()).mean()
            if best is None or loo < best[0]:
                best = loo, alpha, model
        loo, alpha, model = best
        error = base[test] + model.predict(K[np.ix_(test, train)]) - energies[test]
        errors.append((np.abs(error).mean(), np.sqrt(np.mean(error**2))))
        print(
            f"split {seed}: {len(train)} + {len(test)} molecules, alpha {alpha:.0e}, leave-one-out MAE {loo:.3f}, "
            f"test MAE {errors[-1][0]:.3f} RMSE {errors[-1][1]:.3f} kcal/mol",
            flush=True,
        )
    (mae, rmse), (mae_std, rmse_std) = np.mean(errors, axis=0), np.std(errors, axis=0)
    print(f"mercer     MAE {mae:.2f} +- {mae_std:.2f}  RMSE {rmse:.2f} +- {rmse_std:.2f} kcal/mol")
    print("published  MAE 0.92          RMSE 1.61 kcal/mol")


if __name__ == "__main__":
    main()
