"""mercer check: the table of contents of a data set, its page, and the data put right."""

import base64
import re

import ase.io
import ase.units
import mercer
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.calculators.emt import EMT
from mercer import checks
from mercer.checks import consistency
from mercer.checks.finding import Finding
from mercer.cli import main
from mercer.cli._check import members_of, parse_remedy, put_right
from mercer.cli._data import read_data
from mercer.config import load_options
from mercer.contents import contents
from mercer.contents_page import pictures, tables
from mercer.structures import Frames, read_frames, read_labels, stress_order

PNG = b"\x89PNG\r\n"


def alloys(n=12, seed=0):
    """Strained and rattled copper-gold cells labelled by EMT, of two config_types, and an isolated atom."""
    rng = np.random.default_rng(seed)
    frames = []
    for k in range(n):
        atoms = bulk("Cu", a=3.8, cubic=True)
        atoms.numbers[: k % 3] = 79
        atoms.set_cell(atoms.cell * (0.95 + 0.1 * k / n), scale_atoms=True)
        atoms.rattle(0.1, rng=rng)
        atoms.calc = EMT()
        energy, forces, stress = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
        atoms.calc = None
        atoms.info.update(REF_energy=energy, REF_stress=stress, config_type="odd" if k % 2 else "even")
        atoms.arrays["REF_forces"] = forces
        frames.append(atoms)
    lone = Atoms("Au", info={"REF_energy": -0.5, "config_type": "IsolatedAtom"})
    return [*frames, lone]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    mercer.set_num_threads(0)


def run(capsys, *arguments, status=0):
    assert main(list(map(str, arguments))) == status
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return captured.out + captured.err


# ---- numbers


def test_counts():
    frames = alloys()
    found = contents(frames)
    assert (found.n_frames, found.n_atoms, found.sizes) == (13, 49, (1, 4, 4))
    assert found.elements == {"Cu": (36, 12), "Au": (13, 9)}
    assert found.periodic == {"TTT": 12, "FFF": 1}
    assert found.compositions == {"Cu4": 4, "AuCu3": 4, "Au2Cu2": 4, "Au": 1}
    assert {name: (g.n_frames, g.n_atoms) for name, g in found.groups.items()} == {
        "even": (6, 24),
        "odd": (6, 24),
        "IsolatedAtom": (1, 1),
    }


def test_ranges_are_those_of_the_frames():
    frames = alloys()
    found = contents(frames)
    volumes = [atoms.get_volume() / 4 for atoms in frames[:-1]]
    pressures = [-np.mean(atoms.info["REF_stress"][:3]) / ase.units.GPa for atoms in frames[:-1]]
    largest = [np.linalg.norm(atoms.arrays["REF_forces"], axis=1).max() for atoms in frames[:-1]]
    energies = [atoms.info["REF_energy"] / 4 for atoms in frames[:-1]]
    for quantity, values in (
        ("volume", volumes),
        ("pressure", pressures),
        ("force", largest),
        ("total_energy", energies),
    ):
        r = found.ranges[quantity]
        expected = [min(values), np.median(values), max(values)]
        assert np.allclose([r.smallest, r.median, r.largest], expected, rtol=1e-6, atol=1e-9), quantity
        assert r.n_frames == 12
        odd = found.groups["odd"].ranges[quantity]
        assert np.allclose([odd.smallest, odd.largest], [min(values[1::2]), max(values[1::2])], rtol=1e-6, atol=1e-9)
    gold, copper = (np.array([np.mean(atoms.numbers == z) for atoms in frames[:-1]]) for z in (79, 29))
    rest = np.array(energies) + 0.5 * gold  # less the isolated atom; copper by least squares, frames weighed alike
    rest -= copper * (rest @ copper) / (copper @ copper)
    assert np.allclose(found.per_frame["energy"][:-1], rest, rtol=0, atol=1e-9)
    assert found.per_frame["energy"][-1] == 0


def test_distances_of_pairs_of_elements(monkeypatch):
    frames = Frames(
        [molecule("H2O"), molecule("CH4"), Atoms("HO", [[0, 0, 0], [0, 0, 7.0]]), fcc111("Cu", (1, 1, 2), vacuum=5)]
    )
    for n_atoms in (20000, 3):  # in one piece, and in many
        monkeypatch.setattr("mercer.contents._ATOMS", n_atoms)
        found = contents(frames)
        water = frames[0].get_all_distances()
        assert found.shortest["H", "O"] == pytest.approx(water[0, 1], rel=1e-12)
        assert len(found.nearest["H", "O"]) == 2 and len(found.nearest["H", "H"]) == 6
        assert found.closest["H", "H"] == "frame 0" and found.closest["H", "C"] == "frame 1"
        assert found.shortest["O", "O"] == np.inf and ("O", "O") not in found.closest
        assert found.shortest["Cu", "Cu"] == pytest.approx(3.61 / np.sqrt(2), rel=1e-3)
        assert found.nearest["C", "O"].shape == (0,)


