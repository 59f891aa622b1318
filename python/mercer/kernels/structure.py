"""Kernels of whole structures, from a local kernel of their rows."""

import dataclasses
import warnings
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, ClassVar

import numpy as np

from mercer._core import core
from mercer._parameters import Count, Flag, Parameters, choice
from mercer._threads import threads
from mercer._validation import as_numbers, check_mapping, check_out, check_positive, show
from mercer.errors import ConfigError, DataError
from mercer.kernels._base import Kernel, check_free, core_errors, require_differentiable
from mercer.kernels.linear import Linear
from mercer.kernels.structure_rows import StructureRows

#: Kernels of structures by name.
STRUCTURE_KERNELS = {}


def _checked(rows, name):
    if not isinstance(rows, StructureRows):
        raise DataError(
            f"{name} is a {type(rows).__name__}; kernels of structures compare StructureRows, for example "
            "StructureRows.of(descriptor, frames)."
        )
    return rows


def _local(value, name):
    if isinstance(value, Kernel):
        return value
    raise ConfigError(f"{name}={show(value)} is not a kernel; use one of mercer.kernels, such as Polynomial(zeta=2).")


def _group_weights(value, name):
    """{group: weight}, checked."""
    found = {}
    for group, weight in check_mapping(value, name, "a mapping of groups (atomic numbers) to weights").items():
        if isinstance(group, bool) or not isinstance(group, int | np.integer):
            raise ConfigError(f"{name}: {show(group)} is no group; expected integers (atomic numbers).")
        found[int(group)] = check_positive(weight, f"{name}[{group}]", allow_zero=True)
    return found


#: Beyond these bounds the iterations have no end.
Entropy = Annotated[float, partial(check_positive, smallest=1e-6, largest=1e6)]
Tolerance = Annotated[float, partial(check_positive, smallest=1e-15, largest=1.0)]


