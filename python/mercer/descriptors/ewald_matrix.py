"""The Ewald sum matrix."""

from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Annotated

from mercer._core import core
from mercer._parameters import Length, Positive
from mercer._validation import check_positive
from mercer.descriptors._base import AtomCount, register
from mercer.descriptors.coulomb_matrix import AtomMatrix, Permutation
from mercer.errors import ConfigError


@register
@dataclass(frozen=True)
class EwaldMatrix(AtomMatrix):
    r"""The electrostatic energy of the nuclei of a crystal in a neutralising background, atom by atom, a row for every
    frame (Faber et al., Int. J. Quantum Chem. 115, 1094 (2015), section 3).

    :math:`M_{ij} = Z_i Z_j [\sum_T \mathrm{erfc}(a d) / d + 4 \pi / V \sum_{G \ne 0} e^{-G^2 / 4 a^2} \cos(G r) / G^2
    - \pi / (V a^2)]` with :math:`d = |r_j - r_i + T|` over the images; on the diagonal half of that over the other
    images, less :math:`a Z_i^2 / \sqrt{\pi}`. The sum over i <= j is the energy of a cell, in e^2/Angstrom. The
    matrix depends on the choice of the cell. Frames must be periodic in all three directions.

    Parameters
    ----------
    n_atoms_max : int
        Atoms of the largest cell; smaller ones are padded with zeros.
    permutation : str, default "sorted_l2"
        As for `CoulombMatrix`; "none" alone is differentiable.
    accuracy : float, default 1e-10
        Size of terms, relative to the largest, at which sums end.
    weight : float, default 1.0
        Cost of a term of real over one of reciprocal space, for the choice of `alpha`.
    alpha : float, optional
        a in 1/Angstrom, on which the converged sum does not depend; by default sqrt(pi) (n weight / V^2)^(1/6).
    real_cutoff, reciprocal_cutoff : float, optional
        Where sums end, in Angstrom and 1/Angstrom, both or neither; by default f / a and 2 a f with
        f = sqrt(-ln accuracy).

    Raises
    ------
    ConfigError
        For a parameter outside its range, naming it.

    Examples
    --------
    >>> from ase.build import bulk
    >>> EwaldMatrix(2).transform(bulk("NaCl", "rocksalt", a=5.64)).round(2)
    array([[-117.47,  -36.13,  -36.13,  -49.18]])
    """

    n_atoms_max: AtomCount
    _: KW_ONLY
    permutation: Permutation = "sorted_l2"
    accuracy: Positive = 1e-10
    weight: Annotated[float, partial(check_positive, smallest=1e-6, largest=1e6)] = 1.0
    alpha: Positive | None = None
    real_cutoff: Length | None = None
    reciprocal_cutoff: Positive | None = None

    #: Needs no neighbours.
    r_cut = 0.0

    def __post_init__(self):
        super().__post_init__()
        self._core  # noqa: B018  the core checks the rest

    def _make(self):
        try:
            return core.EwaldMatrix(
                self.n_atoms_max,
                self.permutation,
                accuracy=self.accuracy,
                weight=self.weight,
                alpha=self.alpha,
                real_cutoff=self.real_cutoff,
                reciprocal_cutoff=self.reciprocal_cutoff,
            )
        except ValueError as error:
            raise ConfigError(str(error)) from None
