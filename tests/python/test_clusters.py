"""Pairs, triplets and larger clusters against loops over the neighbour list."""

import itertools

import descriptor_conformance as conformance
import numpy as np
import pytest
from ase import Atoms
from descriptor_conformance import EXAMPLES, random_atoms
from mercer import neighbor_list
from mercer.descriptors import ClusterDistances, PairDistance, Triplet
from mercer.errors import ConfigError
from scipy.special import erf

CLUSTERS = [name for name in EXAMPLES if not EXAMPLES[name](["H"], 3.0).per_atom]


def cutoff_function(r, r_cut, width):
    x = np.clip((r - r_cut + width) / width, 0, 1)
    return 0.5 * (1 + np.cos(np.pi * x))


def sorted_rows(X):
    return X[np.lexsort(X.round(8).T)]


def same_rows(X, expected):
    assert X.shape == np.shape(expected)
    assert len(X) > 3
    np.testing.assert_allclose(sorted_rows(X), sorted_rows(np.array(expected)), rtol=1e-12, atol=1e-13)


def neighbours(atoms, r_cut):
    """Per atom: (element, index, shift, vector) of each neighbour."""
    found = [[] for _ in atoms]
    for i, j, shift, vector in zip(*neighbor_list("ijSD", atoms, r_cut), strict=True):
        found[i].append((int(atoms.numbers[j]), int(j), tuple(map(int, shift)), vector))
    return [sorted(entries, key=lambda e: e[:3]) for entries in found]


def test_bonds_by_loops():
    atoms = random_atoms(3, n=6, pbc=(1, 1, 0))
    descriptor = PairDistance(["H", "C", "O"], 3.5, exponents=(-1, 2), tail_exponent=2, tail_range=0.7, scales=(2, 3))
    rows, groups = [], []
    kinds = [(1, 1), (1, 6), (1, 8), (6, 6), (6, 8), (8, 8)]
    for i, entries in enumerate(neighbours(atoms, 3.5)):
        for z, _, _, vector in entries:
            r = np.linalg.norm(vector)
            rows.append([1 / r / 2, r**2 / 3, cutoff_function(r, 3.5, 0.5) * (erf(0.7 * r) / r) ** 2])
            groups.append(kinds.index(tuple(sorted((z, int(atoms.numbers[i]))))))
    X = descriptor.transform(atoms)
    same_rows(np.repeat(X, 2, axis=0), rows)  # the list holds every bond twice
    assert descriptor.kinds == tuple(kinds)
    np.testing.assert_array_equal(2 * np.bincount(descriptor.rows(atoms).groups), np.bincount(groups))


@pytest.mark.parametrize("kinds", [None, [("C", "H", "O"), ("C", "*", "*")], [(0, 1, 1)]])
def test_triangles_by_loops(kinds):
    atoms = random_atoms(4, n=6, pbc=(0, 1, 1))
    descriptor = Triplet(["H", "C", "O"], 2.8, cutoff_width=0.8, kinds=kinds)
    rows, groups = [], []
    for i, entries in enumerate(neighbours(atoms, 2.8)):
        for (z1, _, _, a), (z2, _, _, b) in itertools.combinations(entries, 2):
            kind = [
                k
                for k, (z, *pair) in enumerate(descriptor.kinds)
                if z in (0, atoms.numbers[i])
                and any(all(w in (0, z) for w, z in zip(pair, order, strict=True)) for order in ((z1, z2), (z2, z1)))
            ]
            if not kind:
                continue
            r1, r2 = np.linalg.norm(a), np.linalg.norm(b)
            factor = cutoff_function(r1, 2.8, 0.8) * cutoff_function(r2, 2.8, 0.8)
            rows.append([r1 + r2, (r1 - r2) ** 2, np.linalg.norm(a - b), factor])
            groups.append(kind[0])
    same_rows(descriptor.transform(atoms), rows)
    np.testing.assert_array_equal(np.bincount(descriptor.rows(atoms).groups), np.bincount(groups))
    assert len(descriptor.kinds) == (18 if kinds is None else len(kinds))


@pytest.mark.parametrize("order", [2, 3, 4])
def test_compact_clusters_by_loops(order):
    atoms = random_atoms(5, n=5, pbc=(1, 0, 0))
    descriptor = ClusterDistances(["H", "C", "O"], 3.0, order)
    rows = []
    for entries in neighbours(atoms, 3.0):
        for others in itertools.combinations(entries, order - 1):
            points = np.array([np.zeros(3), *(entry[3] for entry in others)])
            distances = [np.linalg.norm(p - q) for p, q in itertools.combinations(points, 2)]
            rows.append([*distances, np.prod(cutoff_function(np.array(distances[: order - 1]), 3.0, 0.5))])
    same_rows(descriptor.transform(atoms), rows)


def connected(edges, n):
    reached = {0}
    for _ in range(n):
        reached |= {b for edge in edges for a, b in (edge, edge[::-1]) if a in reached}
    return len(reached) == n


