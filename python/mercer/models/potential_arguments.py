"""What the arguments of a potential may be."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Number

from mercer import targets
from mercer._validation import check_choice, check_count, check_flag, check_items, check_mapping, check_number, show
from mercer.baselines import ZBL, as_baselines
from mercer.errors import ConfigError
from mercer.linalg import SOLVERS
from mercer.models.frame_data import by_number
from mercer.models.memory import parse_bytes
from mercer.models.sparse_points import SparsePoints
from mercer.models.term import Term


def as_terms(value):
    """One term or several, as a list; ConfigError for anything else."""
    terms = list(value) if isinstance(value, list | tuple) else [value]
    if not terms or not all(isinstance(term, Term) for term in terms):
        raise ConfigError(f"Potential: terms={show(value)}: terms must be a Term or a list of at least one")
    return terms


def check_sparse_points(value, terms):
    """ConfigError unless these are the sparse points of each of the terms."""
    points = check_items(value, "sparse_points", "a list of SparsePoints, one for each term")
    if len(points) != len(terms) or not all(isinstance(one, SparsePoints) for one in points):
        raise ConfigError(f"sparse_points={show(value)}: expected {len(terms)} SparsePoints, one for each term")
    for one, term in zip(points, terms, strict=True):
        if one.features.shape[1] != term.descriptor.n_features:
            raise ConfigError(
                f"sparse_points have {one.features.shape[1]} features, {type(term.descriptor).__name__} of the term "
                f"{term.descriptor.n_features}"
            )


def _config_type_sigma(value, name):
    for config_type, sigma in check_mapping(value, name, "{config_type: {kind of label: sigma}}").items():
        targets.check_sigma(sigma, f"{name}[{config_type!r}]")


def _e0(value, name):
    if isinstance(value, Mapping):
        for number, energy in by_number(value, name).items():
            check_number(energy, f"{name} of {number}", smallest=-1e120, largest=1e120)
    elif isinstance(value, Number):
        check_number(value, name, smallest=-1e120, largest=1e120)
    else:
        check_choice(value, targets.E0_METHODS, name)


#: Checks of the arguments that are given; None is always the default.
CHECKS = {
    "sigma": targets.check_sigma,
    "sigma_scaling": lambda value, name: check_choice(value, targets.SIGMA_SCALINGS, name),
    "e0": _e0,
    "baseline": lambda value, name: as_baselines(value),
    "config_type_sigma": _config_type_sigma,
    "solver": lambda value, name: check_choice(value, SOLVERS, name),
    "seed": lambda value, name: check_count(value, name, minimum=0, maximum=2**32 - 1),
    "max_selection": check_count,
    "cross_validation": lambda value, name: check_count(value, name, minimum=0, maximum=1000),
    "max_memory": parse_bytes,
    "repulsive": check_flag,
}
#: Those that must be given.
NEEDED = ("sigma_scaling", "solver", "seed", "cross_validation", "repulsive")


def check_arguments(potential):
    """Raise ConfigError, naming it, for an argument that cannot be used."""
    as_terms(potential.terms)
    for name, check in CHECKS.items():
        value = getattr(potential, name)
        if value is not None or name in NEEDED:
            check(value, name)
    if potential.repulsive:
        kinds = [type(part) for part in as_baselines(potential.baseline)]
        if ZBL not in kinds or any(term.descriptor.per_frame for term in as_terms(potential.terms)):
            raise ConfigError("repulsive=True needs baseline=mercer.baselines.ZBL(...) and no terms on structures")