def test_of_nothing_and_without_labels():
    assert contents([]).n_frames == 0 and contents([]).ranges == {}
    found = contents(molecule("H2O"))
    assert found.ranges == {} and found.groups[""].n_frames == 1


def test_tables_and_pictures():
    frames = alloys()
    labels = read_labels(frames)
    found = contents(frames, labels)
    named = {title: rows for title, _, rows in tables(found, labels, {"energy": "eV"})}
    assert named["labels"][0] == ("energy", "REF_energy", "eV", "13")
    assert [row[0] for row in named["config_type"]] == ["even", "odd", "IsolatedAtom"]
    shortest = min(found.shortest.values())
    assert named["distances (Å)"][0][1] == f"{shortest:.3f}"
    drawn = pictures(found, labels)
    assert len(drawn) == 4 and all(image.startswith(PNG) and len(image) > 5000 for image in drawn.values())
    assert pictures(contents(molecule("H2O")), read_labels(molecule("H2O"), required=False)).keys() == {
        "distances to the nearest neighbour"
    }


# ---- the command


def test_check_of_good_data(here, capsys):
    ase.io.write("data.extxyz", alloys(30))
    text = run(capsys, "check", "data.extxyz", "--html", "page.html")
    for part in ("Cu4 (10)", "REF_stress", "IsolatedAtom", "Cu-Au", "findings", "check data"):
        assert part in text, part
    page = (here / "page.html").read_text(encoding="utf-8")
    images = [base64.b64decode(code) for code in re.findall(r'src="data:image/png;base64,([^"]+)"', page)]
    assert len(images) == 4 and all(image.startswith(PNG) for image in images)
    assert page.count("<table>") == 6 and "http" not in page.replace("http-equiv", "")


