"""Energy rows against sums of the whole kernel matrix; fitted terms and rows for forces and virials against that,
differences and each other, for every descriptor and kernel."""

from itertools import pairwise

import mercer
import numpy as np
import pytest
from ase import Atoms
from descriptor_conformance import EXAMPLES, assert_close, difference, random_atoms
from mercer.descriptors import SOAP, Environments, Triplet
from mercer.errors import ConfigError, DataError
from mercer.kernels import KERNELS, Gaussian, Laplacian, Linear, Matern, Polynomial
from mercer.rows import energy_rows, evaluate_term, label_rows, self_kernel_sums

ALL = pytest.mark.parametrize("kernel", [cls() for cls in KERNELS.values()], ids=repr)

#: Atoms per frame: none, one, many small ones in one piece, more empty frames than a piece holds, frames longer than
#: a piece (one of them a multiple of it), nothing at all.
FRAMES = {
    "mixed": [0, 1, 5, 0, 700, 324, 1, 0],
    "small": [3, 1, 2] * 200,
    "empty": [2] + [0] * 600 + [3],
    "long": [1025, 2048, 10, 1024],
    "none": [],
}


def data(counts, n_features=6, m=300):
    rng = np.random.default_rng(sum(counts))
    X = np.abs(rng.normal(size=(sum(counts), n_features)))
    Y = np.abs(rng.normal(size=(m, n_features)))
    offsets = np.concatenate([[0], np.cumsum(counts, dtype=int)])
    return X, offsets, Y, rng.choice([6, 1, 8], len(X)), rng.choice([1, 6, 14], m)


def summed(K, offsets):
    return np.array([K[a:b].sum(axis=0) for a, b in pairwise(offsets)]).reshape(-1, K.shape[1])


@ALL
@pytest.mark.parametrize("counts", FRAMES.values(), ids=FRAMES)
def test_energy_rows(kernel, counts):
    X, offsets, Y, gx, gy = data(counts)
    np.testing.assert_allclose(energy_rows(kernel, X, offsets, Y), summed(kernel(X, Y), offsets), rtol=1e-11)
    out = np.full((len(counts), len(Y)), np.nan)
    grouped = energy_rows(kernel, X, offsets, Y, x_groups=gx, y_groups=gy, out=out)
    assert grouped is out
    np.testing.assert_allclose(grouped, summed(kernel(X, Y, x_groups=gx, y_groups=gy), offsets), rtol=1e-11)
    assert np.all(grouped[:, gy == 14] == 0)


@ALL
@pytest.mark.parametrize("counts", FRAMES.values(), ids=FRAMES)
def test_self_kernel_sums(kernel, counts):
    X, offsets, _, groups, _ = data(counts)
    for gx in (None, groups):
        sums = self_kernel_sums(kernel, X, offsets, groups=gx)
        expected = [kernel(X[a:b], x_groups=None if gx is None else gx[a:b]).sum() for a, b in pairwise(offsets)]
        np.testing.assert_allclose(sums, expected, rtol=1e-11)


def test_threads_change_nothing():
    X, offsets, Y, gx, gy = data([5, 1500, 0, 300, 2, 2, 2])
    results = []
    for n in (1, 2, 3):
        with mercer.threads(n):
            results.append(
                (
                    energy_rows(Polynomial(), X, offsets, Y),
                    energy_rows(Polynomial(), X, offsets, Y, x_groups=gx, y_groups=gy),
                    self_kernel_sums(Polynomial(), X, offsets, groups=gx),
                )
            )
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_no_representatives():
    assert energy_rows(Polynomial(), np.ones((3, 2)), [0, 1, 3], np.ones((0, 2))).shape == (2, 0)


@pytest.mark.parametrize("offsets", [[0, 2], [1, 4], [0, 3, 2, 4], [], [[0, 4]], [0, 5]])
def test_bad_offsets(offsets):
    for call in (
        lambda: energy_rows(Polynomial(), np.ones((4, 2)), offsets, np.ones((1, 2))),
        lambda: self_kernel_sums(Polynomial(), np.ones((4, 2)), offsets),
    ):
        with pytest.raises(DataError, match="rise from 0 to 4"):
            call()


def test_other_errors():
    X = np.ones((4, 2))
    with pytest.raises(DataError, match="same descriptor"):
        energy_rows(Polynomial(), X, [0, 4], np.ones((1, 3)))
    with pytest.raises(DataError, match="out"):
        energy_rows(Polynomial(), X, [0, 4], X, out=np.empty((4, 4)))
    with pytest.raises(ConfigError, match="x_groups is missing"):
        energy_rows(Polynomial(), X, [0, 4], X, y_groups=[1] * 4)


