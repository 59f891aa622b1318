"""The many-body tensor representation: values against plain loops, gradients for everything in its tables."""

import itertools

import mercer
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from descriptor_conformance import assert_close, difference, random_atoms
from mercer._core import core
from mercer.descriptors import LMBTR, MBTR, MBTRPart
from mercer.errors import ConfigError, DataError
from scipy.special import erf

ELEMENTS = ["H", "C", "O"]
R_CUT = 2.6

#: Every geometry function, as it is written in the paper, and a grid that holds its values.
GEOMETRIES = {
    "count": (lambda z, n, r: n, (0.0, 4.0, 9)),
    "atomic_number": (lambda z, n, r: z, (0.0, 9.0, 10)),
    "distance": (lambda u: np.linalg.norm(u), (-0.5, 4.0, 12)),
    "inverse_distance": (lambda u: 1 / np.linalg.norm(u), (0.0, 1.5, 11)),
    "inverse_square": (lambda u: 1 / (u @ u), (0.0, 2.0, 11)),
    "angle": (lambda u, v: np.arctan2(np.linalg.norm(np.cross(u, v)), u @ v), (0.0, np.pi, 11)),
    "cosine": (lambda u, v: cosine(u, v), (-1.0, 1.0, 11)),
    "dihedral": (lambda u, v, w: torsion(u, v, w), (-np.pi, np.pi, 13)),
    "cosine_dihedral": (lambda u, v, w: np.cos(torsion(u, v, w)), (-1.0, 1.0, 9)),
}
ORDERS = dict(core.mbtr_geometries())
VALUES = {"count": 0.3, "atomic_number": 0.4, "inverse_distance": 0.06}
#: Parameters that the functions of weights may ask for.
PARAMETERS = {"power": 2, "scale": 0.4, "r_cut": 2.4, "width": 0.9, "sharpness": 2.5}
FUNCTIONS = {
    "unity": lambda d: np.ones_like(d),
    "inverse": lambda d: d**-2.0,
    "exponential": lambda d: np.exp(-0.4 * d),
    "gaussian": lambda d: np.exp(-0.4 * d**2),
    "step": lambda d: np.where(d <= 2.4, 1.0, 0.0),
    "shifted_cosine": lambda d: 0.5 + 0.5 * np.cos(np.pi * np.clip((d - 1.5) / 0.9, 0, 1)),
    "polynomial": lambda d: np.polyval([20, -70, 84, -35, 0, 0, 0, 1], np.clip((d - 1.5) / 0.9, 0, 1)),
    "sharpness": lambda d: 1 + 2.5 * np.minimum(1, d / 2.4) ** 3.5 - 3.5 * np.minimum(1, d / 2.4) ** 2.5,
}
LINES = {
    "normal": (
        lambda t: np.exp(-0.5 * t**2) / np.sqrt(2 * np.pi),
        lambda t: 0.5 + 0.5 * erf(t / np.sqrt(2)),
    ),
    "uniform": (
        lambda t: np.where(np.abs(t) < np.sqrt(3), 0.5 / np.sqrt(3), 0.0),
        lambda t: np.clip(0.5 + 0.5 * t / np.sqrt(3), 0, 1),
    ),
    "laplace": (
        lambda t: np.exp(-np.sqrt(2) * np.abs(t)) / np.sqrt(2),
        lambda t: np.where(t < 0, 0.5 * np.exp(-np.sqrt(2) * np.abs(t)), 1 - 0.5 * np.exp(-np.sqrt(2) * np.abs(t))),
    ),
}
FORMS = list(itertools.product(LINES, ("integral", "average", "point"), (True, False), (True, False)))


def cosine(u, v):
    return u @ v / np.linalg.norm(u) / np.linalg.norm(v)


def torsion(one, three, four):
    """Signed angle of the planes about the axis from atom 2, at the origin, to atom 3 (IUPAC: cis is 0)."""
    axis = three / np.linalg.norm(three)
    a, b = one - axis * (one @ axis), (four - three) - axis * ((four - three) @ axis)
    return np.arctan2(np.cross(axis, a) @ b, a @ b)


def weight_of(function, edges="all", **parameters):
    known = dict(core.mbtr_weights())[function]
    return {"function": function, "edges": edges} | {name: PARAMETERS[name] for name in known} | parameters


def part_of(geometry, **options):
    grid = options.pop("grid", GEOMETRIES[geometry][1])
    step = (grid[1] - grid[0]) / (grid[2] - 1)
    return {"geometry": geometry, "grid": grid, "sigma": 0.7 * step} | options


def mbtr_of(geometry, species=ELEMENTS, kind=MBTR, **options):
    given = {name: options.pop(name) for name in ("correlation", "normalization", "max_tuples") if name in options}
    return kind(species, **{f"k{ORDERS[geometry]}": part_of(geometry, **options)}, **given)


