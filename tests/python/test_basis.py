"""Conformance of every radial basis and cutoff function of the tables, in Python and in the core."""

import dataclasses
import functools
import itertools
import math

import mpmath
import numpy as np
import pytest
from mercer import basis
from mercer._core import core
from mercer.errors import ConfigError, DataError
from scipy import optimize, special

# --- radial bases ---------------------------------------------------------------------------------------------------


def gaussian_in_waves(ell, s, r, sigma):
    """exp(-(s^2 + r^2) / 2 sigma^2) i_l(s r / sigma^2)."""
    x = s * r / sigma**2
    bessel = np.where(x > 0, special.ive(ell + 0.5, x) * np.sqrt(np.pi / (2 * np.maximum(x, 1e-300))), float(ell == 0))
    return np.exp(-((s - r) ** 2) / (2 * sigma**2)) * bessel


def gto_reference(r, n_max, l_max, r_cut, sigma, width, extra):
    """Closed form with 1F1 and a root of the overlap, in 40 digits."""
    mp = mpmath
    span = mp.mpf(r_cut - width if width < r_cut else r_cut)
    widths = [span * mp.sqrt(max(k, 1)) / n_max for k in range(n_max)]
    norms = [mp.sqrt(2 / (s ** (2 * k + 3) * mp.gamma(k + mp.mpf(3) / 2))) for k, s in enumerate(widths)]

    def overlap(a, b):
        h = mp.mpf(3 + a + b) / 2
        return norms[a] * norms[b] * mp.gamma(h) / 2 * (1 / (2 * widths[a] ** 2) + 1 / (2 * widths[b] ** 2)) ** (-h)

    eigenvalues, vectors = mp.eigsy(mp.matrix([[overlap(a, b) for b in range(n_max)] for a in range(n_max)]))
    root = vectors * mp.diag([1 / mp.sqrt(e) for e in eigenvalues]) * vectors.T
    sigma, r = mp.mpf(sigma), mp.mpf(r)

    def primitive(k, ell):
        s, half = widths[k], mp.mpf(k + ell + 3) / 2
        a = (1 / sigma**2 + 1 / s**2) / 2
        z = r**2 * s**2 / (2 * sigma**2 * (sigma**2 + s**2))
        factor = (
            4 * mp.pi * norms[k] * mp.sqrt(mp.pi) * mp.gamma(half) / (2 ** (ell + 2) * mp.gamma(ell + mp.mpf(3) / 2))
        )
        decay = a**-half * (r / sigma**2) ** ell * mp.exp(-(r**2) / (2 * (sigma**2 + s**2)))
        return factor * decay * mp.hyp1f1(mp.mpf(ell - k) / 2, ell + mp.mpf(3) / 2, -z)

    return np.array(
        [[float(v) for v in root * mp.matrix([primitive(k, ell) for k in range(n_max)])] for ell in range(l_max + 1)]
    )


def gap_reference(r, n_max, l_max, r_cut, sigma, width, extra):
    """Interpolation at the nodes and Cholesky factor of the closed-form overlap, in 40 digits."""
    mp = mpmath
    a = 1 / (2 * mp.mpf(sigma) ** 2)
    border = r_cut + mp.mpf(sigma) * mp.sqrt(2 * mp.mpf(extra.get("basis_error_exponent", 10)) * mp.log(10))
    nodes = [n * border / n_max for n in range(n_max)]

    def overlap(p, q):
        s, d = p + q, p - q
        gauss = mp.sqrt(mp.pi) * mp.exp(-a * d * d / 2) / (8 * mp.sqrt(2) * a**1.5)
        return s * mp.exp(-a * (p * p + q * q)) / (8 * a) + gauss * (1 + a * s * s) * (1 + mp.erf(mp.sqrt(a / 2) * s))

    collocation = mp.matrix([[mp.exp(-a * (p - q) ** 2) for q in nodes] for p in nodes])
    factor = mp.cholesky(mp.matrix([[overlap(p, q) for q in nodes] for p in nodes]))
    r = mp.mpf(r)
    rows = []
    for ell in range(l_max + 1):
        values = []
        for s in nodes:
            x = 2 * a * r * s
            wave = mp.sqrt(mp.pi / (2 * x)) * mp.besseli(ell + 0.5, x) if x > 0 else mp.mpf(ell == 0)
            values.append(mp.exp(-a * (r * r + s * s)) * wave)
        rows.append([float(v) for v in factor.T * mp.lu_solve(collocation, mp.matrix(values))])
    return np.array(rows)


