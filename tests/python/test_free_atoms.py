"""Free atoms: learnt where there are isolated atoms, so that molecules which are pulled apart become them."""

import mercer
import numpy as np
import pytest
from ase import Atoms
from mercer import kernels
from mercer.descriptors import CoulombMatrix, PairDistance
from mercer.models import Potential, Term, free_atoms

E0 = {"H": -13.0, "O": -430.0}
SOAP = Term(mercer.SOAP(["H", "O"], 3.5, 4, 3, 0.4), kernels.Polynomial(zeta=2), delta=3.0, n_sparse=30)
PAIR = Term(PairDistance(["H", "O"], 3.0), kernels.Gaussian(length_scale=0.7), delta=1.0, n_sparse=20)
SIGMA = {"energy": 0.01}


def water(n, seed=0):
    """Molecules of three atoms, bound by Morse potentials."""
    rng, frames = np.random.default_rng(seed), []
    for _ in range(n):
        atoms = Atoms("OH2", [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
        atoms.positions += rng.normal(0.0, 0.06, (3, 3))
        energy = sum(E0[s] for s in atoms.symbols)
        for bond in (atoms.get_distance(0, 1), atoms.get_distance(0, 2)):
            energy += 5.0 * ((1 - np.exp(-2.0 * (bond - 0.96))) ** 2 - 1)
        if rng.uniform() < 0.3:  # so that the compositions determine E0
            del atoms[2]
            energy -= E0["H"] + 5.0 * ((1 - np.exp(-2.0 * (bond - 0.96))) ** 2 - 1)
        atoms.info["REF_energy"] = energy
        frames.append(atoms)
    return frames


def lone(symbol, energy=None, **info):
    energy = E0[symbol] if energy is None else energy
    return Atoms(symbol, info={"REF_energy": energy, "config_type": "IsolatedAtom", **info})


@pytest.mark.parametrize("terms", [SOAP, PAIR, [PAIR, SOAP]], ids=["soap", "pair", "sum"])
def test_free_atoms_are_exact_and_molecules_become_them(terms):
    potential = Potential(terms, sigma=SIGMA).fit([lone("H"), lone("O"), *water(30)])
    for symbol, energy in E0.items():
        found = potential.predict(Atoms(symbol), std="energy")
        assert abs(found["energy"][0] - energy) <= 3e-4
        assert found["energy_std"][0] <= 2e-4
        entry = potential.fit_report_["free_atoms"][symbol]
        assert entry["label"] == energy and abs(entry["error"]) <= 3e-4
    apart = Atoms("OH2", [[0, 0, 0], [9, 0, 0], [0, 9, 0]])
    assert abs(potential.predict(apart)["energy"][0] - (E0["O"] + 2 * E0["H"])) <= 1e-3
    bound = potential.predict(water(8, seed=5)[-1])["energy"][0]
    assert bound < E0["O"] + E0["H"] - 3.0


def test_without_isolated_atoms_the_energy_is_an_extrapolation():
    potential = Potential(SOAP, sigma=SIGMA).fit(water(30))
    entry = potential.fit_report_["free_atoms"]["H"]
    assert entry["label"] is None and entry["error"] is None and entry["std"] > 0.1
    assert abs(potential.predict(Atoms("H"), forces=False)["energy"][0] - entry["energy"]) <= 1e-9
    lines = free_atoms.describe(potential.fit_report_["free_atoms"])
    assert len(lines) == 1 and "config_type=IsolatedAtom" in lines[0]


def test_another_e0_is_made_up_for():
    """Whatever is subtracted before the fit, the free atom gets the energy of its frame."""
    for e0 in ("lstsq", {"H": -10.0, "O": -435.0}):
        potential = Potential(SOAP, sigma=SIGMA, e0=e0).fit([lone("H"), lone("O"), *water(30)])
        assert abs(potential.predict(Atoms("H"), forces=False)["energy"][0] - E0["H"]) <= 5e-3


def test_sigma_of_free_atoms():
    frames = [lone("H"), lone("O"), *water(20)]
    loose = Potential(SOAP, sigma=SIGMA, config_type_sigma={"IsolatedAtom": {"energy": 2.0}}).fit(frames)
    std = loose.fit_report_["free_atoms"]["H"]["std"]
    assert std > 0.1
    left_out = Potential(SOAP, sigma=SIGMA, config_type_sigma={"IsolatedAtom": {"energy": None}}).fit(frames)
    assert left_out.fit_report_["free_atoms"]["H"]["label"] is None
    assert left_out.e0_ == E0
    own = Potential(SOAP, sigma=SIGMA).fit([lone("H", energy_sigma=1.0), *frames[1:]])
    assert own.fit_report_["free_atoms"]["H"]["std"] > 0.1 > own.fit_report_["free_atoms"]["O"]["std"]
    forces_only = [Atoms(a.numbers, a.positions) for a in frames[2:]]
    for atoms in forces_only:
        atoms.arrays["REF_forces"] = np.full((len(atoms), 3), 0.1)
    silent = Potential(SOAP, sigma={"forces": 0.1}).fit([*frames[:2], *forces_only])
    assert silent.fit_report_["free_atoms"]["H"]["label"] is None


def test_sparse_points_that_are_given_stay_as_they_are():
    frames = [lone("H"), lone("O"), *water(20)]
    chosen = Potential(SOAP, sigma=SIGMA).fit(frames)
    given = Potential(SOAP, sigma=SIGMA).fit(frames, sparse_points=chosen.sparse_points_)
    np.testing.assert_array_equal(given.weights_, chosen.weights_)
    assert len(chosen.weights_) == 32


def test_terms_on_structures_have_none():
    term = Term(CoulombMatrix(3), kernels.Laplacian(length_scale=10.0), n_sparse="all")
    with_atoms = Potential(term, sigma=SIGMA).fit([lone("H"), lone("O"), *water(10)])
    without = Potential(term, sigma=SIGMA, e0=E0).fit(water(10))
    np.testing.assert_array_equal(with_atoms.weights_, without.weights_)
    assert with_atoms.fit_report_["free_atoms"] == {}
