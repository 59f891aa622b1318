"""SOAP and the radial spectrum against formulas, quadrature, differences and vectors of quippy; and, for all
descriptors of the registry, the checks of descriptor_conformance."""

import json
import re
from pathlib import Path

import ase.io
import descriptor_conformance as conformance
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from descriptor_conformance import EXAMPLES, PERIODICITIES, SPECIES, STRUCTURES, random_atoms
from mercer._core import core
from mercer.descriptors import DESCRIPTORS, SOAP, AverageSOAP, Descriptor, Environments, RadialSpectrum
from mercer.errors import ConfigError, DataError
from scipy import special

REFERENCE = Path(__file__).parents[1] / "reference" / "gap_soap"
CHANNELS = np.random.default_rng(5).normal(size=(5, 3))
OPTIONS = {
    "plain": {},
    "raw": {"normalize": False},
    "cosine": {"cutoff": "cosine"},
    "polynomial": {"cutoff": "polynomial", "cutoff_width": 1.2},
    "step": {"cutoff": "none"},
    "scaling": {"radial_scaling": {"rate": 1.0, "scale": 2.0, "exponent": 3.0}},
    "power": {"radial_scaling": {"rate": 0.0, "scale": 1.5, "exponent": 2.0}, "normalize": False},
    "polynomial scaling": {"radial_scaling": {"name": "polynomial", "scale": 3.0, "exponent": 1.5}},
    "exponential scaling": {"radial_scaling": {"name": "exponential", "scale": 1.5, "rate": 0.4}},
    "no centre": {"central_weight": 0.0},
    "heavy centre": {"central_weight": 2.5},
    "gap": {"radial_basis": "gap"},
    "laplacian": {"radial_basis": "laplacian"},
    "dscribe": {"radial_basis": "dscribe_gto", "radial_options": {"radius": 2.4}, "cutoff": "none", "normalize": False},
    "dscribe polynomial": {"radial_basis": "dscribe_polynomial", "radial_options": {"radius": 2.4}},
    "featomic": {"radial_basis": "featomic_gto", "normalize": False},
    "channels": {"channels": CHANNELS},
    "one channel": {"channels": CHANNELS[:, :1], "normalize": False},
}


@pytest.fixture(params=EXAMPLES, scope="module")
def example(request):
    return EXAMPLES[request.param]


@pytest.fixture(params=["SOAP", "RadialSpectrum"])
def density_example(request):
    return EXAMPLES[request.param]


def test_every_descriptor_has_an_example():
    assert {name.split()[0] for name in [*EXAMPLES, *STRUCTURES]} == set(DESCRIPTORS)


@pytest.mark.parametrize("pbc", PERIODICITIES)
def test_invariance(example, pbc):
    conformance.check_invariance(example(["H", "C", "O"], 3.5), random_atoms(3, pbc=pbc))


def test_batches(example):
    frames = [random_atoms(s, n=1 + 2 * s, species=SPECIES[: s + 1], pbc=PERIODICITIES[s]) for s in range(5)]
    conformance.check_batches(example(SPECIES, 3.5), frames)
    conformance.check_rows(example(SPECIES, 3.5), frames)
    conformance.check_batches(example(SPECIES, 3.5, channels=CHANNELS), frames)


def test_empty(example):
    conformance.check_empty(example(["H", "C"], 3.5))


def test_is_a_value(example):
    descriptor = example(["O", 1, "C", "H"], 3.5, channels=np.eye(3), radial_scaling={"exponent": 2})
    assert descriptor.species == (1, 6, 8)
    assert isinstance(descriptor, Descriptor)
    conformance.check_value(descriptor, example(["O", "H", "C"], 3.6))


@pytest.mark.parametrize("pbc", PERIODICITIES)
def test_vjp_of_every_periodicity(example, pbc):
    conformance.check_vjp(example(["H", "C"], 3.0), random_atoms(4, n=4, species=["H", "C"], pbc=pbc, length=3.2))


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_vjp_of_every_option(example, options):
    conformance.check_vjp(example(SPECIES, 3.0, **options), random_atoms(6, n=5, species=SPECIES, pbc=(1, 1, 0)))


@pytest.mark.parametrize("n", [1, 2])
def test_vjp_of_cells_smaller_than_a_third_of_the_cutoff(example, n):
    atoms = random_atoms(7, n=n, species=["Si"], length=1.45, r_min=1.2)
    assert np.linalg.norm(atoms.cell.array, axis=1).min() < 6.0 / 3
    conformance.check_vjp(example(["Si"], 6.0), atoms)


