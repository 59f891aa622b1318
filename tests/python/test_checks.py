"""Checks of data: each finds its mistake, and says nothing about good data."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.calculators.emt import EMT
from mercer.checks import check_data, overlap, same_frames
from mercer.checks.pairs import similar_pairs
from mercer.structures import Frames, read_labels


def crystals(n=14, seed=0, step=0.02):
    """Copper crystals of several volumes, then a walk of small steps, with energies, forces and virials of EMT."""
    rng = np.random.default_rng(seed)
    frames = []
    atoms = bulk("Cu", cubic=True) * (2, 1, 1)
    for k in range(2 * n):
        if k < n:
            atoms = bulk("Cu", a=3.61 * (0.97 + 0.06 * k / n), cubic=True) * (2, 1, 1)
            atoms.positions += rng.normal(0, 0.05, atoms.positions.shape)
        else:
            atoms = atoms.copy()
            atoms.positions += rng.normal(0, step, atoms.positions.shape)
        atoms.calc = EMT()
        frame = atoms.copy()
        frame.info = {"REF_energy": atoms.get_potential_energy()}
        frame.arrays["REF_forces"] = atoms.get_forces()
        frame.info["REF_virial"] = -atoms.get_volume() * atoms.get_stress(voigt=False)
        frames.append(frame)
    return frames


@pytest.fixture(scope="module")
def good():
    return crystals()


def changed(frames, edit):
    frames = [atoms.copy() for atoms in frames]
    for k, atoms in enumerate(frames):
        edit(k, atoms)
    return frames


def names(frames, **units):
    labels = read_labels(frames, units=units or None)
    return [finding.check for finding in check_data(frames, labels)]


def only(frames, check, *parts):
    """The message of the one finding, which must be of this check."""
    found = check_data(frames)
    assert [finding.check for finding in found] == [check]
    for part in parts:
        assert part in str(found[0]), (part, str(found[0]))
    return str(found[0])


def scale(energy=1.0, forces=1.0):
    def edit(k, atoms):
        atoms.info["REF_energy"] *= energy
        atoms.arrays["REF_forces"] *= forces

    return edit


def test_good_data_pass(good):
    assert names(good) == []


def test_data_without_labels_or_with_few_pass():
    frames = [molecule("H2O"), molecule("CH4")]
    assert check_data(frames) == []
    assert check_data([]) == []
    frames[0].info["REF_energy"] = -14.0
    assert check_data(frames) == []


def test_isolated_atoms_are_no_matter():
    free = Atoms("Cu", info={"REF_energy": 3.0, "config_type": "IsolatedAtom"})
    free.arrays["REF_forces"] = np.zeros((1, 3))
    assert names([free, free.copy()]) == []


def test_zero_forces(good):
    message = only(changed(good, scale(forces=0.0)), "zero_forces", "28 frames", "REF_forces", "forces=none")
    assert "all" in message
    perfect = bulk("Cu", cubic=True)
    perfect.info["REF_energy"] = 0.0
    perfect.arrays["REF_forces"] = np.zeros((4, 3))
    assert names([*good, perfect]) == []  # zero by symmetry in one frame is fine


def test_net_forces(good):
    def push(k, atoms):
        if k == 5:
            atoms.arrays["REF_forces"][:4] = 0.0

    only(changed(good, push), "net_forces", "1 of 28 frames", "frame 5", "force_mask")


def test_small_net_forces_pass(good):
    def push(k, atoms):
        atoms.arrays["REF_forces"] += 1e-3

    assert names(changed(good, push)) == []


def test_reversed_virial(good):
    def reverse(k, atoms):
        atoms.info["REF_virial"] = -atoms.info["REF_virial"]

    only(changed(good, reverse), "virial_sign", "REF_virial", "opposite sign", "--units virial=-eV")


def test_reversed_stress(good):
    def as_virial(k, atoms):
        atoms.info["REF_stress"] = atoms.info.pop("REF_virial") / atoms.get_volume()

    only(changed(good, as_virial), "virial_sign", "REF_stress", "opposite sign", "--units stress=-eV/angstrom^3")


def test_virials_of_one_volume_say_nothing_without_forces(good):
    def reverse(k, atoms):
        atoms.info["REF_virial"] = -atoms.info["REF_virial"]

    def without(k, atoms):
        del atoms.arrays["REF_forces"]

    only(changed(good[14:], reverse), "virial_sign", "opposite sign")
    assert names(changed(changed(good[14:], reverse), without)) == []


@pytest.mark.parametrize(
    "energy, forces, parts",
    [
        (23.0605, 1.0, ["23", "energies seem to be in kcal/mol", "--units energy=kcal/mol"]),
        (96.4853, 1.0, ["--units energy=kJ/mol"]),
        (1 / 27.2114, 1.0, ["--units energy=hartree"]),
        (1.0, 1 / 51.4221, ["--units forces=hartree/bohr"]),
        (1.0, 23.0605, ["--units forces=kcal/mol/angstrom"]),
        (1 / 27.2114, 1 / 51.4221, ["per bohr", "--units energy=hartree"]),
        (1.0, -1.0, ["gradients", "opposite sign"]),
        (1.0, 7.0, ["check the units"]),
    ],
)
def test_energies_against_forces(good, energy, forces, parts):
    only(changed(good, scale(energy, forces)), "units", *parts)


@pytest.mark.parametrize("unit, factor", [("kcal/mol", 23.0605), ("hartree", 1 / 27.2114)])
def test_declared_units_are_fine(good, unit, factor):
    def edit(k, atoms):
        scale(factor, factor)(k, atoms)
        atoms.info["REF_virial"] = atoms.info["REF_virial"] * factor

    assert names(changed(good, edit), energy=unit) == []


def test_slope_of_energy_and_work(good):
    work, difference = similar_pairs(Frames(good), read_labels(good))
    assert len(work) >= 10
    assert abs((work @ difference) / (work @ work) - 1) <= 0.05


def test_similar_frames_across_the_border_of_the_cell(good):
    def wrap(k, atoms):
        atoms.positions += [3.0, 1.0, 0.0] if k % 2 else [0.0, 0.0, 0.0]
        atoms.positions -= [3.0, 1.0, 0.0] if k % 2 else [0.0, 0.0, 0.0]
        atoms.positions += (k % 3) * atoms.cell[0]

    work, _ = similar_pairs(Frames(good), read_labels(good))
    moved, _ = similar_pairs(Frames(changed(good, wrap)), read_labels(good))
    np.testing.assert_allclose(moved, work, atol=1e-9)


@pytest.mark.parametrize("unit, factor", [("hartree", 1.0), ("kcal/mol", 627.5095), ("kJ/mol", 2625.4996)])
def test_all_electron_energies(unit, factor):
    frames = [molecule(name) for name in ("H2O", "CH4", "CO2", "SiH4")]
    energies = [-76.42, -40.52, -188.6, -291.9]
    for atoms, energy in zip(frames, energies, strict=True):
        atoms.info["REF_energy"] = factor * energy
    only(frames, "units", f"--units energy={unit}", f"1 {unit} =")
    for atoms, energy in zip(frames, energies, strict=True):
        atoms.info["REF_energy"] = 27.2114 * energy
    assert check_data(frames) == []


def test_cohesive_energies_in_kcal_per_mol():
    frames = [Atoms("Cu", info={"REF_energy": 0.0, "config_type": "isolated_atom"})]
    frames += [bulk("Cu"), bulk("Cu", a=3.7)]
    for k, atoms in enumerate(frames[1:]):
        atoms.info["REF_energy"] = -3.5 * 23.06 + k
    only(frames, "units", "kcal/mol", "0.0433641")
    for k, atoms in enumerate(frames[1:]):
        atoms.info["REF_energy"] = -3.5 + k
    assert check_data(frames) == []


def test_large_forces():
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(3):
        atoms = bulk("Cu", cubic=True)
        atoms.positions += rng.normal(0, 0.1, (4, 3))
        forces = rng.normal(0, 30.0, (4, 3))
        atoms.arrays["REF_forces"] = forces - forces.mean(axis=0)
        frames.append(atoms)
    only(frames, "units", "kcal/mol", "forces=kcal/mol/angstrom")


def disordered(n=24, seed=0):
    """Cells of gold and copper of other shapes and numbers of atoms, no two alike, with labels of EMT."""
    rng, frames = np.random.default_rng(seed), []
    for _ in range(n):
        atoms = bulk("Cu", a=float(rng.uniform(3.5, 3.9)), cubic=True) * (2, 1, int(rng.integers(1, 3)))
        atoms.numbers[rng.permutation(len(atoms))[: rng.integers(1, 4)]] = 79
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(0, 0.02, (3, 3))), scale_atoms=True)
        atoms.positions += rng.normal(0, rng.uniform(0.05, 0.3), atoms.positions.shape)
        atoms.calc = EMT()
        frame = atoms.copy()
        frame.info = {"REF_energy": atoms.get_potential_energy()}
        frame.arrays["REF_forces"] = atoms.get_forces()
        frame.info["REF_stress"] = atoms.get_stress(voigt=False)
        frames.append(frame)
    return frames


@pytest.mark.parametrize(
    "energy, forces, part",
    [
        (23.06, 1.0, "energies seem to be in kcal/mol"),
        (1 / 27.2114, 1.0, "energies seem to be in hartree"),
        (1.0, 1 / 51.42, "forces seem to be in hartree/bohr"),
        (1.0, 23.06, "forces=kcal/mol/angstrom"),
        (1.0, -1.0, "opposite sign"),
    ],
)
def test_units_of_disordered_frames(energy, forces, part):
    frames = disordered()
    assert names(frames) == []
    only(changed(frames, scale(energy, forces)), "units", part)


def test_reversed_stress_of_disordered_frames():
    def reverse(k, atoms):
        atoms.info["REF_stress"] *= -1

    only(changed(disordered(), reverse), "virial_sign", "REF_stress")


def test_duplicates(good):
    frames = [*good, good[3].copy(), good[3].copy()]
    only(frames, "duplicates", "2 of 30 frames", "frame 28 is frame 3")
    frames[29].info["REF_energy"] += 0.5
    only(frames, "duplicates", "energies differ", "0.0625 eV per atom", "frame 29")


def test_overlap(good):
    test = [good[0], good[20].copy()]
    assert overlap(good[2:10], test) is None
    found = overlap(Frames(good[15:25], [f"a.xyz, frame {k}" for k in range(10)]), test)
    assert found.check == "overlap"
    assert "1 of 2 test frames" in str(found) and "frame 1 is a.xyz, frame 5" in str(found)


@pytest.mark.parametrize(
    "atoms", [bulk("NaCl", "rocksalt", a=5.6), molecule("CH3OH"), fcc111("Cu", (1, 1, 3), vacuum=5)]
)
def test_what_is_the_same(atoms):
    rng = np.random.default_rng(0)
    atoms.positions += rng.normal(0, 0.1, atoms.positions.shape)
    near, far, image, other = (atoms.copy() for _ in range(4))
    near.positions += 1e-5
    far.positions[0, 1] += 0.01
    image.positions += atoms.pbc @ atoms.cell.array
    other.numbers[0] += 1
    assert same_frames([atoms, far, near, other, image]) == [(0, 2), (0, 4)]
    if atoms.pbc.all():
        stretched = atoms.copy()
        stretched.set_cell(1.01 * atoms.cell.array)
        free = atoms.copy()
        free.pbc = False
        assert same_frames([atoms, stretched, free]) == []


def test_same_frames_at_the_border_of_the_cell():
    atoms = bulk("Si")
    moved = atoms.copy()
    moved.positions -= 1e-6
    moved.wrap()
    assert same_frames([atoms, moved]) == [(0, 1)]


def test_many_frames_are_quick():
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(400):
        atoms = bulk("Si", cubic=True)
        atoms.positions += rng.normal(0, 0.1, (8, 3))
        frames.append(atoms)
    assert same_frames(frames) == []
    assert same_frames(frames, frames[50:60]) == [(50 + k, k) for k in range(10)]