leggauss = functools.cache(np.polynomial.legendre.leggauss)


@functools.cache
def bessel_zeros(ell, n_max):
    """The first zeros of j_l above x = 0, between the points of a grid where it changes its sign."""
    x = np.arange(1.0, (n_max + ell) * np.pi + 2, 0.5)
    positive = special.spherical_jn(ell, x) > 0
    function = functools.partial(special.spherical_jn, ell)
    zeros = [
        optimize.brentq(function, x[i], x[i + 1], xtol=1e-15) for i in np.flatnonzero(positive[1:] != positive[:-1])
    ]
    return zeros[:n_max]


def laplacian_reference(r, n_max, l_max, r_cut, sigma, width, extra):
    """The defining integral by 240 nodes of numpy with scipy's functions."""
    radius = extra.get("radius", r_cut + 4 * sigma)
    x, w = leggauss(240)
    s, w = radius / 2 * (x + 1), radius / 2 * w
    rows = []
    for ell in range(l_max + 1):
        functions = np.array([special.spherical_jn(ell, z * s / radius) for z in bessel_zeros(ell, n_max)])
        functions /= np.sqrt((w * s**2 * functions**2).sum(axis=1))[:, None]
        rows.append(4 * np.pi * functions @ (w * s**2 * gaussian_in_waves(ell, s, r, sigma)))
    return np.array(rows)


def inverse_root(overlap):
    """S^(-1/2), symmetric."""
    eigenvalues, vectors = mpmath.eigsy(mpmath.matrix(overlap))
    return vectors * mpmath.diag([1 / mpmath.sqrt(e) for e in eigenvalues]) * vectors.T


def dscribe_gto_reference(r, n_max, l_max, r_cut, sigma, width, extra):
    """Closed forms of the overlaps, among the primitives and with a Gaussian, in 40 digits."""
    mp = mpmath
    radius, r, eta = mp.mpf(extra.get("radius", r_cut)), mp.mpf(r), 1 / (2 * mp.mpf(sigma) ** 2)
    points = [mp.mpf(1)] if n_max == 1 else [1 + (radius - 1) * n / (n_max - 1) for n in range(n_max)]
    rows = []
    for ell in range(l_max + 1):
        alpha = [(mp.log(1000) + ell * mp.log(a)) / a**2 for a in points]
        half = ell + mp.mpf(3) / 2
        root = inverse_root([[mp.gamma(half) / 2 * (p + q) ** -half for q in alpha] for p in alpha])
        primitives = [
            (mp.pi / (a + eta)) ** 1.5 * (eta / (a + eta)) ** ell * mp.exp(-a * eta / (a + eta) * r**2) * r**ell
            for a in alpha
        ]
        rows.append([float(v) for v in root * mp.matrix(primitives)])
    return np.array(rows)


@functools.cache
def dscribe_polynomials(n_max, radius):
    """g_n at 240 nodes; in 60 digits, as the condition of the overlap is up to 1e26."""
    s = radius / 2 * (leggauss(240)[0] + 1)
    with mpmath.workdps(60):
        k = [[5 + a + b for b in range(1, n_max + 1)] for a in range(1, n_max + 1)]
        root = inverse_root([[2 * mpmath.mpf(radius) ** (q + 2) / (q * (q + 1) * (q + 2)) for q in row] for row in k])
        powers = mpmath.matrix([[(radius - mpmath.mpf(v)) ** n for v in s] for n in range(3, n_max + 3)])
        return s, np.array((root * powers).tolist(), dtype=float)


def dscribe_polynomial_reference(r, n_max, l_max, r_cut, sigma, width, extra):
    """The defining integral by 240 nodes of numpy."""
    radius = extra.get("radius", r_cut)
    s, functions = dscribe_polynomials(n_max, radius)
    w = radius / 2 * leggauss(240)[1]
    waves = np.array([gaussian_in_waves(ell, s, r, sigma) for ell in range(l_max + 1)])
    return 4 * np.pi * (waves * w * s**2) @ functions.T


