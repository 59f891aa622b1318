"""How long a fit takes, from small pieces of it."""

from __future__ import annotations

import time

import numpy as np

from mercer.linalg import SparseSystem
from mercer.models.sparse_points import SparsePoints, count_points
from mercer.models.term import SparseTerm

#: Frames whose rows are made, at most with so many atoms together; sparse points of the two measurements.
_FRAMES, _ATOMS, _FEW, _MORE = 4, 256, 32, 160
#: Rows and sparse points of the system that is solved.
_ROWS, _POINTS = 1024, 400


def fit_seconds(terms, training, n_labels):
    """{"selection", "rows", "solver": seconds} that a fit takes, estimated.

    Parameters
    ----------
    terms : list of Term
    training : FrameData
    n_labels : mapping
        {kind: rows of K}.
    """
    sample = training.take(np.unique(np.linspace(0, len(training) - 1, _FRAMES).astype(int)))
    atoms = np.cumsum(sample.n_atoms)
    sample = sample.take(np.arange(max(1, int(np.searchsorted(atoms, _ATOMS, side="right")))))
    (chunk,) = sample.chunks(np.inf)
    scale = training.offsets[-1] / sample.offsets[-1]
    stages = {"selection": 0.0, "rows": 0.0}
    kinds = tuple(n_labels)
    for term in terms:
        environments, searching = _timed(lambda term=term: chunk.environments(term.descriptor.r_cut))
        X, transform = _timed(lambda term=term, e=environments: term.descriptor.transform(e))
        groups = term.descriptor.rows(environments).groups
        stages["selection"] += scale * (searching + transform)
        seconds = []
        for m in (_FEW, _MORE):
            chosen = np.arange(m) % len(X)
            points = SparsePoints(X[chosen], groups[chosen], np.full((m, 2), -1))
            few = SparseTerm(term, points)
            few.rows(environments, kinds)  # the first call warms up
            seconds.append(_timed(lambda few=few, e=environments: few.rows(e, kinds))[1])
        slope = max(seconds[1] - seconds[0], 0.0) / (_MORE - _FEW)
        per_frames = max(seconds[0] + slope * (count_points(term, training) - _FEW), 0.0)
        stages["rows"] += scale * (searching + per_frames)
    m = sum(count_points(term, training) for term in terms)
    stages["solver"] = _solver_seconds(sum(n_labels.values()), m)
    return {name: float(value) for name, value in stages.items()}


def _solver_seconds(n_rows, m):
    """Whitening and products of n_rows x m, and the factorisations of m x m."""
    few = min(m, _POINTS)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((_ROWS, few))
    K_MM = X.T @ X / _ROWS
    system, factorise = _timed(lambda: SparseSystem(K_MM))
    update = min(_timed(lambda: system.update(X, X[:, 0], 1.0))[1] for _ in range(2))
    solve = _timed(system.solve)[1]
    return update * n_rows / _ROWS * (m / few) ** 2 + (factorise + solve) * (m / few) ** 3


def _timed(function):
    start = time.perf_counter()
    result = function()
    return result, time.perf_counter() - start