@pytest.mark.parametrize("n_species", [1, 2, 3, 4, 5])
def test_vjp_of_several_species(example, n_species):
    species = SPECIES[:n_species]
    conformance.check_vjp(example(species, 3.0), random_atoms(n_species, n=5, species=species, pbc=False))


@pytest.mark.parametrize("size", [(1, 0), (3, 1), (5, 8), (12, 6), (21, 2)])
def test_vjp_of_every_size(size):
    """Sizes around the widths of registers, and more than one tile."""
    soap = SOAP(["H", "C"], 3.0, *size, 0.5, radial_basis="laplacian" if size[0] > 12 else "gto")
    conformance.check_vjp(soap, random_atoms(8, n=3, species=["H", "C"]))


@pytest.mark.parametrize("pbc", [(0, 0, 0), (1, 1, 1)])
def test_contraction(example, pbc):
    descriptor = example(["H", "C"], 3.0)
    atoms = random_atoms(4, n=4, species=["H", "C"], pbc=pbc, length=3.2)
    conformance.check_contraction(descriptor, descriptor.environments(atoms))


@pytest.mark.parametrize("pbc", [(0, 0, 0), (1, 0, 1)])
def test_gradients(example, pbc):
    """Several frames, one without atoms; cells smaller than the cutoff."""
    frames = [random_atoms(s, n=n, species=["H", "C"], pbc=pbc, length=2.6) for s, n in ((1, 1), (2, 4))]
    conformance.check_gradients(example(["H", "C", "O"], 3.0), [frames[0], Atoms(pbc=False), frames[1]])
    conformance.check_gradients(example(["H", "C"], 3.0), [])


def test_gradients_of_options(density_example):
    atoms = random_atoms(2, n=4, species=SPECIES)
    for options in ({"normalize": False}, {"channels": CHANNELS}, {"channels": CHANNELS[:, :1], "normalize": False}):
        conformance.check_gradients(density_example(SPECIES, 3.0, **options), atoms)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_raw_gradients_of_every_option(density_example, options):
    """With pairs beyond the cutoff in the list, cells smaller than it, and a frame without atoms."""
    frames = [
        random_atoms(6, n=5, species=SPECIES, pbc=(1, 1, 0)),
        Atoms(pbc=False),
        random_atoms(1, n=1, species=["H"], length=2.6),
    ]
    conformance.check_raw_gradients(density_example(SPECIES, 3.0, **options), Environments.of(frames, 3.4))
    conformance.check_raw_gradients(density_example(SPECIES, 3.0, **options), Environments.of([], 3.0))


@pytest.mark.parametrize("n_species", [1, 2])
@pytest.mark.parametrize("size", [(1, 0), (3, 1), (5, 8), (12, 6), (21, 2)])
def test_raw_gradients_of_every_size(size, n_species):
    soap = SOAP(SPECIES[:n_species], 3.0, *size, 0.5, radial_basis="laplacian" if size[0] > 12 else "gto")
    atoms = random_atoms(8, n=3, species=SPECIES[:n_species])
    conformance.check_raw_gradients(soap, soap.environments(atoms))


def test_raw_gradients_hold_touched_blocks_only(density_example):
    """Around atoms that lack some species; one that knows no neighbour at all, and has no density."""
    atoms = Atoms(
        "H3C2O2N", [[0, 0, 0], [0, 0, 1.1], [9, 0, 0], [20, 0, 0], [20, 1, 0], [30, 0, 0], [30, 1, 1], [40, 0, 0]]
    )
    descriptor = density_example(["H", "C", "O"], 3.0, ignore_unknown=True)
    raw = conformance.check_raw_gradients(descriptor, descriptor.environments(atoms))
    assert raw.norms[-1] == 0
    n_columns = np.diff(raw.columns)[raw.blocks]
    assert raw.value_offsets[-1] == 3 * n_columns.sum() == len(raw.values)
    assert len(raw.blocks) == len(raw.centers)  # neighbours are of the species of the centre
    soap = SOAP(["H", "C", "O"], 3.0, 3, 2, 0.5)
    raw = soap.raw_gradients(Atoms("HCO", [[0, 0, 0], [0, 0, 1.1], [0, 1.2, 0]]))
    species = [raw.blocks[raw.block_offsets[e] : raw.block_offsets[e + 1]].tolist() for e in range(len(raw.centers))]
    touched = {0: [0, 1, 2], 1: [1, 3, 4], 2: [2, 4, 5]}  # of HH, HC, HO, CC, CO, OO
    assert species == [touched[j] for j in raw.neighbors]


