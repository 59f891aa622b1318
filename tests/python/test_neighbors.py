"""The neighbour list against ASE's and against sums over all images, for every periodicity and hostile cells."""

import itertools

import ase.neighborlist
import mercer
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from mercer import neighbor_list
from mercer.errors import ConfigError, DataError
from mercer.neighbors import VerletPairs, build_pairs
from mercer.structures import Frames

PERIODICITIES = list(itertools.product([False, True], repeat=3))


def random_structure(rng, pbc):
    """Atoms inside and outside of a cell: long or short, skewed, or with zero vectors along non-periodic directions."""
    kind = rng.integers(4)
    while True:
        cell = rng.normal(size=(3, 3)) + np.diag(rng.uniform(1, 2, size=3) * rng.choice([-1, 1], size=3))
        unit = cell / np.linalg.norm(cell, axis=1)[:, None]
        if abs(np.linalg.det(unit)) > 0.15:
            break
    cell = unit * rng.uniform([1.2, 2.0, 4.0, 1.5][kind], [2.5, 4.0, 8.0, 9.0][kind], size=(3, 1))
    n = rng.integers(1, [4, 8, 25, 12][kind])
    positions = rng.uniform(-0.6, 1.4, size=(n, 3)) @ cell
    if kind != 2:
        for k in np.flatnonzero(~np.array(pbc)):
            cell[k] = 0 if kind == 1 else cell[k] * rng.uniform(0.1, 30)
    return Atoms(f"C{n}", positions=positions, cell=cell, pbc=pbc), rng.uniform(1.0, 4.0)


def in_order(i, j, d, D, S):
    order = np.lexsort((S[:, 2], S[:, 1], S[:, 0], j, i))
    return [array[order] for array in (i, j, d, D, S)]


