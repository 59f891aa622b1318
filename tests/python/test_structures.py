"""Reading structures and labels: what arrives, in which units, and what is said when it is wrong."""

import re

import ase.io
import ase.units
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from mercer.errors import ConfigError, DataError
from mercer.structures import (
    Frames,
    as_frames,
    naming_frames,
    read_frames,
    read_labels,
    species_numbers,
    species_of,
    symbols,
    to_batch,
)

SYMMETRIC = np.array([[1.0, 6.0, 5.0], [6.0, 2.0, 4.0], [5.0, 4.0, 3.0]])
VOIGT = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


def labelled(n=3, **info):
    """Frames with REF_ energies, forces and virials."""
    rng = np.random.default_rng(0)
    frames = [bulk("Si") * (1, 1, k + 1) for k in range(n)]
    for atoms in frames:
        atoms.info.update(REF_energy=rng.normal(), REF_virial=SYMMETRIC.copy(), **info)
        atoms.arrays["REF_forces"] = rng.normal(size=(len(atoms), 3))
    return frames


# ---- frames


def test_as_frames():
    atoms = bulk("Si")
    assert list(as_frames(atoms)) == [atoms]
    assert len(as_frames(iter([atoms, atoms]))) == 2
    frames = Frames([atoms], ["a"])
    assert as_frames(frames) is frames
    assert len(as_frames([])) == 0


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (3, "expected an ase.Atoms or a list of them, got 3"),
        ("train.xyz", "read a file with mercer.structures.read_frames"),
        ([bulk("Si"), "Si"], "element 1 is of type str"),
    ],
)
def test_as_frames_refuses(frames, message):
    with pytest.raises(DataError, match=message):
        as_frames(frames)


def test_frames_keep_their_names():
    frames = Frames([Atoms(f"H{k + 1}") for k in range(4)], [f"f, frame {k}" for k in range(4)])
    assert frames[2:].where(1) == "f, frame 3"
    assert frames.take([3, 0]).where(0) == "f, frame 3"
    assert (frames[:1] + Frames([Atoms("He")])).where(1) == "frame 0"
    assert Frames([Atoms()]).where(0) == "frame 0"
    with pytest.raises(DataError, match="1 sources for 2 frames"):
        Frames([Atoms(), Atoms()], ["a"])


def test_naming_frames_leaves_other_errors_alone():
    frames = Frames([Atoms()], ["a.xyz, frame 7"])
    with pytest.raises(DataError, match=r"a.xyz, frame 7: wrong"), naming_frames(frames):
        raise ValueError("frame 0: wrong")
    for error in (ValueError("frame 3: beyond"), ValueError("cutoff"), DataError("frame 0: named"), KeyError("k")):
        with pytest.raises(type(error)) as caught, naming_frames(frames):
            raise error
        assert caught.value is error


def test_to_batch():
    frames = [molecule("H2O"), Atoms(), bulk("NaCl", "rocksalt", a=5.6)]
    batch = to_batch(frames)
    assert batch.n_frames == 3
    assert batch.offsets.tolist() == [0, 3, 3, 5]
    assert batch.numbers.tolist() == [8, 1, 1, 11, 17]
    assert np.array_equal(batch.positions, np.concatenate([atoms.positions for atoms in frames]))
    assert np.array_equal(batch.cells, [atoms.cell.array for atoms in frames])
    assert batch.pbc.tolist() == [atoms.pbc.tolist() for atoms in frames]
    assert to_batch([]).n_frames == 0


def test_batch_is_a_copy():
    atoms = molecule("H2O")
    batch = to_batch(atoms)
    atoms.positions += 1
    assert not np.array_equal(batch.positions, atoms.positions)
    with pytest.raises(ValueError, match="read-only"):
        batch.positions[0, 0] = 1.0


def test_species():
    assert species_of([molecule("H2O"), molecule("CH4")]) == [1, 6, 8]
    assert species_of([]) == []
    assert symbols(np.array([8, 1])) == ["O", "H"]
    assert species_numbers("Si") == [14]
    assert species_numbers(["O", 1, np.int64(6)]) == [1, 6, 8]


