"""The radial scaling: neighbours count the less the farther they are."""

import dataclasses
from functools import partial
from typing import Annotated, ClassVar

from mercer import _core
from mercer._parameters import Length, Parameters
from mercer._validation import check_positive
from mercer.basis._choice import choose, distances
from mercer.errors import ConfigError, DataError

Rate = Annotated[float, partial(check_positive, allow_zero=True, largest=1e20)]
Power = Annotated[float, partial(check_positive, allow_zero=True, largest=100.0)]


@dataclasses.dataclass(frozen=True)
class Scaling(Parameters):
    """Base of the radial scalings u(r), the weight of a neighbour at distance r.

    Fields of a subclass are what it takes.

    Attributes
    ----------
    name : str
        How YAML, model files and the core call it.
    """

    name: ClassVar[str]

    def core(self):
        """The function of the C++ core."""
        return _core.core.RadialScaling(name=self.name, **dataclasses.asdict(self))

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
        """Name and parameters; `get_radial_scaling` makes the same object of it."""
        return {"name": self.name, **dataclasses.asdict(self)}


@dataclasses.dataclass(frozen=True)
class RadialScaling(Scaling):
    """u(r) = rate / (rate + (r / scale)^exponent), the usual one.

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

    rate: Rate = 1.0
    scale: Length = 2.0
    exponent: Power = 7.0
    name: ClassVar[str] = "willatt"


@dataclasses.dataclass(frozen=True)
class PolynomialScaling(Scaling):
    """u(r) = (1 + 2 x^3 - 3 x^2)^exponent with x = r / scale up to x = 1, and 0 beyond.

    Caro, Phys. Rev. B 100 (2019) 024112. Smooth at `scale` for an exponent above 1/2; a step for exponent = 0.

    Parameters
    ----------
    scale : float, default 5.0
        Where it becomes zero, in Angstrom.
    exponent : float, default 1.0
        m >= 0.

    Examples
    --------
    >>> values, derivatives = PolynomialScaling(scale=4.0).evaluate([1.0, 2.0, 4.0])
    >>> values.tolist()
    [0.84375, 0.5, 0.0]
    """

    scale: Length = 5.0
    exponent: Power = 1.0
    name: ClassVar[str] = "polynomial"


@dataclasses.dataclass(frozen=True)
class ExponentialScaling(Scaling):
    """u(r) = rate / (rate + exp(-r / scale)), which grows from rate / (rate + 1) at the centre to 1.

    What DScribe calls "exp" (Himanen et al., Comput. Phys. Commun. 247 (2020) 106949). For rate = 0 it is
    exp(r / scale).

    Parameters
    ----------
    rate : float, default 1.0
        d >= 0.
    scale : float, default 2.0
        r_0 > 0 in Angstrom.

    Examples
    --------
    >>> values, derivatives = ExponentialScaling().evaluate([1e-9, 2.0])
    >>> values.round(4).tolist()
    [0.5, 0.7311]
    """

    rate: Rate = 1.0
    scale: Length = 2.0
    name: ClassVar[str] = "exponential"


#: Radial scalings by name.
RADIAL_SCALINGS = {cls.name: cls for cls in (RadialScaling, PolynomialScaling, ExponentialScaling)}


def get_radial_scaling(value):
    """The radial scaling that `value` means.

    Parameters
    ----------
    value : None, str, dict or Scaling
        None for no scaling, a name of `RADIAL_SCALINGS`, a dictionary of 'name' ("willatt", if missing) and parameters,
        or an instance, returned as it is.

    Raises
    ------
    ConfigError
        For an unknown name or parameter, with the nearest known one.

    Examples
    --------
    >>> get_radial_scaling({"exponent": 4})
    RadialScaling(rate=1.0, scale=2.0, exponent=4.0)
    """
    if value is None:
        return None
    if isinstance(value, dict):
        value = {"name": RadialScaling.name} | value
    elif not isinstance(value, Scaling | str):
        raise ConfigError(
            f"radial_scaling={value!r}: expected None, a name ({', '.join(RADIAL_SCALINGS)}), a dictionary of its "
            "parameters, or an instance."
        )
    return choose(value, RADIAL_SCALINGS, Scaling, "radial_scaling")
