"""Kernels of structures: definitions, limits, gradients, and models on them."""

import dataclasses

import mpmath
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from mercer import GPR, KRR, SOAP, SparseGPR
from mercer.descriptors import AverageSOAP
from mercer.errors import ConfigError, DataError
from mercer.kernels import (
    STRUCTURE_KERNELS,
    Average,
    Gaussian,
    Laplacian,
    Linear,
    Matern,
    MultiKernel,
    MultiRows,
    Polynomial,
    RationalQuadratic,
    REMatch,
    StructureRows,
    Sum,
    Weighted,
)
from scipy.optimize import linear_sum_assignment
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score

WEIGHTS = {0: 0.5, 1: 1.0, 2: 2.0}
LOCALS = [Linear(), Polynomial(zeta=2), Gaussian(length_scale=0.7), Matern(nu=2.5), RationalQuadratic()]
KINDS = [
    *(kind(local) for local in LOCALS[:3] for kind in (Sum, Average)),
    Weighted(Polynomial(zeta=2), weights=WEIGHTS),
    Weighted(Linear(), weights=WEIGHTS, normalize=False),
    Average(match_groups=False),
    *(REMatch(local, gamma=0.3, tolerance=1e-14) for local in LOCALS),
    REMatch(Polynomial(zeta=2), match_groups=False, normalize=False, gamma=0.05, tolerance=1e-14),
    REMatch(Polynomial(zeta=2), gamma=0.004, tolerance=1e-13, normalize=False),  # logarithmic domain
]


def relaxed(kernel):
    """The kernel with a tolerance that large structures reach at any gamma, and the tolerance of its values."""
    if getattr(kernel, "gamma", 1) > 0.01:
        return kernel, 1e-12
    return dataclasses.replace(kernel, tolerance=1e-9), 1e-6


def random_rows(counts, seed=0, n_features=6):
    """Normalised rows with positive dot products, and groups of which every structure has all."""
    rng = np.random.default_rng(seed)
    X = np.abs(rng.normal(size=(sum(counts), n_features)))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    groups = np.concatenate([np.arange(n) % 3 for n in counts])
    return StructureRows(X, np.concatenate([[0], np.cumsum(counts)]), groups)


def local_kernels(kernel, a, b):
    """k of two structures as the definition says, with NumPy where groups matter."""
    k = kernel.local(a.features, b.features)
    return k * (a.groups[:, None] == b.groups) if kernel.match_groups else k


def sinkhorn(k, gamma, sweeps=200000):
    """The coupling by plain scaling in extended precision, until it does not change."""
    E = np.exp(2 * (k.astype(np.longdouble) - k.max()) / gamma)
    u, (n, m) = np.ones(len(k), dtype=np.longdouble), k.shape
    for _ in range(sweeps):
        v = 1 / (m * (E.T @ u))
        u = 1 / (n * (E @ v))
        if np.abs(v * (E.T @ u) - 1 / m).sum() <= 1e-16:
            break
    return u[:, None] * E * v


def definition(kernel, a, b):
    """K(A, B) without normalisation."""
    k = local_kernels(kernel, a, b)
    if isinstance(kernel, REMatch):
        return float((sinkhorn(k, kernel.gamma) * k).sum())
    if isinstance(kernel, Weighted):
        w = [np.array([kernel.weights[g] for g in rows.groups]) for rows in (a, b)]
        return w[0] @ k @ w[1]
    return k.mean() if isinstance(kernel, Average) else k.sum()


def test_kinds_are_covered():
    assert {kernel.name for kernel in KINDS} == set(STRUCTURE_KERNELS)


@pytest.mark.parametrize("kernel", KINDS[:-1], ids=repr)
def test_definition(kernel):
    X, Y = random_rows([3, 5, 4], 0), random_rows([6, 3], 1)
    raw = np.array([[definition(kernel, X[[a]], Y[[b]]) for b in range(2)] for a in range(3)])
    if kernel.normalize:
        own = [np.array([definition(kernel, R[[a]], R[[a]]) for a in range(len(R))]) for R in (X, Y)]
        raw /= np.sqrt(np.outer(*own))
    assert np.abs(kernel(X, Y) - raw).max() <= 1e-12 * np.abs(raw).max()


