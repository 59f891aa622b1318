"""Published GAP potentials: descriptors, predictions and fits against what QUIP computed, and what is refused."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import ase.io
import mercer
import numpy as np
import pytest
from ase import Atoms
from mercer._core import core
from mercer.baselines import baselines_from_dicts
from mercer.descriptors import AverageSOAP
from mercer.errors import ModelFileError
from mercer.gap import Coordinate, logical, number, parse_options, read_gap
from mercer.glue import Glue, Table
from mercer.models.gap import _CONVERSIONS
from mercer.structures import as_frames, read_labels, to_batch

FOLDER = Path(__file__).parents[1] / "reference" / "gap"
CASES = json.loads((FOLDER / "cases.json").read_text())
VECTORS = np.load(FOLDER / "vectors.npz")
STRUCTURES = ase.io.read(FOLDER / "structures.xyz", ":")
TEST, TRAIN = ase.io.read(FOLDER / "test.xyz", ":"), ase.io.read(FOLDER / "train.xyz", ":")
POTENTIALS = ["p1_2b3b_soap_embedded", "p2_soap_separate", "p3_distance_Nb", "p4_glue_sum", "p5_legacy"]
P1 = (FOLDER / "p1_2b3b_soap_embedded.xml").read_text()


def load(name):
    return mercer.load(FOLDER / f"{name}.xml")


def converted(case, x, factors):
    """Descriptor and sparse points of a coordinate whose points are these vectors."""
    kind = case["descriptor"].split()[0]
    covariance = "dot_product" if kind == "soap" else "ard_se"
    D = x.shape[1]
    coordinate = Coordinate(
        kind=kind,
        options=parse_options(case["descriptor"]),
        covariance=covariance,
        delta=1.0,
        f0=0.0,
        zeta=2.0,
        theta=np.ones(D),
        permutations=np.arange(D)[None],
        sparse_x=x,
        sparse_cutoff=factors,
        alpha=np.ones(len(x)),
    )
    term, points, _ = _CONVERSIONS[kind](coordinate, 2_000_000_000)
    return term, points


UNREAD = ("average=T normalise=F", "diagonal_radial=T")


@pytest.mark.parametrize("case", CASES["soap_cases"], ids=lambda case: case["key"])
def test_soap_vectors(case):
    """Sparse points that are QUIP's vectors come out as the rows of the descriptor that they are given to."""
    x = VECTORS[case["key"]]
    if any(word in case["descriptor"] for word in UNREAD):
        with pytest.raises(ValueError, match=r"is not .* that mercer reads|is not what mercer reads"):
            converted(case, x, np.ones(len(x)))
        return
    term, points = converted(case, x, np.ones(len(x)))
    atoms = STRUCTURES[case["structure"]]
    centres = np.unique(points.species)
    chosen = slice(None) if 0 in centres else np.isin(atoms.numbers, centres)
    assert term.match_species == (0 not in centres)
    rows = term.descriptor.transform(atoms)[chosen][: len(x)]
    np.testing.assert_allclose(points.features[: len(x)], rows, rtol=0, atol=1e-10 * np.abs(rows).max())


