"""Distances of pairs of atoms."""

from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Annotated

from mercer._core import core
from mercer._parameters import Length
from mercer._validation import check_items, check_number, check_positive, show
from mercer.descriptors._base import Species, register
from mercer.descriptors._clusters import ClusterDescriptor
from mercer.errors import ConfigError


def _exponents(value, name):
    powers = check_items(value, name, "integers other than 0", single=True)
    found = tuple(check_number(power, name, smallest=-64, largest=64) for power in powers)
    if not found or any(power != int(power) or power == 0 for power in found):
        raise ConfigError(f"{name}={show(value)}: expected integers other than 0, at least one.")
    return tuple(map(int, found))


@register
@dataclass(frozen=True)
class PairDistance(ClusterDescriptor):
    """The distance of every two atoms within the cutoff: a row for each bond, for two-body terms of a potential.

    Each bond counts once; its energy is shared by both atoms. Columns are powers of the distance, and as the last one
    the factor F = f_c(r) (erf(rho r) / r)^q: the covariance of two bonds is F F' k(x, x') if they are of the same kind
    (Bartok and Csanyi, Int. J. Quantum Chem. 115, 1051 (2015), section 4). The descriptor distance_2b of QUIP is the
    same, but counts every bond twice.

    Parameters
    ----------
    species : str, int, or sequence of them, or None
        Elements that may occur, as symbols or atomic numbers. None: any; bonds of no kind are left out.
    r_cut : float
        Cutoff radius, Angstrom.
    kinds : sequence of pairs of elements, optional
        The bonds to consider, in any order; "*" or 0 is any element. Default: all pairs of `species`. Bonds of
        different kinds do not covary; a bond belongs to the first kind that fits.
    cutoff : str, default "shifted_cosine"
        "shifted_cosine", "cosine", "polynomial" or "none".
    cutoff_width : float, default 0.5
        Angstrom over which the cutoff function falls from 1 to 0.
    exponents : sequence of int, default (1,)
        The powers of r, not 0.
    tail_exponent : float, default 0.0
        q; 0 for no tail.
    tail_range : float, default 1.0
        rho, 1/Angstrom.
    scales : sequence of float, optional
        The columns before the last are divided by them: length scales for a kernel that has but one.

    Raises
    ------
    ConfigError
        For a parameter outside its range, naming it.

    Examples
    --------
    >>> from ase.build import molecule
    >>> PairDistance(["H", "O"], r_cut=3.0).transform(molecule("H2O")).round(3)
    array([[0.969, 1.   ],
           [0.969, 1.   ],
           [1.526, 1.   ]])
    """

    species: Species | None
    r_cut: Length
    _: KW_ONLY
    exponents: Annotated[tuple, _exponents] = (1,)
    tail_exponent: Annotated[float, partial(check_positive, allow_zero=True, largest=64)] = 0.0
    tail_range: Annotated[float, partial(check_positive, smallest=1e-6, largest=1e6)] = 1.0

    order = 2

    @property
    def _n_coordinates(self):
        return len(self.exponents)

    def _make(self):
        tail = {"tail_exponent": self.tail_exponent, "tail_range": self.tail_range}
        return core.PairDistance(exponents=list(self.exponents), **tail, **self._core_parameters())

    def feature_labels(self):
        """What every column is."""
        return [f"r^{e}" if e != 1 else "r" for e in self.exponents] + ["factor"]
