"""The command line with descriptors of whole structures."""

import json

import ase.io
import mercer
import numpy as np
import pytest
import yaml
from ase.build import bulk, molecule
from mercer import config
from mercer.cli import main
from mercer.config import load_options, term_preset
from mercer.errors import ConfigError
from test_cli import fails

#: {class: name in files} of all descriptors of structures.
OF_STRUCTURES = {cls: name for name, cls in config._registered()["descriptor"].items() if cls.per_frame}
OF_CRYSTALS = ("SineMatrix", "EwaldMatrix")


def frames(crystals, n, seed=0, forces=False):
    rng, made = np.random.default_rng(seed), []
    for k in range(n):
        atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True) if crystals else molecule(("CH3OH", "CH4", "H2O")[k % 3])
        if not crystals:
            atoms.calc = None
        atoms.positions += rng.normal(0, 0.08, atoms.positions.shape)
        atoms.info["REF_energy"] = float(
            -3.0 * len(atoms) + np.sum(np.cos(atoms.get_all_distances(mic=crystals))) * 0.1
        )
        if forces:
            atoms.arrays["REF_forces"] = 0.1 * rng.normal(size=atoms.positions.shape)
            atoms.arrays["REF_forces"] -= atoms.arrays["REF_forces"].mean(axis=0)
        made.append(atoms)
    return made


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ase.io.write("molecules.extxyz", frames(False, 21))
    ase.io.write("crystals.extxyz", frames(True, 10))
    ase.io.write("forces.extxyz", frames(False, 12, forces=True))
    yield tmp_path
    mercer.set_num_threads(0)


@pytest.mark.parametrize("cls", OF_STRUCTURES)
def test_defaults_make_a_model(here, cls):
    """Of molecules, or else of crystals, from nothing but the name; the same again from the effective configuration."""
    name = cls.__name__
    file = "crystals.extxyz" if name in OF_CRYSTALS else "molecules.extxyz"
    arguments = ["fit", file, "--test-fraction", "0.3", "-o", "run", "-q", "--threads", "1"]
    assert main([*arguments, "--representation", OF_STRUCTURES[cls]]) == 0
    potential = mercer.load("run/model.mercer")
    (term,) = potential.terms_
    assert isinstance(term.descriptor, cls)
    laplacian = "Matrix" in name or name == "BagOfBonds"
    assert type(term.term.kernel).__name__ == ("Laplacian" if laplacian else "Gaussian")
    assert term.term.n_sparse == "all"
    assert len(term) == potential.fit_report_["n_training_frames"]
    metrics = json.loads((here / "run" / "metrics.json").read_text())
    labels = [atoms.info["REF_energy"] / len(atoms) for atoms in ase.io.read(file, ":")]
    rmse = {key: metrics["errors"][key]["energy_per_atom"]["all"]["rmse"] for key in ("train", "test")}
    assert rmse["train"] <= 0.05 * np.std(labels)
    assert rmse["test"] <= (1.5 if name in OF_CRYSTALS else 0.7) * np.std(labels)
    before = metrics["errors"]
    assert main(["fit", "--config", "run/config.yaml", "-o", "again", "-q"]) == 0
    assert json.loads((here / "again" / "metrics.json").read_text())["errors"] == before
    assert main(["predict", "run/model.mercer", file, "-o", "out.extxyz", "-q"]) == 0
    predicted = ase.io.read("out.extxyz", ":")
    differentiable = term.term.kernel.differentiable and term.descriptor.differentiable
    assert ("mercer_forces" in predicted[0].arrays) == differentiable
    assert {"mercer_energy", "mercer_energy_std"} <= set(predicted[0].info)
    assert main(["evaluate", "run/model.mercer", file, "-q"]) == 0
    assert main(["fit", file, "--representation", OF_STRUCTURES[cls], "--dry-run"]) == 0


