"""Weighted sums of kernels over parts of the features, or over several sets of rows."""

import operator
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from mercer._parameters import Parameters
from mercer._threads import threads
from mercer._validation import as_numbers, check_items, check_out, check_positive, show
from mercer.errors import ConfigError, DataError
from mercer.kernels._base import Kernel, check_free, feature_rows
from mercer.kernels.structure import StructureKernel
from mercer.kernels.structure_rows import StructureRows


def _key(columns):
    """Index of NumPy for the columns of a term."""
    return slice(None) if columns is None else columns if isinstance(columns, slice) else list(columns)


class MultiRows:
    """The same samples in several sets of rows, for example of two descriptors; indices select samples.

    Parameters
    ----------
    *sets : StructureRows, or array_like of shape (n_samples, n_features)

    Examples
    --------
    >>> import numpy as np
    >>> from mercer.kernels import MultiRows
    >>> rows = MultiRows(np.zeros((3, 2)), np.ones((3, 5)))
    >>> len(rows), rows[:2].shape
    (3, (2, 7))
    """

    def __init__(self, *sets):
        self.sets = tuple(s if isinstance(s, StructureRows) else feature_rows(s, "rows") for s in sets)
        lengths = {len(rows) for rows in self.sets}
        if len(lengths) != 1:
            raise DataError(f"MultiRows: sets of {sorted(lengths)} samples; expected the same samples in every set.")

    def __len__(self):
        return len(self.sets[0])

    @property
    def shape(self):
        """(n_samples, n_features of all sets)"""
        return len(self), sum(rows.shape[1] for rows in self.sets)

    def __getitem__(self, key):
        return MultiRows(*(rows[key] for rows in self.sets))

    def check_finite(self, name="X"):
        """self; DataError where a feature is NaN or infinite."""
        for number, rows in enumerate(self.sets):
            whole = rows if isinstance(rows, StructureRows) else StructureRows(rows, np.arange(len(rows) + 1))
            whole.check_finite(f"{name}.sets[{number}]")
        return self


def _terms(value, name):
    """Triples (weight, kernel, columns), checked."""
    terms = []
    for number, term in enumerate(check_items(value, name, "a list of (weight, kernel[, columns])")):
        if not (isinstance(term, tuple | list) and len(term) in (2, 3)):
            raise ConfigError(f"{name}[{number}]={show(term)}: expected (weight, kernel[, columns]).")
        weight, kernel, *columns = term
        weight = check_positive(weight, f"{name}[{number}]: weight", allow_zero=True)
        if not isinstance(kernel, Kernel | StructureKernel):
            raise ConfigError(f"{name}[{number}]: {show(kernel)} is not one of mercer.kernels.")
        terms.append((weight, kernel, _columns(columns[0] if columns else None, f"{name}[{number}]: columns")))
    if not terms:
        raise ConfigError(f"{name} is empty; give at least one (weight, kernel[, columns]).")
    return tuple(terms)


def _columns(columns, name):
    if columns is None or isinstance(columns, slice):
        return columns
    try:
        found = tuple(operator.index(c) for c in check_items(columns, name))
    except TypeError:
        found = (-1,)
    if not found or min(found) < 0:
        raise ConfigError(f"{name}={show(columns)}: expected a slice, or indices >= 0.")
    return found


