"""A quick many-body model whose labels can be exchanged: which reading of the labels agrees with the others.

Energies, forces and virials are linear in the weights of pair functions and of a small sparse Gaussian process on SOAP
environments. The rows of both are made once; ridge regression on any of the labels, read in any way, and its errors
on frames left out (of five folds) then cost a few solutions of a small linear system each.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import numpy as np

from mercer.descriptors import SOAP, Environments
from mercer.errors import DataError
from mercer.kernels import Polynomial
from mercer.neighbors import build_pairs
from mercer.rows import label_rows
from mercer.selection import select
from mercer.targets import count_species

#: Radial functions of a pair of elements, up to this distance (Angstrom); most pairs of elements that have their own.
N_RADIAL, R_PAIR, MOST_PAIRS = 14, 6.0, 6
#: Environments of the Gaussian process, and the cutoff of its descriptor in nearest distances and Angstrom.
N_POINTS, R_SOAP = 120, (1.9, 3.0, 5.0)
#: Noise relative to the spread of each kind of label, from which the one with the smallest errors is taken.
NOISES = (0.3, 0.1, 0.03, 0.01, 0.003)
N_FOLDS = 5
#: Weight of what is free in the fit: energies of atoms and a constant stress.
FREE = 1e6
KINDS = ("energy", "forces", "virial")


@dataclass(frozen=True)
class Errors:
    """How well labels that were left out are predicted.

    Attributes
    ----------
    relative : {kind: float}
        Mean square of the errors, relative to the variance of the label.
    squares : {kind: (n_frames,) array}
        The same frame by frame; NaN where a frame has no label.
    predicted : {kind: array}
    noise : float
    offset : (n_folds,) array
        Constant isotropic virial per atom (eV) of each fold's regression.
    system : tuple
        Matrices of the folds, and the spread of each kind.
    """

    relative: dict
    squares: dict
    predicted: dict
    noise: float
    offset: np.ndarray
    system: tuple

    def __getitem__(self, kind):
        return self.relative[kind]


class QuickModel:
    """Rows of frames, and regressions on their labels.

    Parameters
    ----------
    frames : Frames
    labels : Labels
        Of these frames.
    seed : int
        Of the folds and of the choice of environments.

    Attributes
    ----------
    values : {kind: array}
        The labels as they were read: energies (n,) and virials (6 n,; xx, yy, zz, yz, xz, xy) divided by the root of
        the number of atoms, forces (3 n_atoms,).
    """

    def __init__(self, frames, labels, seed=0):
        self.frames, self.labels, self.n_atoms = frames, labels, labels.n_atoms
        self.species = np.unique(np.concatenate([atoms.numbers for atoms in frames]))
        offsets = np.concatenate([[0], np.cumsum(self.n_atoms)])
        self.counts = count_species(np.concatenate([a.numbers for a in frames]), offsets, self.species)
        rows = _rows(frames, self.species, seed)
        n = len(frames)
        free = len(self.species) + 1
        width = rows["energy"].shape[1] + free
        energy = np.zeros((n, width))
        energy[:, free:], energy[:, 1:free] = rows["energy"], np.sqrt(FREE) * self.counts
        forces = np.zeros((len(rows["forces"]), width))
        forces[:, free:] = rows["forces"]
        virial = np.zeros((n, 6, width))
        virial[:, :, free:] = rows["virial"]
        virial[:, :3, 0] = np.sqrt(FREE) * self.n_atoms[:, None]
        scale = 1.0 / np.sqrt(self.n_atoms)
        self.rows = {
            "energy": energy * scale[:, None],
            "forces": forces,
            "virial": (virial * scale[:, None, None]).reshape(6 * n, width),
        }
        self.scale = scale
        frame_of = np.arange(n)
        self.frame_of = {
            "energy": frame_of,
            "forces": np.repeat(frame_of, 3 * self.n_atoms),
            "virial": np.repeat(frame_of, 6),
        }
        self.known = {kind: labels.has(kind)[self.frame_of[kind]] for kind in KINDS}
        self.values = {
            "energy": self.energies(labels.energy),
            "forces": labels.forces.ravel(),
            "virial": self.virials(labels.virial[:, [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]),
        }
        self.fold = np.random.default_rng(seed).permutation(n) % min(N_FOLDS, n)
        self._parts = {
            kind: [
                (rows[mine], mine)
                for mine in (np.flatnonzero(self.fold[self.frame_of[kind]] == k) for k in range(self.fold.max() + 1))
            ]
            for kind, rows in self.rows.items()
        }
        self._grams, self._moments = {}, {}

    def energies(self, totals):
        """Total energies (n,), eV, as values: less what compositions explain, divided by the root of the size."""
        known = np.isfinite(totals)
        values = np.full(len(totals), np.nan)
        if known.any():
            size = self.n_atoms[known]
            A = self.counts[known] / size[:, None]
            per_atom = totals[known] / size
            values[known] = (per_atom - A @ np.linalg.lstsq(A, per_atom, rcond=1e-8)[0]) * np.sqrt(size)
        return values

    def virials(self, components):
        """Virials (n, 6), eV, as values."""
        return (components * self.scale[:, None]).ravel()

    def centred(self, kind, values, keep=None):
        """Values less what compositions (energies) or a constant stress (virials) explain."""
        known = self._known(kind, keep)
        if kind == "forces" or not known.any():
            return values[known]
        free = len(self.species) + 1
        A = self.rows[kind][known][:, : 1 if kind == "virial" else free]
        A = A[:, np.any(A, axis=0)] / np.sqrt(FREE)
        return values[known] - A @ np.linalg.lstsq(A, values[known], rcond=1e-8)[0]

    def spread(self, kind, values, keep=None):
        """Root mean square of the centred values; 0 without any."""
        centred = self.centred(kind, values, keep)
        return float(np.sqrt(np.mean(centred**2))) if len(centred) else 0.0

    def _sums(self, kind, fold, keep, values):
        """Sums over the rows of a fold: of their products, and of their products with the values."""
        rows, mine = self._parts[kind][fold]
        known = self._known(kind, keep)[mine]
        key = kind, fold, None if keep is None else keep.tobytes()
        if key not in self._grams:
            used = rows[known]
            self._grams[key] = used.T @ used
        seen, moment = self._moments.get(key, (None, None))
        if seen is not values:
            moment = rows.T @ np.where(known, values[mine], 0.0)
            self._moments[key] = values, moment
        return self._grams[key], moment

    def judge(self, values, train, noise=None, keep=None, offset=True):
        """Errors on frames left out of a regression.

        Parameters
        ----------
        values : {kind: array}
            The labels as they are read, for every kind that is trained on or compared with.
        train : tuple of str
            Kinds trained on.
        noise : float, optional
            Relative to the spread of the labels; by default that of `NOISES` with the smallest errors.
        keep : (n_frames,) bool array, optional
            Frames that are used at all.
        offset : bool
            Whether virials may have a constant isotropic part per atom that nothing else follows.

        Returns
        -------
        Errors
        """
        if noise is None:
            found = [self.judge(values, train, trial, keep, offset) for trial in NOISES]
            return min(found, key=lambda errors: sum(np.log(errors[kind] + 1e-5) for kind in train))
        spreads = {kind: self.spread(kind, values[kind], keep) or 1.0 for kind in values}
        folds = range(self.fold.max() + 1)
        width = self.rows["energy"].shape[1]
        grams, rhs = np.zeros((len(folds), width, width)), np.zeros((len(folds), width))
        for kind in train:
            weight = 1.0 / spreads[kind] ** 2
            for fold in folds:
                gram, moment = self._sums(kind, fold, keep, values[kind])
                grams[fold] += weight * gram
                rhs[fold] += weight * moment
        A = grams.sum(axis=0) - grams
        A[:, np.arange(width), np.arange(width)] += noise**2 / self._prior(train, spreads)
        b = rhs.sum(axis=0) - rhs
        if not offset:
            A[:, 0, :] = A[:, :, 0] = b[:, 0] = 0.0
            A[:, 0, 0] = 1.0
        weights = np.linalg.solve(A, b[:, :, None])[:, :, 0]
        predicted, relative, squares = {}, {}, {}
        for kind in values:
            predicted[kind] = np.empty(len(self.known[kind]))
            for fold in folds:
                rows, mine = self._parts[kind][fold]
                predicted[kind][mine] = rows @ weights[fold]
            known = self._known(kind, keep)
            error = predicted[kind] - values[kind]
            if kind not in train:  # constants that nothing has determined
                error[known] = self.centred(kind, error, keep)
            error = np.where(known, error / spreads[kind], np.nan)
            relative[kind] = float(np.mean(error[known] ** 2)) if known.any() else np.nan
            per_frame = np.bincount(self.frame_of[kind], np.nan_to_num(error) ** 2, len(self.frames))
            count = np.bincount(self.frame_of[kind], known, len(self.frames))
            squares[kind] = np.where(count > 0, per_frame / np.maximum(count, 1), np.nan)
        offsets = weights[:, 0] * np.sqrt(FREE)
        return Errors(relative, squares, predicted, noise, offsets, (A, spreads))

    def deviations(self, errors, kind):
        """Standard deviations of the predictions of `errors`, with the noise: of one label each, in units of values."""
        matrices, spreads = errors.system
        variance = np.empty(len(self.known[kind]))
        for fold, A in enumerate(matrices):
            rows, mine = self._parts[kind][fold]
            variance[mine] = np.einsum("rw,rw->r", rows @ np.linalg.inv(A), rows)
        return errors.noise * np.sqrt(spreads[kind] ** 2 + np.maximum(variance, 0.0))

    def predict_one(self, errors, values, kind, frame, keep):
        """Label of a frame from all others that are kept and from the other labels of the frame itself.

        Returns
        -------
        error, expected : ndarray
            Prediction less label, and its standard deviation, of each number of the label.
        """
        spreads, noise = errors.system[1], errors.noise
        width = self.rows["energy"].shape[1]
        A, b = np.zeros((width, width)), np.zeros(width)
        mine = np.arange(len(self.frames)) == frame
        for other in spreads:
            frames = keep | mine if other != kind else keep & ~mine
            rows = np.flatnonzero(self._known(other, frames))
            used = self.rows[other][rows] / spreads[other]
            A += used.T @ used
            b += used.T @ (values[other][rows] / spreads[other])
        A[np.diag_indices(width)] += noise**2 / self._prior(tuple(spreads), spreads)
        inverse = np.linalg.inv(A)
        target = np.flatnonzero(self._known(kind, mine))
        rows = self.rows[kind][target]
        variance = np.einsum("rw,rw->r", rows @ inverse, rows)
        return rows @ (inverse @ b) - values[kind][target], noise * np.sqrt(spreads[kind] ** 2 + variance)

    def _known(self, kind, keep=None):
        return self.known[kind] if keep is None else self.known[kind] & keep[self.frame_of[kind]]

    def _prior(self, train, spreads):
        """Variance of the weights with which rows give labels of the spread that was found."""
        ratios = []
        free = len(self.species) + 1
        for kind in train:
            rows = self.rows[kind][self.known[kind]][:, free:]
            if len(rows):
                ratios.append(spreads[kind] ** 2 / max(np.mean(np.sum(rows**2, axis=1)), 1e-300))
        return max(np.exp(np.mean(np.log(ratios))), 1e-300) if ratios else 1.0


def _rows(frames, species, seed):
    """Rows of the pair functions and of the Gaussian process: {kind: array}."""
    pair = _pair_rows(frames, species)
    many = _soap_rows(frames, species, seed)
    parts = [pair] if many is None else [pair, many]
    for part in parts:  # each part gives forces of the same size
        size = np.sqrt(np.mean(np.sum(part["forces"] ** 2, axis=1)))
        size = size or np.sqrt(np.mean(np.sum(part["energy"] ** 2, axis=1))) or 1.0
        for kind in KINDS:
            part[kind] = part[kind] / size
    return {kind: np.concatenate([part[kind] for part in parts], axis=-1) for kind in KINDS}


def _pair_rows(frames, species):
    """Energies (n, K), forces (3 N, K) and virials (n, 6, K) of radial functions of the pairs of elements."""
    pairs = build_pairs(frames, R_PAIR)
    offsets = np.asarray(pairs.offsets)
    n_atoms = np.array([len(atoms) for atoms in frames])
    numbers = np.concatenate([atoms.numbers for atoms in frames])
    i = np.repeat(np.arange(len(numbers)), np.diff(offsets))
    j, r, vectors = np.asarray(pairs.neighbors), np.asarray(pairs.distances), np.asarray(pairs.vectors)
    a, b = np.searchsorted(species, numbers[i]), np.searchsorted(species, numbers[j])
    high, low = np.maximum(a, b), np.minimum(a, b)
    n_kinds = len(species) * (len(species) + 1) // 2
    kind = high * (high + 1) // 2 + low if n_kinds <= MOST_PAIRS else np.zeros(len(i), int)
    n_kinds = n_kinds if n_kinds <= MOST_PAIRS else 1
    r_min = max(0.3, 0.95 * r.min()) if len(r) else 1.0
    centres, width = np.linspace(r_min, R_PAIR, N_RADIAL, retstep=True)
    x = (r[:, None] - centres) / width
    smooth = (1.0 - (r / R_PAIR) ** 2)[:, None]
    gauss = np.exp(-0.5 * x**2)
    values = 0.5 * gauss * smooth**2
    slopes = 0.5 * gauss * (-x / width * smooth**2 - 4.0 * (r / R_PAIR**2)[:, None] * smooth)
    frame = np.repeat(np.arange(len(frames)), n_atoms)[i]
    K = n_kinds * N_RADIAL
    energy, forces, virial = np.zeros((len(frames), K)), np.zeros((len(numbers), 3, K)), np.zeros((len(frames), 6, K))
    units = vectors / np.maximum(r, 1e-12)[:, None]
    for k in range(n_kinds):
        mine = np.flatnonzero(kind == k)
        columns = slice(k * N_RADIAL, (k + 1) * N_RADIAL)
        energy[:, columns] = _sums(frame[mine], values[mine], len(frames))
        for axis in range(3):
            push = slopes[mine] * units[mine, axis, None]
            forces[:, axis, columns] = _sums(i[mine], 2 * push, len(numbers))
        for c, (p, q) in enumerate(((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))):
            pull = -slopes[mine] * (units[mine, p] * vectors[mine, q])[:, None]
            virial[:, c, columns] = _sums(frame[mine], pull, len(frames))
    return {"energy": energy, "forces": forces.reshape(3 * len(numbers), K), "virial": virial}


def _sums(index, values, n):
    """Sums of rows of `values` with the same index (ascending): (n, columns)."""
    out = np.zeros((n, values.shape[1]))
    if len(index):
        starts = np.flatnonzero(np.r_[True, index[1:] != index[:-1]])
        out[index[starts]] = np.add.reduceat(values, starts, axis=0)
    return out


def _soap_rows(frames, species, seed):
    """The same of a sparse Gaussian process on SOAP, whitened; None where environments have no neighbours."""
    from mercer.structures import symbols

    nearest = np.sort(np.asarray(build_pairs(frames, R_PAIR).distances))
    if not len(nearest):
        return None
    factor, low, high = R_SOAP
    r_cut = float(np.clip(factor * np.quantile(nearest, 0.05), low, high))
    many = len(species) > 1
    size = {1: (6, 4), 2: (4, 3), 3: (4, 3)}.get(len(species), (3, 2))
    soap = SOAP(symbols(species), r_cut=r_cut, n_max=size[0], l_max=size[1], sigma=0.5 if 1 not in species else 0.4)
    environments = Environments.of(frames, r_cut)
    X = soap.transform(environments)
    numbers = np.concatenate([atoms.numbers for atoms in frames])
    rng = np.random.default_rng(seed)
    pool = np.sort(rng.permutation(len(X))[:1500])
    _, firsts = np.unique(X[pool].round(6), axis=0, return_index=True)
    pool = pool[np.sort(firsts)]
    kernel = Polynomial(zeta=2)
    n_points = min(N_POINTS + 60 * many, len(pool))
    with contextlib.suppress(DataError):
        pool = pool[select(X[pool], n_points, method="fps", groups=numbers[pool], random_state=seed)]
    pool = pool[:n_points]
    points, groups = np.ascontiguousarray(X[pool]), numbers[pool]
    K = kernel(points, x_groups=groups)
    values, vectors = np.linalg.eigh(K)
    kept = values > 1e-8 * values[-1]
    white = vectors[:, kept] / np.sqrt(values[kept])
    found = label_rows(soap, kernel, environments, points, groups, forces=True, virial=True)
    virial = found["virial"].reshape(len(frames), 9, -1)[:, [0, 4, 8, 5, 2, 1]]
    return {
        "energy": found["energy"] @ white,
        "forces": found["forces"].reshape(3 * len(numbers), -1) @ white,
        "virial": virial @ white,
    }
