"""How much memory a fit takes, and how it is kept below a limit."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from mercer._machine import check_memory
from mercer._validation import show
from mercer.errors import ConfigError
from mercer.models._base import BLOCK_BYTES

#: Matrices of the size of K_MM that exist at once, at most: factor, accumulator, and what solving needs beside them.
_MATRICES = 6
#: Rows that the solver works on at a time (its chunk and the whitened one).
_SOLVER_ROWS = 2 * 1024
#: Bytes per atom for neighbours, density coefficients and the like.
_ATOM_BYTES = 16 * 1024
#: Bytes of scratch that do not depend on the problem.
_SCRATCH = 40 * 2**20
#: Bytes per atom and per row of K for labels, as they were read and as targets with their sigmas.
_LABEL_BYTES = 80, 16
#: Share of the free memory that the features hold from which sparse points are chosen; the choice makes copies.
_SELECTION_SHARE = 0.3
#: Share of it that a chunk of rows takes, without groups that are held out and with, whose rows are copied.
_CHUNK_SHARES = 0.8, 0.45
#: Bytes of the systems of frames that are held out, at most, and their share of the free memory of a limit.
_GROUP_BYTES, _GROUP_SHARE = 2**29, 0.5
_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def parse_bytes(size, name="max_memory"):
    """A number of bytes, or a text such as "300MB" or "2 GB", as bytes (1 kB = 1024 bytes).

    Raises
    ------
    ConfigError
        For anything else.

    Examples
    --------
    >>> parse_bytes("2GB"), parse_bytes(1e6)
    (2147483648, 1000000)
    """
    match = re.fullmatch(r"\s*([0-9.]+(?:e\+?[0-9]+)?)\s*([kmgt]?)i?b?\s*", str(size).lower())
    try:
        value = int(float(match[1]) * _UNITS[match[2]])
    except (TypeError, ValueError, OverflowError):  # no match, two points, infinite
        value = 0
    if not 0 < value < 2**63 or not isinstance(size, str | int | float | np.number) or isinstance(size, bool):
        raise ConfigError(f"{name}={show(size)}: expected a positive number of bytes, or a text such as '2GB'")
    return value


def format_bytes(size):
    """For people: "1.5 GB"."""
    power = min(4, int(np.log2(max(size, 1)) // 10))
    return f"{size / 1024**power:.3g} {('bytes', 'kB', 'MB', 'GB', 'TB')[power]}"


@dataclass(frozen=True, eq=False)
class Plan:
    """What a fit takes, in bytes beyond the frames themselves.

    Attributes
    ----------
    n_points : int
        Sparse points of all terms.
    state : int
        Sparse points, matrices of the size of K_MM, and labels: there from beginning to end.
    selection_bytes : int
        Features from which sparse points are chosen, at most.
    chunk_bytes : int
        Rows of K and what making them takes, at most, unless one frame takes more.
    frame_bytes : (n_frames,) float array
        What each training frame adds to a chunk.
    n_held_out : int
        Groups of frames that are held out in turn, each with a matrix of the size of K_MM.
    """

    n_points: int
    state: int
    selection_bytes: int
    chunk_bytes: int
    frame_bytes: np.ndarray
    n_held_out: int

    @classmethod
    def of(cls, data, all_targets, sizes, max_memory=None, n_groups=0):
        """Plan of a fit.

        Parameters
        ----------
        data : FrameData
            Training frames.
        all_targets : list of Targets
        sizes : list of (int, int, bool)
            Of every term: features, sparse points, and whether rows of features are frames instead of atoms.
        max_memory : int, str or None
        n_groups : int
            Groups of frames to be held out in turn, or fewer, as memory allows.

        Raises
        ------
        ConfigError
            If no plan keeps to `max_memory`, with what takes most of it.
        """
        n_points = sum(m for _, m, _ in sizes)
        state = 8 * (_MATRICES * n_points**2 + _SOLVER_ROWS * n_points + sum(2 * f * m for f, m, _ in sizes)) + _SCRATCH
        per_atom, per_row = _LABEL_BYTES
        state += per_atom * int(data.offsets[-1]) + per_row * sum(len(target.values) for target in all_targets)
        frame_bytes = np.zeros(len(data))
        for target in all_targets:
            frame_bytes += target.in_frames(data) * target.kind.n_rows(data.n_atoms) * 8.0 * n_points
        if len(sizes) > 1:  # blocks of terms, and the same side by side
            frame_bytes *= 2.0
        of_atoms, of_frames = (sum(f for f, _, frames in sizes if frames == wanted) for wanted in (False, True))
        frame_bytes += data.n_atoms * (_ATOM_BYTES + 16.0 * of_atoms) + 16.0 * of_frames
        largest = float(frame_bytes.max(initial=0.0))
        matrix = 8 * max(1, n_points) ** 2
        most = max((f for f, _, _ in sizes), default=0)
        what = f"a fit with n_sparse={n_points} points in all and rows of {most} features"
        check_memory(state + largest, what, "take fewer points, or a smaller descriptor (n_max, l_max, grid)")
        if max_memory is None:
            n_held_out = min(n_groups, max(1, _GROUP_BYTES // matrix))
            state += (n_held_out + bool(n_held_out)) * matrix
            return cls(n_points, state, 2**28, max(BLOCK_BYTES, int(largest)), frame_bytes, n_held_out)
        limit = parse_bytes(max_memory)
        free = limit - state
        if free < largest:
            need = state + largest
            frame = data.where(int(np.argmax(frame_bytes))) if len(data) else "a frame"
            raise ConfigError(
                f"max_memory={format_bytes(limit)} is too little: {format_bytes(state)} for {n_points} sparse points "
                f"and the labels, and {format_bytes(largest)} for the largest frame ({frame}); give at least "
                f"{format_bytes(need)}, or lower n_sparse"
            )
        n_held_out = int(min(n_groups, _GROUP_BYTES // matrix, max(0, _GROUP_SHARE * (free - largest) // matrix - 1)))
        state += (n_held_out + bool(n_held_out)) * matrix
        free = limit - state
        least = max((8 * f * m for f, m, _ in sizes), default=0)
        share = _CHUNK_SHARES[bool(n_held_out)]
        selection, chunk = max(int(_SELECTION_SHARE * free), least), max(int(share * free), int(largest))
        return cls(n_points, state, selection, chunk, frame_bytes, n_held_out)

    @property
    def peak(self):
        """Bytes at the highest point, as planned."""
        chunk = min(self.chunk_bytes, float(self.frame_bytes.sum()))
        return int(self.state + max(chunk, 0))