@pytest.mark.parametrize("kernel", KINDS, ids=repr)
def test_symmetry_permutation_threads_and_blocks(kernel):
    kernel, tolerance = relaxed(kernel)
    rng = np.random.default_rng(3)
    X = random_rows([3, 4, 7, 70, 5, 3])
    K = kernel(X)
    assert np.array_equal(K, K.T)
    assert np.abs(kernel(X, X[:]) - K).max() <= tolerance * np.abs(K).max()
    assert np.abs(kernel.diag(X) - K.diagonal()).max() <= tolerance * np.abs(K).max()
    if kernel.normalize:
        assert np.all(K.diagonal() == 1)
    out = np.empty(K.shape)
    assert kernel(X, out=out, n_threads=1) is out
    assert np.array_equal(out, kernel(X, n_threads=2)) and np.array_equal(out, K)
    order = np.concatenate([rng.permutation(np.arange(X.offsets[s], X.offsets[s + 1])) for s in range(len(X))])
    shuffled = StructureRows(X.features[order], X.offsets, X.groups[order])
    assert np.abs(kernel(shuffled, X) - K).max() <= 10 * tolerance * np.abs(K).max()
    chosen = [4, 0, 2]
    assert np.abs(kernel(X[chosen]) - K[np.ix_(chosen, chosen)]).max() <= tolerance * np.abs(K).max()
    assert np.abs(kernel(X[2:3], X) - K[2:3]).max() <= tolerance * np.abs(K).max()


@pytest.mark.parametrize("kernel", KINDS, ids=repr)
def test_vjp_against_differences(kernel):
    X, Y = random_rows([3, 4, 7], 0), random_rows([5, 3], 1)
    rng = np.random.default_rng(2)
    h = 2e-4 if getattr(kernel, "gamma", 1) > 0.01 else 2e-6

    def check(analytic, number):
        """number(features) along a random direction; five-point differences"""
        direction = rng.normal(size=X.features.shape)

        def at(t):
            return number(StructureRows(X.features + t * direction, X.offsets, X.groups))

        numeric = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
        assert abs(np.sum(analytic * direction) - numeric) <= 1e-7 * np.linalg.norm(analytic)

    W = rng.normal(size=(3, 2))
    check(kernel.vjp(X, Y, W), lambda rows: np.sum(W * kernel(rows, Y)))
    check(kernel.vjp(X, Y, W), lambda rows: np.sum(W.T * kernel(Y, rows)))
    W = rng.normal(size=(3, 3))
    check(kernel.vjp(X, None, W), lambda rows: np.sum(W * kernel(rows)))
    kernel, tolerance = relaxed(kernel)
    many = random_rows([3, 4, 80, 90, 7, 5] * 3, 5)
    W = rng.normal(size=(3, len(many)))
    gradient = kernel.vjp(X, many, W, n_threads=1)
    assert np.array_equal(gradient, kernel.vjp(X, many, W, n_threads=2))
    parts = sum(kernel.vjp(X, many[[s]], W[:, [s]]) for s in range(len(many)))
    assert np.abs(gradient - parts).max() <= 1e3 * tolerance * np.abs(gradient).max()


@pytest.mark.parametrize("kernel", [*LOCALS, Matern(nu=1.5), Polynomial(zeta=2, offset=0.3)], ids=repr)
def test_vjp_of_kernels_of_rows(kernel):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(7, 3)), rng.normal(size=(300, 3))
    groups = [np.arange(7) % 2, np.arange(300) % 3]
    W, direction, h = rng.normal(size=(7, 300)), rng.normal(size=(7, 3)), 1e-4

    def at(t):
        return np.sum(W * kernel(X + t * direction, Y, x_groups=groups[0], y_groups=groups[1]))

    numeric = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
    gradient = kernel.vjp(X, Y, W, x_groups=groups[0], y_groups=groups[1])
    assert abs(np.sum(gradient * direction) - numeric) <= 1e-8 * np.linalg.norm(gradient)
    W = rng.normal(size=(7, 7))
    both = kernel.vjp(X, X, W + W.T, x_groups=groups[0], y_groups=groups[0])
    assert np.array_equal(kernel.vjp(X, None, W, x_groups=groups[0]), both)