def images(atoms, reach):
    """Numbers, positions and home index of all atoms within `reach` of some atom of the cell."""
    heights = atoms.cell.volume / np.linalg.norm(np.cross(atoms.cell[[1, 2, 0]], atoms.cell[[2, 0, 1]]), axis=1)
    spread = np.ptp(atoms.get_scaled_positions(wrap=False), axis=0)
    n = [int(np.ceil(reach / h + s)) if p else 0 for h, s, p in zip(heights, spread, atoms.pbc, strict=True)]
    shifts = np.array(list(itertools.product(*(range(-k, k + 1) for k in n))))
    positions = (atoms.positions[None] + (shifts @ atoms.cell.array)[:, None]).reshape(-1, 3)
    home = np.argmin(np.abs(shifts).sum(axis=1)) * len(atoms) + np.arange(len(atoms))
    return np.tile(atoms.numbers, len(shifts)), positions, home


def tuples(atoms, k, r_cut=R_CUT):
    """(elements, positions, share) of every tuple along its chain, its legs not longer than r_cut."""
    if k == 1:
        return [((z,), (r,), 1.0) for z, r in zip(atoms.numbers, atoms.positions, strict=True)]
    numbers, positions, home = images(atoms, 3 * r_cut)
    near = {}

    def neighbours(i):
        if i not in near:
            near[i] = np.flatnonzero(np.linalg.norm(positions - positions[i], axis=1) <= r_cut)
        return [j for j in near[i] if j != i]

    found = []
    for i in home:
        for j in neighbours(i):
            if k == 2:
                found.append(((i, j), 0.5))
            elif k == 3:
                found += [((j, i, m), 0.5) for m in neighbours(i) if m != j]
            else:
                found += [((m, i, j, n), 0.5) for m in neighbours(i) if m != j
                          for n in neighbours(j) if n not in (i, m)
                          and bent(*positions[[m, i, j]]) and bent(*positions[[i, j, n]])]  # fmt: skip
    return [(tuple(numbers[list(t)]), tuple(positions[list(t)]), share) for t, share in found]


def bent(a, b, c):
    """Chains with three atoms in a line have no dihedral."""
    return np.linalg.norm(np.cross(a - b, c - b)) > 1e-6 * np.linalg.norm(a - b) * np.linalg.norm(c - b)


def vectors(r):
    """From the origin of a tuple, as the core counts them."""
    if len(r) == 2:
        return (r[1] - r[0],)
    if len(r) == 3:
        return r[0] - r[1], r[2] - r[1]
    return r[0] - r[1], r[2] - r[1], r[3] - r[1]


def line_values(part, g):
    """Values of lines at g (n,) on the grid of a part: (n, n_grid)."""
    density, cumulative = LINES[part.broadening]
    x = part.x[None]
    step = x[0, 1] - x[0, 0]
    low = x - 0.5 * step if part.centered else x
    out = 0
    for image in range(-3, 4) if part.geometry == "dihedral" else (0,):
        center = g[:, None] + 2 * np.pi * image
        if part.values == "point":
            out = out + density((x - center) / part.sigma) / part.sigma
        else:
            whole = cumulative((low + step - center) / part.sigma) - cumulative((low - center) / part.sigma)
            out = out + whole / (step if part.values == "average" else 1)
    return out if part.normalized else out * part.sigma / density(0.0)


def edges_of(r, legs):
    k = len(r)
    pairs = [(t, t + 1) for t in range(k - 1)] if legs else itertools.combinations(range(k), 2)
    return np.array([np.linalg.norm(r[a] - r[b]) for a, b in pairs])


def plain(mbtr, atoms, found):
    """The tensor of the one part of `mbtr`, by the definition, from its tuples."""
    ((k, part),) = mbtr.parts.items()
    function, _ = GEOMETRIES[part.geometry]
    counts = {z: np.sum(atoms.numbers == z) for z in atoms.numbers}
    numbers = {label: c for c, (_, label) in enumerate(mbtr.channel_labels())}
    symbols = dict(zip(mbtr.species, ELEMENTS, strict=False))
    out = np.zeros((len(numbers), len(part.x)))
    g, w, channel = [], [], []
    for z, r, share in found:
        g.append(function(z[0], counts[z[0]], r) if k == 1 else function(*vectors(r)))
        weight = share
        for factor in map(dict, part.weight):
            d = np.array([counts[z[0]]]) if k == 1 else edges_of(r, factor["edges"] == "legs")
            weight = weight * np.prod(FUNCTIONS[factor["function"]](d))
        label = tuple(symbols[number] for number in z)
        label = label if label in numbers else label[::-1]
        channel.append(numbers[label])
        w.append(weight)
    if len(g) > 0:
        np.add.at(out, channel, np.array(w)[:, None] * line_values(part, np.array(g, dtype=float)))
    return out.ravel()[None]


