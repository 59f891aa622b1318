"""Centres that may be points without an atom: these are appended as atoms of no element, which nobody counts."""

from dataclasses import dataclass

import numpy as np

from mercer._validation import as_numbers, check_items, show
from mercer.errors import DataError

#: A point that is this close to an atom (Angstrom) is that atom.
COINCIDENT = 1e-6


@dataclass(frozen=True)
class Centers:
    """The centres of one system.

    Attributes
    ----------
    atoms : ase.Atoms
        The system with its points appended, atomic number 0.
    rows : ndarray of shape (n_centers,)
        The atom of `atoms` at each centre.
    moves : ndarray of bool of shape (n_centers,)
        Whether the centre was given as an atom, so that it may move with it.
    n_atoms : int
        Atoms of the system itself.
    """

    atoms: object
    rows: np.ndarray
    moves: np.ndarray
    n_atoms: int

    @classmethod
    def of(cls, atoms, centers):
        """`centers`: None for all atoms, or a list of indices and Cartesian points (Angstrom)."""
        n_atoms = len(atoms)
        if centers is None:
            return cls(atoms, np.arange(n_atoms), np.ones(n_atoms, dtype=bool), n_atoms)
        centers = check_items(centers, "centers", "indices of atoms or Cartesian points")
        if len(centers) == 0:
            raise DataError("centers is empty; give indices of atoms or Cartesian points, or leave it out.")
        rows, moves, points = [], [], []
        for center in centers:
            moves.append(not isinstance(center, list | tuple | np.ndarray) or np.shape(center) == ())
            if moves[-1]:
                whole = isinstance(center, int | np.integer) and not isinstance(center, bool)
                if not whole or not 0 <= center < n_atoms:
                    raise DataError(
                        f"centers: {show(center)}: expected the index of one of the {n_atoms} atoms, or a point."
                    )
                rows.append(int(center))
                continue
            point = as_numbers(center, "centers")
            if point.shape != (3,) or not np.isfinite(point).all():
                raise DataError(f"centers: {show(center)}: expected an index, or three finite Cartesian coordinates.")
            at = _coincident(atoms, point)
            if at is None:
                known = [k for k, other in enumerate(points) if (other == point).all()]
                at = n_atoms + (known[0] if known else len(points))
                if not known:
                    points.append(point)
            rows.append(at)
        if points:
            atoms = type(atoms)(
                numbers=np.concatenate([atoms.numbers, np.zeros(len(points), dtype=int)]),
                positions=np.concatenate([atoms.positions, points]),
                cell=atoms.cell,
                pbc=atoms.pbc,
            )
        return cls(atoms, np.array(rows), np.array(moves), n_atoms)


def _coincident(atoms, point):
    """The atom at a point, or None."""
    if len(atoms) == 0:
        return None
    shifts = atoms.positions - point
    if atoms.pbc.any():
        cell = atoms.cell.complete().array
        fractions = np.linalg.solve(cell.T, shifts.T).T
        shifts = shifts - np.where(atoms.pbc, np.round(fractions), 0) @ cell
    distances = np.linalg.norm(shifts, axis=1)
    nearest = int(np.argmin(distances))
    return nearest if distances[nearest] < COINCIDENT else None
