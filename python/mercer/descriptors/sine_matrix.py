"""The sine matrix."""

from dataclasses import KW_ONLY, dataclass

from mercer.descriptors._base import AtomCount, register
from mercer.descriptors._structure import Unit
from mercer.descriptors.coulomb_matrix import AtomMatrix, Permutation


@register
@dataclass(frozen=True)
class SineMatrix(AtomMatrix):
    """A Coulomb matrix of crystals, a row for every frame: Z_i^2.4 / 2 on the diagonal and Z_i Z_j / |u| beside it.

    Here u = sum_k sin^2(pi f_k) b_k, with the cell vectors b_k and the fractional coordinates f of r_j - r_i (Faber et
    al., Int. J. Quantum Chem. 115, 1094 (2015)).

    The matrix depends on the choice of the cell. Frames must be periodic in all three directions.

    Parameters
    ----------
    n_atoms_max : int
        Atoms of the largest cell; smaller ones are padded with zeros.
    permutation : str, default "sorted_l2"
        As for `CoulombMatrix`; "none" alone is differentiable.
    unit : str, default "angstrom"
        The unit of |u|: "angstrom", or "bohr", as in atomic units.

    Raises
    ------
    ConfigError
        For a parameter outside its range, naming it.

    Examples
    --------
    >>> from ase.build import bulk
    >>> SineMatrix(2).transform(bulk("NaCl", "rocksalt", a=5.64)).round(2)
    array([[448.79,  19.14,  19.14, 157.87]])
    """

    n_atoms_max: AtomCount
    _: KW_ONLY
    permutation: Permutation = "sorted_l2"
    unit: Unit = "angstrom"

    #: Needs no neighbours.
    r_cut = 0.0