def test_raw_gradients_larger_than_caches_are_the_same():
    """Written past the caches, in pieces of every alignment."""
    frames = [random_atoms(s, n=12, species=SPECIES, length=6.0) for s in range(4)]
    soap = SOAP(SPECIES, 5.0, 5, 4, 0.5)
    together = soap.raw_gradients(frames)
    assert len(together.values) > 2_000_000
    single = [soap.raw_gradients(atoms) for atoms in frames]
    assert all(len(raw.values) < 2_000_000 for raw in single)
    np.testing.assert_array_equal(together.values, np.concatenate([raw.values for raw in single]))


ORDERS = [{"coefficients_first": False}, {"coefficients_first": True}]


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_contraction_of_every_option(density_example, options):
    """With pairs beyond the cutoff in the list."""
    descriptor = density_example(SPECIES, 3.0, **options)
    atoms = random_atoms(6, n=5, species=SPECIES, pbc=(1, 1, 0))
    for order in ORDERS if isinstance(descriptor, SOAP) else [{}]:
        conformance.check_contraction(descriptor, Environments.of(atoms, 3.4), **order)


@pytest.mark.parametrize("n_species", [1, 2])
@pytest.mark.parametrize("size", [(1, 0), (3, 1), (5, 8), (12, 6), (21, 2)])
def test_contraction_of_every_size(size, n_species):
    soap = SOAP(SPECIES[:n_species], 3.0, *size, 0.5, radial_basis="laplacian" if size[0] > 12 else "gto")
    atoms = random_atoms(8, n=3, species=SPECIES[:n_species])
    for order in ORDERS:
        conformance.check_contraction(soap, soap.environments(atoms), n_vectors=17, **order)


def test_contraction_without_some_species():
    """Atoms that have other species around them, or none, next to each other."""
    atoms = Atoms("H3C2O2", [[0, 0, 0], [0, 0, 1.1], [9, 0, 0], [20, 0, 0], [20, 1, 0], [30, 0, 0], [30, 1, 1]])
    soap = SOAP(["H", "C", "N", "O"], 3.0, 4, 3, 0.5)
    for order in ORDERS:
        conformance.check_contraction(soap, soap.environments(atoms), **order)


# ------------------------------------------------------------------------------------------------ values


def cutoff_function(name, r, r_cut, width):
    if name == "none":
        return (r < r_cut) * 1.0
    x = np.clip((r - r_cut + width) / width if name != "cosine" else r / r_cut, 0, 1)
    if name == "polynomial":
        return 1 - 35 * x**4 + 84 * x**5 - 70 * x**6 + 20 * x**7
    return 0.5 * (1 + np.cos(np.pi * x))


def gto_integrals(descriptor, l_max, r):
    """I_nl(r) of the GTO basis by its closed form (Kummer's function), (r, l, n)."""
    n_max, sigma = descriptor.n_max, descriptor.sigma
    width = {"cosine": descriptor.r_cut, "none": 0.0}.get(descriptor.cutoff, descriptor.cutoff_width)
    k = np.arange(n_max)
    inner = descriptor.r_cut - width if width < descriptor.r_cut else descriptor.r_cut
    s = inner * np.maximum(np.sqrt(k), 1) / n_max
    norm = np.sqrt(2 / (s ** (2 * k + 3) * special.gamma(k + 1.5)))
    q = 3 + k[:, None] + k
    exponents = 0.5 / s[:, None] ** 2 + 0.5 / s**2
    overlap = 0.5 * np.outer(norm, norm) * special.gamma(q / 2) * exponents ** (-q / 2)
    values, vectors = np.linalg.eigh(overlap)
    root = vectors @ np.diag(values**-0.5) @ vectors.T
    a = 0.5 / sigma**2 + 0.5 / s**2
    result = np.zeros((len(r), l_max + 1, n_max))
    for i, rho in enumerate(r):
        for angular in range(l_max + 1):
            z = (rho / sigma**2) ** 2 / (4 * a)
            factor = np.sqrt(np.pi) * (rho / sigma**2) ** angular * special.gamma((k + angular + 3) / 2)
            factor /= 2 ** (angular + 2) * a ** ((k + angular + 3) / 2) * special.gamma(angular + 1.5)
            kummer = special.hyp1f1((angular - k) / 2, angular + 1.5, -z)
            damping = np.exp(-(rho**2) / (2 * (sigma**2 + s**2)))
            result[i, angular] = root @ (4 * np.pi * norm * factor * damping * kummer)
    return result