def test_rematch_against_high_precision():
    X, gamma = random_rows([3, 2]), mpmath.mpf("0.2")
    with mpmath.workdps(40):
        k = mpmath.matrix((X.features[:3] @ X.features[3:].T).tolist())
        E = k.apply(lambda value: mpmath.exp(2 * value / gamma))
        u = [mpmath.mpf(1)] * 3
        for _ in range(2000):
            v = [1 / (2 * sum(u[i] * E[i, j] for i in range(3))) for j in range(2)]
            u = [1 / (3 * sum(E[i, j] * v[j] for j in range(2))) for i in range(3)]
        value = sum(u[i] * E[i, j] * v[j] * k[i, j] for i in range(3) for j in range(2))
    kernel = REMatch(match_groups=False, normalize=False, gamma=float(gamma), tolerance=1e-15)
    assert abs(kernel(X[:1], X[1:])[0, 0] - float(value)) <= 1e-15


def test_rematch_limits():
    X = random_rows([6, 6, 6, 9, 4])
    options = {"match_groups": False, "normalize": False}
    average = Average(Polynomial(zeta=2), **options)(X)
    errors = [np.abs(REMatch(Polynomial(zeta=2), gamma=g, **options)(X) - average).max() for g in (1e3, 1e5)]
    assert errors[0] <= 1e-3 and errors[1] <= 1.1e-2 * errors[0]  # first order in 1 / gamma
    best = np.empty((5, 5))
    for a in range(5):
        for b in range(5):
            k = Polynomial(zeta=2)(X[[a]].features, X[[b]].features)
            # structures of different size: every row as many times as the least common multiple needs
            size = np.lcm(*k.shape)
            k = np.repeat(np.repeat(k, size // k.shape[0], axis=0), size // k.shape[1], axis=1)
            best[a, b] = k[linear_sum_assignment(-k)].mean()
    K = REMatch(Polynomial(zeta=2), gamma=1e-3, **options)(X)
    assert np.abs(K - best).max() <= 1e-3 and np.all(K <= best + 1e-9) and np.all(K > average)
    same = REMatch(Polynomial(zeta=2), gamma=3e-4, **options)(X[:3])
    assert np.abs(same - best[:3, :3]).max() <= 1e-8


def test_rematch_margins_follow_weights():
    # a row of weight 2 counts as two equal rows
    X = random_rows([4, 3])
    order = [0, 0, 1, 2, 3]
    twice = StructureRows(X.features[order], [0, 5], X.groups[order])
    weighted = StructureRows(X.features[:4], [0, 4], X.groups[:4], [2.0, 1, 1, 1])
    kernel = REMatch(gamma=0.2, tolerance=1e-14)
    assert np.abs(kernel(twice, X) - kernel(weighted, X)).max() <= 1e-13


def test_rematch_that_does_not_converge_says_so():
    X = random_rows([6, 5])
    with pytest.warns(UserWarning, match=r"of 1 pairs of structures did not reach tolerance=1e-09 in 2 sweeps"):
        REMatch(gamma=0.1, max_sweeps=2, normalize=False)(X[:1], X[1:])


def test_rule_of_scalings():
    """DScribe's rule: v first, tested in every sweep but each fifth, counted from 0; and the numbers it gave."""

    def value(k, alpha, threshold):
        E, u, v = np.exp(-(1 - k) / alpha), np.full(len(k), 1 / len(k)), np.full(k.shape[1], 1 / k.shape[1])
        change, sweep = 1.0, 0
        while change > threshold:
            before = u, v
            v = 1 / k.shape[1] / (E.T @ u)
            u = 1 / len(k) / (E @ v)
            if sweep % 5:
                change = sum(np.sum((a - b) ** 2) / np.sum(a**2) for a, b in zip((u, v), before, strict=True))
            sweep += 1
        return np.sum(u[:, None] * E * v * k), sweep

    X, sweeps = random_rows([3, 5, 4, 8, 6], 1), set()
    for alpha, threshold in [(0.3, 1e-3), (0.1, 1e-6), (0.05, 1e-6), (0.02, 1e-4), (1.0, 1e-9)]:
        options = {"gamma": 2 * alpha, "tolerance": threshold, "stop": "scalings", "match_groups": False}
        K = REMatch(**options, normalize=False)(X)
        for a in range(5):
            for b in range(a, 5):
                expected, n = value(X[[a]].features @ X[[b]].features.T, alpha, threshold)
                sweeps.add(n)
                assert abs(K[a, b] - expected) <= 1e-13 and K[b, a] == K[a, b]
    assert {2, 3, 5, 7} <= sweeps


def test_linear_equals_dot_product_of_summed_features():
    X = random_rows([3, 5, 4])
    summed = X.sums(X.features)
    assert np.abs(Sum(match_groups=False)(X) - summed @ summed.T).max() <= 1e-13
    mean = summed / X.counts[:, None]
    assert np.abs(Average(match_groups=False, normalize=False)(X) - mean @ mean.T).max() <= 1e-14


@pytest.mark.parametrize("structures", [False, True])
def test_multi_kernel(structures):
    X, Y = random_rows([3, 5, 4], n_features=7), random_rows([2, 6], 1, n_features=7)
    wrap = (lambda kernel: Sum(kernel, match_groups=False)) if structures else (lambda kernel: kernel)
    rows = (lambda R: R) if structures else (lambda R: R.features)
    kernel = MultiKernel([(0.5, wrap(Linear()), slice(0, 3)), (2.0, wrap(Linear()), [3, 5])])
    scale = np.sqrt([0.5, 0.5, 0.5, 2.0, 0, 2.0, 0])
    x, y = (StructureRows(R.features * scale, R.offsets, R.groups) for R in (X, Y))
    expected = wrap(Linear())(rows(x), rows(y))
    assert np.abs(kernel(rows(X), rows(Y)) - expected).max() <= 1e-13
    parts = kernel.components(rows(X), rows(Y))
    assert np.abs(np.tensordot(kernel.weights, parts, 1) - expected).max() <= 1e-13
    rng = np.random.default_rng(0)
    W = rng.normal(size=expected.shape)
    dX = wrap(Linear()).vjp(rows(x), rows(y), W) * scale
    assert np.abs(kernel.vjp(rows(X), rows(Y), W) - dX).max() <= 1e-13
    own = rng.normal(size=(len(rows(X)), len(rows(X))))
    assert np.array_equal(kernel.vjp(rows(X), None, own), kernel.vjp(rows(X), rows(X), own + own.T))
    sets = [MultiRows(*(rows(R) for R in (one.columns(slice(0, 3)), one.columns([3, 5])))) for one in (X, Y)]
    kernel = MultiKernel([(0.5, wrap(Linear())), (2.0, wrap(Linear()))])
    assert np.abs(kernel(*sets) - expected).max() <= 1e-13
    assert np.abs(np.concatenate(kernel.vjp(*sets, W), axis=1) - dX[:, [0, 1, 2, 3, 5]]).max() <= 1e-13
    W = np.random.default_rng(1).normal(size=(len(sets[0]), len(sets[0])))
    both = np.concatenate(kernel.vjp(sets[0], None, W), axis=1)
    assert np.abs(both - np.concatenate(kernel.vjp(sets[0], sets[0], W + W.T), axis=1)).max() <= 1e-13
    assert np.abs(kernel.diag(sets[0]) - kernel(sets[0]).diagonal()).max() <= 1e-13
    y = rng.normal(size=(len(sets[0]), 2))
    both = KRR(kernel, alpha=0.1).fit(sets[0], y).gradient(sets[1])
    for t in range(2):
        one = KRR(kernel, alpha=0.1).fit(sets[0], y[:, t]).gradient(sets[1])
        for several, single in zip(both, one, strict=True):
            assert np.abs(several[t] - single).max() <= 1e-13


SPECIES = ["H", "C", "O"]


@pytest.fixture(scope="module")
def molecules():
    rng = np.random.default_rng(0)
    frames = []
    for name in ["H2O", "CH4", "CH3OH", "CO2", "H2CO", "C2H4"] * 4:
        atoms = molecule(name)
        atoms.positions += rng.normal(scale=0.05, size=atoms.positions.shape)
        frames.append(atoms)
    return frames, rng.normal(size=len(frames))


SOAP_SETTINGS = SOAP(SPECIES, 3.5, 3, 2, 0.4)
MODELS = [
    Sum(Polynomial(zeta=2)),
    Average(),
    REMatch(Polynomial(zeta=2), gamma=0.5, tolerance=1e-13),
    MultiKernel([(1.0, REMatch(gamma=1.0, tolerance=1e-13)), (0.5, Sum(), slice(0, 20))]),
]


@pytest.mark.parametrize("kernel", MODELS, ids=repr)
@pytest.mark.parametrize("model", [KRR(alpha=1e-2), GPR(noise=0.1, delta=2.0)], ids=lambda m: type(m).__name__)
def test_models_on_structures(molecules, model, kernel):
    frames, y = molecules
    rows = StructureRows.of(SOAP_SETTINGS, frames)
    model = clone(model).set_params(kernel=kernel).fit(rows[:18], y[:18])
    prediction = model.predict(rows[18:])
    precomputed = clone(model).set_params(kernel="precomputed").fit(kernel(rows[:18]), y[:18])
    assert np.abs(prediction - precomputed.predict(kernel(rows[18:], rows[:18]))).max() <= 1e-10
    # leave-one-out and folds in closed form, of several targets
    both = clone(model).fit(rows[:18], np.stack([y[:18], y[:18] ** 2], axis=1))
    for folds in (np.arange(18), np.arange(18) % 5):
        out = folds == 3
        rest = clone(model).fit(rows[np.flatnonzero(~out)], np.stack([y[:18], y[:18] ** 2], axis=1)[~out])
        expected = np.stack([y[:18], y[:18] ** 2], axis=1)[out] - rest.predict(rows[np.flatnonzero(out)])
        assert np.abs(both.leave_one_out(folds)[out] - expected).max() <= 1e-8
    # forces
    atoms, h = frames[20].copy(), 1e-4
    forces = -SOAP_SETTINGS.vjp(atoms, model.gradient(StructureRows.of(SOAP_SETTINGS, atoms)))[0]
    numeric = np.empty_like(forces)
    for i, a in np.ndindex(forces.shape):
        moved = []
        for step in (h, -h, 2 * h, -2 * h):
            moved.append(atoms.copy())
            moved[-1].positions[i, a] += step
        e = model.predict(StructureRows.of(SOAP_SETTINGS, moved))
        numeric[i, a] = -(8 * (e[0] - e[1]) - (e[2] - e[3])) / (12 * h)
    assert np.abs(forces - numeric).max() <= 1e-7 * np.abs(forces).max()
    gradients = both.gradient(rows[18:])
    assert gradients.shape == (2, *rows[18:].features.shape)
    assert np.abs(gradients[0] - model.gradient(rows[18:])).max() <= 1e-9 * np.abs(gradients).max()


def test_gradient_of_models_on_rows():
    rng = np.random.default_rng(0)
    X, x = rng.normal(size=(60, 3)), rng.normal(size=(5, 3))
    groups, new = np.arange(60) % 2, np.arange(5) % 2
    model = GPR(Gaussian(length_scale=1.5), noise=0.1).fit(X, np.sin(X[:, 0]), groups=groups)
    h = 1e-4
    for d in range(3):
        step = h * np.eye(3)[d]
        numeric = (model.predict(x + step, groups=new) - model.predict(x - step, groups=new)) / (2 * h)
        assert np.abs(model.gradient(x, groups=new)[:, d] - numeric).max() <= 1e-7
    with pytest.raises(DataError, match="both fit and predict"):
        model.gradient(x)
    with pytest.raises(ConfigError, match="no gradient: Laplacian"):
        KRR(Laplacian()).fit(X, X[:, 0]).gradient(x)
    with pytest.raises(ConfigError, match="'precomputed' has no gradient"):
        KRR("precomputed").fit(np.eye(3), np.ones(3)).gradient(np.eye(3))


def test_error_bars_on_structures(molecules):
    frames, y = molecules
    rows = StructureRows.of(SOAP_SETTINGS, frames)
    model = GPR(Sum(Polynomial(zeta=2)), noise=0.1, delta=0.5).fit(rows[:18], y[:18])
    K, k, own = (Sum(Polynomial(zeta=2))(*pair) for pair in ((rows[:18],), (rows[18:], rows[:18]), (rows[18:],)))
    covariance = 0.25 * (own - k @ np.linalg.solve(K + 0.04 * np.eye(18), k.T))
    assert np.abs(model.predict(rows[18:], return_std=True)[1] - np.sqrt(covariance.diagonal())).max() <= 1e-8
    assert np.abs(model.predict(rows[18:], return_cov=True)[1] - covariance).max() <= 1e-9


def test_tools_of_scikit_learn(molecules):
    frames, y = molecules
    rows = StructureRows.of(SOAP_SETTINGS, frames)
    kernel, folds = REMatch(Polynomial(zeta=2)), KFold(4, shuffle=True, random_state=0)
    scores = cross_val_score(KRR(kernel, alpha=1e-2), rows, y, cv=folds)
    expected = cross_val_score(KRR("precomputed", alpha=1e-2), kernel(rows), y, cv=folds)
    assert np.abs(scores - expected).max() <= 1e-7
    search = GridSearchCV(KRR(alpha=1e-2), {"kernel": [kernel, Average(Polynomial(zeta=2))]}, cv=folds).fit(rows, y)
    assert search.best_params_["kernel"] in (kernel, Average(Polynomial(zeta=2)))
    mask = np.arange(len(rows)) % 3 == 0
    assert len(rows[mask]) == mask.sum() and len(rows[-1]) == 1
    assert np.array_equal(rows[mask].features, np.concatenate([rows[[s]].features for s in np.flatnonzero(mask)]))


@pytest.mark.parametrize("normalize", [False, True])
def test_average_soap_is_the_power_spectrum_of_averaged_coefficients(molecules, normalize):
    frames, _ = molecules
    settings = {"radial_scaling": {"rate": 1.0, "scale": 2.0, "exponent": 4}, "normalize": normalize}
    descriptor = AverageSOAP(SPECIES, 3.5, 3, 2, 0.4, **settings)
    soap = SOAP(SPECIES, 3.5, 3, 2, 0.4, **settings)
    assert descriptor.feature_labels() == soap.feature_labels()
    rows = descriptor.transform(frames[:6])

    def lm(order):
        return slice(order**2, (order + 1) ** 2)

    for atoms, row in zip(frames, rows, strict=False):
        c = soap.coefficients(atoms).mean(axis=0)
        expected = []
        for a, b, n, m, order in soap.feature_labels():
            a, b = SPECIES.index(a), SPECIES.index(b)
            p = np.sum(c[a, lm(order), n] * c[b, lm(order), m]) / np.sqrt(2 * order + 1)
            expected.append(p * (1 if (a, n) == (b, m) else np.sqrt(2)))
        expected = np.array(expected) / (np.linalg.norm(expected) if normalize else 1)
        assert np.abs(row - expected).max() <= 1e-13 * np.abs(expected).max()
    alone = SOAP(["H"], 3.5, 3, 2, 0.4).transform(Atoms("H"))
    assert np.abs(AverageSOAP(["H"], 3.5, 3, 2, 0.4).transform(Atoms("H")) - alone).max() <= 1e-15
    with pytest.raises(ConfigError, match="use gradients"):
        descriptor.raw_gradients(frames[0])
    with pytest.raises(ConfigError, match="use transform"):
        descriptor.transform_blocks(frames[0])


def indefinite_rows():
    """Structures on a circle of which REMatch with a small gamma makes an indefinite matrix."""
    return random_rows([3] * 40, 7, n_features=4)


def test_indefinite_matrices_are_told():
    rows = indefinite_rows()
    kernel = REMatch(match_groups=False, gamma=0.01)
    assert np.linalg.eigvalsh(kernel(rows))[0] < -1e-3
    with pytest.warns(UserWarning, match=r"not positive semidefinite: its smallest eigenvalue.*Use a larger gamma"):
        KRR(kernel, alpha=10.0).fit(rows, np.arange(40.0))
    with pytest.warns(UserWarning, match="not positive semi"), pytest.raises(DataError, match="Raise alpha"):
        KRR(kernel, alpha=1e-9).fit(rows, np.arange(40.0))
    KRR(REMatch(match_groups=False, gamma=1e6), alpha=1e-6).fit(rows, np.arange(40.0))  # no warning


def test_messages(molecules):
    X = random_rows([3, 4])
    with pytest.raises(DataError, match="structure 1 has no rows"):
        StructureRows(np.ones((3, 2)), [0, 3, 3])
    with pytest.raises(DataError, match="offsets must run from 0 to 3"):
        StructureRows(np.ones((3, 2)), [0, 2])
    with pytest.raises(DataError, match=r"weights has shape \(2,\)"):
        StructureRows(np.ones((3, 2)), [0, 3], weights=[1.0, 1.0])
    with pytest.raises(DataError, match="weights must be finite"):
        StructureRows(np.ones((3, 2)), [0, 1, 3], weights=[0.0, 1.0, 1.0])
    with pytest.raises(DataError, match="compare StructureRows"):
        Sum()(np.ones((3, 2)))
    with pytest.raises(DataError, match="have 6 features, rows of Y 2"):
        Sum(match_groups=False)(X, StructureRows(np.ones((3, 2)), [0, 3]))
    with pytest.raises(ConfigError, match="X has no groups"):
        Sum()(StructureRows(np.ones((3, 2)), [0, 3]))
    with pytest.raises(ConfigError, match="Y has no weights"):
        Weighted()(StructureRows(X.features, X.offsets, X.groups, np.ones(7)), X)
    with pytest.raises(ConfigError, match="group 2 of X has no weight"):
        Weighted(weights={0: 1.0, 1: 1.0})(X)
    with pytest.raises(DataError, match=r"structure 0 is 0\.0, which cannot be normalised"):
        Average(match_groups=False)(StructureRows(np.zeros((3, 2)), [0, 3]))
    with pytest.raises(ConfigError, match="REMatch has no gradient: Laplacian"):
        REMatch(Laplacian()).vjp(X, X, np.ones((2, 2)))
    with pytest.raises(DataError, match=r"dL_dK has shape \(1, 2\)"):
        Sum().vjp(X, X, np.ones((1, 2)))
    with pytest.raises(DataError, match=r"out is a float64 array of shape \(1, 1\)"):
        Sum()(X, out=np.empty((1, 1)))
    for bad in ({"gamma": 0.0}, {"tolerance": -1.0}, {"max_sweeps": 0}, {"stop": "never"}):
        with pytest.raises(ConfigError, match=next(iter(bad))):
            REMatch(**bad)
    with pytest.raises(ConfigError, match=r"Sum\(local\)='linear' is not a kernel"):
        Sum("linear")
    with pytest.raises(ConfigError, match="compares rows, and X are structures"):
        KRR(Gaussian()).fit(X, np.ones(2))
    with pytest.raises(ConfigError, match="groups of structures come with the rows"):
        KRR(Sum()).fit(X, np.ones(2), groups=np.ones(2))
    with pytest.raises(ConfigError, match="not structures; use GPR or KRR"):
        SparseGPR().fit(X, np.ones(2))
    with pytest.raises(DataError, match=r"X\.features\[0, 1\] is nan"):
        KRR(Sum()).fit(StructureRows([[1.0, np.nan]], [0, 1], [1]), [1.0])
    with pytest.raises(DataError, match="expected the same samples"):
        MultiRows(np.ones((3, 1)), np.ones((2, 1)))
    with pytest.raises(ConfigError, match=r"terms\)\[0\]=1\.0: expected"):
        MultiKernel([1.0])
    with pytest.raises(DataError, match="2 sets of rows, the kernel 1 terms"):
        MultiKernel([(1.0, Linear())])(MultiRows(np.ones((3, 1)), np.ones((3, 1))))
    with pytest.raises(DataError, match="columns of term 0 go up to 9, but X has 3 features"):
        MultiKernel([(1.0, Linear(), [0, 9])])(np.ones((2, 3)))
    with pytest.raises(DataError, match="X holds no structures"):
        KRR(REMatch()).fit(X[:0], np.ones(0))
