"""What the estimators share: checks of the input in scikit-learn's way, and the kernel of two sets of rows."""

import warnings
from typing import Annotated

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils import validation
from sklearn.utils.validation import check_is_fitted

from mercer._parameters import checked_arguments
from mercer._validation import check_choice, check_finite, check_out, check_positive, check_size, check_targets
from mercer.errors import ConfigError, DataError, DataTypeError
from mercer.kernels import Gaussian, Kernel, MultiRows, StructureRows
from mercer.linalg import is_positive_semidefinite, one_blas_thread, smallest_eigenvalue
from mercer.selection import as_kernel, check_groups

#: Rows of a kernel block are chosen so that it takes about this much.
BLOCK_BYTES = 64 * 2**20


def _validate(estimator, X, y, **options):
    """sklearn's validate_data without its test for finite values; the name of that option changed in version 1.6."""
    y = {} if y is None else {"y": y}
    try:
        if hasattr(validation, "validate_data"):
            return validation.validate_data(estimator, X, ensure_all_finite=False, **y, **options)
        return estimator._validate_data(X, force_all_finite=False, **y, **options)
    except TypeError as error:
        raise DataTypeError(f"X, y: {error}") from None
    except ValueError as error:
        raise DataError(f"X, y: {error}") from None


def _of_structures(X):
    return isinstance(X, StructureRows | MultiRows)


