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

#: Flags of /proc/cpuinfo that a level needs beyond the one below it (x86-64 psABI, section 3.1.1). The kernel lists
#: AVX and AVX-512 flags only if it also saves those registers, so the flags alone decide.
_FLAGS = {
    "v2": {"cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"},
    "v3": {"abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave"},
    "v4": {"avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"},
}


def _processor_flags(cpuinfo="/proc/cpuinfo"):
    """Flags of the processor; those of x86-64-v2, which every current system needs, where they cannot be read."""
    try:
        with open(cpuinfo, encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("flags"):
                    return set(line.split(":", 1)[1].split())
    except OSError:
        pass
    return _FLAGS["v2"]


def supported_levels(machine=None, flags=None):
    """Levels that this processor runs, widest first."""
    supported = ["generic"]
    if (machine or platform.machine()).lower() in ("x86_64", "amd64"):
        flags = _processor_flags() if flags is None else flags
        for level in ("v2", "v3", "v4"):
            if not _FLAGS[level] <= flags:
                break
            supported.insert(0, level)
    return supported


def available_levels():
    """Levels that this installation holds, widest first."""
    present = {module.name for module in pkgutil.iter_modules(__path__)}
    return [level for level in _LEVELS if f"_core_{level}" in present]


def _choose(available, supported, wanted=""):
    """The level to load: `wanted`, else the widest that is both available and supported."""
    if not available:
        raise ImportError(
            f"mercer: no compiled core in {', '.join(__path__)}; "
            "reinstall with 'pip install --force-reinstall --no-deps mercer'"
        )
    if wanted and wanted not in _LEVELS:
        raise ImportError(
            f"mercer: MERCER_LEVEL={wanted} is no instruction-set level; expected one of {', '.join(available)}, "
            "or unset it to let mercer choose"
        )
    if wanted and wanted not in available:
        raise ImportError(
            f"mercer: MERCER_LEVEL={wanted}, but this installation holds {', '.join(available)}; "
            "choose one of these or unset it"
        )
    if wanted and wanted not in supported:
        raise ImportError(
            f"mercer: MERCER_LEVEL={wanted}, but this processor runs {', '.join(supported)}; "
            "choose one of these or unset it"
        )
    for level in [wanted] if wanted else available:
        if level in supported:
            return level
    raise ImportError(
        f"mercer: this installation holds the core for {', '.join(available)}, but this processor runs "
        f"{', '.join(supported)}; build from source on this machine with 'pip install --no-binary mercer mercer'"
    )


#: The level that runs.
level = _choose(available_levels(), supported_levels(), os.environ.get("MERCER_LEVEL", "").strip())
core = importlib.import_module(f"{__name__}._core_{level}")
sys.modules[f"{__name__}.core"] = core
