"""Files into frames with labels, every mistake told with file and frame."""

import glob
import os
from dataclasses import dataclass

import numpy as np

from mercer.errors import DataError
from mercer.neighbors import build_pairs
from mercer.structures import Frames, Labels, read_frames, read_labels
from mercer.targets import is_isolated_config

#: Two atoms closer than this (Angstrom) are a mistake of the file.
CLOSEST = 0.1


@dataclass(frozen=True)
class DataSet:
    """Frames, which know their file and number, with the labels that were found for them."""

    frames: Frames
    labels: Labels

    def __len__(self):
        return len(self.frames)

    def take(self, indices):
        """The frames of these indices, in this order."""
        indices = np.asarray(indices, int)
        return DataSet(self.frames.take(indices), self.labels.take(indices))

    @property
    def isolated(self):
        """Which frames are isolated atoms by their config_type -> (n_frames,) bool."""
        return np.array([is_isolated_config(name) for name in self.labels.config_type], bool)

    @property
    def files(self):
        """The files, in order."""
        return list(dict.fromkeys(source.rsplit(", frame", 1)[0] for source in self.frames.sources))

    def describe(self):
        """Lines that say what is there: frames, elements, groups, labels."""
        numbers = np.concatenate([atoms.symbols for atoms in self.frames])
        elements = ", ".join(f"{s} {n}" for s, n in zip(*np.unique(numbers, return_counts=True), strict=True))
        lines = [f"{len(self)} frames, {len(numbers)} atoms ({elements}) from {_listing(self.files)}"]
        groups = self.labels.config_type.tolist()
        if any(groups):
            counts = {g: groups.count(g) for g in dict.fromkeys(groups)}
            lines.append("config_type: " + ", ".join(f"{g or '(none)'} {n}" for g, n in counts.items()))
        found = [f"{kind} in {n} frames (key {key})" for kind, (key, n) in self.labels.found.items()]
        return [*lines, "labels: " + (", ".join(found) or "none")]


def _listing(names, most=3):
    return ", ".join(names) if len(names) <= most else f"{', '.join(names[:most])} and {len(names) - most} more"


def expand(patterns):
    """File names of patterns, in the order given, those of a wildcard sorted.

    Raises
    ------
    DataError
        If a file is missing or a pattern matches nothing.
    """
    files = []
    for pattern in patterns:
        if os.path.exists(pattern):
            files.append(pattern)
            continue
        found = sorted(glob.glob(pattern, recursive=True)) if glob.has_magic(pattern) else []
        if not found:
            what = "no file matches this pattern" if glob.has_magic(pattern) else "no such file"
            raise DataError(f"{pattern}: {what} (the current folder is {os.getcwd()})")
        files += found
    return list(dict.fromkeys(files))


def read_structures(patterns):
    """All frames of the files that `patterns` match, checked.

    Raises
    ------
    DataError
        For files that are missing, empty or unreadable, and for structures that cannot be: positions that are not
        finite, periodic cells without volume, two atoms at the same place.
    """
    frames = Frames()
    for file in expand(patterns):
        frames = frames + read_frames(file)
    for k, atoms in enumerate(frames):
        if not len(atoms):
            raise DataError(f"{frames.where(k)}: a frame without atoms; take it out of the file")
    build_pairs(frames, CLOSEST, min_distance=CLOSEST)
    return frames


def read_data(patterns, options, *, required=True):
    """Frames and labels of the files that `patterns` match.

    Parameters
    ----------
    patterns : list of str
    options : mercer.config.FitOptions
        For `keys` and `units`.
    required : bool
        Whether files without labels are an error.
    """
    frames = read_structures(patterns)
    keys = {kind: None if key == "none" else key for kind, key in options.keys if key is not None}
    units = {kind: unit for kind, unit in options.units if unit is not None}
    try:
        return DataSet(frames, read_labels(frames, keys, units, required=required))
    except DataError as error:
        text = str(error).replace("Name the key, for example keys={'energy': 'my_energy'}", "Name it with --energy-key")
        raise DataError(text) from None
