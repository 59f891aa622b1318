"""DScribe's interface: its numbers, its shapes, and derivatives of what mercer gives."""

import copy
from pathlib import Path

import numpy as np
import peer_cases
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from mercer.compat import dscribe
from mercer.compat.dscribe import (
    LMBTR,
    MBTR,
    SOAP,
    AverageKernel,
    CoulombMatrix,
    EwaldSumMatrix,
    REMatchKernel,
    SineMatrix,
    ValleOganov,
)
from mercer.errors import ConfigError, DataError

STRUCTURES, CASES, ARRAYS = peer_cases.read(Path(__file__).parents[1] / "reference" / "peers")
SMALL = {"r_cut": 3.0, "n_max": 3, "l_max": 2, "sigma": 0.5}
CRYSTAL = STRUCTURES["tric"]
WATER = molecule("H2O")


@pytest.mark.parametrize(("package", "case"), CASES, ids=[case["id"] for _, case in CASES])
def test_numbers_of_the_package(package, case):
    kwargs = copy.deepcopy(case)
    achieved, tolerance = peer_cases.check(package, case, STRUCTURES, ARRAYS)
    assert achieved <= tolerance
    assert case == kwargs, "arguments are changed"


# ------------------------------------------------------------------------------------------------------------- SOAP

SOAPS = {
    "gto": {},
    "polynomial": {"rbf": "polynomial"},
    "mu2": {"compression": {"mode": "mu2", "species_weighting": {"Ga": 0.5, "As": 1.7, "O": 2.2}}},
    "mu1nu1": {"compression": {"mode": "mu1nu1", "species_weighting": {"Ga": 0.5, "As": 1.7, "O": 2.2}}},
    "crossover": {"compression": {"mode": "crossover"}},
    "poly": {"weighting": {"function": "poly", "r0": 3.5, "c": 1.3, "m": 2.0}},
    "pow": {"weighting": {"function": "pow", "r0": 2.0, "c": 1.1, "d": 0.7, "m": 3.0}},
    "outer": {"average": "outer"},
    "inner": {"average": "inner"},
    "inner mu1nu1": {"average": "inner", "compression": {"mode": "mu1nu1"}},
}


@pytest.mark.parametrize("options", SOAPS.values(), ids=SOAPS)
@pytest.mark.parametrize("attach", [False, True])
@pytest.mark.parametrize("periodic", [False, True])
def test_analytical_derivatives_of_soap(options, attach, periodic):
    soap = SOAP(species=["Ga", "As", "O"], periodic=periodic, **SMALL, **options)
    centers = [0, [0.3, 0.4, 0.5], 3, CRYSTAL.positions[1] + CRYSTAL.cell.array[0] * periodic]
    derivatives, rows = soap.derivatives(CRYSTAL, centers=centers, attach=attach)
    numerical = soap.derivatives(CRYSTAL, centers=centers, attach=attach, method="numerical", return_descriptor=False)
    n_rows = 4 if soap.average == "off" else 1
    assert derivatives.shape == numerical.shape == (n_rows, 4, 3, soap.get_number_of_features())
    assert np.abs(derivatives - numerical).max() <= 1e-7 * np.abs(derivatives).max()
    assert (rows == soap.create(CRYSTAL, centers=centers)).all()
    assert rows.shape == ((4, derivatives.shape[-1]) if soap.average == "off" else (derivatives.shape[-1],))


@pytest.mark.parametrize("average", ["off", "inner", "outer"])
def test_numerical_derivatives_are_those_of_create(average):
    soap = SOAP(species=["H", "O"], average=average, **SMALL)
    change = np.random.default_rng(2).normal(size=(3, 3))
    derivatives = soap.derivatives(WATER, attach=True, method="numerical", return_descriptor=False)
    moved = [WATER.copy() for _ in range(2)]
    for atoms, sign in zip(moved, (1, -1), strict=True):
        atoms.positions += sign * 1e-4 * change
    expected = (soap.create(moved[0]) - soap.create(moved[1])) / 2e-4
    ours = np.einsum("iakf,ak->if", derivatives, change)
    assert np.abs(ours - expected.reshape(ours.shape)).max() <= 1e-6 * np.abs(expected).max()