def naive_rows(descriptor, atoms, l_max):
    """Power spectrum without spherical harmonics, by their addition theorem: sum_m Y_lm(u) Y_lm(v) = (2l+1)/(4 pi)
    P_l(u.v). Also returns the rotational averages c_n00 of every species."""
    species = list(descriptor.species)
    i_list, j_list, vectors = neighbor_vectors(atoms, descriptor.r_cut)
    if descriptor.radial_basis == "gto":
        integrals = lambda r: gto_integrals(descriptor, l_max, r)  # noqa: E731
    else:
        width = {"cosine": descriptor.r_cut, "none": 0.0}.get(descriptor.cutoff, descriptor.cutoff_width)
        basis = core.RadialBasis(
            descriptor.radial_basis,
            descriptor.n_max,
            l_max,
            descriptor.r_cut,
            descriptor.sigma,
            width,
            dict(descriptor.radial_options or ()),
        )
        integrals = lambda r: np.asarray(basis.integrals(r))  # noqa: E731
    scaling = {"rate": 1.0, "scale": 2.0, "exponent": 0.0} | dict(descriptor.radial_scaling or ())
    kind = scaling.get("name", "willatt")
    W = np.eye(len(species)) if descriptor.channels is None else np.array(descriptor.channels)
    spectra, averages = [], []
    for i in range(len(atoms)):
        mine = i_list == i
        v = np.concatenate([np.zeros((1, 3)), vectors[mine]])
        r = np.linalg.norm(v, axis=1)
        x = r / scaling["scale"]
        with np.errstate(divide="ignore"):
            u = np.ones_like(r)
            if kind == "polynomial":
                u = np.where(x < 1, np.maximum(1 + 2 * x**3 - 3 * x**2, 0) ** scaling["exponent"], 0)
            elif kind == "exponential":
                u = scaling["rate"] / (scaling["rate"] + np.exp(-x))
            elif scaling["exponent"]:
                u = (
                    scaling["rate"] / (scaling["rate"] + x ** scaling["exponent"])
                    if scaling["rate"]
                    else x ** -scaling["exponent"]
                )
        weight = cutoff_function(descriptor.cutoff, r, descriptor.r_cut, descriptor.cutoff_width) * u
        weight[0] = descriptor.central_weight
        owner = [species.index(z) for z in atoms.numbers[np.concatenate([[i], j_list[mine]])]]
        radial = integrals(r) * weight[:, None, None]  # (j, l, n)
        radial[0, 1:] = 0
        unit = v / np.where(r > 0, r, 1)[:, None]
        cosine = unit @ unit.T
        member = W[owner]  # (j, channel)
        p = np.zeros((W.shape[1], W.shape[1], l_max + 1, descriptor.n_max, descriptor.n_max))
        for angular in range(l_max + 1):
            legendre = special.eval_legendre(angular, cosine) * np.sqrt(2 * angular + 1) / (4 * np.pi)
            p[:, :, angular] = np.einsum(
                "jn,km,jk,ja,kb->abnm", radial[:, angular], radial[:, angular], legendre, member, member, optimize=True
            )
        spectra.append(p)
        averages.append(np.einsum("jn,ja->an", radial[:, 0], member) / np.sqrt(4 * np.pi))
    return np.array(spectra), np.array(averages)


def neighbor_vectors(atoms, r_cut):
    from ase.neighborlist import primitive_neighbor_list

    i, j, vectors = primitive_neighbor_list("ijD", atoms.pbc, atoms.cell.array, atoms.positions, r_cut)
    return i, j, vectors


def packed(spectra, n_max, n_channels):
    rows = []
    upper = np.triu_indices(n_max)
    for p in spectra:
        row = []
        for a in range(n_channels):
            for b in range(a, n_channels):
                if a == b:
                    block = p[a, a] * np.where(np.eye(n_max, dtype=bool), 1, np.sqrt(2))
                    row.append(block[:, upper[0], upper[1]].ravel())
                else:
                    row.append(np.sqrt(2) * p[a, b].ravel())
        rows.append(np.concatenate(row))
    return np.array(rows)


def test_coefficients(density_example):
    """Features are their products; absent channels are zero; harmonics are real, in the order y, z, x."""
    atoms = random_atoms(3, n=5, species=SPECIES, pbc=(True, True, False))
    for options in ({}, {"channels": CHANNELS}):
        descriptor = density_example([*SPECIES, "U"] if not options else SPECIES, 3.3, normalize=False, **options)
        c = descriptor.coefficients([atoms, atoms])
        assert c.shape[:2] == (10, descriptor.n_channels) and (c[:5] == c[5:]).all()
        c = c[:5]
        assert options or (c[:, -1] == 0).all()
        if isinstance(descriptor, RadialSpectrum):
            assert c.shape[2:] == (1, descriptor.n_max)
            expected = c.reshape(5, -1)
        else:
            n_l = descriptor.l_max + 1
            assert c.shape[2:] == (n_l**2, descriptor.n_max)
            spectra = np.stack(
                [
                    np.einsum("iamn,ibmk->iabnk", c[:, :, k**2 : (k + 1) ** 2], c[:, :, k**2 : (k + 1) ** 2])
                    / np.sqrt(2 * k + 1)
                    for k in range(n_l)
                ],
                axis=3,
            )
            expected = packed(spectra, descriptor.n_max, descriptor.n_channels)
        conformance.assert_close(descriptor.transform(atoms), expected, 1e-12)
    pair = Atoms("HH", [[0, 0, 0], [0.3, 0.5, 0.9]])
    first = SOAP("H", 3.3, 2, 1, 0.5).coefficients(pair)[0, 0, 1:, 0]
    assert np.abs(first / first[1] - np.array([0.5, 0.9, 0.3]) / 0.9).max() <= 1e-12


