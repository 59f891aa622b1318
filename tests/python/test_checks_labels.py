"""Labels against each other: right sets of every kind pass, and readings that are wrong are found with their remedy."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT
from mercer.checks import check_data
from mercer.structures import Frames

KBAR = 1602.1766


def labelled(frames):
    """The frames with energies, forces and stresses of EMT."""
    done = []
    for atoms in frames:
        atoms.calc = EMT()
        frame = atoms.copy()
        frame.info = dict(atoms.info, REF_energy=atoms.get_potential_energy())
        frame.arrays["REF_forces"] = atoms.get_forces()
        if atoms.pbc.all():
            frame.info["REF_stress"] = atoms.get_stress()
        done.append(frame)
    return done


def strained(n=16, seed=0):
    rng, frames = np.random.default_rng(seed), []
    for _ in range(n):
        atoms = bulk("Cu", cubic=True)
        strain = rng.normal(0, 0.03, (3, 3))
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
        atoms.positions += rng.normal(0, 0.08, (4, 3))
        frames.append(atoms)
    return labelled(frames)


def changed(frames, edit):
    frames = [atoms.copy() for atoms in frames]
    for k, atoms in enumerate(frames):
        edit(k, atoms)
    return frames


@pytest.fixture(scope="module")
def good():
    return strained()


def one(found):
    found = [finding for finding in found if finding.level != "note"]
    assert len(found) == 1, [str(finding) for finding in found]
    return found[0]


def volume_scan():
    return [bulk("Cu", a=3.4 + 0.03 * k, cubic=True) for k in range(16)]


def rattled_volumes():
    frames = volume_scan()
    for k, atoms in enumerate(frames):
        atoms.rattle(0.08, seed=k)
    return frames


def dimers_and_crystals():
    frames = [Atoms("Al2", [[0, 0, 0], [2.1 + 0.13 * k, 0, 0]]) for k in range(12)]
    for k in range(12):
        frames.append(bulk("Al", cubic=True))
        frames[-1].rattle(0.08, seed=k)
    return frames


def bulk_and_slab():
    frames = [bulk("Cu", cubic=True) for _ in range(12)] + [fcc111("Cu", (1, 1, 4), vacuum=6.0) for _ in range(10)]
    for k, atoms in enumerate(frames):
        atoms.pbc = True
        atoms.rattle(0.08, seed=k)
    return frames


@pytest.mark.parametrize("make", [volume_scan, rattled_volumes, dimers_and_crystals, bulk_and_slab, strained])
def test_right_sets_pass(make):
    frames = make() if make is strained else labelled(make())
    assert [str(finding) for finding in check_data(frames, quick=False)] == []


def full(stress):
    return stress[[0, 5, 4, 5, 1, 3, 4, 3, 2]]


def rename(value):
    """Edits a stress into what `value(stress, volume)` gives under the key REF_virial."""

    def edit(k, atoms):
        atoms.info["REF_virial"] = value(atoms.info.pop("REF_stress"), atoms.get_volume())

    return edit


def rewrite(value):
    def edit(k, atoms):
        atoms.info["REF_stress"] = value(atoms.info["REF_stress"], atoms.get_volume())

    return edit


@pytest.mark.parametrize(
    "edit, remedy",
    [
        (rewrite(lambda s, v: s * KBAR), ("--units stress=kbar",)),
        (rewrite(lambda s, v: s * KBAR / 10), ("--units stress=GPa",)),
        (rewrite(lambda s, v: -s * KBAR), ("--units stress=-kbar",)),
        (rewrite(lambda s, v: s / 183.6315), ("--units stress=hartree/bohr^3",)),
        (rewrite(lambda s, v: -s), ("--units stress=-eV/angstrom^3",)),
        (rewrite(lambda s, v: -v * s), ("--key virial=REF_stress", "--key stress=none")),
        (rewrite(lambda s, v: s[[0, 1, 2, 5, 3, 4]]), ("--stress-order vasp",)),
        (rewrite(lambda s, v: s[[0, 5, 4, 1, 3, 2]]), ("--stress-order upper",)),
        (rewrite(lambda s, v: s[[0, 1, 2, 5, 3, 4]] * KBAR), ("--units stress=kbar", "--stress-order vasp")),
        (rename(lambda s, v: v * full(s)), ("--units virial=-eV",)),
        (rename(lambda s, v: -v * full(s) / 27.2114), ("--units virial=hartree",)),
    ],
)
def test_readings_of_stresses_and_virials(good, edit, remedy):
    finding = one(check_data(changed(good, edit)))
    assert finding.remedy == remedy, str(finding)
    assert finding.level == "certain"


def test_stress_in_kbar_named_virial(good):
    finding = one(check_data(changed(good, rename(lambda s, v: -full(s) * KBAR))))
    assert finding.remedy == ("--key stress=REF_virial", "--key virial=none", "--units stress=-kbar")
    np.testing.assert_allclose(finding.size, KBAR / 47.0, rtol=0.1)


def test_exchanged_components(good):
    finding = one(check_data(changed(good, rewrite(lambda s, v: s[[0, 1, 2, 4, 3, 5]]))))
    assert finding.check == "stress_order" and finding.remedy == ("--stress-order xx,yy,zz,xz,yz,xy",)
    assert "xz and yz exchanged" in str(finding)


def test_a_constant_stress_is_a_note():
    frames = labelled(rattled_volumes())
    found = check_data(changed(frames, rename(lambda s, v: -v * full(s) + 0.8 * np.eye(3).ravel())))
    assert [(finding.check, finding.level) for finding in found] == [("pulay", "note")]
    assert abs(found[0].size - 0.2) <= 0.02


def test_energies_per_atom():
    frames = labelled(bulk_and_slab())
    for atoms in frames:
        atoms *= (1, 1, 1)

    def edit(k, atoms):
        atoms.info["REF_energy"] /= len(atoms)

    assert one(check_data(changed(frames, edit))).remedy == ("--units energy=eV/atom",)


@pytest.mark.parametrize("fault", ["stress", "energy"])
def test_one_config_type_alone(fault):
    frames = labelled(rattled_volumes()) + strained()
    for k, atoms in enumerate(frames):
        atoms.info["config_type"] = "volumes" if k < 16 else "strained"

    def edit(k, atoms):
        if k >= 16:
            atoms.info[f"REF_{fault}"] *= KBAR if fault == "stress" else 23.0605

    found = one(check_data(changed(frames, edit)))
    assert found.where == "config_type strained"
    assert found.remedy[0] == ("--units stress=kbar" if fault == "stress" else "--units energy=kcal/mol")


def test_one_file_alone():
    frames = labelled(rattled_volumes()) + strained()
    frames[16:] = changed(frames[16:], rewrite(lambda s, v: s * KBAR))
    sources = [f"a.xyz, frame {k}" for k in range(16)] + [f"b.xyz, frame {k}" for k in range(16)]
    assert one(check_data(Frames(frames, sources))).where == "b.xyz"


@pytest.mark.parametrize("kind", ["energy", "forces"])
def test_outliers(kind):
    frames = [bulk("Cu", cubic=True) * (2, 1, 1) for _ in range(20)]
    for k, atoms in enumerate(frames):
        atoms.rattle(0.08, seed=k)

    def edit(k, atoms):
        if k == 7 and kind == "energy":
            atoms.info["REF_energy"] += 2.0
        elif k == 7:
            atoms.arrays["REF_forces"] = np.roll(5 * atoms.arrays["REF_forces"], 1, axis=0)

    frames = labelled(frames)
    assert check_data(frames, quick=False) == []
    finding = one(check_data(changed(frames, edit), quick=False))
    assert finding.check == "outliers" and finding.frames == (7,)
    assert kind.removesuffix("y") in str(finding) and "frame 7" in str(finding)


def test_forces_of_fixed_atoms_are_named(good):
    def edit(k, atoms):
        atoms.arrays["REF_forces"][:1] = 0.0

    found = [finding for finding in check_data(changed(good, edit)) if finding.check == "net_forces"]
    assert len(found[0].frames) >= 14 and "held fixed" in str(found[0])


def test_torque():
    rng, frames = np.random.default_rng(0), []
    for _ in range(10):
        places = np.array([[0, 0, 0], [2.5, 0, 0], [1.2, 2.2, 0], [1.2, 0.7, 2.1]])
        frames.append(Atoms("Cu4", places + rng.normal(0, 0.1, (4, 3))))
    frames = labelled(frames)
    assert check_data(frames) == []

    def turn(k, atoms):
        atoms.arrays["REF_forces"] = atoms.arrays["REF_forces"][:, [1, 2, 0]]

    assert "net_torque" in [finding.check for finding in check_data(changed(frames, turn))]


@pytest.mark.parametrize(
    "edit, remedy",
    [
        (lambda atoms: atoms.set_scaled_positions(atoms.get_scaled_positions()), None),
        (lambda atoms: setattr(atoms, "positions", atoms.get_scaled_positions()), "--units positions=fractional"),
        (lambda atoms: atoms.set_cell(0.1 * atoms.cell.array, scale_atoms=True), "--units positions=nm"),
        (lambda atoms: atoms.set_cell(1.8897 * atoms.cell.array, scale_atoms=True), "--units positions=bohr"),
    ],
)
def test_units_of_positions(edit, remedy):
    frames = rattled_volumes()
    for atoms in frames:
        edit(atoms)
        atoms.info["REF_energy"] = float(np.sum(np.cos(atoms.positions)))
    found = check_data(frames)
    assert [finding.remedy for finding in found] == ([(remedy,)] if remedy else [])


def test_equal_energies():
    frames = rattled_volumes()
    for atoms in frames:
        atoms.info["REF_energy"] = 0.0
    finding = one(check_data(frames))
    assert finding.check == "equal_energies" and finding.level == "certain"
    same = [bulk("Cu", cubic=True) for _ in range(4)]
    for atoms in same:
        atoms.info["REF_energy"] = -1.0
    assert [finding.check for finding in check_data(same)] == ["duplicates"]


@pytest.mark.parametrize("of_atom, remedy", [(-900.0, "--e0 none"), (-3.0, None)])
def test_free_atoms_of_another_reference(of_atom, remedy):
    frames = labelled(rattled_volumes())
    for atoms in frames:
        atoms.info["REF_energy"] -= 6.0 * len(atoms)
    frames.append(Atoms("Cu", info={"REF_energy": of_atom, "config_type": "isolated_atom"}))
    found = check_data(frames)
    assert [finding.remedy for finding in found] == ([(remedy,)] if remedy else [])