def test_soap_of_lists_and_atoms_to_include():
    soap = SOAP(species=["H", "O", "C"], dtype="float32", **SMALL)
    ethanol, n = molecule("CH3CH2OH"), soap.get_number_of_features()
    assert soap.create(WATER).dtype == np.float32
    assert soap.create([WATER, WATER], centers=[[0], [2]]).shape == (2, 1, n)
    listed = soap.create([WATER, ethanol], n_jobs=2)
    assert [rows.shape for rows in listed] == [(3, n), (9, n)]
    assert (listed[1] == soap.create(ethanol)).all()
    assert [row.shape for row in soap.create([WATER, ethanol], centers=[[0, 1], [[0.0, 0.0, 3.0]]])] == [(2, n), (1, n)]
    everything = soap.derivatives(ethanol, attach=True, return_descriptor=False)
    chosen = soap.derivatives(ethanol, include=[4, 0], attach=True, return_descriptor=False)
    assert (chosen == everything[:, [4, 0]]).all()
    left = soap.derivatives(ethanol, exclude=[4, 0], attach=True, n_jobs=-1, return_descriptor=False)
    assert (left == everything[:, [1, 2, 3, 5, 6, 7, 8]]).all()
    both, rows = soap.derivatives([ethanol, ethanol], centers=[[1], [2]], include=[[0], [3]], attach=True)
    assert both.shape == (2, 1, 1, 3, n) and rows.shape == (2, 1, n)
    assert (both[1, 0, 0] == everything[2, 3]).all()
    averaged = SOAP(species=["H", "O", "C"], average="outer", **SMALL)
    assert averaged.create([WATER, ethanol]).shape == (2, n)
    assert averaged.derivatives([WATER, ethanol], include=[[0], [1]])[0].shape == (2, 1, 1, 3, n)


def test_locations_in_soap():
    soap = SOAP(species=["O", "H", "C", 1], **SMALL)
    assert soap.species == ["H", "C", "O"]
    both = SOAP(species=["C", "O"], **SMALL)
    carbon_monoxide = Atoms("CO", [[0, 0, 0], [0, 0, 1.1]])
    rows, reference = soap.create(carbon_monoxide), both.create(carbon_monoxide)
    for pair in (("C", "C"), ("C", "O"), ("O", "C"), (8, 8)):
        assert np.abs(rows[:, soap.get_location(pair)] - reference[:, both.get_location(pair)]).max() <= 1e-12
    assert (rows[:, soap.get_location(("H", "O"))] == 0).all()
    for mode, pair in (("mu1nu1", ("C", "C")), ("crossover", ("C", "C")), ("mu2", ("O", "C"))):
        soap = SOAP(species=["H", "C", "O"], compression={"mode": mode}, **SMALL)
        n, total = {"mu1nu1": 9, "crossover": 6, "mu2": 6}[mode] * 3, soap.get_number_of_features()
        assert soap.get_location(pair) == (slice(0, n) if mode == "mu2" else slice(n, 2 * n))
        assert total == (n if mode == "mu2" else 3 * n) == soap.create(WATER).shape[1]
        if mode != "mu2":
            with pytest.raises(ConfigError, match="only pairs of one element"):
                soap.get_location(("H", "C"))


def test_soap_does_not_depend_on_the_cell():
    """DScribe loses neighbours of atoms outside of the cell, and of images that are not neighbours of the cell."""
    soap = SOAP(species=["Ga", "As", "O"], periodic=True, **SMALL)
    moved = CRYSTAL.copy()
    moved.positions[1] += 2 * CRYSTAL.cell.array[0] - 3 * CRYSTAL.cell.array[2]
    assert np.abs(soap.create(moved) - soap.create(CRYSTAL)).max() <= 1e-10 * soap.create(CRYSTAL).max()
    still = SOAP(species=["Ga", "As", "O"], **SMALL)
    free = CRYSTAL.copy()
    free.pbc = False
    assert (still.create(CRYSTAL) == still.create(free)).all()