def test_average_soap():
    """The power spectrum of mean coefficients, over all atoms or those of some elements."""
    frames = [random_atoms(3, n=5, species=SPECIES), random_atoms(4, n=1, species=SPECIES)]
    soap = SOAP(SPECIES, 3.3, 3, 2, 0.5, normalize=False)
    c, numbers = soap.coefficients(frames), np.concatenate([atoms.numbers for atoms in frames])
    for centers in (None, ["H", 8]):
        average = AverageSOAP(SPECIES, 3.3, 3, 2, 0.5, normalize=False, centers=centers)
        chosen = np.ones(6, bool) if centers is None else np.isin(numbers, [1, 8])
        rows = []
        for part in (slice(0, 5), slice(5, 6)):
            mean = c[part][chosen[part]].mean(axis=0) if chosen[part].any() else 0 * c[0]
            p = [np.einsum("amn,bmk->abnk", m, m) / np.sqrt(m.shape[1]) for m in np.split(mean, [1, 4], axis=1)]
            rows.append(np.stack(p, axis=2))
        conformance.assert_close(average.transform(frames), packed(rows, 3, len(SPECIES)), 1e-12)
    unit = AverageSOAP(SPECIES, 3.3, 3, 2, 0.5, centers="H")
    assert unit.centers == (1,) and unit.feature_labels() == soap.feature_labels()
    assert np.abs(unit.transform(frames[0]) - unit.transform(frames[0] * (2, 1, 1))).max() <= 1e-10
    with pytest.raises(ConfigError, match="centers is empty"):
        AverageSOAP(SPECIES, 3.3, 3, 2, 0.5, centers=[])
    for refused in (unit.raw_gradients, unit.transform_blocks):
        with pytest.raises(ConfigError, match=r"AverageSOAP: .* are of rows of atoms"):
            refused(frames)


def unit_rows(X):
    norms = np.linalg.norm(X, axis=1, keepdims=True)
    return X / np.where(norms > 0, norms, 1)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("size", [(3, 2), (5, 4), (8, 1)])
def test_values_by_the_formulas(options, size):
    atoms = random_atoms(11, n=6, species=SPECIES, pbc=(True, False, True))
    n_max, l_max = size
    soap = SOAP(SPECIES, 3.3, n_max, l_max, 0.45, **options)
    spectra, averages = naive_rows(soap, atoms, l_max)
    expected = packed(spectra, n_max, soap.n_channels)
    rows = soap.transform(atoms)
    conformance.assert_close(rows, unit_rows(expected) if soap.normalize else expected, 1e-9)
    # Dot products of packed rows are those of the full spectra.
    full = spectra.reshape(len(atoms), -1)
    if soap.normalize:
        full = unit_rows(full)
    conformance.assert_close(rows @ rows.T, full @ full.T, 1e-9)
    radial = RadialSpectrum(SPECIES, 3.3, n_max, 0.45, **options)
    averages = averages.reshape(len(atoms), -1)
    conformance.assert_close(radial.transform(atoms), unit_rows(averages) if soap.normalize else averages, 1e-9)


