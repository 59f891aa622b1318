"""Kernels against their formulas, and the blocked driver against one pair at a time."""

import dataclasses
import math

import mercer
import mpmath
import numpy as np
import pytest
from mercer import kernels
from mercer._core import core
from mercer.errors import ConfigError, DataError
from mercer.kernels import (
    KERNELS,
    Gaussian,
    Laplacian,
    Linear,
    Matern,
    Polynomial,
    RationalQuadratic,
    get_kernel,
)

#: Kernels with their k(u) in extended precision.
FORMULAS = {
    Linear(): lambda u: u,
    Polynomial(zeta=1): lambda u: u,
    Polynomial(zeta=4): lambda u: u**4,
    Polynomial(zeta=7): lambda u: u**7,
    Polynomial(zeta=2.5): lambda u: u ** mpmath.mpf(2.5),
    Gaussian(length_scale=0.7): lambda u: mpmath.exp(-u / (2 * mpmath.mpf(0.7) ** 2)),
    Laplacian(length_scale=3.0): lambda u: mpmath.exp(-u / 3),
    Matern(nu=0.5, length_scale=1.5): lambda u: matern(0.5, mpmath.mpf(1.5), u),
    Matern(nu=1.5, length_scale=1.5): lambda u: matern(1.5, mpmath.mpf(1.5), u),
    Matern(nu=2.5, length_scale=1.5): lambda u: matern(2.5, mpmath.mpf(1.5), u),
    RationalQuadratic(alpha=1, length_scale=0.8): lambda u: rational_quadratic(1, mpmath.mpf(0.8), u),
    RationalQuadratic(alpha=3.0, length_scale=0.8): lambda u: rational_quadratic(3, mpmath.mpf(0.8), u),
    RationalQuadratic(alpha=0.3, length_scale=0.8): lambda u: rational_quadratic(mpmath.mpf(0.3), mpmath.mpf(0.8), u),
}
WITH_FORMULA = pytest.mark.parametrize("kernel", FORMULAS, ids=repr)

#: These and every other kernel of the registry with its defaults: what each kernel must do whatever its formula.
NAMES = {kernel.name for kernel in FORMULAS}
ALL = pytest.mark.parametrize("kernel", [*FORMULAS, *(KERNELS[n]() for n in sorted(KERNELS.keys() - NAMES))], ids=repr)


def matern(nu, length_scale, u):
    """The general formula with the modified Bessel function (Rasmussen and Williams 2006, eq. 4.14)."""
    nu = mpmath.mpf(nu)
    t = mpmath.sqrt(2 * nu * u) / length_scale
    return 2 ** (1 - nu) / mpmath.gamma(nu) * t**nu * mpmath.besselk(nu, t) if t else mpmath.mpf(1)


def rational_quadratic(alpha, length_scale, u):
    return (1 + u / (2 * alpha * length_scale**2)) ** -alpha


def argument(kernel, x, y):
    """u of two rows in extended precision."""
    pairs = [(mpmath.mpf(float(a)), mpmath.mpf(float(b))) for a, b in zip(x, y, strict=True)]
    if kernel.argument == "dot":
        return mpmath.fsum(a * b for a, b in pairs)
    if kernel.argument == "squared_distance":
        return mpmath.fsum((a - b) ** 2 for a, b in pairs)
    return mpmath.fsum(abs(a - b) for a, b in pairs)


def argument_matrix(kernel, X, Y):
    if kernel.argument == "dot":
        return X @ Y.T
    difference = X[:, None, :] - Y[None, :, :]
    return (difference**2).sum(-1) if kernel.argument == "squared_distance" else np.abs(difference).sum(-1)


def brute_force(kernel, X, Y):
    u = argument_matrix(kernel, X, Y)
    return kernel.derivatives(u.ravel())[0].reshape(u.shape)


def rows(n, n_features, seed=0):
    """Non-negative rows of length one, as those of a power spectrum."""
    X = np.abs(np.random.default_rng(seed).normal(size=(n, n_features)))
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def test_registry_is_the_table_of_the_core():
    table = core.kernel_table()
    assert set(table) == set(KERNELS)
    for name, cls in KERNELS.items():
        assert {field.name for field in dataclasses.fields(cls)} == set(table[name])
        assert cls.__name__ in kernels.__all__
        assert cls.__doc__.count("Source:") == 1