@pytest.mark.parametrize("case", CASES["other_cases"], ids=lambda case: case["key"])
def test_cluster_vectors(case):
    x, factors = VECTORS[f"{case['key']}_x"], VECTORS[f"{case['key']}_cutoff"]
    term, points = converted(case, x, factors)
    counted = round(term.delta)  # how often QUIP lists a cluster
    rows = np.repeat(term.descriptor.transform(STRUCTURES[case["structure"]]), counted, axis=0)
    assert counted == (1 if "Nb" in case["descriptor"] else 2)

    def in_order(X):
        return X[np.lexsort(X.round(8).T)]

    np.testing.assert_allclose(in_order(rows), in_order(points.features), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", POTENTIALS)
def test_predictions(name, tmp_path):
    potential = load(name)
    assert potential.path_ == str((FOLDER / f"{name}.xml").resolve())
    predicted = potential.predict(TEST)
    reference = {
        key: [VECTORS[f"{name}_{k}_{key}"] for k in range(3)] for key in ("energy", "local", "forces", "virial")
    }
    n_atoms = np.array([len(atoms) for atoms in TEST])
    volumes = np.array([atoms.cell.volume for atoms in TEST])
    assert np.abs((predicted["energy"] - reference["energy"]) / n_atoms).max() <= 1e-10
    assert np.abs(predicted["energies"] - np.concatenate(reference["local"])).max() <= 1e-10
    assert np.abs(predicted["forces"] - np.concatenate(reference["forces"])).max() <= 1e-8
    assert np.abs((predicted["virial"] - reference["virial"]) / volumes[:, None, None]).max() <= 1e-9
    stress = -(np.array(reference["virial"]) / volumes[:, None, None])[:, [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    assert np.abs(predicted["stress"] - stress).max() <= 1e-9
    training = potential.predict(TRAIN)["energy"]
    assert np.abs(training - VECTORS[f"{name}_train_energy"]).max() <= 1e-9
    potential.save(tmp_path / "model")
    again = mercer.load(tmp_path / "model").predict(TEST)
    for key, values in predicted.items():
        np.testing.assert_array_equal(values, again[key])


@pytest.mark.parametrize("name", POTENTIALS)
def test_the_saved_model_in_cpp(name, tmp_path):
    potential = load(name)
    potential.save(tmp_path / "model")
    found = core.Potential.load(str(tmp_path / "model")).evaluate(to_batch(as_frames(TEST)), forces=True, virial=True)
    predicted = potential.predict(TEST)
    for key in ("energy", "energies", "forces", "virial"):
        np.testing.assert_allclose(np.reshape(found[key], predicted[key].shape), predicted[key], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", POTENTIALS[:3])
def test_fits(name):
    """With the sparse points and sigmas of the file: energies to what the jitter of gap_fit, 1e-8, leaves."""
    gap = load(name)
    potential = mercer.Potential(
        gap.terms,
        sigma={"energy": 0.005, "forces": 0.05, "virial": 0.05},
        config_type_sigma={"beta": {"energy": 0.01, "forces": 0.1, "virial": 0.2}},
        e0={"H": -3.0, "C": -8.0},
    )
    labels = read_labels(TRAIN, {"energy": "my_energy", "forces": "my_force", "virial": "my_virial"})
    potential.fit(TRAIN, labels, sparse_points=gap.sparse_points_)
    assert np.abs(potential.predict(TRAIN)["energy"] - VECTORS[f"{name}_train_energy"]).max() <= 1e-7
    assert np.abs(potential.weights_ / gap.weights_ - 1).max() <= 1e-4


def test_coordinates_of_one_kind_are_one_term():
    """Three pairs of elements and two centres: features are computed once."""
    pair, triplet, soap = load("p1_2b3b_soap_embedded").terms_
    assert pair.term.descriptor.kinds == ((6, 6), (1, 6), (1, 1))
    assert (len(pair), len(triplet), len(soap)) == (15, 6, 10)
    assert set(soap.points.species) == {1, 6}


def test_other_elements_are_ignored():
    """Neither e0 nor neighbours: atoms of elements that the potential does not know change nothing."""
    potential = load("p1_2b3b_soap_embedded")
    atoms = TEST[0]
    with_iron = atoms + Atoms("Fe", positions=[[0.3, 0.1, 0.2]])
    predicted, alone = potential.predict(with_iron), potential.predict(atoms)
    np.testing.assert_allclose(predicted["energies"], [*alone["energies"], 0.0], atol=1e-12)
    np.testing.assert_allclose(predicted["forces"][:-1], alone["forces"], atol=1e-12)


def changed(tmp_path, *replacements, text=P1, name="gap.xml"):
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / name
    path.write_text(text)
    return path


def test_scale_default_e0_and_empty_coordinates(tmp_path):
    twice = mercer.load(changed(tmp_path, ('init_args="IP GAP label', 'init_args="IP GAP E_scale=2.0 label')))
    once = load("p1_2b3b_soap_embedded").predict(TEST)
    doubled = twice.predict(TEST)
    for key in ("energy", "forces", "virial"):
        np.testing.assert_allclose(doubled[key], 2 * once[key], rtol=1e-12, atol=1e-12)
    default = mercer.load(
        changed(
            tmp_path,
            ('<GAP_data do_core="F">', '<GAP_data do_core="F" e0="-1.5">'),
            ('<e0 Z="1" value="-3.0000000000000000"/>', ""),
        )
    ).predict(TEST)
    hydrogen = np.array([np.sum(atoms.numbers == 1) for atoms in TEST])
    np.testing.assert_allclose(default["energy"] - once["energy"], 1.5 * hydrogen, atol=1e-10)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<descriptor> soap ", "<descriptor> soap_turbo ", "'soap_turbo' is not one that mercer reads"),
        ('covariance_type="2"', 'covariance_type="4"', "covariance_type 4"),
        ("atom_sigma=0.5", "atom_sigma=0.5 nu_R=1", "nu_r=1"),
        ("atom_sigma=0.5", "atom_sigma=0.5 coupling=F", "coupling=F"),
        ("atom_sigma=0.5", "atom_sigma=0.5 Z_mix=T", "z_mix=T"),
        ("atom_sigma=0.5", "atom_sigma=0.5 radial_basis=SPLINE", "radial_basis=SPLINE"),
        ("atom_sigma=0.5", "atom_sigma=0.5 average=T normalise=F", "average=T with normalise=F"),
        ("atom_sigma=0.5", "atom_sigma=0.5 diagonal_radial=T", "diagonal_radial=T"),
        ("atom_sigma=0.5", "atom_sigma=0.5 covariance_sigma0=0.3", "do not end with covariance_sigma0=0.3"),
        ("n_max=3", "n_max=4", "dimensions=64, but the descriptor has"),
        ("species_Z={6 1 }", "species_Z={6 0 }", "not a list of species"),
        ("distance_2b cutoff=4.0", "distance_2b only_intra=T cutoff=4.0", "only_intra=T"),
        ("distance_2b cutoff=4.0", "distance_2b", "cutoff is missing"),
        ('fitted="T"', 'fitted="F"', "holds no fit"),
        ('n_sparseX="6"', 'n_sparseX="7"', "n_sparseX=7, but 6"),
        ('n_coordinate="6"', 'n_coordinate="7"', "n_coordinate=7, but 6"),
        ("IP GAP label", "IP LJ label", "'IP LJ label=.* is not one that mercer reads"),
        ('init_args="IP GAP label=', 'init_args="IP GAP label=other', "asks for the label"),
        ('signal_variance=".50000000000000000"', "", "missing or misspelt.*signal_variance is missing"),
        ('signal_variance=".50000000000000000"', 'signal_variance="inf"', "signal_variance='inf': expected a finite"),
        ('<e0 Z="1" value="-3.0000000000000000"/>', '<e0 Z="1" value="nan"/>', "value of e0='nan': expected a finite"),
        ('init_args="IP GAP label', 'init_args="IP GAP E_scale=inf label', "E_scale='inf': expected a finite"),
        ('gap_version="', 'gap_version="inf" was="', "gap_version='inf': expected a finite"),
        ('dimensions="64"', 'dimensions="inf"', "dimensions='inf': expected a finite"),
        ('dimensions="64"', 'dimensions="1e12"', "dimensions='1e12': expected an integer"),
        ('dimensions="64"', 'dimensions="1e9"', "has 64 of 1000000000 values"),
        ('dimensions="64"', 'dimensions="64.5"', "dimensions='64.5': expected an integer"),
        ('alpha="', 'alpha="nan" was="', "alpha='nan': expected a finite"),
        ('sparseCutoff="', 'sparseCutoff="1_000" was="', "sparseCutoff='1_000': expected a finite"),
        ("<theta>", "<theta>-", "theta"),
        ("atom_sigma=0.5", "", "atom_sigma is missing"),
        ("atom_sigma=0.5", "atom_sigma=inf", "atom_sigma='inf': expected a finite"),
        ("n_max=3", "n_max=1000000000", "n_max=1000000000: expected an integer"),
        ("n_max=3", "n_max=1e400", "n_max='1e400': expected a finite"),
        ("n_max=3", "", "n_max is missing"),
        ("species_Z={6 1 }", "species_Z={6 119 }", "species_z=119: expected an atomic number"),
        ("distance_2b cutoff=4.0", "distance_2b cutoff=4.0&amp;", "cutoff='4.0&': expected a finite"),
        (
            "distance_2b cutoff=4.0",
            "distance_2b cutoff=4.0 n_exponents=1e9",
            "n_exponents=1000000000, but dimensions=1",
        ),
        ("</GAP_params>", "", "not well-formed XML"),
        ("GAP_params", "XML_params", "without <GAP_params>"),
        ('<sparseX_slice start="1" end="50">', '<sparseX_slice start="1" end="50"> 1.0', "65 of 64 values"),
    ],
)
def test_refusals(tmp_path, old, new, message):
    with pytest.raises(ModelFileError, match=message) as error:
        mercer.load(changed(tmp_path, (old, new)))
    assert "gap.xml" in str(error.value)


@pytest.mark.parametrize("name", ["../secret", "absolute", "below/../../secret"])
def test_sparse_files_elsewhere_are_not_opened(name, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("1.0 hunter2")
    (tmp_path / "model").mkdir()
    text = (FOLDER / "p2_soap_separate.xml").read_text()
    name = str(secret) if name == "absolute" else name
    path = tmp_path / "model" / "gap.xml"
    path.write_text(re.sub('sparseX_filename="[^"]*"', f'sparseX_filename="{name}"', text))
    with pytest.raises(ModelFileError, match=r"said to be in another folder.*one folder"):
        mercer.load(path)


@pytest.mark.parametrize("content", [b"1.0 hunter2", b"hunter2 \xff", b"nan hunter2", b"inf 1.0"])
def test_no_content_of_a_sparse_file_is_shown(content, tmp_path):
    text = (FOLDER / "p2_soap_separate.xml").read_text()
    (tmp_path / "gap.xml").write_text(re.sub('sparseX_filename="[^"]*"', 'sparseX_filename="beside"', text))
    (tmp_path / "beside").write_bytes(content)
    with pytest.warns(UserWarning, match="MD5"), pytest.raises(ModelFileError, match="cannot be read: ") as error:
        mercer.load(tmp_path / "gap.xml")
    assert "hunter2" not in str(error.value)


def test_permutations_that_are_none(tmp_path):
    for file in FOLDER.glob("p3*"):
        shutil.copyfile(file, tmp_path / file.name)
    path = tmp_path / "p3_distance_Nb.xml"
    text = path.read_text()
    assert "<permutation" in text
    path.write_text(re.sub(r"(<permutation[^>]*>)[^<]*", r"\g<1>1 1 7", text))
    with pytest.raises(ModelFileError, match="permutation: expected the numbers 1 to 1"):
        mercer.load(path)


def test_a_file_without_sparse_points(tmp_path):
    path = changed(tmp_path)
    text = re.sub(r"<sparseX .*?</sparseX>", "", path.read_text(), flags=re.S)
    path.write_text(re.sub(r'n_sparseX="\d+"', 'n_sparseX="0"', text))
    with pytest.raises(ModelFileError, match="holds no sparse points"):
        mercer.load(path)


def test_averaged_soap_in_a_potential(tmp_path):
    """Energies are those of the mean environment, and forces their derivatives."""
    potential = mercer.load(changed(tmp_path, ("atom_sigma=0.5", "atom_sigma=0.5 average=T")))
    averaged = [number for number, term in enumerate(potential.terms) if isinstance(term.descriptor, AverageSOAP)]
    assert averaged and all(not potential.terms[number].match_species for number in averaged)
    atoms = TEST[0]
    forces, step = potential.predict([atoms], forces=True)["forces"], 1e-4
    moved = [atoms.copy() for _ in range(2)]
    moved[0].positions[1, 2] += step
    moved[1].positions[1, 2] -= step
    energies = potential.predict(moved)["energy"]
    assert abs(forces[1, 2] + (energies[0] - energies[1]) / (2 * step)) <= 1e-6 * max(1, np.abs(forces).max())


def test_sparse_files(tmp_path):
    for file in FOLDER.glob("p2*"):
        shutil.copyfile(file, tmp_path / file.name)
    path = tmp_path / "p2_soap_separate.xml"
    mercer.load(path)
    sparse = sorted(tmp_path.glob("*sparseX*"))[0]
    lines = sparse.read_text().splitlines()
    sparse.write_text("\n".join(lines) + "\n\n")
    with pytest.warns(UserWarning, match="MD5 sum differs"):
        mercer.load(path)
    sparse.write_text("\n".join(lines[:-1]))
    with pytest.warns(UserWarning, match="MD5"), pytest.raises(ModelFileError, match=r"319 numbers.*truncated"):
        mercer.load(path)
    sparse.unlink()
    with pytest.raises(ModelFileError, match=r"which is not beside p2_soap_separate\.xml"):
        mercer.load(path)


def test_words_of_the_format():
    assert parse_options("soap N_MAX=4 normalize=F n_max = 5 Z={1 6 } x={a={1 2} b=3}") == {
        "n_max": "5",
        "normalise": "F",
        "z": "1 6",
        "x": "a={1 2} b=3",
    }
    assert [number(text) for text in (".5", "-.97E+000", "1.5D-3")] == [0.5, -0.97, 0.0015]
    assert [logical(text) for text in ("T", "true", "F", ".true.")] == [True, True, False, True]


# --------------------------------------------------------------------------------------------------- glue


def glue():
    return load("p4_glue_sum").baselines_[0]


def test_tables():
    x = np.array([0.0, 0.7, 1.5, 3.0])
    table = Table(x, x**3, (0.0, 27.0))  # a cubic is its own spline
    inner = np.linspace(0, 3, 50)
    np.testing.assert_allclose(table(inner), [inner**3, 3 * inner**2], atol=1e-12)
    np.testing.assert_allclose(table(np.array([-1.0, 4.0])), [[0.0, 54.0], [0.0, 27.0]], atol=1e-12)
    natural = Table([0.0, 1.0, 2.0], [0.0, 1.0, 0.0])
    h = 1e-4
    bend = (natural(np.array([h]))[1] - natural(np.array([0.0]))[1]) / h
    assert abs(bend[0]) <= 1e-3
    cubic = Table([1.0, 2.0, 3.0], 0.7 * (3.0 - np.array([1.0, 2.0, 3.0])) ** 3, spline=False)
    np.testing.assert_allclose(cubic(np.array([2.5, 3.5])), [[0.7 * 0.5**3, 0.0], [-2.1 * 0.25, 0.0]], atol=1e-14)
    with pytest.raises(ValueError, match="rising knots"):
        Table([0.0, 0.0], [1.0, 2.0])


def test_glue_by_differences():
    potential, atoms, h = glue(), TEST[1], 1e-4
    energies, forces, virial = potential.evaluate([atoms])

    def energy(positions, cell):
        moved = Atoms(atoms.numbers, positions=positions, cell=cell, pbc=atoms.pbc)
        return potential.evaluate([moved], forces=False)[0].sum()

    for i, a in ((0, 0), (3, 1), (6, 2)):
        step = np.zeros_like(atoms.positions)
        step[i, a] = h
        slope = (energy(atoms.positions + step, atoms.cell) - energy(atoms.positions - step, atoms.cell)) / (2 * h)
        assert abs(slope + forces[i, a]) <= 1e-5
    for a, b in ((0, 0), (0, 1), (2, 1)):
        ends = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[a, b] += sign * h
            ends.append(energy(atoms.positions @ strain.T, atoms.cell.array @ strain.T))
        assert abs((ends[0] - ends[1]) / (2 * h) + virial[0, a, b]) <= 1e-5
    assert np.abs(forces).max() > 0.1
    assert abs(energies.sum() - energy(atoms.positions, atoms.cell)) <= 1e-12


def test_glue_is_a_value_and_ignores_other_elements():
    potential = glue()
    twin = baselines_from_dicts([json.loads(json.dumps(potential.to_dict()))])[0]
    assert twin == potential
    assert isinstance(twin, Glue)
    assert dataclasses.replace(potential, pair=()) != potential
    atoms = TEST[0] + Atoms("Fe", positions=[[0.3, 0.1, 0.2]])
    energies, forces, _ = potential.evaluate([atoms])
    alone, _, _ = potential.evaluate([TEST[0]])
    np.testing.assert_array_equal(energies, [*alone, 0.0])
    np.testing.assert_array_equal(forces[-1], np.zeros(3))


def test_a_parsed_file():
    gap = read_gap(FOLDER / "p4_glue_sum.xml")
    assert gap.e0 == {1: -3.0, 6: -8.0}
    assert [c.kind for c in gap.coordinates] == ["distance_2b"] * 3 + ["angle_3b"] + ["soap"] * 2
    assert gap.coordinates[4].zeta == 3.0
    assert gap.glue.pair[1, 6].slope_first is None
    assert gap.version == 1769700636
