"""The rational quadratic kernel."""

from dataclasses import dataclass
from typing import ClassVar

from mercer.kernels._base import Kernel, Scale


@dataclass(frozen=True)
class RationalQuadratic(Kernel):
    """k(x, y) = (1 + |x - y|^2 / (2 alpha l^2))^-alpha, a mixture of Gaussian kernels of many length scales.

    Source: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), eq. 4.19.

    Parameters
    ----------
    alpha : float, default 1.0
        Positive; the Gaussian kernel is the limit of large alpha. Integers are quicker.
    length_scale : float, default 1.0
        l, in the units of the features.

    Examples
    --------
    >>> from mercer.kernels import RationalQuadratic
    >>> RationalQuadratic(alpha=1.0, length_scale=1.0)([[0.0]], [[1.0]]).round(6)
    array([[0.666667]])
    """

    name: ClassVar[str] = "rational_quadratic"
    alpha: Scale = 1.0
    length_scale: Scale = 1.0
