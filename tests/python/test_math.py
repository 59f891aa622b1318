"""The mathematics below the bases, against scipy, mpmath and identities."""

import mpmath
import numpy as np
import pytest
from mercer._core import core
from scipy import special


def unit_vectors(n, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(n, 3))
    return vectors / np.linalg.norm(vectors, axis=1)[:, None]


def reference_harmonics(l_max, vectors):
    """Real orthonormal harmonics from the associated Legendre functions, whose Condon-Shortley sign is taken out."""
    x, y, z = vectors.T
    phi = np.arctan2(y, x)
    rows = []
    for ell in range(l_max + 1):
        for m in range(-ell, ell + 1):
            k = abs(m)
            norm = np.sqrt((2 * ell + 1) / (4 * np.pi) * special.factorial(ell - k) / special.factorial(ell + k))
            angle = {-1: np.sin(k * phi), 0: np.ones_like(phi), 1: np.cos(k * phi)}[int(np.sign(m))]
            rows.append((np.sqrt(2) if m else 1) * norm * (-1) ** k * special.lpmv(k, ell, z) * angle)
    return np.array(rows)


# lengths around the blocks of eight vectors, and one long
@pytest.mark.parametrize("n", [0, 1, 3, 7, 8, 9, 16, 29, 300])
def test_harmonics_for_any_number_of_vectors(n):
    vectors = unit_vectors(n)
    values, gradients = core.spherical_harmonics(5, vectors, True)
    assert values.shape == (36, n) and gradients.shape == (36, 3, n)
    assert np.abs(values - reference_harmonics(5, vectors)).max(initial=0) <= 1e-14
    assert np.abs(core.spherical_harmonics(5, vectors) - values).max(initial=0) <= 1e-15


@pytest.mark.parametrize("l_max", [0, 1, 2, 6, 12])
def test_harmonics_equal_scipy(l_max):
    vectors = np.vstack([unit_vectors(40), np.eye(3), -np.eye(3)])  # the poles and the axes too
    error = np.abs(core.spherical_harmonics(l_max, vectors) - reference_harmonics(l_max, vectors)).max()
    assert error <= 1e-13


def test_harmonics_have_no_phase():
    y00, y1m1, y10, y11 = core.spherical_harmonics(1, np.array([[0.6, 0.0, 0.8]]))[:, 0]
    scale = np.sqrt(3 / (4 * np.pi))
    assert np.abs(np.array([y00, y1m1, y10, y11]) - [0.5 / np.sqrt(np.pi), 0, 0.8 * scale, 0.6 * scale]).max() <= 1e-16


@pytest.mark.parametrize("l_max", [6, 20, 40])
def test_addition_theorem(l_max):
    vectors = unit_vectors(21)
    values = core.spherical_harmonics(l_max, vectors)
    for ell in range(l_max + 1):
        block = values[ell * ell : (ell + 1) ** 2]
        expected = (2 * ell + 1) / (4 * np.pi) * special.eval_legendre(ell, np.clip(vectors @ vectors.T, -1, 1))
        assert np.abs(block.T @ block - expected).max() <= 1e-13 * (2 * ell + 1)


def test_gradients_of_harmonics():
    l_max, step = 9, 1e-4
    vectors = np.vstack([unit_vectors(20), np.eye(3), -np.eye(3)])
    _, gradients = core.spherical_harmonics(l_max, vectors, True)
    assert np.abs(np.einsum("map,pa->mp", gradients, vectors)).max() <= 1e-12  # tangent to the sphere

    def homogeneous(points):  # constant along the radius, so that its gradient is the one on the sphere
        points = np.ascontiguousarray(points / np.linalg.norm(points, axis=1)[:, None])
        return core.spherical_harmonics(l_max, points)

    for a in range(3):
        shift = step * np.eye(3)[a]
        near = (homogeneous(vectors + shift) - homogeneous(vectors - shift)) / (2 * step)
        far = (homogeneous(vectors + 2 * shift) - homogeneous(vectors - 2 * shift)) / (4 * step)
        assert np.abs(gradients[:, a] - (4 * near - far) / 3).max() <= 1e-9


