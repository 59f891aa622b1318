"""Estimators: potentials on structures, Gaussian processes and ridge regression on feature rows."""

from importlib import import_module as _import_module

_EXPORTS = {
    "Potential": "potential",
    "SparsePoints": "sparse_points",
    "Term": "term",
    "load": "loading",
    "SparseGPR": "sparse_gpr",
    "GPR": "gpr",
    "KRR": "krr",
}

__all__ = sorted(_EXPORTS)


def __getattr__(name):
    if name in _EXPORTS:
        value = getattr(_import_module(f"mercer.models.{_EXPORTS[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'mercer.models' has no attribute {name!r}")
