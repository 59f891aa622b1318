"""A potential out of a published GAP: what each of its coordinates means in terms of descriptors, kernels and weights.

QUIP counts every bond and every triangle of a centre twice, mercer once. With b the sum over what is counted once, a
term is f = delta^2 (2 b) alpha with the prior alpha K alpha delta^2: the same as (2 delta)^2 b (alpha / 2).
"""

from __future__ import annotations

import contextlib
from functools import partial

import numpy as np

from mercer.descriptors import SOAP, AverageSOAP, ClusterDistances, PairDistance, Triplet
from mercer.errors import MercerError, ModelFileError
from mercer.gap import (
    CENTRAL_REFERENCE_OPTIONAL,
    COMPACT_CLUSTERS_DEFAULT,
    POWER_SPECTRUM_NORMALISED,
    integer,
    logical,
    number,
    read_gap,
)
from mercer.glue import Glue, Table
from mercer.kernels import Gaussian, Polynomial
from mercer.models.sparse_points import SparsePoints
from mercer.models.term import SparseTerm, Term
from mercer.targets import FreeAtomEnergies

_N_ELEMENTS = 118


def load_gap(potential_class, path):
    """The fitted potential that a GAP file describes.

    Raises
    ------
    ModelFileError
        As `mercer.gap.read_gap`, and for options of descriptors that mercer does not have, named.
    """
    gap = read_gap(path)
    parts = []
    for coordinate in gap.coordinates:
        if len(coordinate.alpha) == 0:
            continue
        with _naming(f"{path}: descriptor {coordinate.kind} ..."):
            parts.append(_CONVERSIONS[coordinate.kind](coordinate, gap.version))
    if not parts:
        raise ModelFileError(f"{path}: holds no sparse points; take the file of a potential that was fitted")
    with _naming(path):
        parts = _merged(parts)
        baseline = _glue(gap.glue)
    potential = potential_class([term for term, _, _ in parts], e0="none", baseline=baseline)
    potential.baselines_ = () if baseline is None else (baseline,)
    potential.calibration_ = {}
    potential.held_out_ = {}
    potential.terms_ = [SparseTerm(term, points) for term, points, _ in parts]
    potential.weights_ = gap.e_scale * np.concatenate([weights for _, _, weights in parts])
    species = np.arange(1, _N_ELEMENTS + 1)
    energies = gap.e_scale * np.array([gap.e0.get(int(z), gap.e0_default) for z in species])
    sources = tuple("given" if int(z) in gap.e0 else "none" for z in species)
    potential.free_atoms_ = FreeAtomEnergies(species, energies, sources, np.zeros((0, _N_ELEMENTS)))
    potential.covariance_ = None
    potential.log_marginal_likelihood_ = 0.0
    potential.fit_report_ = {}
    return potential


