"""Descriptors: features of atoms (or structures) and their derivatives."""

from mercer.descriptors._base import DESCRIPTORS, Descriptor, Environments
from mercer.descriptors.radial_spectrum import RadialSpectrum
from mercer.descriptors.soap import SOAP

__all__ = ["DESCRIPTORS", "SOAP", "Descriptor", "Environments", "RadialSpectrum"]
