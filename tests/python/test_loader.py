"""The loader of the C++ core: which level it picks, and what it says when it cannot."""

import os
import subprocess
import sys

import mercer
import pytest
from mercer import _core

V2 = _core._FLAGS["v2"]
V3 = V2 | _core._FLAGS["v3"]
V4 = V3 | _core._FLAGS["v4"]


def import_with(**environment):
    return subprocess.run(
        [sys.executable, "-c", "import mercer; print(mercer._core.level)"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (set(), ["generic"]),
        (V2 - {"popcnt"}, ["generic"]),
        (V2, ["v2", "generic"]),
        (V3 - {"fma"}, ["v2", "generic"]),
        (V3, ["v3", "v2", "generic"]),
        (V4 - {"avx512vl"}, ["v3", "v2", "generic"]),
        (V4 - {"movbe"}, ["v2", "generic"]),
        (V4, ["v4", "v3", "v2", "generic"]),
    ],
)
def test_levels_by_processor_flags(flags, expected):
    assert _core.supported_levels("x86_64", flags) == expected


def test_other_processors_run_the_generic_build():
    assert _core.supported_levels("aarch64", V4) == ["generic"]


def test_flags_are_read_from_cpuinfo(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor : 0\nflags\t\t: fpu avx2 fma\nprocessor : 1\nflags : other\n")
    assert _core._processor_flags(cpuinfo) == {"fpu", "avx2", "fma"}


def test_without_cpuinfo_only_v2_is_assumed(tmp_path):
    assert _core.supported_levels("x86_64", _core._processor_flags(tmp_path / "missing")) == ["v2", "generic"]


@pytest.mark.parametrize(
    ("available", "supported", "wanted", "level"),
    [
        (["v4", "v3", "v2"], ["v3", "v2", "generic"], "", "v3"),
        (["v4", "v3", "v2"], ["v4", "v3", "v2", "generic"], "", "v4"),
        (["v4", "v3", "v2"], ["v4", "v3", "v2", "generic"], "v2", "v2"),
        (["generic"], ["v4", "v3", "v2", "generic"], "", "generic"),
    ],
)
def test_choice(available, supported, wanted, level):
    assert _core._choose(available, supported, wanted) == level


@pytest.mark.parametrize(
    ("available", "supported", "wanted", "message"),
    [
        ([], ["v2"], "", "no compiled core in .*force-reinstall"),
        (["v3", "v2"], ["v2", "generic"], "v9", "MERCER_LEVEL=v9 is no instruction-set level; expected one of v3, v2"),
        (["v3", "v2"], ["v3", "v2"], "v4", "MERCER_LEVEL=v4, but this installation holds v3, v2"),
        (["v4", "v2"], ["v2", "generic"], "v4", "MERCER_LEVEL=v4, but this processor runs v2, generic"),
        (["v4"], ["v3", "v2", "generic"], "", "holds the core for v4, but this processor runs v3.*build from source"),
    ],
)
def test_messages(available, supported, wanted, message):
    with pytest.raises(ImportError, match=message):
        _core._choose(available, supported, wanted)


def test_environment_variable_with_an_unknown_level():
    result = import_with(MERCER_LEVEL="v9")
    assert result.returncode == 1
    assert "ImportError: mercer: MERCER_LEVEL=v9 is no instruction-set level" in result.stderr


@pytest.mark.parametrize("level", _core.available_levels())
def test_every_level_of_this_installation_loads_if_the_processor_runs_it(level):
    result = import_with(MERCER_LEVEL=level)
    if level in _core.supported_levels():
        assert (result.returncode, result.stdout.strip()) == (0, level)
    else:
        assert "but this processor runs" in result.stderr


def test_an_empty_variable_is_no_choice():
    expected = _core._choose(_core.available_levels(), _core.supported_levels())
    assert import_with(MERCER_LEVEL="").stdout.strip() == expected


def test_module_and_loader_agree():
    assert _core.core.level == _core.level
    assert _core.core.__name__ == f"mercer._core._core_{_core.level}"


def test_show_config_tells_what_runs(capsys):
    config = mercer.show_config()
    printed = capsys.readouterr().out
    assert config["level"] == _core.level
    assert config["level"] in config["available_levels"]
    assert config["level"] in config["supported_levels"]
    assert config["version"] == mercer.__version__
    assert config["threads"] >= 1
    assert config["override"] == (os.environ.get("MERCER_LEVEL") or None)
    for key in config:
        assert key in printed