def test_local_tensors(here):
    """LMBTR by its name learns forces too, with sparse points."""
    arguments = ["--representation", "lmbtr", "-o", "run", "-q", "--threads", "1", "--n-sparse", "20"]
    small = ["--set", "representation.k3=none", "--set", "terms.0.selection=random"]
    assert main(["fit", "forces.extxyz", *arguments, *small]) == 0
    potential = mercer.load("run/model.mercer")
    assert potential.r_cut >= 4.0
    assert potential.fit_report_["labels"]["forces"]["rows"] > 0
    assert type(potential.terms_[0].term.kernel).__name__ == "Gaussian"


@pytest.mark.parametrize("name", ["inverse_powers", "mbtr"])
def test_crystals(here, name):
    arguments = ["fit", "crystals.extxyz", "-o", "run", "-q", "--threads", "1", "--representation", name]
    assert main(arguments) == 0
    descriptor = mercer.load("run/model.mercer").terms_[0].descriptor
    assert np.isfinite(descriptor.r_cut)
    assert main(["predict", "run/model.mercer", "crystals.extxyz", "-o", "out.extxyz", "-q"]) == 0
    assert ase.io.read("out.extxyz").info["mercer_stress"].shape == (6,)


def test_forces_are_predicted_not_learnt(here, capsys):
    arguments = ["fit", "forces.extxyz", "-o", "run", "--threads", "1", "--representation", "inverse_powers"]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert "sigma.forces = none  (terms on whole structures learn energies" in text
    assert "found, but not trained on: forces" in text
    assert "forces" in json.loads((here / "run" / "metrics.json").read_text())["errors"]["train"]
    fails(capsys, [*arguments, "--sigma-forces", "0.1", "-q"], "InversePowers describes whole structures", "none")


def test_random_splits(here, capsys):
    arguments = [
        "fit",
        "molecules.extxyz",
        "-o",
        "run",
        "--threads",
        "1",
        "--representation",
        "bag_of_bonds",
        "--kernel",
    ]
    parts = ["--n-train", "12", "--validation-fraction", "0.25", "--repeats", "3"]
    assert main([*arguments, "linear", *parts, "--units", "energy=kcal/mol"]) == 0
    text = capsys.readouterr().out
    assert "test errors of 3 random splits: energy MAE" in text
    metrics = json.loads((here / "run" / "metrics.json").read_text())
    errors = []
    for seed in range(3):
        again = ["fit", "--config", "run/config.yaml", "--repeats", "1", "--seed", str(seed), "-o", f"run{seed}", "-q"]
        assert main(again) == 0
        found = json.loads((here / f"run{seed}" / "metrics.json").read_text())
        errors.append(found["errors"]["test"]["energy"]["all"]["mae"])
        assert found["splits"] == {}
    assert np.ptp(errors) > 0
    mean, std = metrics["splits"]["energy"]["mae"]
    assert abs(mean - np.mean(errors)) <= 1e-9
    assert abs(std - np.std(errors, ddof=1)) <= 1e-9
    fails(capsys, [*arguments, "linear", "--repeats", "2"], "repeats", "n_train or test_fraction")


def test_elements_of_random_splits(here, capsys):
    """An element that a later split has for testing only is told before anything is fitted."""
    rare = molecule("CH3Cl")
    rare.info["REF_energy"] = -1.0
    ase.io.write("rare.extxyz", [*frames(False, 12), rare])
    arguments = ["fit", "rare.extxyz", "--representation", "mbtr", "--n-train", "10", "--repeats", "20", "-o", "run"]
    fails(capsys, arguments, "frame 12", "element Cl is not in the training data")


def options(tmp_path, text, *assignments):
    path = tmp_path / "fit.yaml"
    path.write_text(text)
    return load_options(
        path, [("--set", tuple(int(p) if p.isdigit() else p for p in n.split(".")), v) for n, v in assignments]
    )


