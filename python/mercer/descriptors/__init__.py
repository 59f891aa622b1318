"""Descriptors: features of atoms (or structures) and their derivatives."""

from mercer.descriptors._base import DESCRIPTORS, MIN_DISTANCE, Descriptor, Environments, Gradients, RowLayout
from mercer.descriptors._density import RawGradients
from mercer.descriptors._mbtr import MBTRPart
from mercer.descriptors._structure import StructureDescriptor
from mercer.descriptors.average_soap import AverageSOAP
from mercer.descriptors.bag_of_bonds import BagOfBonds
from mercer.descriptors.cluster_distances import ClusterDistances
from mercer.descriptors.coulomb_matrix import CoulombMatrix, InverseDistances
from mercer.descriptors.ewald_matrix import EwaldMatrix
from mercer.descriptors.inverse_powers import InversePowers
from mercer.descriptors.lmbtr import LMBTR
from mercer.descriptors.mbtr import MBTR
from mercer.descriptors.pair_distance import PairDistance
from mercer.descriptors.radial_spectrum import RadialSpectrum
from mercer.descriptors.sine_matrix import SineMatrix
from mercer.descriptors.soap import SOAP
from mercer.descriptors.triplet import Triplet

__all__ = [
    "DESCRIPTORS",
    "LMBTR",
    "MBTR",
    "MIN_DISTANCE",
    "SOAP",
    "AverageSOAP",
    "BagOfBonds",
    "ClusterDistances",
    "CoulombMatrix",
    "Descriptor",
    "Environments",
    "EwaldMatrix",
    "Gradients",
    "InverseDistances",
    "InversePowers",
    "MBTRPart",
    "PairDistance",
    "RadialSpectrum",
    "RawGradients",
    "RowLayout",
    "SineMatrix",
    "StructureDescriptor",
    "Triplet",
]
