"""Which labels are taken, which are left out, and that every choice is said."""

import logging

import ase.io
import ase.units
import mercer
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from mercer.errors import ConfigError, DataError
from mercer.structures import Frames, atom_numbers, info_numbers, read_frames, read_labels, stress_order, unit_factor

SIX = np.array([1.0, 2.0, 3.0, 0.4, 0.5, 0.6])
MATRIX = np.array([[1.0, 0.6, 0.5], [0.6, 2.0, 0.4], [0.5, 0.4, 3.0]])


def crystal(**info):
    """Silicon with entries in its info."""
    atoms = bulk("Si")
    atoms.info.update(info)
    return atoms


def computed(atoms, **results):
    """The frame with results of a calculator."""
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


# ---- truth values


@pytest.mark.parametrize("comment", ["REF_energy -3.5", "REF_energy=T", "REF_energy=F", "REF_energy"])
def test_a_truth_value_is_no_energy(tmp_path, comment):
    (tmp_path / "a.extxyz").write_text(f"1\nProperties=species:S:1:pos:R:3 {comment}\nCu 0 0 0\n")
    with pytest.raises(DataError, match=r"a.extxyz, frame 0: energy label 'REF_energy' is a truth value.*--key energy"):
        read_labels(read_frames(tmp_path / "a.extxyz"))


def test_truth_values_are_no_forces_stresses_or_sigmas():
    atoms = crystal(REF_energy=1.0, energy_sigma=True)
    with pytest.raises(DataError, match="energy_sigma is True, expected one number"):
        info_numbers(atoms, "energy_sigma")
    atoms.arrays["REF_forces"] = np.ones((2, 3), bool)
    with pytest.raises(DataError, match=r"forces label 'REF_forces' is truth values.*:L:"):
        read_labels(atoms)
    del atoms.arrays["REF_forces"]
    atoms.info["REF_stress"] = [True, False, 0.0, 0.0, 0.0, 0.0]
    with pytest.raises(DataError, match="stress label 'REF_stress' is truth values"):
        read_labels(atoms)
    atoms.arrays["force_atom_sigma"] = np.ones(2, bool)
    with pytest.raises(DataError, match="force_atom_sigma holds truth values"):
        atom_numbers(atoms, "force_atom_sigma", positive=True)
    with pytest.raises(DataError, match="frame 0: config_type is a truth value"):
        read_labels(crystal(REF_energy=1.0, config_type=True))


def test_numbers_that_cannot_be():
    with pytest.raises(DataError, match=r"is 1e\+300, which cannot be"):
        read_labels(crystal(REF_energy=1e300))


# ---- spellings


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("energy", "REF_energy"),
        ("energy", "ref_Energy"),
        ("energy", "dft_energy"),
        ("energy", "DFT_energy"),
        ("virial", "REF_virials"),
        ("virial", "dft_virial"),
        ("stress", "REF_stresses"),
        ("stress", "REF_stress"),
    ],
)
def test_usual_spellings_of_entries(kind, key):
    value = 3.0 if kind == "energy" else MATRIX
    labels = read_labels(crystal(**{key: value}))
    assert labels.found == {kind: (key, 1)} and labels.unused == ()


@pytest.mark.parametrize("key", ["REF_forces", "REF_force", "dft_force", "dft_forces"])
def test_usual_spellings_of_forces(key):
    atoms = crystal()
    atoms.arrays[key] = np.ones((2, 3))
    assert read_labels(atoms).found == {"forces": (key, 1)}


def test_two_spellings():
    one, two = crystal(REF_virial=MATRIX), crystal(REF_virials=2 * MATRIX)
    labels = read_labels([one, two])
    assert labels.found == {"virial": ("REF_virial, REF_virials", 2)}
    assert np.allclose(labels.virial, [MATRIX, 2 * MATRIX], rtol=1e-14, atol=0)
    one.info["REF_virials"] = MATRIX
    assert read_labels(one).has("virial").all()
    one.info["REF_virials"] = 2 * MATRIX
    with pytest.raises(DataError, match="frame 0: REF_virial and REF_virials are both there and differ"):
        read_labels(one)
    assert np.allclose(read_labels(one, {"virial": "REF_virials"}).virial, 2 * MATRIX, rtol=1e-14, atol=0)