def test_coefficients_by_quadrature_in_space():
    """c_nlm = int R_n Y_lm rho on a grid in space, with the GTO orthonormalised on the radial grid."""
    soap = SOAP(["C", "O"], 3.0, 3, 2, 0.5, normalize=False, cutoff_width=0.6)
    atoms = Atoms("COC", positions=[[0, 0, 0], [0.9, 0.3, -0.5], [-1.2, 2.0, 1.1]])
    x, wx = np.polynomial.legendre.leggauss(120)
    r, wr = 4.5 * (x + 1), 4.5 * wx
    z, wz = np.polynomial.legendre.leggauss(40)
    phi = np.arange(80) * 2 * np.pi / 80
    s = np.sqrt(1 - z**2)
    sphere = np.stack([np.outer(s, np.cos(phi)), np.outer(s, np.sin(phi)), np.outer(z, np.ones(80))], -1).reshape(-1, 3)
    w_sphere = np.repeat(wz, 80) * 2 * np.pi / 80
    k = np.arange(soap.n_max)
    s_k = (soap.r_cut - soap.cutoff_width) * np.maximum(np.sqrt(k), 1) / soap.n_max
    primitive = r[:, None] ** k * np.exp(-((r[:, None] / s_k) ** 2) / 2)
    primitive /= np.sqrt(np.einsum("r,rk->k", wr * r**2, primitive**2))
    values, vectors = np.linalg.eigh(np.einsum("r,rk,rq->kq", wr * r**2, primitive, primitive))
    R = primitive @ vectors @ np.diag(values**-0.5) @ vectors.T
    X, Y, Z = sphere.T
    harmonics = {  # explicit Cartesian forms
        0: [np.full_like(X, np.sqrt(1 / (4 * np.pi)))],
        1: [np.sqrt(3 / (4 * np.pi)) * q for q in (Y, Z, X)],
        2: [
            np.sqrt(15 / (4 * np.pi)) * q
            for q in (X * Y, Y * Z, (3 * Z**2 - 1) / np.sqrt(12), X * Z, (X**2 - Y**2) / 2)
        ],
    }
    points = r[:, None, None] * sphere
    c = {}
    for a, number in enumerate(soap.species):
        rho = np.zeros(points.shape[:2])
        for j in np.flatnonzero(atoms.numbers == number):
            distance = np.linalg.norm(atoms.positions[j])
            weight = cutoff_function(soap.cutoff, distance, soap.r_cut, soap.cutoff_width) if j else 1.0
            rho += weight * np.exp(-((points - atoms.positions[j]) ** 2).sum(-1) / (2 * soap.sigma**2))
        for angular, functions in harmonics.items():
            c[a, angular] = np.einsum(
                "r,rn,rs,ms->nm", wr * r**2, R, rho * w_sphere, np.array(functions), optimize=True
            )
    p = np.zeros((2, 2, 3, 3, 3))
    for (a, angular), left in c.items():
        for b in range(2):
            p[a, b, angular] = left @ c[b, angular].T / np.sqrt(2 * angular + 1)
    conformance.assert_close(soap.transform(atoms)[:1], packed([p], 3, 2), 1e-9)


def test_bases_converge_to_one_kernel():
    atoms = random_atoms(12, n=8, species=["C", "O"], length=5.0, r_min=1.1)
    errors = []
    for n_max in (4, 8, 12):
        kernels = [
            (X := SOAP(["C", "O"], 3.5, n_max, 4, 0.5, radial_basis=basis, cutoff_width=0.5).transform(atoms)) @ X.T
            for basis in ("gto", "laplacian")
        ]
        errors.append(np.abs(kernels[0] - kernels[1]).max())
    assert errors[2] <= 1e-3
    assert errors[2] < errors[1] < errors[0]


@pytest.mark.parametrize("cutoff", [name for name in core.cutoff_names() if name != "none"])
def test_value_and_slope_vanish_at_the_cutoff(density_example, cutoff):
    descriptor = density_example(["C", "O"], 3.0, cutoff=cutoff, normalize=False)
    alone = descriptor.transform(Atoms("C"))
    assert np.abs(alone).max() > 1e-3
    for gap in (1e-3, 1e-5):
        pair = Atoms("CO", positions=[[0, 0, 0], [0, 0, 3.0 - gap]])
        change = np.abs(descriptor.transform(pair)[:1] - alone).max()
        assert 0 < change <= 100 * gap**2
        gradient, _ = descriptor.vjp(pair, np.ones((2, descriptor.n_features)))
        assert 0 < np.abs(gradient).max() <= 1000 * gap
    beyond = descriptor.transform(Atoms("CO", positions=[[0, 0, 0], [0, 0, 3.0]]))[:1]
    np.testing.assert_array_equal(beyond, alone)


def test_an_isolated_atom(density_example):
    atoms = Atoms("C")
    row = density_example(["H", "C"], 3.0).transform(atoms)
    assert abs(np.linalg.norm(row) - 1) <= 1e-12
    without = density_example(["H", "C"], 3.0, central_weight=0.0)
    np.testing.assert_array_equal(without.transform(atoms), 0 * row)
    positions, strain = without.vjp(atoms, np.ones_like(row))
    np.testing.assert_array_equal(positions, np.zeros((1, 3)))
    np.testing.assert_array_equal(strain, np.zeros((1, 3, 3)))


