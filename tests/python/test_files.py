"""Files of structures: mistakes of extended XYZ that are named, and names that files may have."""

import gzip

import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from mercer.errors import DataError
from mercer.structures import check_suffix, read_frames, write_frames

HEAD = 'Lattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3'


def written(folder, text, name="a.extxyz", **options):
    path = folder / name
    path.write_text(text, **options)
    return path


def frame(species=("Cu", "Au"), comment=f"{HEAD} REF_energy=-3.5", count=None):
    lines = [f"{s} {k}.0 0.5 0.5" for k, s in enumerate(species)]
    return "\n".join([str(len(lines) if count is None else count), comment, *lines]) + "\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_byte_order_marks_and_line_ends(tmp_path, encoding, newline):
    path = written(tmp_path, 2 * frame(), encoding=encoding, newline=newline)
    frames = read_frames(path)
    assert [atoms.get_chemical_formula() for atoms in frames] == ["AuCu", "AuCu"]
    assert frames[1].info["REF_energy"] == -3.5


def test_compressed_files_and_trailing_lines(tmp_path):
    (tmp_path / "a.extxyz.gz").write_bytes(gzip.compress((frame() + "\n \n").encode()))
    assert len(read_frames(tmp_path / "a.extxyz.gz")) == 1
    assert len(read_frames(written(tmp_path, frame() + "\n\n"))) == 1
    (tmp_path / "b.extxyz.gz").write_bytes(gzip.compress(frame(count=9).encode()))
    with pytest.raises(DataError, match="says 9 atoms, but the file ends after 2"):
        read_frames(tmp_path / "b.extxyz.gz")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (frame(count=10**12), "frame 0: cannot be read .line 1 says 1000000000000 atoms, but the file ends after 2"),
        (frame() + frame(count=3), "frame 1: cannot be read .line 5 says 3 atoms, but the file ends after 2"),
        (frame(count="9" * 400), "frame 0: cannot be read .line 1 says 9+... atoms"),
        (frame(count=-2), "frame 0: cannot be read .line 1 is '-2', expected a number of atoms"),
        (frame(count="2 atoms"), "frame 0: cannot be read .line 1 is '2 atoms'"),
        (frame() + "\n" + frame(), "frame 1: line 5 is empty .* goes on in line 6"),
        (frame(comment=HEAD + " e=1 e=2"), "frame 0: e is there twice in line 2, with different values"),
        (frame() + frame(comment=HEAD + ' e="1 2" x=1 e="1 3"'), "frame 1: e is there twice in line 6"),
        (frame(comment=HEAD + " e = 1 e = 2"), "frame 0: e is there twice"),
        (frame(comment=HEAD + ' stress="1 2 3 4 5 6"'), "frame 0: cannot be read .*six numbers needs .* REF_stress"),
        (frame(comment="Properties=species:S:1:pos:R:3:f:R:1:f:R:1"), "frame 0: the column f is declared twice"),
        (
            frame().replace("1.0 0.5 0.5", "1.0 0.5 0.5 0.1"),
            "frame 0, atom 1: 5 columns in line 4, but Properties declares 4",
        ),
        (frame().replace("1.0 0.5 0.5", "1.0 0.5"), "frame 0, atom 1: 3 columns in line 4, but Properties declares 4"),
        (frame(comment=HEAD + ' pbc="T T T T"'), 'frame 0: pbc in line 2 is "T T T T"; expected three of T and F'),
        (frame(comment=HEAD + ' pbc="yes no no"'), 'frame 0: pbc in line 2 is "yes no no"'),
        (frame(comment=HEAD + ' pbc="T F F'), "frame 0: a quote in line 2 has no other end"),
        (frame(comment=HEAD.replace("species:S:1:pos:R:3", "")), "frame 0: Properties in line 2 is empty"),
    ],
)
def test_what_the_text_cannot_mean(tmp_path, text, message):
    with pytest.raises(DataError, match=f"a.extxyz, {message}"):
        read_frames(written(tmp_path, text))


@pytest.mark.parametrize("comment", ['e="1 2" f=3 e="1 2"', "note='a=1 a=2' x={b=1 b=2}", "flag flag e=1"])
def test_what_the_text_may_mean(tmp_path, comment):
    assert len(read_frames(written(tmp_path, frame(comment=f"{HEAD} {comment}")))) == 1


@pytest.mark.parametrize(
    ("species", "message"),
    [
        ("Si1", "'Si1' is no symbol of an element .write Si if"),
        ("14", "'14' is no symbol of an element .write Si, or declare the column as Z:I:1"),
        ("O_w", "'O_w' is no symbol of an element .write O if"),
        ("999", "'999' is no symbol of an element .write the symbol, or declare"),
        ("Xx", "'Xx' is no symbol of an element, such as Si"),
        ("X", "'X' is no symbol"),
    ],
)
def test_species_that_are_none(tmp_path, species, message):
    path = written(tmp_path, frame() + frame(["Cu", "Cu", species]))
    with pytest.raises(DataError, match=f"a.extxyz, frame 1, atom 2: {message}"):
        read_frames(path)