def test_keys_that_look_like_labels_and_are_not_used():
    atoms = crystal(REF_energy=1.0, dispersion_energy=0.1, stress_tensor=MATRIX, virial_sigma=0.1, has_forces=True)
    atoms.arrays["charges"], atoms.arrays["old_forces"] = np.zeros(2), np.ones((2, 3))
    assert read_labels(atoms).unused == ("dispersion_energy (info)", "stress_tensor (info)", "old_forces (array)")
    atoms.arrays["REF_forces"] = np.ones((2, 3))
    assert "REF_forces (array)" not in read_labels(atoms, {"forces": None}).unused
    assert "REF_forces (array)" in read_labels(atoms, {"forces": "old_forces"}).unused


def test_several_keys_of_one_kind():
    frames = [crystal(a=1.0), crystal(b=2.0), crystal(a=3.0, b=4.0), crystal(REF_energy=5.0)]
    labels = read_labels(frames, {"energy": ["b", "a"]})
    assert labels.found == {"energy": ("b, a", 3)}
    assert np.array_equal(labels.energy, [1.0, 2.0, 4.0, np.nan], equal_nan=True)
    with pytest.raises(DataError, match="energy label 'c' is in no frame"):
        read_labels(frames, {"energy": ["a", "c"]})


@pytest.mark.parametrize("key", ["positions", "numbers", "momenta", "cell"])
def test_the_structure_is_no_label(key):
    with pytest.raises(ConfigError, match=f"forces cannot be '{key}'"):
        read_labels(crystal(REF_energy=1.0), {"forces": key})


# ---- origins


def test_results_of_a_calculator_are_left_out_beside_reference_labels():
    atoms = crystal(REF_energy=1.0)
    computed(atoms, energy=7.0, forces=np.ones((2, 3)), stress=SIX)
    labels = read_labels(atoms)
    assert labels.found == {"energy": ("REF_energy", 1)}
    assert [note.split(" under ")[0] for note in labels.notes] == ["forces", "stress"]
    assert "--key stress=stress takes it" in labels.notes[1]
    assert read_labels(atoms, {"stress": "stress"}).found["stress"] == ("stress", 1)
    assert [n for n in read_labels(atoms, {"stress": None, "forces": None}).notes] == []
    labels = read_labels(atoms, {"energy": "REF_energy"})  # the same if the key is named
    assert set(labels.found) == {"energy"} and len(labels.notes) == 2
    del atoms.calc.results["energy"]
    assert set(read_labels(atoms, {"energy": "REF_energy"}).found) == {"energy"}


def test_named_energies_that_differ_from_the_calculators():
    atoms = computed(crystal(mine=-5.0), energy=-5.0, forces=np.ones((2, 3)))
    assert set(read_labels(atoms, {"energy": "mine"}).found) == {"energy", "forces"}
    atoms.info["mine"] = -5.1
    labels = read_labels(atoms, {"energy": "mine"})
    assert set(labels.found) == {"energy"} and "forces under the key forces (calculator)" in labels.notes[0]
    del atoms.calc.results["energy"]
    assert set(read_labels(atoms, {"energy": "mine"}).found) == {"energy", "forces"}


def test_frames_of_another_origin_are_counted():
    frames = [crystal(REF_energy=1.0), computed(crystal(), energy=2.0), computed(crystal(), energy=2.0)]
    labels = read_labels(frames)
    assert labels.has("energy").tolist() == [True, False, False]
    assert "energy under the key energy (calculator) in 2 frames is left out" in labels.notes[0]
    assert "--key energy=REF_energy,energy takes it" in labels.notes[0]
    assert read_labels(frames, {"energy": ["REF_energy", "energy"]}).energy.tolist() == [1.0, 2.0, 2.0]


