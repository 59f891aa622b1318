"""The command line and data files: keys, units, what is dropped, what is said of labels, names of files."""

import ase.io
import mercer
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from mercer import checks
from mercer.checks.finding import Finding
from mercer.cli import main
from mercer.cli._data import read_data
from mercer.cli._drop import parse_drops
from mercer.config import load_options
from mercer.errors import ConfigError, DataError

SMALL = ["--n-sparse", "10", "--set", "terms.0.descriptor.n_max=3", "--set", "terms.0.descriptor.l_max=2"]


def make(n=8, seed=0, keys=("REF_energy", "REF_forces", "REF_stress")):
    """Copper labelled by EMT under these keys."""
    rng = np.random.default_rng(seed)
    frames = []
    for k in range(n):
        atoms = bulk("Cu", cubic=True)
        atoms.set_cell(atoms.cell * (0.97 + 0.06 * k / n), scale_atoms=True)
        atoms.rattle(0.08, rng=rng)
        atoms.calc = EMT()
        energy, forces, stress = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
        atoms.calc = None
        atoms.info[keys[0]], atoms.arrays[keys[1]] = energy, forces
        if len(keys) > 2:
            atoms.info[keys[2]] = stress
        frames.append(atoms)
    return frames


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ase.io.write("train.extxyz", make())
    yield tmp_path
    mercer.set_num_threads(0)


def run(capsys, *arguments, status=0):
    """What a command shows, screen and errors together, without line breaks of the terminal."""
    assert main(list(map(str, arguments))) == status
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return captured.out + captured.err


def read(options=(), files=("train.extxyz",)):
    return read_data(list(files), load_options(None, list(options)))


# ---- what a fit says


def test_what_was_trained_on(here, capsys):
    text = run(capsys, "fit", "train.extxyz", *SMALL, "-o", "out")
    assert "trained on 8 energy labels, 96 forces labels, 48 stress labels" in text
    assert "not trained on" not in text
    text = run(capsys, "fit", "train.extxyz", *SMALL, "--no-virial", "-o", "out")
    assert "found, but not trained on: stress" in text
    text = run(capsys, "fit", "train.extxyz", *SMALL, "--key", "energy=none", "-o", "out")
    assert "warning: no energies were trained on" in text


def test_labels_that_are_left_out_are_told(here, capsys):
    frames = make(keys=("REF_energy", "REF_forces"))
    for atoms in frames:
        atoms.info["old_energy"] = 1.0
        atoms.calc = SinglePointCalculator(atoms, energy=-1.0, stress=np.ones(6), energies=np.zeros(4))
    ase.io.write("mixed.extxyz", frames)
    for command in (["info", "mixed.extxyz"], ["fit", "mixed.extxyz", "--dry-run"]):
        text = run(capsys, *command)
        (line,) = (line for line in text.splitlines() if "not used, though named like labels" in line)
        for name in ("old_energy (info)", "energy (calculator)", "stress (calculator)", "energies (calculator)"):
            assert name in line
        assert text.count("note: stress under the key stress (calculator) in 8 frames is left out") == 1
    text = run(capsys, "info", "mixed.extxyz", "--key", "stress=stress")
    assert "stress in 8 frames (key stress)" in text and "note:" not in text


def test_the_free_energy_is_told(here, capsys):
    frames = make()
    for atoms in frames:
        results = {"energy": atoms.info.pop("REF_energy"), "forces": atoms.arrays.pop("REF_forces")}
        atoms.calc = SinglePointCalculator(atoms, free_energy=results["energy"] - 0.02, **results)
        del atoms.info["REF_stress"]
    ase.io.write("run.traj", frames)
    text = run(capsys, "info", "run.traj")
    assert "energy in 8 frames (key free_energy (calculator))" in text and "by up to 20 meV (5 meV/atom)" in text


# ---- units, orders, several keys, drop


def test_options_of_labels(here):
    expected = read().labels
    frames = make()
    for atoms in frames:
        atoms.info["REF_energy"] /= len(atoms)
        atoms.info["REF_stress"] = -1602.1766 * atoms.info["REF_stress"][[0, 1, 2, 5, 3, 4]]
        atoms.arrays["REF_forces"] *= -1
    ase.io.write("other.extxyz", frames)
    units = {"energy": "eV/atom", "forces": "-eV/angstrom", "stress": "-kbar"}
    options = [("--units", ("units", kind), unit) for kind, unit in units.items()]
    labels = read([*options, ("--stress-order", ("stress_order",), "vasp")], ["other.extxyz"]).labels
    for kind, tolerance in (("energy", 1e-7), ("forces", 1e-7), ("virial", 1e-5)):
        assert np.abs(getattr(labels, kind) - getattr(expected, kind)).max() <= tolerance


