"""A small fit whose sigmas and amplitude can be changed at no cost: what the settings of the large one are chosen by.

The whitened rows Phi = K_LM L^-T of few frames and few sparse points are summed once, by fold of frames and kind of
label: A = Phi^T Phi, b = Phi^T y, y^T y. Another sigma s of a kind, and another amplitude d, scale these sums by
d^2 / s^2, so that a fit with them, its evidence and its errors on folds left out cost one factorisation each of a small
matrix.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mercer.linalg import one_blas_thread, whitening_factor
from mercer.models.frame_data import FrameData
from mercer.models.potential import _block_diagonal
from mercer.models.row_kinds import ROW_KINDS, stack
from mercer.models.sparse_points import choose_points
from mercer.models.term import SparseTerm
from mercer.structures import symbols
from mercer.targets import SIGMA_SCALINGS, count_species, resolve_e0

KINDS = "energy", "forces", "virial"
#: Sparse points of the trial, of all terms together.
N_POINTS = 240
#: Frames and atoms whose energies are looked at, and atoms of the frames whose forces and virials are too.
MOST_FRAMES, MOST_ATOMS, MOST_GRADIENT_ATOMS = 400, 12_000, 1_500
#: Fewest frames with forces and virials, however large they are.
FEWEST_FRAMES = 10
N_FOLDS = 5
#: Standard deviation that a constant virial per atom may have beside the model, eV.
OFFSET = 10.0
_CHUNK = 32


@dataclass(frozen=True, eq=False)
class Sums:
    """Products of whitened rows of one kind of label in one fold."""

    gram: np.ndarray
    rhs: np.ndarray
    squares: float
    n: int


class Trial:
    """Sums of a small fit.

    Parameters
    ----------
    terms : list of Term
        Of the amplitudes that scale factors are relative to.
    frames : Frames
    labels : Labels
        Of these frames, isolated atoms not among them.
    kinds : collection of str
        Of the labels that are looked at.
    scaling : str
        `sigma_scaling`.
    seed : int

    Attributes
    ----------
    kinds : list of str
        "energy", "forces", "virial", of those that there are.
    rank : int
        Sparse points.
    n_frames : dict
        {kind: frames with such labels}.
    weight : dict
        {kind: how many rows one row stands for}: fewer frames are looked at for forces than for energies.
    """

    @one_blas_thread
    def __init__(self, terms, frames, labels, kinds=KINDS, *, scaling="sqrt", seed=0):
        self.scaling = SIGMA_SCALINGS[scaling]
        rng = np.random.default_rng(seed)
        data = FrameData.read_labelled(frames, labels)
        with_gradients, with_energies = _looked_at(data, rng)
        chosen = np.union1d(with_gradients, with_energies)
        self.data = data = data.take(chosen)
        gradients = np.isin(chosen, with_gradients)
        self.config_type = np.asarray(data.labels.config_type)
        n_points = min(N_POINTS, len(data.numbers) // 2 or 1)
        points = []
        for t, term in enumerate(terms):
            small = replace(term, n_sparse=max(1, n_points // len(terms)))
            points.append(choose_points(small, data, (seed, t), 2000))
        self.terms = [SparseTerm(term, p) for term, p in zip(terms, points, strict=True)]
        self.whitening = whitening_factor(_block_diagonal([term.gram() for term in self.terms]))
        self.rank = self.whitening.rank
        self.kinds = [kind for kind in KINDS if kind in kinds and np.any(data.labels.has(kind))]
        self.fold = rng.permutation(len(data)) % min(N_FOLDS, len(data))
        self.n_folds = int(self.fold.max()) + 1
        self.rows = {kind: self._rows(kind, gradients) for kind in self.kinds}
        self.kinds = [kind for kind in self.kinds if len(self.rows[kind][1])]
        self.sums = {
            (fold, kind): _sums(*(part[self.fold[self.rows[kind][2]] == fold] for part in self.rows[kind][:2]))
            for kind in self.kinds
            for fold in range(self.n_folds)
        }
        self.n_frames = {kind: len(np.unique(self.rows[kind][2])) for kind in self.kinds}
        most = max(self.n_frames.values(), default=0)
        self.weight = {kind: most / n for kind, n in self.n_frames.items()}

    def _rows(self, kind, gradients):
        """Whitened rows, labels and frames of one kind; energies and virials divided by the scale of their sigmas."""
        made = ROW_KINDS[kind]
        use = self.data.labels.has(kind) & (gradients if made.gradient else True)
        part = self.data.take(np.flatnonzero(use))
        y = made.values(part, self._e0())
        width = self.rank + 1
        n_rows = made.n_rows(part.n_atoms)
        frame = np.repeat(np.flatnonzero(use), n_rows)
        phi = np.zeros((len(y), width))
        r_cut = max(term.descriptor.r_cut for term in self.terms)
        for chunk in part.chunks(_CHUNK * 8):
            environments = chunk.environments(r_cut)
            K = stack([term.rows(environments, (kind,))[kind] for term in self.terms])
            phi[made.span(chunk), :-1] = self.whitening.whiten(K)
        if kind == "virial":
            phi[:, -1] = OFFSET * (np.repeat(part.n_atoms, n_rows) * np.tile(np.eye(3).ravel(), len(part)))
        if kind != "forces":
            scale = np.repeat(self.scaling(part.n_atoms), n_rows)
            phi, y = phi / scale[:, None], y / scale
        known = np.isfinite(y)
        return phi[known], y[known], frame[known]

    def _e0(self):
        data = self.data
        species = np.unique(data.numbers)
        known = data.labels.has("energy")
        counts = count_species(data.numbers, data.offsets, species)[known]
        names = lambda z: symbols([z])[0]  # noqa: E731
        return resolve_e0("auto", species, counts, data.labels.energy[known], {}, symbols=names)

    def _system(self, sigma, amplitude, kinds, skip=None):
        gram, rhs = np.zeros((self.rank + 1, self.rank + 1)), np.zeros(self.rank + 1)
        for (fold, kind), part in self.sums.items():
            if kind in kinds and fold != skip:
                weight = self.weight[kind] / sigma[kind] ** 2
                gram += weight * part.gram
                rhs += weight * part.rhs
        scale = np.append(np.full(self.rank, amplitude), 1.0)
        gram *= scale * scale[:, None]
        gram[np.diag_indices_from(gram)] += 1.0
        return gram, rhs * scale, scale

    def weights(self, sigma, amplitude=1.0, skip=None, kinds=None):
        """Weights of the whitened basis with these sigmas, of all folds but one."""
        gram, rhs, scale = self._system(sigma, amplitude, kinds or [k for k in self.kinds if sigma.get(k)], skip)
        return scale * np.linalg.solve(gram, rhs)

    @one_blas_thread
    def errors(self, sigma, amplitude=1.0, kinds=None):
        """{kind: RMS error on folds left out}; energies and virials divided by the scale of their sigmas."""
        squares, n = dict.fromkeys(self.kinds, 0.0), dict.fromkeys(self.kinds, 0)
        for fold in range(self.n_folds):
            v = self.weights(sigma, amplitude, fold, kinds)
            for kind in self.kinds:
                part = self.sums[fold, kind]
                squares[kind] += max(part.squares - 2 * v @ part.rhs + v @ part.gram @ v, 0.0)
                n[kind] += part.n
        return {kind: float(np.sqrt(squares[kind] / n[kind])) for kind in self.kinds}

    @one_blas_thread
    def profile(self, kind, ratios, rank=None):
        """(log evidence, sigma) of one kind of label for ratios of the amplitude to sigma, sigma being the best one.

        `rank`: of the first sparse points in the order of their pivots alone.
        """
        parts = [part for (_, k), part in self.sums.items() if k == kind]
        rank = self.rank if rank is None else rank
        gram, rhs = sum(p.gram for p in parts)[:rank, :rank], sum(p.rhs for p in parts)[:rank]
        squares, n = sum(p.squares for p in parts), sum(p.n for p in parts)
        values, vectors = np.linalg.eigh(gram)
        values, along = np.maximum(values, 0.0), (vectors.T @ rhs) ** 2
        found = []
        for ratio in ratios:
            q = max(squares - ratio**2 * np.sum(along / (1 + ratio**2 * values)), 1e-12 * squares)
            found.append((-0.5 * (n * np.log(q / n) + np.sum(np.log1p(ratio**2 * values))), np.sqrt(q / n)))
        return np.array(found)


def _sums(phi, y):
    return Sums(phi.T @ phi, phi.T @ y, float(y @ y), len(y))


def _looked_at(data, rng):
    """Indices of the frames whose forces and virials, and of those whose energies are looked at."""
    order = rng.permutation(len(data))
    sizes = np.cumsum(data.n_atoms[order])
    energies = order[: max(FEWEST_FRAMES, min(MOST_FRAMES, int(np.searchsorted(sizes, MOST_ATOMS))))]
    gradients = order[data.labels.has("forces")[order] | data.labels.has("virial")[order]]
    n = int(np.searchsorted(np.cumsum(data.n_atoms[gradients]), MOST_GRADIENT_ATOMS))
    return gradients[: max(FEWEST_FRAMES, n)], energies