@pytest.fixture(scope="module")
def cell():
    """A cell much smaller than the cutoff, with atoms outside of it."""
    atoms = random_atoms(5, n=3, species=["H", "C", "C"], length=1.9, r_min=0.9)
    atoms.positions[1] += atoms.cell[0] - 2 * atoms.cell[2]
    return atoms


@pytest.fixture(scope="module")
def all_tuples(cell):
    return {k: tuples(cell, k, R_CUT if k < 4 else 1.7) for k in (1, 2, 3, 4)}


def cut(geometry):
    return {"r_cut": R_CUT if ORDERS[geometry] < 4 else 1.7, "cutoff": "none"}


def test_tables_are_covered():
    assert set(GEOMETRIES) == set(ORDERS)
    assert set(FUNCTIONS) == set(dict(core.mbtr_weights()))
    assert set(LINES) == set(core.mbtr_broadenings())


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_values_of_every_geometry_and_line(geometry, cell, all_tuples):
    """In a small triclinic cell, against the definition."""
    found = all_tuples[ORDERS[geometry]]
    assert len(found) > 2
    forms = FORMS[:: 1 if geometry in ("distance", "dihedral") else 5]
    for broadening, values, centered, normalized in forms:
        form = {"broadening": broadening, "values": values, "centered": centered, "normalized": normalized}
        mbtr = mbtr_of(geometry, **form, **cut(geometry))
        assert_close(transform(mbtr, cell), plain(mbtr, cell, found), 2e-13 if geometry != "angle" else 1e-11)


def transform(mbtr, atoms):
    """Without the warning about the grid."""
    return mbtr.bind(atoms).transform()


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("geometry", ["count", "inverse_distance", "cosine", "cosine_dihedral"])
def test_values_of_every_weight(geometry, function, cell, all_tuples):
    for edges in ("legs", "all"):
        weights = [weight_of(function, edges), weight_of("exponential", "legs")]
        if geometry == "count" and function in ("step", "shifted_cosine", "polynomial", "sharpness"):
            weights = weights[1:]
        mbtr = mbtr_of(geometry, weight=weights, **cut(geometry))
        expected = plain(mbtr, cell, all_tuples[ORDERS[geometry]])
        assert np.abs(expected).max() > 1e-6
        assert_close(transform(mbtr, cell), expected, 1e-12)


@pytest.mark.parametrize("pbc", list(itertools.product([False, True], repeat=3)))
def test_values_for_every_periodicity(pbc):
    atoms = random_atoms(6, n=3, species=ELEMENTS, pbc=pbc, length=2.0, r_min=0.9)
    for geometry in ("distance", "cosine", "dihedral"):
        mbtr = mbtr_of(geometry, r_cut=2.1, cutoff="none")
        found = tuples(atoms, ORDERS[geometry], 2.1)
        assert_close(transform(mbtr, atoms), plain(mbtr, atoms, found), 2e-13)


@pytest.mark.parametrize("geometry", ["distance", "inverse_square", "cosine", "angle", "dihedral", "cosine_dihedral"])
def test_invariance(geometry):
    """Permutation, supercell, another cell, wrapping; infinite reach in molecules."""
    atoms = random_atoms(7, n=4, species=ELEMENTS, length=2.6, r_min=0.9)
    mbtr = mbtr_of(geometry, r_cut=2.2, weight=weight_of("exponential"))
    X = transform(mbtr, atoms)
    assert_close(transform(mbtr, atoms * (2, 1, 3)), 6 * X, 1e-12)
    assert_close(transform(mbtr, atoms[[2, 0, 3, 1]]), X, 1e-12)
    moved = atoms.copy()
    moved.positions += [[3.0, -7.0, 11.0]]
    moved.wrap()
    moved.set_cell(atoms.cell[[0, 1, 2]] + [[0, 0, 0], 2 * atoms.cell[0], -atoms.cell[1]])
    assert_close(transform(mbtr, moved), X, 1e-10)
    ethanol = molecule("CH3CH2OH")
    q = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turned = Atoms(ethanol.numbers, positions=ethanol.positions @ (q * np.linalg.det(q)).T)
    free = mbtr_of(geometry)
    assert free.r_cut == np.inf
    assert_close(transform(free, turned), transform(free, ethanol), 1e-10)
    assert_close(transform(free, ethanol), plain(free, ethanol, tuples(boxed(ethanol), ORDERS[geometry], 99.0)), 1e-11)


def boxed(atoms):
    atoms = atoms.copy()
    atoms.cell = np.eye(3) * 50
    return atoms


