"""The command line on energies, forces and virials: what it learns, writes and warns of."""

import json
import warnings
from pathlib import Path

import ase.io
import mercer
import numpy as np
import pytest
import yaml
from ase.build import bulk, fcc111, molecule
from ase.calculators.emt import EMT
from fitted_folder import fit_in
from mercer.cli import main

SMALL = ["--n-sparse", "15", "--r-cut", "3.5", "--threads", "1"]
SMALL += ["--set", "terms.0.descriptor.n_max=3", "--set", "terms.0.descriptor.l_max=2"]


def make(n=8, seed=0):
    """Copper crystals and slabs with energies, forces and, for crystals, virials of effective-medium theory."""
    rng = np.random.default_rng(seed)
    frames = []
    for k in range(n):
        slab = k % 4 == 3
        atoms = fcc111("Cu", (1, 1, 3), vacuum=5.0) if slab else bulk("Cu", cubic=True)
        atoms.set_cell(atoms.cell.array * (1 + 0.01 * (k % 3)), scale_atoms=True)
        atoms.positions += rng.normal(0, 0.1, atoms.positions.shape)
        atoms.calc = EMT()
        frame = atoms.copy()
        frame.info = {"REF_energy": atoms.get_potential_energy(), "config_type": "slab" if slab else "bulk"}
        frame.arrays["REF_forces"] = atoms.get_forces()
        if not slab:
            frame.info["REF_stress"] = atoms.get_stress()
        frames.append(frame)
    return frames


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ase.io.write("train.extxyz", make())
    yield tmp_path
    mercer.set_num_threads(0)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A folder with data and a finished fit with calibrated error bars, not to be changed."""
    files = {"train.extxyz": make(), "test.extxyz": make(4, seed=1), "validation.extxyz": make(4, seed=2)}
    arguments = ["train.extxyz", "--test", "test.extxyz", "--validation", "validation.extxyz", *SMALL]
    return fit_in(tmp_path_factory.mktemp("fitted"), files, *arguments)


def warnings_of(capsys, arguments, status=0):
    """The warnings that a command shows, one a line."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # as on the command line
        assert main(list(map(str, arguments))) == status
    out = capsys.readouterr()
    lines = (out.out + out.err).splitlines()
    return [line.removeprefix("warning: ") for line in lines if line.startswith("warning: ")]


def about(messages, *words):
    """The one warning that holds all these words."""
    found = [text for text in messages if all(word in text for word in words)]
    assert len(found) == 1, messages
    return found[0]


# ---------------------------------------------------------------------------------------------------- fit


def test_fit_takes_forces_and_virials_as_they_are_found(fitted):
    metrics = json.loads((fitted / "run" / "metrics.json").read_text())
    labels = metrics["fit"]["labels"]
    assert labels["energy"]["rows"] == 8
    assert labels["forces"]["rows"] == 3 * sum(map(len, make()))
    assert metrics["fit"]["residuals"]["virial"]["n"] == 6 * 6
    errors = metrics["errors"]["test"]
    assert {"energy", "energy_per_atom", "forces", "virial", "virial_per_atom", "stress"} <= set(errors)
    assert errors["forces"]["by_config_type"]["slab"]["n"] == 3 * 3
    assert errors["virial"]["all"]["n"] == 3 * 6
    assert (fitted / "run" / "parity_forces.png").read_bytes().startswith(b"\x89PNG")


def test_errors_are_those_of_the_model(fitted):
    frames = ase.io.read(fitted / "test.extxyz", ":")
    predicted = mercer.load(fitted / "run" / "model.mercer").predict(frames)
    errors = json.loads((fitted / "run" / "metrics.json").read_text())["errors"]["test"]
    forces = predicted["forces"] - np.concatenate([a.arrays["REF_forces"] for a in frames])
    assert abs(errors["forces"]["all"]["mae"] - np.abs(forces).mean()) <= 1e-9
    crystals = [k for k, a in enumerate(frames) if "REF_stress" in a.info]
    stress = predicted["stress"][crystals] - [frames[k].info["REF_stress"] for k in crystals]
    assert abs(errors["stress"]["all"]["mae"] - np.abs(stress).mean()) <= 1e-9
    virial = [-6 * frames[k].get_volume() / len(frames[k]) * np.abs(stress[i]).mean() for i, k in enumerate(crystals)]
    assert abs(errors["virial_per_atom"]["all"]["mae"] + np.mean(virial) / 6) <= 1e-9


