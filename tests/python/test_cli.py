"""The command line: what it writes, and one clear message for every mistake."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time

import ase.io
import mercer
import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.build import bulk
from fitted_folder import fit_in
from mercer.cli import _session, main
from rich.console import Console

SMALL = ["--n-sparse", "12", "--r-cut", "3.5", "--threads", "1"]
SMALL += ["--set", "terms.0.descriptor.n_max=3", "--set", "terms.0.descriptor.l_max=2"]


def make(n=8, seed=0, key="REF_energy"):
    rng = np.random.default_rng(seed)
    frames = []
    for k in range(n):
        atoms = bulk("Si", cubic=True)
        atoms.positions += rng.normal(0, 0.1, (8, 3))
        atoms.info[key] = -40.0 + float(rng.normal())
        atoms.info["config_type"] = "even" if k % 2 == 0 else "odd"
        frames.append(atoms)
    return frames


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ase.io.write("train.extxyz", make())
    ase.io.write("test.extxyz", make(4, seed=1))
    yield tmp_path
    mercer.set_num_threads(0)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A folder with data and a finished fit, not to be changed."""
    files = {"train.extxyz": make(), "test.extxyz": make(4, seed=1)}
    return fit_in(tmp_path_factory.mktemp("fitted"), files, "train.extxyz", "--test", "test.extxyz", *SMALL)


def fails(capsys, arguments, *parts, status=1):
    """Run a command that must fail with one message that holds `parts`, without a traceback; gives the message."""
    assert main(list(map(str, arguments))) == status
    err = capsys.readouterr().err
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and err.count("\n") == 1 + err.count("warning: "), err
    assert "Traceback" not in err
    for part in parts:
        assert str(part) in errors[0], (part, errors[0])
    return errors[0]


# ------------------------------------------------------------------------------------------------ what works


def test_isolated_atoms_train_and_are_left_out_of_the_metrics(here):
    """Whatever the seed of the split."""
    lone = Atoms("Si", info={"REF_energy": -4.5, "config_type": "IsolatedAtom"})
    ase.io.write("train.extxyz", [lone, *make()])
    assert main(["fit", "train.extxyz", "--n-train", "5", "--seed", "1", "-o", "run", "--quiet", *SMALL]) == 0
    assert mercer.load("run/model.mercer").e0_ == {"Si": -4.5}
    metrics = json.loads((here / "run/metrics.json").read_text())["errors"]
    assert metrics["train"]["energy"]["all"]["n"] == 5
    assert metrics["test"]["energy"]["all"]["n"] == 3


def test_fit_writes_model_configuration_log_metrics_and_plot(fitted):
    names = {path.name for path in (fitted / "run").iterdir()}
    assert names == {"model.mercer", "config.yaml", "fit.log", "metrics.json", "parity.png"}
    metrics = json.loads((fitted / "run" / "metrics.json").read_text())
    assert metrics["errors"]["train"]["energy"]["all"]["n"] == 8
    assert set(metrics["errors"]["test"]["energy"]["by_config_type"]) == {"even", "odd"}
    assert metrics["seconds"]["fit"] > 0
    log = (fitted / "run" / "fit.log").read_text()
    assert "energy in 8 frames (key REF_energy)" in log and "even" in log and "terms.0.delta" in log
    assert (fitted / "run" / "parity.png").read_bytes().startswith(b"\x89PNG")


def test_errors_are_those_of_the_model(fitted):
    frames = ase.io.read(fitted / "test.extxyz", ":")
    predicted = mercer.load(fitted / "run" / "model.mercer").predict(frames)["energy"]
    error = predicted - [atoms.info["REF_energy"] for atoms in frames]
    metrics = json.loads((fitted / "run" / "metrics.json").read_text())
    assert abs(metrics["errors"]["test"]["energy"]["all"]["mae"] - np.abs(error).mean()) <= 1e-9
    assert abs(metrics["errors"]["test"]["energy_per_atom"]["all"]["mae"] - np.abs(error / 8).mean()) <= 1e-9


def test_screen_shows_table_settings_and_next_command(here, capsys):
    assert main(["fit", "train.extxyz", "--test", "test.extxyz", "-o", "run", *SMALL]) == 0
    out = capsys.readouterr().out
    for part in (
        "energy in 8 frames (key REF_energy)",
        "config_type",
        "meV/atom",
        "terms.0.delta =",
        "mercer predict run",
    ):
        assert part in out


