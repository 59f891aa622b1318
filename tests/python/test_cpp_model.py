"""The C++ library reads model files and gives the numbers of Python: for every descriptor and every kernel."""

import json
import shutil
from pathlib import Path

import ase.io
import mercer
import numpy as np
import pytest
from descriptor_conformance import EXAMPLES, STRUCTURES, random_atoms
from mercer import kernels
from mercer._core import core
from mercer.descriptors import DESCRIPTORS
from mercer.io import read_model, write_model
from mercer.kernels import KERNELS
from mercer.structures import as_frames, to_batch

REFERENCE = Path(__file__).parents[1] / "reference" / "potential_v1.safetensors"
#: Of the last release that wrote format 1: all parameters, clusters, a baseline, calibrated error bars.
CLUSTERS = REFERENCE.with_name("clusters_v1.safetensors")
SPECIES = ["H", "O"]
OPTIONS = {
    "cutoff": [{"cutoff": "polynomial", "cutoff_width": 1.0}, {"cutoff": "cosine"}],
    "radial_basis": [
        {"radial_basis": "gap", "radial_options": {"basis_error_exponent": 9.0, "angular_power": 0.25}},
        {"radial_basis": "laplacian", "radial_options": {"radius": 4.5}},
        {"radial_basis": "dscribe_gto", "radial_options": {"radius": 2.5}},
    ],
    "weights": [
        {"radial_scaling": {"rate": 1.0, "scale": 1.5, "exponent": 4.0}, "central_weight": 0.5},
        {"radial_scaling": {"name": "polynomial", "scale": 3.5, "exponent": 2.0}},
    ],
    "centre": [{"central_in_all_species": True}],
    "channels": [{"channels": [[1.0, 0.2], [0.5, -1.0]]}, {"channels": [[1.0], [2.0]], "normalize": False}],
}


def frames(n, seed=0):
    """Structures of all kinds of periodicity with made-up energies."""
    made = []
    for k in range(n):
        atoms = random_atoms(seed + k, n=5, species=SPECIES, pbc=[k % 2 == 0, k % 3 == 0, True], length=4.0)
        atoms.info["REF_energy"] = float(np.sin(k) - 3.0 * len(atoms))
        made.append(atoms)
    return made


def reference():
    """Header and arrays of the first file of format 1, with the entries that came later."""
    header, arrays, _ = read_model(REFERENCE)
    header["parameters"] |= {"max_memory": None, "cross_validation": 10}
    for entry in header["terms"]:
        entry["descriptor"].update(central_in_all_species=False, ignore_unknown=False)
        entry["kernel"]["offset"] = 0.0
    return header, arrays


def fitted(terms):
    return mercer.Potential(terms, sigma={"energy": 0.01}, e0="average").fit(frames(8))


def term(descriptor, kernel=None, **options):
    return mercer.Term(descriptor, kernel or kernels.Gaussian(), n_sparse=10, selection="random", **options)


def in_cpp(path, atoms_list, **request):
    return core.Potential.load(str(path)).evaluate(to_batch(as_frames(atoms_list)), **request)


def check(potential, path, *, forces=True, std=True, std_tolerance=1e-12):
    """What C++ computes from the file is what Python predicts, and forces are the gradient of the energy."""
    potential.save(path)
    test = frames(3, seed=50)
    predicted = mercer.load(path).predict(test, std=std)
    request = {"energy_std": std, "energies_std": std, "forces": forces, "virial": forces}
    found = in_cpp(path, test, **request)
    common = set(found) & set(predicted)
    assert {"energy", "energies"} | ({"forces", "virial"} if forces else set()) <= common
    assert not std or {"energy_std", "energies_std"} <= common
    for key in common:
        assert found[key].shape == predicted[key].shape
        tolerance = std_tolerance if key.endswith("_std") else 1e-12
        assert np.abs(found[key] - predicted[key]).max() <= tolerance * max(1.0, np.abs(predicted[key]).max()), key
    if forces:
        check_gradients(lambda atoms: potential.predict(atoms)["energy"][0], test[0], found)