def test_points_on_images_of_atoms():
    soap = SOAP(species=["Ga", "As", "O"], periodic=True, **SMALL)
    expected = soap.create(CRYSTAL)
    for shift in ([0, 0, 0], [1, -2, 3], [-1, 0, 0], [0, 5, -7]):
        for tiny in (0.0, 3e-7, -3e-7):
            points = (CRYSTAL.positions + shift @ CRYSTAL.cell.array + tiny).tolist()
            assert (soap.create(CRYSTAL, centers=points) == expected).all()
    point = CRYSTAL.positions[0] + [2e-6, 0, 0]
    with pytest.raises(DataError, match="atoms 0 and 4"):
        soap.create(CRYSTAL, centers=[point.tolist()])


def test_many_functions_are_exact():
    """At n_max = 14 the root that DScribe takes in double precision has lost all digits; the density has not."""
    soap = SOAP(species=["Si"], r_cut=5.0, n_max=14, l_max=1, sigma=0.5, periodic=True)
    rows = soap.create(bulk("Si"))
    assert np.isfinite(rows).all() and np.abs(rows[0] - rows[1])[: 14 * 15 // 2].max() <= 1e-9 * np.abs(rows).max()


def build(**options):
    return SOAP(**({"species": ["H", "O"], **SMALL} | options))


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (lambda: build(species=None), ConfigError, "species=None: give the elements"),
        (lambda: build(species="HO"), ConfigError, "species='HO': expected a list"),
        (lambda: build(species=[]), ConfigError, "species is empty"),
        (lambda: build(species=["Hx"]), ConfigError, "unknown element 'Hx'"),
        (lambda: build(r_cut=None), ConfigError, "r_cut=None: the weighting does not give one"),
        (lambda: build(r_cut=1.0), ConfigError, "r_cut=1.0: rbf='gto' expects more than 1 Angstrom"),
        (lambda: build(n_max=0), ConfigError, "n_max=0"),
        (lambda: build(l_max=21), ConfigError, "l_max=21: expected at most 20"),
        (lambda: build(sigma=0), ConfigError, "sigma=0"),
        (lambda: build(rbf="gt"), ConfigError, "rbf='gt' is unknown"),
        (lambda: build(average="in"), ConfigError, "average='in' is unknown"),
        (lambda: build(dtype="float16"), ConfigError, "dtype='float16' is unknown"),
        (lambda: build(weighting={}), ConfigError, "expected a 'function'"),
        (lambda: build(weighting={"function": "pow", "r0": 1}), ConfigError, "c is missing; 'pow' needs r0, c, d, m"),
        (lambda: build(weighting={"w0": 1, "r": 1}), ConfigError, "a key of weighting='r' is unknown"),
        (lambda: build(weighting={"w0": -1}), ConfigError, r"weighting\['w0'\]=-1: expected a finite number >= 0"),
        (
            lambda: build(weighting={"function": "pow", "r0": 1, "c": 1, "d": 0, "m": 3}),
            ConfigError,
            "'pow' with d = 0 diverges at the centre; give w0",
        ),
        (lambda: build(compression={"mode": "mu3"}), ConfigError, "compression mode='mu3' is unknown"),
        (lambda: build(compression={"species_weighting": {"H": 1}}), ConfigError, "a weight for each of the species"),
        (lambda: build().create(molecule("CH4")), DataError, "system 0 holds C, but species are H, O"),
        (lambda: build().create(WATER, centers=[]), DataError, "centers is empty"),
        (lambda: build().create(WATER, centers=[3]), DataError, "centers: 3: expected the index of one of the 3 atoms"),
        (lambda: build().create(WATER, centers=[[0, 0]]), DataError, "three finite Cartesian coordinates"),
        (lambda: build().create(WATER, n_jobs=0), ConfigError, "n_jobs=0"),
        (lambda: build().create([WATER], centers=[0]), DataError, "one entry for each of the 1 systems"),
        (lambda: build().derivatives(WATER, include=[0], exclude=[1]), ConfigError, "give one of them"),
        (lambda: build().derivatives(WATER, include=[5]), DataError, r"include=\[5\]: expected different indices"),
        (lambda: build().derivatives(WATER, method="exact"), ConfigError, "method='exact' is unknown"),
        (
            lambda: build(average="inner").derivatives(WATER, method="analytical"),
            ConfigError,
            "use method='numerical'",
        ),
        (lambda: build().get_location(("H", "C")), ConfigError, "expected two of H, O"),
    ],
)
def test_refusals_of_soap(action, error, message):
    with pytest.raises(error, match=message):
        action()


