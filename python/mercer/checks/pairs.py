"""Energies of pairs of similar frames against the work of their forces on the way between them."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from ase.geometry import find_mic

#: Frames compared pair by pair in one group, at most; root mean square displacements (Angstrom) that are compared.
_COMPARED, _CLOSE = 250, (1e-4, 0.06)
#: Pairs that are needed, and their least correlation.
NEEDED, CORRELATED = 10, 0.95


def similar_pairs(frames, labels):
    """Work and difference of energy of pairs of similar frames in the same cell.

    Along a short straight way between two frames, E2 - E1 = -(F1 + F2) . (r2 - r1) / 2 up to the third order in the
    displacement (trapezoidal rule).

    Returns
    -------
    work, difference : ndarray of shape (n_pairs,)
        eV.
    """
    usable = np.flatnonzero(labels.has("energy") & labels.has("forces"))
    starts = np.concatenate([[0], np.cumsum(labels.n_atoms)])
    groups = defaultdict(list)
    for k in usable:
        atoms = frames[k]
        groups[atoms.numbers.tobytes(), atoms.pbc.tobytes(), atoms.cell.array.round(4).tobytes()].append(k)
    work, difference = [], []
    for members in groups.values():
        members = members[:_COMPARED]
        if len(members) < 2:
            continue
        positions = np.array([frames[k].positions for k in members])
        forces = np.array([labels.forces[starts[k] : starts[k + 1]] for k in members])
        atoms = frames[members[0]]
        for a in range(len(members) - 1):
            moves = positions[a + 1 :] - positions[a]
            if atoms.pbc.any():
                moves = find_mic(moves.reshape(-1, 3), atoms.cell, atoms.pbc)[0].reshape(moves.shape)
            size = np.sqrt(np.mean(moves**2, axis=(1, 2)))
            b = int(np.argmin(size))
            if not _CLOSE[0] < size[b] < _CLOSE[1]:
                continue
            work.append(-0.5 * np.sum((forces[a] + forces[a + 1 + b]) * moves[b]))
            difference.append(labels.energy[members[a + 1 + b]] - labels.energy[members[a]])
    return np.array(work), np.array(difference)


def slope_of_pairs(work, difference):
    """Slope of differences of energy against work; None where the pairs are few or do not tell."""
    if len(work) < NEEDED or not (np.any(work) and np.any(difference)):
        return None
    correlation = (work @ difference) / np.sqrt((work @ work) * (difference @ difference))
    if not abs(correlation) >= CORRELATED:
        return None
    return float((work @ difference) / (work @ work))
