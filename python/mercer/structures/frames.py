"""Frames that know where they came from, and their structures as the core takes them."""

import contextlib
import re
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols

from mercer._core import core
from mercer._validation import check_items, show
from mercer.errors import ConfigError, DataError


class Frames(list):
    """A list of Atoms that knows where each came from, so that messages name the file and the frame.

    Parameters
    ----------
    frames : iterable of ase.Atoms
    sources : sequence of str, optional
        What to call each frame; ``"frame 0"``, ``"frame 1"``, ... by default.

    Examples
    --------
    >>> from ase.build import molecule
    >>> frames = Frames([molecule("H2O"), molecule("CH4")], ["a.xyz, frame 3", "a.xyz, frame 7"])
    >>> frames[1:].where(0)
    'a.xyz, frame 7'
    """

    def __init__(self, frames=(), sources=None):
        super().__init__(frames)
        self.sources = [f"frame {k}" for k in range(len(self))] if sources is None else list(sources)
        if len(self.sources) != len(self):
            raise DataError(f"Frames: {len(self.sources)} sources for {len(self)} frames")

    def where(self, index):
        """The name of frame `index`, as in ``"train.extxyz, frame 12"``."""
        return self.sources[index] if index < len(self.sources) else f"frame {index}"

    @property
    def files(self):
        """The files that the frames came from, in order; of frames made in Python, none."""
        names = (source.rpartition(", frame ")[0] for source in self.sources)
        return list(dict.fromkeys(name for name in names if name))

    def take(self, indices):
        """The frames at `indices`, with their names."""
        return Frames([self[k] for k in indices], [self.sources[k] for k in indices])

    def __getitem__(self, index):
        if isinstance(index, slice):
            return Frames(super().__getitem__(index), self.sources[index])
        return super().__getitem__(index)

    def __add__(self, other):
        other = as_frames(other)
        return Frames([*self, *other], self.sources + other.sources)


def as_frames(frames):
    """One Atoms, or an iterable of them, as `Frames`.

    Parameters
    ----------
    frames : ase.Atoms or iterable of ase.Atoms

    Returns
    -------
    Frames
        `frames` itself where it is one already. May be empty.

    Raises
    ------
    DataError
        If `frames` is anything else.

    Examples
    --------
    >>> from ase.build import bulk
    >>> len(as_frames(bulk("Si")))
    1
    """
    if isinstance(frames, Frames):
        return frames
    if isinstance(frames, Atoms):
        return Frames([frames])
    if isinstance(frames, str | Path):
        raise DataError(
            f"frames: expected an ase.Atoms or a list of them, got the text {str(frames)!r}; "
            "read a file with mercer.structures.read_frames(path)"
        )
    try:
        frames = Frames(frames)
    except TypeError:
        raise DataError(f"frames: expected an ase.Atoms or a list of them, got {show(frames)}") from None
    for k, atoms in enumerate(frames):
        if not isinstance(atoms, Atoms):
            raise DataError(f"frames: expected a list of ase.Atoms, but element {k} is of type {type(atoms).__name__}")
    return frames


@contextlib.contextmanager
def naming_frames(frames):
    """Turn a ValueError of the core about "frame k" into a DataError that names the file and the frame.

    Examples
    --------
    >>> from ase.build import bulk
    >>> with naming_frames(Frames([bulk("Si")], ["si.xyz, frame 5"])):
    ...     raise ValueError("frame 0: no volume")
    Traceback (most recent call last):
        ...
    mercer.errors.DataError: si.xyz, frame 5: no volume
    """
    try:
        yield
    except DataError:
        raise
    except ValueError as error:
        match = re.match(r"frame (\d+)(?=[:,])", str(error))
        if not match or int(match[1]) >= len(frames):
            raise
        raise DataError(as_frames(frames).where(int(match[1])) + str(error)[match.end() :]) from None


