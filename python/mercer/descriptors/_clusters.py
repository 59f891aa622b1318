"""The parameters that descriptors of clusters of atoms share."""

import itertools
from dataclasses import KW_ONLY, dataclass

import numpy as np

from mercer._core import core
from mercer._validation import check_choice, check_positive
from mercer.descriptors._base import Descriptor
from mercer.errors import ConfigError
from mercer.structures import species_numbers, symbols


@dataclass(frozen=True)
class ClusterDescriptor(Descriptor):
    """Keywords of descriptors with a row for every cluster of atoms; subclasses add species and r_cut.

    A subclass defines ``_n_coordinates``, ``_all_kinds(species)``, ``_coordinate_labels()`` and ``_make()``.
    """

    _: KW_ONLY
    kinds: tuple | None = None
    cutoff: str = "shifted_cosine"
    cutoff_width: float = 0.5
    scales: tuple | None = None

    def __post_init__(self):
        """Turn every argument into its one plain form, and check all of them now."""

        def put(name, value):
            object.__setattr__(self, name, value)

        name = type(self).__name__
        put("r_cut", check_positive(self.r_cut, "r_cut"))
        check_choice(self.cutoff, core.cutoff_names(), "cutoff")
        put("cutoff_width", check_positive(self.cutoff_width, "cutoff_width"))
        if self.cutoff_width > self.r_cut and self.cutoff not in ("none", "cosine"):
            raise ConfigError(f"cutoff_width={self.cutoff_width}: expected at most r_cut={self.r_cut}.")
        if self.species is not None:
            species = [self.species] if isinstance(self.species, str | int | np.integer) else self.species
            numbers = sorted({number for element in species for number in species_numbers([element])})
            if not numbers:
                raise ConfigError(f"{name}: species is empty; give the elements that occur, or None for any.")
            put("species", tuple(numbers))
        kinds = self._all_kinds() if self.kinds is None else _kinds(self.kinds)
        for kind in kinds:
            if len(kind) != self.order:
                raise ConfigError(f"{name}: kind {kind} has {len(kind)} elements, expected {self.order}.")
            strange = set(kind) - {0} - set(self.species or kind)
            if strange:
                raise ConfigError(f"{name}: {symbols([min(strange)])[0]} of kind {kind} is not among the species.")
        put("kinds", kinds)
        if self.scales is not None:
            scales = tuple(check_positive(float(s), "scales") for s in np.atleast_1d(self.scales))
            if len(scales) != self._n_coordinates:
                raise ConfigError(f"scales={scales}: expected {self._n_coordinates}, one for each coordinate.")
            put("scales", scales)

    @property
    def ignore_unknown(self):
        """Without species, clusters of any element that no kind names are left out."""
        return self.species is None

    def _all_kinds(self):
        """Every unordered choice of the species; any element where there are none."""
        return tuple(itertools.combinations_with_replacement(self.species or (0,), self.order))

    def _core_parameters(self):
        return {
            "kinds": [list(kind) for kind in self.kinds],
            "r_cut": self.r_cut,
            "cutoff": self.cutoff,
            "width": self.cutoff_width,
            "scales": list(self.scales or ()),
        }

    @property
    def n_features(self):
        """Number of columns: the coordinates, and the factor as the last one."""
        return self._n_coordinates + 1

    def kind_labels(self):
        """The chemical symbols of each kind ("*" for any element), in the order of the groups of `rows`."""
        return [tuple(symbols([z])[0] if z else "*" for z in kind) for kind in self.kinds]


def _kinds(kinds):
    """Tuples of atomic numbers from symbols or numbers; 0, "*" and None are any element."""

    def number(element):
        return 0 if element in (0, None, "*") else species_numbers([element])[0]

    found = tuple(tuple(int(number(element)) for element in kind) for kind in kinds)
    if not found:
        raise ConfigError("kinds is empty; give at least one, or None for all kinds of the species.")
    return found