def test_a_file_of_another_origin_is_refused():
    frames = Frames([crystal(REF_energy=1.0), computed(crystal(), energy=2.0)], ["a.xyz, frame 0", "b.traj, frame 0"])
    with pytest.raises(DataError, match=r"b.traj: its labels .energy under the key 'energy'.*=REF_energy,energy"):
        read_labels(frames)
    with pytest.raises(DataError, match=r"b.traj: its labels"):
        read_labels(frames, {"energy": "REF_energy"})
    assert read_labels(frames, {"energy": ["REF_energy", "energy"]}).energy.tolist() == [1.0, 2.0]
    frames[1].calc = None
    assert read_labels(frames).has("energy").tolist() == [True, False]  # a file without labels may be


def test_site_energies_only_where_named():
    atoms = computed(crystal(), energy=3.0, energies=np.array([1.0, 2.0]))
    labels = read_labels(atoms)
    assert set(labels.found) == {"energy"} and labels.unused == ("energies (calculator)",)
    assert read_labels(atoms, {"energies": "energies"}).energies.tolist() == [1.0, 2.0]
    atoms.arrays["REF_energies"] = np.array([1.5, 2.5])
    assert read_labels(atoms).energies.tolist() == [1.5, 2.5]


def test_forces_belong_to_the_free_energy():
    forces = np.ones((2, 3))
    frames = [computed(crystal(), energy=-5.0, free_energy=-5.02 - 0.25 * k, forces=forces) for k in range(2)]
    labels = read_labels(frames)
    assert labels.energy.tolist() == [-5.02, -5.27]
    assert labels.found["energy"] == ("free_energy (calculator)", 2)
    assert "differ by up to 270 meV (135 meV/atom)" in labels.notes[0]
    assert read_labels(frames, {"energy": "energy"}).energy.tolist() == [-5.0, -5.0]
    only = computed(crystal(), energy=-4.0, forces=forces)
    labels = read_labels([*frames, only])
    assert labels.energy[2] == -4.0 and "1 frames have only one of the two" in labels.notes[0]


def test_without_forces_or_difference_the_energy_is_taken():
    labels = read_labels(computed(crystal(), energy=-5.0, free_energy=-5.02))
    assert labels.energy.tolist() == [-5.0] and labels.notes == labels.unused == ()
    labels = read_labels(computed(crystal(), energy=-5.0, free_energy=-5.0 + 1e-7, forces=np.ones((2, 3))))
    assert labels.energy.tolist() == [-5.0] and labels.notes == ()


def test_labels_of_weight_zero_are_placeholders():
    frames = [
        crystal(REF_energy=1.0, REF_stress=SIX),
        crystal(REF_energy=2.0, REF_stress=SIX, config_stress_weight=0.0),
    ]
    labels = read_labels(frames)
    assert labels.has("virial").tolist() == [True, False] and labels.found["stress"] == ("REF_stress", 1)
    assert "stress of 1 frames is left out: its weight there is zero" in labels.notes[0]


def test_labels_may_be_left_out_by_frame():
    frames = [crystal(REF_energy=float(k)) for k in range(3)]
    frames[1].info["REF_energy"] = np.nan
    assert np.array_equal(read_labels(frames, leave_out={"energy": [1]}).energy, [0.0, np.nan, 2.0], equal_nan=True)
    with pytest.raises(DataError, match="every label of the keys REF_energy is left out"):
        read_labels(frames, leave_out={"energy": range(3)})


# ---- stress


def test_zero_stress_of_what_is_not_periodic():
    box = Atoms("H2", [[0, 0, 0], [0, 0, 0.8]], cell=[9, 9, 9], info={"REF_energy": 1.0, "REF_stress": np.zeros(6)})
    crystalline = crystal(REF_energy=1.0, REF_stress=np.zeros(6))
    labels = read_labels([box, crystalline])
    assert labels.has("virial").tolist() == [False, True] and labels.found["stress"] == ("REF_stress", 1)
    assert "stress of 1 frames (frame 0) is left out" in labels.notes[0]
    water = molecule("H2O", info={"REF_energy": 1.0, "REF_stress": np.zeros(6), "REF_virial": np.zeros(9)})
    labels = read_labels(water)
    assert set(labels.found) == {"energy"} and len(labels.notes) == 2
    box.info["REF_stress"] = SIX
    labels = read_labels(box)
    assert labels.has("virial").all() and "with the volume of their box" in labels.notes[0]