@WITH_FORMULA
def test_formula(kernel):
    X, Y = rows(5, 7, 1), rows(4, 7, 2)
    K = kernel(X, Y)
    for i, x in enumerate(X):
        for j, y in enumerate(Y):
            exact = FORMULAS[kernel](argument(kernel, x, y))
            assert abs(K[i, j] - exact) <= 5e-15 * abs(exact)


@WITH_FORMULA
def test_values_over_many_magnitudes(kernel):
    """Values and derivatives of k(u) in one dimension, where u is exact, from tiny to large."""
    u = np.concatenate([np.logspace(-18, 2, 21), [1.0]])
    k, dk, d2k = kernel.derivatives(u)
    with mpmath.workdps(120):
        for i, x in enumerate(u):
            point = mpmath.mpf(float(x))
            for order, got in enumerate((k, dk, d2k)):
                # each derivative by differences of the formula in 120 digits
                step = point * mpmath.mpf(10) ** -12
                f = FORMULAS[kernel]
                exact = (
                    f(point),
                    (f(point + step) - f(point - step)) / (2 * step),
                    (f(point + step) - 2 * f(point) + f(point - step)) / step**2,
                )[order]
                assert abs(got[i] - exact) <= 2e-13 * abs(exact) + 1e-300, (x, order)


@ALL
def test_derivatives_are_those_of_the_value(kernel):
    u, h = np.array([0.05, 0.3, 1.0, 2.5]), 1e-5
    _, dk, d2k = kernel.derivatives(u)
    (above, slope_above, _), (below, slope_below, _) = kernel.derivatives(u + h), kernel.derivatives(u - h)
    np.testing.assert_allclose(dk, (above - below) / (2 * h), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(d2k, (slope_above - slope_below) / (2 * h), rtol=1e-5, atol=1e-8)


@ALL
def test_array_value_is_scalar_value(kernel):
    """The vectorised values of a long row, its remainder included, are those of k(u)."""
    for n in (1, 2, 31, 32, 33, 255, 257, 530):
        Y = np.linspace(0.0, 3.0, n)[:, None]
        K = kernel(np.ones((1, 1)), Y)
        np.testing.assert_allclose(K, brute_force(kernel, np.ones((1, 1)), Y), rtol=1e-12, atol=1e-300)


@ALL
def test_gradient_exists_where_it_says(kernel):
    """differentiable: k(x, y) has equal one-sided slopes at x = y."""
    x, h = np.array([[0.3, 0.4]]), 1e-6
    step = np.array([[h, 0.0]])
    left, right = kernel(x, x - step)[0, 0], kernel(x, x + step)[0, 0]
    kink = abs(left - 2 * kernel(x, x)[0, 0] + right) / h
    assert kernel.differentiable == (kink <= 1e-3)
    if kernel.differentiable:
        assert np.isfinite(kernel.derivatives([0.0])[1]).all()


def test_differentiable_flags():
    not_smooth = {repr(kernel) for kernel in FORMULAS if not kernel.differentiable}
    assert not_smooth == {"Laplacian(length_scale=3.0)", "Matern(nu=0.5, length_scale=1.5)"}
    assert not Polynomial(zeta=0.5).differentiable


@ALL
@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (1, 700, 3), (3, 2, 1), (65, 63, 10), (150, 600, 17), (530, 600, 6), (1100, 1030, 2)], ids=str
)
def test_gram_of_any_shape(kernel, shape):
    n, m, n_features = shape
    X, Y = rows(n, n_features, 3), rows(m, n_features, 4)
    K = kernel(X, Y)
    assert K.shape == (n, m) and K.dtype == np.float64 and K.flags.c_contiguous
    # values of distances that the driver takes directly differ most from those by products
    np.testing.assert_allclose(K, brute_force(kernel, X, Y), rtol=1e-11, atol=1e-13)


