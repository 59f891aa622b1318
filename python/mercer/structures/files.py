"""Files of structures, read with every mistake named, and written."""

from pathlib import Path

import ase.io
import numpy as np
from ase.calculators.calculator import all_properties
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.formats import filetype, get_compression, open_with_compression

from mercer._validation import check_path, show
from mercer.errors import DataError
from mercer.structures.extxyz import scan
from mercer.structures.frames import Frames, as_frames, to_batch


def read_frames(path, index=":"):
    """Read structures from a file of any format that ASE knows, and check them.

    Parameters
    ----------
    path : str or Path
    index : str, int or slice, default ":"
        Which frames, as in ``ase.io.read``; always returns a list.

    Returns
    -------
    Frames
        With names such as ``"train.extxyz, frame 12"``; frames are counted from 0 in the file.

    Raises
    ------
    DataError
        For a file that is missing, empty or unreadable, or has no such frame; for positions that are NaN or infinite
        and periodic cells without volume, naming file and frame.

    Examples
    --------
    >>> import ase.io, tempfile
    >>> from ase.build import bulk
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ase.io.write(f"{folder}/si.extxyz", [bulk("Si"), bulk("Ge")])
    ...     read_frames(f"{folder}/si.extxyz")[1].get_chemical_formula()
    'Ge2'
    """
    path = check_path(path)
    frames = read_unchecked(path)
    try:
        chosen = ase.io.formats.string2index(index) if isinstance(index, str) else index
        frames = frames[chosen] if isinstance(chosen, slice) else frames.take([chosen])
    except (IndexError, ValueError, TypeError):
        raise DataError(f"{path}: no frame {show(index)}, the file holds {len(frames)} frames") from None
    to_batch(frames)
    return frames


def read_unchecked(path):
    """All structures of a file, as `read_frames` gives them, positions and cells as they are."""
    path = check_path(path)
    if path.is_dir():
        raise DataError(f"{path}: a folder, expected a file of structures such as train.extxyz")
    if not path.exists():
        raise DataError(f"{path}: no such file")
    frames = []
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path}: the file is empty")
        for atoms in _structures(path):
            frames.append(atoms)
    except DataError:
        raise
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: cannot be read: byte {error.start} is no UTF-8 text; convert the file") from None
    except Exception as error:  # ASE's readers raise anything from KeyError to their own types
        reason = str(error) or type(error).__name__
        if "special 3x3" in reason:
            reason += "; a stress or virial of six numbers needs a key of its own, such as REF_stress"
        raise DataError(f"{path}, frame {len(frames)}: cannot be read ({type(error).__name__}: {reason})") from error
    if not frames:
        raise DataError(f"{path}: holds no structure")
    return Frames(frames, [f"{path}, frame {k}" for k in range(len(frames))])


def _structures(path):
    """The structures of a file, one by one; extended XYZ is looked through first."""
    if filetype(str(path)) != "extxyz":
        yield from ase.io.iread(path, ":")
    elif get_compression(str(path))[1]:
        with open_with_compression(str(path), "r") as file:
            scan(file, path)
        yield from ase.io.iread(path, ":", format="extxyz")
    else:
        with open(path, encoding="utf-8-sig") as file:
            scan(file, path)
            file.seek(0)
            yield from ase.io.iread(file, ":", format="extxyz")


#: Suffixes of the files that are written, all of them extended XYZ.
_WRITTEN = (".extxyz", ".xyz", "")


def check_suffix(path):
    """Refuse to write extended XYZ into a file whose name says another format.

    Raises
    ------
    DataError
        For any suffix but .extxyz and .xyz, also with .gz behind; a name without one is fine.

    Examples
    --------
    >>> check_suffix("predicted.extxyz")
    """
    name, compression = get_compression(Path(path).name)
    suffix = Path(name).suffix
    if suffix.lower() not in _WRITTEN or compression not in (None, "gz", "bz2", "xz"):
        raise DataError(
            f"{path}: structures are written as extended XYZ, and this name says another format; use "
            f"{Path(path).name.removesuffix(suffix)}.extxyz, and convert it with ase convert if need be"
        )


def write_frames(path, frames):
    """Write structures with all their entries as extended XYZ; matrices as nine numbers, row by row.

    Parameters
    ----------
    path : str or Path
        A name that ends in .extxyz or .xyz, or has no suffix.
    frames : ase.Atoms or list of ase.Atoms
        Results of calculators are written too, but where info or arrays hold an entry of the same name.

    Raises
    ------
    DataError
        For a name that says another format.

    Examples
    --------
    >>> import tempfile
    >>> from ase.build import bulk
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_frames(f"{folder}/si.extxyz", bulk("Si"))
    ...     len(read_frames(f"{folder}/si.extxyz"))
    1
    """
    path = check_path(path)
    check_suffix(path)
    ase.io.write(path, [_as_text(atoms) for atoms in as_frames(frames)], format="extxyz")


def _as_text(atoms):
    """A frame whose entries extended XYZ can hold without JSON, and none of them twice."""
    results = getattr(atoms.calc, "results", None) or {}
    copy = atoms.copy()
    copy.info = {key: _flat(key, value) for key, value in atoms.info.items()}
    written = {**atoms.info, **atoms.arrays}
    rest = {key: value for key, value in results.items() if key in all_properties and key not in written}
    if rest:
        copy.calc = SinglePointCalculator(copy, **rest)
    return copy


def _flat(key, value):
    """A matrix as nine numbers; ASE does so itself for the keys that it turns back into matrices."""
    if key in ("virial", "stress"):
        return value
    return (
        value.ravel() if isinstance(value, np.ndarray) and value.shape == (3, 3) and value.dtype.kind in "fi" else value
    )