def gap_fit(r, n_max, l_max, r_cut, sigma, extra, functions, overlap):
    """Least squares at the nodes to functions(l)(n, r), whose overlap(l, border)(n, n') is given, in 40 digits."""
    mp = mpmath
    a, r = 1 / (2 * mp.mpf(sigma) ** 2), mp.mpf(r)
    border = r_cut + mp.mpf(sigma) * mp.sqrt(2 * mp.mpf(extra.get("basis_error_exponent", 10)) * mp.log(10))
    nodes = [g * border / (3 * n_max) for g in range(3 * n_max)]
    rows = []
    for ell in range(l_max + 1):
        S, B = overlap(ell, border), functions(ell, border)
        factor = mp.cholesky(mp.matrix([[S(i, j) for j in range(1, n_max + 1)] for i in range(1, n_max + 1)]))
        values = mp.matrix([[B(n, s) for s in nodes] for n in range(1, n_max + 1)])
        A = (factor**-1 * values).T
        waves = []
        for s in nodes:
            x = 2 * a * r * s
            wave = mp.sqrt(mp.pi / (2 * x)) * mp.besseli(ell + 0.5, x) if x > 0 else mp.mpf(ell == 0)
            waves.append(mp.exp(-a * (r * r + s * s)) * wave)
        rows.append([float(v) for v in (A.T * A) ** -1 * (A.T * mp.matrix(waves))])
    return np.array(rows)


def gap_polynomial_reference(r, n_max, l_max, r_cut, sigma, width, extra):
    def overlap(ell, b):
        return lambda i, j: 2 * b ** (i + j + 7) / ((i + j + 5) * (i + j + 6) * (i + j + 7))

    return gap_fit(r, n_max, l_max, r_cut, sigma, extra, lambda ell, b: lambda n, s: (b - s) ** (n + 2), overlap)


def gap_gto_reference(r, n_max, l_max, r_cut, sigma, width, extra):
    def beta(n, ell, b):
        end = n * b / n_max
        return (mpmath.log(1000) + ell * mpmath.log(end)) / end**2

    def functions(ell, b):
        betas = [beta(n, ell, b) for n in range(1, n_max + 1)]
        return lambda n, s: s**ell * mpmath.exp(-betas[n - 1] * s * s)

    def overlap(ell, b):
        half = ell + mpmath.mpf(3) / 2

        def entry(i, j):
            both = beta(i, ell, b) + beta(j, ell, b)
            return mpmath.gammainc(half, 0, both * b * b) / (2 * both**half)

        return entry

    return gap_fit(r, n_max, l_max, r_cut, sigma, extra, functions, overlap)


def featomic_gto_reference(r, n_max, l_max, r_cut, sigma, width, extra):
    """As "gto" with functions over all of r_cut, and Gaussians of norm 1."""
    return gto_reference(r, n_max, l_max, r_cut, sigma, 0.0, extra) * (np.pi * sigma**2) ** -0.75


#: I_nl(r) as [l][n] from the definition, by name: a new basis adds its own.
REFERENCES = {
    "gto": gto_reference,
    "gap": gap_reference,
    "gap_polynomial": gap_polynomial_reference,
    "gap_gto": gap_gto_reference,
    "laplacian": laplacian_reference,
    "dscribe_gto": dscribe_gto_reference,
    "dscribe_polynomial": dscribe_polynomial_reference,
    "featomic_gto": featomic_gto_reference,
}

#: Options other than the defaults, by name.
OPTIONS = {
    "gap": {"basis_error_exponent": 8.0},
    "gap_polynomial": {"basis_error_exponent": 8.0},
    "gap_gto": {"basis_error_exponent": 8.0},
    "laplacian": {"radius": 9.0},
    "dscribe_gto": {"radius": 3.3},
    "dscribe_polynomial": {"radius": 3.3},
}

BASES = list(core.radial_basis_parameters())


def test_the_tables_hold_the_same_names():
    assert set(basis.RADIAL_BASES) == set(core.radial_basis_parameters()) == set(REFERENCES)
    assert set(basis.CUTOFFS) == set(core.cutoff_names())
    for name, extra in core.radial_basis_parameters().items():
        assert [field.name for field in dataclasses.fields(basis.RADIAL_BASES[name])] == extra