def check_gradients(energy, atoms, found):
    """Along one direction in positions and one in strain; central differences."""
    rng, h = np.random.default_rng(3), 1e-5
    step, strain = rng.normal(size=(len(atoms), 3)), rng.normal(size=(3, 3))

    def displaced(size):
        moved = atoms.copy()
        moved.positions += size * step
        return moved

    def strained(size):
        matrix = np.eye(3) + size * strain
        moved = atoms.copy()
        moved.set_cell(atoms.cell.array @ matrix.T)
        moved.positions = atoms.positions @ matrix.T
        return moved

    for move, gradient in ((displaced, found["forces"][: len(atoms)] * step), (strained, found["virial"][0] * strain)):
        error = (energy(move(+h)) - energy(move(-h))) / (2 * h) + gradient.sum()
        assert abs(error) <= 1e-6 * np.abs(gradient).sum()


def covariance(kernel, X, x_groups, Y, y_groups, has_factor):
    """F F' k(x, x') of rows in the same group."""
    if not has_factor:
        return kernel(X, Y, x_groups=x_groups, y_groups=y_groups)
    return X[:, -1:] * Y[:, -1] * kernel(X[:, :-1], Y[:, :-1], x_groups=x_groups, y_groups=y_groups)


def made_up_file(path, descriptor, kernel, rng):
    """A potential of one term with sparse points of a structure, random weights and a random covariance; returned are
    functions by NumPy: its energies of atoms, and standard deviations of frames and atoms."""
    source = frames(1, seed=20)
    rows = rng.permutation(len(descriptor.transform(source)))[:10]
    features, groups = descriptor.transform(source)[rows], descriptor.rows(source).groups[rows]
    weights, e0, delta = rng.normal(size=len(rows)), np.array([-1.5, -4.0]), 0.7
    header, _ = reference()
    header["species"], header["e0"]["energies"] = [1, 8], e0.tolist()
    header["terms"] = [
        {
            "descriptor": descriptor.to_dict(),
            "kernel": kernel.to_dict(),
            "delta": delta,
            "n_sparse": 10,
            "selection": "random",
            "match_species": True,
            "n_points": len(rows),
            "n_features": features.shape[1],
        }
    ]
    arrays = {"features": features, "species": groups, "origin": np.zeros((len(rows), 2), int), "weights": weights}
    arrays = {f"terms.0.{name}": array for name, array in arrays.items()}
    K_MM = delta**2 * covariance(kernel, features, groups, features, groups, descriptor.has_factor)
    L = np.linalg.cholesky(K_MM + 1e-6 * np.trace(K_MM) * np.eye(len(rows)))
    L_A = np.tril(rng.normal(size=L.shape)) + 5 * np.eye(len(rows))
    factors = np.zeros((len(rows) + 1, len(rows)))
    factors[1:] = L
    factors[:-1] += L_A.T
    write_model(path, header, {**arrays, "covariance.points": np.arange(len(rows)), "covariance.factors": factors})

    def covariances(atoms_list):
        X, own = descriptor.transform(atoms_list), descriptor.rows(atoms_list).groups
        with_points = delta**2 * covariance(kernel, X, own, features, groups, descriptor.has_factor)
        return with_points, delta**2 * covariance(kernel, X, own, X, own, descriptor.has_factor)

    def energies(atoms_list):
        numbers = np.concatenate([atoms.numbers for atoms in atoms_list])
        return np.where(numbers == 1, *e0) + descriptor.share(atoms_list, covariances(atoms_list)[0] @ weights)

    def deviations(atoms):
        """Of the energy, and of the energies of atoms where rows are atoms."""
        K_XM, K_XX = covariances([atoms])
        found = []
        for k, prior in ((K_XM.sum(axis=0), K_XX.sum()), *zip(K_XM, K_XX.diagonal(), strict=True)):
            explained = np.linalg.solve(L, k)
            left = np.linalg.solve(L_A, explained)
            found.append(np.sqrt(max(prior - explained @ explained, 0.0) + left @ left))
        return np.array(found)

    return energies, deviations