@pytest.mark.parametrize("species", [["Xq"], [0], [119], [1.5], [True]])
def test_species_unknown(species):
    with pytest.raises(ConfigError, match="unknown element"):
        species_numbers(species)


def test_species_twice():
    with pytest.raises(ConfigError, match="'H' is given twice"):
        species_numbers([1, "H"])


# ---- files


def test_read_frames(tmp_path):
    path = tmp_path / "a.extxyz"
    ase.io.write(path, labelled(4))
    frames = read_frames(path)
    assert len(frames) == 4 and frames.where(3) == f"{path}, frame 3"
    assert frames[1].info["REF_energy"] == labelled(4)[1].info["REF_energy"]
    assert read_frames(str(path), index="1::2").where(1) == f"{path}, frame 3"
    assert read_frames(path, index=-1).where(0) == f"{path}, frame 3"
    assert read_frames(path, index=slice(1, 3)).where(0) == f"{path}, frame 1"
    with pytest.raises(DataError, match=r"a.extxyz: no frame 4, the file holds 4 frames"):
        read_frames(path, index=4)


def test_read_frames_refuses(tmp_path):
    good = tmp_path / "good.extxyz"
    ase.io.write(good, labelled(2))
    text = good.read_text()
    last = text.rstrip().splitlines()[-1]
    for name, content, message in [
        ("empty.xyz", "", "empty.xyz: the file is empty"),
        ("blank.extxyz", "\n\n", "blank.extxyz"),
        ("cut.extxyz", text[: text.rindex(last)], "cut.extxyz, frame [01]: cannot be read"),
        ("text.extxyz", "no structure at all\n", "text.extxyz, frame 0: cannot be read"),
        ("odd.unknown", "no structure at all\n", "odd.unknown, frame 0: cannot be read"),
        (
            "nan.extxyz",
            text.replace(last.split()[1], "nan"),
            "nan.extxyz, frame 1: the position of atom 3 is not finite",
        ),
        ("flat.extxyz", re.sub('Lattice="[^"]*"', 'Lattice="1 0 0 0 1 0 1 1 0"', text), "frame 0: the .* no volume"),
    ]:
        (tmp_path / name).write_text(content)
        with pytest.raises(DataError, match=message):
            read_frames(tmp_path / name)
    with pytest.raises(DataError, match=r"none.xyz: no such file"):
        read_frames(tmp_path / "none.xyz")
    with pytest.raises(DataError, match="a folder, expected a file"):
        read_frames(tmp_path)


# ---- labels


def test_reference_labels():
    frames = labelled(config_type="bulk")
    del frames[1].info["REF_energy"], frames[1].info["config_type"]
    del frames[2].arrays["REF_forces"]
    labels = read_labels(frames)
    assert labels.n_frames == 3 and labels.n_atoms.tolist() == [2, 4, 6]
    assert labels.found == {"energy": ("REF_energy", 2), "forces": ("REF_forces", 2), "virial": ("REF_virial", 3)}
    assert labels.has("energy").tolist() == [True, False, True]
    assert labels.has("forces").tolist() == [True, True, False]
    assert labels.has("energies").tolist() == [False] * 3
    assert labels.energy[2] == frames[2].info["REF_energy"]
    assert np.array_equal(labels.forces[2:6], frames[1].arrays["REF_forces"])
    assert np.array_equal(labels.virial[0], SYMMETRIC)
    assert labels.config_type.tolist() == ["bulk", "", "bulk"]
    assert labels.frame_of_atom.tolist() == [0] * 2 + [1] * 4 + [2] * 6


def test_take():
    labels = read_labels(labelled())
    part = labels.take([2, 0])
    assert part.n_atoms.tolist() == [6, 2]
    assert np.array_equal(part.forces, np.concatenate([labels.forces[6:], labels.forces[:2]]))
    assert np.array_equal(part.energy, labels.energy[[2, 0]])
    assert part.found["energy"] == ("REF_energy", 2)
    assert labels.take(np.array([False, False, False])).n_frames == 0