# (n_max, l_max, r_cut, sigma, width): usual; one function; a cutoff that falls from the centre on; narrow atoms;
# a large basis, odd n_max; no transition
CASES = [
    (8, 6, 5.0, 0.5, 0.5),
    (1, 0, 3.0, 0.4, 0.5),
    (9, 3, 4.0, 0.5, 4.0),
    (5, 4, 3.0, 0.15, 0.3),
    (12, 2, 6.0, 0.4, 0.0),
]


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("name", BASES)
def test_integrals_equal_their_definition(name, case):
    n_max, l_max, r_cut, sigma, width = case
    function = core.RadialBasis(name, *case)
    with mpmath.workdps(40):
        for r in (0.0, 0.01, 0.37 * r_cut, r_cut):
            values = function.integrals(np.array([r]))[0]
            expected = REFERENCES[name](r, n_max, l_max, r_cut, sigma, width, {})
            assert values.shape == (l_max + 1, n_max)
            assert np.abs(values - expected).max() <= 3e-14 * max(np.abs(expected).max(), 1e-3)


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_integrals_with_options(name):
    case = (6, 3, 5.0, 0.5, 0.5)
    chosen = basis.get_radial_basis({"name": name, **OPTIONS[name]})
    values = chosen.core(*case[:4]).integrals(np.array([2.2]))[0]
    with mpmath.workdps(40):
        expected = REFERENCES[name](2.2, *case, OPTIONS[name])
    assert np.abs(values - expected).max() <= 1e-13
    assert np.abs(values - core.RadialBasis(name, *case).integrals(np.array([2.2]))[0]).max() >= 1e-3


@pytest.mark.parametrize("name", ["gto", "laplacian", "dscribe_gto", "dscribe_polynomial"])
def test_functions_are_orthonormal(name):
    function = core.RadialBasis(name, 12, 5, 5.0, 0.5, 0.5)
    s, matrix = np.array(function.nodes), function.matrix
    # the nodes are those of Gauss and Legendre on [0, radius], so their sum gives the radius
    x, w = map(np.array, core.gauss_legendre(len(s), 0.0, 2 * s.mean()))
    assert np.abs(x - s).max() <= 1e-13
    for block in matrix:
        functions = block / (4 * np.pi * (w * s**2)[:, None])
        assert np.abs((functions.T * w * s**2) @ functions - np.eye(12)).max() <= 1e-13


def completeness_error(name, n_max, extra):
    """How far sum_n I_nl(r) I_nl(r') is from the overlap of the two Gaussians, relative to the largest overlap."""
    r_cut, sigma, l_max = 3.0, 0.5, 3
    r = np.linspace(0.0, 2.5, 6)
    values = core.RadialBasis(name, n_max, l_max, r_cut, sigma, 0.0, extra).integrals(r)
    x, w = leggauss(240)
    s, w = 5.0 * (x + 1), 5.0 * w
    errors = []
    for ell in range(l_max + 1):
        waves = 4 * np.pi * np.array([gaussian_in_waves(ell, s, distance, sigma) for distance in r])
        exact = (waves * w * s**2) @ waves.T
        errors.append(np.abs(values[:, ell] @ values[:, ell].T - exact).max() / np.abs(exact).max())
    return max(errors)


def test_bases_converge_to_the_same_overlaps():
    assert completeness_error("laplacian", 24, {"radius": 7.0}) <= 1e-10
    gto = [completeness_error("gto", n_max, {}) for n_max in (6, 10, 14, 17)]
    assert all(later <= 0.5 * earlier for earlier, later in itertools.pairwise(gto))
    assert gto[-1] <= 1e-3


@pytest.mark.parametrize("name", BASES)
def test_centre_has_no_direction(name):
    values = core.RadialBasis(name, 6, 4, 5.0, 0.5, 0.5).integrals(np.zeros(1))[0]
    assert np.abs(values[0]).max() >= 0.1
    assert (values[1:] == 0).all()


# --- tables ---------------------------------------------------------------------------------------------------------

TABLE_CASES = [(8, 6, 5.0, 0.5, 0.5), (3, 2, 4.0, 0.2, 4.0), (12, 6, 3.7, 0.5, 0.5), (1, 0, 10.0, 1.5, 0.0)]