def block_rows(n_columns):
    """Rows of a float64 block with `n_columns` that fits `BLOCK_BYTES`; at least 256."""
    return max(256, BLOCK_BYTES // (8 * max(1, n_columns)))


def row_blocks(n_rows, n_columns):
    """Slices that cover `n_rows` rows in blocks of `block_rows`."""
    step = block_rows(n_columns)
    return [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]


class KernelRegressor(RegressorMixin, BaseEstimator):
    """Base of KRR, GPR and SparseGPR, whose arguments are checked in `fit`, by their types in ``__init__``."""

    def _checked(self):
        """Arguments in their plain forms."""
        return checked_arguments(self)

    def set_params(self, **parameters):
        """Set parameters, those of the kernel as ``kernel__name``; the kernel that was given stays as it is."""
        if any(name.startswith("kernel__") for name in parameters):
            self.kernel = clone(self.kernel, safe=False)
        return super().set_params(**parameters)

    @property
    def _precomputed(self):
        return isinstance(self.kernel, str) and self.kernel == "precomputed"

    def _training_data(self, X, y, groups):
        if y is None:
            raise DataError(f"{type(self).__name__}.fit requires y to be passed, but the target y is None.")
        if isinstance(y, np.ndarray) and y.dtype.kind == "f":
            check_finite(y, "y")
        if _of_structures(X):
            self._check_structures(X, groups)
            self.n_features_in_ = X.shape[1]
            return X, check_targets(y, len(X)), None
        X, y = _validate(self, X, y, dtype=np.float64, order="C", multi_output=True, y_numeric=True)
        if self._precomputed and X.shape[0] != X.shape[1]:
            raise DataError(f"X has shape {X.shape}; a precomputed kernel for fit must be a square matrix.")
        y = np.asarray(y, dtype=np.float64)
        return check_size(check_finite(X, "X"), "X"), check_size(y, "y"), check_groups(groups, len(X))

    def _test_data(self, X, groups):
        check_is_fitted(self)
        if _of_structures(X):
            self._check_structures(X, groups)
            if X.shape[1] != self.n_features_in_:
                raise DataError(f"X has {X.shape[1]} features, but the model was fitted with {self.n_features_in_}.")
            return X, None
        X = _validate(self, X, None, dtype=np.float64, order="C", reset=False)
        return check_size(check_finite(X, "X"), "X"), check_groups(groups, len(X))

    def _check_structures(self, X, groups):
        """What holds for StructureRows (or several sets of rows) only."""
        if len(X) == 0:
            raise DataError("X holds no structures, expected one at least.")
        if groups is not None:
            raise ConfigError("groups of structures come with the rows: StructureRows(..., groups=...).")
        if not hasattr(self._function(), "vjp") or isinstance(self._function(), Kernel):
            raise ConfigError(
                f"kernel={self.kernel!r} compares rows, and X are structures; use one of structures, such as "
                "mercer.kernels.REMatch(Polynomial(zeta=2))."
            )
        X.check_finite("X")

    def _function(self):
        """The kernel as a callable with ``diag``."""
        return as_kernel(Gaussian() if self.kernel is None else self.kernel, "kernel")

    def _gram(self, X, Y, x_groups, y_groups, out=None):
        """Kernel of rows X with the training rows or sparse points Y."""
        if self._precomputed:
            return X
        self._check_both(x_groups, y_groups)
        if x_groups is None:
            return self._function()(X, None if Y is X else Y, out=out)
        x_codes, y_codes = group_codes(x_groups, y_groups)
        if Y is X:
            return self._function()(X, out=out, x_groups=x_codes)
        return self._function()(X, Y, out=out, x_groups=x_codes, y_groups=y_codes)

    @staticmethod
    def _check_both(x_groups, y_groups):
        if (x_groups is None) != (y_groups is None):
            raise DataError("groups must be given to both fit and predict, or to neither.")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self._precomputed
        tags.target_tags.multi_output = True
        return tags

    def _more_tags(self):  # scikit-learn before 1.6
        return {"pairwise": self._precomputed, "multioutput": True}


class DenseRegressor(KernelRegressor):
    """A model with a weight per training row; `_factorise` says what is added to the kernel matrix."""

    def fit(self, X, y=None, groups=None):
        """Fit the weights.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features), StructureRows or MultiRows
            What the kernel compares: rows, structures, or several sets of them (see `mercer.kernels`).
        y : array_like of shape (n_samples,) or (n_samples, n_targets)
        groups : array_like of shape (n_samples,), optional
            The kernel of rows of different groups (species) is zero. Not for structures, whose rows have groups.

        Returns
        -------
        self

        Raises
        ------
        DataError
            For data that cannot be used; and if the matrix is not positive definite, with the option to raise.
        """
        options = self._checked()
        X, y, groups = self._training_data(X, y, groups)
        K = self._gram(X, X, groups, groups)
        if not getattr(self.kernel, "positive_semidefinite", True):
            self._check_definite(K)
        self.system_ = self._factorise(K, options)
        self.dual_coef_ = self.system_.solve(y)
        self.X_fit_ = None if self._precomputed else X
        self.y_fit_ = y
        self.groups_fit_ = groups
        return self

    def _check_definite(self, K):
        """Warn of a kernel matrix with negative eigenvalues, which not every kernel of structures excludes."""
        if not is_positive_semidefinite(K):
            warnings.warn(
                f"the matrix of {self.kernel!r} is not positive semidefinite: its smallest eigenvalue is about "
                f"{smallest_eigenvalue(K):.2g}, the mean one {np.trace(K) / len(K):.2g}. Error bars and evidence lose "
                "their meaning, and predictions suffer unless the regularisation is much larger than that. Use a "
                "larger gamma, or more alpha or noise.",
                stacklevel=3,
            )

    def _mean(self, X, groups, out):
        out = check_out(out, (len(X), *self.dual_coef_.shape[1:]))
        for rows in row_blocks(len(X), len(self.dual_coef_)):
            K = self._test_gram(X, groups, rows)
            with one_blas_thread:
                np.matmul(K, self.dual_coef_, out=out[rows])
        return out

    def gradient(self, X, groups=None):
        """Derivative of predictions with respect to features: what forces are made of.

        Forces of a model of energies are ``-descriptor.vjp(frames, model.gradient(X))[0]``, where X are the rows (or
        `StructureRows`) of the frames.

        Parameters
        ----------
        X : array_like of shape (n_new, n_features), or StructureRows
        groups : array_like of shape (n_new,), optional
            Required if fit had groups.

        Returns
        -------
        ndarray of shape (n_rows, n_features) or (n_targets, n_rows, n_features)
            Row by row d f(x) / dx; of structures, the derivative of the prediction for the structure of the row. For
            several sets of rows (MultiRows) a list of these.

        Raises
        ------
        ConfigError
            For a kernel without derivative where rows coincide (Laplacian, Matern 1/2), and for precomputed kernels.

        Examples
        --------
        >>> import numpy as np
        >>> from mercer import KRR
        >>> from mercer.kernels import Gaussian
        >>> X = np.linspace(0, 3, 30)[:, None]
        >>> model = KRR(Gaussian(length_scale=0.5), alpha=1e-8).fit(X, np.sin(X[:, 0]))
        >>> bool(abs(model.gradient([[1.05]])[0, 0] - np.cos(1.05)) < 1e-3)
        True
        """
        X, groups = self._test_data(X, groups)
        if self._precomputed:
            raise ConfigError("kernel='precomputed' has no gradient; fit with a kernel.")
        options = {}
        if groups is not None or self.groups_fit_ is not None:
            self._check_both(groups, self.groups_fit_)
            options["x_groups"], options["y_groups"] = group_codes(groups, self.groups_fit_)
        weights = self.dual_coef_.reshape(len(self.dual_coef_), -1).T
        vjp = self._function().vjp
        gradients = [vjp(X, self.X_fit_, np.tile(w, (len(X), 1)), **options) for w in weights]
        if self.dual_coef_.ndim == 1:
            return gradients[0]
        return [np.stack(g) for g in zip(*gradients, strict=True)] if isinstance(X, MultiRows) else np.stack(gradients)

    def _test_gram(self, X, groups, rows):
        return self._gram(X[rows], self.X_fit_, None if groups is None else groups[rows], self.groups_fit_)

    def leave_one_out(self, groups=None):
        """Residuals y - f of models trained without each row, or each group of rows, in closed form.

        Parameters
        ----------
        groups : array_like of shape (n_samples,), optional
            Folds: rows with equal entries are left out together. Default: each row alone.

        Returns
        -------
        ndarray like `y`
        """
        check_is_fitted(self)
        return self.system_.leave_out(self.y_fit_, check_groups(groups, len(self.y_fit_)))


def kernel_or_matrix(value, name):
    """A kernel, or "precomputed"."""
    return value if isinstance(value, str) and value == "precomputed" else as_kernel(value, name)


def jitter(value, name):
    """The word "auto", or a number."""
    if isinstance(value, str):
        return check_choice(value, ["auto"], name)
    return check_positive(value, name, allow_zero=True, largest=1.0)


#: Types of arguments of the constructors.
KernelArgument = Annotated[object, kernel_or_matrix]
JitterArgument = Annotated[object, jitter]


def group_codes(x_groups, y_groups):
    """Integer codes, equal where the groups of two sets of rows are equal."""
    codes = np.unique(np.concatenate([x_groups, y_groups]), return_inverse=True)[1].astype(np.int32)
    return codes[: len(x_groups)], codes[len(x_groups) :]