# ------------------------------------------------------------------------ fitted terms, and rows for forces and virials

SMOOTH = [
    kernel for kernel in [*(cls() for cls in KERNELS.values()), Linear(), Matern(nu=1.5)] if kernel.differentiable
]
DESCRIPTORS = pytest.mark.parametrize("name", EXAMPLES)
SYMBOLS = ("H", "C", "O")


def frames():
    """Frames of several sizes in small triclinic cells and in none; one without atoms, one without pairs."""
    return [
        random_atoms(0, 5, SYMBOLS),
        Atoms(pbc=False),
        random_atoms(1, 4, SYMBOLS, pbc=(True, False, True)),
        Atoms("C", pbc=False),
        random_atoms(2, 8, SYMBOLS[:2], pbc=False),
        random_atoms(3, 1, SYMBOLS, length=3.0),
    ]


class Case:
    """A descriptor with sparse points near its rows, and weights."""

    def __init__(self, name, n_points=12):
        rng = np.random.default_rng(5)
        self.descriptor = EXAMPLES[name](SYMBOLS, 3.2)
        X, groups = self.descriptor.transform(frames()), self.descriptor.rows(frames()).groups
        chosen = rng.permutation(len(X))[:n_points]
        self.points = X[chosen] * (1 + 0.1 * rng.normal(size=(len(chosen), X.shape[1])))
        self.groups = groups[chosen]  # in disorder
        self.weights = rng.normal(size=len(chosen))

    def features_of_kernel(self, X):
        return (X[:, :-1], X[:, -1]) if self.descriptor.has_factor else (X, np.ones(len(X)))

    def atom_rows(self, kernel, atoms, match):
        """What each sparse point gives to the energies of atoms, by the definition."""
        x, x_factors = self.features_of_kernel(self.descriptor.transform(atoms))
        y, y_factors = self.features_of_kernel(self.points)
        groups = {"x_groups": self.descriptor.rows(atoms).groups, "y_groups": self.groups} if match else {}
        K = kernel(x, y, **groups) * x_factors[:, None] * y_factors
        return np.stack([self.descriptor.share(atoms, column) for column in K.T], axis=1)

    def evaluate(self, kernel, atoms, **options):
        return evaluate_term(self.descriptor, kernel, atoms, self.points, self.groups, self.weights, **options)

    def rows(self, kernel, atoms, **options):
        return label_rows(self.descriptor, kernel, atoms, self.points, self.groups, **options)


def frame_sums(values, atoms):
    ends = np.cumsum([0, *map(len, atoms)])
    return np.array([values[a:b].sum(axis=0) for a, b in pairwise(ends)])


def moved(atoms, i, a, step):
    atoms = atoms.copy()
    atoms.positions[i, a] += step
    return atoms


def strained(atoms, a, b, step):
    deformation = np.eye(3)
    deformation[a, b] += step
    result = atoms.copy()
    result.set_cell(atoms.cell.array @ deformation.T)
    result.positions = atoms.positions @ deformation.T
    return result


@DESCRIPTORS
@pytest.mark.parametrize("match", [True, False], ids=["match", "all"])
def test_energies_of_a_term(name, match):
    case = Case(name)
    for kernel in [Polynomial(zeta=4), Gaussian(), Laplacian(), Matern(nu=0.5)]:
        expected = case.atom_rows(kernel, frames(), match)
        energies, *gradients = case.evaluate(kernel, frames(), match_groups=match, gradients=False)
        assert_close(energies, expected @ case.weights, 1e-12)
        assert gradients == [None, None]
        if kernel.differentiable:
            assert_close(case.evaluate(kernel, frames(), match_groups=match)[0], energies, 1e-13)
        rows = case.rows(kernel, frames(), match_groups=match)
        assert list(rows) == ["energy"]
        assert_close(rows["energy"], frame_sums(expected, frames()), 1e-12)