def test_sigmas_from_the_data_with_reasons(fitted):
    text = (fitted / "run" / "config.yaml").read_text()
    written = yaml.safe_load(text)
    forces = np.concatenate([a.arrays["REF_forces"] for a in make()])
    assert 1e-3 <= written["sigma"]["forces"] <= np.sqrt(np.mean(forces**2))
    assert written["sigma"]["virial"] > 0
    assert "misses forces by" in text and text.count("Angstrom times sigma.forces") == 2


def test_error_bars_are_calibrated_on_validation_frames(fitted):
    metrics = json.loads((fitted / "run" / "metrics.json").read_text())
    model = mercer.load(fitted / "run" / "model.mercer")
    assert metrics["calibration"]["energy"] > 0
    assert model.calibration_ == pytest.approx(metrics["calibration"])
    frames = ase.io.read(fitted / "validation.extxyz", ":")
    result = model.predict(frames, std=["energy"])
    ratio = (result["energy"] - [a.info["REF_energy"] for a in frames]) / result["energy_std"]
    assert abs(np.sqrt(np.mean(ratio**2)) - 1) <= 1e-6
    assert "errors within one" in (fitted / "run" / "fit.log").read_text()
    assert metrics["errors"]["test"]["energy_per_atom"]["all"]["std"]["median"] > 0


def test_validation_part(here):
    assert main(["fit", "train.extxyz", "--validation-fraction", "0.25", "-o", "run", "--quiet", *SMALL]) == 0
    metrics = json.loads((here / "run" / "metrics.json").read_text())
    assert metrics["errors"]["train"]["energy"]["all"]["n"] == 6
    assert metrics["errors"]["validation"]["energy"]["all"]["n"] == 2
    assert set(metrics["calibration"]) >= {"energy"}


@pytest.mark.parametrize(
    "flags, trained",
    [
        (["--no-forces"], {"energy", "virial"}),
        (["--no-virial"], {"energy", "forces"}),
        (["--no-forces", "--no-virial"], {"energy"}),
        (["--set", "sigma.energy=none"], {"forces", "virial"}),
    ],
)
def test_kinds_of_labels_that_are_left_out(here, flags, trained):
    command = ["fit", "train.extxyz", "-o", "run", "--quiet", "--no-error-bars", "--set", "terms.0.selection=random"]
    assert main([*command, *flags, *SMALL]) == 0
    metrics = json.loads((here / "run" / "metrics.json").read_text())
    assert set(metrics["fit"]["residuals"]) == trained
    assert {"energy", "forces", "virial"} <= set(metrics["errors"]["train"])  # errors are shown all the same


def test_given_sigmas_terms_and_baseline(here):
    command = ["fit", "train.extxyz", "-o", "run", "--quiet", "--no-error-bars", "--two-body", "--baseline", "zbl"]
    command += ["--sigma-forces", "0.07", "--sigma-virial", "0.03", "--max-memory", "1GB"]
    command += ["--n-sparse", "15", "--r-cut", "3.5", "--threads", "1"]
    command += ["--set", "terms.1.descriptor.n_max=3", "--set", "terms.1.descriptor.l_max=2"]
    assert main(command) == 0
    written = yaml.safe_load((here / "run" / "config.yaml").read_text())
    assert written["sigma"]["forces"] == 0.07 and written["sigma"]["virial"] == 0.03
    assert [term["descriptor"]["type"] for term in written["terms"]] == ["pair_distance", "soap"]
    assert [term["n_sparse"] for term in written["terms"]] == [20, 15]
    assert written["terms"][1]["descriptor"]["r_cut"] == 3.5 != written["terms"][0]["descriptor"]["r_cut"]
    nearest = min(a.get_all_distances(mic=True)[np.triu_indices(len(a), 1)].min() for a in make())
    assert 0 < written["baseline"]["r_inner"] < written["baseline"]["r_outer"] < nearest
    assert written["max_memory"] == "1GB"
    model = mercer.load("run/model.mercer")
    assert len(model.terms_) == 2
    assert main(["fit", "--config", "run/config.yaml", "-o", "again", "--quiet"]) == 0
    np.testing.assert_array_equal(mercer.load("again/model.mercer").weights_, model.weights_)


