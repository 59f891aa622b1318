"""Held-out errors of a fit are those of fits without the frames, and standard deviations are scaled to them."""

import warnings

import mercer
import numpy as np
import pytest
from ase import Atoms
from mercer import Potential, Term, kernels
from mercer.descriptors import AverageSOAP
from mercer.models.calibration import completed, known_ratios, measured
from mercer.models.cross_validation import groups_of
from mercer.models.frame_data import FrameData

SIGMA = {"energy": 0.01, "forces": 0.05, "virial": 0.05}
TERM = Term(mercer.SOAP(["C", "O"], 3.0, 3, 2, 0.5), kernels.Polynomial(zeta=2), n_sparse=12)
E0 = {"C": -1.0, "O": 0.5}


def make_frames(n, seed=0, kinds=("energy", "forces", "virial"), size=6):
    """Atoms in a box, labelled by springs between all pairs, with noise."""
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(n):
        atoms = Atoms(numbers=rng.permutation([6, 8] * (size // 2)), cell=[4.0, 4.0, 6.0], pbc=True)
        atoms.positions = np.array([(i % 2, i // 2 % 2, i // 4) for i in range(size)]) * 2.0
        atoms.positions += rng.normal(0, 0.15, (size, 3))
        if "energy" in kinds:
            atoms.info["REF_energy"] = float(np.sum(atoms.positions**2)) * 0.1 + rng.normal(0, 0.02)
        if "forces" in kinds:
            atoms.arrays["REF_forces"] = -0.2 * atoms.positions + rng.normal(0, 0.05, (size, 3))
        if "virial" in kinds:
            atoms.info["REF_virial"] = np.diag(rng.normal(0, 0.1, 3)).ravel()
        frames.append(atoms)
    return frames


def groups(frames, n=10):
    return groups_of(FrameData.read_labelled(frames), n)


@pytest.mark.filterwarnings("ignore:standard deviations of")
@pytest.mark.parametrize("solver", ["whitened", "qr", "normal"])
def test_held_out_predictions_are_those_of_fits_without_the_frames(solver):
    frames = make_frames(7) + make_frames(4, seed=1, kinds=("energy",)) + make_frames(3, seed=2, kinds=("forces",))
    potential = Potential(TERM, sigma=SIGMA, e0=E0, solver=solver, cross_validation=3).fit(frames)
    held_out, report = potential.held_out_, potential.fit_report_
    of_frame, starts = groups(frames, 3), np.cumsum([0, *map(len, frames)])
    seen = {key: 0 for key in held_out}
    for group in range(3):
        rest = [atoms for atoms, g in zip(frames, of_frame, strict=True) if g != group]
        other = Potential(TERM, sigma=SIGMA, e0=E0, solver=solver, cross_validation=0)
        other.fit(rest, sparse_points=potential.sparse_points_)
        for f in np.flatnonzero(of_frame == group):
            expected = other.predict(frames[f], std=["energy", "forces"])
            for key, values in held_out.items():
                per_atom = key.startswith("forces")
                mine = values[starts[f] : starts[f + 1]] if per_atom else values[f : f + 1]
                known = np.isfinite(mine)
                factor = potential.calibration_[key.removesuffix("_std")] if key.endswith("_std") else 1.0
                seen[key] += known.sum()
                assert np.all(np.abs(mine - factor * expected[key])[known] <= 1e-7 * max(factor, 1.0)), key
    assert seen == {"energy": 11, "energy_std": 11, "forces": 180, "forces_std": 180, "virial": 42}
    labels = np.array([atoms.info.get("REF_energy", np.nan) for atoms in frames])
    mae = np.nanmean(np.abs(held_out["energy"] - labels)) / 6
    assert abs(report["cross_validation"]["energy"]["mae"] - mae) <= 1e-12
    z = (held_out["energy"] - labels) / held_out["energy_std"]
    assert abs(np.nanmean(z**2) - 1.0) <= 1e-9
    assert report["calibration"]["forces"]["n"] == 180 and report["calibration"]["energies"]["as"] == "energy"


@pytest.mark.filterwarnings("ignore:standard deviations of")
def test_whole_structures_are_left_out_in_closed_form():
    frames = make_frames(12, kinds=("energy",))
    descriptor = AverageSOAP(["C", "O"], 3.0, 3, 2, 0.5)
    term = Term(descriptor, kernels.Gaussian(length_scale=0.5), n_sparse="all")
    potential = Potential(term, sigma={"energy": 0.02}, e0=E0, cross_validation=4).fit(frames)
    of_frame = groups(frames, 4)
    for group in range(4):
        rest = [atoms for atoms, g in zip(frames, of_frame, strict=True) if g != group]
        other = Potential(term, sigma={"energy": 0.02}, e0=E0, cross_validation=0).fit(rest)
        left_out = np.flatnonzero(of_frame == group)
        expected = other.predict([frames[f] for f in left_out], std=["energy"])
        assert np.abs(potential.held_out_["energy"][left_out] - expected["energy"]).max() <= 1e-7
        std = potential.held_out_["energy_std"][left_out] / potential.calibration_["energy"]
        assert np.abs(std - expected["energy_std"]).max() <= 1e-6


def test_groups_are_runs_of_neighbours_of_one_kind():
    frames = make_frames(40, kinds=("energy",)) + make_frames(3, seed=1, kinds=("energy",), size=4)
    for k, atoms in enumerate(frames):
        atoms.info["config_type"] = "melt" if k < 20 else "solid"
    found = groups(frames, 10)
    assert found[:20].tolist() == np.repeat(np.arange(10), 2).tolist()
    assert found[20:40].tolist() == np.repeat(np.arange(10), 2).tolist()
    assert len(set(found[40:])) == 3
    assert set(groups(frames, 0)) == {0}


def test_error_bars_cover_errors_by_default():
    frames, test = make_frames(60), make_frames(60, seed=9)
    potential = Potential(TERM, sigma={"energy": 1e-4, "forces": 1e-3}, e0=E0).fit(frames)
    predicted = potential.predict(test, std=["energy", "forces"])
    for kind in ("energy", "forces"):
        labels = [atoms.info["REF_energy"] if kind == "energy" else atoms.arrays["REF_forces"] for atoms in test]
        z = np.abs(predicted[kind] - (labels if kind == "energy" else np.concatenate(labels)))
        z = z / predicted[f"{kind}_std"]
        assert 0.5 <= np.mean(z <= 1) <= 0.85, kind
        assert 0.85 <= np.mean(z <= 2) <= 1.0, kind
        assert not 0.7 <= np.mean(z * potential.calibration_[kind] <= 2) <= 0.98, kind  # without the factor


def test_uncalibrated_standard_deviations_are_said_once(tmp_path):
    frames = make_frames(12)
    potential = Potential(TERM, sigma=SIGMA, cross_validation=0).fit(frames)
    assert potential.calibration_ == {} and potential.held_out_ == {}
    potential.predict(frames)
    with pytest.warns(UserWarning, match="standard deviations of energy and energies are not calibrated"):
        potential.predict(frames, std=True)
    potential.save(tmp_path / "model")
    loaded = mercer.load(tmp_path / "model")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        potential.predict(frames, std=True)  # once only
        Potential(TERM, sigma=SIGMA).fit(frames).predict(frames, std=["energy", "energies", "forces"])
    atoms = frames[0].copy()
    atoms.calc = loaded.calculator(std="energies")
    with pytest.warns(UserWarning, match="standard deviations of energies are not calibrated"):
        atoms.get_potential_energy()


def test_few_frames_give_no_factor():
    assert Potential(TERM, sigma={"energy": 0.01}).fit(make_frames(3, kinds=("energy",))).calibration_ == {}
    assert Potential(TERM, sigma={"energy": 0.01}).fit(make_frames(4, kinds=("energy",))).calibration_["energy"] > 0
    assert Potential(TERM, sigma=SIGMA, e0=E0).fit(make_frames(1, size=12)).calibration_ == {}


def test_factors_are_kept_with_the_model(tmp_path):
    frames, test = make_frames(12), make_frames(2, seed=5)
    potential = Potential(TERM, sigma=SIGMA).fit(frames)
    potential.save(tmp_path / "model")
    loaded = mercer.load(tmp_path / "model")
    assert loaded.calibration_ == potential.calibration_ and set(loaded.calibration_) == {
        "energy",
        "energies",
        "forces",
    }
    assert loaded.fit_report_["calibration"]["forces"]["from"] == "cross-validation"
    for key, values in potential.predict(test, std=["energies", "forces"]).items():
        assert np.array_equal(loaded.predict(test, std=["energies", "forces"])[key], values)
    forces = loaded.calibration_["forces"]
    loaded.calibrate(make_frames(9, seed=6), kinds=["energy"])
    report = loaded.fit_report_["calibration"]
    assert loaded.calibration_["forces"] == forces and report["energy"]["from"] == "validation frames"
    assert loaded.calibration_["energies"] == loaded.calibration_["energy"]


def test_factors_of_one_kind_serve_others_and_symmetry_says_nothing():
    entries = completed({"forces": measured(np.linspace(-3, 3, 101), "cross-validation")})
    assert {entry["factor"] for entry in entries.values()} == {entries["forces"]["factor"]}
    assert entries["energy"]["as"] == "forces" and completed({}) == {}
    assert completed({"energy": {"factor": 0.0, "from": "cross-validation"}}) == {}
    ratios = known_ratios(np.array([1.0, 1e-9, np.nan, 2.0]), np.array([0.5, 1e-12, 1.0, np.nan]))
    assert ratios.tolist() == [2.0]


def test_memory_of_groups_is_in_the_plan():
    frames = make_frames(12)
    potential = Potential(TERM, sigma=SIGMA, max_memory="60MB").fit(frames)
    assert potential.calibration_["energy"] > 0
    more = Potential(TERM, sigma=SIGMA).estimate(frames)["memory"]
    less = Potential(TERM, sigma=SIGMA, cross_validation=0).estimate(frames)["memory"]
    assert more - less == 8 * 12**2 * 11