def test_refusals_of_harmonics():
    with pytest.raises(ValueError, match="expected l_max >= 0, got -1"):
        core.spherical_harmonics(-1, np.ones((1, 3)))
    with pytest.raises(ValueError, match=r"expected shape \(n, 3\), got \(3, 2\)"):
        core.spherical_harmonics(2, np.ones((3, 2)))


@pytest.mark.parametrize("n", [1, 2, 5, 32, 101, 250])
def test_gauss_legendre(n):
    nodes, weights = map(np.array, core.gauss_legendre(n, -1.0, 1.0))
    expected_nodes, expected_weights = np.polynomial.legendre.leggauss(n)
    assert np.abs(nodes - expected_nodes).max() <= 1e-15
    assert np.abs(weights - expected_weights).max() <= 5e-14  # numpy's own rounding
    shifted, scaled = map(np.array, core.gauss_legendre(n, 1.0, 3.0))
    degree = min(2 * n - 1, 12)
    exact = (3.0 ** (degree + 1) - 1) / (degree + 1)
    assert abs(scaled @ shifted**degree - exact) <= 1e-14 * exact


@pytest.mark.parametrize("x", [0.0, 1e-12, 1e-3, 0.7, 5.0, 48.0, 300.0, 2e4])
def test_modified_bessel_functions_relative_to_each(x):
    values = core.scaled_spherical_bessel_i(20, x)
    with mpmath.workdps(40):
        for ell, value in enumerate(values):
            if x == 0:
                expected = mpmath.mpf(ell == 0)
            else:
                expected = mpmath.sqrt(mpmath.pi / (2 * x)) * mpmath.besseli(ell + 0.5, x) * mpmath.exp(-mpmath.mpf(x))
            assert abs(value - expected) <= 4e-16 * expected + 1e-300


@pytest.mark.parametrize("x", [0.0, 1e-5, 0.05, 0.099, 0.5, 3.0, np.pi, 4.493409, 11.0, 19.9, 20.1, 60.0])
def test_bessel_functions(x):
    values = core.spherical_bessel_j(20, x)
    with mpmath.workdps(40):
        for ell, value in enumerate(values):
            if x == 0:
                expected = mpmath.mpf(ell == 0)
            else:
                expected = mpmath.sqrt(mpmath.pi / (2 * x)) * mpmath.besselj(ell + 0.5, x)
            assert abs(value - expected) <= 1e-15 * abs(expected) + 1e-17 * (x > 1)


def test_zeros_of_bessel_functions():
    zeros = np.array(core.spherical_bessel_zeros(12, 20))
    assert zeros.shape == (13, 20)
    for ell in (0, 1, 5, 12):
        for n in (0, 7, 19):
            assert abs(zeros[ell, n] - float(mpmath.besseljzero(ell + 0.5, n + 1))) <= 1e-14 * zeros[ell, n]
    assert (np.diff(zeros, axis=1) > 3).all() and (np.diff(zeros, axis=0) > 0).all()


def ulps(values, expected):
    return np.abs(values.astype(np.longdouble) - expected) / np.spacing(expected.astype(values.dtype))


@pytest.mark.parametrize(
    ("function", "dtype", "low", "high"),
    [(core.vector_exp, np.float64, -745.1, 709.7), (core.vector_exp_float32, np.float32, -103.9, 88.7)],
)
def test_exponential(function, dtype, low, high):
    x = np.concatenate([np.linspace(low, high, 100003), np.linspace(-2, 2, 10000), [0.0, -0.0]]).astype(dtype)
    expected = np.exp(x.astype(np.longdouble))
    assert ulps(function(x), expected).max() <= 2
    special_cases = function(np.array([-np.inf, np.inf, np.nan, 10 * low, 10 * high], dtype=dtype))
    assert special_cases[0] == 0 and special_cases[1] == np.inf and np.isnan(special_cases[2])
    assert special_cases[3] == 0 and special_cases[4] == np.inf
    assert function(np.zeros(1, dtype))[0] == 1
