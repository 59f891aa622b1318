"""Kernels of two sets of feature rows: frozen dataclasses over the blocked driver of the core."""

from mercer.kernels._base import KERNELS, Kernel, get_kernel
from mercer.kernels.gaussian import Gaussian
from mercer.kernels.laplacian import Laplacian
from mercer.kernels.linear import Linear
from mercer.kernels.matern import Matern
from mercer.kernels.polynomial import Polynomial
from mercer.kernels.rational_quadratic import RationalQuadratic

__all__ = [
    "KERNELS",
    "Gaussian",
    "Kernel",
    "Laplacian",
    "Linear",
    "Matern",
    "Polynomial",
    "RationalQuadratic",
    "get_kernel",
]
