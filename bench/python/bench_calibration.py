"""How well predicted standard deviations rank and bound the errors on held-out frames.

    python bench/python/bench_calibration.py --data FOLDER [--n-sparse 300] [--n-train 150] [--n-test 40] [--threads 2]

FOLDER holds train.extxyz and test.extxyz with energies and forces (nickel: the settings are those of
examples/published/nickel.yaml with fewer sparse points). The held-out frames are dealt in turn into two halves; the
scale of the standard deviations comes from one half and the figures from the other, and the other way round. Of the
energies per atom, the force components and the force vectors (norm of the error, against the root of the summed
variances): Spearman's rank correlation of standard deviation and error. Of the first two: the share of errors within
the central 68 and 95 % intervals of a normal distribution.
"""

import argparse
from pathlib import Path

import ase.io
import mercer
import numpy as np
from mercer.kernels import Gaussian, Polynomial
from mercer.structures import read_labels
from scipy.stats import norm, spearmanr


def figures(potential, frames, calibrated_on):
    """{quantity: (number, rank correlation, coverage of 68 %, of 95 %)}."""
    factors = potential.calibrate(calibrated_on, kinds=["energy", "forces"])
    labels = read_labels(frames)
    predicted = potential.predict(frames, std=["energy", "forces"])
    n_atoms = labels.n_atoms
    energy = np.abs(predicted["energy"] - labels.energy) / n_atoms, predicted["energy_std"] / n_atoms
    error, std = np.abs(predicted["forces"] - labels.forces), predicted["forces_std"]
    # components that symmetry fixes have neither an error nor a variance
    free = std > 1e-3 * np.sqrt(np.mean(std**2))
    pairs = {
        "energy per atom": energy,
        "force component": (error[free], std[free]),
        "force vector": (np.linalg.norm(error, axis=1), np.linalg.norm(std, axis=1)),
    }
    found = {}
    for name, (e, s) in pairs.items():
        shares = [float(np.mean(e <= norm.ppf(0.5 + level / 2) * s)) for level in (0.68, 0.95)]
        found[name] = (len(e), float(spearmanr(s, e).statistic), *shares)
    return factors, found


def main():
    """Fit, then both halves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--n-sparse", type=int, default=300)
    parser.add_argument("--n-train", type=int, default=150, help="training frames, evenly over the file")
    parser.add_argument("--n-test", type=int, default=40, help="held-out frames, evenly over the file")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    mercer.set_num_threads(options.threads)
    train, test = (ase.io.read(options.data / f"{name}.extxyz", ":") for name in ("train", "test"))
    train, test = (
        [frames[k] for k in np.unique(np.linspace(0, len(frames) - 1, n).astype(int))]
        for frames, n in ((train, options.n_train), (test, options.n_test))
    )
    species = sorted({symbol for atoms in train for symbol in atoms.get_chemical_symbols()})
    scaling = {"rate": 1, "scale": 3.5, "exponent": 4}
    pair = mercer.PairDistance(species, r_cut=5.0, cutoff_width=1.5)
    soap = mercer.SOAP(species, r_cut=5.0, n_max=8, l_max=6, sigma=0.5, radial_scaling=scaling)
    terms = [
        mercer.Term(pair, Gaussian(length_scale=1.0), delta=1.0, n_sparse=20),
        mercer.Term(soap, Polynomial(zeta=4), delta=1.0, n_sparse=options.n_sparse),
    ]
    potential = mercer.Potential(terms, sigma={"energy": 0.0005, "forces": 0.02}).fit(train)
    print(f"{len(train)} training frames, {len(test)} held out, {len(potential.weights_)} sparse points", flush=True)
    print(f"{'':>8} {'':>16} {'number':>7} {'rank corr.':>10} {'in 68 %':>8} {'in 95 %':>8}")
    for name, reported, calibrated_on in (("half 2", test[1::2], test[::2]), ("half 1", test[::2], test[1::2])):
        factors, found = figures(potential, reported, calibrated_on)
        scale = ", ".join(f"{kind} {factor:.2f}" for kind, factor in factors.items())
        print(f"on {name}, scale from the other: {scale}")
        for quantity, (n, rank, low, high) in found.items():
            shares = "" if quantity == "force vector" else f" {low:8.2f} {high:8.2f}"
            print(f"{'':>8} {quantity:>16} {n:7d} {rank:10.2f}{shares}", flush=True)


if __name__ == "__main__":
    main()