def test_sparse_needs_its_package(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sparse", None)
    with pytest.raises(ConfigError, match="sparse=True needs the package sparse"):
        build(sparse=True)

    class COO:
        def __init__(self, array):
            self.array = array

        from_numpy = classmethod(lambda cls, array: cls(array))

    monkeypatch.setitem(__import__("sys").modules, "sparse", type("sparse", (), {"COO": COO}))
    result = build(sparse=True).create(WATER)
    assert isinstance(result, COO) and (result.array == build().create(WATER)).all()
    listed = build(sparse=True, species=["H", "C", "O"]).create([WATER, molecule("CH4")])
    assert [part.array.shape[0] for part in listed] == [3, 5]


# --------------------------------------------------------------------------------------------------------- matrices


@pytest.mark.parametrize("cls", [CoulombMatrix, SineMatrix, EwaldSumMatrix])
def test_matrices(cls):
    frames = [CRYSTAL, bulk("NaCl", "rocksalt", a=5.64)]
    for permutation, n in (("none", 25), ("sorted_l2", 25), ("eigenspectrum", 5)):
        matrix = cls(5, permutation=permutation)
        rows = matrix.create(frames, n_jobs=2)
        assert matrix.get_number_of_features() == n and rows.shape == (2, n)
        assert (rows[1] == matrix.create(frames[1])).all()
        if n == 25:
            full = matrix.unflatten(rows)
            assert full.shape == (2, 5, 5) and (full[1, 2:] == 0).all()
            assert np.abs(full - full.swapaxes(1, 2)).max() <= 1e-14 * np.abs(full).max()
        else:
            with pytest.raises(ConfigError, match="eigenvalues do not hold the matrix"):
                matrix.unflatten(rows)
        derivatives, again = matrix.derivatives(CRYSTAL)
        assert derivatives.shape == (4, 3, n) and (again == rows[0]).all()
        numerical = matrix.derivatives(CRYSTAL, include=[2, 0], method="numerical", return_descriptor=False)
        assert np.abs(numerical - derivatives[[2, 0]]).max() <= 1e-8 * np.abs(derivatives).max()
        assert [d.shape for d in matrix.derivatives(frames, return_descriptor=False)] == [(4, 3, n), (2, 3, n)]
    with pytest.raises(ConfigError, match="'sorted_l2' has no analytical derivatives"):
        cls(5).derivatives(CRYSTAL, method="analytical")


def test_random_matrices():
    plain = CoulombMatrix(9, permutation="none").create(molecule("CH3CH2OH")).reshape(9, 9)
    matrix = CoulombMatrix(10, permutation="random", sigma=20.0, seed=1)
    first, second = (matrix.unflatten(matrix.create(molecule("CH3CH2OH"))) for _ in range(2))
    assert (first != second).any() and (first[9] == 0).all()
    for shuffled in (first, second):
        order = [int(np.argmin(np.abs(np.sort(plain, axis=1) - np.sort(row)[1:]).sum(1))) for row in shuffled[:9]]
        assert np.abs(np.sort(shuffled[:9, :9].ravel()) - np.sort(plain.ravel())).max() == 0
        assert len(order) == 9 and (shuffled == shuffled.T).all()
    with pytest.raises(ConfigError, match="sigma=None"):
        CoulombMatrix(9, permutation="random")
    with pytest.raises(ConfigError, match="has no derivatives"):
        matrix.derivatives(WATER)


def test_the_cell_of_matrices():
    free = CRYSTAL.copy()
    free.pbc = False
    assert (CoulombMatrix(4).create(CRYSTAL) == CoulombMatrix(4).create(free)).all()
    assert (SineMatrix(4).create(CRYSTAL) == SineMatrix(4).create(free)).all()
    with pytest.raises(DataError, match="has 4 atoms"):
        SineMatrix(3).create(CRYSTAL)


# ------------------------------------------------------------------------------------------------------------- MBTR

GRIDS = {
    "atomic_number": {"min": 0, "max": 40, "sigma": 0.5, "n": 20},
    "distance": {"min": 0, "max": 14, "sigma": 0.6, "n": 20},
    "inverse_distance": {"min": 0, "max": 1.2, "sigma": 0.05, "n": 20},
    "angle": {"min": 0, "max": 180, "sigma": 10, "n": 20},
    "cosine": {"min": -1, "max": 1, "sigma": 0.1, "n": 20},
}
SMOOTH = {
    "distance": {"function": "exp", "scale": 1.0, "threshold": 1e-9},
    "angle": {"function": "smooth_cutoff", "r_cut": 4.5, "sharpness": 3},
    "cosine": {"function": "smooth_cutoff", "r_cut": 4.5},
}


def tensor(function, species=("Ga", "As", "O"), periodic=True, weighting=None, cls=MBTR, **options):
    return cls(
        geometry={"function": function},
        grid=GRIDS[function],
        weighting=weighting or SMOOTH.get(function),
        species=species,
        periodic=periodic,
        **options,
    )


@pytest.mark.parametrize("function", SMOOTH)
@pytest.mark.parametrize("normalization", ["none", "l2", "n_atoms", "valle_oganov"])
@pytest.mark.parametrize("normalize_gaussians", [True, False])
def test_derivatives_of_mbtr(function, normalization, normalize_gaussians):
    mbtr = tensor(function, normalization=normalization, normalize_gaussians=normalize_gaussians)
    derivatives, row = mbtr.derivatives(CRYSTAL)
    assert derivatives.shape == (4, 3, mbtr.get_number_of_features()) and (row == mbtr.create(CRYSTAL)).all()
    numerical = mbtr.derivatives(CRYSTAL, include=[3, 1], method="numerical", return_descriptor=False)
    assert np.abs(numerical - derivatives[[3, 1]]).max() <= 1e-6 * np.abs(derivatives).max()


def test_degrees():
    """Lines of unit area are densities per degree: their sums times the step count the angles."""
    plain = {"weighting": {"function": "unity"}, "species": ["H", "O"], "periodic": False}
    mbtr = MBTR(geometry={"function": "angle"}, grid={"min": -50, "max": 230, "sigma": 5, "n": 281}, **plain)
    row = mbtr.create(WATER)
    assert abs(row.sum() - 3) <= 1e-9
    x = np.linspace(-50, 230, 281)
    vertex = row[mbtr.get_location(("H", "O", "H"))]
    assert abs(vertex.sum() - 1) <= 1e-9 and abs(vertex @ x - WATER.get_angle(1, 0, 2)) <= 1e-9


def test_locations_in_mbtr():
    for function, tuples in (("atomic_number", [("O",)]), ("distance", [("H", "O"), ("O", "H")]),
                             ("cosine", [("H", "H", "O"), ("O", "H", "H")])):  # fmt: skip
        mbtr = tensor(function, ["C", "O", 1], False, {"function": "unity"} if function != "atomic_number" else None)
        row = mbtr.create(WATER)
        for elements in tuples:
            assert mbtr.get_location(elements) == mbtr.get_location(tuples[0])
            assert row[mbtr.get_location(elements)].max() > 0.1
        with pytest.raises(ConfigError, match="expected a tuple of"):
            mbtr.get_location(("H",) * (len(tuples[0]) % 3 + 1))
    assert row[mbtr.get_location(("H", "C", "O"))].max() == 0


def test_mbtr_does_not_depend_on_the_cell():
    """DScribe loses tuples of atoms outside of the cell, and takes the nearest images where nothing is periodic."""
    mbtr = tensor("cosine")
    moved = CRYSTAL.copy()
    moved.positions[1] += 2 * CRYSTAL.cell.array[0] - 3 * CRYSTAL.cell.array[2]
    assert np.abs(mbtr.create(moved) - mbtr.create(CRYSTAL)).max() <= 1e-12 * mbtr.create(CRYSTAL).max()
    double = CRYSTAL * (2, 1, 1)
    assert np.abs(mbtr.create([double])[0] - 2 * mbtr.create(CRYSTAL)).max() <= 1e-12 * mbtr.create(double).max()
    free = CRYSTAL.copy()
    free.pbc = False
    still = tensor("distance", periodic=False)
    assert (still.create(CRYSTAL) == still.create(free)).all()


def test_valle_oganov():
    for function, r_cut in (("distance", 5.0), ("angle", 4.0)):
        n, sigma = 30, 0.2 if function == "distance" else 8.0
        fingerprint = ValleOganov(species=["Ga", "As", "O"], function=function, n=n, sigma=sigma, r_cut=r_cut)
        weighting = {"function": "inverse_square" if function == "distance" else "smooth_cutoff", "r_cut": r_cut}
        grid = {"min": 0, "max": r_cut if function == "distance" else 180, "sigma": sigma, "n": n}
        same = MBTR({"function": function}, grid, weighting, True, "valle_oganov", ["Ga", "As", "O"], True)
        assert (fingerprint.create(CRYSTAL) == same.create(CRYSTAL)).all()
    # far from the origin the distribution of distances of a gas of atoms is 1
    gas = Atoms("Ar64", np.random.default_rng(1).uniform(0, 40, (64, 3)), cell=[40] * 3, pbc=True)
    row = ValleOganov(["Ar"], "distance", 20, 1.0, 40.0).create(gas)
    assert abs(row[8:17].mean() - 1) <= 0.05


def mbtr_of(**options):
    return MBTR(**({"geometry": {"function": "distance"}, "grid": GRIDS["distance"], "species": ["H"]} | options))


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (lambda: mbtr_of(geometry=None), ConfigError, "geometry=None: expected {'function': name}, one of atomic"),
        (lambda: mbtr_of(geometry={"function": "dist"}), ConfigError, "geometry function='dist' is unknown"),
        (lambda: mbtr_of(geometry={"function": "cosine", "k": 3}), ConfigError, "unknown key 'k'"),
        (lambda: mbtr_of(grid=None), ConfigError, "min is missing"),
        (lambda: mbtr_of(grid={**GRIDS["distance"], "m": 3}), ConfigError, "a key of grid='m' is unknown"),
        (lambda: mbtr_of(grid={**GRIDS["distance"], "max": 0}), ConfigError, "expected min < max"),
        (lambda: mbtr_of(grid={**GRIDS["distance"], "n": 1}), ConfigError, "n=1"),
        (lambda: mbtr_of(weighting={"function": "smooth_cutoff"}), ConfigError, "'smooth_cutoff' is unknown"),
        (lambda: mbtr_of(weighting={"function": "exp", "scale": 1}), ConfigError, "threshold is missing"),
        (lambda: mbtr_of(weighting={"function": "exp", "threshold": 0.1}), ConfigError, "needs one of scale and r_cut"),
        (
            lambda: mbtr_of(weighting={"function": "exp", "threshold": 2, "scale": 1}),
            ConfigError,
            "a threshold below 1",
        ),
        (
            lambda: mbtr_of(weighting={"function": "exp", "threshold": 0, "scale": 1}),
            ConfigError,
            r"weighting\['threshold'\]=0",
        ),
        (lambda: mbtr_of(weighting={"function": "unity", "r_cut": 1}), ConfigError, "a key of weighting 'unity'"),
        (lambda: mbtr_of(periodic=True), ConfigError, "weighting=None does not end"),
        (lambda: mbtr_of(normalization="valle_oganov"), ConfigError, "expected periodic=True"),
        (lambda: mbtr_of(normalization="l1"), ConfigError, "normalization='l1' is unknown"),
        (lambda: mbtr_of().create(WATER), DataError, "system 0 holds O, but species are H"),
        (lambda: ValleOganov(["H"], "cosine", 10, 0.1, 5.0), ConfigError, "function='cosine' is unknown"),
    ],
)
def test_refusals_of_mbtr(action, error, message):
    with pytest.raises(error, match=message):
        action()


