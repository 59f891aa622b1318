"""The representative environments of a term: how many of each species, and which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mercer.errors import ConfigError, DataError
from mercer.models.frame_data import by_number, symbol
from mercer.selection import select, split_count

#: Environments that the points of a term are chosen from where `max_selection` is not given: this many, but their
#: features take at most so many bytes.
_MAX_SELECTION = 20_000
_SELECTION_BYTES = 256 * 2**20
#: Atoms whose features are computed at a time.
_CHUNK_ATOMS = 2048


@dataclass(frozen=True, eq=False)
class SparsePoints:
    """The representative environments of a term.

    Attributes
    ----------
    features : (M, n_features) float array
    species : (M,) int32 array
        Atomic numbers of the centres.
    origin : (M, 2) int64 array
        Frame of the training set and atom in it, counted from 0; -1 where unknown.
    """

    features: np.ndarray
    species: np.ndarray
    origin: np.ndarray

    def __post_init__(self):
        features = np.ascontiguousarray(self.features, float)
        species = np.ascontiguousarray(self.species, np.int32)
        origin = np.ascontiguousarray(self.origin, np.int64)
        if features.ndim != 2 or species.shape != (len(features),) or origin.shape != (len(features), 2):
            raise ConfigError(
                f"SparsePoints: expected features (M, n_features), species (M,) and origin (M, 2), got "
                f"{features.shape}, {species.shape} and {origin.shape}"
            )
        for name, array in (("features", features), ("species", species), ("origin", origin)):
            object.__setattr__(self, name, array)

    def __len__(self):
        return len(self.features)


def choose_points(term, data, seed, max_selection=None, progress=None):
    """Sparse points of a term from the environments of `data` (FrameData).

    The features of at most `max_selection` environments, drawn at random (seeded) from each species in proportion to
    its number, are held at once; the term's `selection` chooses among them.

    Raises
    ------
    DataError
        If there are fewer distinct environments than points, or fewer points than species.
    ConfigError
        If `n_sparse` is a mapping that leaves out a species of the data.
    """
    species = data.numbers if term.match_species else np.zeros_like(data.numbers)
    shares = _shares(term.n_sparse, species)
    if max_selection is None:
        max_selection = min(_MAX_SELECTION, _SELECTION_BYTES // (8 * term.descriptor.n_features))
    rng = np.random.default_rng(seed)
    pool = []
    for z, share in shares.items():
        members = np.flatnonzero(species == z)
        size = max(share, max_selection * len(members) // len(species))
        pool.append(members if size >= len(members) else rng.choice(members, size, replace=False))
    atoms = np.sort(np.concatenate(pool))
    X = _features_of(atoms, term, data, progress)
    options = {"method": term.selection, "kernel": term.kernel, "random_state": int(rng.integers(2**31))}
    try:
        if isinstance(term.n_sparse, Mapping):
            members = [np.flatnonzero(species[atoms] == z) for z in shares]
            picks = [rows[select(X[rows], n, **options)] for rows, n in zip(members, shares.values(), strict=True)]
            chosen = np.sort(np.concatenate(picks))
        else:
            chosen = select(X, term.n_sparse, groups=species[atoms], **options)
    except ConfigError as error:
        raise DataError(f"sparse points: {error}") from error
    atoms = atoms[chosen]
    frames = np.searchsorted(data.offsets, atoms, side="right") - 1
    origin = np.stack([data.origin[frames], atoms - data.offsets[frames]], axis=1)
    return SparsePoints(X[chosen], data.numbers[atoms], origin)


def _shares(n_sparse, species):
    """{species: points}: the numbers of a mapping, else `n_sparse` in proportion to the environments of each."""
    found, counts = np.unique(species, return_counts=True)
    available = dict(zip(found.tolist(), counts.tolist(), strict=True))
    listing = ", ".join(f"{symbol(z)}: {n}" for z, n in available.items() if z) or f"{len(species)} in all"
    if not isinstance(n_sparse, Mapping):
        if n_sparse > len(species):
            raise DataError(
                f"n_sparse={n_sparse} is larger than the data: {len(species)} environments ({listing}); "
                f"lower n_sparse to at most {len(species)}, or add frames"
            )
        return dict(zip(found.tolist(), split_count(max(n_sparse, len(found)), counts), strict=True))
    wanted = by_number(n_sparse)
    missing = [symbol(z) for z in available if z not in wanted]
    if missing:
        raise ConfigError(f"n_sparse: no number for {', '.join(missing)}, which the data contain")
    for z, n in wanted.items():
        if n > available.get(z, 0):
            raise DataError(
                f"n_sparse={n} for {symbol(z)} is larger than the data: {available.get(z, 0)} environments "
                f"({listing}); lower n_sparse, or add frames"
            )
    return wanted


def _features_of(atoms, term, data, progress):
    """Feature rows of the atoms with these (rising) indices; frames without any of them are not touched."""
    wanted = np.zeros(len(data.numbers), bool)
    wanted[atoms] = True
    touched = np.unique(np.searchsorted(data.offsets, atoms, side="right") - 1)
    part = data.take(touched)
    wanted = np.concatenate([wanted[data.offsets[f] : data.offsets[f + 1]] for f in touched])
    features, done = np.empty((len(atoms), term.descriptor.n_features)), 0
    for chunk in part.chunks(_CHUNK_ATOMS):
        rows = term.descriptor.transform(chunk.frames)[wanted[chunk.atoms]]
        features[done : done + len(rows)] = rows
        done += len(rows)
        if progress is not None:
            progress("select", chunk.span.stop, len(part))
    return features
