"""What this machine can hold: asked before work that it could not finish."""

import contextlib
import math
import os
from pathlib import Path

try:
    import resource
except ImportError:  # not on this system
    resource = None

from mercer.errors import ConfigError

#: Limits of containers, in versions 2 and 1 of control groups.
_GROUPS = "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"


def machine_memory():
    """Bytes that this process may take: the memory of the machine, or less by limits of containers and of the shell;
    infinite where nothing is known."""
    limits = [math.inf]
    with contextlib.suppress(ValueError, OSError, AttributeError):
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for name in _GROUPS:
        with contextlib.suppress(ValueError, OSError):  # ValueError: "max"
            limits.append(int(Path(name).read_text(encoding="ascii")))
    if resource is not None:
        limits += [limit for limit in resource.getrlimit(resource.RLIMIT_AS) if limit != resource.RLIM_INFINITY]
    return min(limit for limit in limits if limit > 0)


def check_memory(n_bytes, what, remedy):
    """Raise ConfigError if this machine has less than so many bytes; `what` needs them.

    Examples
    --------
    >>> check_memory(1e3, "this fit", "take fewer sparse points")
    """
    there = machine_memory()
    if not n_bytes <= there:
        raise ConfigError(f"{what} takes {n_bytes / 2**30:.3g} GB, this machine has {there / 2**30:.3g} GB; {remedy}")
