"""DScribe's local MBTR."""

import numpy as np

from mercer import descriptors
from mercer._validation import check_choice
from mercer.compat.dscribe.descriptors import _tensors
from mercer.compat.dscribe.descriptors._per_center import PerCenter
from mercer.compat.dscribe.descriptors.mbtr import location
from mercer.errors import ConfigError


class LMBTR(PerCenter):
    """DScribe's local many-body tensor representation of one k, in which the centre is the element X.

    A point that lies on an atom is the centre of that atom, and the atom itself is no neighbour.

    Parameters
    ----------
    geometry, grid, weighting, normalize_gaussians
        As for `MBTR`, with k = 2 or 3.
    normalization : str, default "none"
        "none" or "l2".
    species : list of str or int
        Elements that may occur.
    periodic : bool, default False
        Whether the periodic boundary conditions of systems count; needs a weighting that ends.
    sparse : bool, default False
        Results as `sparse.COO`; needs the package sparse.
    dtype : str, default "float64"
        Of results; "float32" rounds them.

    Raises
    ------
    ConfigError
        For a parameter outside its range and for unknown keys, naming them.

    Examples
    --------
    >>> from ase.build import molecule
    >>> lmbtr = LMBTR(
    ...     species=["H", "O"],
    ...     geometry={"function": "distance"},
    ...     grid={"min": 0, "max": 3, "sigma": 0.1, "n": 50},
    ...     weighting={"function": "exp", "scale": 0.5, "threshold": 1e-3},
    ... )
    >>> lmbtr.create(molecule("H2O"), centers=[0]).shape
    (1, 150)
    """

    def __init__(
        self,
        geometry=None,
        grid=None,
        weighting=None,
        normalize_gaussians=True,
        normalization="none",
        species=None,
        periodic=False,
        sparse=False,
        dtype="float64",
    ):
        super().__init__(periodic, sparse, dtype)
        self._set_species(species)
        part, self._factor = _tensors.part(geometry, grid, weighting, normalize_gaussians, self.periodic)
        if part.k == 1:
            raise ConfigError(f"geometry={geometry!r}: expected a function of two or three atoms.")
        if check_choice(normalization, ("none", "l2"), "normalization") == "l2":
            self._factor = 1.0
        self._part = part
        self._inner = descriptors.LMBTR(
            self._numbers.tolist(), normalization=normalization, ignore_unknown=True, **{f"k{part.k}": part}
        )
        n = part.grid[2]
        self._labels = _labels(part.k, self.species)
        self._n_features = n * len(self._labels)
        starts = np.array([n * self._labels.index(elements) for _, elements in self._inner.channel_labels()])
        self._columns = (starts[:, None] + np.arange(n)).ravel()

    def get_location(self, species):
        """The columns of a tuple of elements, one of them X, the centre; of three the one in the middle is the vertex.

        Examples
        --------
        >>> grid = {"min": 0, "max": 180, "sigma": 5, "n": 10}
        >>> lmbtr = LMBTR(species=["H", "O"], geometry={"function": "angle"}, grid=grid)
        >>> lmbtr.get_location(("H", "X", "O"))
        slice(40, 50, None)
        """
        return location(self._labels, species, self._part, ["X", *self.species])

    def _rows(self, listed):
        if not listed:
            return []
        starts = np.cumsum([0, *(len(c.atoms) for c in listed)])
        X = self._inner.transform([c.atoms for c in listed])
        return [self._take(X[start + c.rows]) for start, c in zip(starts[:-1], listed, strict=True)]

    def _take(self, X):
        out = np.zeros((*X.shape[:-1], self._n_features))
        out[..., self._columns] = self._factor * X
        return out

    def _own(self, centers, rows):
        if centers.atoms.pbc.any():
            raise ConfigError(
                "attach=False by the position of a periodic atom at a centre: the centre would stay, and the atom, no "
                "neighbour, would move its images, which are neighbours. Use attach=True, or exclude the atom."
            )
        return {row: np.zeros((3, self._inner.n_features)) for row in rows}

    def _numerical(self, centers, indices, attach):
        if (np.isin(centers.rows, indices) & ~(centers.moves & attach)).any():
            raise ConfigError(
                "method='numerical' by the position of an atom at a centre that stays: the atom would become its own "
                "neighbour. Use method='analytical', attach=True, or exclude the atom."
            )
        return super()._numerical(centers, indices, attach)


def _labels(k, species):
    """Tuples of elements in DScribe's order, where X is the lightest; those of two X hold zeros."""
    names = ["X", *species]
    if k == 2:
        return [("X", b) for b in names]
    ends = [(a, "X", c) for i, a in enumerate(names) for c in names[i:]]
    return ends + [("X", b, c) for b in species for c in names]
