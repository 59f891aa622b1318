"""Writes the model file of format 1 that every later version must read, and what it predicts.

It was run once; the files stay as they are, also when a fit would give other numbers.
"""

import json
from pathlib import Path

import ase.io
import mercer
import numpy as np
from ase.build import bulk
from mercer import kernels

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


if __name__ == "__main__":
    soap = mercer.SOAP(["Si", "C"], r_cut=3.5, n_max=3, l_max=2, sigma=0.5)
    radial = mercer.RadialSpectrum(["Si", "C"], r_cut=4.5, n_max=4, sigma=0.5, radial_basis="laplacian")
    terms = [
        mercer.Term(soap, kernels.Polynomial(zeta=4), delta=0.5, n_sparse=12),
        mercer.Term(radial, kernels.Gaussian(length_scale=0.5), delta=0.2, n_sparse=6, match_species=False),
    ]
    potential = mercer.Potential(terms, sigma={"energy": 0.01}).fit(frames(20, 0))
    test = frames(3, 1)
    potential.save(FOLDER / "potential_v1.safetensors")
    ase.io.write(FOLDER / "potential_v1.extxyz", test)
    predicted = potential.predict(ase.io.read(FOLDER / "potential_v1.extxyz", ":"), std=True)
    numbers = {key: values.tolist() for key, values in predicted.items()}
    (FOLDER / "potential_v1.json").write_text(json.dumps(numbers, indent=1) + "\n")
