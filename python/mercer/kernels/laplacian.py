"""The Laplacian kernel."""

from dataclasses import dataclass
from typing import ClassVar

from mercer.kernels._base import Kernel, Scale


@dataclass(frozen=True)
class Laplacian(Kernel):
    """k(x, y) = exp(-sum_d |x_d - y_d| / l)

    Not differentiable where components agree, so not for forces.
    Source: Rupp, Int. J. Quantum Chem. 115, 1058 (2015), table 2.

    Parameters
    ----------
    length_scale : float, default 1.0
        l, in the units of the features.

    Examples
    --------
    >>> from mercer.kernels import Laplacian
    >>> Laplacian(length_scale=3.0)([[0.0, 0.0]], [[1.0, -2.0]]).round(6)
    array([[0.367879]])
    """

    name: ClassVar[str] = "laplacian"
    length_scale: Scale = 1.0
