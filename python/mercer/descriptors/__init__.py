"""Descriptors: features of atoms (or structures) and their derivatives."""

from mercer.descriptors._base import DESCRIPTORS, MIN_DISTANCE, Descriptor, Environments, Gradients, RowLayout
from mercer.descriptors._density import RawGradients
from mercer.descriptors.cluster_distances import ClusterDistances
from mercer.descriptors.pair_distance import PairDistance
from mercer.descriptors.radial_spectrum import RadialSpectrum
from mercer.descriptors.soap import SOAP
from mercer.descriptors.triplet import Triplet

__all__ = [
    "DESCRIPTORS",
    "MIN_DISTANCE",
    "SOAP",
    "ClusterDistances",
    "Descriptor",
    "Environments",
    "Gradients",
    "PairDistance",
    "RadialSpectrum",
    "RawGradients",
    "RowLayout",
    "Triplet",
]
