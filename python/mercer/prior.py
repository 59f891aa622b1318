"""Amplitude of a potential and sigmas of its labels, from a trial fit to some of the data.

Forces say how large the amplitude is (by the evidence) and how far a fit with many more sparse points will miss them.
For energies and virials the evidence is no guide: it treats the misfit of a few hundred energies and of thousands of
force components alike as independent noise, and gives the energies away. Their sigmas, relative to that of forces, are
those with the smallest errors on frames left out.
"""

from __future__ import annotations

import numpy as np

from mercer.errors import ConfigError, DataError
from mercer.models.trial import KINDS, Trial

#: Amplitudes relative to sigma that are tried.
_RATIOS = 10.0 ** np.arange(-2.0, 6.01, 0.25)
#: Sigmas of energies and virials that are tried, relative to that of forces: lengths in Angstrom.
ENERGY_LENGTHS = (0.01, 0.015, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2)
VIRIAL_LENGTHS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
#: Of lengths that are as good to this part of the product of both errors, the smallest is taken: it favours energies.
ENERGY_LEANING = 0.06
#: Ratios of the amplitude to the sigma of forces that are tried, a quarter of a decade apart, and by how much the
#: largest one may be worse than the best.
N_RATIOS, RATIO_LEANING = 9, 0.05
#: Virials may cost so much of the error of energies and of forces.
VIRIAL_COST = 1.02
#: Fewest frames of a trial, and smallest RMS force that says anything (eV/Angstrom).
FEWEST_FRAMES, SMALLEST_FORCE = 8, 1e-3
#: Most that the misfit is taken to fall with the number of sparse points, as a power; noise of labels does not fall.
MOST_POWER = 0.5
#: Smallest sigma of forces, eV/Angstrom.
SMALLEST_SIGMA = 1e-3


def make_trials(candidates, given, frames, labels, *, scaling="sqrt", seed=0):
    """Trial fits of sums of terms.

    Parameters
    ----------
    candidates : list of list of Term
        Amplitudes of the terms of a sum are to be scaled together.
    given : mapping
        {kind: sigma, or None where it is not to be trained on}, of those that are not to be chosen.
    frames, labels
        For training, isolated atoms not among them.
    scaling : str
        `sigma_scaling`.
    seed : int

    Returns
    -------
    trials : list of Trial
        One of each candidate. Empty where the data are too few, or have no forces to judge by.
    scores : list of float
        Logarithms of the product of the errors of energies and forces on frames left out, of several candidates.
    """
    forces = labels.forces[np.isfinite(labels.forces)]
    trained = given.get("forces", 0.0) is not None and len(forces) > 0
    if not trained or len(frames) < FEWEST_FRAMES or np.sqrt(np.mean(forces**2)) < SMALLEST_FORCE:
        return [], []
    kinds = [kind for kind in KINDS if given.get(kind, 0.0) is not None]
    try:
        trials = [Trial(terms, frames, labels, kinds, scaling=scaling, seed=seed) for terms in candidates]
    except (DataError, ConfigError):  # the fit itself says what is wrong
        return [], []
    return trials, [_best_score(trial) for trial in trials] if len(trials) > 1 else []


def _best_score(trial):
    """Logarithm of the product of the errors of energies and forces, with the best of a few sigmas."""
    profile = trial.profile("forces", _RATIOS)
    ratio = _RATIOS[int(np.argmax(profile[:, 0]))]
    kinds = [kind for kind in ("energy", "forces") if kind in trial.kinds]
    errors = [trial.errors({"forces": 1.0, "energy": length}, ratio, kinds) for length in ENERGY_LENGTHS[2:5]]
    return min(sum(np.log(e[kind]) for kind in kinds) for e in errors)


