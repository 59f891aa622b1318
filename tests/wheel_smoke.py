"""Tries a wheel in an environment that holds nothing but it and what it needs: ``python wheel_smoke.py <wheel>``.

Each check names the fault of packaging that it catches; whether the numbers are right is the test suite's business.
"""

import importlib.metadata
import io
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

LEVELS = ["v4", "v3", "v2"]

COMPUTE = """
import sys
import numpy as np
from ase.build import bulk, molecule
import mercer
from mercer import kernels
silicon = bulk("Si", cubic=True) * (2, 2, 2)
silicon.rattle(0.1, seed=1)
frames = [silicon, molecule("CH3CH2OH", vacuum=4.0)]
i, j, d, D = mercer.neighbor_list("ijdD", silicon, 5.0)
soap = mercer.SOAP(species=["H", "C", "O", "Si"], r_cut=5.0, n_max=6, l_max=4, sigma=0.5)
X = soap.transform(frames)
blocks = [kernel(X) for kernel in (kernels.Polynomial(zeta=4), kernels.Gaussian(0.5), kernels.Matern(2.5))]
np.savez(sys.argv[1], i=i, j=j, d=d, D=D, X=X, **{f"K{n}": block for n, block in enumerate(blocks)})
print(mercer._core.level)
"""


def run(code, *arguments, check=True, **environment):
    env = {**os.environ, **environment}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=check, timeout=300)


def runnable_levels():
    from mercer import _core

    return [level for level in LEVELS if level in _core.supported_levels()]


def check_it_is_the_wheel_that_runs(wheel):
    """A source tree or another installation in front of the wheel."""
    import mercer

    assert Path(mercer.__file__).is_relative_to(sys.prefix), mercer.__file__
    assert mercer.__version__ == importlib.metadata.version("mercer") == wheel.name.split("-")[1]


def check_what_the_wheel_holds(wheel):
    """Forgotten modules, licences or type marker; sources, tests or build files that came along."""
    names = zipfile.ZipFile(wheel).namelist()
    for level in LEVELS:
        assert any(re.fullmatch(rf"mercer/_core/_core_{level}\..*so", name) for name in names), level
    assert "mercer/py.typed" in names
    for licence in ("LICENSE", "LICENSES.md"):
        assert any(".dist-info/" in name and name.endswith("/" + licence) for name in names), licence
    folders = {name.split("/")[0] for name in names}
    assert folders == {"mercer", "mercer.libs", f"mercer-{wheel.name.split('-')[1]}.dist-info"}, folders
    foreign = [name for name in names if name.endswith((".cpp", ".hpp", ".a", ".cmake", ".pyc"))]
    assert foreign == []


def check_the_tag(wheel):
    """A wheel that was not repaired: it would need libraries of the machine that built it."""
    assert "manylinux" in wheel.name, wheel.name


def dynamic_symbols(data):
    """Names that an ELF file (64 bits, little endian) defines for others."""
    (offset,) = struct.unpack_from("<Q", data, 0x28)
    size, count = struct.unpack_from("<HH", data, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, offset + k * size) for k in range(count)]
    names = set()
    for _, kind, _, _, start, length, link, _, _, entry in sections:
        if kind == 11:  # SHT_DYNSYM
            strings = sections[link][4]
            for at in range(start, start + length, entry):
                name, _, _, section = struct.unpack_from("<IBBH", data, at)
                if section:
                    names.add(data[strings + name : data.index(b"\0", strings + name)].decode())
    return names


def check_exported_symbols(wheel):
    """Symbols beside PyInit_*: inline functions of two levels, or of two libraries, could be merged at run time."""
    archive = zipfile.ZipFile(wheel)
    for level in LEVELS:
        (name,) = (name for name in archive.namelist() if f"/_core_{level}." in name)
        symbols = dynamic_symbols(archive.read(name))
        assert symbols == {f"PyInit__core_{level}"}, sorted(symbols)[:10]


def check_size(wheel):
    """Debug information, or the static libraries, inside the wheel."""
    assert wheel.stat().st_size < 30e6, wheel.stat().st_size


def check_the_loader_picks_the_widest(wheel):
    """A level that is there but not found."""
    config = run("import mercer; mercer.show_config()", MERCER_LEVEL="").stdout
    assert f"level             {runnable_levels()[0]}\n" in config, config
    assert "available_levels  v4, v3, v2\n" in config, config


def check_override_and_message(wheel):
    """A loader that ignores the variable, or that ends in a crash."""
    assert run("import mercer._core as c; print(c.level)", MERCER_LEVEL="v2").stdout == "v2\n"
    failed = run("import mercer", check=False, MERCER_LEVEL="v9")
    assert failed.returncode == 1
    assert "MERCER_LEVEL=v9 is no instruction-set level; expected one of v4, v3, v2" in failed.stderr


def check_every_level_computes_the_same(wheel):
    """Objects of several levels in one module; a level that was built with other options."""
    import numpy as np

    with tempfile.TemporaryDirectory() as folder:
        results = {}
        for level in runnable_levels():
            path = Path(folder) / f"{level}.npz"
            assert run(COMPUTE, path, MERCER_LEVEL=level).stdout == f"{level}\n"
            results[level] = dict(np.load(io.BytesIO(path.read_bytes())))
    first, *others = results.values()
    assert others or len(runnable_levels()) == 1
    assert first["d"].size > 1000 and np.isfinite(first["X"]).all() and first["X"].any()
    for other in others:
        assert other.keys() == first.keys()
        for key, value in first.items():
            assert value.shape == other[key].shape, key
            error = abs(value - other[key]).max() / abs(value).max()
            assert error <= 1e-12, (key, error)


def check_the_command(wheel):
    """An entry point that does not start, or a dependency that is not declared."""
    command = shutil.which("mercer", path=str(Path(sys.executable).parent))
    assert command, "no command 'mercer' beside the interpreter"
    text = subprocess.run([command, "--help"], capture_output=True, text=True, check=True, timeout=60).stdout
    for word in ("fit", "predict", "evaluate", "info", "demo"):
        assert word in text


def main():
    wheel = Path(sys.argv[1])
    for name, check in globals().copy().items():
        if name.startswith("check_"):
            check(wheel)
            print(f"ok  {name.removeprefix('check_').replace('_', ' ')}")


if __name__ == "__main__":
    main()
