"""Where the commands write: files and folders that change only when everything is there."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from mercer import _files
from mercer.errors import DataError

#: What the running command has put in its place so far, for the message when it is interrupted.
written = []

#: Endings of the files of results.
_ENDINGS = (".mercer", ".yaml", ".log", ".json", ".png", ".extxyz")


@contextlib.contextmanager
def output_folder(path):
    """A temporary folder inside `path`, whose files replace those of `path` at the end, if nothing went wrong.

    `path` is locked meanwhile, and what killed runs have left in it is removed.

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
        If the folder cannot be made or written to, or another run writes into it: at once, before any work. At the end
        if the disk is full.
    """
    path = _files.checked_name(path, what="folder")
    made, handle, temporary = [], None, None
    try:
        try:
            made = _missing_parents(path)
            path.mkdir(parents=True, exist_ok=True)
            _refuse_what_is_no_file(path)
            handle = os.open(path, os.O_RDONLY) if os.name == "posix" else None
            locked = None if handle is None else _files.lock(handle)
            if locked is False:
                raise DataError(
                    f"{path}: another run of mercer writes into this folder; wait for its end, or choose another one "
                    "with -o"
                )
            if locked:
                for left in path.glob(_files.UNFINISHED + "*"):
                    if left.is_dir() and not left.is_symlink():
                        shutil.rmtree(left, ignore_errors=True)
            temporary = Path(tempfile.mkdtemp(prefix=_files.UNFINISHED, dir=path))
        except OSError as error:
            reason = _files.no_room(error) or error.strerror
            reason = "it is not a folder" if isinstance(error, FileExistsError) else reason
            raise DataError(
                f"{path}: cannot write to this output folder ({reason}); choose another one with -o"
            ) from None
        try:
            yield temporary
            for file in sorted(temporary.iterdir()):
                os.replace(file, path / file.name)
            made = []
        except (OSError, ValueError) as error:
            if not _files.no_room(error):
                raise
            raise DataError(
                f"{path}: {_files.no_room(error)}; nothing was written, earlier results are as they were. Make room, "
                "or choose another folder with -o"
            ) from error
        written.append(f"{path}/")
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()
        if handle is not None:
            os.close(handle)


def _missing_parents(path):
    """Folders that mkdir will have to make, the innermost first."""
    return [folder for folder in (path, *path.parents) if not folder.exists()]


def _refuse_what_is_no_file(path):
    """Raise DataError if something that has the name of a result is no file: it could not be replaced at the end."""
    for entry in path.iterdir():
        if entry.suffix in _ENDINGS and not entry.is_symlink() and not entry.is_file():
            raise DataError(f"{entry}: not a regular file; remove it, or choose another folder with -o")


@contextlib.contextmanager
def output_file(path, model=None):
    """A temporary name that becomes `path` at the end, if nothing went wrong; see `mercer._files.replacing`.

    Parameters
    ----------
    path : path
    model : path, optional
        What is read meanwhile, and must not be replaced.

    Raises
    ------
    DataError
        If the file cannot be written, or is the model: at once, before any work. At the end if the disk is full.
    """
    same = False
    with contextlib.suppress(OSError, ValueError):  # not there; no name of a file
        same = model is not None and os.path.samefile(path, model)
    if same:
        raise DataError(f"{path} is the model itself, which would be lost; choose another name")
    with _files.replacing(path) as temporary:
        yield temporary
    written.append(str(path))