def assert_same(found, expected, tolerance=1e-12):
    for name, a, b in zip("ijdDS", found, expected, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype, name
        if name in "ijS":
            assert np.array_equal(a, b), name
        else:
            assert np.all(np.abs(a - b) <= tolerance), name


@pytest.mark.parametrize("pbc", PERIODICITIES, ids=lambda pbc: "".join("FT"[p] for p in pbc))
def test_equals_ase(pbc):
    """Same pairs, shifts and distances as ASE on 70 random cells of each periodicity, and sorted by (i, j, S)."""
    rng = np.random.default_rng(int("".join("01"[p] for p in pbc), 2))
    n_pairs = 0
    for _ in range(70):
        atoms, cutoff = random_structure(rng, pbc)
        found = neighbor_list("ijdDS", atoms, cutoff)
        assert_same(found, in_order(*ase.neighborlist.neighbor_list("ijdDS", atoms, cutoff)))
        n_pairs += len(found[0])
    assert n_pairs > 200


def all_images(atoms, cutoff):
    """Every image within reach, one by one, without bins or wrapping."""
    span = np.ptp(atoms.get_scaled_positions(wrap=False), axis=0) + 1
    heights = 1 / np.linalg.norm(np.linalg.inv(atoms.cell.array), axis=0)
    reach = np.where(atoms.pbc, np.ceil(cutoff / heights + span), 0).astype(int)
    shifts = np.array(list(itertools.product(*(range(-r, r + 1) for r in reach))))
    found = []
    for i, j in itertools.product(range(len(atoms)), repeat=2):
        D = atoms.positions[j] - atoms.positions[i] + shifts @ atoms.cell.array
        d = np.linalg.norm(D, axis=1)
        for k in np.flatnonzero((d < cutoff) & ((i != j) | shifts.any(axis=1))):
            found.append((i, j, d[k], D[k], shifts[k]))
    columns = [np.array(column) for column in zip(*found, strict=True)]
    return columns


@pytest.mark.parametrize("pbc", PERIODICITIES, ids=lambda pbc: "".join("FT"[p] for p in pbc))
def test_equals_all_images(pbc):
    """Cells with heights below a third of the cutoff, against an independent sum over images."""
    rng = np.random.default_rng(7)
    for _ in range(6):
        cell = np.eye(3) * rng.uniform(1.0, 1.3, size=3) + np.tril(rng.uniform(-0.9, 0.9, size=(3, 3)), -1)
        atoms = Atoms("C2", positions=rng.uniform(-2, 2, size=(2, 3)), cell=cell, pbc=pbc)
        assert_same(neighbor_list("ijdDS", atoms, 4.1), all_images(atoms, 4.1))


@pytest.mark.parametrize("pbc", [(False, False, False), (True, False, True), (True, True, True)])
def test_more_atoms_than_bins_hold(pbc):
    """Bins much shorter than the cutoff, in every direction, and more atoms than one digit of the sort."""
    rng = np.random.default_rng(5)
    cell = np.array([[11.0, 0, 0], [2.0, 12.0, 0], [-1.0, 3.0, 13.0]])
    atoms = Atoms("C600", positions=rng.uniform(size=(600, 3)) @ cell, cell=cell, pbc=pbc)
    found = neighbor_list("ijdDS", atoms, 5.0)
    assert_same(found, in_order(*ase.neighborlist.neighbor_list("ijdDS", atoms, 5.0)))


def test_shells_of_a_crystal():
    """Counts of the first shells of face-centred cubic, from a cell of one atom: 12, 6, 24, 12."""
    d = neighbor_list("d", bulk("Cu", "fcc", a=2.0), 2.0 * np.sqrt(2) + 1e-6)
    shells, counts = np.unique(d.round(6), return_counts=True)
    assert np.allclose(shells, 2.0 * np.sqrt([0.5, 1, 1.5, 2]), atol=1e-6)
    assert counts.tolist() == [12, 6, 24, 12]


@pytest.mark.parametrize("cutoff", [1.0, 2.0, 3.0, 5.0])
def test_cutoff_is_strict(cutoff):
    """Pairs exactly at the cutoff are left out, on both sides, in cells whose edges are multiples of it too."""
    for n in (1, 2, 5, 12):
        atoms = Atoms(f"H{n}", positions=[[float(k), 0, 0] for k in range(n)], cell=[n, 1, 1], pbc=True)
        i, j, d = neighbor_list("ijd", atoms, cutoff)
        assert (d < cutoff).all()
        radius = int(cutoff) + 1
        grid = np.array(list(itertools.product(range(-radius, radius + 1), repeat=3)))
        inside = ((grid**2).sum(axis=1) < cutoff**2).sum() - 1
        assert np.bincount(i, minlength=n).tolist() == [inside] * n
        assert np.bincount(j, minlength=n).tolist() == [inside] * n


def test_every_pair_is_seen_from_both_sides():
    """i -> j with S and j -> i with -S are the same pair, with exactly opposite vectors, also at the very cutoff."""
    rng = np.random.default_rng(3)
    cell = rng.normal(size=(3, 3)) + 5 * np.eye(3)
    atoms = Atoms("C30", positions=rng.uniform(-1, 2, size=(30, 3)) @ cell, cell=cell, pbc=True)
    distances = np.unique(neighbor_list("d", atoms, 5.0))
    for cutoff in distances[-40:]:
        i, j, D, S = neighbor_list("ijDS", atoms, cutoff)
        there = {(a, b, *s): tuple(v) for a, b, s, v in zip(i, j, S.tolist(), D, strict=True)}
        for (a, b, *s), v in there.items():
            assert there[(b, a, *(-x for x in s))] == tuple(-x for x in v)


def many_frames(seed=0, n=60):
    rng = np.random.default_rng(seed)
    frames = [random_structure(rng, PERIODICITIES[k % 8])[0] for k in range(n)]
    frames.insert(5, Atoms())
    frames.append(bulk("Si", cubic=True) * 4)
    frames[-1].rattle(0.1, seed=1)
    return frames


def test_bitwise_the_same_for_any_number_of_threads():
    frames = many_frames()
    lists = []
    for n in (1, 2, 3):
        with mercer.threads(n):
            lists.append(build_pairs(frames, 3.7))
    for other in lists[1:]:
        for name in ("offsets", "neighbors", "shifts", "vectors", "distances"):
            assert getattr(lists[0], name).tobytes() == getattr(other, name).tobytes()


def test_a_batch_is_its_frames_one_after_another():
    frames = many_frames()
    pairs = build_pairs(frames, 3.7)
    first, start = 0, 0
    for atoms in frames:
        i, j, d, D, S = neighbor_list("ijdDS", atoms, 3.7)
        part = slice(start, start + len(i))
        centres = np.repeat(np.arange(len(atoms)), np.diff(pairs.offsets[first : first + len(atoms) + 1]))
        assert np.array_equal(centres, i)
        assert np.array_equal(pairs.neighbors[part], j + first)
        assert np.array_equal(pairs.shifts[part], S)
        assert np.array_equal(pairs.vectors[part], D) and np.array_equal(pairs.distances[part], d)
        first, start = first + len(atoms), start + len(i)
    assert (first, start) == (pairs.n_atoms, pairs.n_pairs)


def test_nothing_in_nothing_out():
    assert build_pairs([], 3.0).n_pairs == 0
    assert build_pairs([Atoms(), Atoms()], 3.0).offsets.tolist() == [0]
    for atoms in (Atoms(), Atoms("He"), Atoms("He", cell=[50, 50, 50], pbc=True), molecule("H2O")):
        cutoff = 0.5
        expected = ase.neighborlist.neighbor_list("ijdDS", atoms, cutoff)
        assert_same(neighbor_list("ijdDS", atoms, cutoff), expected)
        assert len(expected[0]) == 0


def test_wrapping_changes_shifts_only():
    rng = np.random.default_rng(5)
    atoms = bulk("Si") * 2
    atoms.rattle(0.2, seed=2)
    moved = atoms.copy()
    turns = rng.integers(-4, 5, size=(len(atoms), 3))
    moved.positions += turns @ atoms.cell.array
    one, two = neighbor_list("ijdDS", atoms, 6.0), neighbor_list("ijdDS", moved, 6.0)
    assert np.array_equal(one[4] + turns[one[0]] - turns[one[1]], two[4])
    assert_same(two[:4] + two[4:], [*one[:4], two[4]])


@pytest.mark.parametrize("gap", [1e3, 1e6, 1e9])
def test_vacuum_costs_nothing(gap):
    """Clusters far apart, with and without a cell as large as the vacuum: same pairs, memory as without vacuum."""
    rng = np.random.default_rng(11)
    cluster = rng.uniform(0, 8, size=(40, 3))
    expected = neighbor_list("ij", Atoms("C40", positions=cluster), 2.5)
    far = cluster + np.array([gap, -gap, 0])
    for cell, pbc in (([0, 0, 0], False), ([3 * gap, 3 * gap, gap], [False, True, False])):
        atoms = Atoms("C80", positions=np.concatenate([cluster, far]), cell=cell, pbc=pbc)
        i, j = neighbor_list("ij", atoms, 2.5)
        if gap <= 1e6:
            assert np.array_equal(i[i < 40], expected[0]) and np.array_equal(j[i < 40], expected[1])
        assert not ((i < 40) != (j < 40)).any()


CUTOFFS = {
    "dict": {("H", "C"): 1.3, (6, 6): 1.8, ("O", 1): 1.2},
    "dict of absent elements": {("Au", "Pt"): 3.0},
    "radii": None,
    "zero": 0.0,
}


@pytest.mark.parametrize("name", CUTOFFS)
@pytest.mark.parametrize("self_interaction", [False, True])
def test_cutoffs_as_ase(name, self_interaction):
    atoms = molecule("CH3CH2OH", cell=[6, 5, 4], pbc=[True, False, True])
    cutoff = np.linspace(0.3, 0.9, len(atoms)) if name == "radii" else CUTOFFS[name]
    expected = ase.neighborlist.neighbor_list("ijdDS", atoms, cutoff, self_interaction=self_interaction)
    assert_same(neighbor_list("ijdDS", atoms, cutoff, self_interaction=self_interaction), in_order(*expected))


def test_quantities():
    atoms = bulk("Si")
    i, S, again, d = neighbor_list("iSid", atoms, 3.0)
    assert np.array_equal(i, again) and S.shape == (len(i), 3) and d.dtype == np.float64
    assert isinstance(neighbor_list("d", atoms, 3.0), np.ndarray)
    d[:] = 0  # results belong to the caller
    assert neighbor_list("d", atoms, 3.0).min() > 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"positions": [[0, 0, 0], [0, np.nan, 0]]}, "x.xyz, frame 4: the position of atom 1 is not finite"),
        ({"positions": [[1, 2, 3], [1, 2, 3]]}, "x.xyz, frame 4: atoms 0 and 1 coincide"),
        ({"positions": [[1, 2, 3], [6, 2, 3]]}, "x.xyz, frame 4: atoms 0 and 1 coincide"),
        ({"cell": [5, 5, 0]}, "x.xyz, frame 4: periodic along cell vector 2, which is zero"),
        ({"cell": [[5, 0, 0], [0, 5, 0], [5, 5, 0]]}, "x.xyz, frame 4: the periodic cell has no volume"),
        ({"cell": [5, np.inf, 5]}, "x.xyz, frame 4: cell vector 1 is not finite"),
    ],
)
def test_bad_structures(change, message):
    arguments = {"positions": [[0, 0, 0], [2, 2, 2]], "cell": [5, 5, 5], **change}
    frames = Frames([Atoms("C2", pbc=True, **arguments)], ["x.xyz, frame 4"])
    with pytest.raises(DataError, match=message):
        build_pairs(frames, 3.0)
    with pytest.raises(DataError, match=message.replace("x.xyz, frame 4", "frame 0")):
        neighbor_list("i", frames[0], 3.0)


