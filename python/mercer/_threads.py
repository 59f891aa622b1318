"""How many threads the core uses, and what runs."""

import contextlib
import os
import platform

from mercer import _core
from mercer._core import core


def set_num_threads(n):
    """Fix the number of threads of the C++ core for this process.

    Parameters
    ----------
    n : int
        A positive number; 0 returns to the default: ``OMP_NUM_THREADS``, or what threadpoolctl has set, or all cores.

    Raises
    ------
    ConfigError
        If `n` is negative or not an integer.

    Examples
    --------
    >>> import mercer
    >>> mercer.set_num_threads(0)
    """
    from mercer._validation import check_count  # with NumPy, which `import mercer` does not load

    core.set_num_threads(check_count(n, "number of threads", minimum=0))


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

    Examples
    --------
    >>> import mercer
    >>> with mercer.threads(1):
    ...     pass
    """
    if n is None:
        yield
        return
    before = core.fixed_num_threads()
    set_num_threads(n)
    try:
        yield
    finally:
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
