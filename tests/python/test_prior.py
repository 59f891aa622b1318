"""Amplitude and sigmas from a trial fit."""

import re

import mercer
import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from mercer.config import build_terms, load_options
from mercer.defaults import choose
from mercer.models.trial import Trial
from mercer.prior import SMALLEST_SIGMA, make_trials, prior_rules
from mercer.structures import Frames, read_labels


def copper(n=24, noise=0.0, virial=False):
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(n):
        atoms = bulk("Cu", cubic=True) * (2, 1, 1)
        atoms.set_cell(atoms.cell * (1 + rng.normal(0, 0.02)), scale_atoms=True)
        atoms.positions += rng.normal(0, 0.08, atoms.positions.shape)
        atoms.calc = EMT()
        labels = atoms.get_potential_energy(), atoms.get_forces(), -atoms.get_volume() * atoms.get_stress(voigt=False)
        atoms.calc = None
        atoms.info["REF_energy"] = labels[0]
        atoms.arrays["REF_forces"] = labels[1] + rng.normal(0, noise, labels[1].shape) if noise else labels[1]
        if virial:
            atoms.info["REF_virial"] = labels[2]
        frames.append(atoms)
    return Frames(frames)


def molecules(n=24):
    """Ethanol in EMT's energies: one molecule, whose energies differ little."""
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(n):
        atoms = molecule("CH3CH2OH")
        atoms.positions += rng.normal(0, 0.03, atoms.positions.shape)
        atoms.calc = EMT()
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        atoms.calc = None
        atoms.info["REF_energy"], atoms.arrays["REF_forces"] = energy, forces
        frames.append(atoms)
    return Frames(frames)


def terms_of(frames, labels, *given):
    return build_terms(choose(load_options(None, list(given)), frames, labels)[0])


@pytest.fixture(scope="module")
def crystals():
    frames = copper(virial=True)
    labels = read_labels(frames)
    return frames, labels, Trial(terms_of(frames, labels), frames, labels)


def fold_rows(trial, kind, fold, inside):
    phi, y, frame = trial.rows[kind]
    mine = (trial.fold[frame] == fold) == inside
    return phi[mine], y[mine]


def test_errors_are_those_of_fits_without_each_fold(crystals):
    trial = crystals[2]
    sigma, amplitude = {"energy": 0.003, "forces": 0.05, "virial": 0.2}, 1.7
    scale = np.append(np.full(trial.rank, amplitude), 1.0)
    squares, n = dict.fromkeys(sigma, 0.0), dict.fromkeys(sigma, 0)
    for fold in range(trial.n_folds):
        rows = [fold_rows(trial, kind, fold, inside=False) for kind in sigma]
        weights = [np.sqrt(trial.weight[kind]) / sigma[kind] for kind in sigma]
        A = np.concatenate([w * phi for w, (phi, _) in zip(weights, rows, strict=True)]) * scale
        y = np.concatenate([w * part for w, (_, part) in zip(weights, rows, strict=True)])
        v = scale * np.linalg.lstsq(np.vstack([A, np.eye(len(scale))]), np.append(y, np.zeros(len(scale))))[0]
        for kind in sigma:
            phi, part = fold_rows(trial, kind, fold, inside=True)
            squares[kind] += np.sum((phi @ v - part) ** 2)
            n[kind] += len(part)
    found = trial.errors(sigma, amplitude)
    for kind in sigma:
        assert abs(found[kind] / np.sqrt(squares[kind] / n[kind]) - 1) <= 1e-6


def test_evidence_is_that_of_the_gaussian(crystals):
    trial = crystals[2]
    phi, y, _ = trial.rows["forces"]
    phi, ratios = phi[:, :-1], [1.0, 30.0]
    found = trial.profile("forces", ratios)
    for ratio, (evidence, sigma) in zip(ratios, found, strict=True):
        C = np.eye(len(y)) + ratio**2 * phi @ phi.T
        q = y @ np.linalg.solve(C, y)
        assert abs(sigma / np.sqrt(q / len(y)) - 1) <= 1e-6
        expected = -0.5 * (len(y) * np.log(q / len(y)) + np.linalg.slogdet(C)[1])
        assert abs(evidence - expected) <= 1e-6 * abs(expected)


def test_noise_of_forces_is_found():
    frames = copper(n=40, noise=0.3)
    options, _ = choose(load_options(None, [("", ("terms", 0, "n_sparse"), 60)]), frames, read_labels(frames))
    assert 0.2 <= options.sigma.forces <= 0.4