def test_page_escapes_what_files_hold(here, capsys):
    atoms = molecule("H2O", info={"REF_energy": 1.0, "config_type": "<b>&"})
    ase.io.write("data.extxyz", atoms)
    run(capsys, "check", "data.extxyz", "--html", "page.html", "-q")
    page = (here / "page.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;&amp;" in page and "<b>" not in page


def planted(monkeypatch, *first, then=()):
    """Let the checks find these, and `then` in what was put right."""
    answers = [list(first), list(then)]
    monkeypatch.setattr(checks, "check_data", lambda frames, labels, **_: answers.pop(0))


def test_status_and_findings(here, capsys, monkeypatch):
    ase.io.write("data.extxyz", alloys())
    planted(monkeypatch, Finding("a", "thing", "likely", ("--key stress=none",)))
    assert "likely: thing  [--key stress=none]" in run(capsys, "check", "data.extxyz")
    planted(monkeypatch, Finding("a", "thing", "certain"))
    assert "certain: thing" in run(capsys, "check", "data.extxyz", status=1)


def wrong(here):
    """Data with energies in kcal/mol, and stresses of one config_type in VASP's order and kbar."""
    frames = alloys()
    for k, atoms in enumerate(frames):
        atoms.info["REF_energy"] /= ase.units.kcal / ase.units.mol
        atoms.info["note"] = k
        if atoms.info["config_type"] == "odd":
            atoms.info["REF_stress"] = -atoms.info["REF_stress"][[0, 1, 2, 5, 3, 4]] / (0.1 * ase.units.GPa)
    ase.io.write("data.extxyz", frames)


ENERGY = Finding("units", "energies", "certain", ("--units energy=kcal/mol", "--units forces=eV/angstrom"))
STRESS = Finding("order", "stress", "likely", ("--units stress=-kbar", "--stress-order vasp"), "config_type odd")


def test_data_put_right(here, capsys, monkeypatch):
    wrong(here)
    planted(monkeypatch, ENERGY, STRESS, Finding("x", "y", "note", ("--key energy=none",)))
    text = run(capsys, "check", "data.extxyz", "--fix", "right.extxyz")
    assert "put right in 13 frames: --units energy=kcal/mol --units forces=eV/angstrom" in text
    assert "put right in 6 frames: --units stress=-kbar --stress-order vasp" in text
    one, two = read_frames("right.extxyz"), alloys()
    labels, expected = read_labels(one), read_labels(two)
    for kind, tolerance in (("energy", 1e-6), ("forces", 2e-8)):
        assert np.abs(getattr(labels, kind)[:12] - getattr(expected, kind)[:12]).max() <= tolerance, kind
    assert set(labels.found) == {"energy", "forces", "virial"} and labels.unused == ()
    assert [atoms.info["note"] for atoms in one] == list(range(13))
    assert labels.config_type.tolist() == expected.config_type.tolist()
    odd = [k for k in range(12) if k % 2]
    assert np.abs(labels.virial[odd] - expected.virial[odd]).max() <= 1e-6
    assert "REF_stress" not in one[0].info and "_JSON" not in (here / "right.extxyz").read_text()


def test_the_first_remedy_of_an_option_counts(here):
    wrong(here)
    options = load_options()
    data = read_data(["data.extxyz"], options)
    other = Finding("units", "energies", "likely", ("--units energy=hartree",))
    fixed, applied, dropped = put_right(data, [ENERGY, other, STRESS], options)
    assert [(finding, n) for finding, n in applied] == [(ENERGY, 13), (STRESS, 6)] and dropped == 0
    assert np.abs(fixed.labels.energy - read_labels(alloys()).energy).max() <= 1e-6


def test_status_after_putting_right(here, capsys, monkeypatch):
    ase.io.write("data.extxyz", alloys())
    planted(monkeypatch, Finding("a", "thing", "certain", ("--key stress=none",)))
    run(capsys, "check", "data.extxyz", "--fix", "right.extxyz")
    assert "virial" not in read_labels(read_frames("right.extxyz")).found
    left = Finding("a", "still there", "certain")
    planted(monkeypatch, left, then=[left])
    text = run(capsys, "check", "data.extxyz", "--fix", "right.extxyz", status=1)
    assert "nothing to put right" in text and text.count("still there") == 2


def test_frames_are_left_out_when_asked(here, capsys, monkeypatch):
    ase.io.write("data.extxyz", alloys())
    twice = Finding("duplicates", "twice", "note", frames=(2, 5))
    planted(monkeypatch, twice)
    run(capsys, "check", "data.extxyz", "--fix", "all.extxyz")
    planted(monkeypatch, twice)
    assert "left out: 2 frames" in run(capsys, "check", "data.extxyz", "--fix", "some.extxyz", "--drop-found")
    everything, some = read_frames("all.extxyz"), read_frames("some.extxyz")
    expected = everything.take([k for k in range(13) if k not in (2, 5)])
    assert [a.info["REF_energy"] for a in some] == [a.info["REF_energy"] for a in expected]
    assert "give --fix FILE too" in run(capsys, "check", "data.extxyz", "--drop-found", status=1)
    assert "says another format" in run(capsys, "check", "data.extxyz", "--fix", "a.traj", status=1)


def test_positions_put_right(here, capsys, monkeypatch):
    frames = alloys()
    for atoms in frames:
        atoms.set_cell(atoms.cell / ase.units.Bohr, scale_atoms=True)
    ase.io.write("data.extxyz", frames)
    remedy = Finding("positions", "bohr", "certain", ("--units positions=bohr",))
    planted(monkeypatch, remedy)
    run(capsys, "check", "data.extxyz", "--fix", "right.extxyz")
    for one, two in zip(read_frames("right.extxyz")[:-1], alloys()[:-1], strict=True):
        assert np.abs(one.cell.array - two.cell.array).max() <= 1e-7
        assert np.abs(one.positions - two.positions).max() <= 1e-7


def test_remedies_that_are_no_options_of_labels():
    assert parse_remedy(("--units stress=kbar", "--stress-order vasp")) == {
        ("--units", "stress"): "kbar",
        ("--stress-order", ""): "vasp",
    }
    assert parse_remedy(("--drop 3",)) == parse_remedy(()) == {}
    assert parse_remedy(("--stress-order 'xx yy zz yz xy xz'",)) == {("--stress-order", ""): "xx yy zz yz xy xz"}


def test_frames_of_a_finding(here):
    ase.io.write("a.extxyz", alloys(4))
    ase.io.write("b.extxyz", alloys(3))
    data = read_data(["a.extxyz", "b.extxyz"], load_options())
    assert members_of(Finding("x", "y", frames=(1, 7)), data) == [1, 7]
    assert members_of(Finding("x", "y", where="config_type odd"), data) == [1, 3, 6]
    assert members_of(Finding("x", "y", where="b.extxyz"), data) == [5, 6, 7, 8]
    assert members_of(Finding("x", "y"), data) == list(range(9))


@pytest.mark.parametrize("name", [*consistency._ORDERS, *consistency._EXCHANGES])
def test_orders_that_checks_name_are_options(name):
    places = ({**consistency._ORDERS, **consistency._EXCHANGES})[name]
    for matrices, expected in ((np.ones(3, bool), "matrix-"), (np.zeros(3, bool), "")):
        remedy = consistency._order_option(name, matrices)
        ((_, value),) = parse_remedy(remedy).items()
        assert value.startswith(expected) and stress_order(value.removeprefix("matrix-")) == list(places)
    assert consistency._order_option(name, np.array([True, False])) == ()