def test_survives_a_file(tmp_path):
    frames = labelled(config_type="x")
    frames[0].info["REF_virial"] = SYMMETRIC.ravel()
    ase.io.write(tmp_path / "a.extxyz", frames)
    one, two = read_labels(frames), read_labels(read_frames(tmp_path / "a.extxyz"))
    for name in ("energy", "forces", "virial"):
        assert np.allclose(getattr(one, name), getattr(two, name), atol=1e-7, rtol=0)
    assert one.found == two.found


@pytest.mark.parametrize(
    "value", [SYMMETRIC, SYMMETRIC.ravel(), SYMMETRIC.tolist(), VOIGT, f"_JSON {SYMMETRIC.tolist()}"]
)
def test_forms_of_a_virial(value):
    frames = [bulk("Si")]
    frames[0].info["REF_virial"] = value
    assert np.array_equal(read_labels(frames).virial[0], SYMMETRIC)


@pytest.mark.parametrize("value", [SYMMETRIC, SYMMETRIC.ravel(), VOIGT])
def test_stress_becomes_virial(value):
    atoms = bulk("Si")
    atoms.info["REF_stress"] = value
    labels = read_labels(atoms)
    assert np.allclose(labels.virial[0], -atoms.get_volume() * SYMMETRIC, rtol=1e-12, atol=0)
    assert labels.found == {"stress": ("REF_stress", 1)}
    assert labels.take([0]).found == labels.found


def test_stress_and_virial_must_agree():
    atoms = bulk("Si")
    atoms.info["REF_stress"] = VOIGT
    atoms.info["REF_virial"] = -atoms.get_volume() * SYMMETRIC
    labels = read_labels(atoms)
    assert np.array_equal(labels.virial[0], atoms.info["REF_virial"])
    assert labels.notes == ("1 frames have a stress and a virial, which agree; the virial is taken",)
    atoms.info["REF_virial"] = atoms.get_volume() * SYMMETRIC
    with pytest.raises(DataError, match="frame 0: stress and virial labels contradict each other"):
        read_labels(atoms)
    flat = molecule("H2O")
    flat.info["REF_stress"] = VOIGT
    with pytest.raises(DataError, match="the cell has no volume"):
        read_labels(flat)


def test_named_key_and_that_alone():
    frames = labelled()
    frames[1].info["mine"] = 5.0
    labels = read_labels(frames, {"energy": "mine", "forces": None})
    assert labels.has("energy").tolist() == [False, True, False] and labels.energy[1] == 5.0
    assert set(labels.found) == {"energy", "virial"}
    assert read_labels(labelled(kind="a"), {"config_type": "kind"}).config_type.tolist() == ["a"] * 3


def test_calculator_results_are_the_last_choice():
    atoms = bulk("Si")
    atoms.calc = SinglePointCalculator(atoms, energy=1.0, free_energy=2.0, stress=np.array(VOIGT))
    labels = read_labels(atoms)
    assert labels.energy[0] == 1.0
    assert labels.found["energy"] == ("energy (calculator)", 1)
    assert np.allclose(labels.virial[0], -atoms.get_volume() * SYMMETRIC)
    for key, value in (("free_energy", 2.0), ("energy", 1.0)):
        assert read_labels(atoms, {"energy": key}).energy[0] == value
    other = bulk("Si")
    other.info["REF_energy"] = 7.0
    assert read_labels([atoms, other]).has("energy").tolist() == [False, True]  # never two origins


def test_no_calculator_is_run():
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=0)
    atoms.calc = EMT()
    with pytest.raises(DataError, match="1 frames: no labels found"):
        read_labels(atoms)
    with pytest.raises(DataError, match=r"^0 frames: no labels found"):
        read_labels([])
    energy = atoms.get_potential_energy()
    assert read_labels(atoms).energy[0] == energy
    atoms.positions[0] += 0.1  # results are of other positions
    assert read_labels(atoms, required=False).found == {}