# ------------------------------------------------------------------------------------------------------------ LMBTR


@pytest.mark.parametrize("function", SMOOTH)
@pytest.mark.parametrize("normalization", ["none", "l2"])
@pytest.mark.parametrize("periodic", [False, True])
def test_derivatives_of_lmbtr(function, normalization, periodic):
    lmbtr = tensor(function, normalization=normalization, cls=LMBTR, periodic=periodic)
    centers = [2, [0.3, 0.4, 0.5], 0]
    derivatives, rows = lmbtr.derivatives(CRYSTAL, centers=centers, attach=True)
    assert derivatives.shape == (3, 4, 3, lmbtr.get_number_of_features())
    assert (rows == lmbtr.create(CRYSTAL, centers=centers)).all() and np.abs(rows).max(axis=1).min() > 0
    numerical = lmbtr.derivatives(CRYSTAL, centers=centers, attach=True, method="numerical", return_descriptor=False)
    assert np.abs(numerical - derivatives).max() <= 1e-6 * np.abs(derivatives).max()
    staying = {"centers": centers, "exclude": [0, 2], "return_descriptor": False}
    assert (lmbtr.derivatives(CRYSTAL, **staying) == derivatives[:, [1, 3]]).all()
    numerical = lmbtr.derivatives(CRYSTAL, method="numerical", **staying)
    assert np.abs(numerical - derivatives[:, [1, 3]]).max() <= 1e-6 * np.abs(derivatives).max()


