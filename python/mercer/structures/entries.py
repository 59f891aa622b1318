"""Numbers that frames carry beside their labels, such as standard deviations of labels."""

import numpy as np

from mercer.errors import DataError
from mercer.structures.frames import as_frames


def info_numbers(frames, key, *, positive=False):
    """Numbers ``info[key]`` of frames; NaN where a frame has none: shape (n_frames,).

    Raises
    ------
    DataError
        If an entry is not one number, or not a positive one where `positive`, naming file and frame.

    Examples
    --------
    >>> from ase import Atoms
    >>> info_numbers([Atoms("H", info={"energy_sigma": 0.1}), Atoms("H")], "energy_sigma").tolist()
    [0.1, nan]
    """
    frames = as_frames(frames)
    numbers = np.full(len(frames), np.nan)
    for k, atoms in enumerate(frames):
        if key in atoms.info:
            try:
                if isinstance(atoms.info[key], (bool, np.bool_)):
                    raise TypeError("a truth value")
                numbers[k] = float(atoms.info[key])
            except (TypeError, ValueError):
                raise DataError(f"{frames.where(k)}: {key} is {atoms.info[key]!r}, expected one number") from None
            if np.isnan(numbers[k]):
                raise DataError(f"{frames.where(k)}: {key} is NaN, expected a number")
            if positive and not 0.0 < numbers[k] < np.inf:
                raise DataError(f"{frames.where(k)}: {key} is {numbers[k]:g}, expected a positive number")
    return numbers


def atom_numbers(frames, key, n_columns=1, *, positive=False):
    """Numbers ``arrays[key]`` of the atoms of all frames; NaN where a frame has none: shape (n_atoms, n_columns).

    Raises
    ------
    DataError
        If the array has another shape, holds NaN, or numbers that are not positive where `positive`.

    Examples
    --------
    >>> from ase import Atoms
    >>> masked = Atoms("H2")
    >>> masked.arrays["force_mask"] = np.array([True, False])
    >>> atom_numbers([masked, Atoms("H")], "force_mask").ravel().tolist()
    [1.0, 0.0, nan]
    """
    frames = as_frames(frames)
    parts = [np.zeros((0, n_columns))]
    for k, atoms in enumerate(frames):
        if key not in atoms.arrays:
            parts.append(np.full((len(atoms), n_columns), np.nan))
            continue
        if positive and np.asarray(atoms.arrays[key]).dtype == bool:
            raise DataError(f"{frames.where(k)}: array {key} holds truth values, expected positive numbers")
        try:
            values = np.asarray(atoms.arrays[key], float).reshape(len(atoms), n_columns)
        except (TypeError, ValueError):
            shape = np.shape(atoms.arrays[key])
            raise DataError(
                f"{frames.where(k)}: array {key} has shape {shape}, expected {n_columns} number(s) for each atom"
            ) from None
        if np.isnan(values).any() or (positive and not ((values > 0) & np.isfinite(values)).all()):
            raise DataError(
                f"{frames.where(k)}: array {key} holds {'numbers that are not positive' if positive else 'NaN'}"
            )
        parts.append(values)
    return np.concatenate(parts)
