"""Errors on frames that were held out, from the factorisation that is there: no frames are lost, no fit is made again.

The rows of each group of frames are folded into a system of their own. Merged, they are the system of all frames; all
but one are that of a model that has not learnt from the frames of one group. What remains of these frames in it is E0
and their sparse points, which say nothing of the labels; where points lie a standard deviation is a little smaller, so
that the factors are a little larger than for other frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mercer.linalg import DenseSystem
from mercer.models.calibration import FEWEST, known_ratios, measured
from mercer.models.term_sums import evaluate, force_deviation, standard_deviation

#: Frames with standard deviations of forces: a part of all, between these numbers; and atoms in each of them.
_FORCE_PART, _FORCE_FRAMES, _FORCE_ATOMS = 0.05, (12, 50), 10


def groups_of(data, n_groups):
    """Groups of frames that are held out together: (n_frames,) int array of numbers below `n_groups`.

    Frames of one config_type and composition are cut into runs of neighbours in the file, for neighbours in a
    trajectory are alike, and the runs are dealt to the groups.
    """
    kinds = {}
    for f in np.argsort(data.origin):
        species, counts = np.unique(data.numbers[data.offsets[f] : data.offsets[f + 1]], return_counts=True)
        kind = str(data.labels.config_type[f]), species.tobytes(), counts.tobytes()
        kinds.setdefault(kind, []).append(f)
    groups, start = np.zeros(len(data), int), 0
    if n_groups < 2:
        return groups
    for members in kinds.values():
        n_runs = min(len(members), n_groups)
        groups[members] = (start + np.arange(len(members)) * n_runs // len(members)) % n_groups
        start += n_runs
    return groups


class HeldOut:
    """The systems of a fit, one for each group that is held out in turn and one for the other frames.

    Parameters
    ----------
    system : SparseSystem
        Without rows.
    groups : (n_frames,) int array
        Of the training frames.
    n_held_out : int
        Groups 0 .. n_held_out - 1 are held out in turn.
    """

    def __init__(self, system, groups, n_held_out):
        self.groups = np.minimum(groups, n_held_out)
        self.n_held_out = n_held_out
        self.systems = [system.empty() for _ in range(n_held_out)] + [system]

    def update(self, frames, K, y, sigma):
        """Fold in rows of K of these training frames: (n_rows,) int array."""
        groups = self.groups[frames]
        for group in np.unique(groups):
            rows = slice(None) if np.all(groups == group) else groups == group
            self.systems[group].update(K[rows], y[rows], sigma[rows])

    def keep(self, K, y, sigma):
        """Fold in rows that are held out with no group."""
        self.systems[-1].update(K, y, sigma)

    def without(self, group):
        """Solution of all frames but those of a group."""
        rest = self.systems[0].empty()
        for k, system in enumerate(self.systems):
            if k != group:
                rest.merge(system)
        return rest.solve()

    def merged(self):
        """The system of all frames; the others are gone."""
        whole = self.systems.pop()
        while self.systems:
            whole.merge(self.systems.pop())
        return whole


@dataclass(frozen=True)
class Predictions:
    """Held-out errors (prediction minus label) of the training frames and their standard deviations, not calibrated.

    Attributes
    ----------
    errors, std : dict of ndarray
        By kind of label, like what `Potential.predict` returns; NaN for what was not held out.
    """

    errors: dict
    std: dict

    @classmethod
    def empty(cls, data, kinds):
        shapes = {"energy": (len(data),), "energies": (len(data.numbers),), "forces": (len(data.numbers), 3)}
        shapes["virial"] = (len(data), 3, 3)
        errors = {kind: np.full(shapes[kind], np.nan) for kind in kinds}
        return cls(errors, {kind: np.full(shapes[kind], np.nan) for kind in kinds if kind != "virial"})

    def calibration(self):
        """{kind: what `calibration.measured` says} of kinds with enough labels."""
        found = {}
        for kind, std in self.std.items():
            ratio = known_ratios(self.errors[kind], std)
            if len(ratio) >= FEWEST:
                found[kind] = measured(ratio, "cross-validation")
        return found

    def in_order(self, labels, origin):
        """Predictions for all frames, as `Potential.predict` gives them without the calibration.

        Parameters
        ----------
        labels : FrameData
            All frames with the labels as they were given.
        origin : (n_frames,) int array
            Which of them the frames held out are.
        """
        out = {}
        for kind, error in self.errors.items():
            given = np.asarray(getattr(labels.labels, kind), float)
            per_frame = kind in ("energy", "virial")
            rows = origin if per_frame else _rows(labels.n_atoms, origin)
            out[kind] = np.full(given.shape, np.nan)
            out[kind][rows] = given[rows] + error
            if kind in self.std:
                out[f"{kind}_std"] = np.full(given.shape, np.nan)
                out[f"{kind}_std"][rows] = self.std[kind]
        return out

    def summary(self, n_atoms):
        """{kind: {"n", "mae", "rmse"}} of the errors, of energies and virials per atom."""
        found = {}
        for kind, error in self.errors.items():
            if kind in ("energy", "virial"):
                error = error / n_atoms.reshape(-1, *[1] * (error.ndim - 1))
            error = error[np.isfinite(error)]
            if len(error):
                rmse = float(np.sqrt(np.mean(error**2)))
                found[kind] = {"n": len(error), "mae": float(np.mean(np.abs(error))), "rmse": rmse}
        return found


def predict_held_out(held_out, terms, data, all_targets, plan, seed, progress):
    """Predictions for the frames of every group by the model that has not seen them.

    Parameters
    ----------
    held_out : HeldOut
    terms : list of SparseTerm
    data : FrameData
        Training frames.
    all_targets : list of Targets
        Theirs: labels less what is known beforehand.
    plan : Plan
    seed : int
        Of the choice of frames whose standard deviations of forces are computed.
    progress : callable

    Returns
    -------
    Predictions
    """
    found = Predictions.empty(data, [target.kind.name for target in all_targets])
    gradients = any(target.kind.gradient for target in all_targets)
    r_cut = max(term.descriptor.r_cut for term in terms)
    of_forces = np.zeros(len(data), bool)
    if "forces" in found.std:
        rng = np.random.default_rng(seed)
        of_forces[_frames_of_forces(held_out, data, rng)] = True
    done, total = 0, int(np.sum(held_out.groups < held_out.n_held_out))
    progress("cross-validation", 0, total)
    for group in range(held_out.n_held_out):
        members = np.flatnonzero(held_out.groups == group)
        if not len(members):
            continue
        part, alone = data.take(members), np.flatnonzero(of_forces[members])
        model = held_out.without(group)
        for chunk in part.chunks(plan.chunk_bytes, plan.frame_bytes[members], [*alone, *(alone + 1)]):
            frames = members[chunk.span]
            environments = chunk.environments(r_cut)
            parts = evaluate(terms, environments, model.weights, gradients)
            for target in all_targets:
                rows = _rows(target.kind.n_rows(data.n_atoms), frames)
                labels = np.where(target.used, target.values, np.nan)[rows]
                found.errors[target.kind.name].reshape(-1)[rows] = target.kind.predicted(chunk, *parts) - labels
            for kind, std in found.std.items():
                if kind != "forces":
                    rows = frames if kind == "energy" else _rows(data.n_atoms, frames)
                    std[rows] = standard_deviation(kind, terms, environments, model.covariance)
                elif of_forces[frames[0]]:
                    n_atoms = len(chunk.numbers)
                    atoms = np.isin(np.arange(n_atoms), rng.permutation(n_atoms)[:_FORCE_ATOMS])
                    rows = _rows(data.n_atoms, frames)[atoms]
                    std[rows] = force_deviation(terms, environments, model.covariance, atoms, plan.chunk_bytes // 16)
        done += len(members)
        progress("cross-validation", done, total)
    for kind, std in found.std.items():
        std[np.isnan(found.errors[kind])] = np.nan
    return found


def _rows(sizes, frames):
    """Rows of these frames, where each frame has so many."""
    starts = np.concatenate([[0], np.cumsum(sizes)])
    return np.concatenate([np.arange(starts[f], starts[f + 1]) for f in frames])


def _frames_of_forces(held_out, data, rng):
    """Some of the frames that are held out, drawn at random."""
    possible = np.flatnonzero(data.labels.has("forces") & (held_out.groups < held_out.n_held_out))
    return rng.permutation(possible)[: int(np.clip(_FORCE_PART * len(data), *_FORCE_FRAMES))]


def leave_out_structures(gram, target, groups):
    """The same in closed form where the rows of K are those of K_MM, `gram`: a full Gaussian process of energies.

    Returns
    -------
    Predictions
    """
    system = DenseSystem(gram, target.sigma**2, jitter="auto")
    variance = system.leave_out_variance(groups) - target.sigma**2
    std = np.sqrt(np.maximum(variance, 0.0))
    return Predictions({"energy": -system.leave_out(target.values, groups)}, {"energy": std})