@ALL
def test_symmetric_and_positive(kernel):
    X = rows(600, 20, 5)
    K = kernel(X)
    assert np.array_equal(K, K.T)
    np.testing.assert_allclose(K, kernel(X, X.copy()), rtol=1e-13)
    np.testing.assert_allclose(np.diag(K), kernel.diag(X), rtol=1e-14)
    if kernel != Polynomial(zeta=2.5):  # real powers need not be positive
        eigenvalues = np.linalg.eigvalsh(K)
        assert eigenvalues[0] >= -1e-10 * eigenvalues[-1]
        assert eigenvalues[-1] > 0


@ALL
def test_groups(kernel):
    X, Y = rows(600, 9, 6), rows(130, 9, 7)
    rng = np.random.default_rng(8)
    gx, gy = rng.choice([1, 6, 8, 14], 600), rng.choice([1, 8, 6, 7], 130)
    expected = np.where(gx[:, None] == gy[None, :], kernel(X, Y), 0.0)
    out = np.full((600, 130), np.nan)
    K = kernel(X, Y, x_groups=gx, y_groups=gy, out=out)
    assert K is out
    np.testing.assert_allclose(K, expected, rtol=1e-12, atol=1e-300)
    assert np.array_equal(K == 0, gx[:, None] != gy[None, :])
    # one side in one group, in order or not at all in the other
    for other in (6, 14, 99):
        K = kernel(X, Y, x_groups=gx, y_groups=np.full(130, other))
        np.testing.assert_allclose(K, np.where(gx[:, None] == other, kernel(X, Y), 0.0), rtol=1e-12)
    K = kernel(X, x_groups=gx)
    assert np.array_equal(K, K.T)
    np.testing.assert_allclose(K, np.where(gx[:, None] == gx[None, :], kernel(X), 0.0), rtol=1e-12)


@pytest.mark.parametrize("grouped", [False, True])
def test_factors(grouped):
    kernel = Gaussian(length_scale=0.4)
    X, Y = rows(300, 5, 9), rows(90, 5, 10)
    rng = np.random.default_rng(11)
    fx, fy = rng.uniform(size=300), rng.uniform(size=90)
    gx = rng.integers(0, 3, 300, dtype=np.int32) if grouped else None
    gy = rng.integers(0, 3, 90, dtype=np.int32) if grouped else None
    K = core.gram(kernel.to_core(), X, Y, None, gx, gy, fx, fy)
    expected = kernel(X, Y, x_groups=gx, y_groups=gy) * fx[:, None] * fy[None, :]
    np.testing.assert_allclose(K, expected, rtol=1e-14)
    K = core.gram(kernel.to_core(), X, X, None, gx, gx, fx, fx)
    assert np.array_equal(K, K.T)
    np.testing.assert_allclose(K, kernel(X, x_groups=gx) * np.outer(fx, fx), rtol=1e-14)


@WITH_FORMULA
def test_equal_and_nearly_equal_rows(kernel):
    """A distance keeps its digits however near the rows are to each other and however far from the origin."""
    if kernel.argument == "dot":
        return
    rng = np.random.default_rng(12)
    X = 100 + rng.normal(size=(80, 12))
    assert np.array_equal(np.diag(kernel(X, X.copy())), np.ones(80))
    assert np.array_equal(np.diag(kernel(X)), np.ones(80))
    for distance in (1e-9, 1e-6, 1e-3, 1e-1):
        Y = X + distance * rng.normal(size=X.shape)
        K = kernel(X, Y)
        for i in range(0, 80, 16):
            exact = FORMULAS[kernel](argument(kernel, X[i], Y[i]))
            # u is good to 1e-9 where it comes from products, and 1 - k is proportional to u or to its root
            assert abs(K[i, i] - exact) <= 1e-15 + 1e-9 * (1 - exact)


