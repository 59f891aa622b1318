"""Sums of inverse powers of distances."""

import itertools
import math
from dataclasses import KW_ONLY, dataclass
from typing import Annotated

from mercer._core import core
from mercer._parameters import Length
from mercer._validation import check_count, check_items, check_positive, show
from mercer.descriptors._base import CutoffName, Species, check_width, register
from mercer.descriptors._structure import StructureDescriptor
from mercer.errors import ConfigError
from mercer.structures import symbols


def _range(value, name):
    """A length, which may be infinite."""
    return value if isinstance(value, float) and value == math.inf else check_positive(value, name, largest=1e6)


def _powers(value, name):
    """Different integers in rising order."""
    given = check_items(value, name, "different integers from 1 to 64")
    powers = tuple(sorted({check_count(m, name, maximum=64) for m in given}))
    if len(powers) < len(given):
        raise ConfigError(f"{name}={show(value)}: expected different integers from 1 to 64.")
    return powers


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

    species: Species
    r_cut: Annotated[float, _range] | None = None
    _: KW_ONLY
    pair_powers: Annotated[tuple, _powers] = (1, 2, 3, 4, 5, 6)
    triple_powers: Annotated[tuple, _powers] = (1, 2, 3)
    cutoff: CutoffName = "shifted_cosine"
    cutoff_width: Length = 1.0

    def __post_init__(self):
        super().__post_init__()
        if self.r_cut is None:
            object.__setattr__(self, "r_cut", math.inf)
        check_width(self)
        if not (self.pair_powers or self.triple_powers):
            raise ConfigError("InversePowers: no features; give pair_powers or triple_powers.")

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