def test_lmbtr_of_an_atom_that_leaves_its_centre():
    lmbtr = tensor("cosine", ["H", "O"], False, cls=LMBTR)
    fixed, moving = (lmbtr.derivatives(WATER, attach=attach, return_descriptor=False) for attach in (False, True))
    for k in range(3):
        assert (fixed[k, k] == 0).all() and np.abs(moving[k, k]).max() > 0.1
        others = [i for i in range(3) if i != k]
        assert (fixed[k, others] == moving[k, others]).all()
    with pytest.raises(ConfigError, match="its own neighbour"):
        lmbtr.derivatives(WATER, method="numerical")
    with pytest.raises(ConfigError, match="Use attach=True, or exclude the atom"):
        tensor("cosine", cls=LMBTR).derivatives(CRYSTAL)


def test_lmbtr_of_atoms_and_points():
    """DScribe confuses rows where both are given."""
    lmbtr = tensor("distance", ["C", "H", "O"], False, {"function": "unity"}, LMBTR)
    point = [0.0, 0.5, 1.0]
    both = lmbtr.create(WATER, centers=[point, 1, WATER.positions[2]])
    assert (both[0] == lmbtr.create(WATER, centers=[point])[0]).all()
    assert (both[1:] == lmbtr.create(WATER, centers=[1, 2])).all()
    step = 14 / 19
    for row, n_hydrogen, n_oxygen in ((both[0], 2, 1), (both[1], 1, 1)):
        assert abs(row[lmbtr.get_location(("X", "H"))].sum() * step - n_hydrogen) <= 0.05
        assert abs(row[lmbtr.get_location(("O", "X"))].sum() * step - n_oxygen) <= 0.05
        assert (row[lmbtr.get_location(("X", "X"))] == 0).all() and (row[lmbtr.get_location(("X", "C"))] == 0).all()


