"""Fit copper-gold alloys from Python, and look at errors and their predicted standard deviations."""

import mercer
import numpy as np
from mercer.demo import make_frames

frames = make_frames(150, seed=1)  # ase.Atoms with REF_energy and REF_forces; two isolated atoms come first
train, test = frames[:-30], frames[-30:]

soap = mercer.SOAP(
    ["Cu", "Au"], r_cut=5.0, n_max=6, l_max=4, sigma=0.5, radial_scaling={"rate": 1, "scale": 2.5, "exponent": 6}
)
term = mercer.Term(soap, mercer.kernels.Polynomial(zeta=2), delta=2.0, n_sparse=500)
potential = mercer.Potential(term, sigma={"energy": 0.001, "forces": 0.05}).fit(train)

result = potential.predict(test, std=["energy"])
n_atoms = np.array([len(atoms) for atoms in test])
errors = (result["energy"] - [atoms.info["REF_energy"] for atoms in test]) / n_atoms
print(f"E0: {potential.e0_}")
print(f"MAE {1000 * np.abs(errors).mean():.2f} meV/atom, RMSE {1000 * np.sqrt(np.mean(errors**2)):.2f} meV/atom")
forces = np.concatenate([atoms.arrays["REF_forces"] for atoms in test])
print(f"forces: MAE {1000 * np.abs(result['forces'] - forces).mean():.1f} meV/Angstrom")
print(f"median predicted standard deviation {1000 * np.median(result['energy_std'] / n_atoms):.2f} meV/atom")
potential.save("cuau.mercer")