@pytest.mark.parametrize("accuracy", [1e-6, 1e-11])
@pytest.mark.parametrize("case", TABLE_CASES, ids=str)
@pytest.mark.parametrize("name", BASES)
def test_table_keeps_its_accuracy(name, case, accuracy):
    n_max, l_max, r_cut = case[:3]
    function = core.RadialBasis(name, *case)
    table = core.RadialTable(function, accuracy)
    # off the knots, denser near the ends
    r = r_cut * (1 - np.cos(np.linspace(0, np.pi, 151))) / 2
    values, derivatives = table.evaluate(r)
    exact = function.integrals(r)
    assert table.n_pad % 4 == 0 and table.n_pad - n_max in range(4)
    assert values.shape == derivatives.shape == (len(r), l_max + 1, table.n_pad)
    assert (values[:, :, n_max:] == 0).all() and (derivatives[:, :, n_max:] == 0).all()
    error = np.abs(values[:, :, :n_max] - exact).max() / np.abs(exact).max()
    assert table.error <= accuracy
    assert error <= 1.05 * accuracy
    assert table.n_knots <= (80 if accuracy == 1e-6 else 500)
    assert abs(table.step * (table.n_knots - 1) - r_cut) <= 1e-14 * r_cut


@pytest.mark.parametrize("case", TABLE_CASES, ids=str)
@pytest.mark.parametrize("name", BASES)
def test_derivatives_of_the_table(name, case):
    r_cut = case[2]
    table = core.RadialTable(core.RadialBasis(name, *case), 1e-11)
    r = np.linspace(0.1, r_cut - 0.1, 57)
    h = 0.05 * table.step

    def central(step):
        return (table.evaluate(r + step)[0] - table.evaluate(r - step)[0]) / (2 * step)

    _values, derivatives = table.evaluate(r)
    assert np.abs((4 * central(h) - central(2 * h)) / 3 - derivatives).max() <= 2e-9 * np.abs(derivatives).max()


@pytest.mark.parametrize("name", BASES)
def test_table_is_smooth_at_its_knots(name):
    table = core.RadialTable(core.RadialBasis(name, 4, 3, 5.0, 0.5, 0.5), 1e-8)
    knots = np.arange(1, table.n_knots - 1) * table.step
    below, above = table.evaluate(knots * (1 - 1e-13)), table.evaluate(knots * (1 + 1e-13))
    assert np.abs(above[0] - below[0]).max() <= 1e-11
    assert np.abs(above[1] - below[1]).max() <= 1e-10
    slope_above = (table.evaluate(knots + 1e-5)[1] - above[1]) / 1e-5
    slope_below = (below[1] - table.evaluate(knots - 1e-5)[1]) / 1e-5
    assert np.abs(slope_above - slope_below).max() <= 1e-2 * np.abs(slope_above).max()  # step * third derivative


def test_table_ends_at_the_cutoff():
    table = core.RadialTable(core.RadialBasis("gto", 4, 3, 5.0, 0.5, 0.5))
    with pytest.raises(ValueError, match=r"expected distances in \[0, r_cut = 5\], got 5.1 at 1"):
        table.evaluate(np.array([5.0, 5.1]))
    with pytest.raises(ValueError, match="got nan at 0"):
        table.evaluate(np.array([np.nan]))
    with pytest.raises(ValueError, match="got -1 at 0"):
        core.RadialBasis("gto", 4, 3, 5.0, 0.5, 0.5).integrals(np.array([-1.0]))


# --- cutoff functions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", core.cutoff_names())
def test_cutoff_at_its_borders(name):
    r_cut = 5.0
    chosen = basis.get_cutoff({"name": name, "width": 1.2} if name in ("shifted_cosine", "polynomial") else name)
    width = chosen.transition_width(r_cut)
    tiny = 1e-7
    r = np.array([0.0, 0.999 * (r_cut - width), r_cut - width, r_cut - width + tiny, r_cut - tiny, r_cut, 7.0])
    values, slopes = chosen.evaluate(r, r_cut)
    assert (values[-2:] == 0).all() and (slopes[-2:] == 0).all()
    assert (values[:2] >= (1 if width < r_cut else 0.99)).all() and values[0] == 1 and slopes[0] == 0
    assert chosen.core(r_cut).smooth == chosen.smooth
    assert chosen.core(r_cut).width == width
    if chosen.smooth:
        assert abs(values[3] - 1) <= 1e-12 and abs(slopes[3]) <= 1e-5
        assert abs(values[4]) <= 1e-12 and abs(slopes[4]) <= 1e-5
    else:
        assert values[4] == 1 and (slopes == 0).all()