@pytest.mark.parametrize("unit", ["bohr", "nm", "fractional"])
def test_units_of_positions(here, unit):
    frames = make()
    for atoms in frames:
        atoms.calc = SinglePointCalculator(atoms, energy=atoms.info.pop("REF_energy"))
        del atoms.info["REF_stress"], atoms.arrays["REF_forces"]
        if unit == "fractional":
            atoms.positions = atoms.get_scaled_positions()
        else:
            atoms.set_cell(atoms.cell / {"bohr": 0.529177210903, "nm": 10.0}[unit], scale_atoms=True)
        atoms.calc.atoms = atoms.copy()
    ase.io.write("other.traj", frames)
    data, expected = read([("", ("units", "positions"), unit)], ["other.traj"]), read()
    for one, two in zip(data.frames, expected.frames, strict=True):
        difference = np.linalg.solve(two.cell.T, (one.positions - two.positions).T)
        assert np.abs(difference - np.round(difference)).max() <= 1e-6
        assert np.abs(one.cell.array - two.cell.array).max() <= 1e-6
    assert np.abs(data.labels.energy - expected.labels.energy).max() <= 1e-7  # results stay with their frame
    ase.io.write("lone.extxyz", Atoms("Cu", info={"REF_energy": 1.0}))
    if unit == "fractional":
        with pytest.raises(DataError, match=r"lone.extxyz, frame 0: fractional positions, but no cell"):
            read([("", ("units", "positions"), unit)], ["lone.extxyz"])


def test_positions_in_an_unknown_unit(here, capsys):
    text = run(capsys, "info", "train.extxyz", "--units", "positions=mile", status=1)
    assert "units: positions in 'mile'; expected angstrom, bohr, nm or fractional" in text


def test_files_with_different_keys(here, capsys):
    ase.io.write("second.extxyz", make(4, seed=1, keys=("e_dft", "f_dft", "s_dft")))
    text = run(capsys, "info", "train.extxyz", "second.extxyz")
    assert "energy in 8 frames" in text and "e_dft (info)" in text
    keys = ["--key", "energy=REF_energy,e_dft", "--key", "forces=REF_forces,f_dft", "--key", "stress=none"]
    text = run(capsys, "fit", "train.extxyz", "second.extxyz", *keys, *SMALL, "-o", "out")
    assert "trained on 12 energy labels, 144 forces labels" in text
    assert "energy: REF_energy,e_dft" in (here / "out" / "config.yaml").read_text()
    (here / "keys.yaml").write_text("keys: {energy: [REF_energy, e_dft]}\n")
    data = read_data(["train.extxyz", "second.extxyz"], load_options("keys.yaml"))
    assert data.labels.has("energy").all()
    for atoms in (frames := make(2, seed=2)):
        atoms.calc = SinglePointCalculator(atoms, energy=atoms.info.pop("REF_energy"))
        atoms.info, atoms.arrays = {}, {k: atoms.arrays[k] for k in ("numbers", "positions")}
    ase.io.write("third.traj", frames)
    text = run(capsys, "fit", "train.extxyz", "third.traj", "--dry-run", status=1)
    assert "third.traj: its labels" in text and "--key energy=REF_energy,energy" in text


def test_dropped_frames_and_labels(here):
    frames = make()
    frames[2].info["REF_energy"] = np.nan
    frames[3].positions[0] = np.nan
    frames[4].positions[1] = frames[4].positions[0]
    for k, atoms in enumerate(frames):
        atoms.info["config_type"] = "odd" if k % 2 else "even"
    ase.io.write("bad.extxyz", frames)

    def drop(*texts):
        return read([("--drop", ("drop",), list(texts))], ["bad.extxyz"])

    data = drop("2-4")
    assert [source[-1] for source in data.frames.sources] == list("01567")
    data = drop("bad.extxyz:3,4", "energy:2", "config_type=odd", "forces")
    assert [source[-1] for source in data.frames.sources] == list("026")
    assert data.labels.has("energy").tolist() == [True, False, True] and "forces" not in data.labels.found
    assert drop("3-4", "energy:2", "bad.extxyz:stress:config_type=odd").labels.has("virial").sum() == 3
    with pytest.raises(DataError, match=r"drop: no frame of bad.extxyz is meant by '98-99'"):
        drop("2-4", "98-99")
    with pytest.raises(DataError, match=r"is meant by 'config_type=od'"):
        drop("2-4", "config_type=od")
    with pytest.raises(DataError, match="every frame is dropped"):
        drop("0-7")


@pytest.mark.parametrize("text", ["last", "12;13", "a.xyz:", "other.xyz:3", "speed:3"])
def test_drop_is_refused(text):
    with pytest.raises(ConfigError, match=r"^drop: "):
        parse_drops([text], ["a.xyz"], ["a.xyz"])


def test_drop_of_one_of_several_files():
    with pytest.raises(ConfigError, match="frames of which file"):
        parse_drops(["3"], ["a.xyz", "b.xyz"], ["a.xyz", "b.xyz"])
    (rule,) = parse_drops(["3"], ["a.xyz", "test.xyz"], ["a.xyz"])  # of the training data
    assert rule.file == "a.xyz"