@dataclass(frozen=True)
class StructureKernel(Parameters):
    """Base of kernels K(A, B) of structures: frozen dataclasses whose operands are `StructureRows`.

    A subclass is listed in :data:`STRUCTURE_KERNELS` by its `name`; ``_matching()`` gives that of the C++ core.
    """

    name: ClassVar[str]
    #: Whether every matrix of the kernel is positive semidefinite.
    positive_semidefinite: ClassVar[bool] = True

    local: Annotated[Kernel, _local] = field(default_factory=Linear)
    match_groups: Flag = True
    normalize: Flag = True

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "name" in cls.__dict__:
            STRUCTURE_KERNELS[cls.name] = cls

    @property
    def _prefix(self):
        return type(self).__name__

    def __call__(self, X, Y=None, *, out=None, n_threads=None):
        """The kernel matrix K[A, B].

        Parameters
        ----------
        X : StructureRows of n structures
        Y : StructureRows of m structures, optional
            Default: X. Then half of the matrix is computed, and it is exactly symmetric.
        out : ndarray of shape (n, m), optional
            C-contiguous float64 array that takes the result.
        n_threads : int, optional
            Default: what :func:`mercer.set_num_threads` says. The result does not depend on it.

        Returns
        -------
        ndarray of shape (n, m)

        Raises
        ------
        mercer.errors.DataError
            For operands that do not fit each other, or where K(A, A) is not positive and should be 1.
        """
        X, Y = self._operands(X, Y)
        out = core.empty(len(X), len(Y)) if out is None else check_out(out, (len(X), len(Y)))
        check_free(out, X.features, Y.features)
        with threads(n_threads):
            x, y = self._reduced(X), self._reduced(Y)
            y = x if Y is X else y
            norms = self._norms(x, y) if self.normalize else (None, None)
            with core_errors():
                self._report(core.structure_gram(*self._core(), _arrays(x), _arrays(y), *norms, out), out.size)
        if self.normalize and Y is X:
            np.fill_diagonal(out, 1.0)
        return out

    def diag(self, X, *, n_threads=None):
        """K(A, A) of every structure: ndarray of shape (n,)."""
        X = self._prepared(X, "X")
        if self.normalize:
            return np.ones(len(X))
        with threads(n_threads):
            return self._diagonal(self._reduced(X))

    def vjp(self, X, Y, dL_dK, *, n_threads=None):
        """Reverse pass: the gradient of a number L with respect to the rows of X, from dL/dK.

        Kernels are symmetric: the gradient with respect to the rows of Y is ``vjp(Y, X, dL_dK.T)``.

        Parameters
        ----------
        X : StructureRows of n structures
        Y : StructureRows of m structures or None
            None: K is that of X with itself, and the gradient is through both operands.
        dL_dK : array_like of shape (n, m)

        Returns
        -------
        ndarray of shape (n_rows, n_features)
            dL / d X.features

        Raises
        ------
        mercer.errors.ConfigError
            For a local kernel without derivative at coinciding points.
        """
        require_differentiable(self.local, f"{type(self).__name__} has no gradient")
        both = Y is None
        X, Y = self._operands(X, Y)
        dL_dK = as_numbers(dL_dK, "dL_dK")
        if dL_dK.shape != (len(X), len(Y)):
            raise DataError(f"dL_dK has shape {dL_dK.shape}; expected {(len(X), len(Y))}.")
        if both:
            dL_dK = dL_dK + dL_dK.T
        with threads(n_threads):
            x = self._reduced(X)
            y = x if Y is X else self._reduced(Y)
            if self.normalize:
                diagonal = self._diagonal(x, positive=True)
                x_norms, y_norms = self._norms(x, y, diagonal)
                dL_dK = dL_dK * x_norms[:, None] * y_norms
            dX, sums = np.empty(x.features.shape), np.empty(len(x))
            with core_errors():
                status = core.structure_vjp(*self._core(), _arrays(x), _arrays(y), dL_dK, dX, sums)
                self._report(status, dL_dK.size)
                if self.normalize:  # d (K_AA K_BB)^(-1/2)
                    weights = -0.5 * sums / diagonal
                    self._report(core.structure_diagonal_vjp(*self._core(), _arrays(x), weights, dX), len(x))
        return self._expanded(X, dX)

    @property
    def differentiable(self):
        """Whether K has a gradient with respect to features everywhere: what forces need."""
        return self.local.differentiable

    @property
    def hyperparameters(self):
        """Parameters by name."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    # --- parts ---

    def _matching(self):
        return core.Matching(self.name, {})

    def _core(self):
        return self.local.to_core(), self._matching()

    def _prepared(self, rows, name):
        rows = _checked(rows, name)
        if self.match_groups and rows.groups is None:
            raise ConfigError(f"{name} has no groups; give them, or match_groups=False.")
        return rows if self.match_groups else StructureRows(rows.features, rows.offsets, None, rows.weights)

    def _operands(self, X, Y):
        same = Y is None or Y is X
        X = self._prepared(X, "X")
        Y = X if same else self._prepared(Y, "Y")
        if X.shape[1] != Y.shape[1]:
            raise DataError(
                f"rows of X have {X.shape[1]} features, rows of Y {Y.shape[1]}; both must come from the same "
                "descriptor."
            )
        return X, Y

    def _reduced(self, rows):
        """Rows of which the same kernel can be computed with less work."""
        return rows

    def _expanded(self, rows, dX):
        """The reverse pass of `_reduced`."""
        return dX

    def _diagonal(self, rows, positive=False):
        values = np.empty(len(rows))
        with core_errors():
            self._report(core.structure_diagonal(*self._core(), _arrays(rows), values), len(rows))
        if positive and not (values > 0).all():
            structure = int(np.argmin(values > 0))
            raise DataError(
                f"K(A, A) of structure {structure} is {values[structure]}, which cannot be normalised to 1: its rows "
                "are zero or not finite, or the local kernel is negative. Use normalize=False, or leave the structure "
                "out."
            )
        return values

    def _norms(self, x, y, diagonal=None):
        x_norms = 1.0 / np.sqrt(self._diagonal(x, positive=True) if diagonal is None else diagonal)
        return x_norms, x_norms if y is x else 1.0 / np.sqrt(self._diagonal(y, positive=True))

    def _report(self, status, n_pairs):
        """What to say of iterations that did not converge."""


def _arrays(rows):
    return rows.features, rows.offsets, rows.groups, rows.weights


class _Bilinear(StructureKernel):
    """K = sum_ij v_i v_j k_ij with weights v of rows; a linear local kernel needs the weighted sums of rows only."""

    def _weights(self, rows):
        """v, or None for ones."""
        return None

    def _prepared(self, rows, name):
        rows = super()._prepared(rows, name)
        return StructureRows(rows.features, rows.offsets, rows.groups, self._weights(rows))

    def _matching(self):
        return core.Matching("sum", {})

    def _reduced(self, rows):
        if not isinstance(self.local, Linear):
            return rows
        order, starts, structures = _runs(rows)
        features = rows.features[order]
        if rows.weights is not None:
            features *= rows.weights[order][:, None]
        features = np.add.reduceat(features, starts, axis=0)
        offsets = np.searchsorted(structures[starts], np.arange(len(rows) + 1))
        return StructureRows(features, offsets, None if rows.groups is None else rows.groups[order][starts])

    def _expanded(self, rows, dX):
        if not isinstance(self.local, Linear):
            return dX
        order, starts, _ = _runs(rows)
        expanded = np.empty(rows.features.shape)
        expanded[order] = np.repeat(dX, np.diff(np.append(starts, len(order))), axis=0)
        return expanded if rows.weights is None else expanded * rows.weights[:, None]


def _runs(rows):
    """Rows sorted by structure and group: the order, where the runs start, and the structure of each place."""
    structures = np.repeat(np.arange(len(rows)), rows.counts)
    if rows.groups is None:
        return np.arange(len(structures)), rows.offsets[:-1], structures
    order = np.lexsort([rows.groups, structures])
    groups = rows.groups[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (np.diff(structures) != 0) | (np.diff(groups) != 0)
    return order, np.flatnonzero(new), structures


@dataclass(frozen=True)
class Sum(_Bilinear):
    r"""K(A, B) = sum_{i in A, j in B} k(x_i, y_j): for extensive labels, such as total energies.

    Source: Bartók and Csányi, Int. J. Quantum Chem. 115, 1051 (2015), section 3.

    Parameters
    ----------
    local : Kernel, default Linear()
        k. With Linear the work is that of one row for each structure (and group).
    match_groups : bool, default True
        k = 0 between rows of different groups (species of the centre).
    normalize : bool, default False
        Divide by sqrt(K(A, A) K(B, B)).

    Examples
    --------
    >>> from mercer.kernels import Polynomial, StructureRows, Sum
    >>> rows = StructureRows([[1.0], [2.0], [3.0]], [0, 2, 3], [1, 8, 1])
    >>> Sum(Polynomial(zeta=2))(rows)
    array([[17.,  9.],
           [ 9., 81.]])
    """

    name: ClassVar[str] = "sum"
    normalize: Flag = False


@dataclass(frozen=True)
class Average(_Bilinear):
    r"""K(A, B) = sum_{i in A, j in B} k(x_i, y_j) / (n_A n_B): for labels per atom.

    Source: De, Bartók, Csányi and Ceriotti, Phys. Chem. Chem. Phys. 18, 13754 (2016), eq. 6.

    Parameters
    ----------
    local : Kernel, default Linear()
        k. With Linear the work is that of one row for each structure (and group).
    match_groups : bool, default True
        k = 0 between rows of different groups (species of the centre).
    normalize : bool, default True
        Divide by sqrt(K(A, A) K(B, B)).

    Examples
    --------
    >>> from mercer.kernels import Average, StructureRows
    >>> rows = StructureRows([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [0, 2, 3])
    >>> Average(match_groups=False, normalize=False)(rows)
    array([[0.5, 0.5],
           [0.5, 1. ]])
    """

    name: ClassVar[str] = "average"

    def _weights(self, rows):
        return np.repeat(1.0 / rows.counts, rows.counts)


@dataclass(frozen=True)
class Weighted(_Bilinear):
    r"""K(A, B) = sum_{i in A, j in B} w_i w_j k(x_i, y_j) with the importance w of rows.

    Parameters
    ----------
    local : Kernel, default Linear()
        k. With Linear the work is that of one row for each structure (and group).
    match_groups : bool, default True
        k = 0 between rows of different groups (species of the centre).
    normalize : bool, default True
        Divide by sqrt(K(A, A) K(B, B)).
    weights : dict, optional
        Weight of each group, for example ``{1: 0.2, 6: 1.0}``; by default ``weights`` of the rows.

    Examples
    --------
    >>> from mercer.kernels import StructureRows, Weighted
    >>> rows = StructureRows([[1.0], [1.0], [1.0]], [0, 2, 3], [1, 6, 6])
    >>> Weighted(normalize=False, weights={1: 0.5, 6: 1.0})(rows)
    array([[1.25, 1.  ],
           [1.  , 1.  ]])
    """

    name: ClassVar[str] = "weighted"
    weights: Annotated[dict, _group_weights] | None = None

    def _prepared(self, rows, name):
        groups = _checked(rows, name).groups
        if self.weights is None and rows.weights is None:
            raise ConfigError(f"{name} has no weights; give StructureRows(..., weights=...) or Weighted(weights=...).")
        if self.weights is not None:
            if groups is None:
                raise ConfigError(f"{name} has no groups, which Weighted(weights=...) refers to.")
            missing = np.setdiff1d(groups, list(self.weights))
            if len(missing):
                raise ConfigError(f"Weighted(weights=...): group {missing[0]} of {name} has no weight.")
            labels, inverse = np.unique(groups, return_inverse=True)
            weights = np.array([self.weights[int(label)] for label in labels])[inverse]
            rows = StructureRows(rows.features, rows.offsets, groups, weights)
        return super()._prepared(rows, name)

    def _weights(self, rows):
        return rows.weights


@dataclass(frozen=True)
class REMatch(StructureKernel):
    r"""Regularised-entropy match: K(A, B) = sum_ij W_ij k(x_i, y_j), where W pairs similar rows.

    W maximises sum_ij W_ij (2 k_ij - gamma ln W_ij) among non-negative matrices with row sums 1/n_A and column sums
    1/n_B (with weights of rows: in proportion to them). A large gamma gives the average kernel, a small one the best
    assignment. Source: De, Bartók, Csányi and Ceriotti, Phys. Chem. Chem. Phys. 18, 13754 (2016), section 3.3, whose
    gamma is half of this one (they write the cost as 1 - k, here it is the squared distance 2 - 2 k); Cuturi, Adv.
    Neural Inf. Process. Syst. 26, 2292 (2013).

    The kernel is not positive semidefinite in general, least where gamma is small: models then need a larger alpha or
    noise, and say so. Sinkhorn's scaling with Newton steps where it is slow, in the logarithmic domain where numbers
    would overflow; gradients by implicit differentiation.

    Parameters
    ----------
    local : Kernel, default Linear()
        k; of order 1, best with k(x, x) = 1, such as Polynomial on normalised SOAP rows.
    match_groups : bool, default True
        k = 0 between rows of different groups (species of the centre).
    normalize : bool, default True
        Divide by sqrt(K(A, A) K(B, B)).
    gamma : float, default 1.0
        Weight of the entropy, in units of k.
    tolerance : float, default 1e-9
        Of the sum of errors of the column sums, whose total is 1 (`stop` "margins").
    max_sweeps : int, default 1000
        Pairs that have not converged by then are warned of.
    stop : {"margins", "scalings"}, default "margins"
        "scalings": stop where the relative squared changes of the scaling vectors add up to `tolerance` or less, tested
        in four of five sweeps, as DScribe does; K then depends on the order of A and B by as much.

    Examples
    --------
    >>> from mercer.kernels import REMatch, StructureRows
    >>> rows = StructureRows([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]], [0, 2, 3])
    >>> REMatch(match_groups=False, gamma=0.1)(rows).round(3)
    array([[1. , 0.7],
           [0.7, 1. ]])
    """

    name: ClassVar[str] = "rematch"
    positive_semidefinite: ClassVar[bool] = False

    gamma: Entropy = 1.0
    tolerance: Tolerance = 1e-9
    max_sweeps: Count = 1000
    stop: choice(["margins", "scalings"]) = "margins"

    def _matching(self):
        parameters = {"gamma": self.gamma, "tolerance": self.tolerance, "max_sweeps": self.max_sweeps}
        return core.Matching(self.name, {**parameters, "stop_at_scalings": float(self.stop == "scalings")})

    def _report(self, status, n_pairs):
        unconverged, error, _ = status
        if unconverged:
            warnings.warn(
                f"REMatch: {unconverged} of {n_pairs} pairs of structures did not reach tolerance={self.tolerance:g} "
                f"in {self.max_sweeps} sweeps (worst {error:.1e}). Use a larger gamma (now {self.gamma:g}), tolerance "
                "or max_sweeps.",
                stacklevel=4,
            )
