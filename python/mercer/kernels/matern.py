"""The Matérn kernels."""

from dataclasses import dataclass
from typing import ClassVar

from mercer.errors import ConfigError
from mercer.kernels._base import Kernel, Scale


@dataclass(frozen=True)
class Matern(Kernel):
    """Matérn kernels of half-integer order, with t = sqrt(2 nu) |x - y| / l:

    nu = 1/2: exp(-t), not differentiable at x = y; nu = 3/2: (1 + t) exp(-t); nu = 5/2: (1 + t + t^2 / 3) exp(-t).

    Source: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), eq. 4.17.

    Parameters
    ----------
    nu : {0.5, 1.5, 2.5}, default 2.5
        Smoothness: functions are differentiable fewer than nu times.
    length_scale : float, default 1.0
        l, in the units of the features.

    Examples
    --------
    >>> from mercer.kernels import Matern
    >>> Matern(nu=0.5, length_scale=2.0)([[0.0]], [[2.0]]).round(6)
    array([[0.367879]])
    """

    name: ClassVar[str] = "matern"
    nu: Scale = 2.5
    length_scale: Scale = 1.0

    def __post_init__(self):
        super().__post_init__()
        if self.nu not in (0.5, 1.5, 2.5):
            raise ConfigError(f"Matern(nu)={self.nu}: expected 0.5, 1.5 or 2.5 (Gaussian is the limit of large nu).")
