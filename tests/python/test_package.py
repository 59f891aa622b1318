"""The package as installed: its version, its public names, what importing it costs."""

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import mercer
import pytest

ROOT = Path(__file__).parents[2]


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout


def test_the_version_is_written_once_and_is_the_same_everywhere():
    written = re.search(r"project\(mercer VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text()).group(1)
    assert mercer.__version__ == written
    assert importlib.metadata.version("mercer") == written
    sources = [*ROOT.glob("*.toml"), *ROOT.glob("python/**/*.py"), *ROOT.glob("cpp/**/*.[hc]pp")]
    assert len(sources) > 20
    assert [path for path in sources if f'"{written}"' in path.read_text()] == []


def test_import_loads_no_heavy_package():
    heavy = "ase", "matplotlib", "numpy", "pydantic", "rich", "scipy", "sklearn", "typer"
    loaded = run_python(f"import sys, mercer; print([name for name in {heavy!r} if name in sys.modules])")
    assert loaded.strip() == "[]"


@pytest.mark.parametrize("name", mercer.__all__)
def test_public_names_exist(name):
    assert getattr(mercer, name) is not None
    assert name in dir(mercer)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'mercer' has no attribute 'SOAPP'"):
        _ = mercer.SOAPP


def test_lazy_names_stay_once_loaded():
    code = "from mercer import SOAP; import mercer; print(vars(mercer)['SOAP'] is SOAP, SOAP.__module__)"
    assert run_python(code).startswith("True mercer.descriptors")


def test_type_hints_are_advertised():
    assert (Path(mercer.__file__).parent / "py.typed").is_file()


def test_the_licences_come_along():
    files = {Path(str(file)).name for file in importlib.metadata.files("mercer")}
    assert {"LICENSE", "LICENSES.md"} <= files


def test_subnormal_numbers_survive_the_import():
    """A library linked with -ffast-math makes the whole process flush them to zero."""
    assert run_python("import mercer; print(2.2250738585072014e-308 / 2 > 0, 5e-324 * 1.0 > 0)").split() == ["True"] * 2