@DESCRIPTORS
@pytest.mark.parametrize("kernel", SMOOTH, ids=repr)
def test_gradients_of_a_term(name, kernel):
    case = Case(name)
    _, positions, strain = case.evaluate(kernel, frames())
    assert strain.shape == (len(frames()), 3, 3)

    def slope(deform, *direction):
        return difference(lambda h: case.evaluate(kernel, deform(*direction, h), gradients=False)[0].sum(), 5e-4)

    first, last = frames()[0], frames()[4]
    assert abs(positions[2, 1] - slope(moved, first, 2, 1)) <= 1e-6 * np.abs(positions).max()
    assert abs(positions[12, 0] - slope(moved, last, 2, 0)) <= 1e-6 * np.abs(positions).max()
    assert abs(strain[0, 0, 2] - slope(strained, first, 0, 2)) <= 1e-5 * np.abs(strain).max()
    assert np.abs(frame_sums(positions, frames())).max() <= 1e-12 * np.abs(positions).max()
    assert np.abs(strain - strain.transpose(0, 2, 1)).max() <= 1e-10 * np.abs(strain).max()


@DESCRIPTORS
def test_rows_times_weights_are_the_fitted_term(name):
    case = Case(name)
    for kernel in SMOOTH:
        for match in (True, False):
            rows = case.rows(kernel, frames(), match_groups=match, forces=True, virial=True)
            energies, positions, strain = case.evaluate(kernel, frames(), match_groups=match)
            assert_close(rows["energy"] @ case.weights, frame_sums(energies, frames()), 1e-12)
            assert_close(rows["forces"] @ case.weights, -positions, 1e-11)
            assert_close(rows["virial"] @ case.weights, -strain, 1e-11)


@DESCRIPTORS
def test_batches_threads_and_prepared_pairs_change_nothing(name):
    case, kernel, options = Case(name), Gaussian(), {"forces": True, "virial": True}
    wide = Environments.of(frames(), case.descriptor.r_cut + 0.7)  # shared with a term of a larger cutoff
    together = [*case.evaluate(kernel, frames()), *case.rows(kernel, frames(), **options).values()]
    one_by_one = [[*case.evaluate(kernel, f), *case.rows(kernel, f, **options).values()] for f in frames()]
    for result, parts in zip(together, zip(*one_by_one, strict=True), strict=True):
        assert_close(result, np.concatenate(parts), 1e-13)
    for threads in (1, 2, 3):
        with mercer.threads(threads):
            again = [*case.evaluate(kernel, wide), *case.rows(kernel, wide, **options).values()]
        assert all(np.array_equal(a, b) for a, b in zip(together, again, strict=True))


def test_batches_larger_than_the_features_held_at_a_time():
    elements = ["H", "B", "C", "N", "O", "F", "Si", "P", "S", "Cl"]
    soap = SOAP(elements, 3.0, 8, 6, 0.5)
    atoms = [random_atoms(seed, 7 + seed % 3, elements[seed % 5 :], length=4.5) for seed in range(60)]
    assert sum(map(len, atoms)) * soap.n_features * 8 > 64e6
    points, groups = soap.transform(atoms[0])[:3], atoms[0].numbers[:3]
    weights = np.arange(len(points)) - 1.7

    def results(frames):
        rows = label_rows(soap, Polynomial(zeta=2), frames, points, groups, forces=True, virial=True)
        return [*evaluate_term(soap, Polynomial(zeta=2), frames, points, groups, weights), *rows.values()]

    parts = [results(atoms[k : k + 9]) for k in range(0, 60, 9)]
    for together, part in zip(results(atoms), zip(*parts, strict=True), strict=True):
        assert_close(together, np.concatenate(part), 1e-13)


@pytest.mark.parametrize("name", ["SOAP", "Triplet"])
def test_frames_larger_than_the_features_held_at_a_time(name):
    """One frame in parts equals the same by the definition, without parts."""
    rng = np.random.default_rng(0)
    n = 8 if name == "SOAP" else 6
    places = np.argwhere(np.ones((n, n, n))) * 2.2 + rng.normal(0.0, 0.15, (n**3, 3))
    atoms = Atoms(rng.choice(["H", "B", "C", "N", "O", "F", "Si", "P", "S", "Cl"], n**3), places, cell=[2.2 * n] * 3)
    atoms.pbc = True
    if name == "SOAP":
        descriptor, kernel = SOAP(sorted(set(atoms.symbols)), 3.0, 8, 6, 0.5), Linear()
    else:
        descriptor, kernel = Triplet(sorted(set(atoms.symbols)), 5.2), Linear()
    bound = descriptor.bind(atoms)
    X, groups = bound.transform(), bound.layout.groups
    assert X.size > 2**23 or len(X) > 2**18
    chosen = rng.permutation(len(X))[:40]
    points, weights = X[chosen], rng.normal(size=40)
    energies, positions, strain = evaluate_term(descriptor, kernel, atoms, points, groups[chosen], weights)
    dX = np.zeros_like(X)
    F, F_m = (X[:, -1:], points[:, -1]) if descriptor.has_factor else (1.0, 1.0)
    for group in np.unique(groups[chosen]):
        mine, sparse = groups == group, groups[chosen] == group
        dX[mine] = (weights * F_m)[sparse] @ points[sparse]
    if descriptor.has_factor:
        dX[:, -1] = np.einsum("if,if->i", X[:, :-1], dX[:, :-1])
        rows = dX[:, -1] * X[:, -1]
        dX[:, :-1] *= F
    else:
        rows = np.einsum("if,if->i", X, dX)
    assert_close(energies, bound.share(rows), 1e-12)
    for got, wanted in zip((positions, strain), bound.vjp(dX), strict=True):
        assert_close(got, wanted, 1e-12)


