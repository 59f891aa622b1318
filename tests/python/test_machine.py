"""What the machine can hold, and work that it cannot."""

import subprocess
import sys

import pytest
from mercer import _machine
from mercer.errors import ConfigError


def test_memory_of_this_machine():
    assert 2**28 < _machine.machine_memory() < 2**60


@pytest.mark.parametrize("size", [2**31, float("inf"), float("nan")])
def test_what_is_too_large(monkeypatch, size):
    monkeypatch.setattr(_machine, "machine_memory", lambda: 2**30)
    _machine.check_memory(2**30, "this", "take less")
    with pytest.raises(ConfigError, match=r"this takes .* GB, this machine has 1 GB; take less"):
        _machine.check_memory(size, "this", "take less")


def test_limits_of_the_shell_count():
    pytest.importorskip("resource")
    code = "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**33 + 1, 2**33 + 1)); "
    code += "from mercer._machine import machine_memory; print(machine_memory())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == min(2**33 + 1, _machine.machine_memory())
