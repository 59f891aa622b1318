"""All distances within clusters of N atoms."""

import itertools
from dataclasses import KW_ONLY, dataclass
from typing import Annotated

import numpy as np

from mercer._core import core
from mercer._parameters import Flag, Length, count
from mercer._validation import check_count, check_items
from mercer.descriptors._base import Species, register
from mercer.descriptors._clusters import ClusterDescriptor
from mercer.errors import ConfigError


def _permutations(value, name):
    """Distinct tuples of integers."""
    found = [
        tuple(check_count(d, name, minimum=0) for d in check_items(permutation, f"one of {name}"))
        for permutation in check_items(value, name, "a list of permutations")
    ]
    return tuple(dict.fromkeys(found))


@register
@dataclass(frozen=True)
class ClusterDistances(ClusterDescriptor):
    """All distances (12), (13), .. (1N), (23), .. of clusters of N atoms, and as last column a factor F.

    The energy of a cluster is shared by its atoms; the covariance of two clusters is F F' k(x, x') if they are of the
    same kind. The same as the descriptor distance_Nb of QUIP.

    Parameters
    ----------
    species : str, int, or sequence of them, or None
        Elements that may occur, as symbols or atomic numbers. None: any; clusters of no kind are left out.
    r_cut : float
        Cutoff radius, Angstrom.
    order : int, default 3
        N, from 2 to 5.
    compact : bool, default True
        True: atom 1 is any atom, the others are neighbours of it, sorted by (element, index, shift), and every set
        counts once for each atom 1; F is the product of f_c(r_1k). False: every set counts once in which each atom
        reaches every other by steps within the cutoff, sorted by (element, index, shift); F is the sum over the
        connected graphs of the N atoms of the product of f_c(r) over its edges and 1 - f_c(r) over the other pairs.
    kinds : sequence of N-tuples of elements, optional
        In any order; "*" or 0 is any element. Default: all of `species`. Clusters of different kinds do not covary.
    permutations : sequence of permutations of 0 .. N (N - 1) / 2 - 1, optional
        Orders of the distances that mean the same cluster. A cluster then has a row for each, and factors
        F / sqrt(P kappa(x, x)) with kappa(x, x') = sum_pi exp(-|pi x - x'|^2 / 2), so that with a Gaussian kernel of
        length scale 1 the covariance of clusters is F F' kappa(x, x') / sqrt(kappa(x, x) kappa(x', x')).
    cutoff, cutoff_width
        As for `PairDistance`.
    scales : sequence of N (N - 1) / 2 floats, optional
        The columns before the last are divided by them: length scales for a kernel that has but one.

    Raises
    ------
    ConfigError
        For a parameter outside its range, naming it.

    Examples
    --------
    >>> from ase.build import molecule
    >>> ClusterDistances(["H", "O"], r_cut=3.0, order=3, compact=False).transform(molecule("H2O")).round(3)
    array([[1.526, 0.969, 0.969, 1.   ]])
    """

    species: Species | None
    r_cut: Length
    order: count(minimum=2, maximum=5) = 3
    _: KW_ONLY
    compact: Flag = True
    permutations: Annotated[tuple, _permutations] | None = None

    def __post_init__(self):
        super().__post_init__()
        for permutation in self.permutations or ():
            if sorted(permutation) != list(range(self._n_coordinates)):
                raise ConfigError(f"permutations: {permutation}: expected each of 0 .. {self._n_coordinates - 1} once.")
        if len(self.permutations or ()) < 2:
            object.__setattr__(self, "permutations", None)

    @property
    def _n_coordinates(self):
        return self.order * (self.order - 1) // 2

    def _make(self):
        return core.ClusterDistances(
            compact=self.compact,
            permutations=[list(permutation) for permutation in self.permutations or ()],
            **self._core_parameters(),
        )

    def orbit(self, features):
        """See `Descriptor.orbit`."""
        if self.permutations is None:
            return super().orbit(features)
        rows = np.stack([np.column_stack([features[:, p], features[:, -1]]) for p in map(list, self.permutations)])
        rows[:, :, -1] /= len(rows)
        return rows

    def feature_labels(self):
        """What every column is."""
        return [f"r_{i + 1}{j + 1}" for i, j in itertools.combinations(range(self.order), 2)] + ["factor"]