@pytest.mark.parametrize("name", core.cutoff_names())
def test_cutoff_derivatives(name):
    chosen = basis.get_cutoff(name)
    r = np.linspace(0.01, 4.987, 400)
    step = 1e-5
    values, slopes = chosen.evaluate(r, 5.0)
    numeric = (chosen.evaluate(r + step, 5.0)[0] - chosen.evaluate(r - step, 5.0)[0]) / (2 * step)
    assert np.abs(numeric - slopes).max() <= 1e-8
    assert (np.diff(values) <= 0).all()


def test_cutoff_forms():
    assert abs(basis.ShiftedCosine(0.5).evaluate([4.75], 5.0)[0][0] - 0.5) <= 1e-14
    x = 0.3
    expected = 1 - 35 * x**4 + 84 * x**5 - 70 * x**6 + 20 * x**7
    assert abs(basis.Polynomial(0.5).evaluate([4.65], 5.0)[0][0] - expected) <= 1e-13
    # twice the weight at 6.2 is the weight at 4.15 of a cutoff of 10
    far, near = basis.Cosine().evaluate([6.2, 4.15], 10.0)[0]
    assert abs(2 * far - 0.6319) <= 5e-5 and abs(near - 0.6319) <= 5e-5


# --- radial scaling -------------------------------------------------------------------------------------------------


def test_radial_scaling_values():
    values, _ = basis.RadialScaling(rate=1.0, scale=2.0, exponent=7.0).evaluate([1.0, 2.0, 3.0, 5.0])
    assert np.abs(values - [0.9922, 0.5, 0.0553, 0.0016]).max() <= 5e-5
    assert values[1] == 0.5
    assert np.abs(basis.RadialScaling(0.0, 2.0, 3.0).evaluate([4.0])[0] - 0.125).max() <= 1e-16
    assert (basis.RadialScaling(1.0, 2.0, 0.0).evaluate([0.3, 4.0])[0] == 1).all()
    assert (basis.RadialScaling(0.0, 2.0, 0.0).evaluate([0.3, 4.0])[0] == 1).all()


def test_other_radial_scalings():
    x = np.array([0.3, 1.0, 2.2])
    polynomial = basis.PolynomialScaling(2.5, 1.7).evaluate(2.5 * x)[0]
    assert np.abs(polynomial - [(1 + 2 * 0.3**3 - 3 * 0.3**2) ** 1.7, 0, 0]).max() <= 1e-15
    assert np.abs(basis.ExponentialScaling(0.7, 2.5).evaluate(2.5 * x)[0] - 0.7 / (0.7 + np.exp(-x))).max() <= 1e-15
    assert np.abs(basis.ExponentialScaling(0.0, 2.5).evaluate(2.5 * x)[0] - np.exp(x)).max() <= 1e-14
    assert {name: [f.name for f in dataclasses.fields(cls)] for name, cls in basis.RADIAL_SCALINGS.items()} == (
        core.radial_scaling_parameters()
    )


SCALINGS = [
    *(basis.RadialScaling(*p) for p in [(1, 2, 7), (0.3, 1.5, 2.5), (0, 2, 3), (2, 2, 0), (1, 3, 1), (1, 2, 0.5)]),
    *(basis.PolynomialScaling(*p) for p in [(5, 1), (4, 2), (6, 3.5), (9, 0.7), (10, 0)]),
    *(basis.ExponentialScaling(*p) for p in [(1, 2), (0.3, 1.5), (0, 4)]),
]


@pytest.mark.parametrize("scaling", SCALINGS, ids=str)
def test_radial_scaling_derivatives(scaling):
    r = np.linspace(0.5, 8, 50)
    step = 1e-5
    numeric = (scaling.evaluate(r + step)[0] - scaling.evaluate(r - step)[0]) / (2 * step)
    assert np.abs(numeric - scaling.evaluate(r)[1]).max() <= 1e-8 * max(1, np.abs(numeric).max())


@pytest.mark.parametrize("parameters", [(1.0, 2.0, 7.0), (1.0, 2.0, 1.0), (1.0, 2.0, 0.0)], ids=str)
def test_radial_scaling_near_the_centre(parameters):
    scaling = core.RadialScaling(*parameters)
    assert scaling.value(np.zeros(1))[0] == 1
    assert math.isfinite(scaling.derivative(np.zeros(1))[0])