@pytest.mark.parametrize(
    ("units", "kind", "factor"),
    [
        ({}, "energy", 1.0),
        ({"energy": "kcal/mol"}, "energy", 0.0433641),
        ({"energy": "kcal/mol"}, "forces", 0.0433641),
        ({"energy": "kJ/mol"}, "virial", 0.01036427),
        ({"energy": "Hartree"}, "energy", 27.211386),
        ({"energy": "Ha", "forces": "Ha/bohr"}, "forces", 51.422067),
        ({"forces": "kcal/mol/A"}, "forces", 0.0433641),
        ({"forces": "kcal/mol/A"}, "energy", 1.0),
        ({"virial": "meV"}, "virial", 1e-3),
        ({"energy": "Ry"}, "energy", 13.605693),
    ],
)
def test_units(units, kind, factor):
    plain, converted = read_labels(labelled()), read_labels(labelled(), units=units)
    assert np.allclose(getattr(converted, kind), factor * getattr(plain, kind), rtol=2e-6, atol=0)


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("GPa", 0.00624150907), ("kbar", 0.000624150907), ("eV/A^3", 1.0), ("hartree/bohr^3", 183.631525), ("eV/A**3", 1)],
)
def test_units_of_stress(unit, factor):
    atoms = bulk("Si")
    atoms.info["REF_stress"] = VOIGT
    virial = read_labels(atoms, units={"stress": unit}).virial[0]
    assert np.allclose(virial, -atoms.get_volume() * factor * SYMMETRIC, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("units", "message"),
    [
        ({"energy": "cal"}, "units: energy in 'cal'; expected eV, meV"),
        ({"forces": "eV"}, "units: forces in 'eV'"),
        ({"stress": "eV/A"}, "units: stress in 'eV/A'"),
        ({"dipole": "eV"}, "unknown kind of label 'dipole'"),
    ],
)
def test_unknown_units(units, message):
    with pytest.raises(ConfigError, match=message):
        read_labels(labelled(), units=units)


def test_unknown_kind():
    with pytest.raises(ConfigError, match="unknown kind of label 'force'; expected one of energy, forces"):
        read_labels(labelled(), {"force": "REF_forces"})


def test_nothing_found_lists_the_keys():
    frames = Frames([Atoms("H", info={"my_energy": 1.0})], ["a.xyz, frame 3"])
    frames[0].arrays["my_force"] = np.zeros((1, 3))
    with pytest.raises(DataError, match=r"a.xyz: no labels found.*info: my_energy; arrays: my_force; calculator: none"):
        read_labels(frames)
    with pytest.raises(DataError, match=r"a.xyz: energy label 'dft' is in no frame.*info: my_energy"):
        read_labels(frames, {"energy": "dft"})
    assert read_labels(frames, required=False).found == {}
    assert read_labels([], required=False).n_frames == 0


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("energy", np.nan, "is NaN or infinite"),
        ("energy", [1.0, 2.0], "has shape .2,., expected one number"),
        ("energy", "low", "is 'low', expected one number"),
        ("forces", np.full((4, 3), np.inf), "is NaN or infinite"),
        ("forces", np.zeros((4, 2)), "has shape .4, 2., expected shape .4, 3."),
        ("energies", np.zeros((4, 1)), "has shape .4, 1., expected shape .4,."),
        ("virial", np.zeros(5), "has shape .5,., expected 9 numbers"),
        ("virial", np.arange(9.0), "is not symmetric"),
        ("virial", SYMMETRIC * np.nan, "is NaN or infinite"),
    ],
)
def test_bad_labels(kind, value, message):
    frames = Frames(labelled(), [f"a.xyz, frame {k}" for k in range(3)])
    place = frames[1].arrays if kind in ("forces", "energies") else frames[1].info
    place[f"REF_{kind}"] = value
    with pytest.raises(DataError, match=f"a.xyz, frame 1: {kind} label 'REF_{kind}' {message}"):
        read_labels(frames)