def test_amplitude_of_one_molecule_follows_its_forces():
    frames = molecules()
    labels = read_labels(frames)
    options, notes = choose(load_options(), frames, labels)
    spread = np.std(labels.energy / 9)
    assert options.terms[0].delta >= 100 * spread
    assert "forces" in notes["terms.0.delta"] or "energies" in notes["terms.0.delta"]
    assert options.terms[0].descriptor.radial_scaling["scale"] in (1.5, 2.0)


def test_reasons_give_the_numbers(crystals):
    frames, labels, _ = crystals
    options, notes = choose(load_options(), frames, labels)
    number = r"(\d+(?:\.\d+)?)"
    pattern = rf"by {number} eV/Angstrom, .*times \({number} / {number}\)\^{number} for"
    misfit, few, many, power = map(float, re.search(pattern, notes["sigma.forces"]).groups())
    value = misfit * (few / many) ** power
    assert abs(options.sigma.forces / max(value, SMALLEST_SIGMA) - 1) <= 0.06
    assert ("at least" in notes["sigma.forces"]) == (value < 0.95 * SMALLEST_SIGMA)
    for kind in ("energy", "virial"):
        length = float(re.match(r"([\d.]+) Angstrom times sigma.forces", notes[f"sigma.{kind}"])[1])
        assert abs(getattr(options.sigma, kind) / (length * options.sigma.forces) - 1) <= 0.06


def test_what_is_given_stays_and_the_rest_follows():
    frames = copper()
    labels = read_labels(frames)
    given = [("", ("sigma", "forces"), 0.5), ("", ("terms", 0, "n_sparse"), 20)]
    options, notes = choose(load_options(None, given), frames, labels)
    assert options.sigma.forces == 0.5 and "sigma.forces" not in notes
    assert 0.005 <= options.sigma.energy <= 0.1
    none = choose(load_options(None, [("", ("sigma", "energy"), "none")]), frames, labels)[0]
    assert none.sigma.energy == "none" and none.sigma.values()["energy"] is None
    kept = choose(load_options(None, [("", ("terms", 0, "delta"), 0.123)]), frames, labels)[0]
    assert kept.terms[0].delta == 0.123


def test_virials_that_disagree_count_for_little():
    frames = copper(virial=True)
    rng = np.random.default_rng(1)
    right = choose(load_options(), frames, read_labels(frames))[0]
    for atoms in frames:
        virial = rng.normal(0, 30.0, (3, 3))
        atoms.info["REF_virial"] = virial + virial.T
    wrong = choose(load_options(), frames, read_labels(frames))[0]
    assert wrong.sigma.virial / wrong.sigma.forces >= 5 > right.sigma.virial / right.sigma.forces


def test_a_constant_stress_changes_nothing():
    frames = copper(virial=True)
    labels = read_labels(frames)
    trial = Trial(terms_of(frames, labels), frames, labels)
    sigma = {"energy": 0.003, "forces": 0.05, "virial": 0.05}
    before = trial.errors(sigma)
    for atoms in frames:
        atoms.info["REF_virial"] = atoms.info["REF_virial"] + 0.2 * len(atoms) * np.eye(3)
    after = Trial(terms_of(frames, labels), frames, read_labels(frames)).errors(sigma)
    for kind in sigma:
        assert abs(after[kind] / before[kind] - 1) <= 0.01


def test_threads_change_nothing():
    frames = copper(virial=True)
    labels = read_labels(frames)
    found = []
    for n in (1, 2):
        with mercer.threads(n):
            found.append(choose(load_options(), frames, labels)[0].model_dump())
    assert found[0] == found[1]


def test_without_forces_or_with_few_frames_the_rules_serve():
    frames = copper(4)
    labels = read_labels(frames)
    terms = terms_of(frames, labels)
    assert make_trials([terms], {}, frames, labels) == ([], [])
    frames = copper()
    for atoms in frames:
        del atoms.arrays["REF_forces"]
    labels = read_labels(frames)
    assert make_trials([terms], {}, frames, labels) == ([], [])
    assert "spread of the energies" in choose(load_options(), frames, labels)[1]["sigma.energy"]


def test_amplitude_scales_with_that_of_the_terms(crystals):
    frames, labels, _ = crystals
    found = []
    for delta in (0.1, 3.0):
        terms = terms_of(frames, labels, ("", ("terms", 0, "delta"), delta))
        trial = Trial(terms, frames, labels)
        factor, _, sigma = prior_rules(trial, 100, {})
        found.append((factor * delta, sigma["forces"][0]))
    np.testing.assert_allclose(found[0], found[1], rtol=0.4)
