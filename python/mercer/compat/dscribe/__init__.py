"""The classes of DScribe 2 with mercer inside: the same arguments, the same numbers, and gradients of everything.

Replace ``dscribe`` by ``mercer.compat.dscribe`` in imports. See docs/from-dscribe.md for what differs.

>>> from ase.build import molecule
>>> from mercer.compat.dscribe.descriptors import SOAP
>>> soap = SOAP(species=["H", "O"], r_cut=5.0, n_max=8, l_max=6)
>>> soap.create(molecule("H2O")).shape
(3, 952)
"""

from mercer.compat.dscribe.descriptors import (
    LMBTR,
    MBTR,
    SOAP,
    CoulombMatrix,
    EwaldSumMatrix,
    SineMatrix,
    ValleOganov,
)
from mercer.compat.dscribe.kernels import AverageKernel, REMatchKernel

__all__ = [
    "LMBTR",
    "MBTR",
    "SOAP",
    "AverageKernel",
    "CoulombMatrix",
    "EwaldSumMatrix",
    "REMatchKernel",
    "SineMatrix",
    "ValleOganov",
]