def test_min_distance():
    atoms = Atoms("C3", positions=[[0, 0, 0], [1, 0, 0], [3, 0, 0]])
    with pytest.raises(DataError, match=r"frame 1: atoms 0 and 1 are 1 A apart, expected more than 1.5 A"):
        build_pairs([molecule("Cl2"), atoms], 5.0, min_distance=1.5)
    assert build_pairs([molecule("Cl2"), atoms], 5.0, min_distance=0.9).n_pairs == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ix", bulk("Si"), 3.0), "quantities='ix': expected letters"),
        (("i", bulk("Si"), -1.0), "cutoff=-1.0: expected a finite number"),
        (("i", bulk("Si"), np.nan), "cutoff=nan"),
        (("i", bulk("Si"), [1.0]), "a radius for each of 2 atoms"),
        (("i", bulk("Si"), {("Si", "Xx"): 1.0}), "unknown element 'Xx'"),
        (("i", [bulk("Si")] * 2, 3.0), "expected one structure, got 2"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ConfigError, match=message):
        neighbor_list(*arguments)


def test_cutoff_of_a_million_cells_is_refused():
    with pytest.raises(DataError, match="check the units of cell and cutoff"):
        neighbor_list("i", Atoms("H", cell=[1e-3] * 3, pbc=True), 10.0)


