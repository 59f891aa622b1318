"""Kernels of two sets of feature rows: frozen dataclasses over the blocked driver of the core."""

from mercer.kernels._base import KERNELS, Kernel, get_kernel
from mercer.kernels.gaussian import Gaussian
from mercer.kernels.laplacian import Laplacian
from mercer.kernels.linear import Linear
from mercer.kernels.matern import Matern
from mercer.kernels.multi import MultiKernel, MultiRows
from mercer.kernels.polynomial import Polynomial
from mercer.kernels.rational_quadratic import RationalQuadratic
from mercer.kernels.structure import STRUCTURE_KERNELS, Average, REMatch, StructureKernel, Sum, Weighted
from mercer.kernels.structure_rows import StructureRows

__all__ = [
    "KERNELS",
    "STRUCTURE_KERNELS",
    "Average",
    "Gaussian",
    "Kernel",
    "Laplacian",
    "Linear",
    "Matern",
    "MultiKernel",
    "MultiRows",
    "Polynomial",
    "REMatch",
    "RationalQuadratic",
    "StructureKernel",
    "StructureRows",
    "Sum",
    "Weighted",
    "get_kernel",
]
