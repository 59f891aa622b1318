"""One term of a potential: descriptor, kernel, scale and sparse points, and the basis functions they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mercer._validation import check_choice, check_count, check_positive
from mercer.descriptors import Descriptor
from mercer.errors import ConfigError
from mercer.kernels import get_kernel
from mercer.models.frame_data import by_symbol
from mercer.models.sparse_points import SparsePoints
from mercer.rows import energy_rows, self_kernel_sums
from mercer.selection import SELECTIONS


@dataclass(frozen=True)
class Term:
    """A term of a potential: local energies of standard deviation `delta`, correlated as `kernel` says.

    Parameters
    ----------
    descriptor : descriptor
        One row of features per atom, such as `mercer.SOAP`.
    kernel : kernel, str or dict
        Of two such rows, such as ``mercer.kernels.Polynomial(zeta=4)``; of unit amplitude. A name or dict is what
        `mercer.kernels.get_kernel` takes.
    delta : float
        Prior standard deviation of a local energy, eV; the covariance is delta^2 k(x, x').
    n_sparse : int or mapping
        Number of sparse points of the term, shared out among the species of the centres in proportion to their numbers
        of environments, at least one each; or {element: number}.
    selection : str
        How they are chosen: a name of `mercer.selection`, for example "random", "fps" or "cur".
    match_species : bool
        Environments of different centre species do not covary.

    Raises
    ------
    ConfigError
        For values out of range, and for descriptors whose features jump when an atom crosses the cutoff: a cutoff
        function "none", or normalised rows without weight of the central atom.

    Examples
    --------
    >>> import mercer
    >>> soap = mercer.SOAP(["Si"], r_cut=4.0, n_max=4, l_max=3, sigma=0.5)
    >>> mercer.Term(soap, mercer.kernels.Polynomial(zeta=4), delta=0.5, n_sparse=100).delta
    0.5
    """

    descriptor: object
    kernel: object
    delta: float = 1.0
    n_sparse: int | Mapping = 1000
    selection: str = "cur"
    match_species: bool = True

    def __post_init__(self):
        if isinstance(self.descriptor, type) or not hasattr(self.descriptor, "transform"):
            raise ConfigError(f"Term: descriptor={self.descriptor!r}; expected a descriptor such as mercer.SOAP(...)")
        object.__setattr__(self, "kernel", get_kernel(self.kernel))
        check_positive(self.delta, "delta")
        check_choice(self.selection, SELECTIONS, "selection")
        if isinstance(self.n_sparse, Mapping):
            if not self.match_species:
                raise ConfigError("Term: n_sparse per element needs match_species=True; give one number")
            for element, n in by_symbol(self.n_sparse).items():
                check_count(n, f"n_sparse of {element}")
        else:
            check_count(self.n_sparse, "n_sparse")
        reason = discontinuity(self.descriptor)
        if reason:
            raise ConfigError(f"Term: {reason}; such a descriptor gives a discontinuous energy, so no potential")

    def to_dict(self):
        """Plain types that `from_dict` turns back into an equal term."""
        n_sparse = self.n_sparse
        return {
            "descriptor": self.descriptor.to_dict(),
            "kernel": self.kernel.to_dict(),
            "delta": float(self.delta),
            "n_sparse": {str(k): int(n) for k, n in n_sparse.items()}
            if isinstance(n_sparse, Mapping)
            else int(n_sparse),
            "selection": self.selection,
            "match_species": bool(self.match_species),
        }

    @classmethod
    def from_dict(cls, data):
        """The term that `to_dict` described."""
        data = dict(data)
        return cls(Descriptor.from_dict(data.pop("descriptor")), get_kernel(data.pop("kernel")), **data)


def discontinuity(descriptor):
    """Why the features of `descriptor` jump when an atom crosses the cutoff, or None."""
    cutoff = getattr(descriptor, "cutoff", None)
    if getattr(cutoff, "name", cutoff) == "none":
        return "the cutoff function is 'none' (choose a smooth one, for example 'shifted_cosine')"
    if getattr(descriptor, "normalize", False) and getattr(descriptor, "central_weight", 1.0) == 0.0:
        return "the rows are normalised with central_weight=0 (give the central atom a weight, or set normalize=False)"
    return None


@dataclass(frozen=True, eq=False)
class SparseTerm:
    """A term with its sparse points: the basis functions delta^2 k(., x_m) of local energies."""

    term: Term
    points: SparsePoints

    def __len__(self):
        return len(self.points)

    @property
    def _variance(self):
        return float(self.term.delta) ** 2

    def _groups(self, numbers):
        return {"x_groups": numbers, "y_groups": self.points.species} if self.term.match_species else {}

    def features(self, frames):
        """Feature rows of the atoms of `frames`: (n, n_features)."""
        return self.term.descriptor.transform(frames)

    def gram(self):
        """K_MM of this term: (M, M)."""
        return self.atom_rows(self.points.features, self.points.species)

    def atom_rows(self, X, numbers):
        """Basis functions at environments: (n, M)."""
        K = self.term.kernel(X, self.points.features, **self._groups(numbers))
        K *= self._variance
        return K

    def frame_rows(self, X, numbers, offsets):
        """Basis functions summed over the atoms of each frame: (n_frames, M)."""
        K = energy_rows(self.term.kernel, X, offsets, self.points.features, **self._groups(numbers))
        K *= self._variance
        return K

    def atom_variance(self, X):
        """Prior variance of local energies, eV^2: (n,)."""
        return self._variance * self.term.kernel.diag(X)

    def frame_variance(self, X, numbers, offsets):
        """Prior variance of the energies of frames, sum_ij k(x_i, x_j) over pairs of their atoms, eV^2: (n_frames,)."""
        groups = numbers if self.term.match_species else None
        return self._variance * self_kernel_sums(self.term.kernel, X, offsets, groups=groups)
