"""Sums of inverse powers of distances."""

import itertools
import math
import operator
from dataclasses import KW_ONLY, dataclass

import numpy as np

from mercer._core import core
from mercer._validation import check_choice, check_positive
from mercer.descriptors._base import register
from mercer.descriptors._structure import StructureDescriptor
from mercer.errors import ConfigError
from mercer.structures import species_numbers, symbols


@register
@dataclass(frozen=True)
class InversePowers(StructureDescriptor):
    """Inverse powers of distances, summed over the pairs and triples of atoms of the same elements; a row for every
    frame.

    With p_m(d) = d^-m f_c(d), a feature for each pair of elements and each m is the sum of p_m(d_12) over the pairs;
    one for each triple of elements and m1, m2, m3 is the sum of p_m1(d_12) p_m2(d_13) p_m3(d_23) over the triples of
    atoms with these elements in this order. Features that are equal because atoms are alike are there once (F_2B + F_3B
    of Pronobis, Tkatchenko and Mueller, J. Chem. Theory Comput. 14, 2991 (2018)). In periodic frames the sums are those
    of one cell.

    Parameters
    ----------
    species : str, int, or sequence of them
        Elements that may occur, as symbols or atomic numbers.
    r_cut : float, optional
        Cutoff radius of all distances, Angstrom. None: infinite, and frames must not be periodic.
    pair_powers : sequence of int, default (1, .., 6)
        The m of pairs, from 1 to 64.
    triple_powers : sequence of int, default (1, 2, 3)
        The m of each distance of triples; empty for none.
    cutoff : str, default "shifted_cosine"
        f_c: "shifted_cosine", "cosine", "polynomial" or "none"; 1 where r_cut is None.
    cutoff_width : float, default 1.0
        Angstrom over which it falls from 1 to 0.

    Raises
    ------
    ConfigError
        For a parameter outside its range, naming it.

    Examples
    --------
    >>> from ase.build import molecule
    >>> InversePowers(["H", "O"], pair_powers=[1, 2], triple_powers=[]).transform(molecule("H2O")).round(2)
    array([[0.66, 0.43, 2.06, 2.13, 0.  , 0.  ]])
    """

    species: tuple
    r_cut: float | None = None
    _: KW_ONLY
    pair_powers: tuple = (1, 2, 3, 4, 5, 6)
    triple_powers: tuple = (1, 2, 3)
    cutoff: str = "shifted_cosine"
    cutoff_width: float = 1.0

    def __post_init__(self):
        def put(name, value):
            object.__setattr__(self, name, value)

        species = [self.species] if isinstance(self.species, str | int | np.integer) else self.species
        put("species", tuple(sorted({int(species_numbers([element])[0]) for element in species})))
        check_choice(self.cutoff, core.cutoff_names(), "cutoff")
        put("cutoff_width", check_positive(self.cutoff_width, "cutoff_width"))
        endless = self.r_cut is None or self.r_cut == math.inf
        put("r_cut", math.inf if endless else check_positive(self.r_cut, "r_cut"))
        if self.cutoff_width > self.r_cut and self.cutoff not in ("none", "cosine"):
            raise ConfigError(f"cutoff_width={self.cutoff_width}: expected at most r_cut={self.r_cut}.")
        for name in ("pair_powers", "triple_powers"):
            given = getattr(self, name)
            try:
                powers = tuple(sorted({operator.index(m) for m in given}))
            except TypeError:
                powers = (0,)
            if not all(1 <= m <= 64 for m in powers) or len(powers) < len(given):
                raise ConfigError(f"{name}={given!r}: expected different integers from 1 to 64.")
            put(name, powers)
        if not self.species or not (self.pair_powers or self.triple_powers):
            raise ConfigError("InversePowers: no features; give species, and pair_powers or triple_powers.")

    def _make(self):
        return core.InversePowers(
            species=list(self.species),
            pair_powers=list(self.pair_powers),
            triple_powers=list(self.triple_powers),
            r_cut=None if self.r_cut == math.inf else self.r_cut,
            cutoff=self.cutoff,
            width=self.cutoff_width,
        )

    def feature_labels(self):
        """What every column is: (element, element, m), and (element, element, element, m12, m13, m23)."""
        names = symbols(self.species)
        labels = [
            (*pair, m) for pair in itertools.combinations_with_replacement(names, 2) for m in self.pair_powers
        ]  # fmt: skip
        for triple in itertools.combinations_with_replacement(names, 3):
            like = [p for p in itertools.permutations(range(3)) if all(triple[k] == triple[p[k]] for k in range(3))]
            for powers in itertools.product(self.triple_powers, repeat=3):
                if powers == min(_exchanged(powers, p) for p in like):
                    labels.append((*triple, *powers))
        return labels


def _exchanged(powers, order):
    """The powers of (12), (13), (23) where the atoms come in another order."""
    edges = {frozenset(edge): m for edge, m in zip(((0, 1), (0, 2), (1, 2)), powers, strict=True)}
    return tuple(edges[frozenset((order[i], order[j]))] for i, j in ((0, 1), (0, 2), (1, 2)))