# ------------------------------------------------------------------------------------------- with a model


def test_predict_writes_forces_stress_virial_and_standard_deviations(fitted, tmp_path):
    out, model = tmp_path / "out.extxyz", fitted / "run/model.mercer"
    assert main(["predict", str(model), str(fitted / "test.extxyz"), "-o", str(out), "-q"]) == 0
    frames = ase.io.read(out, ":")
    expected = mercer.load(model).predict(frames, std=True)
    forces = np.concatenate([a.arrays["mercer_forces"] for a in frames])
    np.testing.assert_allclose(forces, expected["forces"], atol=1e-7)
    stds = np.concatenate([a.arrays["mercer_energies_std"] for a in frames])
    np.testing.assert_allclose(stds, expected["energies_std"], atol=1e-7)
    for k, atoms in enumerate(frames):
        np.testing.assert_allclose(np.ravel(atoms.info["mercer_virial"]), expected["virial"][k].ravel(), atol=1e-6)
        assert ("mercer_stress" in atoms.info) == atoms.pbc.all()
        if atoms.pbc.all():
            np.testing.assert_allclose(atoms.info["mercer_stress"], expected["stress"][k], atol=1e-7)


def test_predict_energies_alone(fitted, tmp_path):
    out, model = tmp_path / "out.extxyz", fitted / "run/model.mercer"
    command = ["predict", str(model), str(fitted / "test.extxyz"), "-o", str(out), "-q", "--no-forces", "--no-std"]
    assert main(command) == 0
    frame = ase.io.read(out, 0)
    assert "mercer_energy" in frame.info and "mercer_energies" in frame.arrays
    assert "mercer_forces" not in frame.arrays and "mercer_stress" not in frame.info
    assert not [key for key in [*frame.info, *frame.arrays] if key.endswith("_std")]


def test_evaluate(fitted, tmp_path, capsys):
    arguments = ["evaluate", fitted / "run/model.mercer", fitted / "test.extxyz", "-o", tmp_path / "out"]
    assert main(list(map(str, arguments))) == 0
    out = capsys.readouterr().out
    assert "meV/Å" in out and "GPa" in out and max(map(len, out.split("errors within")[0].splitlines()[6:20])) <= 80
    read = json.loads((tmp_path / "out" / "metrics.json").read_text())["errors"]["test"]["forces"]["all"]
    expected = json.loads((fitted / "run" / "metrics.json").read_text())["errors"]["test"]["forces"]["all"]
    assert abs(read["mae"] - expected["mae"]) <= 1e-9
    assert (tmp_path / "out" / "parity_forces.png").exists()


def test_info_and_convert(fitted, tmp_path, capsys):
    model = fitted / "run/model.mercer"
    assert main(["info", str(model)]) == 0
    out = capsys.readouterr().out
    assert (
        "residuals of forces" in out
        and "eV/Angstrom" in out
        and "scaled to the errors in validation frames: energy" in out
    )
    copy = tmp_path / "copy.mercer"
    assert main(["convert", str(model), str(copy)]) == 0
    frames = make(2)
    first, second = (mercer.load(path).predict(frames, std=["energy"]) for path in (model, copy))
    assert {k: v.tolist() for k, v in first.items() if k != "stress"} == {
        k: v.tolist() for k, v in second.items() if k != "stress"
    }


# ---------------------------------------------------------------------------------------------- bad input