# ------------------------------------------------------------------------------------------------ layout


def test_blocks_and_labels_say_where_features_are():
    soap = SOAP(["H", "C", "O"], 3.5, 3, 2, 0.5)
    labels = soap.feature_labels()
    for a, b in [("H", "H"), ("H", "C"), ("O", "H"), ("C", "C"), ("O", "C"), ("O", "O")]:
        block = soap.block((a, b))
        where = [k for k, label in enumerate(labels) if set(label[:2]) == {a, b}]
        assert list(range(block.start, block.stop)) == where
    methane = soap.transform(molecule("CH4"))
    assert np.abs(methane[:, soap.block((1, 6))]).max() > 0.01
    assert not methane[:, soap.block(("H", "O"))].any()
    assert SOAP(["H", "C"], 3.5, 2, 1, 0.5, channels=[[1], [2]]).feature_labels()[1] == (0, 0, 0, 1, 0)
    with pytest.raises(ConfigError, match="N is not among the species"):
        soap.block(("H", "N"))


def test_results_larger_than_caches_are_the_same():
    """Rows of large results take another way to memory."""
    soap = SOAP(["H", "C", "N", "O"], 3.0, 5, 6, 0.5)
    small = soap.transform(molecule("CH3CONH2"))
    large = soap.transform([molecule("CH3CONH2")] * 160)
    assert large.size > 2_000_000
    np.testing.assert_array_equal(large, np.tile(small, (160, 1)))


@pytest.mark.parametrize("options", [{}, {"normalize": False}, {"channels": CHANNELS[:4, :2]}, {"central_weight": 0.0}])
def test_block_sparse_rows(options):
    soap = SOAP(["H", "C", "N", "O"], 3.0, 3, 2, 0.5, **options)
    frames = [molecule("CH3OH"), molecule("N2"), Atoms("C"), molecule("HCN")]
    dense = soap.transform(frames)
    sparse = soap.transform_blocks(frames)
    pairs = [(a, b) for a in range(soap.n_channels) for b in range(a, soap.n_channels)]
    names = soap.species if soap.channels is None else range(soap.n_channels)
    rebuilt = np.zeros_like(dense)
    for i in range(len(dense)):
        for k in range(sparse["atom_offsets"][i], sparse["atom_offsets"][i + 1]):
            a, b = pairs[sparse["blocks"][k]]
            values = sparse["values"][sparse["value_offsets"][k] : sparse["value_offsets"][k + 1]]
            rebuilt[i, soap.block((names[a], names[b]))] = values
    np.testing.assert_allclose(rebuilt, dense, rtol=0, atol=1e-14)
    if soap.channels is None:
        assert len(sparse["values"]) < dense.size / 2


# ------------------------------------------------------------------------------------------------ quippy