def test_species_in_any_column(tmp_path):
    text = "1\nProperties=pos:R:3:species:S:1\n0 0 0 cu\n"
    assert read_frames(written(tmp_path, text))[0].get_chemical_symbols() == ["Cu"]
    for name in ("label", "species"):
        text = f"1\nProperties={name}:S:1:Z:I:1:pos:R:3\nSi1 14 0 0 0\n"
        assert read_frames(written(tmp_path, text))[0].get_chemical_symbols() == ["Si"]
    assert read_frames(written(tmp_path, "1\n\nCu 0 0 0\n"))[0].get_chemical_symbols() == ["Cu"]
    with pytest.raises(DataError, match="atom 0: 'Cu7'"):
        read_frames(written(tmp_path, "1\nProperties=pos:R:3:species:S:1\n0 0 0 Cu7\n"))
    with pytest.raises(DataError, match="atom 0: 'Cu7'"):
        read_frames(written(tmp_path, "1\na comment\nCu7 0 0 0\n"))


def test_other_encodings(tmp_path):
    path = tmp_path / "a.extxyz"
    path.write_bytes(frame(comment=HEAD + " note=Ångström").encode("latin-1"))
    with pytest.raises(DataError, match="is no UTF-8 text"):
        read_frames(path)


def test_cell_vectors_after_the_atoms(tmp_path):
    text = "1\n\nCu 0 0 0\nVEC1 3 0 0\nVEC2 0 3 0\nVEC3 0 0 3\n"
    frames = read_frames(written(tmp_path, text + text, "a.xyz"))
    assert len(frames) == 2 and frames[1].get_volume() == pytest.approx(27.0, rel=1e-12)


@pytest.mark.parametrize("name", ["a.extxyz", "a.xyz", "a.XYZ", "a", "v1.2.extxyz", "a.xyz.gz"])
def test_names_that_structures_are_written_to(tmp_path, name):
    check_suffix(name)
    write_frames(tmp_path / name, [molecule("H2O"), bulk("Si")])
    assert len(ase.io.read(tmp_path / name, ":", format="extxyz")) == 2


@pytest.mark.parametrize("name", ["a.traj", "a.json", "a.db", "a.cif", "a.foo", "a.extxyz.zip", "POSCAR.vasp"])
def test_names_that_say_another_format(tmp_path, name):
    with pytest.raises(DataError, match=r"written as extended XYZ.*use .*\.extxyz"):
        write_frames(tmp_path / name, bulk("Si"))
    assert list(tmp_path.iterdir()) == []


def test_matrices_are_written_as_numbers_and_nothing_twice(tmp_path):
    matrix = np.arange(9.0).reshape(3, 3)
    atoms = bulk("Si")
    atoms.info.update(mine=matrix, energy=1.0, counts=np.arange(3))
    atoms.calc = SinglePointCalculator(atoms, energy=2.0, forces=np.ones((2, 3)))
    write_frames(tmp_path / "a.extxyz", atoms)
    text = (tmp_path / "a.extxyz").read_text()
    assert "_JSON" not in text and 'mine="0.0 1.0 2.0 3.0 4.0 5.0 6.0 7.0 8.0"' in text
    again = ase.io.read(tmp_path / "a.extxyz")
    assert np.array_equal(again.info["mine"], matrix.ravel()) and again.get_potential_energy() == 1.0
    assert np.array_equal(atoms.info["mine"], matrix) and atoms.calc.results["energy"] == 2.0  # as they were
    assert np.array_equal(again.get_forces(), np.ones((2, 3)))


@pytest.mark.parametrize(
    ("pbc", "expected"),
    [('"T F T"', [1, 0, 1]), ("[true, false, true]", [1, 0, 1]), ('"1 0 0"', [1, 0, 0]), ("F", [0, 0, 0])],
)
def test_periodicity_in_every_usual_form(tmp_path, pbc, expected):
    atoms = read_frames(written(tmp_path, frame(comment=f"{HEAD} pbc={pbc}")))[0]
    assert atoms.pbc.tolist() == [bool(p) for p in expected]


def test_columns_that_are_not_declared_are_left_alone(tmp_path):
    text = frame(comment="a note").replace("0.5 0.5", "0.5 0.5 0.1 0.2")
    assert np.array_equal(read_frames(written(tmp_path, text))[0].positions, [[0, 0.5, 0.5], [1, 0.5, 0.5]])