def write(edit):
    frames = make()
    for k, atoms in enumerate(frames):
        edit(k, atoms)
    ase.io.write("bad.extxyz", frames)


def test_forces_of_the_wrong_shape(here, capsys):
    write(lambda k, atoms: atoms.arrays.update(REF_forces=atoms.arrays["REF_forces"][:, :2]))
    assert main(["fit", "bad.extxyz", "-o", "run", *SMALL]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "bad.extxyz, frame 0" in err and "REF_forces" in err and "(4, 2)" in err and "(4, 3)" in err
    assert not (here / "run").exists()


def test_a_stress_whose_sign_contradicts_the_virial(here, capsys):
    def both(k, atoms):
        if k == 2:
            s = atoms.info["REF_stress"][[[0, 5, 4], [5, 1, 3], [4, 3, 2]]]
            atoms.info["REF_virial"] = atoms.get_volume() * s

    write(both)
    assert main(["fit", "bad.extxyz", "-o", "run", *SMALL]) == 1
    err = capsys.readouterr().err
    assert "bad.extxyz, frame 2" in err and "contradict each other in sign" in err and "-volume * stress" in err


@pytest.mark.parametrize("command", ["fit", "evaluate"])
def test_forces_that_are_all_zero(here, fitted, capsys, command):
    write(lambda k, atoms: atoms.arrays.update(REF_forces=np.zeros((len(atoms), 3))))
    arguments = {"fit": ["fit", "bad.extxyz", "--dry-run", *SMALL], "evaluate": ["evaluate", "", "bad.extxyz"]}[command]
    arguments = [fitted / "run/model.mercer" if a == "" else a for a in arguments]
    status = 1 if command == "fit" else 0  # it is certain, so a fit stops
    about(warnings_of(capsys, arguments, status), "all forces are zero", "8 frames", "--key forces=none")


def test_forces_that_do_not_sum_to_zero(here, capsys):
    def edit(k, atoms):
        if k == 1:
            atoms.arrays["REF_forces"][0] += 1.0

    write(edit)
    found = warnings_of(capsys, ["fit", "bad.extxyz", "--dry-run", *SMALL])
    about(found, "do not sum to zero", "1 of 8 frames", "bad.extxyz, frame 1", "force_mask")


def test_units_are_doubted(here, capsys):
    def edit(k, atoms):
        atoms.info["REF_energy"] *= 23.0605
        atoms.arrays["REF_forces"] *= 23.0605

    write(edit)
    found = warnings_of(capsys, ["fit", "bad.extxyz", "--dry-run", *SMALL])
    about(found, "--units energy=kcal/mol", "0.0433641")
    found = warnings_of(capsys, ["fit", "bad.extxyz", "--dry-run", "--units", "energy=kcal/mol", *SMALL])
    assert not [text for text in found if "units" in text]


def test_test_frames_that_are_training_frames(here, capsys):
    ase.io.write("test.extxyz", [*make(2, seed=5), make()[6]])
    found = warnings_of(capsys, ["fit", "train.extxyz", "--test", "test.extxyz", "--dry-run", *SMALL])
    about(found, "1 of 3 test frames", "test.extxyz, frame 2 is train.extxyz, frame 6")


def test_duplicate_frames(here, capsys):
    ase.io.write("twice.extxyz", make() + make(2))
    assert main(["fit", "twice.extxyz", "--dry-run", *SMALL]) == 0
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  note: ")]
    about(notes, "2 of 10 frames", "twice.extxyz, frame 8 is twice.extxyz, frame 0")


def test_good_data_give_no_warning(here, capsys):
    assert warnings_of(capsys, ["fit", "train.extxyz", "--dry-run", *SMALL]) == []


def test_a_composition_outside_the_span_of_the_training_data(here, capsys):
    rng = np.random.default_rng(0)
    frames = []
    for k in range(6):
        atoms = bulk("NaCl", "rocksalt", a=5.6)
        atoms.positions += rng.normal(0, 0.1, (2, 3))
        atoms.info["REF_energy"] = -7.0 + 0.1 * k
        frames.append(atoms)
    ase.io.write("salt.extxyz", frames)
    other = bulk("NaCl", "rocksalt", a=5.6) * (2, 1, 1)
    other.symbols[0] = "Cl"
    other.info["REF_energy"] = -13.0
    ase.io.write("other.extxyz", other)
    command = ["fit", "salt.extxyz", "--test", "other.extxyz", "-o", "run", "--quiet", "--no-error-bars", *SMALL]
    command[command.index("15")] = "6"
    about(warnings_of(capsys, command), "other.extxyz, frame 0", "composition", "e0")


@pytest.mark.parametrize(
    "arguments, parts",
    [
        (["--terms", "two-bdy"], ["--terms", "'two-bdy'", "did you mean 'two-body'"]),
        (["--baseline", "zlb"], ["--baseline", "'zlb'", "did you mean 'zbl'"]),
        (["--set", "baseline={type: zbl, r_outr: 2}"], ["r_outr", "did you mean 'r_outer'"]),
        (["--set", "baseline={type: zbl, r_inner: 3, r_outer: 2}"], ["r_inner", "r_outer"]),
        (["--sigma-forces", "-1"], ["--sigma-forces", "sigma.forces"]),
        (["--sigma-virial", "0"], ["--sigma-virial", "sigma.virial"]),
        (["--max-memory", "lots"], ["--max-memory", "lots", "2GB"]),
        (["--max-memory", "10MB"], ["max_memory", "too little", "n_sparse"]),
        (["--validation", "nothing.extxyz"], ["nothing.extxyz", "no such file"]),
        (["--set", "config_type_sigma={slab: {force: 1}}"], ["force", "did you mean 'forces'"]),
    ],
)
def test_wrong_options(here, capsys, arguments, parts):
    assert main(["fit", "train.extxyz", "-o", "run", *SMALL, *arguments]) == 1
    err = capsys.readouterr().err
    for part in parts:
        assert part in err, (part, err)
    assert err.count("\n") == 1 and not (here / "run").exists()


def test_dry_run_predicts_memory_and_time(here, capsys):
    assert main(["fit", "train.extxyz", "--dry-run", *SMALL]) == 0
    out = capsys.readouterr().out
    assert "8 energy, 90 forces, 36 virial" in out
    assert "peak memory beside the data: " in out and "time: about " in out
    assert not (here / "mercer-fit").exists()


def test_terms_by_name_in_a_file(here, capsys):
    (here / "fit.yaml").write_text("terms: two-body+doubel-soap\n")
    assert main(["fit", "train.extxyz", "--config", "fit.yaml"]) == 1
    err = capsys.readouterr().err
    assert "fit.yaml:1" in err and "did you mean 'two-body+double-soap'" in err
    (here / "fit.yaml").write_text("terms: two-body+double-soap\n")
    assert main(["fit", "train.extxyz", "--config", "fit.yaml", "--dry-run"]) == 0
    shown = capsys.readouterr().out.split("effective configuration\n", 1)[1].split("size of the fit")[0]
    long, short = (term["descriptor"]["r_cut"] for term in yaml.safe_load(shown)["terms"][1:])
    assert short < long


def test_published_gap(tmp_path, capsys):
    gap = Path(__file__).parents[1] / "reference" / "gap" / "p2_soap_separate.xml"
    assert main(["info", str(gap)]) == 0
    out = capsys.readouterr().out
    assert "C -8 eV, the others 0" in out and "SOAP" in out and "zeta=2.5" in out
    assert main(["convert", str(gap), str(tmp_path / "gap.mercer")]) == 0
    frame = molecule("CH4")
    first, second = (mercer.load(path).predict(frame)["forces"] for path in (gap, tmp_path / "gap.mercer"))
    np.testing.assert_array_equal(first, second)


def test_what_convert_cannot_read(here, capsys):
    (here / "bad.xml").write_text("<GAP_params></GAP_params>")
    assert main(["convert", "bad.xml", "model.mercer"]) == 1
    assert "bad.xml" in capsys.readouterr().err
    assert not (here / "model.mercer").exists()
