"""A constant part of the virials that energies do not follow is taken out; virials without one are left alone."""

import mercer
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from mercer import Potential, Term, kernels

SIGMA = {"energy": 1e-3, "forces": 0.02, "virial": 0.02}
TERM = Term(mercer.SOAP(["Cu"], 4.0, 4, 3, 0.5), kernels.Polynomial(zeta=4), delta=2.0, n_sparse=40)


def make_frames(n, offset=0.0, seed=0, strained=True):
    """Copper at several volumes and strains; `offset` in eV per atom on the diagonal of the virial."""
    rng, frames = np.random.default_rng(seed), []
    for _ in range(n):
        atoms = bulk("Cu", cubic=True)
        strain = np.diag(rng.uniform(-0.04, 0.06, 3)) + rng.normal(0, 0.01, (3, 3)) if strained else np.zeros((3, 3))
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
        atoms.positions += rng.normal(0, 0.06, (4, 3))
        atoms.calc = EMT()
        stress = atoms.get_stress(voigt=False)
        atoms.info["REF_energy"], forces = atoms.get_potential_energy(), atoms.get_forces()
        atoms.info["REF_virial"] = (-atoms.get_volume() * stress + offset * len(atoms) * np.eye(3)).ravel()
        atoms.calc = None
        atoms.arrays["REF_forces"] = forces
        frames.append(atoms)
    return frames


@pytest.mark.parametrize("offset", [0.2, -0.15])
def test_an_offset_is_found_and_taken_out(offset):
    frames, plain, test = make_frames(24, offset), make_frames(24), make_frames(8, seed=5)
    potential = Potential(TERM, sigma=SIGMA).fit(frames)
    found = potential.fit_report_["virial_offset"]
    assert abs(found["value"] - offset) <= 0.02 and found["n"] == 24
    given = Potential(TERM, sigma=SIGMA).fit(frames, sparse_points=potential.sparse_points_, virial_offset=offset)
    right = Potential(TERM, sigma=SIGMA).fit(plain, sparse_points=potential.sparse_points_)
    spoiled = Potential(TERM, sigma=SIGMA).fit(frames, sparse_points=potential.sparse_points_, virial_offset=None)
    assert right.fit_report_["virial_offset"] is None and spoiled.fit_report_["virial_offset"] is None
    virial = np.array([atoms.info["REF_virial"] for atoms in test])

    def error(model):
        return np.sqrt(np.mean((model.predict(test)["virial"].reshape(-1, 9) - virial) ** 2))

    assert np.abs(given.weights_ - right.weights_).max() <= 1e-6 * np.abs(right.weights_).max()
    assert error(potential) <= 0.3 * error(spoiled)
    held_out = potential.held_out_["virial"].reshape(-1, 9)[:, [0, 4, 8]]
    labels = np.array([atoms.info["REF_virial"] for atoms in frames])[:, [0, 4, 8]]
    assert abs(np.mean(labels - held_out) / 4 - offset) <= 0.03  # predictions are without it


def test_virials_without_an_offset_are_left_alone():
    for frames in (make_frames(24), make_frames(10, 0.2), make_frames(24, 0.2, strained=False)):
        assert Potential(TERM, sigma=SIGMA).fit(frames).fit_report_["virial_offset"] is None
