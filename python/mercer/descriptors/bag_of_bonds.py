"""Bags of bonds."""

import itertools
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Annotated

from mercer._core import core
from mercer._parameters import Flag
from mercer._validation import check_count, show
from mercer.descriptors._base import register
from mercer.descriptors._structure import StructureDescriptor, Unit
from mercer.errors import ConfigError
from mercer.structures import as_frames, species_numbers, symbols


def _room(value, name):
    """Sorted pairs (atomic number, how many), each element once."""
    try:
        entries = [(z, n) for z, n in (value.items() if isinstance(value, Mapping) else value)]
    except (TypeError, ValueError):
        entries = []
    room = sorted((species_numbers([z], name)[0], check_count(n, f"{name} of {z}", maximum=10_000)) for z, n in entries)
    if not room or len({z for z, _ in room}) < len(room):
        raise ConfigError(f"{name}={show(value)}: expected a number for each element, each element once.")
    return tuple(room)


@register
@dataclass(frozen=True)
class BagOfBonds(StructureDescriptor):
    """The elements Z_i Z_j / r_ij of the Coulomb matrix of a molecule in bags, one for each pair of elements, each
    sorted, largest first, and padded with zeros (Hansen et al., J. Phys. Chem. Lett. 6, 2326 (2015)); a row for every
    frame.

    Sorted features have no derivatives everywhere, so models of them give no forces.

    Parameters
    ----------
    max_atoms : mapping of element to int, or pairs of them
        How many atoms of each element the structures have at most: the room in the bags. `largest` counts them.
    diagonal : bool, default True
        Whether there are bags of Z_i^2.4 / 2 for each element, before the others. Without them linear models lose much;
        models with a Laplacian kernel do not.
    unit : str, default "angstrom"
        The unit of r_ij: "angstrom", or "bohr", as in atomic units.

    Raises
    ------
    ConfigError
        For a parameter outside its range, naming it.

    Examples
    --------
    >>> from ase.build import molecule
    >>> BagOfBonds({"H": 2, "O": 1}).transform(molecule("H2O")).round(2)
    array([[ 0.5 ,  0.5 , 73.52,  0.66,  8.26,  8.26]])
    """

    max_atoms: Annotated[tuple, _room]
    _: KW_ONLY
    diagonal: Flag = True
    unit: Unit = "angstrom"

    #: All pairs of atoms; frames must not be periodic.
    r_cut = math.inf

    @staticmethod
    def largest(frames):
        """The `max_atoms` that `frames` need, by symbol.

        Examples
        --------
        >>> from ase.build import molecule
        >>> BagOfBonds.largest([molecule("H2O"), molecule("CH4")])
        {'H': 4, 'C': 1, 'O': 1}
        """
        most = Counter()
        for atoms in as_frames(frames):
            most |= Counter(atoms.numbers.tolist())
        return {symbols([z])[0]: most[z] for z in sorted(most)}

    @property
    def species(self):
        """Atomic numbers of the elements that may occur."""
        return tuple(z for z, _ in self.max_atoms)

    def _make(self):
        return core.BagOfBonds(list(self.species), [n for _, n in self.max_atoms], self.diagonal, self.unit)

    def feature_labels(self):
        """What every column is: (element, k) on the diagonal, (element, element, k) of bonds, k = 0, 1, .. in a bag."""
        room = {symbols([z])[0]: n for z, n in self.max_atoms}
        labels = [(a, k) for a, n in room.items() for k in range(n)] if self.diagonal else []
        for (a, n), (b, m) in itertools.combinations_with_replacement(room.items(), 2):
            labels += [(a, b, k) for k in range(n * (n - 1) // 2 if a == b else n * m)]
        return labels
