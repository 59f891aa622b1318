"""How many threads the core uses, and what runs."""

import contextlib
import os
import platform
import threading

from mercer import _core
from mercer._core import core
from mercer.errors import ConfigError

#: More threads than this are a mistake, which would take the memory of the machine.
MOST_THREADS = 1024


def set_num_threads(n):
    """Fix the number of threads of the C++ core for this process.

    Parameters
    ----------
    n : int
        A positive number; 0 returns to the default: ``OMP_NUM_THREADS``, or what threadpoolctl has set, or all cores.

    Raises
    ------
    ConfigError
        If `n` is negative, above 1024, or not an integer.

    Examples
    --------
    >>> import mercer
    >>> mercer.set_num_threads(0)
    """
    from mercer._validation import check_count  # with NumPy, which `import mercer` does not load

    number = check_count(n, "number of threads", minimum=0)
    if number > MOST_THREADS:
        raise ConfigError(f"number of threads={number}: expected at most {MOST_THREADS}.")
    core.set_num_threads(number)


def num_threads():
    """Number of threads that the core would use now.

    Examples
    --------
    >>> import mercer
    >>> with mercer.threads(1):
    ...     print(num_threads())
    1
    """
    return core.num_threads()


@contextlib.contextmanager
def threads(n):
    """Use `n` threads inside a ``with`` block; None changes nothing.

    The number is that of the process: of blocks that are open at once in several Python threads, the one entered last
    counts. After the last of them it is what it was before the first.

    Examples
    --------
    >>> import mercer
    >>> with mercer.threads(1):
    ...     pass
    """
    if n is None:
        yield
        return
    block = object()
    with _lock:
        before = core.fixed_num_threads()
        set_num_threads(n)
        _open.append((block, before))
    try:
        yield
    finally:
        with _lock:
            _leave(block)


#: Guards the blocks of :func:`threads` that are open, each with the number before it, in the order they were entered.
_lock = threading.RLock()
_open = []


def _leave(block):
    """Take a block out: the number before it is set, or handed to the block that was entered after it."""
    at = next(k for k, (other, _) in enumerate(_open) if other is block)
    _, before = _open.pop(at)
    if at < len(_open):
        _open[at] = _open[at][0], before
    else:
        core.set_num_threads(before)


def show_config():
    """Print what runs, and return it as a dict.

    Returns
    -------
    dict
        ``version``, ``level`` (instruction-set level of the core that runs), ``available_levels``,
        ``supported_levels``, ``override`` (value of ``MERCER_LEVEL``), ``threads``, ``compiler``, ``machine``.
    """
    config = {
        "version": core.version,
        "level": _core.level,
        "available_levels": _core.available_levels(),
        "supported_levels": _core.supported_levels(),
        "override": os.environ.get("MERCER_LEVEL") or None,
        "threads": core.num_threads(),
        "compiler": core.compiler,
        "machine": platform.machine(),
    }
    for key, value in config.items():
        print(f"{key:17s} {', '.join(value) if isinstance(value, list) else value}")
    return config
