"""The many-body tensor representation of atoms."""

from dataclasses import dataclass
from itertools import product

from mercer._core import core
from mercer.descriptors._base import register
from mercer.descriptors._mbtr import TensorDescriptor


@register
@dataclass(frozen=True)
class LMBTR(TensorDescriptor):
    r"""Local many-body tensor representation: distributions of distances, angles, ... of those tuples that an atom
    belongs to, a row for every atom (Huo and Rupp, Mach. Learn.: Sci. Technol. 3, 045017 (2022), for one atom).

    Its options are those of `MBTR`. The atom itself is X in the tuples of elements, whatever its element: k = 2 has the
    columns (X, b); k = 3 those with the atom as vertex, (a, X, c), a <= c, then those with it at an end, (X, b, c), b
    being the vertex; k = 4 (X, b, c, d), then (a, X, c, d), the first element slowest. Periodic images of the atom
    count as neighbours.

    For a potential the weights must end smoothly: give `r_cut` with a cutoff function other than "none", and no
    threshold.

    Parameters
    ----------
    species : str, int, or sequence of them
        Elements that may occur, as symbols or atomic numbers; sorted by atomic number.
    k2, k3, k4 : MBTRPart, or dict of its parameters, optional
        The tensors; at least one.
    correlation : array_like of shape (n_elements, n_species), optional
        C: every neighbour counts as each of the elements z, by the factor C[z, Z]. Default: the unit matrix.
    normalization : str, default "none"
        "none", or "l2", rows of unit length (zero rows stay zero).
    ignore_unknown : bool, default False
        Neighbours of other elements than `species` are left out, instead of being an error. Atoms of such an element
        have rows all the same.
    max_tuples : float, default 1e8
        More tuples than this in a part and a frame, roughly, are an error.

    Raises
    ------
    ConfigError
        For a parameter outside its range, naming it.

    Warns
    -----
    UserWarning
        `transform`: where more than 1 % of the weight of all tuples is beside the grid.

    Examples
    --------
    >>> from ase.build import molecule
    >>> part = {"geometry": "distance", "grid": (0, 4, 100), "sigma": 0.1, "r_cut": 4.0}
    >>> LMBTR(["H", "O"], k2=part).transform(molecule("H2O")).shape
    (3, 200)
    """

    _kind = core.Lmbtr

    @staticmethod
    def _channels(k, n):
        """Tuples of k - 1 elements out of n and the atom X, in the order of the columns."""
        r = range(n)
        if k == 2:
            return [("X", b) for b in r]
        if k == 3:
            return [(a, "X", c) for a in r for c in r if a <= c] + [("X", b, c) for b in r for c in r]
        return [("X", *z) for z in product(r, repeat=3)] + [(a, "X", *z) for a in r for z in product(r, repeat=2)]
