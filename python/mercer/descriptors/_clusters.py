"""The parameters that descriptors of clusters of atoms share."""

import itertools
from dataclasses import KW_ONLY, dataclass
from typing import Annotated

import numpy as np

from mercer._parameters import Length
from mercer._validation import check_items, check_positive
from mercer.descriptors._base import CutoffName, Descriptor, check_width
from mercer.errors import ConfigError
from mercer.structures import species_numbers, symbols


def _kinds(value, name):
    """Tuples of atomic numbers from symbols or numbers; 0, "*" and None are any element."""

    def number(element):
        anything = element is None or (isinstance(element, str | int | np.integer) and element in (0, "*"))
        return 0 if anything and element is not False else species_numbers([element], name)[0]

    what, of_kind = "a list of kinds, such as [('O', 'H')]", "elements, such as ('O', 'H')"
    kinds = [check_items(kind, f"a kind of {name}", of_kind) for kind in check_items(value, name, what)]
    found = tuple(tuple(int(number(element)) for element in kind) for kind in kinds)
    if not found:
        raise ConfigError(f"{name} is empty; give at least one, or None for all kinds of the species.")
    return found


def _scales(value, name):
    values = check_items(value, name, "a number for each coordinate", single=True)
    return tuple(check_positive(scale, name, smallest=1e-20, largest=1e20) for scale in values)


@dataclass(frozen=True)
class ClusterDescriptor(Descriptor):
    """Keywords of descriptors with a row for every cluster of atoms; subclasses add species and r_cut.

    A subclass defines ``_n_coordinates``, ``_all_kinds(species)``, ``_coordinate_labels()`` and ``_make()``.
    """

    _: KW_ONLY
    kinds: Annotated[tuple, _kinds] | None = None
    cutoff: CutoffName = "shifted_cosine"
    cutoff_width: Length = 0.5
    scales: Annotated[tuple, _scales] | None = None

    def __post_init__(self):
        """Turn every argument into its one plain form, and check all of them now."""
        super().__post_init__()
        check_width(self)
        name = type(self).__name__
        kinds = self._all_kinds() if self.kinds is None else self.kinds
        for kind in kinds:
            if len(kind) != self.order:
                raise ConfigError(f"{name}: kinds: {kind} has {len(kind)} elements, expected {self.order}.")
            strange = set(kind) - {0} - set(self.species or kind)
            if strange:
                raise ConfigError(f"{name}: kinds: {symbols([min(strange)])[0]} of {kind} is not among the species.")
        object.__setattr__(self, "kinds", kinds)
        if self.scales is not None and len(self.scales) != self._n_coordinates:
            raise ConfigError(f"scales={self.scales}: expected {self._n_coordinates}, one for each coordinate.")

    def get_params(self, deep=True):
        """Parameters by name; where `kinds` are all of the species they are None, so that they follow the species."""
        parameters = super().get_params(deep)
        return parameters | ({"kinds": None} if self.kinds == self._all_kinds() else {})

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