# --- Python classes -------------------------------------------------------------------------------------------------

INSTANCES = [
    *(cls() for cls in basis.RADIAL_BASES.values()),
    *(basis.RADIAL_BASES[name](**options) for name, options in OPTIONS.items()),
    *(cls() for cls in basis.CUTOFFS.values()),
    basis.ShiftedCosine(0.3),
    basis.Polynomial(2),
    *SCALINGS,
]


@pytest.mark.parametrize("instance", INSTANCES, ids=str)
def test_names_dictionaries_and_instances(instance):
    kinds = {basis.Cutoff: basis.get_cutoff, basis.RadialBasis: basis.get_radial_basis}
    get = next((kinds[kind] for kind in kinds if isinstance(instance, kind)), basis.get_radial_scaling)
    assert get(instance) is instance
    assert get(instance.to_dict()) == instance
    assert type(get(instance.name)) is type(instance)
    assert instance.to_dict()["name"] == instance.name
    assert hash(instance) == hash(get(instance.to_dict()))
    with pytest.raises(dataclasses.FrozenInstanceError):
        instance.width = 3


@pytest.mark.parametrize("name", BASES)
def test_integrals_for_plots(name):
    chosen = basis.get_radial_basis(name)
    values, derivatives = chosen.integrals([0.0, 1.0, 5.0], n_max=5, l_max=3, r_cut=5, sigma=0.5)
    assert values.shape == derivatives.shape == (3, 4, 5)
    exact = chosen.core(5, 3, 5.0, 0.5).integrals(np.array([0.0, 1.0, 5.0]))
    assert np.abs(values - exact).max() <= 1e-10
    empty, _ = chosen.integrals([], n_max=5, l_max=3, r_cut=5, sigma=0.5)
    assert empty.shape == (0, 4, 5)


def test_gto_ends_where_the_cutoff_function_starts_to_fall():
    def first(cutoff):
        return basis.GTO().core(6, 2, 5.0, 0.5, cutoff).integrals(np.array([2.0]))

    assert np.array_equal(first("none"), first("cosine"))
    assert np.abs(first("none") - first(basis.ShiftedCosine(0.5))).max() > 1e-3
    assert np.array_equal(first(basis.Polynomial(0.5)), first(basis.ShiftedCosine(0.5)))


