"""Writes the model files of format 1 that every later version must read, and what they predict.

It was run once, with versions that wrote format 1; the files stay as they are, also when a fit would give others.
"""

import json
import sys
from pathlib import Path

import ase.io
import mercer
import numpy as np
from ase.build import bulk
from mercer import kernels
from mercer.baselines import ZBL
from mercer.descriptors import PairDistance, Triplet

FOLDER = Path(__file__).parent


def frames(n, seed):
    """Rattled silicon carbide with a made-up energy."""
    rng, made = np.random.default_rng(seed), []
    for _ in range(n):
        atoms = bulk("SiC", "zincblende", a=float(rng.uniform(4.2, 4.6)), cubic=True)
        atoms.positions += rng.normal(0.0, 0.1, atoms.positions.shape)
        d = mercer.neighbor_list("d", atoms, 3.0)
        atoms.info["REF_energy"] = float(-6.0 * len(atoms) + np.sum(np.exp(-d) - np.exp(-3.0)))
        made.append(atoms)
    return made


def densities():
    """The first release of format 1."""
    soap = mercer.SOAP(["Si", "C"], r_cut=3.5, n_max=3, l_max=2, sigma=0.5)
    radial = mercer.RadialSpectrum(["Si", "C"], r_cut=4.5, n_max=4, sigma=0.5, radial_basis="laplacian")
    terms = [
        mercer.Term(soap, kernels.Polynomial(zeta=4), delta=0.5, n_sparse=12),
        mercer.Term(radial, kernels.Gaussian(length_scale=0.5), delta=0.2, n_sparse=6, match_species=False),
    ]
    return mercer.Potential(terms, sigma={"energy": 0.01}).fit(frames(20, 0))


def clusters():
    """The last one: clusters, a baseline, parameters that came later, and calibrated error bars."""
    soap = mercer.SOAP(["Si", "C"], r_cut=3.5, n_max=3, l_max=2, sigma=0.5, radial_scaling={"exponent": 2.0})
    terms = [
        mercer.Term(PairDistance(["Si", "C"], 3.5), kernels.Gaussian(0.5, 0.1), delta=1.0, n_sparse=6, selection="fps"),
        mercer.Term(Triplet(["Si", "C"], 2.5), kernels.Gaussian(0.5), delta=0.3, n_sparse=6),
        mercer.Term(soap, kernels.Polynomial(zeta=2), delta=0.2, n_sparse={"Si": 3, "C": 3}),
    ]
    options = {"baseline": ZBL(0.8, 2.2), "config_type_sigma": {"odd": {"energy": 0.1}}}
    potential = mercer.Potential(terms, sigma={"energy": 0.01}, e0={"Si": -4.0, "C": -7.5}, **options)
    potential.fit(frames(12, 0)).calibrate(frames(4, 2))
    return potential


if __name__ == "__main__":
    name = sys.argv[1]
    potential = {"potential_v1": densities, "clusters_v1": clusters}[name]()
    test = frames(3, 1)
    potential.save(FOLDER / f"{name}.safetensors")
    ase.io.write(FOLDER / f"{name}.extxyz", test)
    predicted = potential.predict(ase.io.read(FOLDER / f"{name}.extxyz", ":"), std=True)
    numbers = {key: values.tolist() for key, values in predicted.items()}
    (FOLDER / f"{name}.json").write_text(json.dumps(numbers, indent=1) + "\n")
