"""Default models at short distances: dimers of all pairs of elements and compressed crystals rise."""

import itertools
import logging
import warnings

import ase.io
import mercer
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.morse import MorsePotential
from mercer import kernels
from mercer.baselines import ZBL
from mercer.cli import main
from mercer.defaults import repulsive_pairs, shortest_distances
from mercer.errors import ConfigError
from mercer.linalg import SparseSystem
from mercer.models import Potential, Term, short_range
from mercer.structures import as_frames, compressed


def labelled(atoms, calculator):
    atoms.calc = calculator
    atoms.info["REF_energy"] = atoms.get_potential_energy()
    atoms.arrays["REF_forces"] = atoms.get_forces()
    atoms.calc = None
    return atoms


def metal(seed=0):
    frames = []
    for k in range(10):
        atoms = bulk("Cu", cubic=True, a=float(np.random.default_rng(k).uniform(3.4, 3.9))) * (2, 1, 1)
        atoms.rattle(0.12, seed=seed + k)
        frames.append(labelled(atoms, EMT()))
    return frames


def alloy():
    frames = []
    for k in range(16):
        atoms = bulk("Cu", cubic=True, a=3.9) * (2, 1, 1)
        atoms.numbers[np.random.default_rng(k).permutation(8)[: 2 + k % 5]] = 79
        atoms.rattle(0.1, seed=k)
        frames.append(labelled(atoms, EMT()))
    return frames


def argon():
    frames = []
    for k in range(8):
        atoms = bulk("Ar", cubic=True, a=5.3)
        atoms.rattle(0.2, seed=k)
        frames.append(labelled(atoms, LennardJones(sigma=3.4, epsilon=0.0104, rc=7.0)))
    return frames


def dimers_and_crystals():
    calculator = MorsePotential(epsilon=1.0, r0=2.5, rho0=5.0, rcut1=4.0, rcut2=5.0)
    frames = [labelled(Atoms("Al2", [[0, 0, 0], [r, 0, 0]]), calculator) for r in np.linspace(1.9, 5.0, 12)]
    for k in range(6):
        atoms = bulk("Al", cubic=True, a=3.6)
        atoms.rattle(0.1, seed=k)
        frames.append(labelled(atoms, calculator))
    return frames


def molecules():
    frames = []
    for k in range(20):
        atoms = molecule("H2O" if k % 2 else "CH4")
        atoms.rattle(0.05, seed=k)
        frames.append(labelled(atoms, MorsePotential(epsilon=1.0, r0=1.1, rho0=3.0, rcut1=3.0, rcut2=4.0)))
    return frames


SETS = {f.__name__: f for f in (metal, alloy, argon, dimers_and_crystals, molecules)}
SMALL = ["--n-sparse", "30", "--threads", "1", "--quiet", "--no-error-bars"]
SMALL += ["--set", "terms.0.descriptor.n_max=5", "--set", "terms.0.descriptor.l_max=3"]


@pytest.fixture(scope="module", params=SETS)
def fitted(request, tmp_path_factory):
    """(training frames, the model that `mercer fit` makes of them, its folder)."""
    folder, frames = tmp_path_factory.mktemp(request.param), SETS[request.param]()
    ase.io.write(folder / "train.extxyz", frames)
    assert main(["fit", str(folder / "train.extxyz"), "-o", str(folder / "run"), *SMALL]) == 0
    return frames, mercer.load(folder / "run" / "model.mercer"), folder


def test_dimers_of_all_pairs_rise(fitted):
    frames, potential, _ = fitted
    elements = sorted({symbol for atoms in frames for symbol in atoms.symbols})
    for a, b in itertools.combinations_with_replacement(elements, 2):
        r = np.arange(3.0, 0.49, -0.02)
        pair = [Atoms([a, b], [[0, 0, 0], [x, 0, 0]]) for x in r]
        with warnings.catch_warnings():  # of a composition that least squares did not determine: a constant
            warnings.simplefilter("ignore", UserWarning)
            energy = potential.predict(pair, forces=False)["energy"]
        lowest = int(np.argmin(energy))
        assert np.diff(energy[lowest:]).min() > 0, (a, b, r[lowest:-1][np.diff(energy[lowest:]) <= 0])
        assert energy[-1] - energy[lowest] > 5.0, (a, b)  # steeply
        force = -np.diff(energy[-4:]).mean() / 0.02
        assert force < -20.0


def test_crystals_resist_to_a_third_of_their_volume(fitted):
    frames, potential, _ = fitted
    crystals = [atoms for atoms in frames if atoms.pbc.all()]
    for atoms in crystals[:1] + crystals[-1:]:
        scaled = []
        for volume in np.linspace(1.0, 1 / 3, 80):
            scaled.append(atoms.copy())
            scaled[-1].set_cell(atoms.cell.array * np.cbrt(volume), scale_atoms=True)
        pressure = -potential.predict(scaled)["stress"][:, :3].mean(axis=1)
        assert np.diff(pressure).min() > 0


def test_the_wall_is_away_from_the_data(fitted):
    """Nothing is taken from the labels of training frames."""
    frames, potential, _ = fitted
    (zbl,) = potential.baselines_
    assert zbl.pairs
    for part in zbl.evaluate(frames):
        assert np.abs(part).max() == 0.0