def test_short_form(tmp_path):
    (term,) = options(tmp_path, "representation: mbtr\nkernel: linear\n").terms
    assert (term.descriptor.type, term.kernel.type, term.n_sparse) == ("mbtr", "linear", None)
    text = "representation: {type: coulomb_matrix, unit: bohr}\nkernel: {length_scale: 7}\n"
    (term,) = options(tmp_path, text).terms
    assert (term.descriptor.unit, term.kernel.type, term.kernel.length_scale) == ("bohr", "laplacian", 7)
    (term,) = options(tmp_path, text, ("representation.unit", "angstrom"), ("kernel.length_scale", 3)).terms
    assert (term.descriptor.type, term.descriptor.unit, term.kernel.length_scale) == ("coulomb_matrix", "angstrom", 3)
    (term,) = options(tmp_path, text, ("representation", "inverse_powers")).terms
    assert (term.descriptor.type, term.kernel.length_scale) == ("inverse_powers", 7)
    (term,) = options(tmp_path, "terms: [{descriptor: soap}]\n", ("representation", "mbtr"), ("terms.0.delta", 2)).terms
    assert (term.descriptor.type, term.kernel.type, term.delta) == ("mbtr", "gaussian", 2)
    assert options(tmp_path, "representation: soap\n").terms == load_options().terms
    both = "terms: [{descriptor: bag_of_bonds}, {descriptor: soap, n_sparse: all}]\n"
    assert [(t.kernel.type, t.n_sparse) for t in options(tmp_path, both).terms] == [
        ("laplacian", None),
        ("polynomial", "all"),
    ]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("representation: mbtr\nterms: soap\n", ["fit.yaml:1", "representation is a short form of terms"]),
        ("seed: 1\nrepresentation: mtbr\n", ["fit.yaml:2", "unknown type 'mtbr'", "'mbtr'"]),
        ("representation:\n  type: bag_of_bonds\n  units: bohr\n", ["fit.yaml:3", "units", "'unit'"]),
        ("representation: mbtr\nkernel: {type: gauss}\n", ["fit.yaml:2", "unknown type 'gauss'"]),
        ("representation: [mbtr, soap]\n", ["fit.yaml:1", "expected a mapping with 'type'"]),
        ("representation: 3\n", ["fit.yaml:1", "expected a mapping with 'type'"]),
        ("terms: [soap]\n", ["fit.yaml:1", "terms.0"]),
        ("representation: {type: mbtr, r_cut: 4}\n", ["fit.yaml:1", "'terms.0.descriptor.r_cut' (known: ", "k2"]),
    ],
)
def test_mistakes(tmp_path, text, parts):
    with pytest.raises(ConfigError) as error:
        options(tmp_path, text)
    for part in parts:
        assert part in str(error.value)


def test_representation_or_terms():
    with pytest.raises(ConfigError, match="--representation and --terms: give one of them"):
        load_options(
            assignments=[
                ("--terms", ("terms",), term_preset("soap")),
                ("--representation", ("representation",), "mbtr"),
            ]
        )


def test_room_for_test_structures(here):
    """Padded descriptors fit the largest structure of all sets."""
    small = [atoms for atoms in frames(False, 12) if len(atoms) < 6]
    ase.io.write("small.extxyz", small)
    for name, options in (
        ("coulomb_matrix", {"n_atoms_max": 6}),
        ("bag_of_bonds", {"max_atoms": {"H": 4, "C": 1, "O": 1}}),
    ):
        arguments = ["fit", "small.extxyz", "--test", "molecules.extxyz", "--representation", name, "-o", name, "-q"]
        assert main([*arguments, "--threads", "1", "--e0", "average"]) == 0
        descriptor = yaml.safe_load((here / name / "config.yaml").read_text())["terms"][0]["descriptor"]
        assert {key: descriptor[key] for key in options} == options


@pytest.mark.parametrize("kind", ["triplet", "cluster_distances"])
def test_clusters_of_few_molecules(here, kind):
    """What is chosen for terms of clusters does not ask for more sparse points than few small molecules have."""
    assert main(["fit", "molecules.extxyz", "-o", "run", "-q", "--threads", "1", "--representation", kind]) == 0


def test_dynamics_without_derivatives(here, capsys):
    assert (
        main(["fit", "molecules.extxyz", "-o", "run", "-q", "--threads", "1", "--representation", "bag_of_bonds"]) == 0
    )
    capsys.readouterr()
    ase.io.write("start.extxyz", frames(False, 1))
    assert main(["md", "run/model.mercer", "start.extxyz", "-o", "md.extxyz"]) == 1
    told = capsys.readouterr()
    assert "no derivative everywhere" in told.err and "E_total" not in told.out
