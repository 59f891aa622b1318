"""Output that appears only when it is complete: what was there before stays until then, devices and pipes always."""

import contextlib
import errno
import os
import shutil
import stat
import tempfile
import time
import unicodedata
from pathlib import Path

try:
    import fcntl
except ImportError:  # no locks there
    fcntl = None

from mercer.errors import DataError

#: Beginning of the names of what is being written.
UNFINISHED = ".unfinished-"
#: A file of that name, which nobody has locked, was left behind if it is older than this (seconds).
_STALE = 60.0
#: What the system says when there is no room, and for whom there is none.
_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your disk quota is used up",
    errno.EFBIG: "the file is larger than the limit of this process or file system",
}


def checked_name(path, error=DataError, what="file"):
    """`path` as a Path, if a file or folder can have this name.

    Raises
    ------
    DataError
        For an empty name, or the given type of error.
    """
    text = os.fspath(path)
    if isinstance(text, bytes):
        text = os.fsdecode(text)
    if not text.strip() or "\0" in text:
        raise error(f"{text!r} cannot be the name of a {what}; give a name such as 'results'")
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text):
        raise error(f"{text!r} cannot be the name of a {what}: it holds characters that cannot be shown")
    if len(os.fsencode(text)) > 4000 or len(Path(text).parts) > 200:
        raise error(f"{text[:60] + '...'!r} cannot be the name of a {what}: it is too long")
    return Path(text)


def no_room(error):
    """Why there is no room, if that is what this exception (or the one behind it) says; None otherwise."""
    for cause in (error, error.__cause__):
        if isinstance(cause, OSError) and cause.errno in _FULL:
            return _FULL[cause.errno]
    return None


@contextlib.contextmanager
def replacing(path, error=DataError, remedy="choose another one with -o"):
    """A temporary name, whose content becomes that of `path` at the end if nothing went wrong.

    A regular file is replaced, and that which a link leads to. A device or a pipe is written to. The temporary file has
    the endings of `path`, and is locked: what a killed process left behind is removed by the next one that writes into
    the same folder.

    Parameters
    ----------
    path : path-like
    error : type of exception
        For what cannot be written.
    remedy : str
        The end of such messages.

    Yields
    ------
    pathlib.Path

    Raises
    ------
    DataError
        Or `error`: at once if the folder is missing or cannot be written to, or if `path` is a folder, a disk or a
        socket; at the end if the disk is full.
    """
    path = checked_name(path, error)
    try:
        stream = _is_stream(path)
        target = path if stream else Path(os.path.realpath(path))
        folder = Path(tempfile.gettempdir()) if stream else target.parent
        if not stream:
            if target.exists() and not os.access(target, os.W_OK):
                raise PermissionError(0, "it is read-only")
            _remove_left_files(folder)
        handle, name = tempfile.mkstemp(prefix=UNFINISHED, suffix="".join(path.suffixes), dir=folder)
    except OSError as problem:
        reason = no_room(problem) or problem.strerror
        raise error(f"{path}: cannot write this file ({reason}); {remedy}") from problem
    temporary = Path(name)
    try:
        lock(handle)
        try:
            yield temporary
            if stream:
                with open(temporary, "rb") as source, open(target, "wb") as sink:
                    shutil.copyfileobj(source, sink)
            else:
                os.chmod(temporary, stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666 & ~_umask())
                os.replace(temporary, target)
        except (OSError, ValueError) as problem:
            if not no_room(problem):
                raise
            raise error(f"{path}: {no_room(problem)}; nothing was written. Make room, or {remedy}") from problem
    finally:
        os.close(handle)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _is_stream(path):
    """Whether something is written to as it stands: a device of characters, a pipe, or an open file of the process."""
    if os.path.abspath(path).startswith(("/dev/std", "/dev/fd/", "/proc/")):
        return True
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(0, "it is a folder")
    if stat.S_ISBLK(mode) or stat.S_ISSOCK(mode):
        raise OSError(0, "it is a disk or a socket")
    return not stat.S_ISREG(mode)


def lock(handle):
    """Lock an open file or folder, for this process alone.

    Returns
    -------
    bool or None
        False if another one has it, None if there are no locks on this file system.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _remove_left_files(folder):
    """Remove the unfinished files in a folder that nobody writes any more."""
    for file in folder.glob(UNFINISHED + "*"):
        with contextlib.suppress(OSError):
            if file.is_file() and not file.is_symlink() and time.time() - file.stat().st_mtime > _STALE:
                handle = os.open(file, os.O_RDWR)
                try:
                    if lock(handle):
                        file.unlink()
                finally:
                    os.close(handle)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
