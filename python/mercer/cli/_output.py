"""Output that appears only when it is complete: what was there before stays intact until then."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from mercer.errors import DataError


@contextlib.contextmanager
def output_folder(path):
    """A temporary folder inside `path`, whose files replace those of `path` at the end, if nothing went wrong.

    Parameters
    ----------
    path : path
        Made if it is missing; gone again if the work fails and it was made here.

    Yields
    ------
    pathlib.Path
        Where to write.

    Raises
    ------
    DataError
        If the folder cannot be made or written to: at once, before any work.
    """
    path = Path(path)
    made = _missing_parents(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=path))
    except OSError as error:
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise DataError(
            f"{path}: cannot write to this output folder ({error.strerror}); choose another one with -o"
        ) from None
    try:
        yield temporary
        for file in sorted(temporary.iterdir()):
            os.replace(file, path / file.name)
        made = []
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _missing_parents(path):
    """Folders that mkdir will have to make, the innermost first."""
    return [folder for folder in (path, *path.parents) if not folder.exists()]


@contextlib.contextmanager
def output_file(path):
    """A temporary name beside `path` that replaces it at the end, if nothing went wrong.

    Raises
    ------
    DataError
        If the folder is missing or cannot be written to: at once, before any work.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        handle, name = tempfile.mkstemp(prefix=".unfinished-", suffix="".join(path.suffixes), dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise DataError(f"{path}: cannot write this file ({error.strerror}); choose another one with -o") from None
    try:
        yield Path(name)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
