"""One term of a potential: descriptor, kernel, scale and sparse points, and the basis functions they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from mercer._parameters import Amplitude, Flag, Parameters, choice
from mercer._validation import check_count, show
from mercer.descriptors import Descriptor
from mercer.errors import ConfigError
from mercer.kernels import Kernel, get_kernel
from mercer.linalg import PIVOT_FLOOR
from mercer.models.force_variance import force_variance
from mercer.models.frame_data import by_symbol
from mercer.models.sparse_points import ALL, SparsePoints
from mercer.rows import evaluate_term, label_rows, self_kernel_sums
from mercer.selection import SELECTIONS

#: Clusters have few coordinates, in which smooth kernels tell few points apart: of 20 points of a pair term, those
#: beyond 12 or 13 change no test error, but multiply the weights, and with them the rounding errors of energies.
CLUSTER_PIVOT_FLOOR = 1e-11
#: Rows of a frame whose covariance with all others is held at a time.
_ROWS = 512


def _descriptor(value, name):
    if isinstance(value, Descriptor):
        return value
    raise ConfigError(f"{name}={show(value)}; expected a descriptor such as mercer.SOAP(...)")


def _kernel(value, name):
    return get_kernel(value)


def _n_sparse(value, name):
    """A number, ALL, or {element: number}."""
    if isinstance(value, Mapping):
        for element, n in by_symbol(value, name).items():
            check_count(n, f"{name} of {element}")
        return value
    return value if isinstance(value, str) and value == ALL else check_count(value, name)


@dataclass(frozen=True)
class Term(Parameters):
    """A term of a potential: local energies of standard deviation `delta`, correlated as `kernel` says.

    Parameters
    ----------
    descriptor : descriptor
        One row of features per atom, such as `mercer.SOAP`, per cluster of atoms, such as
        `mercer.descriptors.PairDistance`, or per frame, such as `mercer.descriptors.CoulombMatrix`; the last learn
        energies only, and predict forces by their derivatives.
    kernel : kernel, str or dict
        Of two such rows, such as ``mercer.kernels.Polynomial(zeta=4)``; of unit amplitude. A name or dict is what
        `mercer.kernels.get_kernel` takes.
    delta : float
        Prior standard deviation of the energy of a row, eV; the covariance is delta^2 k(x, x').
    n_sparse : int, mapping or "all"
        Number of sparse points of the term, shared out among the species of the centres (or kinds of clusters) in
        proportion to their numbers of environments, at least one each; or {element: number}; or "all", every row of the
        training frames. With rows per frame and "all", a fit to energies is kernel ridge regression.
    selection : str
        How they are chosen: a name of `mercer.selection`, for example "random", "fps" or "cur".
    match_species : bool
        Environments of different centre species, or kinds of clusters, do not covary.

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

    descriptor: Annotated[Descriptor, _descriptor]
    kernel: Annotated[Kernel, _kernel]
    delta: Amplitude = 1.0
    n_sparse: Annotated[int | Mapping | str, _n_sparse] = 1000
    selection: choice(SELECTIONS) = "cur"
    match_species: Flag = True

    def __post_init__(self):
        super().__post_init__()
        if isinstance(self.n_sparse, Mapping) and not self.match_species:
            raise ConfigError("Term: n_sparse per element needs match_species=True; give one number")
        reason = discontinuity(self.descriptor)
        if reason:
            raise ConfigError(f"Term: {reason}; such a descriptor gives a discontinuous energy, so no potential")

    def to_dict(self):
        """Plain types that `from_dict` turns back into an equal term."""
        n_sparse = self.n_sparse
        if isinstance(n_sparse, Mapping):
            n_sparse = {str(k): int(n) for k, n in n_sparse.items()}
        return {
            "descriptor": self.descriptor.to_dict(),
            "kernel": self.kernel.to_dict(),
            "delta": float(self.delta),
            "n_sparse": n_sparse if isinstance(n_sparse, dict | str) else int(n_sparse),
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
    """A term with its sparse points: the basis functions delta^2 k(., x_m) of local energies.

    A descriptor makes rows, one per atom, one per frame, or one per cluster of atoms with a factor F as last column;
    the covariance of two rows is delta^2 F F' k(x, x') where their groups match.
    """

    term: Term
    points: SparsePoints

    def __len__(self):
        return len(self.points)

    @property
    def descriptor(self):
        return self.term.descriptor

    @property
    def _variance(self):
        return float(self.term.delta) ** 2

    def gram(self):
        """K_MM of this term: (M, M)."""
        if self.descriptor.has_factor:
            orbit = self.descriptor.orbit(self.points.features)
            return sum(self._covariance(rows, self.points.species) for rows in orbit)
        K = self.term.kernel(self.points.features, x_groups=self.points.species if self.term.match_species else None)
        K *= self._variance
        return K

    @property
    def pivot_floor(self):
        """Smallest variance of a sparse point given the others, relative to its own, at which it is kept."""
        return CLUSTER_PIVOT_FLOOR if self.descriptor.has_factor else PIVOT_FLOOR

    def _covariance(self, X, groups):
        """Covariance of rows of the descriptor with the sparse points: (n_rows, M)."""
        Y = self.points.features
        matching = {"x_groups": groups, "y_groups": self.points.species} if self.term.match_species else {}
        if not self.descriptor.has_factor:
            K = self.term.kernel(X, Y, **matching)
            K *= self._variance
            return K
        K = self.term.kernel(X[:, :-1], Y[:, :-1], **matching)
        K *= self._variance * X[:, -1:]
        K *= Y[:, -1]
        return K

    def evaluate(self, environments, weights, gradients):
        """Energies of atoms, and their derivatives by positions and strain: of (n_atoms,), (n_atoms, 3) or None,
        (n_frames, 3, 3) or None."""
        return evaluate_term(
            self.descriptor,
            self.term.kernel,
            environments,
            self.points.features,
            self.points.species,
            self._variance * weights,
            match_groups=self.term.match_species,
            gradients=gradients,
        )

    def rows(self, environments, kinds):
        """Rows of K_LM of all atoms for these kinds of labels: {kind: (n_rows, M)}; forces and virials of atom after
        atom, frame after frame."""
        wanted = {kind: kind in kinds for kind in ("energy", "forces", "virial")}
        found = {}
        if self.descriptor.per_frame and wanted["forces"]:
            wanted["forces"] = False
            found["forces"] = self._force_rows(environments)
        if any(wanted.values()):
            rows = label_rows(
                self.descriptor,
                self.term.kernel,
                environments,
                self.points.features,
                self.points.species,
                match_groups=self.term.match_species,
                **wanted,
            )
            for kind, K in rows.items():
                found[kind] = K.reshape(-1, len(self))
                if self._variance != 1.0:
                    found[kind] *= self._variance
        if "energies" in kinds:
            found["energies"] = self.atom_rows(environments)
        return found

    def _force_rows(self, environments):
        """Rows of K for forces, where a row of features is a frame: (3 n_atoms, M)."""
        kernel, Y = self.term.kernel, self.points.features
        X, gradients = self.descriptor.transform(environments), self.descriptor.gradients(environments)
        X, J = X[gradients.centers], gradients.values
        along = J @ Y.T  # d(x . x_m) / d position
        if kernel.argument == "dot":
            slopes = kernel.derivatives((X @ Y.T).ravel())[1]
        else:
            squares = np.einsum("if,if->i", X, X)[:, None] + np.einsum("mf,mf->m", Y, Y) - 2 * X @ Y.T
            slopes = kernel.derivatives(np.maximum(squares, 0.0).ravel())[1]
            along = 2 * (np.einsum("iaf,if->ia", J, X)[:, :, None] - along)
        K = -self._variance * slopes.reshape(len(X), 1, len(Y)) * along
        return K.reshape(-1, len(Y))

    def atom_rows(self, environments, X=None):
        """Basis functions at the atoms: (n_atoms, M)."""
        bound = self.descriptor.bind(environments)
        K = self._covariance(bound.transform() if X is None else X, bound.layout.groups)
        if self.descriptor.per_atom:
            return K
        columns = [bound.share(column) for column in K.T]
        return np.stack(columns, axis=1) if columns else np.zeros((environments.structures.n_atoms, 0))

    def atom_variance(self, environments):
        """Prior variance of the energies of atoms, eV^2: (n_atoms,).

        Of clusters, that part which the sparse points can express: all of it, where they lie densely in the few
        coordinates that clusters have.
        """
        if not self.descriptor.has_factor:
            of_rows = self._variance * self.term.kernel.diag(self.descriptor.transform(environments))
            return of_rows if self.descriptor.per_atom else self.descriptor.share(environments, np.sqrt(of_rows)) ** 2
        values, vectors = np.linalg.eigh(self.gram())
        kept = values > 1e-10 * values[-1]
        half = self.atom_rows(environments) @ (vectors[:, kept] / np.sqrt(values[kept]))
        return np.einsum("nm,nm->n", half, half)

    def force_variance(self, environments, atoms=None, max_bytes=None):
        """Prior variance of force components, (eV/Angstrom)^2: (n_atoms, 3); of the atoms of a mask only, if given; the
        Jacobian in pieces of `max_bytes`."""
        return self._variance * force_variance(
            self.descriptor, self.term.kernel, environments, self.term.match_species, atoms, max_bytes
        )

    def frame_variance(self, environments):
        """Prior variance of the energies of frames, sum_ij k(x_i, x_j) over pairs of their rows, eV^2: (n_frames,)."""
        bound = self.descriptor.bind(environments)
        X, (offsets, groups) = bound.transform(), bound.layout
        groups = groups if self.term.match_species else None
        if not self.descriptor.has_factor:
            return self._variance * self_kernel_sums(self.term.kernel, X, offsets, groups=groups)
        X, F = np.ascontiguousarray(X[:, :-1]), X[:, -1]
        sums = np.zeros(len(offsets) - 1)
        for f in range(len(sums)):
            for start in range(offsets[f], offsets[f + 1], _ROWS):
                i, j = slice(start, min(start + _ROWS, offsets[f + 1])), slice(offsets[f], offsets[f + 1])
                matching = {} if groups is None else {"x_groups": groups[i], "y_groups": groups[j]}
                sums[f] += F[i] @ self.term.kernel(X[i], X[j], **matching) @ F[j]
        return self._variance * sums
