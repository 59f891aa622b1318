"""The linear kernel."""

from dataclasses import dataclass
from typing import ClassVar

from mercer.kernels._base import Kernel


@dataclass(frozen=True)
class Linear(Kernel):
    """k(x, y) = x . y

    Source: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), section 4.2.2.

    Examples
    --------
    >>> from mercer.kernels import Linear
    >>> Linear()([[1.0, 2.0]], [[3.0, 4.0]])
    array([[11.]])
    """

    name: ClassVar[str] = "linear"
