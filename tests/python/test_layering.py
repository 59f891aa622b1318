"""ARCHITECTURE.md is the map; this test holds the code to it. The order of layers is read from its two tables."""

import ast
import graphlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "python" / "mercer"
CPP = ROOT / "cpp"
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()

#: Who may import what, by the first part of the path under python/mercer. Everything else may not.
RESERVED = {
    "ase": {"structures", "calculators.py", "dynamics.py", "demo.py", "checks"},
    "scipy.linalg": {"linalg.py"},
    "mercer._core": {
        "__init__.py",
        "_core",
        "_threads.py",
        "basis",
        "descriptors",
        "io.py",
        "kernels",
        "neighbors.py",
        "rows.py",
        "structures",
    },
}


def layers(heading, pattern):
    """Names in the first column of the table under a heading of ARCHITECTURE.md: one list per row, top to bottom."""
    section = ARCHITECTURE.split(f"## {heading}", 1)[1].split("\n## ", 1)[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [re.findall(pattern, row) for row in rows]


MODULE_ROWS = layers("Python modules", r"`(\w+)(?:\.py|/)`")
ROOMS = [name for row in layers("C++ rooms", r"`(\w+)`") for name in row]
ROW_OF = {name: number for number, names in enumerate(MODULE_ROWS) for name in names}
FILES = sorted(PACKAGE.rglob("*.py"))
SOURCES = sorted(path for path in CPP.rglob("*") if path.suffix in {".cpp", ".hpp", ".in"})
HEADERS = sorted((CPP / "include").rglob("*.hpp*"))


def first_part(path):
    return path.relative_to(PACKAGE).parts[0]


def imports(path, tree=None):
    """Dotted names of everything that a file imports, wherever in the file, relative ones resolved."""
    here = ("mercer", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(tree or ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else ()
            base = ".".join((*base, *((node.module,) if node.module else ())))
            yield from (f"{base}.{alias.name}" for alias in node.names)


#: The one import upwards: `Potential.calculator()` makes its calculator, inside the method.
UPWARDS = {("models/potential.py", "mercer.calculators.PotentialCalculator")}


def modules_used(path):
    """Modules of the package (names of the first level) that a file imports."""
    used = set()
    for name in imports(path):
        if (path.relative_to(PACKAGE).as_posix(), name) in UPWARDS:
            continue
        parts = name.split(".")
        if parts[0] == "mercer" and len(parts) > 1 and parts[1] != "__version__":
            used.add(parts[1])
    return used - {Path(first_part(path)).stem}


def matches(name, package):
    return name == package or name.startswith(package + ".")


def ids(path):
    return str(path.relative_to(ROOT))


def test_the_tables_are_found():
    assert len(MODULE_ROWS) >= 6
    assert {"cli", "models", "descriptors", "_core", "errors"} <= set(ROW_OF)
    assert ROOMS[:2] == ["core", "math"]
    assert len(FILES) > 5 and len(SOURCES) > 20 and len(HEADERS) > 8


@pytest.mark.parametrize("path", [path for path in FILES if path != PACKAGE / "__init__.py"], ids=ids)
def test_imports_go_downwards(path):
    module = Path(first_part(path)).stem
    assert module in ROW_OF, f"{module} is not in the table of modules in ARCHITECTURE.md"
    for used in modules_used(path):
        assert used in ROW_OF, f"{ids(path)} imports mercer.{used}: import it from the module that holds it"
        assert ROW_OF[used] >= ROW_OF[module], f"{ids(path)} imports mercer.{used}, which is above it"


def test_importing_the_package_needs_the_ground_only():
    assert {ROW_OF[used] for used in modules_used(PACKAGE / "__init__.py")} == {len(MODULE_ROWS) - 1}


def test_modules_import_each_other_in_no_circle():
    graph = {}
    for path in FILES:
        graph.setdefault(Path(first_part(path)).stem, set()).update(modules_used(path))
    del graph["__init__"]
    list(graphlib.TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("package", RESERVED)
@pytest.mark.parametrize("path", FILES, ids=ids)
def test_reserved_packages(path, package):
    if first_part(path) not in RESERVED[package]:
        assert [name for name in imports(path) if matches(name, package)] == []


def test_the_check_of_imports_sees_every_form():
    path = PACKAGE / "models" / "example.py"
    lines = "import ase.io", "def f():", "  from ase import Atoms", "  from ..linalg import x", "from . import krr"
    code = "\n".join((*lines, "from .. import io"))
    expected = ["ase.io", "ase.Atoms", "mercer.linalg.x", "mercer.models.krr", "mercer.io"]
    assert sorted(imports(path, ast.parse(code))) == sorted(expected)


def room_of(path):
    """Room of a C++ file: the folder below include/mercer or src."""
    parts = path.relative_to(CPP).parts
    return parts[2] if parts[:2] == ("include", "mercer") else parts[1] if parts[0] == "src" else None


@pytest.mark.parametrize("path", [path for path in SOURCES if room_of(path)], ids=ids)
def test_a_room_includes_only_rooms_above_it(path):
    room = room_of(path)
    assert room in ROOMS, f"{room} is not in the table of rooms in ARCHITECTURE.md"
    for included in re.findall(r'#\s*include\s*[<"](?:mercer/)?(\w+)/', path.read_text()):
        if included in ROOMS:
            assert ROOMS.index(included) <= ROOMS.index(room), f"{ids(path)} includes {included}"


@pytest.mark.parametrize("path", SOURCES, ids=ids)
def test_what_stays_in_one_place(path):
    text = path.read_text()
    if path.name != "parallel.hpp":
        assert not re.search(r"#\s*pragma\s+omp|_Pragma|omp\.h", text)
    if path.parts[len(CPP.parts)] != "bindings":
        assert "pybind11" not in text
    if path.suffix == ".hpp":
        assert "#pragma once" in text
        assert "using namespace" not in text


@pytest.mark.parametrize("path", HEADERS, ids=ids)
def test_public_headers_hold_no_foreign_types(path):
    assert not re.search(r"Eigen|pybind11|Python\.h", path.read_text())


def build_files():
    return [ROOT / "pyproject.toml", ROOT / "CMakePresets.json", *ROOT.glob("**/CMakeLists.txt"), *ROOT.glob("cmake/*")]


def test_no_fast_math_and_no_native_builds():
    for path in build_files():
        code = "\n".join(line.split("#")[0] for line in path.read_text().splitlines())
        assert not re.search(r"-ffast-math|-Ofast|-funsafe-math|-march=native|-mtune=native", code), ids(path)


def test_no_paths_of_one_machine():
    folders = "python", "cpp", "tests", "bench", "cmake", "third_party", "examples", "docs"
    files = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    files += [*ROOT.glob("*.md"), *ROOT.glob("*.toml"), *ROOT.glob("*.json"), ROOT / "CMakeLists.txt"]
    texts = {".py", ".cpp", ".hpp", ".in", ".txt", ".cmake", ".md", ".toml", ".json", ".yaml"}
    pattern = re.compile(r"/(?:home|root|work|Users)/\w|[\"' =]/tmp/\w")
    for path in files:
        if path.suffix in texts and path.is_file():
            assert not pattern.search(path.read_text()), ids(path)
