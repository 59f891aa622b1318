"""DScribe's descriptors."""

from mercer.compat.dscribe.descriptors.lmbtr import LMBTR
from mercer.compat.dscribe.descriptors.matrices import CoulombMatrix, EwaldSumMatrix, SineMatrix
from mercer.compat.dscribe.descriptors.mbtr import MBTR, ValleOganov
from mercer.compat.dscribe.descriptors.soap import SOAP

__all__ = ["LMBTR", "MBTR", "SOAP", "CoulombMatrix", "EwaldSumMatrix", "SineMatrix", "ValleOganov"]