def quip_case(case):
    """The SOAP of a descriptor string of QUIP for the elements of its structure, the centres, and our column of each
    of theirs. Elements without a channel get a row of zeros in the matrix `channels`."""
    words = dict(re.findall(r"(\w+)=(\{[^}]*\}|\S+)", case["descriptor"]))
    atoms = ase.io.read(REFERENCE / "structures.xyz", case["structure"])
    numbers = [int(z) for z in words.get("species_Z", "0").strip("{}").split()]
    elements = sorted(set(atoms.numbers.tolist()))
    channels = np.array([[float(z in (number, 0)) for z in numbers] for number in elements])
    soap = SOAP(
        elements,
        float(words["cutoff"]),
        int(words["n_max"]),
        int(words["l_max"]),
        float(words["atom_sigma"]),
        radial_basis="gap",
        radial_options={"basis_error_exponent": float(words.get("basis_error_exponent", 10))},
        cutoff_width=float(words.get("cutoff_transition_width", 0.5)),
        central_weight=float(words.get("central_weight", 1)),
        radial_scaling={
            "exponent": float(words.get("cutoff_dexp", 0)),
            "scale": float(words.get("cutoff_scale", 1)),
            "rate": float(words.get("cutoff_rate", 1)),
        },
        channels=channels,
        normalize=words.get("normalise", "T") == "T",
    )
    centres = [int(z) for z in words.get("Z", "0").strip("{}").split()]
    rows = np.flatnonzero(np.isin(atoms.numbers, centres)) if 0 not in centres else np.arange(len(atoms))
    columns = {}
    for column, (a, b, n, n2, angular) in enumerate(soap.feature_labels()):
        A, B = sorted((a * soap.n_max + n, b * soap.n_max + n2), reverse=True)
        columns[(soap.l_max + 1) * (A * (A + 1) // 2 + B) + angular] = column
    return soap, atoms, rows, [columns[k] for k in range(len(columns))]


QUIP_CASES = json.loads((REFERENCE / "cases.json").read_text())


@pytest.mark.parametrize("case", QUIP_CASES, ids=[case["key"] for case in QUIP_CASES])
def test_quippy(case):
    soap, atoms, rows, columns = quip_case(case)
    expected = np.load(REFERENCE / "vectors.npz")[case["key"]]
    assert expected.shape[1] == soap.n_features + 1
    ours = soap.transform(atoms)[rows[: len(expected)]][:, columns]
    conformance.assert_close(ours, expected[:, :-1], 1e-9)


# ------------------------------------------------------------------------------------------------ mistakes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"species": []}, "species is empty"),
        ({"species": None}, "species=None"),
        ({"species": ["Xx"]}, "unknown element 'Xx'"),
        ({"r_cut": -1.0}, "r_cut=-1.0"),
        ({"r_cut": np.nan}, "r_cut=nan"),
        ({"n_max": 0}, "n_max=0"),
        ({"n_max": 2.5}, "n_max=2.5"),
        ({"sigma": 0}, "sigma=0"),
        ({"radial_basis": "gtos"}, "Did you mean 'gto'"),
        ({"radial_options": {"radius": 1.0}}, "radius"),
        ({"cutoff": "cosin"}, "Did you mean 'cosine'"),
        ({"cutoff_width": 0}, "cutoff_width=0"),
        ({"cutoff_width": 9.0}, "at most r_cut"),
        ({"radial_scaling": {"rates": 1}}, "Did you mean 'rate'"),
        ({"radial_scaling": {"exponent": -1}}, "exponent"),
        ({"radial_scaling": {"scale": 0, "exponent": 1}}, "scale"),
        ({"radial_scaling": 3}, "expected a dict"),
        ({"radial_scaling": {"name": "polynomal", "scale": 1}}, "Did you mean 'polynomial'"),
        ({"radial_scaling": {"name": "polynomial", "scale": 1}}, "exponent is missing; 'polynomial' takes scale, exp"),
        ({"radial_scaling": {"name": "exponential", "exponent": 1}}, "is unknown"),
        ({"central_weight": np.inf}, "central_weight=inf"),
        ({"channels": np.ones((3, 2))}, r"expected \(2, n_channels\)"),
    ],
)
@pytest.mark.parametrize("kind", [SOAP, RadialSpectrum])
def test_parameters_are_checked_at_once(kind, change, message):
    parameters = {"species": ["H", "C"], "r_cut": 4.0, "n_max": 4, "sigma": 0.5}
    if kind is SOAP:
        parameters["l_max"] = 3
    kind(**parameters)
    with pytest.raises(ConfigError, match=message):
        kind(**(parameters | change))


def test_wrong_l_max():
    with pytest.raises(ConfigError, match="l_max=-1"):
        SOAP("H", 4.0, 4, -1, 0.5)


def test_from_dict_names_what_is_unknown(example):
    parameters = example("H", 3.0).to_dict()
    with pytest.raises(ConfigError, match="unknown parameter 'r_cutt'"):
        Descriptor.from_dict(parameters | {"r_cutt": 4})
    with pytest.raises(ConfigError, match="'SAOP' is unknown"):
        Descriptor.from_dict(parameters | {"type": "SAOP"})


def test_bad_structures_and_arrays(example):
    descriptor = example(["H", "O"], 3.0)
    with pytest.raises(DataError, match=r"frame 1.*atom 0 is C.*H, O only"):
        descriptor.transform([molecule("H2O"), molecule("CH4")])
    with pytest.raises(DataError, match="frame 0"):
        descriptor.transform(Atoms("HH", positions=np.zeros((2, 3))))
    for out in (np.empty((2, descriptor.n_features)), np.empty((3, descriptor.n_features), dtype=np.float32)):
        with pytest.raises(DataError, match="out is a"):
            descriptor.transform(molecule("H2O"), out=out)
    with pytest.raises(DataError, match="dY_dX has shape"):
        descriptor.vjp(molecule("H2O"), np.zeros((2, descriptor.n_features)))
    environments = example(["H", "O"], 2.0).environments(molecule("H2O"))
    with pytest.raises(ValueError, match=r"cutoff (2|1.6), expected at least r_cut = (3|2.4)"):
        descriptor.transform(environments)


def test_larger_pair_lists_serve_smaller_cutoffs(example):
    atoms = random_atoms(3)
    descriptor = example(["H", "C", "O"], 3.0)
    larger = example(["H", "C", "O"], 4.0).environments(atoms)
    np.testing.assert_array_equal(descriptor.transform(larger), descriptor.transform(atoms))
