"""The radial scaling: neighbours count the less the farther they are."""

import dataclasses

from mercer import _core
from mercer._validation import check_positive
from mercer.basis._choice import build, distances
from mercer.errors import ConfigError, DataError


@dataclasses.dataclass(frozen=True)
class RadialScaling:
    """u(r) = rate / (rate + (r / scale)^exponent), the weight of a neighbour at distance r.

    Willatt, Musil & Ceriotti, Phys. Chem. Chem. Phys. 20 (2018) 29661, eq. 21. For rate = 0 it is
    (r / scale)^-exponent, which diverges at the centre; for exponent = 0 it is 1.

    Parameters
    ----------
    rate : float, default 1.0
        c >= 0. With c = 1, u(scale) = 1/2.
    scale : float, default 2.0
        r_0 > 0 in Angstrom.
    exponent : float, default 7.0
        m >= 0. The defaults are the optimum of the reference for QM9.

    Raises
    ------
    ConfigError
        For parameters outside their ranges.

    Examples
    --------
    >>> values, derivatives = RadialScaling().evaluate([1.0, 2.0, 3.0, 5.0])
    >>> values.round(4).tolist()
    [0.9922, 0.5, 0.0553, 0.0016]
    """

    rate: float = 1.0
    scale: float = 2.0
    exponent: float = 7.0

    def __post_init__(self):
        object.__setattr__(self, "rate", check_positive(self.rate, "rate", allow_zero=True))
        object.__setattr__(self, "scale", check_positive(self.scale, "scale"))
        object.__setattr__(self, "exponent", check_positive(self.exponent, "exponent", allow_zero=True))

    def core(self):
        """The function of the C++ core."""
        return _core.core.RadialScaling(self.rate, self.scale, self.exponent)

    def evaluate(self, r):
        """Values and derivatives.

        Parameters
        ----------
        r : array_like of shape (n,)
            Distances in Angstrom, above zero.

        Returns
        -------
        values, derivatives : ndarray of shape (n,)
        """
        r = distances(r)
        if (r <= 0).any():
            raise DataError(f"r holds {r.min()}; expected distances > 0 (Angstrom).")
        function = self.core()
        return function.value(r), function.derivative(r)

    def to_dict(self):
        """The parameters; `get_radial_scaling` makes the same object of it."""
        return dataclasses.asdict(self)


def get_radial_scaling(value):
    """The radial scaling that `value` means: None (no scaling), a dictionary of its parameters, or an instance.

    Raises
    ------
    ConfigError
        For an unknown parameter, with the nearest known one.

    Examples
    --------
    >>> get_radial_scaling({"exponent": 4})
    RadialScaling(rate=1.0, scale=2.0, exponent=4.0)
    """
    if value is None or isinstance(value, RadialScaling):
        return value
    if isinstance(value, dict):
        return build(RadialScaling, value, "radial_scaling")
    raise ConfigError(
        f"radial_scaling={value!r}: expected None, a dictionary of rate, scale, exponent, or an instance."
    )