def test_label_rows_into_given_arrays():
    case = Case("PairDistance")
    expected = case.rows(Gaussian(), frames(), forces=True, virial=True)
    out = {kind: np.full_like(block, np.nan) for kind, block in expected.items()}
    rows = case.rows(Gaussian(), frames(), energy=False, forces=True, virial=True, out=out)
    assert list(rows) == ["forces", "virial"]
    assert rows["forces"] is out["forces"]
    for kind in rows:
        np.testing.assert_array_equal(out[kind], expected[kind])
    assert np.isnan(out["energy"]).all()
    with pytest.raises(DataError, match="out\\['forces'\\]"):
        case.rows(Gaussian(), frames(), forces=True, out={"forces": np.empty((2, 2))})


def test_no_sparse_points_and_no_frames():
    case = Case("PairDistance")
    rows = label_rows(case.descriptor, Gaussian(), frames(), case.points[:0], [], forces=True, virial=True)
    n_atoms = sum(map(len, frames()))
    assert [block.shape for block in rows.values()] == [(6, 0), (n_atoms, 3, 0), (6, 3, 3, 0)]
    energies, positions, strain = evaluate_term(case.descriptor, Gaussian(), frames(), case.points[:0], [], [])
    assert [array.shape for array in (energies, positions, strain)] == [(n_atoms,), (n_atoms, 3), (6, 3, 3)]
    assert not any(array.any() for array in (energies, positions, strain))
    assert [len(part) for part in case.evaluate(Gaussian(), [])] == [0, 0, 0]
    assert case.rows(Gaussian(), [], forces=True)["forces"].shape == (0, 3, 12)


def test_an_element_without_sparse_points_gets_nothing():
    soap = SOAP(SYMBOLS, 3.2, 4, 3, 0.5)
    atoms = frames()[0]
    X = soap.transform(atoms)
    carbon = atoms.numbers == 6
    weights = np.ones(carbon.sum())
    energies, positions, _ = evaluate_term(soap, Linear(), atoms, X[carbon], atoms.numbers[carbon], weights)
    assert np.all(energies[~carbon] == 0)
    assert np.all(energies[carbon] > 0)
    assert np.isfinite(positions).all()


@pytest.mark.parametrize("kernel", [Laplacian(), Matern(nu=0.5), Polynomial(zeta=0.5)], ids=repr)
def test_kernels_without_derivative_are_refused_by_name(kernel):
    case = Case("PairDistance")
    for call in (lambda: case.evaluate(kernel, frames()), lambda: case.rows(kernel, frames(), forces=True)):
        with pytest.raises(ConfigError, match=type(kernel).__name__):
            call()


def test_other_errors_of_terms():
    case = Case("PairDistance")
    descriptor, points, weights = case.descriptor, case.points, case.weights
    with pytest.raises(DataError, match="same descriptor"):
        evaluate_term(descriptor, Gaussian(), frames(), points[:, 1:], case.groups, weights)
    with pytest.raises(DataError, match="weights"):
        evaluate_term(descriptor, Gaussian(), frames(), points, case.groups, weights[1:])
    with pytest.raises(DataError, match="groups"):
        label_rows(descriptor, Gaussian(), frames(), points, case.groups[1:])
    with pytest.raises(ConfigError, match="groups are missing"):
        label_rows(descriptor, Gaussian(), frames(), points, None)
    assert label_rows(descriptor, Gaussian(), frames(), points, None, match_groups=False)["energy"].shape == (6, 12)
    with pytest.raises(DataError, match="Xe"):
        evaluate_term(descriptor, Gaussian(), Atoms("Xe"), points, case.groups, weights)
