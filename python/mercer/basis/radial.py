"""Radial bases: the functions in which the density around an atom is expanded."""

import dataclasses
from functools import partial
from typing import Annotated, ClassVar

from mercer import _core
from mercer._parameters import Length, Parameters
from mercer._validation import check_count, check_length, check_positive
from mercer.basis._choice import choose, distances, refusals
from mercer.basis.cutoff import get_cutoff
from mercer.errors import DataError

#: Of ten, by which a Gaussian has fallen where the nodes end.
Exponent = Annotated[float, partial(check_positive, smallest=0.1, largest=100.0)]


@dataclasses.dataclass(frozen=True)
class RadialBasis(Parameters):
    """Base of the radial bases.

    Fields of a subclass are what it alone takes; one that is None is left to the core's default.

    Attributes
    ----------
    name : str
        How YAML, model files and the core call it.
    """

    name: ClassVar[str]

    def extra(self):
        """The given fields, as the core takes them."""
        return {key: value for key, value in dataclasses.asdict(self).items() if value is not None}

    def core(self, n_max, l_max, r_cut, sigma, cutoff="shifted_cosine"):
        """The basis of the C++ core, of which a descriptor makes its table; ConfigError for parameters out of range."""
        cutoff = get_cutoff(cutoff)
        n_max, l_max = check_count(n_max, "n_max", maximum=500), check_count(l_max, "l_max", minimum=0, maximum=100)
        r_cut, sigma = check_length(r_cut, "r_cut"), check_length(sigma, "sigma")
        with refusals():
            width = cutoff.core(r_cut).width
            return _core.core.RadialBasis(self.name, n_max, l_max, r_cut, sigma, width, self.extra())

    def integrals(self, r, n_max, l_max, r_cut, sigma, *, cutoff="shifted_cosine", accuracy=1e-11):
        """The radial integrals I_nl(r) and their derivatives, as the descriptors use them.

        Parameters
        ----------
        r : array_like of shape (n_r,)
            Distances in Angstrom, 0 <= r <= r_cut.
        n_max, l_max : int
            Number of radial functions; largest angular momentum.
        r_cut, sigma : float
            Cutoff radius and width of the atomic Gaussians in Angstrom.
        cutoff : str, dict or Cutoff, default "shifted_cosine"
            Its width is where the Gaussian-type orbitals stop; the integrals do not hold the cutoff function.
        accuracy : float, default 1e-11
            Largest error of the spline relative to the largest integral.

        Returns
        -------
        values, derivatives : ndarray of shape (n_r, l_max + 1, n_max)

        Raises
        ------
        ConfigError
            For parameters outside their ranges, or functions that are linearly dependent.
        DataError
            For distances outside the range.

        Examples
        --------
        >>> values, derivatives = GTO().integrals([0.0, 2.0], n_max=8, l_max=6, r_cut=5.0, sigma=0.5)
        >>> values.shape
        (2, 7, 8)
        """
        basis = self.core(n_max, l_max, r_cut, sigma, cutoff)
        accuracy = check_positive(accuracy, "accuracy")
        r = distances(r)
        if ((r < 0) | (r > r_cut)).any():
            raise DataError(f"r holds values from {r.min()} to {r.max()}; expected 0 <= r <= r_cut={r_cut} (Angstrom).")
        with refusals():
            values, derivatives = _core.core.RadialTable(basis, accuracy).evaluate(r)
        return values[:, :, :n_max], derivatives[:, :, :n_max]

    def to_dict(self):
        """Name and parameters; `get_radial_basis` makes the same object of it."""
        return {"name": self.name, **dataclasses.asdict(self)}


@dataclasses.dataclass(frozen=True)
class GTO(RadialBasis):
    """Gaussian-type orbitals r^k exp(-r^2 / 2 sigma_k^2), k = 0 .. n_max - 1, orthonormalised by S^(-1/2).

    Musil et al., J. Chem. Phys. 154 (2021) 114109. The widths put their maxima at equal distances over the range in
    which the cutoff function is 1 (over all of it where the function falls from the centre on, or is a step).
    Up to 17 functions; more are linearly dependent.
    """

    name: ClassVar[str] = "gto"


@dataclasses.dataclass(frozen=True)
class GAP(RadialBasis):
    """Equispaced Gaussians as in the GAP potentials of QUIP: the density interpolated at their nodes.

    Bartok & Csanyi, Int. J. Quantum Chem. 115 (2015) 1051. A factor 4 pi is left out, as there: it matters only for
    rows that are not normalised.

    Parameters
    ----------
    basis_error_exponent : float, default 10.0
        The nodes reach to r_cut + sigma sqrt(2 basis_error_exponent ln 10).
    angular_power : float, default 0.0
        Integrals of angular momentum l are multiplied by (2 l + 1)^angular_power; 0.25 takes the factor
        (2 l + 1)^(-1/2) out of power spectra, as in potentials before 2015.
    """

    basis_error_exponent: Exponent = 10.0
    angular_power: Annotated[float, partial(check_positive, allow_zero=True, largest=10.0)] = 0.0
    name: ClassVar[str] = "gap"