def test_locations_in_lmbtr():
    lmbtr = tensor("cosine", ["C", "H", "O"], False, {"function": "unity"}, LMBTR)
    assert lmbtr.get_number_of_features() == 4 * 11 // 2 * 20
    row = lmbtr.create(WATER, centers=[0])[0]
    found = {
        elements
        for elements in [(a, b, c) for a in "XHCO" for b in "XHCO" for c in "XHCO" if "X" in (a, b, c)]
        if np.abs(row[lmbtr.get_location(elements)]).max() > 0
    }
    assert found == {("H", "X", "H"), ("X", "H", "H"), ("H", "H", "X")}
    with pytest.raises(ConfigError, match="expected a tuple of 3 of X, H, C, O"):
        lmbtr.get_location(("H", "H", "H"))


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: tensor("atomic_number", cls=LMBTR), "expected a function of two or three atoms"),
        (lambda: tensor("distance", weighting={"function": "unity"}, cls=LMBTR), "does not end"),
        (lambda: tensor("distance", normalization="n_atoms", cls=LMBTR), "normalization='n_atoms' is unknown"),
    ],
)
def test_refusals_of_lmbtr(action, message):
    with pytest.raises(ConfigError, match=message):
        action()


# ---------------------------------------------------------------------------------------------------------- kernels