@pytest.mark.parametrize("order", [2, 3, 4])
def test_connected_clusters_by_loops(order):
    """Sets of atoms and images, brought to where the first by (index, shift) is in the cell."""
    atoms = random_atoms(6, n=5, pbc=(1, 1, 0), length=3.5)
    r_cut = 3.0
    around = neighbours(atoms, r_cut)
    clusters = {frozenset({(i, (0, 0, 0))}) for i in range(len(atoms))}
    for _ in range(order - 1):
        grown = set()
        for cluster in clusters:
            for i, shift in cluster:
                for _, j, step, _ in around[i]:
                    larger = cluster | {(j, tuple(map(int, np.add(shift, step))))}
                    origin = min(larger)[1]
                    if len(larger) > len(cluster):
                        grown.add(frozenset((k, tuple(map(int, np.subtract(s, origin)))) for k, s in larger))
        clusters = grown
    edges = list(itertools.combinations(range(order), 2))
    graphs = [
        graph
        for size in range(len(edges) + 1)
        for graph in itertools.combinations(range(len(edges)), size)
        if connected([edges[e] for e in graph], order)
    ]
    assert len(graphs) == {2: 1, 3: 4, 4: 38}[order]
    rows = []
    for cluster in clusters:
        members = sorted(cluster, key=lambda m: (atoms.numbers[m[0]], *m))
        points = np.array([atoms.positions[i] + shift @ atoms.cell.array for i, shift in members])
        distances = np.array([np.linalg.norm(points[a] - points[b]) for a, b in edges])
        f = cutoff_function(distances, r_cut, 0.5)
        f[distances >= r_cut] = 0.0
        inside = [np.isin(np.arange(len(edges)), graph) for graph in graphs]
        rows.append([*distances, sum(np.prod(np.where(chosen, f, 1 - f)) for chosen in inside)])
    same_rows(ClusterDistances(["H", "C", "O"], r_cut, order, compact=False).transform(atoms), rows)


@pytest.mark.parametrize("name", CLUSTERS)
@pytest.mark.parametrize("cutoff", ["shifted_cosine", "polynomial"])
def test_energies_and_slopes_do_not_jump_at_the_cutoff(name, cutoff):
    descriptor = EXAMPLES[name](["C", "O"], 3.0, cutoff=cutoff)
    conformance.check_smooth(descriptor, "CO" if descriptor.order == 2 else "COC")


def test_vjp_of_larger_clusters():
    atoms = random_atoms(8, n=4, species=["H", "C"], pbc=False, length=2.4)
    for order, compact in itertools.product((2, 4), (True, False)):
        conformance.check_vjp(ClusterDistances(["H", "C"], 3.2, order, compact=compact), atoms)


def test_who_gets_the_energy():
    atoms = Atoms("OHH", positions=[[0, 0, 0], [0, 0, 1], [0, 1.1, 0]])
    np.testing.assert_allclose(PairDistance(["H", "O"], 1.3).share(atoms, [2.0, 4.0]), [3, 1, 2])
    np.testing.assert_allclose(Triplet(["H", "O"], 1.3).share(atoms, [3.0]), [3, 0, 0])
    np.testing.assert_allclose(ClusterDistances(["H", "O"], 1.3).share(atoms, [3.0]), [1, 1, 1])


def test_other_elements_are_left_out_only_without_species():
    atoms = Atoms("OHC", positions=[[0, 0, 0], [0, 0, 1], [0, 1.1, 0]])
    assert len(PairDistance(None, 3.0, kinds=[("O", "H")]).transform(atoms)) == 1
    assert len(PairDistance(None, 3.0).transform(atoms)) == 3
    with pytest.raises(ValueError, match="C, but the descriptor knows H, O only"):
        PairDistance(["H", "O"], 3.0).transform(atoms)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PairDistance(["H"], -1.0), "r_cut=-1.0"),
        (lambda: PairDistance([], 1.0), "species is empty"),
        (lambda: PairDistance(["H"], 3.0, kinds=[("H", "H", "H")]), "3 elements, expected 2"),
        (lambda: PairDistance(["H"], 3.0, kinds=[("H", "O")]), "O of .* not among the species"),
        (lambda: PairDistance(["H"], 3.0, kinds=[]), "kinds is empty"),
        (lambda: PairDistance(["H"], 3.0, exponents=(0,)), "integers other than 0"),
        (lambda: PairDistance(["H"], 3.0, exponents=(0.5,)), "integers other than 0"),
        (lambda: PairDistance(["H"], 3.0, tail_exponent=-1.0), "tail_exponent=-1.0"),
        (lambda: PairDistance(["H"], 3.0, tail_range=0.0), "tail_range=0.0"),
        (lambda: Triplet(["H"], 3.0, scales=(1.0, 2.0)), "expected 3, one for each coordinate"),
        (lambda: Triplet(["H"], 3.0, scales=(1.0, 2.0, 0.0)), "scales=0.0"),
        (lambda: Triplet(["H"], 3.0, cutoff_width=4.0), "at most r_cut"),
        (lambda: ClusterDistances(["H"], 3.0, 6), "order=6: expected an integer >= 2 and <= 5"),
        (lambda: ClusterDistances(["H"], 3.0, 1), "order=1"),
    ],
)
def test_bad_parameters(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