@contextlib.contextmanager
def _naming(where):
    """Whatever an option of the file leads to, as ModelFileError that says where."""
    try:
        yield
    except MemoryError as error:
        raise ModelFileError(f"{where}: larger than the memory that is free") from error
    except (MercerError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise ModelFileError(f"{where}: {error}") from error


def _glue(tables):
    if tables is None:
        return None

    def table(t):
        return Table(t.x, t.y, (t.slope_first, t.slope_last), t.spline)

    return Glue(
        density=tuple((z, table(t)) for z, t in tables.density.items()),
        embedding=tuple((z, table(t)) for z, t in tables.embedding.items()),
        pair=tuple((*pair, table(t)) for pair, t in tables.pair.items()),
    )


#: mercer's radial bases by their names in descriptor strings.
RADIAL_BASES = {"EQUISPACED_GAUSS": "gap", "POLY": "gap_polynomial", "GTO": "gap_gto"}


class _Refused(ValueError):
    """An option of a GAP descriptor that mercer does not have."""


# ------------------------------------------------------------------------------------------------ options


def _value(options, key, convert, default):
    return convert(options[key], key) if key in options else default


def _required(options, key, convert):
    if key not in options:
        raise _Refused(f"{key} is missing")
    return convert(options[key], key)


def _element(text, name):
    """An atomic number; 0 is any element."""
    value = integer(text, name)
    if value > _N_ELEMENTS:
        raise _Refused(f"{name}={value}: expected an atomic number")
    return value


def _elements(text, name):
    return [_element(word, name) for word in text.replace(",", " ").split()]


def _exponents(text, name):
    return [integer(word, name, -1000) for word in text.replace(",", " ").split()]


def _refuse(options, **only):
    """Refuse options whose value is not the one that mercer knows: {key: the value}."""
    for key, value in only.items():
        if key not in options:
            continue
        given = options[key].strip()
        convert = {bool: logical, int: number, str: str.upper}.get(type(value))
        try:
            same = convert is not None and convert(given) == value
        except ValueError:
            same = False
        if not same:
            raise _Refused(f"{key}={given} is not an option that mercer reads")


def _cutoff(options):
    """r_cut and its transition width."""
    return _required(options, "cutoff", number), _value(options, "cutoff_transition_width", number, 0.5)


# --------------------------------------------------------------------------------------------- descriptors


def _soap(coordinate, version):
    options = coordinate.options
    _refuse(
        options, diagonal_radial=False, nu_r=2, nu_s=2, coupling=True,
        z_mix=False, r_mix=False, sym_mix=False, k=None, z_map=None, xml_version=None,
    )  # fmt: skip
    if coordinate.covariance != "dot_product":
        raise _Refused(f"the covariance {coordinate.covariance} of soap is not one that mercer reads")
    order = _value(options, "species_z", _elements, [0])
    n_species = _value(options, "n_species", integer, len(order))
    if n_species != len(order) or len(set(order)) != len(order) or (0 in order and order != [0]):
        raise _Refused(f"n_species={n_species} with species_Z={order} is not a list of species that mercer reads")
    any_element = order == [0]
    everywhere = _value(options, "central_reference_all_species", logical, n_species == 1)
    if version < CENTRAL_REFERENCE_OPTIONAL:
        everywhere = True
    kind = _value(options, "radial_basis", lambda text, _: text.strip().upper(), "EQUISPACED_GAUSS")
    if kind not in RADIAL_BASES:
        raise _Refused(f"radial_basis={kind} is not one that mercer reads: {', '.join(RADIAL_BASES)}")
    radial = {"basis_error_exponent": _value(options, "basis_error_exponent", number, 10.0)}
    if version < POWER_SPECTRUM_NORMALISED:
        if kind != "EQUISPACED_GAUSS":
            raise _Refused(f"radial_basis={kind} of a potential before 2015 is not one that mercer reads")
        radial["angular_power"] = 0.25
    centres = _value(options, "z", _elements, [0])
    match = centres != [0]
    if match and 0 in centres:
        raise _Refused(f"Z={centres} is not a list of elements that mercer reads")
    normalize = _value(options, "normalise", logical, True)
    average = _value(options, "average", logical, False)
    if average and not normalize:
        raise _Refused("average=T with normalise=F, rows of sums over atoms, is not what mercer reads")
    r_cut, width = _cutoff(options)
    make = SOAP if not average else partial(AverageSOAP, centers=centres if match else None)
    soap = make(
        range(1, _N_ELEMENTS + 1) if any_element else order,
        r_cut,
        _required(options, "n_max", integer),
        _required(options, "l_max", integer),
        _required(options, "atom_sigma", number),
        radial_basis=RADIAL_BASES[kind],
        radial_options=radial,
        cutoff_width=width,
        radial_scaling={
            "exponent": _value(options, "cutoff_dexp", number, 0.0),
            "scale": _value(options, "cutoff_scale", number, 1.0),
            "rate": _value(options, "cutoff_rate", number, 1.0),
        },
        central_weight=_value(options, "central_weight", number, 1.0),
        central_in_all_species=everywhere and not any_element,
        channels=np.ones((_N_ELEMENTS, 1)) if any_element else None,
        normalize=normalize,
        ignore_unknown=True,
    )
    if coordinate.sparse_x.shape[1] != soap.n_features + 1:
        raise _Refused(f"dimensions={coordinate.sparse_x.shape[1]}, but the descriptor has {soap.n_features + 1}")
    sigma0 = _value(options, "covariance_sigma0", number, 0.0)
    if np.abs(coordinate.sparse_x[:, -1] - sigma0).max() > 1e-8:
        raise _Refused(f"sparse points do not end with covariance_sigma0={sigma0}")
    features = coordinate.sparse_x[:, _soap_columns(soap, [0] if any_element else order)]
    if average:  # a row for each frame
        centres, match = [0], False
    term = Term(soap, _dot_product(coordinate, sigma0**2), delta=coordinate.delta, match_species=match)
    n = len(features)
    points = _points(np.tile(features, (len(centres), 1)), np.repeat(centres, n))
    return term, points, np.tile(coordinate.alpha, len(centres))


def _soap_columns(soap, order):
    """Where QUIP has the features of `soap`: A = channel n_max + n, A >= B, then l fastest."""
    n_l = soap.l_max + 1
    if soap.channels is not None:
        place = {0: 0}
    else:
        labels = {z: label for z, label in zip(soap.species, _names(soap), strict=True)}
        place = {labels[z]: k for k, z in enumerate(order)}
    columns = []
    for a, b, n, n2, angular in soap.feature_labels():
        first, second = sorted((place[a] * soap.n_max + n, place[b] * soap.n_max + n2), reverse=True)
        columns.append(n_l * (first * (first + 1) // 2 + second) + angular)
    return columns


def _names(soap):
    """The chemical symbols of the species of `soap`, as its labels have them."""
    return list(dict.fromkeys(label[0] for label in soap.feature_labels()))


def _distance_2b(coordinate, version):
    options = coordinate.options
    _refuse(options, only_intra=False, only_inter=False)
    r_cut, width = _cutoff(options)
    n_exponents = _value(options, "n_exponents", integer, 1)
    if n_exponents != coordinate.sparse_x.shape[1]:
        raise _Refused(f"n_exponents={n_exponents}, but dimensions={coordinate.sparse_x.shape[1]}")
    default = [1] if n_exponents == 1 else [-k for k in range(1, n_exponents + 1)]
    exponents = _value(options, "exponents", _exponents, default)
    if len(exponents) != n_exponents:
        raise _Refused(f"n_exponents={n_exponents}, but exponents={exponents}")
    pair = PairDistance(
        None,
        r_cut,
        kinds=[tuple(sorted(_value(options, key, _element, 0) for key in ("z1", "z2")))],
        cutoff_width=width,
        exponents=exponents,
        tail_exponent=_value(options, "tail_exponent", number, 0.0),
        tail_range=_value(options, "tail_range", number, 1.0),
        scales=_scales(coordinate),
    )
    return _cluster_term(coordinate, pair, counted=2)


def _angle_3b(coordinate, version):
    options = coordinate.options
    r_cut, width = _cutoff(options)
    centre = options.get("z", options.get("z_center", "0"))
    neighbours = sorted(_value(options, key, _element, 0) for key in ("z1", "z2"))
    kinds = [(_element(centre, "z"), *neighbours)]
    triplet = Triplet(None, r_cut, kinds=kinds, cutoff_width=width, scales=_scales(coordinate))
    return _cluster_term(coordinate, triplet, counted=2)


def _distance_nb(coordinate, version):
    options = coordinate.options
    r_cut, width = _cutoff(options)
    order = _required(options, "order", integer)
    if not 2 <= order <= coordinate.sparse_x.shape[1] + 1:  # order (order - 1) / 2 distances
        raise _Refused(f"order={order}, but dimensions={coordinate.sparse_x.shape[1]}")
    elements = _value(options, "z", _elements, [0] * order)
    clusters = ClusterDistances(
        None,
        r_cut,
        order,
        compact=_value(options, "compact_clusters", logical, version >= COMPACT_CLUSTERS_DEFAULT),
        kinds=[tuple(sorted(elements))],
        cutoff_width=width,
        scales=_scales(coordinate),
        permutations=coordinate.permutations.tolist() if coordinate.covariance == "ard_se" else None,
    )
    permutations = clusters.permutations or ()
    if any(np.ptp(coordinate.theta[list(p)] - coordinate.theta) > 1e-12 for p in permutations):
        raise _Refused(f"theta={coordinate.theta} differs among distances that permutations exchange")
    if permutations and coordinate.f0 != 0:
        raise _Refused(f"signal_mean={coordinate.f0} together with permutations is not one that mercer reads")
    term, points, weights = _cluster_term(coordinate, clusters, counted=1)
    if permutations:
        x = points.features[:, :-1]
        kappa = sum(np.exp(-0.5 * np.sum((x[:, p] - x) ** 2, axis=1)) for p in map(list, permutations))
        factors = points.features[:, -1] * np.sqrt(len(permutations) / kappa)
        points = _points(np.column_stack([x, factors]), points.species)
    return term, points, weights


_CONVERSIONS = {"soap": _soap, "distance_2b": _distance_2b, "angle_3b": _angle_3b, "distance_Nb": _distance_nb}


# ------------------------------------------------------------------------------------------------ kernels


def _scales(coordinate):
    return tuple(coordinate.theta) if coordinate.covariance == "ard_se" else None


def _dot_product(coordinate, offset):
    zeta = int(coordinate.zeta) if coordinate.zeta == int(coordinate.zeta) else coordinate.zeta
    return Polynomial(zeta, offset)


def _cluster_term(coordinate, descriptor, counted):
    """The term, its points and weights; `counted`: how often QUIP counts a cluster."""
    x = coordinate.sparse_x
    if x.shape[1] != descriptor.n_features - 1:
        raise _Refused(f"dimensions={x.shape[1]}, but the descriptor has {descriptor.n_features - 1}")
    if coordinate.covariance == "dot_product":
        kernel = _dot_product(coordinate, 0.0)
    else:
        x = x / coordinate.theta
        kernel = Gaussian(1.0, (coordinate.f0 / coordinate.delta) ** 2)
    term = Term(descriptor, kernel, delta=counted * coordinate.delta)
    points = _points(np.column_stack([x, coordinate.sparse_cutoff]), np.zeros(len(x)))
    return term, points, coordinate.alpha / counted


def _points(features, groups):
    return SparsePoints(features, groups, np.full((len(features), 2), -1))


# ------------------------------------------------------------------------------------------------- merging


def _merged(parts):
    """Terms that differ in the kinds of clusters or the species of centres alone, made one: features come once then."""
    merged = {}
    for number_, (term, points, weights) in enumerate(parts):
        entry = term.to_dict()
        kinds = entry["descriptor"].pop("kinds", None)
        unique = term.match_species and 0 not in np.ravel(kinds if kinds is not None else points.species)
        key = repr(entry) if unique else number_
        merged.setdefault(key, []).append((term, points, weights))
    return [_merge(group) for group in merged.values()]


def _merge(group):
    if len(group) == 1:
        return group[0]
    term = group[0][0]
    groups = [points.species for _, points, _ in group]
    if not term.descriptor.per_atom:
        kinds = list(dict.fromkeys(t.descriptor.kinds[0] for t, _, _ in group))
        groups = [np.full(len(p), kinds.index(t.descriptor.kinds[0])) for t, p, _ in group]
        entry = term.to_dict()
        entry["descriptor"]["kinds"] = kinds
        term = Term.from_dict(entry)
    points = _points(np.concatenate([points.features for _, points, _ in group]), np.concatenate(groups))
    return term, points, np.concatenate([weights for _, _, weights in group])