def call(**changes):
    arguments = {"r": [1.0], "n_max": 4, "l_max": 2, "r_cut": 5.0, "sigma": 0.5} | changes
    return basis.get_radial_basis(arguments.pop("basis", "gto")).integrals(**arguments)


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (lambda: basis.get_radial_basis("gt"), ConfigError, r"radial_basis='gt' is unknown; .*Did you mean 'gto'\?"),
        (lambda: basis.get_cutoff("cosin"), ConfigError, r"cutoff='cosin' is unknown; .*Did you mean 'cosine'\?"),
        (lambda: basis.get_radial_basis(3), ConfigError, "radial_basis=3: expected a name"),
        (lambda: basis.get_cutoff({"width": 1}), ConfigError, "expected a key 'name', one of shifted_cosine"),
        (
            lambda: basis.get_cutoff({"name": "cosine", "width": 1}),
            ConfigError,
            "'cosine' takes no options, got 'width'",
        ),
        (
            lambda: basis.get_radial_basis({"name": "laplacian", "radios": 1}),
            ConfigError,
            r"option of radial_basis 'laplacian'='radios' is unknown; .*Did you mean 'radius'\?",
        ),
        (lambda: basis.get_radial_scaling({"rat": 1}), ConfigError, r"Did you mean 'rate'\?"),
        (lambda: basis.get_radial_scaling("fast"), ConfigError, "radial_scaling='fast' is unknown"),
        (lambda: basis.get_radial_scaling(3), ConfigError, "radial_scaling=3: expected None, a name .willatt, polyn"),
        (lambda: basis.RadialScaling(rate=-1), ConfigError, "rate=-1: expected a finite number >= 0"),
        (lambda: basis.RadialScaling(scale=0), ConfigError, "scale=0: expected a finite number > 0"),
        (lambda: basis.RadialScaling(exponent=math.nan), ConfigError, "exponent=nan: expected a finite number"),
        (lambda: basis.RadialScaling().evaluate([0.0]), DataError, "expected distances > 0"),
        (lambda: basis.ShiftedCosine(width=0), ConfigError, "width=0: expected a finite number > 0"),
        (lambda: basis.Laplacian(radius="big"), ConfigError, "radius='big': expected a finite number > 0"),
        (lambda: basis.GAP(basis_error_exponent=-1), ConfigError, "basis_error_exponent=-1: expected"),
        (lambda: basis.ShiftedCosine(6.0).evaluate([1.0], 5.0), ConfigError, r"a width in \(0, r_cut = 5\]"),
        (lambda: basis.Cosine().evaluate([1.0], -5.0), ConfigError, "r_cut=-5.0: expected a finite number > 0"),
        (lambda: basis.Cosine().evaluate([[1.0]], 5.0), DataError, r"r has shape \(1, 1\); expected a vector"),
        (lambda: basis.Cosine().evaluate([math.nan], 5.0), DataError, r"r\[0\] is nan"),
        (lambda: call(n_max=0), ConfigError, "n_max=0: expected an integer >= 1"),
        (lambda: call(l_max=-1), ConfigError, "l_max=-1: expected an integer >= 0"),
        (lambda: call(sigma=0.001), ConfigError, "sigma = 0.001 is too narrow for r_cut = 5"),
        (lambda: call(r=[6.0]), DataError, "expected 0 <= r <= r_cut=5.0"),
        (lambda: call(accuracy=1e-16), ConfigError, r"expected an accuracy in \[1e-13, 1e-2\], got 1e-16"),
        (lambda: call(n_max=18), ConfigError, r"n_max = 18 Gaussians are linearly dependent .*n_max <= 17"),
        (lambda: call(basis="gap", n_max=40), ConfigError, "n_max = 40 Gaussians of sigma = 0.5 .* linearly dependent"),
        (lambda: call(basis=basis.Laplacian(radius=4)), ConfigError, "expected a radius >= r_cut = 5"),
        (lambda: call(basis=basis.DScribeGTO(radius=1)), ConfigError, r"expected a radius in \(1, r_cut = 5\]"),
        (lambda: call(basis=basis.DScribePolynomial(radius=6)), ConfigError, r"expected a radius in \(0, r_cut = 5\]"),
        (lambda: call(basis="dscribe_gto", n_max=22), ConfigError, "n_max = 22 Gaussians are linearly dependent"),
        (lambda: call(basis="dscribe_polynomial", n_max=21), ConfigError, "use n_max <= 20"),
        (lambda: call(basis="featomic_gto", n_max=20), ConfigError, "'featomic_gto': n_max = 20 Gaussians are linear"),
    ],
)
def test_refusals(action, error, message):
    with pytest.raises(error, match=message):
        action()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("got", 4, 2, 5.0, 0.5, 0.5), "unknown radial basis 'got', expected one of gto, gap, gap_polynomial"),
        (("gto", 0, 2, 5.0, 0.5, 0.5), "expected n_max >= 1, got 0"),
        (("gto", 4, -1, 5.0, 0.5, 0.5), "expected l_max >= 0, got -1"),
        (("gto", 4, 2, math.nan, 0.5, 0.5), "expected r_cut > 0"),
        (("gto", 4, 2, 5.0, 0.0, 0.5), "expected sigma > 0"),
        (("gto", 4, 2, 5.0, 0.5, 6.0), r"expected a width in \[0, r_cut = 5\] \(Angstrom\), got 6"),
        (("gto", 4, 2, 5.0, 0.5, 0.5, {"radius": 5.0}), "'gto': unknown parameter 'radius', it takes none"),
        (("laplacian", 4, 2, 5.0, 0.5, 0.5, {"r": 5.0}), "unknown parameter 'r', it takes radius"),
        (("laplacian", 4, 2, 5.0, 0.5, 0.5, {"radius": math.inf}), "radius = inf is not finite"),
    ],
)
def test_refusals_of_the_core(arguments, message):
    with pytest.raises(ValueError, match=message):
        core.RadialBasis(*arguments)
    with pytest.raises(ValueError, match="unknown name 'tanh', expected shifted_cosine, cosine"):
        core.Cutoff("tanh", 5.0, 0.5)
