"""Kernel models of atoms: representations, kernels, sparse Gaussian processes and potentials."""

from importlib import import_module as _import_module

from mercer import _core
from mercer._threads import set_num_threads, show_config, threads

__version__ = _core.core.version

#: Public names by the module that holds them; loaded at first use, so that ``import mercer`` stays quick.
_EXPORTS = {
    "MBTR": "mercer.descriptors",
    "LMBTR": "mercer.descriptors",
    "SOAP": "mercer.descriptors",
    "RadialSpectrum": "mercer.descriptors",
    "PairDistance": "mercer.descriptors",
    "Triplet": "mercer.descriptors",
    "ClusterDistances": "mercer.descriptors",
    "CoulombMatrix": "mercer.descriptors",
    "InverseDistances": "mercer.descriptors",
    "SineMatrix": "mercer.descriptors",
    "EwaldMatrix": "mercer.descriptors",
    "BagOfBonds": "mercer.descriptors",
    "InversePowers": "mercer.descriptors",
    "neighbor_list": "mercer.neighbors",
    "SparseGPR": "mercer.models",
    "GPR": "mercer.models",
    "KRR": "mercer.models",
    "Term": "mercer.models",
    "Potential": "mercer.models",
    "load": "mercer.models",
}
_MODULES = (
    "baselines",
    "basis",
    "calculators",
    "checks",
    "descriptors",
    "dynamics",
    "errors",
    "kernels",
    "models",
    "plots",
    "selection",
    "structures",
)

__all__ = ["__version__", "set_num_threads", "show_config", "threads", *_EXPORTS, *_MODULES]


def __getattr__(name):
    if name in _EXPORTS:
        value = getattr(_import_module(_EXPORTS[name]), name)
    elif name in _MODULES:
        value = _import_module(f"mercer.{name}")
    else:
        raise AttributeError(f"module 'mercer' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__():
    return sorted(__all__)