def test_every_descriptor_is_among_the_examples():
    assert {name.split()[0] for name in [*EXAMPLES, *STRUCTURES]} == set(DESCRIPTORS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_descriptor(name, tmp_path):
    descriptor = EXAMPLES[name](SPECIES, 3.0, cutoff_width=0.7)
    energies, deviations = made_up_file(tmp_path / "model", descriptor, kernels.Gaussian(0.8), np.random.default_rng(0))
    test = frames(3, seed=50)
    found, expected = in_cpp(tmp_path / "model", test), energies(test)
    assert np.ptp(expected) > 0.01
    assert np.abs(found["energies"] - expected).max() <= 1e-12
    assert np.abs(found["energy"] - expected.reshape(3, -1).sum(axis=1)).max() <= 1e-12
    check_gradients(lambda atoms: energies([atoms]).sum(), test[0], found)
    for atoms in test:
        found, expected = in_cpp(tmp_path / "model", atoms, energy_std=True, energies_std=True), deviations(atoms)
        assert abs(found["energy_std"][0] - expected[0]) <= 1e-9 * expected[0]
        assert found["energies_std"].shape == (len(atoms),)
        if descriptor.per_atom:
            assert np.abs(found["energies_std"] - expected[1:]).max() <= 1e-9 * expected.max()
        else:
            assert np.all(found["energies_std"] >= 0)


@pytest.mark.parametrize("name", KERNELS)
def test_every_kernel(name, tmp_path):
    kernel = KERNELS[name]()
    potential = fitted(term(EXAMPLES["SOAP"](SPECIES, 3.0), kernel, match_species=False))
    check(potential, tmp_path / "model", forces=kernel.differentiable)
    if not kernel.differentiable:
        with pytest.raises(ValueError, match="kernel"):
            in_cpp(tmp_path / "model", frames(1))


@pytest.mark.parametrize(
    "parameters",
    [{"name": "matern", "nu": 2.5, "length_scale": 0.7}, {"name": "polynomial", "zeta": 2.5, "offset": 0.1}],
)
def test_parameters_of_kernels(parameters, tmp_path):
    kernel = kernels.get_kernel(parameters)
    check(fitted(term(EXAMPLES["SOAP"](SPECIES, 3.0), kernel)), tmp_path / "model")


@pytest.mark.parametrize("options", [options for group in OPTIONS.values() for options in group], ids=str)
@pytest.mark.parametrize("name", ["SOAP", "RadialSpectrum"])
def test_options_of_densities(name, options, tmp_path):
    check(fitted(term(EXAMPLES[name](SPECIES, 3.0, **options))), tmp_path / "model", std=False)


def test_sum_of_terms_of_different_cutoffs_and_prepared_pairs(tmp_path):
    path = tmp_path / "model"
    terms = [
        term(EXAMPLES["SOAP"](SPECIES, 2.5), delta=0.5),
        term(EXAMPLES["RadialSpectrum"](SPECIES, 4.0), delta=2.0, match_species=False),
    ]
    check(fitted(terms), path)
    potential, batch = core.Potential.load(str(path)), to_batch(as_frames(frames(3, seed=50)))
    assert potential.cutoff == 4.0
    assert (potential.n_terms, potential.n_points, potential.species) == (2, 20, [1, 8])
    expected = potential.evaluate(batch)
    found = potential.evaluate(batch, core.build_pair_list(batch, 4.7))
    for key in expected:
        assert np.abs(found[key] - expected[key]).max() <= 1e-13 * np.abs(expected[key]).max()
    with pytest.raises(ValueError, match="expected 15 atoms and at least 4"):
        potential.evaluate(batch, core.build_pair_list(batch, 3.9))


def test_sum_with_clusters_baseline_and_calibration(tmp_path):
    terms = [
        term(EXAMPLES["PairDistance"](SPECIES, 3.5), delta=2.0),
        term(EXAMPLES["Triplet"](SPECIES, 2.5), delta=0.5),
        term(EXAMPLES["SOAP"](SPECIES, 3.0), kernels.Polynomial(zeta=2)),
    ]
    potential = mercer.Potential(terms, sigma={"energy": 0.01}, e0="average", baseline=mercer.baselines.ZBL(0.8, 1.6))
    potential.fit(frames(8)).calibrate(frames(4, seed=70))
    # The prior variance of atoms takes the inverse of a matrix of condition 1e10.
    check(potential, tmp_path / "model", std_tolerance=1e-6)


def zbl(atoms, r_inner, r_outer):
    """Universal screened repulsion of Ziegler, Biersack and Littmark, half of each pair to each of its atoms."""
    i, j, r = mercer.neighbor_list("ijd", atoms, r_outer)
    z = atoms.numbers.astype(float)
    scaled = r * (z[i] ** 0.23 + z[j] ** 0.23) / 0.4685
    screen = sum(
        c * np.exp(-d * scaled)
        for c, d in ((0.18175, 3.1998), (0.50986, 0.94229), (0.28022, 0.4029), (0.02817, 0.20162))
    )
    x = np.clip((r - r_inner) / (r_outer - r_inner), 0, 1)
    switch = 1 - 10 * x**3 + 15 * x**4 - 6 * x**5
    return np.bincount(i, 0.5 * 14.399645 * z[i] * z[j] / r * screen * switch, len(atoms))


def test_baseline_and_calibration(tmp_path):
    test = ase.io.read(REFERENCE.with_suffix(".extxyz"), ":")
    request = {"energy_std": True, "energies_std": True}
    without = in_cpp(REFERENCE, test, **request)
    header, arrays = reference()
    header["baseline"] = [{"type": "zbl", "r_inner": 1.0, "r_outer": 5.0}]
    header["calibration"] = {"energy": 2.0, "energies": 0.5}
    write_model(tmp_path / "model", header, arrays)
    assert core.Potential.load(str(tmp_path / "model")).cutoff == 5.0
    found = in_cpp(tmp_path / "model", test, **request)
    added = np.concatenate([zbl(atoms, 1.0, 5.0) for atoms in test])
    assert np.ptp(added) > 0.1
    assert np.abs(found["energies"] - without["energies"] - added).max() <= 1e-12 * np.abs(added).max()
    assert np.abs(found["energy_std"] - 2.0 * without["energy_std"]).max() <= 1e-14
    assert np.abs(found["energies_std"] - 0.5 * without["energies_std"]).max() <= 1e-14
    check_gradients(lambda atoms: in_cpp(tmp_path / "model", atoms)["energy"][0], test[0], found)


def test_zbl_of_pairs_of_elements(tmp_path):
    """Pairs with their own distances, in Python and C++ alike."""
    test = ase.io.read(REFERENCE.with_suffix(".extxyz"), ":")
    elements = sorted({symbol for atoms in test for symbol in atoms.symbols})
    pairs = {f"{elements[0]}-{elements[0]}": (1.0, 3.0), f"{elements[-1]}-{elements[0]}": (1.5, 5.0)}
    potential = mercer.load(REFERENCE)
    without = potential.predict(test)
    potential.baselines_ = (mercer.baselines.ZBL(0.5, 4.0, pairs=pairs),)
    potential.save(tmp_path / "model")
    expected, found = mercer.load(tmp_path / "model").predict(test), in_cpp(tmp_path / "model", test)
    assert np.abs(expected["energies"] - without["energies"]).max() > 0.1
    for key in ("energy", "energies", "forces", "virial"):
        assert np.abs(np.reshape(found[key], np.shape(expected[key])) - expected[key]).max() <= 1e-10, key
    assert core.Potential.load(str(tmp_path / "model")).cutoff == 5.0
    check_gradients(lambda atoms: in_cpp(tmp_path / "model", atoms)["energy"][0], test[0], found)
    header, arrays, _ = read_model(tmp_path / "model")
    for rows, message in (
        ([[6, 1, 2.0, 1.0]], "0 < r_inner < r_outer"),
        ([[6, 1.5, 1.0, 2.0]], "expected atomic numbers"),
        ([[6, 200, 1.0, 2.0]], "expected atomic numbers"),
        ([[6, 1, 1.0]], "expected rows of Z1, Z2"),
    ):
        header["baseline"] = [{"type": "zbl", "r_inner": 1.0, "r_outer": 2.0, "pairs": rows}]
        write_model(tmp_path / "wrong", header, arrays)
        with pytest.raises(RuntimeError, match=message):
            core.Potential.load(str(tmp_path / "wrong"))
        with pytest.raises(mercer.errors.ModelFileError):
            mercer.load(tmp_path / "wrong")


def test_threads_do_not_change_a_bit():
    batch = to_batch(as_frames(ase.io.read(REFERENCE.with_suffix(".extxyz"), ":")))
    potential, found = core.Potential.load(str(REFERENCE)), []
    for n in (1, 2, 3):
        with mercer.threads(n):
            found.append(potential.evaluate(batch, energy_std=True, energies_std=True))
    for other in found[1:]:
        assert all(np.array_equal(other[key], found[0][key]) for key in other)


@pytest.mark.filterwarnings("ignore:standard deviations of")
@pytest.mark.parametrize("path", [REFERENCE, CLUSTERS], ids=lambda path: path.stem)
def test_files_of_format_1(path, tmp_path):
    expected, frames = json.loads(path.with_suffix(".json").read_text()), ase.io.read(path.with_suffix(".extxyz"), ":")
    potential, request = mercer.load(path), {"energy_std": True, "energies_std": True}
    in_python, found = potential.predict(frames, std=True), in_cpp(path, frames, **request)
    assert (
        expected.keys() <= in_python.keys() and {"energy", "energies", "energy_std"} <= found.keys() & expected.keys()
    )
    for key, values in expected.items():
        tolerance = 1e-6 if "std" in key and path == CLUSTERS else 1e-10
        assert np.abs(in_python[key] - values).max() <= tolerance, key
        assert key not in found or np.abs(found[key] - values).max() <= tolerance, key
    # the same bits from the file of format 2 that it becomes
    potential.save(tmp_path / "model")
    assert np.array_equal(mercer.load(tmp_path / "model").predict(frames)["energy"], in_python["energy"])
    again = in_cpp(tmp_path / "model", frames, **request)
    assert all(np.array_equal(again[key], found[key]) for key in found)


def test_no_frames_and_frames_without_atoms():
    found = in_cpp(REFERENCE, [], energy_std=True)
    assert [len(found[key]) for key in ("energy", "energies", "forces", "virial", "energy_std")] == [0] * 5
    found = in_cpp(REFERENCE, [ase.Atoms(), ase.Atoms("Si")])
    assert found["energy"][0] == 0
    assert np.isfinite(found["energy"][1])
    assert np.all(found["forces"] == 0)


def test_inputs_that_are_refused():
    atoms = ase.io.read(REFERENCE.with_suffix(".extxyz"), 0)
    stranger = atoms.copy()
    stranger.numbers[3] = 8
    with pytest.raises(ValueError, match=r"frame 1, atom 3: atomic number 8 is unknown to the potential.*6, 14"):
        in_cpp(REFERENCE, [atoms, stranger])
    doubled = atoms.copy()
    doubled.positions[1] = doubled.positions[0]
    with pytest.raises(ValueError, match="frame 0"):
        in_cpp(REFERENCE, [doubled])


def test_standard_deviations_need_the_covariance(tmp_path):
    potential = mercer.load(REFERENCE)
    potential.save(tmp_path / "model", variance=False)
    atoms = ase.io.read(REFERENCE.with_suffix(".extxyz"), 0)
    assert not core.Potential.load(str(tmp_path / "model")).has_variance
    assert not core.Potential.load(str(REFERENCE), variance=False).has_variance
    for request in ("energy_std", "energies_std"):
        with pytest.raises(ValueError, match="covariance"):
            in_cpp(tmp_path / "model", atoms, **{request: True})


def change(header, path, value):
    *parents, last = path
    for key in parents:
        header = header[key]
    header[last] = value


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["terms", 0, "descriptor", "type"], "FCHL", r"terms\[0\], descriptor: 'FCHL' is a descriptor .* SOAP"),
        (["terms", 0, "descriptor", "twist"], 1.0, r"terms\[0\], descriptor: twist is unknown"),
        (["terms", 1, "descriptor", "radial_basis"], "wavelet", "wavelet"),
        (["terms", 1, "descriptor", "r_cut"], "far", r"terms\[1\], descriptor: r_cut = \"far\", expected a number"),
        (
            ["terms", 1, "descriptor", "n_max"],
            5,
            r"terms\[1\], descriptor: makes 10 features, but the sparse points have 8",
        ),
        (["terms", 0, "kernel", "name"], "graph", "graph.*polynomial"),
        (["terms", 0, "kernel", "eta"], 2.0, "eta"),
        (["terms", 0, "delta"], -1.0, "delta = -1"),
        (["terms", 0, "n_points"], 13, r"terms.0.features has shape \(12, 63\), expected \(13, 63\)"),
        (["terms"], [], "terms is empty"),
        (["kind"], "sparse_gpr", "sparse_gpr"),
        (["units", "energy"], "kcal/mol", "kcal/mol.*expected one of eV"),
        (["baseline"], [{"type": "d4"}], r"baseline\[0\]: 'd4' is a baseline .* zbl"),
        (["baseline"], [{"type": "calculator", "label": "ase.EMT"}], "ase.EMT, which only Python can give"),
        (["baseline"], [{"type": "zbl", "r_inner": 2.0, "r_outer": 1.0}], "r_inner < r_outer"),
    ],
)
def test_contents_that_are_refused(path, value, message, tmp_path):
    header, arrays = reference()
    change(header, path, value)
    write_model(tmp_path / "model", header, arrays)
    with pytest.raises(RuntimeError, match=f"^{tmp_path}/model: .*{message}"):
        core.Potential.load(str(tmp_path / "model"))


