"""What a potential's model file holds: `mercer.io` knows the container, this file the contents.

What is demanded of them is checked by the one reader, in C++ (cpp/src/model/potential_contents.cpp and the files that
it calls): a new entry of the header is a line there. Header, every hyperparameter explicit::

    kind           "potential"
    units          {"energy": "eV", "length": "Angstrom"}
    parameters     sigma, sigma_scaling, e0, config_type_sigma, solver, seed, max_selection, cross_validation,
                   max_memory, repulsive as given to Potential
    species        [atomic number, ...] that the potential knows, ascending
    e0             {"energies": [eV per species], "sources": [...], "undetermined": [[...], ...]}
    terms          [{descriptor, kernel, delta, n_sparse, selection, match_species, n_points, n_features}, ...]
    baseline       [{"type", its parameters}, ...] of `mercer.baselines`, added to what follows; absent without one
    calibration    {kind: factor} of standard deviations; absent where they are not calibrated. "calibration" of the
                   report says on what they were measured
    log_marginal_likelihood
    report         Potential.fit_report_ without times, so that the same fit gives the same file

Arrays: ``terms.<t>.features`` (n_points, n_features), ``terms.<t>.species`` (n_points,), ``terms.<t>.origin``
(n_points, 2), ``terms.<t>.weights`` (n_points,), and, where error bars are wanted, ``covariance.points`` (rank,) and
``covariance.factors`` (rank + 1, rank) as in `mercer.linalg.SparseCovariance`, over the points of all terms in a row.

    energy = baseline + sum_i e0(species of i) + sum_t sum_r sum_m weights_m delta_t^2 k_t(x_r, features_m),

summed over the rows r that the descriptor of term t makes, one per atom or per cluster of atoms; k_t is zero between
rows of different species (of the centre, or kinds of clusters) if match_species. Where the last column of a row is a
factor F, k_t is F_r F_m k(x_r, x_m) of the columns before it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mercer.baselines import as_baselines, baselines_from_dicts
from mercer.errors import MercerError, ModelFileError
from mercer.linalg import SparseCovariance
from mercer.models.frame_data import by_symbol, plain
from mercer.models.sparse_points import SparsePoints
from mercer.models.term import SparseTerm, Term
from mercer.targets import FreeAtomEnergies

_PARAMETERS = (
    *("sigma", "sigma_scaling", "e0", "config_type_sigma", "solver", "seed", "max_selection", "cross_validation"),
    *("max_memory", "repulsive"),
)


def potential_to_file(potential, *, variance):
    """Header and arrays of a fitted potential."""
    e0 = potential.free_atoms_
    parameters = {name: getattr(potential, name) for name in _PARAMETERS}
    if isinstance(potential.e0, Mapping):
        parameters["e0"] = by_symbol(potential.e0)
    header = {
        "kind": "potential",
        "units": {"energy": "eV", "length": "Angstrom"},
        "parameters": {name: plain(value) for name, value in parameters.items()},
        "species": e0.species.tolist(),
        "e0": {
            "energies": e0.energies.tolist(),
            "sources": list(e0.sources),
            "undetermined": e0.undetermined.tolist(),
        },
        "terms": [],
        "log_marginal_likelihood": float(potential.log_marginal_likelihood_),
        "report": {key: value for key, value in potential.fit_report_.items() if key != "seconds"},
    }
    if potential.baselines_:
        header["baseline"] = [part.to_dict() for part in potential.baselines_]
    if potential.calibration_:
        header["calibration"] = dict(potential.calibration_)
    arrays, start = {}, 0
    for t, sparse_term in enumerate(potential.terms_):
        points = sparse_term.points
        header["terms"].append(
            {**sparse_term.term.to_dict(), "n_points": len(points), "n_features": points.features.shape[1]}
        )
        arrays[f"terms.{t}.features"] = points.features
        arrays[f"terms.{t}.species"] = points.species
        arrays[f"terms.{t}.origin"] = points.origin
        arrays[f"terms.{t}.weights"] = potential.weights_[start : start + len(points)]
        start += len(points)
    if variance and potential.covariance_ is not None:
        arrays["covariance.points"] = potential.covariance_.points
        arrays["covariance.factors"] = potential.covariance_.factors
    return header, arrays


def potential_from_file(potential_class, path, header, arrays, version, baseline=None):
    """The fitted potential that `potential_to_file` described; `baseline` takes the place of the stored one.

    Raises
    ------
    ModelFileError
        For a baseline of another kind than the stored one, or one that must be given again.
    """
    try:
        terms = []
        for t, entry in enumerate(header["terms"]):
            term = {key: value for key, value in entry.items() if key not in ("n_points", "n_features")}
            points = SparsePoints(*(arrays[f"terms.{t}.{name}"] for name in ("features", "species", "origin")))
            terms.append(SparseTerm(Term.from_dict(term), points))
        baselines = as_baselines(baseline) or baselines_from_dicts(header.get("baseline", ()))
        _check_baseline(baselines, header.get("baseline", ()))
        potential = potential_class([term.term for term in terms], baseline=baselines or None, **header["parameters"])
        potential.baselines_ = baselines
        potential.calibration_ = dict(header.get("calibration", {}))
        potential.terms_ = terms
        potential.weights_ = np.concatenate([arrays[f"terms.{t}.weights"] for t in range(len(terms))])
        species = np.array(header["species"], int)
        e0 = header["e0"]
        potential.free_atoms_ = FreeAtomEnergies(
            species,
            np.array(e0["energies"], float),
            tuple(e0["sources"]),
            np.array(e0["undetermined"], float).reshape(-1, len(species)),
        )
        potential.covariance_ = None
        if "covariance.factors" in arrays:
            potential.covariance_ = SparseCovariance(arrays["covariance.points"], arrays["covariance.factors"])
        potential.log_marginal_likelihood_ = header["log_marginal_likelihood"]
        potential.fit_report_ = header["report"]
        potential.held_out_ = {}
        potential.file_version_ = version
    except (MercerError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ModelFileError(f"{path}: written by mercer {version}, cannot be used here: {error}") from error
    return potential


def _check_baseline(given, stored):
    """A baseline that is given again must be of the kinds that the model was fitted with."""
    kinds = [part.name for part in given]
    expected = [entry["type"] for entry in stored]
    if kinds != expected:
        raise ValueError(f"its baseline is {', '.join(expected) or 'none'}, but {', '.join(kinds)} is given")
