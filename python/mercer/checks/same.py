"""Frames that come twice, within a set and between two sets."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from mercer.checks.finding import Finding
from mercer.structures import as_frames

#: Frames are the same if nothing differs by more (Angstrom).
SAME = 1e-3
#: Energies per atom (eV), and forces (eV/Angstrom), that differ by more contradict each other.
_CONTRADICTION = {"energy": 1e-3, "forces": 0.05}


def duplicates(frames, labels=None):
    """Frames that come twice: the same elements, positions and cell, in the same order of atoms.

    Returns
    -------
    Finding or None
        Level "note", or "likely" where their labels differ.
    """
    frames = as_frames(frames)
    pairs = same_frames(frames)
    if not len(pairs):
        return None
    text = (
        f"{len(set(b for _, b in pairs))} of {len(frames)} frames come more than once, for example "
        f"{frames.where(pairs[0][1])} is {frames.where(pairs[0][0])}"
    )
    level, size = "note", None
    if labels is not None:
        gaps = {kind: _differences(labels, kind, pairs) for kind in _CONTRADICTION}
        for kind, unit in (("energy", "eV per atom"), ("forces", "eV/Angstrom")):
            gap = gaps[kind]
            if np.any(gap > _CONTRADICTION[kind]):
                worst = int(np.nanargmax(gap))
                verb = "energies differ, by" if kind == "energy" else "forces differ, by"
                text += (
                    f", and their {verb} {gap[worst]:.3g} {unit} between {frames.where(pairs[worst][0])} and "
                    f"{frames.where(pairs[worst][1])}"
                )
                level, size = "likely", size or float(gap[worst])
    way = "keep the one that is right" if level == "likely" else "they count as often as they come, so keep one of each"
    return Finding("duplicates", f"{text}; {way}", level, frames=[b for _, b in pairs], size=size)


def _differences(labels, kind, pairs):
    """Largest difference of a label between the frames of each pair, energies per atom; NaN where one has none."""
    starts = np.concatenate([[0], np.cumsum(labels.n_atoms)])
    if kind == "energy":
        return np.array([abs(labels.energy[b] - labels.energy[a]) / max(labels.n_atoms[a], 1) for a, b in pairs])
    parts = [[labels.forces[starts[k] : starts[k + 1]] for k in pair] for pair in pairs]
    return np.array([np.abs(a - b).max(initial=0.0) for a, b in parts])


def overlap(train, test):
    """Test frames that are also training frames.

    Parameters
    ----------
    train, test : list of ase.Atoms

    Returns
    -------
    Finding or None
    """
    train, test = as_frames(train), as_frames(test)
    pairs = same_frames(train, test)
    if not len(pairs):
        return None
    return Finding(
        "overlap",
        f"{len(set(b for _, b in pairs))} of {len(test)} test frames are also training frames, for example "
        f"{test.where(pairs[0][1])} is {train.where(pairs[0][0])}; errors on them say nothing about new structures, so "
        "take them out of one of the two",
        "likely",
        frames=[b for _, b in pairs],
    )


def same_frames(first, second=None):
    """Frames that are the same up to `SAME` Angstrom, atom by atom; atoms may lie in different periodic images.

    Parameters
    ----------
    first, second : list of ase.Atoms
        Without `second`, the frames of `first` are compared with those before them.

    Returns
    -------
    list of (int, int)
        Index in `first` and index in `second` (or the later one in `first`), one for each frame that was found again.

    Examples
    --------
    >>> from ase.build import bulk
    >>> same_frames([bulk("Si"), bulk("Ge"), bulk("Si")])
    [(0, 2)]
    """
    first = as_frames(first)
    buckets = defaultdict(list)
    for which, frames in enumerate((first,) if second is None else (first, as_frames(second))):
        for k, atoms in enumerate(frames):
            buckets[atoms.numbers.tobytes(), atoms.pbc.tobytes()].append((which, k, _coordinates(atoms)))
    found = []
    for members in buckets.values():
        if len(members) < 2:
            continue
        size = len(members[0][2])
        direction = np.random.default_rng(0).normal(size=size) / np.sqrt(size)
        place = np.array([coordinates @ direction for *_, coordinates in members])
        order = np.argsort(place, kind="stable")
        reach = SAME * np.abs(direction).sum()
        again = {}
        for at, m in enumerate(order):
            for n in order[at + 1 :]:
                if place[n] - place[m] > reach:
                    break
                (a, j, x), (b, k, y) = sorted((members[m], members[n]), key=lambda entry: entry[:2])
                if (second is None or a != b) and np.abs(x - y).max(initial=0.0) <= SAME:
                    again[k] = min(j, again.get(k, j))
        found += [(j, k) for k, j in again.items()]
    return sorted(found, key=lambda pair: pair[1])


def _coordinates(atoms):
    """Numbers, in Angstrom, that are close if and only if cell and positions are; periodic images give the same."""
    cell = atoms.cell.complete().array
    lengths = np.linalg.norm(cell, axis=1)
    scaled = atoms.positions @ np.linalg.inv(cell)
    parts = [atoms.cell.array[atoms.pbc].ravel()]
    for axis in range(3):
        if atoms.pbc[axis]:
            angle = 2 * np.pi * scaled[:, axis]
            parts += [lengths[axis] / (2 * np.pi) * np.cos(angle), lengths[axis] / (2 * np.pi) * np.sin(angle)]
        else:
            parts.append(lengths[axis] * scaled[:, axis])
    return np.concatenate(parts)