def test_dihedral_wraps_and_tells_mirror_images_apart():
    four = np.array([[1, 0, 0], [0, 0, 0], [0, 0, 1], [np.cos(3.1), np.sin(3.1), 1]])
    mbtr = mbtr_of("dihedral", ["C"], grid=(-np.pi, np.pi, 63), r_cut=1.2, cutoff="none")
    X, mirrored = (transform(mbtr, Atoms("C4", positions=p))[0] for p in (four, four * [1, -1, 1]))
    assert np.argmax(X) == np.argmax(mirrored[::-1])
    assert X[0] > 0.3 * X.max()
    one_period = mbtr_of("dihedral", ["C"], grid=(-np.pi, np.pi * (1 - 2 / 63), 63), r_cut=1.2, cutoff="none")
    assert abs(transform(one_period, Atoms("C4", positions=four)).sum() - 1.0) <= 1e-13


DERIVED = [(g, b, v) for g in GEOMETRIES for b, v in (("normal", "integral"), ("normal", "point"),
           ("laplace", "integral"), ("laplace", "point"), ("uniform", "integral")) if ORDERS[g] > 1]  # fmt: skip


def check_slope(descriptor, atoms, smooth, seed=0):
    """dY along a random displacement and strain, from the reverse pass and from differences; and from `gradients`."""
    rng = np.random.default_rng(seed)
    X = transform(descriptor, atoms)
    dY_dX = rng.normal(size=X.shape)
    positions, strain = descriptor.vjp(atoms, dY_dX)
    for direction in range(2):
        shift = rng.normal(size=positions.shape) * (1 - direction)
        deformation = rng.normal(size=(3, 3)) * direction

        def moved(step, shift=shift, deformation=deformation):
            new = atoms.copy()
            F = np.eye(3) + step * deformation
            new.set_cell(atoms.cell.array @ F.T)
            new.positions = (atoms.positions + step * shift) @ F.T
            return np.sum(transform(descriptor, new) * dY_dX)

        slope = np.sum(positions * shift) + np.sum(strain[0] * deformation)
        size = np.abs(positions).max() + np.abs(strain).max()
        assert size > 1e-6
        if smooth:
            assert abs(slope - difference(moved, 1e-3 if smooth == 1 else smooth)) <= 1e-6 * size
        else:
            assert abs(slope - (moved(1e-7) - moved(-1e-7)) / 2e-7) <= 3e-6 * size
    gradients = descriptor.gradients(atoms)
    dense = np.zeros((len(X), len(atoms), 3, X.shape[1]))
    dense[gradients.centers, gradients.neighbors] += gradients.values
    found = np.einsum("iF,ijaF->ja", dY_dX, dense)
    assert np.abs(found - positions).max() <= 1e-11 * np.abs(positions).max()
    assert np.abs(strain[0] - strain[0].T).max() <= 1e-9 * np.abs(strain).max()


@pytest.mark.parametrize("kind", [MBTR, LMBTR])
@pytest.mark.parametrize(("geometry", "broadening", "values"), DERIVED)
def test_gradients_of_every_geometry_and_line(kind, geometry, broadening, values):
    k = ORDERS[geometry]
    atoms = random_atoms(8, n=3, species=["H", "C"], length=2.1, r_min=0.9)
    smooth = broadening == "normal" or (broadening == "laplace" and values == "integral")
    r_cut = {2: 2.6, 3: 2.2, 4: 1.6}[k] if kind is MBTR else {2: 2.6, 3: 1.7, 4: 1.25}[k]
    mbtr = mbtr_of(geometry, ["H", "C"], kind, broadening=broadening, values=values, r_cut=r_cut, cutoff="polynomial",
                   cutoff_width=1.0)  # fmt: skip
    check_slope(mbtr, atoms, 1e-4 if smooth else False)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("geometry", [g for g in GEOMETRIES if ORDERS[g] > 1])
def test_gradients_of_every_weight(geometry, function):
    atoms = random_atoms(9, n=4, species=["H", "C"], pbc=[True, False, False], length=2.2, r_min=0.9)
    for edges in ("legs", "all"):
        weights = [weight_of(function, edges), weight_of("gaussian", scale=0.1)]
        mbtr = mbtr_of(geometry, ["H", "C"], weight=weights, r_cut=2.3, cutoff="polynomial", cutoff_width=1.0)
        check_slope(mbtr, atoms, 1e-4 if function not in ("step", "sharpness") else False)


