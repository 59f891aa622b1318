"""The homogeneous polynomial kernel."""

from dataclasses import dataclass
from typing import ClassVar

from mercer.kernels._base import Exponent, Kernel, Offset


@dataclass(frozen=True)
class Polynomial(Kernel):
    """k(x, y) = (x . y + offset)^zeta

    Source: Bartók, Kondor and Csányi, Phys. Rev. B 87, 184115 (2013), eq. 36, on normalised rows.

    Parameters
    ----------
    zeta : int or float, default 4
        Positive. Integers are computed by repeated squaring. With any other zeta, dot products must not be negative
        (those of SOAP power spectra are not): the call raises DataError then, except that values within rounding of
        zero (-1e-10; -1e-4 in single precision) count as 0.
    offset : float, default 0.0
        Not negative.

    Examples
    --------
    >>> from mercer.kernels import Polynomial
    >>> Polynomial(zeta=2)([[1.0, 2.0]], [[3.0, 4.0]])
    array([[121.]])
    """

    name: ClassVar[str] = "polynomial"
    zeta: Exponent = 4
    offset: Offset = 0.0