def test_the_written_configuration_repeats_the_run_exactly(fitted, monkeypatch, tmp_path):
    monkeypatch.chdir(fitted)
    written = yaml.safe_load((fitted / "run" / "config.yaml").read_text())
    assert written["terms"][0]["n_sparse"] == 12 and written["sigma"]["energy"] > 0
    again = tmp_path / "again"
    assert main(["fit", "--config", "run/config.yaml", "-o", str(again), "--quiet"]) == 0
    first, second = (mercer.load(folder / "model.mercer") for folder in (fitted / "run", again))
    np.testing.assert_array_equal(first.weights_, second.weights_)
    rewritten = yaml.safe_load((again / "config.yaml").read_text())
    assert {**rewritten, "output": "run"} == written


def test_several_files_wildcards_and_split(here, capsys):
    ase.io.write("train2.extxyz", make(3, seed=5))
    assert main(["fit", "train*.extxyz", "--n-train", "9", "-o", "run", *SMALL]) == 0
    metrics = json.loads((here / "run" / "metrics.json").read_text())
    assert metrics["errors"]["train"]["energy"]["all"]["n"] == 9
    assert metrics["errors"]["test"]["energy"]["all"]["n"] == 2
    assert main(["fit", "train.extxyz", "--test-fraction", "0.25", "-o", "run", "--quiet", *SMALL]) == 0
    assert json.loads((here / "run" / "metrics.json").read_text())["errors"]["test"]["energy"]["all"]["n"] == 2


def test_keys_units_and_given_e0(here):
    frames = make(key="my_energy")
    ase.io.write("mine.extxyz", frames)
    command = ["fit", "mine.extxyz", "--energy-key", "my_energy", "--units", "energy=kcal/mol", "--e0", "Si=-0.5"]
    assert main([*command, "-o", "run", *SMALL]) == 0
    assert "train: energy MAE" in (here / "run" / "fit.log").read_text()
    model = mercer.load("run/model.mercer")
    assert model.e0_ == {"Si": -0.5}
    mean = np.mean([atoms.info["my_energy"] for atoms in frames]) * 0.0433641
    assert abs(model.predict(frames)["energy"].mean() - mean) <= 0.02


def test_predict_writes_extended_xyz(fitted, tmp_path):
    out = tmp_path / "out.extxyz"
    assert main(["predict", str(fitted / "run/model.mercer"), str(fitted / "test.extxyz"), "-o", str(out)]) == 0
    model = mercer.load(fitted / "run" / "model.mercer")
    frames = ase.io.read(out, ":")
    expected = model.predict(frames, std=True)
    np.testing.assert_allclose([a.info["mercer_energy"] for a in frames], expected["energy"], rtol=1e-8)
    np.testing.assert_allclose([a.info["mercer_energy_std"] for a in frames], expected["energy_std"], rtol=1e-6)
    np.testing.assert_allclose(
        np.concatenate([a.arrays["mercer_energies"] for a in frames]), expected["energies"], atol=1e-7
    )
    assert frames[0].info["REF_energy"] == ase.io.read(fitted / "test.extxyz", 0).info["REF_energy"]


def test_predict_of_frames_of_one_atom_each(fitted, tmp_path):
    ase.io.write(tmp_path / "one.extxyz", [bulk("Si")[:1], bulk("Si")[:1]])
    out = tmp_path / "out.extxyz"
    assert main(["predict", str(fitted / "run/model.mercer"), str(tmp_path / "one.extxyz"), "-o", str(out), "-q"]) == 0
    frames = ase.io.read(out, ":")
    assert "mercer_energy" in frames[0].info and frames[0].arrays["mercer_energies"].shape == (1,)


def test_evaluate(fitted, tmp_path, capsys):
    arguments = ["evaluate", fitted / "run/model.mercer", fitted / "test.extxyz", "-o", tmp_path / "out"]
    assert main(list(map(str, arguments))) == 0
    assert "meV/atom" in capsys.readouterr().out
    read = json.loads((tmp_path / "out" / "metrics.json").read_text())["errors"]["test"]["energy"]["all"]
    expected = json.loads((fitted / "run" / "metrics.json").read_text())["errors"]["test"]["energy"]["all"]
    assert abs(read["mae"] - expected["mae"]) <= 1e-9