def test_newer_format_names_the_version_that_it_needs(tmp_path, monkeypatch):
    header, arrays = reference()
    monkeypatch.setattr("mercer.io.FORMAT_VERSION", mercer.io.FORMAT_VERSION + 1)
    monkeypatch.setattr("mercer.io.__version__", "7.5.0")
    write_model(tmp_path / "model", header, arrays)
    with pytest.raises(RuntimeError, match=rf"7\.5\.0 in format {mercer.io.FORMAT_VERSION};.*mercer 7\.5\.0 or newer"):
        core.Potential.load(str(tmp_path / "model"))


def test_files_that_are_refused(tmp_path):
    from safetensors.numpy import save_file

    def load(path):
        with pytest.raises(RuntimeError, match=f"^{path}: ") as caught:
            core.Potential.load(str(path))
        return str(caught.value)

    assert "no such" in load(tmp_path / "missing")
    assert "no such" in load(tmp_path)
    for name, text in {"empty": "", "short": "abc", "xml": "<GAP_params>" * 20}.items():
        (tmp_path / name).write_text(text)
        assert "not a mercer model" in load(tmp_path / name)
    save_file({"a": np.zeros(3)}, tmp_path / "foreign")
    assert "another program" in load(tmp_path / "foreign")
    data = REFERENCE.read_bytes()
    for length in (100, 4000, len(data) - 1):
        (tmp_path / "cut").write_bytes(data[:length])
        assert "truncated" in load(tmp_path / "cut")
    (tmp_path / "longer").write_bytes(data + b"\0")
    assert "1 bytes follow" in load(tmp_path / "longer")
    shutil.copy(REFERENCE, tmp_path / "good")
    assert core.Potential.load(str(tmp_path / "good")).writer == "0.1.0"