@pytest.mark.parametrize("normalization", ["none", "l2", "n_atoms", "valle_oganov"])
def test_all_parts_together(normalization):
    atoms = random_atoms(9, n=4, species=["H", "C"], length=2.4, r_min=0.9)
    weight = {"weight": "inverse_square", "r_cut": 2.0}
    parts = {
        "k1": part_of("atomic_number"),
        "k2": part_of("inverse_distance", **weight),
        "k3": part_of("angle", **weight),
    }
    if normalization != "valle_oganov":
        parts["k4"] = part_of("dihedral", **weight | {"r_cut": 1.5})
        with pytest.raises(ConfigError, match="k = 4"):
            MBTR(["H"], k4=parts["k4"], normalization="valle_oganov")
    mbtr = MBTR(["H", "C"], **parts, normalization=normalization)
    check_slope(mbtr, atoms, 1e-4)
    single = [transform(MBTR(["H", "C"], **{name: part}), atoms) for name, part in parts.items()]
    X, raw = transform(mbtr, atoms), np.concatenate(single, axis=1)
    if normalization == "valle_oganov":
        factors = {1: lambda z: 1.0, 2: lambda z: atoms.cell.volume / 4 / np.pi * (1 + (z[0] == z[1])) / 4,
                   3: lambda z: atoms.cell.volume / 8}  # fmt: skip
        raw = raw * np.array([factors[label.k](label.elements) for label in mbtr.feature_labels()])
    else:
        raw = raw / {"none": 1, "l2": np.linalg.norm(raw), "n_atoms": 4}[normalization]
    assert_close(X, raw, 1e-13)


@pytest.mark.parametrize(
    ("normalization", "powers"),
    [("none", (1, 1, 1)), ("n_atoms", (0, 0, 0)), ("l2", (0, 0, 0)), ("valle_oganov", (1, 0, -1))],
)
def test_rows_of_supercells(normalization, powers):
    """n cells have n^power times the row of one, by k."""
    atoms, weight = random_atoms(9, n=4, species=["H", "C"], length=2.4, r_min=0.9), {"weight": "unity", "r_cut": 2.0}
    parts = {
        "k1": part_of("atomic_number"),
        "k2": part_of("distance", **weight),
        "k3": part_of("angle", **weight),
    }
    double = atoms.repeat((1, 2, 1))
    for (name, part), power in zip(parts.items(), powers, strict=True):
        mbtr = MBTR(["H", "C"], **{name: part}, normalization=normalization)
        row = transform(mbtr, atoms)
        assert np.abs(row).max() > 0
        assert_close(transform(mbtr, double), 2.0**power * row, 1e-12)