def test_info_of_model_and_of_data(fitted, capsys):
    assert main(["info", str(fitted / "run" / "model.mercer")]) == 0
    out = capsys.readouterr().out
    # the 12 that were asked for, 14 distances of the dimer and 12 volumes of each of two crystals
    assert "SOAP" in out and "50 sparse points" in out and "Si" in out
    assert main(["info", str(fitted / "train.extxyz")]) == 0
    out = capsys.readouterr().out
    assert "8 frames, 64 atoms (Si 64)" in out and "key REF_energy" in out and "TTT" in out


def test_dry_run_writes_nothing_and_shows_the_configuration(here, capsys):
    assert main(["fit", "train.extxyz", "--dry-run", *SMALL]) == 0
    out = capsys.readouterr().out
    assert "n_sparse: 12" in out and "sparse points" in out
    assert sorted(path.name for path in here.iterdir()) == ["test.extxyz", "train.extxyz"]


def test_version_and_module(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"mercer {mercer.__version__}"
    done = subprocess.run([sys.executable, "-m", "mercer", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"mercer {mercer.__version__}"


@pytest.mark.parametrize("command", ["fit", "predict", "evaluate", "info", "demo"])
def test_help(command, capsys):
    assert main([command, "--help"]) == 0
    assert f"mercer {command}" in capsys.readouterr().out


def test_progress_with_rate_and_time_left(monkeypatch):
    monkeypatch.setattr(_session, "LOG_INTERVAL", 0.02)
    text = io.StringIO()
    session = _session.Session(console=Console(file=text, width=120))
    with session.stage("fit"):
        session.progress("rows", 10, 100)
        time.sleep(0.05)
        session.progress("rows", 60, 100)
        time.sleep(0.05)
    assert re.search(r"fit: rows 10/100, \d.* so far", text.getvalue())
    assert re.search(r"fit: rows 60/100, \d.*/s, \d.* left", text.getvalue())
    assert session.times["fit"] >= 0.1


@pytest.mark.parametrize(
    "value, text",
    [(0.214, "0.21 s"), (12.34, "12.3 s"), (245.0, "4 min 05 s"), (59.99, "60.0 s"), (3600, "60 min 00 s")],
)
def test_durations(value, text):
    assert _session.seconds(value) == text


# ------------------------------------------------------------------------------------------------ bad input


def bad_file(name, frames):
    ase.io.write(name, frames)
    return name


def edited(edit, n=8, at=3):
    frames = make(n)
    edit(frames[at])
    return frames


def set_positions(value):
    def edit(atoms):
        atoms.positions[2, 1] = value

    return edit


def same_place(atoms):
    atoms.positions[5] = atoms.positions[2]


def flat(atoms):
    atoms.cell[2] = atoms.cell[1]


@pytest.mark.parametrize(
    "edit, parts",
    [
        (set_positions(np.nan), ["bad.extxyz, frame 3"]),
        (set_positions(np.inf), ["bad.extxyz, frame 3"]),
        (same_place, ["bad.extxyz, frame 3", "atoms 2 and 5"]),
        (flat, ["bad.extxyz, frame 3", "volume"]),
        (lambda atoms: atoms.info.update(REF_energy=float("nan")), ["bad.extxyz, frame 3", "REF_energy", "NaN"]),
        (lambda atoms: atoms.info.update(REF_energy=float("inf")), ["bad.extxyz, frame 3", "REF_energy", "infinite"]),
    ],
)
@pytest.mark.parametrize("command", ["fit", "predict", "evaluate"])
def test_bad_structures_and_labels(here, fitted, capsys, command, edit, parts):
    if command == "predict" and "REF_energy" in parts:
        parts = None  # labels are not read
    bad_file("bad.extxyz", edited(edit))
    model = fitted / "run" / "model.mercer"
    arguments = {
        "fit": ["fit", "bad.extxyz", "-o", "run", *SMALL],
        "predict": ["predict", model, "bad.extxyz", "-o", "out.extxyz"],
        "evaluate": ["evaluate", model, "bad.extxyz"],
    }[command]
    if parts is None:
        assert main(list(map(str, arguments))) == 0
    else:
        fails(capsys, arguments, *parts)
        assert not (here / "run").exists() and not (here / "out.extxyz").exists()


@pytest.mark.parametrize(
    "arguments, parts",
    [
        (["fit", "nothing.extxyz"], ["nothing.extxyz", "no such file"]),
        (["fit", "no*.extxyz"], ["no*.extxyz", "no file matches"]),
        (["fit", "empty.extxyz"], ["empty.extxyz", "empty"]),
        (["fit", "train.extxyz", "--test", "nothing.extxyz"], ["nothing.extxyz", "no such file"]),
        (["fit", "text.txt"], ["text.txt"]),
        (["fit", "unlabelled.extxyz"], ["unlabelled.extxyz", "no labels", "my_energy", "--energy-key"]),
        (["fit", "train.extxyz", "--energy-key", "dft"], ["train.extxyz", "'dft'", "REF_energy"]),
        (["fit", "train.extxyz", "--n-sparse", "1000"], ["n_sparse=1000", "64"]),
        (["fit", "train.extxyz", "--test", "germanium.extxyz"], ["germanium.extxyz, frame 0", "Ge", "Si"]),
        (["fit", "train.extxyz", "--set", "terms.0.descriptor.species=[Ge]"], ["train.extxyz, frame 0", "Si"]),
        (["fit", "train.extxyz", "--set", "terms.0.descriptor.rcut=3"], ["rcut", "did you mean 'r_cut'"]),
        (["fit", "train.extxyz", "--config", "nothing.yaml"], ["nothing.yaml", "no such"]),
        (["fit", "train.extxyz", "--config", "bad.yaml"], ["bad.yaml:2", "sgima", "did you mean 'sigma'"]),
        (["fit", "train.extxyz", "--units", "energy=furlong"], ["furlong", "kcal/mol"]),
        (["fit", "train.extxyz", "--units", "energy"], ["--units energy", "LABEL=VALUE"]),
        (["fit", "train.extxyz", "--e0", "isolated"], ["isolated", "Si"]),
        (["fit", "train.extxyz", "--e0", "Ge=-1"], ["Si"]),
        (["fit", "train.extxyz", "--e0", "Si=low"], ["--e0 Si=low"]),
        (["fit", "train.extxyz", "--n-train", "8"], ["n_train=8", "8 frames"]),
        (["fit", "train.extxyz", "--r-cut", "-1"], ["r_cut"]),
        (["fit", "train.extxyz", "--threads", "-1"], ["--threads"]),
        (["fit", "train.extxyz", "--set", "terms.0.descriptor.cutoff=none"], ["terms.0", "none"]),
        (["fit", "single.extxyz"], ["single.extxyz", "isolated"]),
        (["fit", "--seed", "1"], ["no training file"]),
        (["fit", "train.extxyz", "-o", "file"], ["file", "cannot write", "-o"]),
        (["fit", "train.extxyz", "-o", "file/run"], ["file/run", "cannot write"]),
        (["info", "nothing"], ["nothing", "no such file"]),
    ],
)
def test_bad_input_of_fit(here, capsys, arguments, parts):
    (here / "empty.extxyz").touch()
    (here / "file").write_text("not a folder")
    (here / "text.txt").write_text("hello world\n")
    (here / "bad.yaml").write_text("seed: 1\nsgima: {energy: 1}\n")
    ase.io.write("unlabelled.extxyz", make(key="my_energy"))
    germanium = bulk("Ge")
    germanium.info["REF_energy"] = -1.0
    ase.io.write("germanium.extxyz", germanium)
    ase.io.write("single.extxyz", Atoms("Si", info={"REF_energy": 1.0, "config_type": "isolated_atom"}))
    before = sorted(here.iterdir())
    fails(capsys, arguments, *parts)
    assert sorted(here.iterdir()) == before


@pytest.mark.parametrize(
    "arguments, parts",
    [
        (["fit", "--confg", "x"], ["--confg", "--config"]),
        (["fti"], ["fti", "fit"]),
        (["fit", "--seed", "one"], ["--seed", "integer"]),
        (["predict", "model"], ["Missing"]),
        (["demo", "--n-frames", "2"], ["--n-frames"]),
    ],
)
def test_wrong_command_lines(here, capsys, arguments, parts):
    message = fails(capsys, arguments, *parts, status=2)
    assert "--help" in message


@pytest.mark.parametrize(
    "arguments, parts",
    [
        (["--terms", "soap", "--two-body"], ["--terms and --two-body"]),
        (["--terms", "soap", "--representation", "mbtr"], ["--terms and --representation"]),
        (["--two-body", "--representation", "mbtr"], ["--two-body and --representation"]),
        (["--no-forces", "--sigma-forces", "0.1"], ["--no-forces and --sigma-forces"]),
        (["--no-virial", "--sigma-virial", "0.1"], ["--no-virial and --sigma-virial"]),
        (["--n-train", "5", "--test", "test.extxyz"], ["--test and --n-train"]),
        (["--test-fraction", "0.5", "--test", "test.extxyz"], ["--test and --test-fraction"]),
        (["--n-train", "5", "--test-fraction", "0.5"], ["--n-train and --test-fraction"]),
        (["--validation", "test.extxyz", "--validation-fraction", "0.5"], ["--validation and --validation-fraction"]),
        (["--key", "energy=a", "--key", "energy=b"], ["energy=a", "energy=b"]),
        (["--energy-key", "a", "--key", "energy=b"], ["--energy-key", "energy=b"]),
        (["--units", "energy=eV", "--units", "energy=kcal/mol"], ["energy=eV", "energy=kcal/mol"]),
        (["--e0", "Si=1,Si=2"], ["--e0 Si=1,Si=2", "Si has two energies"]),
    ],
)
def test_options_that_contradict_each_other(here, capsys, arguments, parts):
    fails(capsys, ["fit", "train.extxyz", *arguments, *SMALL], *parts)


@pytest.mark.parametrize("option", ["--no-forces", "--no-std"])
def test_predictions_without_what_was_asked_for(here, fitted, capsys, option):
    model = fitted / "run" / "model.mercer"
    fails(capsys, ["predict", model, "test.extxyz", "-o", "o.extxyz", "--forces-std", option], option, "--forces-std")


def broken_models(good):
    header = int.from_bytes(good[:8], "little")
    text = good[8 : 8 + header]
    assert b"format_version" in text and b"mercer-potential" in text
    newer = re.sub(rb"(format_version\W+)\d", rb"\g<1>9", text)
    return {
        "truncated": good[: len(good) - 100],
        "cut in the header": good[:50],
        "empty": b"",
        "text": b"this is not a model\n" * 20,
        "newer": good[:8] + newer + good[8 + header :],
        "foreign": good[:8] + text.replace(b"mercer-potential", b"somebody-else-ml") + good[8 + header :],
    }


@pytest.mark.parametrize("kind", ["truncated", "cut in the header", "empty", "text", "newer", "foreign"])
@pytest.mark.parametrize("command", ["predict", "evaluate", "info"])
def test_broken_model_files(here, fitted, capsys, kind, command):
    good = (fitted / "run" / "model.mercer").read_bytes()
    broken = broken_models(good)[kind]
    assert broken != good
    (here / "bad.mercer").write_bytes(broken)
    rest = {"predict": ["test.extxyz", "-o", "out.extxyz"], "evaluate": ["test.extxyz"], "info": []}[command]
    fails(capsys, [command, "bad.mercer", *rest], "bad.mercer", *(["pgrade"] if kind == "newer" else []))
    assert not (here / "out.extxyz").exists()


def test_a_missing_model(here, capsys):
    fails(capsys, ["predict", "none.mercer", "test.extxyz", "-o", "out.extxyz"], "none.mercer", "no such")


def test_an_element_that_the_model_does_not_know(here, fitted, capsys):
    ase.io.write("germanium.extxyz", [bulk("Si"), bulk("Ge")])
    model = fitted / "run" / "model.mercer"
    fails(capsys, ["predict", model, "germanium.extxyz", "-o", "o.extxyz"], "germanium.extxyz, frame 1", "Ge", "Si")


def test_predictions_into_a_folder_that_is_not_there(here, fitted, capsys):
    model = fitted / "run" / "model.mercer"
    fails(capsys, ["predict", model, "test.extxyz", "-o", "nowhere/o.extxyz"], "nowhere/o.extxyz", "cannot write")


def test_a_failed_fit_leaves_earlier_results_intact(here, capsys, monkeypatch):
    assert main(["fit", "train.extxyz", "-o", "run", "--quiet", *SMALL]) == 0
    before = {path.name: path.read_bytes() for path in (here / "run").iterdir()}

    def broken(*args, **kwargs):
        raise np.linalg.LinAlgError("did not converge")

    monkeypatch.setattr("mercer.cli._fit.report.parity_plot", broken)
    fails(capsys, ["fit", "train.extxyz", "-o", "run", "--seed", "3", "--quiet", *SMALL], "did not converge")
    assert {path.name: path.read_bytes() for path in (here / "run").iterdir()} == before


def test_traceback_only_with_debug(here, capsys):
    assert main(["fit", "nothing.extxyz", "--debug"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err and "error: nothing.extxyz" in err


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_fit(here, sent):
    (here / "run").mkdir()
    (here / "run" / "model.mercer").write_text("an earlier model")
    ase.io.write("large.extxyz", [frame for seed in range(20) for frame in make(50, seed)])
    command = [sys.executable, "-m", "mercer", "fit", "large.extxyz", "-o", "run", "--n-sparse", "6000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.stdout.readline() not in ("fit\n", ""):
        pass
    process.send_signal(sent)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + sent
    assert err.startswith("error: interrupted") and err.count("\n") == 1
    assert [path.name for path in (here / "run").iterdir()] == ["model.mercer"]
    assert (here / "run" / "model.mercer").read_text() == "an earlier model"


def test_output_that_nobody_reads(here):
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.Popen(
        [sys.executable, "-m", "mercer", "info", "train.extxyz"], stdout=writer, stderr=subprocess.PIPE
    )
    os.close(writer)
    _, err = process.communicate(timeout=60)
    assert b"Traceback" not in err


@pytest.mark.parametrize(
    "setting, parts",
    [
        ("terms.0.descriptor.n_max=1000000", ["n_max=1000000", "500"]),
        ("terms.0.descriptor.l_max=100000000000", ["l_max=100000000000", "100"]),
        ("terms.0.descriptor.n_max=400", ["n_max = 400", "linearly dependent", "laplacian"]),
        ("terms.0.descriptor.sigma=50", ["sigma = 50", "too wide", "3.5"]),
        ("terms.0.descriptor.r_cut=40", ["terms.0.descriptor.r_cut=40", "neighbours", "Angstrom"]),
        ("terms.0.descriptor.r_cut=1e300", ["r_cut=1e+300"]),
        ("terms.0.n_sparse=1000000", ["n_sparse=100", "points in all", "GB"]),
        ("threads=100000000000", ["threads", "1024"]),
        (
            "terms=[{descriptor: {type: coulomb_matrix, n_atoms_max: 1000000}}]",
            ["n_atoms_max=1000000"],
        ),
        ("terms.0.descriptor.central_weight=-1", ["central_weight=-1"]),
    ],
)
def test_sizes_are_looked_at_before_anything_runs(here, capsys, setting, parts):
    start = time.process_time()
    fails(capsys, ["fit", "train.extxyz", "-o", "run", *SMALL, "--set", setting], *parts)
    assert time.process_time() - start <= 20
    assert not (here / "run").exists()


@pytest.mark.parametrize(
    "memory, parts",
    [(2**10, ["terms.0.descriptor: 8 rows of 64 features takes"]), (2**24, ["n_sparse=8 points", "64 features"])],
)
def test_fits_that_the_machine_cannot_hold(here, capsys, monkeypatch, memory, parts):
    monkeypatch.setattr("mercer._machine.machine_memory", lambda: memory)
    command = ["fit", "train.extxyz", "-o", "run", "--representation", "sine_matrix"]
    fails(capsys, command, "this machine has", *parts)
    assert not (here / "run").exists()


@pytest.mark.parametrize("prefix", ["a b", "a=b", 'a"b', "a\nb", "x" * 50, "é"])
def test_prefixes_that_extended_xyz_cannot_hold(here, fitted, capsys, prefix):
    model = fitted / "run" / "model.mercer"
    fails(capsys, ["predict", model, "test.extxyz", "-o", "o.extxyz", "--prefix", prefix], "--prefix", "letters")


@pytest.mark.parametrize(
    "option, value",
    [
        *(("--timestep", "1e9"), ("--timestep", "1e-300"), ("--temperature", "-1"), ("--friction", "1e9")),
        *(("--skin", "1e9"), ("--steps", "99999999999999999999"), ("--seed", "99999999999999999999")),
    ],
)
def test_numbers_of_dynamics_outside_their_range(here, fitted, capsys, option, value):
    model = fitted / "run" / "model.mercer"
    fails(capsys, ["md", model, "test.extxyz", "-o", "o.extxyz", option, value], option, "Input should be", status=2)
