"""The representative environments of a term: how many of each species, and which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mercer._validation import as_numbers
from mercer.errors import ConfigError, DataError
from mercer.models.frame_data import by_number, symbol
from mercer.selection import select, split_count

#: The number of sparse points that means every row of the training frames.
ALL = "all"

#: Environments that the points of a term are chosen from where `max_selection` is not given: this many, but their
#: features take at most so many bytes.
_MAX_SELECTION = 20_000
_SELECTION_BYTES = 256 * 2**20
#: Atoms whose features are computed at a time.
_CHUNK_ATOMS = 2048
#: Columns of the kernel that leverage scores of clusters are taken from.
_KERNEL_COLUMNS = 200


@dataclass(frozen=True, eq=False)
class SparsePoints:
    """The representative environments of a term.

    Attributes
    ----------
    features : (M, n_features) float array
        With the factor as last column where the descriptor has one.
    species : (M,) int32 array
        Atomic numbers of the centres, or numbers of the kinds of clusters: points of one number covary.
    origin : (M, 2) int64 array
        Frame of the training set and atom in it (or cluster), counted from 0; -1 where unknown.
    """

    features: np.ndarray
    species: np.ndarray
    origin: np.ndarray

    def __post_init__(self):
        features = as_numbers(self.features, "features")
        species = as_numbers(self.species, "species").astype(np.int32)
        origin = as_numbers(self.origin, "origin").astype(np.int64)
        if features.ndim != 2 or species.shape != (len(features),) or origin.shape != (len(features), 2):
            raise ConfigError(
                f"SparsePoints: expected features (M, n_features), species (M,) and origin (M, 2), got "
                f"{features.shape}, {species.shape} and {origin.shape}"
            )
        for name, array in (("features", features), ("species", species), ("origin", origin)):
            object.__setattr__(self, name, array)

    def __len__(self):
        return len(self.features)

    def with_more(self, other):
        """These points and those of `other`, which may be None."""
        if other is None:
            return self
        pairs = zip(
            (self.features, self.species, self.origin), (other.features, other.species, other.origin), strict=True
        )
        return SparsePoints(*(np.concatenate(pair) for pair in pairs))


def choose_points(term, data, seed, max_selection=None, progress=None, max_bytes=_SELECTION_BYTES):
    """Sparse points of a term from the environments of `data` (FrameData).

    The features of at most `max_selection` environments, drawn at random (seeded) from each species in proportion to
    its number, are held at once; the term's `selection` chooses among them. Of clusters the coordinates decide, and
    each point keeps its factor; "cur" then takes leverage scores of the kernel. ``n_sparse="all"`` takes every row, in
    order.

    Raises
    ------
    DataError
        If there are fewer distinct environments than points, or fewer points than species.
    ConfigError
        If `n_sparse` is a mapping that leaves out a species of the data.
    """
    descriptor = term.descriptor
    groups, offsets = _rows(term, data)
    if term.n_sparse == ALL:
        rows = np.arange(len(groups))
        return _points(_features_of(rows, offsets, term, data, progress), rows, groups, offsets, data)
    species = groups if term.match_species else np.zeros_like(groups)
    shares = _shares(term, species)
    if max_selection is None:
        columns = descriptor.n_features
        if term.selection == "pivoted_cholesky":  # its factor
            columns += sum(shares.values())
        max_selection = min(_MAX_SELECTION, int(max_bytes) // (8 * columns))
    rng = np.random.default_rng(seed)
    pool = []
    for z, share in shares.items():
        members = np.flatnonzero(species == z)
        size = max(share, max_selection * len(members) // len(species))
        pool.append(members if size >= len(members) else rng.choice(members, size, replace=False))
    rows = np.sort(np.concatenate(pool))
    X = _features_of(rows, offsets, term, data, progress)
    options = {"method": term.selection, "kernel": term.kernel, "random_state": int(rng.integers(2**31))}
    options["max_bytes"] = max_bytes
    seen = X
    if descriptor.has_factor:
        seen = np.ascontiguousarray(X[:, :-1])
        if term.selection == "cur":
            seen = term.kernel(seen, seen[rng.choice(len(seen), min(_KERNEL_COLUMNS, len(seen)), replace=False)])
    try:
        if isinstance(term.n_sparse, Mapping):
            members = [np.flatnonzero(species[rows] == z) for z in shares]
            picks = [part[select(seen[part], n, **options)] for part, n in zip(members, shares.values(), strict=True)]
            chosen = np.sort(np.concatenate(picks))
        else:
            chosen = select(seen, term.n_sparse, groups=species[rows], **options)
    except ConfigError as error:
        raise DataError(f"sparse points: {error}") from error
    return _points(X[chosen], rows[chosen], groups, offsets, data)


def _points(X, rows, groups, offsets, data):
    """Sparse points of features X that are rows of the data with these indices."""
    frames = np.searchsorted(offsets, rows, side="right") - 1
    return SparsePoints(X, groups[rows], np.stack([data.origin[frames], rows - offsets[frames]], axis=1))


def count_points(term, data):
    """Sparse points that a term asks for, of these training frames."""
    if term.n_sparse == ALL:
        return len(_rows(term, data)[0])
    return sum(term.n_sparse.values()) if isinstance(term.n_sparse, Mapping) else term.n_sparse


def group_name(descriptor, group):
    """What a group of rows is called: the element of the centre, or those of the cluster."""
    return symbol(group) if descriptor.per_atom else "-".join(descriptor.kind_labels()[group])


def _rows(term, data):
    """Groups of the rows of all frames, and the first row of each frame: (n_rows,) and (n_frames + 1,)."""
    descriptor = term.descriptor
    if descriptor.per_atom:
        return data.numbers, data.offsets
    if descriptor.per_frame:
        return np.zeros(len(data), np.int32), np.arange(len(data) + 1)
    groups, counts = [np.zeros(0, np.int32)], [np.zeros(1, np.int64)]
    for chunk in data.chunks(_CHUNK_ATOMS):
        layout = descriptor.rows(chunk.environments(descriptor.r_cut))
        groups.append(layout.groups)
        counts.append(np.diff(layout.offsets))
    return np.concatenate(groups), np.cumsum(np.concatenate(counts))


def _shares(term, species):
    """{species: points}: the numbers of a mapping, else `n_sparse` in proportion to the environments of each."""
    n_sparse = term.n_sparse
    found, counts = np.unique(species, return_counts=True)
    available = dict(zip(found.tolist(), counts.tolist(), strict=True))
    listing = f"{len(species)} in all"
    if term.match_species:
        listing = ", ".join(f"{group_name(term.descriptor, z)}: {n}" for z, n in available.items()) or listing
    if not isinstance(n_sparse, Mapping):
        if n_sparse > len(species):
            raise DataError(
                f"n_sparse={n_sparse} is larger than the data: {len(species)} environments ({listing}); "
                f"lower n_sparse to at most {len(species)}, or add frames"
            )
        return dict(zip(found.tolist(), split_count(max(n_sparse, len(found)), counts), strict=True))
    if not term.descriptor.per_atom:
        raise ConfigError(
            "n_sparse: a number per element is for descriptors of atoms; give one number for clusters and structures"
        )
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


def _features_of(rows, offsets, term, data, progress):
    """Feature rows with these (rising) indices; frames without any of them are not touched."""
    wanted = np.zeros(int(offsets[-1]), bool)
    wanted[rows] = True
    touched = np.unique(np.searchsorted(offsets, rows, side="right") - 1)
    part = data.take(touched)
    wanted = np.concatenate([wanted[offsets[f] : offsets[f + 1]] for f in touched])
    features, done, seen = np.empty((len(rows), term.descriptor.n_features)), 0, 0
    for chunk in part.chunks(_CHUNK_ATOMS):
        X = term.descriptor.transform(chunk.environments(term.descriptor.r_cut))
        X, seen = X[wanted[seen : seen + len(X)]], seen + len(X)
        features[done : done + len(X)] = X
        done += len(X)
        if progress is not None:
            progress("select", chunk.span.stop, len(part))
    return features
