"""Files into frames with labels, every mistake told with file and frame."""

import glob
import os
from dataclasses import dataclass

import numpy as np

from mercer.cli._drop import check_used, parse_drops
from mercer.errors import ConfigError, DataError
from mercer.neighbors import build_pairs
from mercer.structures import Frames, Labels, in_angstrom, read_labels, read_unchecked, to_batch
from mercer.structures.keys import Entries, available
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
        return self.frames.files

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

    def remarks(self):
        """Lines about labels that were not taken, and about choices between labels."""
        unused = ", ".join(self.labels.unused)
        lines = [f"not used, though named like labels: {unused} (--key KIND=NAME takes one)"] if unused else []
        if not self.labels.found:
            lines = [f"{available([Entries.read(atoms) for atoms in self.frames])} (--key KIND=NAME takes one)"]
        return [*lines, *(f"note: {note}" for note in self.labels.notes)]


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


def read_structures(patterns, lengths=None, drops=(), config_key="config_type"):
    """All frames of the files that `patterns` match, checked.

    Parameters
    ----------
    patterns : list of str
    lengths : str, optional
        Unit of positions and cells.
    drops : sequence of mercer.cli._drop.Drop
        Frames that are left out, before anything is checked.
    config_key : str
        Entry of the names that `drops` may go by.

    Raises
    ------
    DataError
        For files that are missing, empty or unreadable, and for structures that cannot be: positions that are not
        finite, periodic cells without volume, two atoms at the same place.
    """
    frames = Frames()
    for file in expand(patterns):
        frames = frames + read_unchecked(file)
    left_out = set()
    for rule in drops:
        if rule.kind is None:
            left_out.update(rule.matches(frames, config_key))
    if left_out:
        frames = frames.take([k for k in range(len(frames)) if k not in left_out])
        if not frames:
            raise DataError(f"{', '.join(patterns)}: every frame is dropped")
    if lengths is not None:
        frames = in_angstrom(frames, lengths)
    to_batch(frames)
    for k, atoms in enumerate(frames):
        if not len(atoms):
            raise DataError(f"{frames.where(k)}: a frame without atoms; take it out of the file")
    build_pairs(frames, CLOSEST, min_distance=CLOSEST)
    return frames


def read_data(patterns, options, *, required=True, drops=None):
    """Frames and labels of the files that `patterns` match.

    Parameters
    ----------
    patterns : list of str
    options : mercer.config.FitOptions
        For `keys`, `units`, `stress_order` and `drop`.
    required : bool
        Whether files without labels are an error.
    drops : list of mercer.cli._drop.Drop, optional
        Default: the rules of `options.drop`, about these files; each of them must find a frame.
    """
    if drops is None:
        files = expand(patterns)
        drops = parse_drops(options.drop, files, files)
        data = read_data(files, options, required=required, drops=drops)
        check_used(drops)
        return data
    config_key = options.keys.config_type or "config_type"
    frames = read_structures(patterns, options.units.positions, drops, config_key)
    return with_labels(frames, options, drops, required=required)


def with_labels(frames, options, drops=(), *, required=True):
    """Frames with the labels that options say.

    Parameters
    ----------
    frames : Frames
        With positions in Angstrom.
    options : mercer.config.FitOptions
        For `keys`, `units` and `stress_order`.
    drops : sequence of mercer.cli._drop.Drop
        Those of labels count.
    required : bool
        Whether frames without labels are an error.

    Returns
    -------
    DataSet
    """
    config_key = options.keys.config_type or "config_type"
    keys = {kind: label_keys(key) for kind, key in options.keys if key is not None}
    units = {kind: unit for kind, unit in options.units if unit is not None and kind != "positions"}
    leave_out = {}
    for rule in drops:
        if rule.kind is not None:
            leave_out.setdefault(rule.kind, set()).update(rule.matches(frames, config_key))
    try:
        labels = read_labels(frames, keys, units, required=required, order=options.stress_order, leave_out=leave_out)
    except DataError as error:
        text = str(error).replace("Name the key, for example keys={'energy': 'my_energy'}", "Name it with --energy-key")
        raise DataError(text) from None
    return DataSet(frames, labels)


def label_keys(key):
    """The keys that an option names: None for "none", several ones separated by commas."""
    if key == "none":
        return None
    names = key if isinstance(key, list) else [name.strip() for name in key.split(",")]
    if not all(names):
        raise ConfigError(f"keys: {key!r}: an empty name")
    return names[0] if len(names) == 1 else names
