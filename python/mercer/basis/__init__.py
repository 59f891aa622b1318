"""Radial bases, cutoff functions and radial scaling: everything that depends on a distance alone.

Each is a small frozen dataclass that a descriptor takes as an instance, by name, or as a dictionary (from YAML or a
model file):

>>> from mercer import basis
>>> basis.get_radial_basis("laplacian")
Laplacian(radius=None)
>>> basis.get_cutoff({"name": "shifted_cosine", "width": 0.3})
ShiftedCosine(width=0.3)
"""

from mercer.basis.cutoff import CUTOFFS, Cosine, Cutoff, NoCutoff, Polynomial, ShiftedCosine, get_cutoff
from mercer.basis.radial import (
    GAP,
    GAPGTO,
    GTO,
    RADIAL_BASES,
    DScribeGTO,
    DScribePolynomial,
    FeatomicGTO,
    GAPPolynomial,
    Laplacian,
    RadialBasis,
    get_radial_basis,
)
from mercer.basis.scaling import (
    RADIAL_SCALINGS,
    ExponentialScaling,
    PolynomialScaling,
    RadialScaling,
    Scaling,
    get_radial_scaling,
)

__all__ = [
    "CUTOFFS",
    "GAP",
    "GAPGTO",
    "GTO",
    "RADIAL_BASES",
    "RADIAL_SCALINGS",
    "Cosine",
    "Cutoff",
    "DScribeGTO",
    "DScribePolynomial",
    "ExponentialScaling",
    "FeatomicGTO",
    "GAPPolynomial",
    "Laplacian",
    "NoCutoff",
    "Polynomial",
    "PolynomialScaling",
    "RadialBasis",
    "RadialScaling",
    "Scaling",
    "ShiftedCosine",
    "get_cutoff",
    "get_radial_basis",
    "get_radial_scaling",
]