def test_kernels_of_other_structures():
    rng = np.random.default_rng(3)
    x, y = ([rng.normal(size=(n, 4)) for n in sizes] for sizes in ((3, 1), (2, 5, 4)))
    x, y = ([a / np.linalg.norm(a, axis=1)[:, None] for a in rows] for rows in (x, y))
    local = [[(0.7 * a @ b.T + 0.2) ** 2 for b in y] for a in x]
    kernel = AverageKernel("poly", gamma=0.7, degree=2, coef0=0.2, normalize_kernel=False)
    assert np.abs(kernel.create(x, y) - [[k.mean() for k in row] for row in local]).max() <= 1e-14
    for metric, k in (
        ("rbf", lambda a, b: np.exp(-((a - b) ** 2).sum() / 4)),
        ("laplacian", lambda a, b: np.exp(-np.abs(a - b).sum() / 4)),
    ):
        expected = [[np.mean([[k(p, q) for q in b] for p in a]) for b in y] for a in x]
        assert np.abs(AverageKernel(metric, normalize_kernel=False).create(x, y) - expected).max() <= 1e-14
    match = REMatchKernel(alpha=0.3, threshold=1e-14, normalize_kernel=False)
    both = match.create(x, y)
    assert both.shape == (2, 3) and np.abs(both - match.create(y, x).T).max() <= 1e-6
    average = AverageKernel("linear", normalize_kernel=False).create(x, y)
    assert np.abs(REMatchKernel(alpha=1e4, normalize_kernel=False).create(x, y) - average).max() <= 1e-3
    normalized = REMatchKernel(alpha=0.3).create(x)
    assert (np.diag(normalized) == 1).all() and (normalized == normalized.T).all()


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (lambda: AverageKernel("cosine"), ConfigError, "metric='cosine' is unknown; choose one of linear, rbf"),
        (lambda: AverageKernel("linear", kernel_params={"a": 1}), ConfigError, "no metric takes them"),
        (lambda: AverageKernel("rbf", gamma=0), ConfigError, "gamma=0"),
        (lambda: REMatchKernel(alpha=0), ConfigError, "alpha=0"),
        (lambda: REMatchKernel(threshold=-1), ConfigError, "threshold=-1"),
        (lambda: REMatchKernel().create([np.ones(3)]), DataError, r"x has shapes \[\(3,\)\]; expected a list"),
        (lambda: REMatchKernel().create([np.ones((2, 3))], [np.ones((2, 4))]), DataError, "have 3 features"),
    ],
)
def test_refusals_of_kernels(action, error, message):
    with pytest.raises(error, match=message):
        action()


# ------------------------------------------------------------------------------------------------------------- docs

PAGE = (Path(__file__).parents[2] / "docs" / "from-dscribe.md").read_text(encoding="utf-8")
EXAMPLES = [part.split("```", 1)[0] for part in PAGE.split("```python\n")[1:]]


@pytest.mark.parametrize("code", EXAMPLES, ids=range(len(EXAMPLES)))
def test_examples_of_the_page(code, capsys):
    exec(compile(code, "docs/from-dscribe.md", "exec"), {})
    assert "nan" not in capsys.readouterr().out


def test_the_page_names_every_class():
    for name in dscribe.__all__:
        assert f"`{name}`" in PAGE or f"dscribe.descriptors.{name}`" in PAGE or f"dscribe.kernels.{name}`" in PAGE
