"""Files of structures, read with every mistake named, and written."""

from pathlib import Path

import ase.io

from mercer.errors import DataError
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
    path = Path(path)
    if path.is_dir():
        raise DataError(f"{path}: a folder, expected a file of structures such as train.extxyz")
    if not path.exists():
        raise DataError(f"{path}: no such file")
    frames = []
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path}: the file is empty")
        for atoms in ase.io.iread(path, ":"):
            frames.append(atoms)
    except DataError:
        raise
    except Exception as error:  # ASE's readers raise anything from KeyError to their own types
        reason = str(error) or type(error).__name__
        raise DataError(f"{path}, frame {len(frames)}: cannot be read ({type(error).__name__}: {reason})") from error
    if not frames:
        raise DataError(f"{path}: holds no structure")
    frames = Frames(frames, [f"{path}, frame {k}" for k in range(len(frames))])
    try:
        chosen = ase.io.formats.string2index(index) if isinstance(index, str) else index
        frames = frames[chosen] if isinstance(chosen, slice) else frames.take([chosen])
    except (IndexError, ValueError, TypeError):
        raise DataError(f"{path}: no frame {index!r}, the file holds {len(frames)} frames") from None
    to_batch(frames)
    return frames


def write_frames(path, frames):
    """Write structures with all their entries as extended XYZ, whatever the name of the file.

    Parameters
    ----------
    path : str or Path
    frames : ase.Atoms or list of ase.Atoms

    Examples
    --------
    >>> import tempfile
    >>> from ase.build import bulk
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_frames(f"{folder}/si.extxyz", bulk("Si"))
    ...     len(read_frames(f"{folder}/si.extxyz"))
    1
    """
    ase.io.write(path, list(as_frames(frames)), format="extxyz")