def arrays_of(pairs):
    return [np.array(getattr(pairs, name)) for name in ("offsets", "neighbors", "shifts", "vectors", "distances")]


def assert_bitwise(pairs, expected):
    for got, wanted in zip(arrays_of(pairs), arrays_of(expected), strict=True):
        assert np.array_equal(got, wanted)


def test_verlet_pairs_are_those_of_a_new_search():
    rng = np.random.default_rng(0)
    frames = [bulk("Si", cubic=True), molecule("CH3CH2OH"), bulk("Cu")]
    verlet = VerletPairs(3.0, skin=0.6)
    kept = []
    for _ in range(40):
        structures, pairs = verlet.update(frames)
        assert structures.n_atoms == 18 and pairs.cutoff == 3.0
        assert_bitwise(pairs, build_pairs(frames, 3.0))
        kept.append((pairs, arrays_of(pairs)))
        for atoms in frames:
            atoms.positions += rng.normal(0, 0.02, atoms.positions.shape)
            atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(0, 5e-4, (3, 3))), scale_atoms=True)
    assert 1 < verlet.n_builds < 20
    for pairs, arrays in kept:  # a list that was handed out is not written to again
        for got, wanted in zip(arrays_of(pairs), arrays, strict=True):
            assert np.array_equal(got, wanted)


def test_verlet_pairs_follow_a_cell_that_shrinks_or_grows_with_its_atoms():
    atoms = bulk("Si", cubic=True)
    verlet = VerletPairs(3.0, skin=0.6)
    for scale in (1.0, 0.98, 0.96, 0.9, 0.8, 0.76, 0.78, 1.2):
        frame = atoms.copy()
        frame.set_cell(atoms.cell.array * scale, scale_atoms=True)
        assert_bitwise(verlet.update(frame)[1], build_pairs(frame, 3.0))
    assert verlet.n_builds > 1


def test_verlet_pairs_of_perfect_crystals_at_the_cutoff():
    atoms = bulk("Po", "sc", a=2.7) * (3, 3, 3)
    for cutoff in 2.7 * np.sqrt([1, 2, 3, 4, 5, 6, 8]):
        for nearest in (np.nextafter(cutoff, 0), cutoff, np.nextafter(cutoff, 9)):
            _, pairs = VerletPairs(nearest, skin=0.5).update(atoms)
            assert_bitwise(pairs, build_pairs(atoms, nearest))


def test_verlet_pairs_name_mistakes():
    frames = Frames([molecule("H2O")], ["x.xyz, frame 4"])
    verlet = VerletPairs(3.0, skin=0.5, min_distance=0.1)
    verlet.update(frames)
    frames[0].positions[1] = frames[0].positions[0]
    with pytest.raises(DataError, match=r"x.xyz, frame 4: atoms 0 and 1 coincide"):
        verlet.update(frames)
    frames[0].positions[1] = np.nan
    with pytest.raises(DataError, match=r"x.xyz, frame 4: the position of atom 1 is not finite"):
        verlet.update(frames)
    with pytest.raises(ConfigError, match="skin=-1"):
        VerletPairs(3.0, skin=-1)
