"""Feature rows of several structures: what kernels of structures compare."""

import numpy as np

from mercer._validation import as_numbers, check_features
from mercer.errors import ConfigError, DataError
from mercer.kernels._base import feature_rows, group_labels


class StructureRows:
    """Feature rows of structures, one structure after the other; behaves as a sequence of structures.

    Indices, slices, index arrays and masks select structures, so that cross-validation of scikit-learn works on it.

    Parameters
    ----------
    features : array_like of shape (n_rows, n_features)
    offsets : array_like of int, shape (n_structures + 1,)
        Rows of structure s are offsets[s] .. offsets[s + 1] - 1; every structure has one at least.
    groups : array_like of int, shape (n_rows,), optional
        Rows of different groups (species of the centre atom) have no local kernel, if the kernel matches groups.
    weights : array_like of shape (n_rows,), optional
        Importance of rows, >= 0 and > 0 for one row of each structure; 1 by default.

    Raises
    ------
    mercer.errors.DataError
        For arrays that do not fit each other, naming the structure.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from mercer import SOAP
    >>> from mercer.kernels import StructureRows
    >>> soap = SOAP(["H", "O"], 4.0, 4, 3, 0.5)
    >>> rows = StructureRows.of(soap, [molecule("H2O"), molecule("H2O2")])
    >>> rows
    StructureRows(2 structures, 7 rows, 144 features)
    >>> rows[:1].offsets.tolist(), rows[:1].groups.tolist()
    ([0, 3], [8, 1, 1])
    """

    def __init__(self, features, offsets, groups=None, weights=None):
        self.features = feature_rows(features, "features")
        n_rows = len(self.features)
        offsets = as_numbers(offsets, "offsets")
        self.offsets = offsets.astype(np.int64)
        whole = offsets.ndim == 1 and len(offsets) > 0 and np.array_equal(self.offsets, offsets)
        if not whole or self.offsets[0] != 0 or self.offsets[-1] != n_rows:
            raise DataError(
                f"offsets must run from 0 to {n_rows} (the rows of features), with one entry more than there are "
                f"structures; got {np.array2string(offsets, threshold=8)}."
            )
        if np.any(np.diff(self.offsets) < 1):
            structure = int(np.argmax(np.diff(self.offsets) < 1))
            raise DataError(f"structure {structure} has no rows, so no kernel with others; leave it out.")
        self.groups = group_labels(groups, n_rows, "groups")
        self.weights = None if weights is None else self._checked_weights(weights)

    def _checked_weights(self, weights):
        weights = as_numbers(weights, "weights")
        if weights.shape != self.features.shape[:1]:
            raise DataError(f"weights has shape {weights.shape}; expected ({len(self.features)},), one per row.")
        if len(weights) and not (weights.min() >= 0 and np.isfinite(weights).all() and self.sums(weights).min() > 0):
            raise DataError("weights must be finite and >= 0, and > 0 for one row of every structure at least.")
        return weights

    @classmethod
    def of(cls, descriptor, frames):
        """Rows that a descriptor gives for frames, with its groups.

        Parameters
        ----------
        descriptor : descriptor
        frames : ase.Atoms, list of ase.Atoms, or Environments

        Returns
        -------
        StructureRows
        """
        if descriptor.has_factor:
            raise ConfigError(
                f"{type(descriptor).__name__} gives rows with a factor for the covariance, which kernels of structures "
                "do not know; use a descriptor of atoms, such as SOAP."
            )
        environments = descriptor.environments(frames)
        layout = descriptor.rows(environments)
        return cls(descriptor.transform(environments), layout.offsets, layout.groups)

    def __len__(self):
        return len(self.offsets) - 1

    @property
    def shape(self):
        """(n_structures, n_features)"""
        return len(self), self.features.shape[1]

    @property
    def counts(self):
        """Rows of each structure."""
        return np.diff(self.offsets)

    def sums(self, values):
        """Sums of per-row values (first axis) over the rows of each structure."""
        return np.add.reduceat(values, self.offsets[:-1], axis=0)

    def __getitem__(self, key):
        if isinstance(key, tuple):  # scikit-learn asks for X[indices, ...]
            if len(key) != 2 or key[1] is not Ellipsis:
                raise DataError("structures have one index; columns are those of `features`.")
            key = key[0]
        chosen = np.atleast_1d(np.arange(len(self))[key])
        counts = self.counts[chosen]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        if len(chosen) and np.array_equal(chosen, np.arange(chosen[0], chosen[0] + len(chosen))):
            rows = slice(self.offsets[chosen[0]], self.offsets[chosen[-1] + 1])  # no copy
        else:
            rows = np.repeat(self.offsets[chosen] - offsets[:-1], counts) + np.arange(offsets[-1])
        return self._with(self.features[rows], offsets, rows)

    def _with(self, features, offsets, rows):
        selected = [None if array is None else array[rows] for array in (self.groups, self.weights)]
        return StructureRows(features, offsets, *selected)

    def columns(self, columns):
        """The same structures with some columns of the features (slice or index array)."""
        return StructureRows(self.features[:, columns], self.offsets, self.groups, self.weights)

    def check_finite(self, name="X"):
        """self; DataError where a feature is NaN or infinite."""
        check_features(self.features, f"{name}.features")
        return self

    def __repr__(self):
        return f"StructureRows({len(self)} structures, {len(self.features)} rows, {self.features.shape[1]} features)"