def test_dropping_with_test_files(here, capsys):
    ase.io.write("test.extxyz", make(4, seed=1))
    text = run(
        capsys, "fit", "train.extxyz", "--test", "test.extxyz", "--drop", "0", "--drop", "test.extxyz:1-3", "--dry-run"
    )
    assert "train:      7 frames" in text and "test:       1 frames" in text
    text = run(capsys, "fit", "train.extxyz", "--test", "test.extxyz", "--drop", "test.extxyz:7", "--dry-run", status=1)
    assert "no frame of test.extxyz is meant by 'test.extxyz:7'" in text


def test_a_config_type_without_frames(here, capsys):
    frames = make()
    for atoms in frames:
        atoms.info["config_type"] = "liquid"
    ase.io.write("named.extxyz", frames)
    text = run(
        capsys, "fit", "named.extxyz", "--set", "config_type_sigma={liqud: {energy: 0.1}}", "--dry-run", status=1
    )
    assert "config_type_sigma.liqud: no training frame has this config_type; did you mean 'liquid'?" in text
    run(capsys, "fit", "named.extxyz", "--set", "config_type_sigma={liquid: {energy: 0.1}}", "--dry-run")


# ---- what is certain


def test_what_is_certain_stops_a_fit(here, capsys, monkeypatch):
    calls = []

    def found(frames, labels):
        calls.append(len(frames))
        return [Finding("a", "one thing", "note"), Finding("b", "it is wrong; --units energy=Ry", "certain")]

    monkeypatch.setattr(checks, "check_data", found)
    text = run(capsys, "fit", "train.extxyz", *SMALL, "-o", "out", status=1)
    assert "error: it is wrong; --units energy=Ry; to fit all the same, say --trust-data" in text
    assert "  note: one thing" in text and not (here / "out").exists()
    text = run(capsys, "fit", "train.extxyz", *SMALL, "-o", "out", "--trust-data")
    assert calls == [8] and "one thing" not in text and (here / "out" / "model.mercer").exists()


# ---- files


def test_names_of_output_files(here, capsys):
    run(capsys, "fit", "train.extxyz", *SMALL, "-o", "out", "-q")
    for command in (
        ["predict", "out/model.mercer", "train.extxyz"],
        ["md", "out/model.mercer", "train.extxyz", "-n", "1"],
    ):
        text = run(capsys, *command, "-o", "p.traj", status=1)
        assert "p.traj: structures are written as extended XYZ" in text and "p.extxyz" in text
    slab = fcc111("Cu", (2, 2, 2), vacuum=6.0)
    slab.info.clear()
    ase.io.write("two.extxyz", [slab, *make(1)])
    text = run(capsys, "predict", "out/model.mercer", "two.extxyz", "-o", "p.extxyz")
    assert "without mercer_stress: 1 frames that are not periodic in three directions" in text
    slab, crystal = ase.io.read("p.extxyz", ":")
    assert "mercer_stress" not in slab.info and crystal.info["mercer_stress"].shape == (6,)
    assert crystal.info["mercer_virial"].shape == (9,) and "_JSON" not in (here / "p.extxyz").read_text()


def test_predictions_replace_results_of_calculators(here, capsys):
    run(capsys, "fit", "train.extxyz", *SMALL, "-o", "out", "-q")
    frames = make(2)
    for atoms in frames:
        atoms.calc = SinglePointCalculator(
            atoms, energy=7.0, free_energy=7.5, energies=np.ones(4), forces=np.ones((4, 3))
        )
    ase.io.write("old.traj", frames)
    run(capsys, "predict", "out/model.mercer", "old.traj", "-o", "kept.extxyz")
    run(capsys, "predict", "out/model.mercer", "old.traj", "-o", "p.extxyz", "--prefix", "")
    for kept, atoms in zip(ase.io.read("kept.extxyz", ":"), ase.io.read("p.extxyz", ":"), strict=True):
        assert kept.calc.results["free_energy"] == 7.5 and "free_energy" not in atoms.calc.results
        assert atoms.get_potential_energy() == kept.info["mercer_energy"] != 7.0
        assert np.array_equal(atoms.get_forces(), kept.arrays["mercer_forces"])


def test_info_tells_models_from_data(here, capsys):
    run(capsys, "fit", "train.extxyz", *SMALL, "-o", "out", "-q")
    (here / "vasprun.xml").write_text('<?xml version="1.0"?>\n<modeling>\n<generator/>\n</modeling>\n')
    text = run(capsys, "info", "vasprun.xml", status=1)
    assert "GAP" not in text and "vasprun.xml: holds no structure" in text
    text = run(capsys, "info", "train.extxyz", "out/model.mercer", "train.extxyz")
    assert "out/model.mercer: potential of 1 term" in text and "8 frames, 32 atoms" in text


def test_info_without_labels_lists_the_keys(here, capsys):
    ase.io.write("odd.extxyz", make(2, keys=("e_tot", "f_tot")))
    text = run(capsys, "info", "odd.extxyz")
    assert "labels: none" in text and "Keys that are there: info: e_tot; arrays: f_tot; calculator: none" in text


@pytest.mark.parametrize("command", [[], ["fit"], ["info"], ["predict"], ["evaluate"]])
def test_commands_without_anything(command, capsys):
    assert main(command) == 2
    assert f"error: {' '.join(['mercer', *command])} was given nothing to do" in capsys.readouterr().err