def test_stress_of_a_slab_that_was_set_to_zero_across_it():
    slab = fcc111("Cu", (2, 2, 2), vacuum=6.0)
    inside = np.array([[1.0, 0.3, 0], [0.3, 2.0, 0], [0, 0, 0]])
    slab.info["REF_stress"] = inside
    labels = read_labels(slab, required=False)
    assert labels.found == {} and "stress of 1 frames (frame 0) is left out" in labels.notes[0]
    inside[2, 2] = 0.01
    assert read_labels(slab).found == {"stress": ("REF_stress", 1)}
    slab.rotate(30, "x", rotate_cell=True)  # the plane of the slab, whichever it is
    turn = np.array([[1, 0, 0], [0, np.cos(np.pi / 6), -np.sin(np.pi / 6)], [0, np.sin(np.pi / 6), np.cos(np.pi / 6)]])
    for zz, found in ((0.0, False), (0.01, True)):
        inside[2, 2] = zz
        slab.info["REF_stress"] = turn @ inside @ turn.T
        assert bool(read_labels(slab, required=False).found) is found


ORDERS = {
    "ase": SIX,
    "vasp": SIX[[0, 1, 2, 5, 3, 4]],
    "lammps": SIX[[0, 1, 2, 5, 4, 3]],
    "upper": SIX[[0, 5, 4, 1, 3, 2]],
}


@pytest.mark.parametrize("order", [*ORDERS, "xx,yy,zz,xy,yz,zx"])
def test_orders_of_components(order):
    six = ORDERS.get(order, ORDERS["vasp"])
    expected = -bulk("Si").get_volume() * MATRIX
    assert np.allclose(read_labels(crystal(REF_stress=six), order=order).virial[0], expected, rtol=1e-14, atol=0)
    labels = read_labels(crystal(REF_virial=six), order=order)
    assert np.allclose(labels.virial[0], MATRIX, rtol=1e-14, atol=0)


def test_orders_and_matrices():
    matrix = ORDERS["vasp"][[[0, 5, 4], [5, 1, 3], [4, 3, 2]]]  # filled as if it were ASE's order
    assert np.allclose(
        read_labels(crystal(REF_virial=matrix), order="matrix-vasp").virial[0], MATRIX, rtol=1e-14, atol=0
    )
    with pytest.raises(DataError, match=r"is a matrix.*matrix-vasp"):
        read_labels(crystal(REF_virial=MATRIX), order="vasp")
    with pytest.raises(DataError, match="6 numbers, but the order of matrices"):
        read_labels(crystal(REF_virial=SIX), order="matrix-vasp")
    kinds = [{"REF_virial": MATRIX}, {"REF_stress": SIX}, {"REF_stress": MATRIX.ravel()}, {"REF_energy": 1.0}]
    labels = read_labels([crystal(**info) for info in kinds])
    assert labels.from_matrix.tolist() == [True, False, True, False]
    assert labels.take([2, 1]).from_matrix.tolist() == [True, False]
    assert np.allclose(read_labels(crystal(REF_virial=MATRIX), order="voigt").virial[0], MATRIX, rtol=1e-14, atol=0)


@pytest.mark.parametrize("name", ["quantum", "xx yy zz", "xx yy zz xy xy xz"])
def test_orders_that_are_none(name):
    with pytest.raises(ConfigError, match="stress_order"):
        stress_order(name)


# ---- units


def test_signs_and_parts_per_atom():
    atoms = crystal(REF_energy=2.0, REF_stress=SIX)
    atoms.arrays["REF_forces"] = np.ones((2, 3))
    labels = read_labels(atoms, units={"energy": "meV/atom", "forces": "-eV/angstrom", "stress": "-kbar"})
    assert labels.energy[0] == pytest.approx(4e-3, rel=1e-14)
    assert np.array_equal(labels.forces, -np.ones((2, 3)))
    kbar = 0.1 * ase.units.GPa
    assert np.allclose(labels.virial[0], bulk("Si").get_volume() * kbar * MATRIX, rtol=1e-14, atol=0)
    labels = read_labels(atoms, units={"energy": "kcal/mol/atom"})  # forces then are in kcal/mol per Angstrom
    assert np.allclose(labels.forces, unit_factor("energy", "kcal/mol"), rtol=1e-14, atol=0)
    atoms.info = {"REF_virial": MATRIX}
    assert np.allclose(read_labels(atoms, units={"virial": "eV/atom"}).virial[0], 2 * MATRIX, rtol=1e-14, atol=0)


