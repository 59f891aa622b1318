"""Frames with their labels, as arrays over all of them: what a potential trains and predicts on."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mercer._validation import show
from mercer.descriptors import Environments
from mercer.errors import ConfigError, DataError
from mercer.neighbors import build_pairs
from mercer.structures import Frames, Labels, as_frames, read_labels, species_numbers, symbols, to_batch

_log = logging.getLogger("mercer")


def symbol(number):
    """Chemical symbol of an atomic number."""
    return symbols([number])[0]


def by_number(mapping, name="species"):
    """{element: value} with elements by symbol or number -> {atomic number: value}; ConfigError for other elements, and
    where one is given twice."""
    found = {species_numbers([element], name)[0]: value for element, value in mapping.items()}
    if len(found) < len(mapping):
        raise ConfigError(f"{name}={show(mapping)}: an element is given twice, by symbol and by number.")
    return found


def by_symbol(mapping, name="species"):
    """{element: value} with elements by symbol or number -> {symbol: value}."""
    return {symbol(number): value for number, value in by_number(mapping, name).items()}


@dataclass(frozen=True, eq=False)
class FrameData:
    """Frames, and labels for training.

    Attributes
    ----------
    frames : Frames
    origin : (n_frames,) int array
        Number of each frame in the list that was given.
    numbers : (n_atoms,) int32 array
    offsets : (n_frames + 1,) int64 array
    labels : Labels or None
    known : Environments or None
        Where the neighbours are known already.
    """

    frames: Frames
    origin: np.ndarray
    numbers: np.ndarray
    offsets: np.ndarray
    labels: Labels | None = None
    known: Environments | None = None

    @classmethod
    def read(cls, frames, labels=None):
        """Of an Atoms, a list or Environments, checked; `labels` must be those of the same frames."""
        if isinstance(frames, Environments):
            structures = frames.structures
            numbers, offsets = np.array(structures.numbers), np.array(structures.offsets)
            return cls(frames.frames, np.arange(len(frames.frames)), numbers, offsets, labels, frames)
        frames = as_frames(frames)
        batch = to_batch(frames)
        numbers, offsets = np.array(batch.numbers), np.array(batch.offsets)
        if labels is not None and not np.array_equal(labels.n_atoms, np.diff(offsets)):
            raise DataError(
                f"labels of {labels.n_frames} frames do not belong to these {len(frames)} frames; "
                f"read them with mercer.structures.read_labels(frames)"
            )
        return cls(frames, np.arange(len(frames)), numbers, offsets, labels)

    @classmethod
    def read_labelled(cls, frames, labels=None):
        """The same with labels, read by the usual keys where not given; what has to be said of them is logged."""
        frames = as_frames(frames)
        if not (labels is None or isinstance(labels, Labels)):
            raise DataError(f"labels={show(labels)}: expected what mercer.structures.read_labels returns")
        if labels is None:
            labels = read_labels(frames)
            for note in labels.notes:
                _log.warning("%s", note)
        return cls.read(frames, labels)

    def __len__(self):
        return len(self.frames)

    @cached_property
    def n_atoms(self):
        """(n_frames,) int array."""
        return np.diff(self.offsets)

    def take(self, indices):
        """The frames at `indices`."""
        indices = np.asarray(indices, int)
        n_atoms = self.n_atoms[indices]
        offsets = np.concatenate([[0], np.cumsum(n_atoms)])
        atoms = np.repeat(self.offsets[:-1][indices] - offsets[:-1], n_atoms) + np.arange(offsets[-1])
        return FrameData(
            self.frames.take(indices),
            self.origin[indices],
            self.numbers[atoms],
            offsets,
            None if self.labels is None else self.labels.take(indices),
        )

    def chunks(self, budget, costs=None, breaks=()):
        """Yield `Chunk`s of consecutive frames.

        Parameters
        ----------
        budget : float
            Most that the frames of a chunk cost together; but every chunk has a frame.
        costs : (n_frames,) array, optional
            Of the frames, in any unit. Default: numbers of atoms.
        breaks : sequence of int
            Frames at which a chunk must begin.
        """
        if self.known is not None:
            yield Chunk(
                slice(0, len(self)), slice(0, len(self.numbers)), self.frames, self.numbers, self.offsets, self.known
            )
            return
        total = self.offsets if costs is None else np.concatenate([[0.0], np.cumsum(costs)])
        breaks = np.unique([*breaks, len(self)])
        start = 0
        while start < len(self):
            stop = int(np.searchsorted(total, total[start] + budget, side="right")) - 1
            stop = min(max(stop, start + 1), int(breaks[np.searchsorted(breaks, start, side="right")]))
            atoms = slice(int(self.offsets[start]), int(self.offsets[stop]))
            yield Chunk(
                slice(start, stop),
                atoms,
                self.frames[start:stop],
                self.numbers[atoms],
                self.offsets[start : stop + 1] - atoms.start,
            )
            start = stop

    def where(self, index):
        """Name of a frame in messages."""
        return self.frames.where(index)

    def has(self, kind):
        """Which frames have the label `kind`: (n_frames,) bool array."""
        return self.labels.has(kind)

    def require_species(self, known, what):
        """Raise DataError for the first atom whose element is not among `known` (atomic numbers)."""
        unknown = np.flatnonzero(~np.isin(self.numbers, known))
        if len(unknown):
            frame = int(np.searchsorted(self.offsets, unknown[0], side="right")) - 1
            names = ", ".join(symbols(np.unique(self.numbers[unknown])))
            raise DataError(
                f"{self.where(frame)}, atom {unknown[0] - self.offsets[frame]}: {what} does not know the element "
                f"{symbol(self.numbers[unknown[0]])}; it knows {', '.join(symbols(known))} (unknown in all frames: "
                f"{names})"
            )

    def has_neighbours(self, cutoff):
        """Which frames have any pair of atoms, images included, closer than `cutoff`: (n_frames,) bool array.

        A cutoff of 0 is that of descriptors that need no neighbours, because they see all images: then those with
        several atoms, or periodic.
        """
        if cutoff == 0:
            return np.array([len(atoms) > 1 or atoms.pbc.any() for atoms in self.frames], bool)
        pairs = np.asarray(build_pairs(self.frames, cutoff).offsets)
        return pairs[self.offsets[1:]] > pairs[self.offsets[:-1]]


@dataclass(frozen=True, eq=False)
class Chunk:
    """Consecutive frames: which (slices into frames and atoms of all), and their arrays."""

    span: slice
    atoms: slice
    frames: Frames
    numbers: np.ndarray
    offsets: np.ndarray
    known: Environments | None = None

    def environments(self, r_cut):
        """The frames with one neighbour list for all terms, up to the largest of their cutoffs."""
        return Environments.of(self.frames, r_cut) if self.known is None else self.known


def plain(value):
    """Mappings and NumPy numbers as JSON types."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    return value.item() if isinstance(value, np.generic) else value
