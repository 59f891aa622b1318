"""A constant part of the virials that no potential can follow, as the Pulay stress of plane waves at a fixed cutoff.

The derivative of the energy with strain is what a potential gives; a reference whose basis changes with the cell gives
more. Such an offset is nearly the same isotropic part per atom in all frames: it is seen where a small model, learnt
from energies and forces alone, predicts the virials, and is taken out of them before they are trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mercer.models.row_kinds import stack

#: Frames with energies and virials that are needed, spread of their volumes per atom, and atoms of those looked at.
_FRAMES, _VOLUMES, _ATOMS = 12, 0.01, 3000
#: Sparse points of a term of the small model, at most.
_POINTS = 300
#: Smallest offset (eV per atom) that is taken out; it must be so many times the spread over frames, and the standard
#: deviation that the small model (not calibrated) gives for the mean.
_LEAST, _SPREADS, _DEVIATIONS = 0.03, 3.0, 10.0


def estimate(make_potential, terms, data, r_cut):
    """The offset of the virials of training frames.

    Parameters
    ----------
    make_potential : callable
        make_potential(terms) -> Potential that is trained on energies and forces alone.
    terms : list of Term
    data : FrameData
        With labels less the baseline.
    r_cut : float

    Returns
    -------
    dict or None
        "value", eV per atom and diagonal component (label minus model); "spread" over frames; "n", frames looked at.
        None where there is none, or the data do not determine it.
    """
    chosen = _frames(data)
    if chosen is None:
        return None
    part = data.take(chosen)
    potential = make_potential([_small(term, part) for term in terms]).fit(part.frames, part.labels)
    gives, mean_row = [], 0.0
    for chunk in part.chunks(128):
        environments = chunk.environments(r_cut)
        K = stack([term.rows(environments, ("virial",))["virial"] for term in potential.terms_])
        per_atom = K.reshape(len(chunk.frames), 9, -1)[:, [0, 4, 8]].mean(axis=1) / np.diff(chunk.offsets)[:, None]
        gives.append(per_atom @ potential.weights_)
        mean_row = mean_row + per_atom.sum(axis=0) / len(part)
    labels = np.trace(part.labels.virial, axis1=1, axis2=2) / 3 / part.n_atoms
    differences = labels - np.concatenate(gives)
    value = float(np.median(differences))
    spread = float(1.4826 * np.median(np.abs(differences - value)))
    explained = np.zeros(1)  # of the posterior alone
    deviation = float(np.sqrt(potential.covariance_.variance(mean_row[None], explained)[0]))
    if not abs(value) > max(_LEAST, _SPREADS * spread, _DEVIATIONS * deviation):
        return None
    return {"value": value, "spread": spread, "n": len(part)}


def without(labels, value):
    """Labels less an offset of so many eV per atom."""
    return replace(labels, virial=labels.virial - value * labels.n_atoms[:, None, None] * np.eye(3))


def _frames(data):
    """Frames whose virials are compared, or None where they do not determine an offset."""
    labels = data.labels
    both = np.flatnonzero(labels.has("virial") & labels.has("energy"))
    if len(both) < _FRAMES:
        return None
    volumes = np.array([abs(np.linalg.det(data.frames[f].cell.array)) for f in both]) / data.n_atoms[both]
    if not np.std(volumes) > _VOLUMES * np.mean(volumes):
        return None
    n = max(_FRAMES, int(_ATOMS / np.mean(data.n_atoms[both])))
    return both[np.unique(np.linspace(0, len(both) - 1, min(n, len(both))).astype(int))]


def _small(term, data):
    """The term with few sparse points."""
    n = term.n_sparse
    if isinstance(n, Mapping):
        most = max(1, sum(n.values()))
        return replace(term, n_sparse={z: max(1, min(m, m * _POINTS // most)) for z, m in n.items()})
    return replace(term, n_sparse=max(1, min(n, _POINTS, int(data.offsets[-1]) // 2)))