def to_batch(frames):
    """The structures as the core takes them, checked.

    Parameters
    ----------
    frames : ase.Atoms or list of ase.Atoms

    Returns
    -------
    core.StructureBatch

    Raises
    ------
    DataError
        For positions or cells that are NaN or infinite and periodic cells without volume, naming frame and atom.
    """
    frames = as_frames(frames)
    if not frames:
        return core.StructureBatch()
    _check_arrays(frames)
    positions = [atoms.arrays["positions"] for atoms in frames]
    offsets = np.zeros(len(frames) + 1, dtype=np.int64)
    np.cumsum([len(p) for p in positions], out=offsets[1:])
    with naming_frames(frames):
        return core.StructureBatch.from_arrays(
            np.ascontiguousarray(np.concatenate(positions), dtype=np.float64),
            _numbers(frames, offsets),
            offsets,
            np.array([atoms.cell.array for atoms in frames], dtype=np.float64),
            np.array([atoms.pbc for atoms in frames], dtype=bool),
        )


def _check_arrays(frames):
    """DataError for positions and atomic numbers that have another shape or type than ASE takes for granted."""
    for k, atoms in enumerate(frames):
        positions, numbers = atoms.arrays["positions"], atoms.arrays["numbers"]
        if positions.ndim != 2 or positions.shape[1] != 3 or positions.dtype.kind not in "fiu":
            got = f"{positions.dtype} array of shape {positions.shape}"
            raise DataError(f"{frames.where(k)}: positions are a {got}; expected real numbers of shape (n_atoms, 3)")
        if numbers.shape != positions.shape[:1] or numbers.dtype.kind not in "iu":
            got = f"{numbers.dtype} array of shape {numbers.shape}"
            raise DataError(f"{frames.where(k)}: numbers are a {got}; expected {len(positions)} atomic numbers")


def _numbers(frames, offsets):
    """Atomic numbers of all atoms; DataError for one that no element has."""
    numbers = np.concatenate([atoms.arrays["numbers"] for atoms in frames])
    if numbers.size and not (numbers.min() >= 0 and numbers.max() < len(chemical_symbols)):
        atom = int(np.argmax((numbers < 0) | (numbers >= len(chemical_symbols))))
        frame = int(np.searchsorted(offsets, atom, side="right")) - 1
        raise DataError(
            f"{frames.where(frame)}: the atomic number of atom {atom - offsets[frame]} is {numbers[atom]}, which no "
            "element has"
        )
    return numbers.astype(np.int32)


def species_of(frames):
    """Sorted atomic numbers of the elements in `frames`.

    Examples
    --------
    >>> from ase.build import molecule
    >>> species_of(molecule("CH3OH"))
    [1, 6, 8]
    """
    return sorted(set().union(*(np.unique(atoms.arrays["numbers"]).tolist() for atoms in as_frames(frames))))


def symbols(numbers):
    """Chemical symbols of atomic numbers.

    Examples
    --------
    >>> symbols([1, 6, 8])
    ['H', 'C', 'O']
    """
    return [chemical_symbols[int(number)] for number in numbers]


def species_numbers(species, name="species"):
    """Sorted atomic numbers of elements given by symbol or number; `name` is what messages call them.

    Raises
    ------
    ConfigError
        For an element that does not exist, or one that is given twice.

    Examples
    --------
    >>> species_numbers(["O", "H", 6])
    [1, 6, 8]
    """
    if isinstance(species, str | int | np.integer):
        species = [species]
    numbers = []
    for element in check_items(species, name, "symbols or atomic numbers"):
        number = atomic_numbers.get(element) if isinstance(element, str) else element
        whole = isinstance(number, int | np.integer) and not isinstance(number, bool)
        if not whole or not 0 < number < len(chemical_symbols):
            raise ConfigError(
                f"{name}: unknown element {show(element)}; expected symbols such as 'Si' or atomic numbers"
            )
        if int(number) in numbers:
            raise ConfigError(f"{name}: {element!r} is given twice")
        numbers.append(int(number))
    return sorted(numbers)