def prior_rules(trial, n_sparse, given):
    """Amplitude and sigmas from a trial fit.

    Parameters
    ----------
    trial : Trial
        With forces.
    n_sparse : int
        Sparse points that the potential will have.
    given : mapping
        {kind: sigma, or None where it is not to be trained on}, of those that are not to be chosen.

    Returns
    -------
    amplitude : float
        Factor of the amplitudes of the terms of the trial.
    reason : str
    sigma : dict
        {kind: (sigma, reason)}.
    """
    kinds = trial.kinds
    found = {}
    profile = trial.profile("forces", _RATIOS)
    best = int(np.argmax(profile[:, 0]))
    ratio, misfit = float(_RATIOS[best]), float(profile[best, 1])
    what = f"a trial fit of {trial.rank} points to {trial.n_frames['forces']} frames"
    if given.get("forces"):
        sigma = float(given["forces"])
    else:
        half = float(trial.profile("forces", _RATIOS[best : best + 1], trial.rank // 2)[0, 1])
        power = float(np.clip(np.floor(100 * np.log2(half / misfit)) / 100, 0.0, MOST_POWER))
        fewer = min(trial.rank, n_sparse)
        sigma = max(float(f"{misfit * (fewer / n_sparse) ** power:.2g}"), SMALLEST_SIGMA)
        why = (
            f"{what} misses forces by {misfit:.3g} eV/Angstrom, with half the points by {half:.3g}; times "
            f"({fewer} / {n_sparse})^{power:.2f} for {n_sparse} points"
        )
        found["forces"] = sigma, why if sigma > SMALLEST_SIGMA else f"{why}, but at least {SMALLEST_SIGMA}"
    at = {kind: value * misfit / sigma for kind, value in given.items() if value} | {"forces": misfit}
    why = f"forces have their highest evidence with it in {what}"
    if "energy" in kinds:
        lengths = ENERGY_LENGTHS if "energy" not in at else (at["energy"] / misfit,)
        ratio, scores, lowered = _ratio_and_scores(trial, at, ratio, lengths)
        if lowered:
            why = (
                "the largest one at which the product of the errors of energies and forces, on frames left out of "
                f"{what}, is within {100 * RATIO_LEANING:.0f} % of the least"
            )
        if "energy" not in at:
            at["energy"], found["energy"] = _of_energies(scores, sigma, misfit)
    amplitude = ratio * misfit
    if "virial" in kinds and "virial" not in at:
        at["virial"], found["virial"] = _of_virials(trial, at, amplitude, sigma, misfit, "energy" in kinds)
    return amplitude, why, found


def _ratio_and_scores(trial, at, most, lengths):
    """Ratio of the amplitude to the sigma of forces; scores of `lengths` with it; whether it is below `most`.

    The larger ratio of those that are nearly as good is taken: more sparse points than those of the trial need it.
    """
    ratios = most * 10.0 ** (-0.25 * np.arange(N_RATIOS))
    scores = np.empty((len(ratios), len(lengths)))
    for i, ratio in enumerate(ratios):
        for k, length in enumerate(lengths):
            errors = trial.errors(at | {"energy": length * at["forces"]}, ratio * at["forces"], ("energy", "forces"))
            scores[i, k] = np.log(errors["energy"]) + np.log(errors["forces"])
    best = int(np.flatnonzero(scores.min(axis=1) <= scores.min() + np.log1p(RATIO_LEANING))[0])
    return float(ratios[best]), scores[best], best > 0


def _of_energies(scores, sigma, misfit):
    length = ENERGY_LENGTHS[int(np.flatnonzero(scores <= scores.min() + np.log1p(ENERGY_LEANING))[0])]
    why = (
        f"{length:g} Angstrom times sigma.forces: the smallest length for which the product of the errors of energies "
        f"and forces, on frames left out of the trial fit, is within {100 * ENERGY_LEANING:.0f} % of the least"
    )
    return length * misfit, (float(f"{length * sigma:.2g}"), why)


def _of_virials(trial, at, amplitude, sigma, misfit, with_energies):
    guarded = ["energy", "forces"] if with_energies else ["forces"]
    without = trial.errors(at, amplitude, guarded)
    allowed = []
    for length in VIRIAL_LENGTHS:
        errors = trial.errors(at | {"virial": length * misfit}, amplitude)
        worst = max(errors[kind] / without[kind] for kind in guarded)
        score = sum(np.log(errors[kind]) for kind in [*guarded, "virial"])
        allowed.append((worst > VIRIAL_COST, worst if worst > VIRIAL_COST else score, length))
    refused, _, length = min(allowed)
    why = f"{length:g} Angstrom times sigma.forces: "
    if refused:
        why += "virials and forces do not agree in the trial, so virials count for little"
    else:
        why += (
            f"the smallest errors on frames left out of the trial, where energies and forces lose at most "
            f"{100 * (VIRIAL_COST - 1):.0f} %"
        )
    return length * misfit, (float(f"{length * sigma:.2g}"), why)