@WITH_FORMULA
@pytest.mark.parametrize("n_features", [1, 3, 8])
def test_distances_of_few_features_lose_no_digits(kernel, n_features):
    """Sparse points of pairs lie so densely that weights are 1e9 times the energies: every digit of k counts."""
    if kernel.argument == "dot":
        return
    rng = np.random.default_rng(13)
    X, Y = (100 + rng.normal(size=(n, n_features)) for n in (90, 37))
    exact = brute_force(kernel, X, Y)
    assert np.abs(kernel(X, Y) - exact).max() <= 3e-15


@ALL
def test_empty(kernel):
    assert kernel(np.zeros((0, 4)), np.zeros((3, 4))).shape == (0, 3)
    assert kernel(np.zeros((3, 4)), np.zeros((0, 4))).shape == (3, 0)
    assert kernel(np.zeros((0, 4))).shape == (0, 0)
    assert kernel.diag(np.zeros((0, 4))).shape == (0,)
    groups = kernel(np.zeros((0, 4)), np.ones((2, 4)), x_groups=[], y_groups=[1, 2])
    assert groups.shape == (0, 2)


@ALL
def test_single_precision(kernel):
    X, Y = rows(600, 40, 13), rows(70, 40, 14)
    K = kernel(X, Y, dtype=np.float32)
    assert K.dtype == np.float32
    np.testing.assert_allclose(K, kernel(X, Y), rtol=2e-4, atol=2e-6)
    assert kernel(X.astype(np.float32), Y).dtype == np.float64


@ALL
def test_threads_change_nothing(kernel):
    X, Y = rows(900, 30, 15), rows(333, 30, 16)
    gx, gy = np.arange(900) % 3, np.arange(333) % 4
    for arguments in ((X, Y), (X,)):
        one, two, three = (kernel(*arguments, n_threads=n) for n in (1, 2, 3))
        assert np.array_equal(one, two) and np.array_equal(one, three)
    one, two = (kernel(X, Y, x_groups=gx, y_groups=gy, n_threads=n) for n in (1, 2))
    assert np.array_equal(one, two)
    with mercer.threads(2):
        assert np.array_equal(kernel(X, Y), kernel(X, Y, n_threads=1))


def test_out():
    X, Y = rows(20, 3, 17), rows(10, 3, 18)
    out = np.empty((20, 10))
    assert Gaussian()(X, Y, out=out) is out
    assert np.array_equal(out, Gaussian()(X, Y))
    single = np.empty((20, 10), dtype=np.float32)
    assert Gaussian()(X, Y, out=single, dtype=np.float32) is single
    for bad in (np.empty((10, 20)), single, np.empty((10, 20)).T, [[0.0]], np.empty((20, 20))[:, ::2]):
        with pytest.raises(DataError, match="out"):
            Gaussian()(X, Y, out=bad)
    frozen = np.empty((20, 10))
    frozen.flags.writeable = False
    with pytest.raises(DataError, match="writeable"):
        Gaussian()(X, Y, out=frozen)
    square = rows(5, 5)
    with pytest.raises(DataError, match="shares memory"):
        Gaussian()(square, out=square)


def test_inputs_are_converted():
    X, Y = rows(6, 4, 19), rows(3, 4, 20)
    K = Polynomial()(X, Y)
    assert np.array_equal(Polynomial()(X.tolist(), np.asfortranarray(Y)), K)
    assert np.array_equal(Polynomial()(np.repeat(X, 2, axis=0)[::2], Y), K)
    integers = np.arange(6).reshape(3, 2)
    np.testing.assert_array_equal(Linear()(integers), integers @ integers.T)


@ALL
def test_nan_stays_nan(kernel):
    X, Y = rows(5, 6, 21), rows(4, 6, 22)
    X[2, 3] = np.nan
    K = kernel(X, Y)
    assert np.isnan(K[2]).all()
    assert np.isfinite(K[[0, 1, 3, 4]]).all()


@ALL
def test_round_trip(kernel):
    again = get_kernel(kernel.to_dict())
    assert again == kernel and hash(again) == hash(kernel)
    assert get_kernel(kernel) is kernel
    assert get_kernel(kernel.name) == KERNELS[kernel.name]()
    assert get_kernel({"type": kernel.name, **kernel.hyperparameters}) == kernel
    with pytest.raises(ConfigError, match="a 'type' and another 'name'"):
        get_kernel({"type": kernel.name, "name": "other"})
    assert kernel.to_dict() == {"name": kernel.name, **kernel.hyperparameters}
    assert all(type(value) in (int, float) for value in kernel.hyperparameters.values())
    with pytest.raises(dataclasses.FrozenInstanceError):
        kernel.length_scale = 3.0