def test_the_log_says_what_was_done_and_the_configuration_repeats_it(fitted, tmp_path):
    _, potential, folder = fitted
    log = (folder / "run" / "fit.log").read_text()
    done = potential.fit_report_["short_range"]
    assert all(entry["rises"] for entry in done.values())
    assert ("which are mended" in log) == bool(done)
    command = ["fit", "--config", str(folder / "run" / "config.yaml"), "--quiet", "--output", str(tmp_path / "again")]
    assert main(command) == 0
    np.testing.assert_array_equal(mercer.load(tmp_path / "again" / "model.mercer").weights_, potential.weights_)


def test_it_can_be_switched_off(tmp_path):
    ase.io.write(tmp_path / "train.extxyz", metal())
    arguments = ["fit", str(tmp_path / "train.extxyz"), *SMALL]
    assert main([*arguments, "--baseline", "none", "-o", str(tmp_path / "none")]) == 0
    none = mercer.load(tmp_path / "none" / "model.mercer")
    assert none.baselines_ == () and not none.repulsive and len(none.weights_) == 30
    assert main([*arguments, "--set", "repulsive=false", "-o", str(tmp_path / "zbl")]) == 0
    zbl = mercer.load(tmp_path / "zbl" / "model.mercer")
    assert zbl.baselines_ and not zbl.repulsive and len(zbl.weights_) == 30
    np.testing.assert_array_equal(none.weights_, zbl.weights_)


def test_distances_of_pairs():
    frames = as_frames(molecules())
    found = shortest_distances(frames)
    assert set(found) == {(1, 1), (1, 6), (1, 8), (6, 6), (6, 8), (8, 8)}
    shortest = min(atoms.get_distance(0, k) for atoms in frames for k in range(1, len(atoms)) if atoms.numbers[0] == 6)
    assert abs(found[1, 6] - shortest) <= 1e-9 and np.isinf(found[6, 8])
    pairs = repulsive_pairs(frames)
    assert abs(pairs["C-H"][1] - 0.95 * shortest) <= 1e-3
    assert 1.0 < pairs["O-O"][1] < 1.4  # from covalent radii
    assert all(0 < inner < outer for inner, outer in pairs.values())


def test_needs_a_repulsion_and_terms_of_atoms():
    soap = Term(mercer.SOAP(["Cu"], 4.0, 3, 2, 0.5), kernels.Polynomial(zeta=2), n_sparse=10)
    with pytest.raises(ConfigError, match="repulsive=True needs baseline"):
        Potential(soap, repulsive=True)
    whole = Term(mercer.descriptors.CoulombMatrix(4), kernels.Laplacian(length_scale=1.0))
    with pytest.raises(ConfigError, match="no terms on structures"):
        Potential(whole, repulsive=True, baseline=ZBL())


def test_what_is_mended_is_logged_and_costs_nothing_on_the_labels(caplog):
    soap = Term(mercer.SOAP(["Cu"], 4.5, 6, 4, 0.5), kernels.Polynomial(zeta=4), delta=5.0, n_sparse=60)
    sigma, zbl, frames = {"energy": 1e-3, "forces": 1e-2}, ZBL(1.0, 2.0), metal()
    plain = Potential(soap, sigma=sigma, baseline=zbl).fit(frames)
    with caplog.at_level(logging.INFO, logger="mercer"):
        mended = Potential(soap, sigma=sigma, baseline=zbl, repulsive=True).fit(frames)
    assert mended.fit_report_["short_range"] and "short range: " in caplog.text and ": mended" in caplog.text
    volumes = np.linspace(1.0, 1 / 3, 25)
    pressure = [-p.predict(compressed(frames[0], volumes))["stress"][:, :3].mean(axis=1) for p in (plain, mended)]
    assert np.diff(pressure[0]).min() < np.diff(pressure[1]).min() and np.diff(pressure[1]).min() > 0
    for kind in ("energy", "forces"):
        before, after = (p.fit_report_["residuals"][kind]["rmse"] for p in (plain, mended))
        assert after <= 1.1 * before


def test_conditioning_is_that_of_more_labels():
    rng = np.random.default_rng(0)
    x, more = rng.uniform(0, 1, 40)[:, None], np.array([[1.2], [1.3]])
    points = np.linspace(0, 1.3, 9)[:, None]

    def k(a, b):
        return np.exp(-((a - b.T) ** 2) / 0.1)

    first, all_rows = SparseSystem(k(points, points)), SparseSystem(k(points, points))
    for system in (first, all_rows):
        system.update(k(x, points), np.sin(5 * x[:, 0]), 0.05)
    all_rows.update(k(more, points), np.array([1.0, 2.0]), np.array([0.1, 0.2]))
    solution = first.solve()
    residual = np.array([1.0, 2.0]) - k(more, points) @ solution.weights
    change = solution.covariance.condition(k(more, points), residual, np.array([0.1, 0.2]))
    found, expected = (k(x, points) @ w for w in (solution.weights + change, all_rows.solve().weights))
    assert np.abs(change).max() > 1e-3
    assert np.abs(found - expected).max() <= 1e-8


def test_lines_of_the_log():
    assert short_range.describe({}) == []
    entry = {"from": 1.5, "changed": 0.3}
    lines = short_range.describe({"a": entry | {"rises": True}, "b": entry | {"rises": False}})
    assert ["mended" in line for line in lines] == [True, False]
