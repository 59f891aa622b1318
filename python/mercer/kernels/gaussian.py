"""The Gaussian kernel."""

from dataclasses import dataclass
from typing import ClassVar

from mercer.kernels._base import Kernel, Offset, Scale


@dataclass(frozen=True)
class Gaussian(Kernel):
    """k(x, y) = exp(-|x - y|^2 / (2 l^2)) + offset, also known as radial basis function or squared exponential kernel.

    Source: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), eq. 4.9.

    Parameters
    ----------
    length_scale : float, default 1.0
        l, in the units of the features.
    offset : float, default 0.0
        Not negative: the prior variance of a constant.

    Examples
    --------
    >>> from mercer.kernels import Gaussian
    >>> Gaussian(length_scale=2.0)([[0.0]], [[2.0]]).round(6)
    array([[0.606531]])
    """

    name: ClassVar[str] = "gaussian"
    length_scale: Scale = 1.0
    offset: Offset = 0.0