@pytest.mark.parametrize("name", KERNELS)
def test_parameters_out_of_range(name):
    for field in dataclasses.fields(KERNELS[name]):
        optional = field.name == "offset"  # which may be 0, and missing
        for bad in (-1.0 if optional else 0, -1.0, math.nan, math.inf, "2", None, True):
            with pytest.raises(ConfigError, match=field.name):
                KERNELS[name](**{field.name: bad})
        for bad in (-1.0 if optional else 0.0, -1.0, math.nan, math.inf):
            with pytest.raises(ValueError, match=field.name):
                core.Kernel(name, KERNELS[name]().hyperparameters | {field.name: bad})
        others = {k: v for k, v in KERNELS[name]().hyperparameters.items() if k != field.name}
        if optional:
            np.testing.assert_array_equal(
                core.Kernel(name, others).derivatives(np.ones(1)), KERNELS[name]().derivatives(np.ones(1))
            )
            continue
        with pytest.raises(ValueError, match=f"{field.name} is missing"):
            core.Kernel(name, others)
    with pytest.raises(ValueError, match="unknown parameter width"):
        core.Kernel(name, KERNELS[name]().hyperparameters | {"width": 1.0})


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        ("polynomal", "Did you mean 'polynomial'"),
        ("nonsense", "known are gaussian, laplacian"),
        ({"name": "gaussian", "lengthscale": 1}, "Did you mean 'length_scale'"),
        ({"name": "linear", "zeta": 1}, "it has none"),
        ({"zeta": 1}, "no 'name'"),
        ({"name": "polynomial", "zeta": -1}, "zeta"),
        (3, "expected a kernel, a name or a dict"),
        ({"name": 3}, "expected a kernel, a name or a dict"),
    ],
)
def test_get_kernel_errors(kernel, message):
    with pytest.raises(ConfigError, match=message):
        get_kernel(kernel)


def test_core_names_known_kernels():
    with pytest.raises(ValueError, match="linear, polynomial, gaussian"):
        core.Kernel("nonsense", {})


def test_other_errors():
    X = rows(4, 3)
    with pytest.raises(ConfigError, match=r"0\.5, 1\.5 or 2\.5"):
        Matern(nu=2.0)
    with pytest.raises(DataError, match="rows of X have 3 features, rows of Y 2"):
        Gaussian()(X, X[:, :2])
    with pytest.raises(DataError, match=r"Y\.reshape\(1, -1\)"):
        Gaussian()(X, X[0])
    with pytest.raises(DataError, match="2 dimensions"):
        Gaussian().diag(X[0])
    with pytest.raises(ConfigError, match="float32"):
        Gaussian()(X, dtype=np.float16)
    with pytest.raises(DataError, match="x_groups"):
        Gaussian()(X, X[:2], x_groups=[1, 2], y_groups=[1, 2])
    with pytest.raises(DataError, match="integers"):
        Gaussian()(X, x_groups=[0.5] * 4)
    with pytest.raises(ConfigError, match="y_groups is missing"):
        Gaussian()(X, X[:2], x_groups=[1] * 4)
    with pytest.raises(ConfigError, match="without Y"):
        Gaussian()(X, x_groups=[1] * 4, y_groups=[1] * 4)


@pytest.mark.parametrize("zeta", [0.5, 2.5])
def test_real_power_of_a_negative_number(zeta):
    kernel = Polynomial(zeta=zeta)
    with pytest.raises(DataError, match="integer zeta"):
        kernel(np.ones((600, 1)), np.array([[1.0], [-1.0]]), n_threads=2)
    assert kernel([[1.0]], [[-1e-17]])[0, 0] == 0.0
    assert Polynomial(zeta=3)([[1.0]], [[-2.0]])[0, 0] == -8.0
