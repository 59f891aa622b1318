"""Picks the widest build of the C++ core that this processor runs, once, at import.

A wheel holds one extension module per instruction-set level of x86-64 (``_core_v2``, ``_core_v3``, ``_core_v4``), a
build from source one for the machine that built it. The environment variable ``MERCER_LEVEL`` overrides the choice.
"""

import importlib
import os
import pkgutil
import platform
import sys

#: Widest first; "generic" is what a compiler's default gives on other processors.
_LEVELS = ("v4", "v3", "v2", "generic")

#: Flags of /proc/cpuinfo that a level needs beyond the one below it (the ones that compilers use).
_FLAGS = {
    "v2": {"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"},
    "v3": {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"},
    "v4": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
}


def _processor_flags():
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("flags"):
                    return set(line.split(":", 1)[1].split())
    except OSError:
        pass
    return set()


def supported_levels():
    """Levels that this processor runs, widest first."""
    supported = ["generic"]
    flags = _processor_flags()
    if platform.machine() in ("x86_64", "AMD64"):
        needed = set()
        for level in ("v2", "v3", "v4"):
            needed |= _FLAGS[level]
            if needed <= flags:
                supported.insert(0, level)
    return supported


def available_levels():
    """Levels that this installation holds, widest first."""
    present = {module.name for module in pkgutil.iter_modules(__path__)}
    return [level for level in _LEVELS if f"_core_{level}" in present]


def _choose():
    available = available_levels()
    if not available:
        raise ImportError(
            f"mercer: no compiled core in {list(__path__)}; reinstall with 'pip install --force-reinstall mercer'"
        )
    wanted = os.environ.get("MERCER_LEVEL", "").strip()
    if wanted:
        if wanted not in available:
            raise ImportError(f"mercer: MERCER_LEVEL={wanted}, but this installation holds {', '.join(available)}")
        return wanted
    supported = supported_levels()
    for level in available:
        if level in supported:
            return level
    raise ImportError(
        f"mercer: this installation holds the core for {', '.join(available)}, which this processor does not run "
        f"(it runs {', '.join(supported)}); build from source with 'pip install --no-binary mercer mercer'"
    )


#: The level that runs.
level = _choose()
core = importlib.import_module(f"{__name__}._core_{level}")
sys.modules[f"{__name__}.core"] = core