@pytest.mark.parametrize("geometry", ["atomic_number", "distance", "cosine", "cosine_dihedral"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_correlation(geometry, n):
    """Every atom counts as every element, by its factor: the sum over both directions of all tuples."""
    k = ORDERS[geometry]
    atoms = random_atoms(3, n=4, species=ELEMENTS, length=2.6, r_min=0.9)
    C = np.random.default_rng(0).normal(size=(n, 3))
    options = {"r_cut": 2.2} if k > 1 else {}
    mixed, raw = mbtr_of(geometry, correlation=C, **options), mbtr_of(geometry, **options)
    f = {label: row for (_, label), row in zip(raw.channel_labels(), tensor(raw, atoms), strict=True)}
    names = mixed._element_names()
    for (_, label), row in zip(mixed.channel_labels(), tensor(mixed, atoms), strict=True):
        z = [names.index(e) for e in label]
        expected = 0
        for elements in itertools.product(range(3), repeat=k):
            symbols = tuple(ELEMENTS[e] for e in elements)
            both = f.get(symbols, f.get(symbols[::-1])) / (1 if symbols == symbols[::-1] else 2)
            directions = {tuple(z), tuple(z[::-1])}
            expected += sum(np.prod([C[a, e] for a, e in zip(t, elements, strict=True)]) for t in directions) * both
        np.testing.assert_allclose(row, expected, atol=1e-12 * np.abs(transform(mixed, atoms)).max())
    if k > 1:
        check_slope(mixed, atoms, 1e-4)
        check_slope(mbtr_of(geometry, kind=LMBTR, correlation=C, r_cut=1.6), atoms, 1e-4)


def tensor(mbtr, atoms):
    return transform(mbtr, atoms).reshape(len(mbtr.channel_labels()), -1)


def test_local_tensors_add_up():
    """Every tuple is in the rows of all of its atoms, once for each."""
    atoms = random_atoms(3, n=4, species=["C"], length=2.8, r_min=0.9)
    for geometry in ("distance", "cosine", "dihedral"):
        k = ORDERS[geometry]
        options = {"weight": weight_of("exponential"), "r_cut": 2.1 if k < 4 else 1.8}
        whole, local = mbtr_of(geometry, ["C"], **options), mbtr_of(geometry, ["C"], LMBTR, **options)
        rows = transform(local, atoms).reshape(len(atoms), -1, whole.n_features).sum(axis=0)
        X = transform(whole, atoms)[0]
        if k == 2:
            assert_close(rows[0], 2 * X, 1e-12)
        elif k == 3:  # as vertex, and as either end
            assert_close(rows[0], X, 1e-12)
            assert_close(rows[1], 2 * X, 1e-12)
        else:
            assert_close(rows[0], 2 * X, 1e-12)
            assert_close(rows[1], 2 * X, 1e-12)
            check_slope(local, atoms, 1e-4)


def test_local_labels():
    part = part_of("cosine", r_cut=2.0)
    lmbtr = LMBTR(["O", "H"], k3=part)
    assert [e for _, e in lmbtr.channel_labels()] == [
        ("H", "X", "H"), ("H", "X", "O"), ("O", "X", "O"),
        ("X", "H", "H"), ("X", "H", "O"), ("X", "O", "H"), ("X", "O", "O")]  # fmt: skip
    water = molecule("H2O")  # O, H, H
    rows = transform(lmbtr, water).reshape(3, 7, -1).any(axis=2)
    assert [np.flatnonzero(row).tolist() for row in rows] == [[0, 3], [1, 4, 5], [1, 4, 5]]
    ghost = Atoms(["O", "X"], positions=[[0, 0, 0], [0, 0, 1.0]])
    distances = LMBTR(["O"], k2=part_of("distance"), ignore_unknown=True)
    assert not transform(distances, ghost)[0].any()
    assert abs(transform(distances, ghost)[1].sum() - 1.0) <= 1e-8


@pytest.mark.parametrize("geometry", ["distance", "cosine", "dihedral"])
def test_large_structures_are_cut_into_pieces(geometry):
    """The same for any number of threads, and equal to the sum over the primitive cell."""
    cell = bulk("NaCl", "rocksalt", a=5.64)
    cell.rattle(0.1, seed=0)
    r_cut = {2: 14.0, 3: 9.0, 4: 4.8}[ORDERS[geometry]]
    mbtr = mbtr_of(geometry, ["Na", "Cl"], r_cut=r_cut, sigma=0.3)
    atoms = cell * (4, 4, 4)
    X, dY_dX = transform(mbtr, atoms), np.random.default_rng(0).normal(size=(1, mbtr.n_features))
    gradient, strain = mbtr.vjp(atoms, dY_dX)
    assert_close(X, 64 * transform(mbtr, cell), 1e-11)
    one, one_strain = mbtr.vjp(cell, dY_dX)
    assert_close(gradient, np.tile(one, (64, 1)), 1e-9)
    assert_close(strain, 64 * one_strain, 1e-9)
    for threads in (1, 2, 3):
        with mercer.threads(threads):
            np.testing.assert_array_equal(transform(mbtr, atoms), X)
            again = mbtr.vjp(atoms, dY_dX)
        np.testing.assert_array_equal(again[0], gradient)
        np.testing.assert_array_equal(again[1], strain)


@pytest.mark.parametrize("sigma", [0.001, 0.02, 0.3, 5.0, 100.0])
@pytest.mark.parametrize("broadening", LINES)
def test_lines_of_any_width(broadening, sigma):
    """From a thousandth of a step of the grid to a thousand steps; the whole line is on a wide grid."""
    atoms = Atoms("C2", positions=[[0, 0, 0], [0.2, 0.3, 2.0]])
    d = atoms.get_distance(0, 1)
    for values in ("integral", "point"):
        part = {"grid": (0.1, 3.9, 39), "sigma": sigma, "broadening": broadening, "values": values}
        mbtr = mbtr_of("distance", ["C"], **part)
        expected = line_values(mbtr.k2, np.array([d]))
        # differences of x and d are accurate to 1e-15, in units of sigma
        assert np.abs(transform(mbtr, atoms) - expected).max() <= (2e-15 + 4e-15 / sigma) * max(1.0, expected.max())
        if sigma >= 0.3:  # a line far from the grid, whose tail is on it
            mbtr = mbtr_of(
                "distance", ["C"], **part | {"grid": (d - 5 * sigma, d - 5 * sigma + 0.1, 2), "sigma": sigma}
            )
            expected = line_values(mbtr.k2, np.array([d]))
            assert expected.max() > 0 or broadening == "uniform"
            assert np.abs(transform(mbtr, atoms) - expected).max() <= 1e-9 * max(expected.max(), 1e-300) + 1e-16
    mbtr = mbtr_of("distance", ["C"], grid=(-60 * sigma, 60 * sigma + 4, 501), sigma=sigma, broadening=broadening)
    if sigma > 0.001:
        assert abs(transform(mbtr, atoms).sum() - 1) <= 1e-13


def test_sharp_ends():
    """Thresholds and steps keep what is exactly at the end; the reach follows from the weight."""
    atoms = Atoms("C2", positions=[[0, 0, 0], [0, 0, 2.0]], cell=[9, 9, 9], pbc=True)
    for weight, kept in (({"threshold": 0.5}, 0.25), ({"r_cut": 2.0, "cutoff": "none"}, 0.25)):
        mbtr = mbtr_of(
            "distance", ["C"], weight="inverse_square", **(weight if "r_cut" in weight else {"threshold": 0.25})
        )
        assert abs(transform(mbtr, atoms).sum() - kept) <= 1e-6
    assert not transform(mbtr_of("distance", ["C"], weight="inverse_square", threshold=0.2500001), atoms).any()
    near = lambda mbtr, r: abs(mbtr.r_cut - r) <= 1e-6  # noqa: E731
    log = np.log(1e3)
    s = weight_of("exponential", scale=0.5)
    assert near(mbtr_of("distance", weight=s, threshold=1e-3), 2 * log)
    assert near(mbtr_of("cosine", weight=s, threshold=1e-3), log)
    assert near(mbtr_of("cosine", weight=s | {"edges": "legs"}, threshold=1e-3), 2 * log)
    assert near(mbtr_of("cosine_dihedral", weight=s, threshold=1e-3), 2 * log / 3)
    assert near(mbtr_of("distance", weight="inverse_square", threshold=1e-3), np.sqrt(1e3))
    assert near(mbtr_of("distance", weight=weight_of("gaussian", scale=0.5), threshold=1e-3), np.sqrt(2 * log))
    assert mbtr_of("cosine", weight="inverse_square", threshold=1e-3).r_cut == np.inf
    assert near(mbtr_of("cosine", kind=LMBTR, weight=s, threshold=1e-3), log)
    assert near(mbtr_of("cosine", kind=LMBTR, r_cut=2.0), 4.0)
    # nothing beyond the reach has any weight
    crystal = random_atoms(1, n=3, species=["C"], length=3.0)
    for geometry in ("distance", "cosine", "cosine_dihedral"):
        short = mbtr_of(geometry, ["C"], weight=weight_of("exponential", scale=1.0), threshold=0.005)
        wide = mercer.descriptors.Environments.of(crystal, short.r_cut * 1.3)
        X = short.bind(crystal).transform(), short.bind(wide).transform()
        np.testing.assert_array_equal(*X)


def test_labels_and_channels():
    part = {"geometry": "inverse_distance", "grid": (0, 1.5, 5), "sigma": 0.2}
    mbtr = MBTR(["O", "H"], k2=part)
    assert mbtr.channel_labels() == [(2, ("H", "H")), (2, ("H", "O")), (2, ("O", "O"))]
    assert mbtr.feature_labels()[6] == (2, ("H", "O"), 0.375)
    frames = [molecule("H2O"), molecule("O2"), molecule("H2"), Atoms("H")]
    X, channels = mbtr.transform(frames), mbtr.channels(frames)
    np.testing.assert_array_equal(np.concatenate(list(channels.values()), axis=1), X)
    assert list(mbtr.channels(frames[2:])) == [(2, ("H", "H"))]
    many = MBTR(["O", "H", "C", "N"], k1=part_of("count", grid=(-1, 9, 11)), k3=part_of("cosine"), normalization="l2")
    sparse = many.sparse(frames)
    np.testing.assert_array_equal(sparse.toarray(), many.transform(frames))
    assert sparse.nnz == (2 + 1 + 1 + 1) * 11 + 2 * 11
    for name in ("sparse", "channels"):
        with pytest.raises(ConfigError, match="correlation mixes"):
            getattr(MBTR(["H", "O"], k2=part, correlation=np.eye(2)), name)(frames)
    assert [e for _, e in MBTR(["H", "O"], k4=part_of("dihedral")).channel_labels()] == [
        tuple("HO"[c] for c in z) for z in ((0, 0, 0, 0), (0, 0, 0, 1), (1, 0, 0, 1), (0, 0, 1, 0), (0, 0, 1, 1),
                                            (1, 0, 1, 0), (1, 0, 1, 1), (0, 1, 1, 0), (0, 1, 1, 1), (1, 1, 1, 1))
    ]  # fmt: skip
    assert MBTRPart.of(part) == MBTRPart.of(mbtr.to_dict()["k2"])


def test_the_grid_misses_the_data():
    part = {"geometry": "inverse_distance", "grid": (0, 0.7, 5), "sigma": 0.1}
    for kind in (MBTR, LMBTR):
        with pytest.warns(UserWarning, match="k2: 67 % of the weight .* beside the grid from 0 to 0.7 of geometry="):
            kind(["H", "O"], k2=part).transform(molecule("H2O"))
    with pytest.warns(UserWarning, match="k2: 67 %"):
        MBTR(["H", "O"], k2=part).channels(molecule("H2O"))
    MBTR(["H", "O"], k4=part_of("dihedral", grid=(0, 2 * np.pi, 9))).transform(molecule("H2O2"))  # periodic: no warning


def test_bad_input():
    crystal = bulk("Si")
    for weight in ({}, {"weight": "inverse_square"}, {"weight": weight_of("exponential")}):
        with pytest.raises(DataError, match=r"frame 0: is periodic.*r_cut.*weight that decays"):
            mbtr_of("distance", ["Si"], **weight).transform(crystal)
    with pytest.raises(DataError, match=r"frame 1: has 1008 tuples of k = 4 atoms.*max_tuples=1000.*r_cut"):
        mbtr_of("dihedral", ["C", "H", "O"], max_tuples=1000).transform(
            [molecule("H2O"), molecule("CH3CHO") + Atoms("H")]
        )
    with pytest.raises(DataError, match=r"frame 0: has .* tuples.*max_tuples"):
        mbtr_of("dihedral", ["C", "H", "O"], LMBTR, max_tuples=1000).transform(molecule("CH3CHO"))
    with pytest.raises(DataError, match=r"atom 1 is H.*O only"):
        mbtr_of("distance", ["O"]).transform(molecule("H2O"))
    for kind in (MBTR, LMBTR):
        jumping = mbtr_of("distance", ["O"], kind, broadening="uniform", values="point")
        assert not jumping.differentiable
        for use in (jumping.gradients, lambda frames, d=jumping: d.vjp(frames, d.transform(frames))):
            with pytest.raises(ConfigError, match=f"{kind.__name__}.*(jumps|derivatives)"):
                use(molecule("O2"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "no parts are given; give at least one of k1, k2, k3, k4"),
        ({"k2": 3}, "k2=3: expected a mapping"),
        ({"k2": {"grid": (0, 1, 5), "sigma": 1}}, "k2: geometry is missing"),
        (
            {"k3": part_of("distance")},
            "k3: geometry='distance' is a function of 2 atoms, not of 3; expected angle, cosine",
        ),
        ({"k2": part_of("distance") | {"geometry": "distanse"}}, "k2: geometry='distanse' is unknown.*'distance'"),
        ({"k2": part_of("distance", sgima=1)}, "unknown parameter 'sgima'.*'sigma'"),
        ({"k2": part_of("distance", sigma=-1)}, "sigma=-1: expected a finite number > 0"),
        ({"k2": part_of("distance") | {"grid": (0, 1)}}, r"grid=\(0, 1\): expected \(first, last, n\)"),
        ({"k2": part_of("distance") | {"grid": (1, 0, 5)}}, "first < last"),
        ({"k2": part_of("distance") | {"grid": (0, 1, 1)}}, "integer >= 2"),
        ({"k2": part_of("distance", sigma=1e-5)}, "sigma=1e-05 is less than a thousandth"),
        ({"k2": part_of("distance", sigma=2000.0)}, "sigma=2000 is more than a thousand steps"),
        ({"k2": part_of("distance", weight=5)}, "weight=5: expected a name"),
        ({"k2": part_of("distance", weight=["unity", 5])}, r"weight=\['unity', 5\]: expected a name"),
        (
            {"k2": part_of("distance"), "correlation": "abc"},
            "correlation: expected an array of real numbers, got 'abc'",
        ),
        ({"k2": part_of("distance", weight="1/d")}, "weight='1/d' is unknown"),
        ({"k2": part_of("distance", weight={"function": "exponential"})}, "'scale' is missing"),
        ({"k2": part_of("distance", weight={"function": "unity", "scale": 1})}, "'scale' is unknown"),
        ({"k2": part_of("distance", weight=weight_of("inverse", power=1.5))}, "power=1.5: expected an integer"),
        ({"k2": part_of("distance", weight=weight_of("unity", "some"))}, "edges='some'"),
        ({"k2": part_of("distance", threshold=1.5)}, "threshold=1.5"),
        ({"k2": part_of("distance", r_cut=0.3)}, "cutoff_width=0.5: expected at most r_cut=0.3"),
        ({"k2": part_of("distance", broadening="lorentz")}, "broadening='lorentz'"),
        ({"k2": part_of("distance", values="sum")}, "values='sum'"),
        ({"k2": part_of("distance"), "normalization": "l1"}, "normalization='l1'"),
        ({"k2": part_of("distance"), "correlation": np.ones((2, 3))}, r"correlation has shape \(2, 3\)"),
        ({"k2": part_of("distance"), "max_tuples": 0}, "max_tuples=0"),
    ],
)
def test_bad_parameters(options, message):
    with pytest.raises(ConfigError, match=message):
        MBTR(["H", "O"], **options)


def test_bad_species_and_kinds():
    with pytest.raises(ConfigError, match="species is empty"):
        MBTR([], k2=part_of("distance"))
    with pytest.raises(ConfigError, match="normalization='n_atoms'"):
        LMBTR(["H"], k2=part_of("distance"), normalization="n_atoms")
