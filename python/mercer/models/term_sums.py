"""Sums of fitted terms: their energies with gradients, and their standard deviations."""

from __future__ import annotations

import numpy as np

from mercer.models.row_kinds import stack

#: Prior variances of what a standard deviation can be asked for, of one term: (rows,) arrays.
PRIOR_VARIANCES = {
    "energy": lambda term, environments: term.frame_variance(environments),
    "energies": lambda term, environments: term.atom_variance(environments),
    "forces": lambda term, environments: term.force_variance(environments),
}


def evaluate(terms, environments, weights, gradients):
    """Energies of atoms, and derivatives by positions and by strain or None, of SparseTerms with weights (M,)."""
    total = None
    for term, w in zip(terms, np.split(weights, np.cumsum([len(term) for term in terms])[:-1]), strict=True):
        parts = term.evaluate(environments, w, gradients)
        total = parts if total is None else tuple(t if t is None else t + p for t, p in zip(total, parts, strict=True))
    return total


def standard_deviation(kind, terms, environments, covariance):
    """Of a kind of prediction, not calibrated: of frames (n_frames,), atoms (n_atoms,) or forces (n_atoms, 3)."""
    K = stack([term.rows(environments, (kind,))[kind] for term in terms])
    prior = sum(PRIOR_VARIANCES[kind](term, environments) for term in terms)
    std = np.sqrt(covariance.variance(K, prior.reshape(-1)))
    return std.reshape(-1, 3) if kind == "forces" else std


def force_deviation(terms, environments, covariance, atoms, max_bytes=None):
    """Standard deviations of the forces on the atoms of a mask (n_atoms,), not calibrated: (n_wanted, 3)."""
    K = stack([term.rows(environments, ("forces",))["forces"] for term in terms])
    K = K.reshape(len(atoms), -1)[atoms].reshape(-1, K.shape[1])
    prior = sum(term.force_variance(environments, atoms, max_bytes) for term in terms)[atoms]
    return np.sqrt(covariance.variance(K, prior.reshape(-1))).reshape(-1, 3)
