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
_MAX_SELECTION = 50_000
_SELECTION_BYTES = 512 * 2**20
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


def points_per_species(n_sparse, numbers):
    """How many sparse points each species gets.

    Parameters
    ----------
    n_sparse : int or mapping
        A total, shared out in proportion to the numbers of environments, at least one each; or {element: number}.
    numbers : (n,) int array
        Species of all environments; 0 for all where species do not matter.

    Returns
    -------
    dict
        {species: number of points}

    Raises
    ------
    DataError
        If there are fewer environments than points, or fewer points than species.
    ConfigError
        If a mapping leaves out a species of the data.
    """
    found, counts = np.unique(numbers, return_counts=True)
    available = dict(zip(found.tolist(), counts.tolist(), strict=True))
    listing = ", ".join(f"{symbol(z)}: {n}" for z, n in available.items() if z) or f"{len(numbers)} in all"
    wanted = {0: n_sparse}
    if isinstance(n_sparse, Mapping):
        wanted = {z: int(n) for z, n in by_number(n_sparse).items()}
        missing = [symbol(z) for z in available if z not in wanted]
        if missing:
            raise ConfigError(f"n_sparse: no number for {', '.join(missing)}, which the data contain")
        available.update({z: 0 for z in wanted if z not in available})
    for z, n in wanted.items():
        most = available[z] if isinstance(n_sparse, Mapping) else len(numbers)
        if n > most:
            raise DataError(
                f"n_sparse={n}{f' for {symbol(z)}' if z else ''} is larger than the data: {most} environments "
                f"({listing}); lower n_sparse to at most {most}, or add frames"
            )
    if isinstance(n_sparse, Mapping):
        return wanted
    if n_sparse < len(found):
        raise DataError(f"n_sparse={n_sparse} is smaller than the number of species ({listing}); raise n_sparse")
    return dict(zip(found.tolist(), split_count(n_sparse, counts), strict=True))


def choose_points(term, data, seed, max_selection=None, progress=None):
    """Sparse points of a term from the environments of `data` (FrameData).

    The features of at most `max_selection` environments, drawn at random (seeded) from each species in proportion to
    the points wanted of it, are held at once; the term's `selection` chooses among them.
    """
    species = data.numbers if term.match_species else np.zeros_like(data.numbers)
    wanted = points_per_species(term.n_sparse, species)
    n_sparse = sum(wanted.values())
    if max_selection is None:
        max_selection = min(_MAX_SELECTION, _SELECTION_BYTES // (8 * term.descriptor.n_features))
    rng = np.random.default_rng(seed)
    pool = []
    for z, n in wanted.items():
        members = np.flatnonzero(species == z)
        size = min(len(members), max(n, max_selection * n // n_sparse))
        pool.append(np.sort(rng.choice(members, size, replace=False)) if size < len(members) else members)
    all_rows = np.sort(np.concatenate(pool))
    features = _features_of(all_rows, term, data, progress)
    chosen = []
    for (z, n), members in zip(wanted.items(), pool, strict=True):
        rows = np.searchsorted(all_rows, members)
        try:
            picked = select(
                features[rows], n, term.selection, kernel=term.kernel, random_state=int(rng.integers(2**31))
            )
        except ConfigError as error:
            name = f" of {symbol(z)}" if z else ""
            raise DataError(f"sparse points: environments{name}: {error}") from error
        chosen.append(members[picked])
    atoms = np.concatenate(chosen)
    frames = np.searchsorted(data.offsets, atoms, side="right") - 1
    return SparsePoints(
        features[np.searchsorted(all_rows, atoms)],
        data.numbers[atoms],
        np.stack([data.origin[frames], atoms - data.offsets[frames]], axis=1),
    )


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