@pytest.mark.parametrize(("kind", "unit"), [("forces", "eV/atom"), ("energies", "eV/atom"), ("energy", "eV/angstrom")])
def test_units_that_are_none(kind, unit):
    with pytest.raises(ConfigError, match=f"units: {kind} in"):
        unit_factor(kind, unit)


# ---- what a fit says


def potential(**options):
    term = mercer.Term(mercer.SOAP(["Cu"], 3.5, 3, 2, 0.5), mercer.kernels.Polynomial(zeta=2), n_sparse=4)
    return mercer.Potential(term, **options)


def copper(n=4):
    rng = np.random.default_rng(0)
    frames = [bulk("Cu", cubic=True) for _ in range(n)]
    for atoms in frames:
        atoms.rattle(0.1, rng=rng)
        atoms.info.update(REF_energy=float(rng.normal()), REF_stress=0.01 * rng.normal(size=6))
    return frames


def test_rows_of_stresses_are_counted_as_theirs():
    frames = copper()
    frames[0].info["REF_virial"] = -frames[0].get_volume() * frames[0].info.pop("REF_stress")
    sigma = {"energy": 0.01, "virial": 0.1}
    labels = potential(sigma=sigma).fit(frames).fit_report_["labels"]
    assert {kind: (entry["frames"], entry["rows"]) for kind, entry in labels.items()} == {
        "energy": (4, 4),
        "stress": (3, 18),
        "virial": (1, 6),
    }
    labels = potential(sigma={"energy": 0.01}).fit(frames).fit_report_["labels"]
    assert labels["stress"]["rows"] == labels["virial"]["rows"] == 0


def test_sigmas_of_frames_name_the_frame_of_the_file():
    lone = Atoms("Cu", info={"REF_energy": 0.0, "config_type": "IsolatedAtom"})
    frames = [lone, *copper()]
    frames[3].info["energy_sigma"] = 0.0
    with pytest.raises(DataError, match=r"^frame 3: energy_sigma is 0, expected a positive number"):
        potential().fit(frames)
    del frames[3].info["energy_sigma"]
    frames[2].info["virial_sigma"] = -1.0
    with pytest.raises(DataError, match=r"^frame 2: virial_sigma is -1"):
        potential().fit(frames)


def test_what_is_logged(caplog):
    frames = copper()
    for atoms in frames:
        del atoms.info["REF_energy"]
        atoms.arrays["REF_forces"] = np.full((4, 3), 0.1)
        computed(atoms, energy=0.0)
    with caplog.at_level(logging.WARNING, logger="mercer"):
        potential(config_type_sigma={"liquid": {"energy": 0.1}}).fit(frames)
    assert "energy under the key energy (calculator) in 4 frames is left out" in caplog.text
    assert "no energies were trained on" in caplog.text
    assert "no frame has config_type liquid; there are: none" in caplog.text
    caplog.clear()
    potential().fit(copper())
    assert caplog.text == ""


def test_labels_of_a_file_survive_writing(tmp_path):
    atoms = computed(crystal(REF_virial=MATRIX), energy=2.0, stress=SIX)
    mercer.structures.write_frames(tmp_path / "a.extxyz", atoms)
    assert "_JSON" not in (tmp_path / "a.extxyz").read_text()
    again = read_frames(tmp_path / "a.extxyz")
    assert np.allclose(read_labels(again).virial[0], MATRIX, rtol=1e-14, atol=0)
    assert np.allclose(ase.io.read(tmp_path / "a.extxyz").get_stress(), SIX, rtol=1e-14, atol=0)