@dataclass(frozen=True)
class MultiKernel(Parameters):
    """K(x, y) = sum_t w_t k_t(x, y), each kernel on its columns of the features or on its set of rows.

    With linear kernels it equals the linear kernel of concatenated features that are scaled by sqrt(w_t). The
    derivative with respect to w_t is K_t, see `components`. Source: Willatt, Musil and Ceriotti, Phys. Chem. Chem.
    Phys. 20, 29661 (2018), eq. 18.

    Parameters
    ----------
    terms : sequence of (weight, kernel) or (weight, kernel, columns)
        Weights >= 0; `columns` is a slice or a sequence of indices, by default all. Rows are arrays or `StructureRows`
        that all terms share, or `MultiRows` with a set for each term.

    Examples
    --------
    >>> from mercer.kernels import Gaussian, Linear, MultiKernel
    >>> kernel = MultiKernel([(0.5, Linear(), slice(0, 1)), (2.0, Gaussian(), [1])])
    >>> kernel([[2.0, 0.0]])
    array([[4.]])
    """

    terms: Annotated[tuple, _terms]

    _prefix = "MultiKernel"

    @property
    def weights(self):
        """ndarray of shape (n_terms,)"""
        return np.array([weight for weight, _, _ in self.terms])

    @property
    def differentiable(self):
        """Whether K has a gradient with respect to features everywhere: what forces need."""
        return all(kernel.differentiable for _, kernel, _ in self.terms)

    @property
    def positive_semidefinite(self):
        """Whether every matrix of the kernel is positive semidefinite."""
        return all(getattr(kernel, "positive_semidefinite", True) for _, kernel, _ in self.terms)

    def _rows(self, rows, name):
        """Rows of each term."""
        if isinstance(rows, MultiRows):
            if len(rows.sets) != len(self.terms):
                raise DataError(f"{name} has {len(rows.sets)} sets of rows, the kernel {len(self.terms)} terms.")
            sets = rows.sets
        else:
            sets = [rows if isinstance(rows, StructureRows) else feature_rows(rows, name)] * len(self.terms)
        chosen = []
        for number, (one, (_, _, columns)) in enumerate(zip(sets, self.terms, strict=True)):
            if columns is not None:
                if not isinstance(columns, slice) and max(columns, default=0) >= one.shape[1]:
                    raise DataError(
                        f"MultiKernel: columns of term {number} go up to {max(columns)}, but {name} has "
                        f"{one.shape[1]} features, counted from 0."
                    )
                one = one.columns(_key(columns)) if isinstance(one, StructureRows) else one[:, _key(columns)]
            chosen.append(one)
        return chosen

    def _calls(self, X, Y):
        xs = self._rows(X, "X")
        ys = [None] * len(xs) if Y is None or Y is X else self._rows(Y, "Y")
        return [(weight, kernel, x, y) for (weight, kernel, _), x, y in zip(self.terms, xs, ys, strict=True)]

    def components(self, X, Y=None, *, n_threads=None):
        """The matrices K_t = dK/dw_t: list of ndarrays of shape (n, m)."""
        return [kernel(x, y, n_threads=n_threads) for _, kernel, x, y in self._calls(X, Y)]

    def __call__(self, X, Y=None, *, out=None, n_threads=None):
        """The kernel matrix.

        Parameters
        ----------
        X, Y : array_like of shape (n, n_features), StructureRows, or MultiRows
            Y is X by default.
        out : ndarray of shape (n, m), optional
        n_threads : int, optional

        Returns
        -------
        ndarray of shape (n, m)
        """
        calls = self._calls(X, Y)
        shape = (len(X), len(X if Y is None else Y))
        out = check_out(out, shape)
        for _, _, *operands in calls:
            check_free(out, *(getattr(o, "features", o) for o in operands if o is not None))
        part = np.empty(shape)
        for number, (weight, kernel, x, y) in enumerate(calls):
            kernel(x, y, out=out if number == 0 else part, n_threads=n_threads)
            if number == 0:
                out *= weight
            else:
                part *= weight
                out += part
        return out

    def diag(self, X):
        """K(x, x) of every sample: ndarray of shape (n,)."""
        return sum(weight * kernel.diag(x) for weight, kernel, x, _ in self._calls(X, None))

    def vjp(self, X, Y, dL_dK, *, n_threads=None):
        """Reverse pass: dL/dX from dL/dK; of `MultiRows` a list, one for each set.

        Parameters
        ----------
        X, Y : as of a call
            Y None: the gradient is through both operands.
        dL_dK : array_like of shape (n, m)

        Returns
        -------
        ndarray of shape (n_rows, n_features), or list of them
        """
        dL_dK = as_numbers(dL_dK, "dL_dK")
        if Y is None:
            return self.vjp(X, X, dL_dK + dL_dK.T, n_threads=n_threads)
        sets = X.sets if isinstance(X, MultiRows) else [X if isinstance(X, StructureRows) else feature_rows(X, "X")]
        gradients = [np.zeros((rows.features if isinstance(rows, StructureRows) else rows).shape) for rows in sets]
        xs, ys = self._rows(X, "X"), self._rows(Y, "Y")
        with threads(n_threads):
            for number, ((weight, kernel, columns), x, y) in enumerate(zip(self.terms, xs, ys, strict=True)):
                target = gradients[number if isinstance(X, MultiRows) else 0]
                np.add.at(target, (slice(None), _key(columns)), kernel.vjp(x, y, weight * dL_dK))
        return gradients if isinstance(X, MultiRows) else gradients[0]
