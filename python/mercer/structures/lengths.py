"""Structures whose positions are in another unit than Angstrom."""

import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator

from mercer.errors import DataError
from mercer.structures.frames import Frames, as_frames
from mercer.structures.units import length_factor


def in_angstrom(frames, unit):
    """Frames with positions and cells in Angstrom.

    Parameters
    ----------
    frames : ase.Atoms or list of ase.Atoms
        Left as they are.
    unit : str
        "angstrom", "bohr" or "nm", of positions and cells; "fractional", of positions given in multiples of the cell
        vectors, with cells in Angstrom.

    Returns
    -------
    Frames

    Raises
    ------
    DataError
        For fractional positions in a frame without a cell of three vectors, naming the frame.
    ConfigError
        For an unknown unit.

    Examples
    --------
    >>> from ase.build import bulk
    >>> float(round(in_angstrom(bulk("Si"), "nm")[0].cell.lengths()[0] / bulk("Si").cell.lengths()[0], 12))
    10.0
    """
    frames = as_frames(frames)
    fractional = str(unit).strip().lower() == "fractional"
    factor = 1.0 if fractional else length_factor(unit)
    converted = []
    for k, atoms in enumerate(frames):
        results = getattr(atoms.calc, "results", None) or {}
        results = {} if results and atoms.calc.check_state(atoms) else results
        copy = atoms.copy()
        copy.set_constraint()
        copy.cell = factor * atoms.cell.array
        if fractional and not abs(np.linalg.det(atoms.cell.array)) > 0:
            raise DataError(f"{frames.where(k)}: fractional positions, but no cell of three vectors")
        copy.positions = atoms.positions @ atoms.cell.array if fractional else factor * atoms.positions
        copy.set_constraint(atoms.constraints)
        if results:
            copy.calc = SinglePointCalculator(copy, **results)
        converted.append(copy)
    return Frames(converted, frames.sources)
