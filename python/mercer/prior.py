"""Amplitude of a potential and sigmas of its labels, from a trial fit to some of the data.

Forces say how large the amplitude is (by the evidence) and how far a fit with many more sparse points will miss them.
For energies and virials the evidence is no guide: it treats the misfit of a few hundred energies and of thousands of
force components alike as independent noise, and gives the energies away. Their sigmas, relative to that of forces, are
those with the smallest errors on frames left out.
"""

from __future__ import annotations

import numpy as np

from mercer.errors import ConfigError, DataError
from mercer.models.trial import Trial

#: Amplitudes relative to sigma that are tried.
_RATIOS = 10.0 ** np.arange(-2.0, 6.01, 0.25)
#: Sigmas of energies and virials that are tried, relative to that of forces: lengths in Angstrom.
ENERGY_LENGTHS = (0.003, 0.005, 0.007, 0.01, 0.015, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2)
VIRIAL_LENGTHS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
#: Virials may cost so much of the error of energies and of forces.
VIRIAL_COST = 1.02
#: Fewest frames of a trial, and smallest RMS force that says anything (eV/Angstrom).
FEWEST_FRAMES, SMALLEST_FORCE = 8, 1e-3
#: Smallest sigma of forces, eV/Angstrom.
SMALLEST_SIGMA = 1e-3


def prior_rules(terms, n_sparse, given, frames, labels, *, scaling="sqrt", seed=0):
    """Amplitude and sigmas.

    Parameters
    ----------
    terms : list of Term
        With amplitudes that are to be scaled together.
    n_sparse : int
        Sparse points that the potential will have.
    given : mapping
        {kind: sigma, or None where it is not to be trained on}, of those that are not to be chosen.
    frames, labels
        For training, isolated atoms not among them.
    scaling : str
        `sigma_scaling`.
    seed : int

    Returns
    -------
    amplitude : (float, str) or None
        Factor of all amplitudes, and the reason; None where the data do not say.
    sigma : dict
        {kind: (sigma, reason)}.
    """
    kinds = [
        kind for kind in ("energy", "forces", "virial") if given.get(kind, 0.0) is not None and labels.has(kind).any()
    ]
    forces = labels.forces[np.isfinite(labels.forces)]
    if "forces" not in kinds or len(frames) < FEWEST_FRAMES or np.sqrt(np.mean(forces**2)) < SMALLEST_FORCE:
        return None, {}
    try:
        trial = Trial(terms, frames, labels, scaling=scaling, seed=seed)
    except (DataError, ConfigError):  # the fit itself says what is wrong
        return None, {}
    found = {}
    profile = trial.profile("forces", _RATIOS)
    best = int(np.argmax(profile[:, 0]))
    ratio, misfit = float(_RATIOS[best]), float(profile[best, 1])
    what = f"a trial fit of {trial.rank} points to {trial.n_frames['forces']} frames"
    if given.get("forces"):
        sigma = float(given["forces"])
    else:
        sigma = max(float(f"{misfit * np.sqrt(trial.rank / n_sparse):.2g}"), SMALLEST_SIGMA)
        root = f"times sqrt({trial.rank} / {n_sparse}) for {n_sparse} points"
        why = f"{what} misses forces by {misfit:.3g} eV/Angstrom; {root}"
        found["forces"] = sigma, why if sigma > SMALLEST_SIGMA else f"{why}, but at least {SMALLEST_SIGMA}"
    amplitude = ratio * misfit
    at = {
        "forces": misfit,
        **{kind: value * misfit / sigma for kind, value in given.items() if kind != "forces" and value},
    }
    if "energy" in kinds and "energy" not in at:
        at["energy"], found["energy"] = _of_energies(trial, at, amplitude, sigma, misfit)
    if "virial" in kinds and "virial" not in at:
        at["virial"], found["virial"] = _of_virials(trial, at, amplitude, sigma, misfit, "energy" in kinds)
    why = f"that of the highest evidence of the forces in {what}"
    return (amplitude, why), found


def _of_energies(trial, at, amplitude, sigma, misfit):
    kinds = [kind for kind in ("energy", "forces") if kind in trial.kinds]
    scores = []
    for length in ENERGY_LENGTHS:
        errors = trial.errors(at | {"energy": length * misfit}, amplitude, kinds)
        scores.append(sum(np.log(errors[kind]) for kind in kinds))
    length = ENERGY_LENGTHS[int(np.argmin(scores))]
    why = (
        f"{length:g} Angstrom times sigma.forces, which gives the smallest product of the errors of energies and forces"
    )
    return length * misfit, (float(f"{length * sigma:.2g}"), f"{why} on frames left out of the trial")


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