@dataclasses.dataclass(frozen=True)
class GAPPolynomial(RadialBasis):
    """The basis POLY of QUIP: (r_b - r)^(n + 2), n = 1 .. n_max, orthonormalised in this order.

    The density is fitted by least squares at 3 n_max nodes up to r_b = r_cut + sigma sqrt(2 e ln 10).

    Parameters
    ----------
    basis_error_exponent : float, default 10.0
        e.
    """

    basis_error_exponent: Exponent = 10.0
    name: ClassVar[str] = "gap_polynomial"


@dataclasses.dataclass(frozen=True)
class GAPGTO(GAPPolynomial):
    """The basis GTO of QUIP: as `GAPPolynomial` of r^l exp(-beta_nl r^2), fallen to 1/1000 at n r_b / n_max.

    Parameters
    ----------
    basis_error_exponent : float, default 10.0
        e.
    """

    name: ClassVar[str] = "gap_gto"


@dataclasses.dataclass(frozen=True)
class Laplacian(RadialBasis):
    """Eigenfunctions of the Laplacian in a sphere, spherical Bessel functions j_l(z_ln r / radius).

    Bigi, Huguenin-Dumittan, Ceriotti & Manolopoulos, J. Chem. Phys. 157 (2022) 234101. The smoothest basis for a given
    size, and well conditioned for any.

    Parameters
    ----------
    radius : float, optional
        Radius of the sphere in Angstrom, at least the cutoff radius; by default r_cut + 4 sigma, which holds the tails
        of the Gaussians.
    """

    radius: Length | None = None
    name: ClassVar[str] = "laplacian"


@dataclasses.dataclass(frozen=True)
class DScribeGTO(RadialBasis):
    """The Gaussian basis of DScribe: r^l exp(-alpha_nl r^2), orthonormalised by S^(-1/2) for each l.

    Himanen et al., Comput. Phys. Commun. 247 (2020) 106949. alpha_nl are such that the functions have fallen to 1/1000
    at n_max points at equal distances from 1 Angstrom to the radius.

    Parameters
    ----------
    radius : float, optional
        Outermost of these points in Angstrom, above 1 and at most the cutoff radius, which is the default. DScribe
        has it below the cutoff: there atoms count as far as their Gaussians reach into it.
    """

    radius: Length | None = None
    name: ClassVar[str] = "dscribe_gto"


@dataclasses.dataclass(frozen=True)
class DScribePolynomial(RadialBasis):
    """The polynomial basis of DScribe: (radius - r)^(n + 2), n = 1 .. n_max, orthonormalised by S^(-1/2).

    Himanen et al., Comput. Phys. Commun. 247 (2020) 106949, after Bartok, Kondor & Csanyi, Phys. Rev. B 87 (2013)
    184115. Up to 20 functions.

    Parameters
    ----------
    radius : float, optional
        Where the functions end, in Angstrom, at most the cutoff radius, which is the default.
    """

    radius: Length | None = None
    name: ClassVar[str] = "dscribe_polynomial"


@dataclasses.dataclass(frozen=True)
class FeatomicGTO(RadialBasis):
    """The Gaussian-type orbitals of featomic: as `GTO` up to the cutoff radius, and atomic Gaussians of unit norm.

    The norm, int g^2 d^3r = 1, is a factor (pi sigma^2)^(-3/4): it matters only for rows that are not normalised.
    """

    name: ClassVar[str] = "featomic_gto"


#: Radial bases by name.
RADIAL_BASES = {
    cls.name: cls for cls in (GTO, GAP, GAPPolynomial, GAPGTO, Laplacian, DScribeGTO, DScribePolynomial, FeatomicGTO)
}


def get_radial_basis(value):
    """The radial basis that `value` means.

    Parameters
    ----------
    value : str, dict or RadialBasis
        A name of `RADIAL_BASES`, a dictionary of 'name' and parameters, or an instance, returned as it is.

    Raises
    ------
    ConfigError
        For an unknown name or parameter, with the nearest known one.

    Examples
    --------
    >>> get_radial_basis({"name": "laplacian", "radius": 8})
    Laplacian(radius=8.0)
    """
    return choose(value, RADIAL_BASES, RadialBasis, "radial_basis")
