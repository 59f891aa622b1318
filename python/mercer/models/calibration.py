"""Factors that make standard deviations match errors on frames that a model has not seen, and where they come from."""

from __future__ import annotations

import numpy as np

#: Kinds of standard deviations, and whose factor each takes where none of its own was measured: the covariance behind
#: them is one.
KINDS = {"energy": ("energies", "forces"), "energies": ("energy", "forces"), "forces": ("energy", "energies")}
#: Fewest held-out labels of a kind that give a factor in cross-validation.
FEWEST = 4
#: Ratios from which a quantile is taken.
_QUANTILES = 20
#: Part of a normal distribution within one standard deviation.
_WITHIN = 0.6827
#: Values with less than this part of the typical standard deviation are fixed by symmetry, and say nothing.
_NO_VARIANCE = 1e-3


def known_ratios(error, std):
    """error / standard deviation, where both are known and symmetry leaves a variance: (n,) array."""
    known = np.isfinite(error) & np.isfinite(std)
    if known.any():
        known &= std > _NO_VARIANCE * np.sqrt(np.mean(std[known] ** 2))
    return error[known] / std[known]


def measured(ratio, source):
    """A factor and what it was measured on, of ratios error / standard deviation.

    It puts 68 % of the errors within one standard deviation, whatever the few large ones are: frames that symmetry
    leaves nearly without variance, such as strained crystals, have errors of many of theirs. Of a few ratios, which
    determine no quantile, it is the root mean square.

    Returns
    -------
    dict
        "factor"; "from"; "n", the number of ratios; "within_1" and "within_2", the parts of the errors within one and
        two scaled standard deviations (0.68 and 0.95 of a normal distribution).
    """
    few = len(ratio) < _QUANTILES
    factor = float(np.sqrt(np.mean(ratio**2)) if few else np.quantile(np.abs(ratio), _WITHIN))
    scaled = np.abs(ratio) / max(factor, 1e-300)
    within = {f"within_{k}": float(np.mean(scaled <= k)) for k in (1, 2)}
    return {"factor": factor, "from": source, "n": len(ratio), **within}


def completed(entries):
    """The same with kinds that were not measured, of the nearest kind that was: {kind: entry}, all kinds or none."""
    entries = {kind: entry for kind, entry in entries.items() if entry["factor"] > 0 and "as" not in entry}
    out = dict(entries)
    for kind, others in KINDS.items():
        other = next((name for name in others if name in entries), None)
        if kind not in entries and other is not None:
            out[kind] = {"factor": entries[other]["factor"], "from": entries[other]["from"], "as": other}
    return out


def unknown(factors):
    """Entries of {kind: factor} of a model file that does not say where they come from."""
    return {kind: {"factor": factor, "from": "validation frames"} for kind, factor in factors.items()}


def describe(entries):
    """One line that says how standard deviations are calibrated.

    Examples
    --------
    >>> describe({"energy": {"factor": 2.0, "from": "cross-validation"}})
    'standard deviations are scaled to the errors in cross-validation: energy 2'
    """
    if not entries:
        return "standard deviations are not calibrated, for lack of frames: they may be many times too small"
    entries = {kind: entries[kind] for kind in KINDS if kind in entries}
    parts = [f"{kind} {e['factor']:.3g}" + (f" (as {e['as']})" if "as" in e else "") for kind, e in entries.items()]
    sources = " and ".join(dict.fromkeys(entry["from"] for entry in entries.values()))
    return f"standard deviations are scaled to the errors in {sources}: {', '.join(parts)}"
