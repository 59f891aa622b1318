"""The Coulomb matrix, and inverse distances."""

import math
from dataclasses import KW_ONLY, dataclass

from mercer._core import core
from mercer._parameters import choice
from mercer.descriptors._base import AtomCount, register
from mercer.descriptors._structure import StructureDescriptor, Unit

PERMUTATIONS = ("none", "sorted_l2", "eigenspectrum")
Permutation = choice(PERMUTATIONS)


class AtomMatrix(StructureDescriptor):
    """What matrices with a row and a column for every atom share; fields n_atoms_max, permutation, and mostly unit."""

    def _make(self):
        return getattr(core, type(self).__name__)(self.n_atoms_max, self.permutation, self.unit)

    def feature_labels(self):
        """What every column is: ("eigenvalue", i), or (i, j) for the element of rows i and j."""
        n = range(self.n_atoms_max)
        return [("eigenvalue", i) for i in n] if self.permutation == "eigenspectrum" else [(i, j) for i in n for j in n]


@register
@dataclass(frozen=True)
class CoulombMatrix(AtomMatrix):
    """The matrix Z_i Z_j / r_ij of a molecule, with Z_i^2.4 / 2 on the diagonal (Rupp et al., Phys. Rev. Lett. 108,
    058301 (2012)), a row for every frame.

    Parameters
    ----------
    n_atoms_max : int
        Atoms of the largest molecule; smaller ones are padded with zeros.
    permutation : str, default "sorted_l2"
        What makes the row independent of the order of the atoms. "sorted_l2": rows and columns in descending order of
        their Euclidean norms (atoms of one norm stay in order). "eigenspectrum": the eigenvalues, by descending
        magnitude; they do not determine the molecule. "none": the order of the atoms; this form alone is
        differentiable, so it alone gives forces.
    unit : str, default "angstrom"
        The unit of r_ij: "angstrom", or "bohr", as in atomic units.

    Raises
    ------
    ConfigError
        For a parameter outside its range, naming it.

    Examples
    --------
    >>> from ase.build import molecule
    >>> CoulombMatrix(3, permutation="none").transform(molecule("H2O")).round(2)
    array([[73.52,  8.26,  8.26,  8.26,  0.5 ,  0.66,  8.26,  0.66,  0.5 ]])
    """

    n_atoms_max: AtomCount
    _: KW_ONLY
    permutation: Permutation = "sorted_l2"
    unit: Unit = "angstrom"

    #: All pairs of atoms; frames must not be periodic.
    r_cut = math.inf


@register
@dataclass(frozen=True)
class InverseDistances(StructureDescriptor):
    """1 / r_ij of all pairs of atoms i < j, in the order of the atoms: for the dynamics of one molecule (Chmiela et
    al., Sci. Adv. 3, e1603015 (2017)), a row for every frame.

    Parameters
    ----------
    n_atoms_max : int
        Atoms of the molecule, or of the largest one; smaller ones are padded with zeros.

    Raises
    ------
    ConfigError
        For a parameter outside its range, naming it.

    Examples
    --------
    >>> from ase.build import molecule
    >>> InverseDistances(3).transform(molecule("H2O")).round(3)
    array([[1.032, 1.032, 0.655]])
    """

    n_atoms_max: AtomCount

    #: All pairs of atoms; frames must not be periodic.
    r_cut = math.inf

    def _make(self):
        return core.InverseDistances(self.n_atoms_max)

    def feature_labels(self):
        """What every column is: (i, j), the atoms."""
        return [(i, j) for i in range(self.n_atoms_max) for j in range(i + 1, self.n_atoms_max)]
