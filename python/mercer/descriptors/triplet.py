"""Triangles of a centre and two neighbours."""

import itertools
from dataclasses import dataclass

from mercer._core import core
from mercer._parameters import Length
from mercer.descriptors._base import Species, register
from mercer.descriptors._clusters import ClusterDescriptor


@register
@dataclass(frozen=True)
class Triplet(ClusterDescriptor):
    """Every atom with every two of its neighbours: a row for each, for three-body terms of a potential.

    Columns are r_ij + r_ik, (r_ij - r_ik)^2 and r_jk, which do not tell j from k, and as the last one the factor F =
    f_c(r_ij) f_c(r_ik): the covariance of two rows is F F' k(x, x') if they are of the same kind (Bartok and Csanyi,
    Int. J. Quantum Chem. 115, 1051 (2015), section 4.2). The energy belongs to the centre i. The descriptor angle_3b of
    QUIP is the same, but counts every triangle of a centre twice.

    Parameters
    ----------
    species : str, int, or sequence of them, or None
        Elements that may occur, as symbols or atomic numbers. None: any; triplets of no kind are left out.
    r_cut : float
        Cutoff radius of r_ij and r_ik, Angstrom.
    kinds : sequence of triples of elements, optional
        The element of the centre, then those of its neighbours in any order; "*" or 0 is any element. Default: all of
        `species`. Triplets of different kinds do not covary; a triplet belongs to the first kind that fits.
    cutoff, cutoff_width
        As for `PairDistance`.
    scales : sequence of 3 floats, optional
        The columns before the last are divided by them: length scales for a kernel that has but one.

    Raises
    ------
    ConfigError
        For a parameter outside its range, naming it.

    Examples
    --------
    >>> from ase.build import molecule
    >>> triplets = Triplet(["H", "O"], r_cut=3.0, kinds=[("O", "H", "H")])
    >>> triplets.transform(molecule("H2O")).round(3)
    array([[1.937, 0.   , 1.526, 1.   ]])
    """

    species: Species | None
    r_cut: Length

    order = 3
    _n_coordinates = 3

    def _all_kinds(self):
        species = self.species or (0,)
        neighbours = list(itertools.combinations_with_replacement(species, 2))
        return tuple((centre, *pair) for centre in species for pair in neighbours)

    def _make(self):
        return core.Triplet(**self._core_parameters())

    def feature_labels(self):
        """What every column is."""
        return ["r_ij + r_ik", "(r_ij - r_ik)^2", "r_jk", "factor"]
