"""Cutoff functions: how a neighbour's weight goes to zero at the cutoff radius."""

import dataclasses
from typing import ClassVar

from mercer import _core
from mercer._parameters import Length, Parameters
from mercer._validation import check_positive
from mercer.basis._choice import choose, distances, refusals


@dataclasses.dataclass(frozen=True)
class Cutoff(Parameters):
    """Base of the cutoff functions f(r): 1 near the centre, 0 from `r_cut` on.

    Attributes
    ----------
    name : str
        How YAML, model files and the core call it.
    smooth : bool
        Whether value and slope go to zero at the cutoff radius.
    """

    name: ClassVar[str]
    smooth: ClassVar[bool] = True

    def transition_width(self, r_cut):
        """Length of the range below `r_cut` in which the function falls from 1 to 0, in Angstrom."""
        return self.width

    def core(self, r_cut):
        """The cutoff function of the C++ core; ConfigError where `r_cut` and the width do not fit."""
        with refusals():
            return _core.core.Cutoff(self.name, check_positive(r_cut, "r_cut"), self.transition_width(r_cut))

    def evaluate(self, r, r_cut):
        """Values and derivatives.

        Parameters
        ----------
        r : array_like of shape (n,)
            Distances in Angstrom.
        r_cut : float
            Cutoff radius in Angstrom.

        Returns
        -------
        values, derivatives : ndarray of shape (n,)

        Raises
        ------
        ConfigError
            If `r_cut` is not positive or smaller than the width.

        Examples
        --------
        >>> values, derivatives = Cosine().evaluate([2.5], r_cut=5.0)
        >>> bool(abs(values[0] - 0.5) < 1e-15)
        True
        """
        r = distances(r)
        function = self.core(r_cut)
        return function.value(r), function.derivative(r)

    def to_dict(self):
        """Name and parameters; `get_cutoff` makes the same object of it."""
        return {"name": self.name, **dataclasses.asdict(self)}


@dataclasses.dataclass(frozen=True)
class ShiftedCosine(Cutoff):
    """1 up to r_cut - width, then (1 + cos(pi (r - r_cut + width) / width)) / 2; once continuously differentiable.

    The convention of GAP: Bartok & Csanyi, Int. J. Quantum Chem. 115 (2015) 1051.

    Parameters
    ----------
    width : float, default 0.5
        Width of the transition in Angstrom, at most the cutoff radius.
    """

    width: Length = 0.5
    name: ClassVar[str] = "shifted_cosine"


@dataclasses.dataclass(frozen=True)
class Cosine(Cutoff):
    """(1 + cos(pi r / r_cut)) / 2: falls from the centre on. Behler & Parrinello, PRL 98 (2007) 146401, eq. 4."""

    name: ClassVar[str] = "cosine"

    def transition_width(self, r_cut):
        return r_cut


@dataclasses.dataclass(frozen=True)
class Polynomial(Cutoff):
    """1 - 35 x^4 + 84 x^5 - 70 x^6 + 20 x^7 with x = (r - r_cut + width) / width; three times differentiable.

    Parameters
    ----------
    width : float, default 0.5
        Width of the transition in Angstrom, at most the cutoff radius.
    """

    width: Length = 0.5
    name: ClassVar[str] = "polynomial"


@dataclasses.dataclass(frozen=True)
class NoCutoff(Cutoff):
    """A sharp step at r_cut: not continuous, so not for potentials."""

    name: ClassVar[str] = "none"
    smooth: ClassVar[bool] = False

    def transition_width(self, r_cut):
        return 0.0


#: Cutoff functions by name.
CUTOFFS = {cls.name: cls for cls in (ShiftedCosine, Cosine, Polynomial, NoCutoff)}


def get_cutoff(value):
    """The cutoff function that `value` means.

    Parameters
    ----------
    value : str, dict or Cutoff
        A name of `CUTOFFS`, a dictionary of 'name' and parameters, or an instance, returned as it is.

    Raises
    ------
    ConfigError
        For an unknown name or parameter, with the nearest known one.

    Examples
    --------
    >>> get_cutoff("cosine")
    Cosine()
    """
    return choose(value, CUTOFFS, Cutoff, "cutoff")
