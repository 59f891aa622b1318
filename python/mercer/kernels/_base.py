"""What all kernels share: checked parameters, the call into the core, the table of names."""

import dataclasses
import numbers
from functools import partial
from typing import Annotated, ClassVar

import numpy as np

from mercer._core import core
from mercer._parameters import Parameters
from mercer._threads import threads
from mercer._validation import as_numbers, check_out, check_positive, nearest, show
from mercer.errors import ConfigError, DataError

#: Kernel classes by the name that the C++ table, YAML files and model files use.
KERNELS = {}


def feature_rows(X, name, dtype=np.float64):
    """`X` as a C-ordered matrix of `dtype`, converted only if it is not one already; values are not scanned."""
    X = as_numbers(X, name, dtype)
    if X.ndim != 2:
        raise DataError(
            f"{name} has shape {X.shape}; expected 2 dimensions (n_samples, n_features). "
            f"For a single row use {name}.reshape(1, -1)."
        )
    return X


def group_labels(groups, n_rows, name):
    """`groups` as one 32-bit integer per row, or None."""
    if groups is None:
        return None
    try:
        groups = np.asarray(groups)
    except ValueError:
        raise DataError(f"{name}={show(groups)}: expected ({n_rows},) integers, one per row.") from None
    if groups.shape != (n_rows,) or (groups.size and groups.dtype.kind not in "iu"):
        raise DataError(
            f"{name} is a {groups.dtype} array of shape {groups.shape}; expected ({n_rows},) integers, one per row "
            "(for example the atomic number of the centre)."
        )
    return np.ascontiguousarray(groups, dtype=np.int32)


def pair_operands(X, Y, x_groups, y_groups, dtype=np.float64):
    """Checked X, Y and groups of a kernel block; Y is X itself where it is not given."""
    X = feature_rows(X, "X", dtype)
    x_groups = group_labels(x_groups, len(X), "x_groups")
    if Y is None:
        if y_groups is not None:
            raise ConfigError("y_groups is given without Y; leave it out, the groups of X then hold for both sides.")
        return X, X, x_groups, x_groups
    Y = feature_rows(Y, "Y", dtype)
    y_groups = group_labels(y_groups, len(Y), "y_groups")
    if X.shape[1] != Y.shape[1]:
        raise DataError(
            f"rows of X have {X.shape[1]} features, rows of Y {Y.shape[1]}; both must come from the same descriptor."
        )
    if (x_groups is None) != (y_groups is None):
        missing = "x_groups" if x_groups is None else "y_groups"
        raise ConfigError(f"{missing} is missing; give the groups of both X and Y, or of none.")
    return X, Y, x_groups, y_groups


def check_free(out, *operands):
    """Raise DataError if `out` shares memory with an operand, which would be overwritten while it is read."""
    if any(np.may_share_memory(out, operand) for operand in operands):
        raise DataError("out shares memory with X or Y; pass another array.")


def require_differentiable(kernel, what):
    """Raise ConfigError unless a kernel has a gradient everywhere; `what` is impossible without."""
    if not kernel.differentiable:
        raise ConfigError(
            f"{what}: {kernel} has no derivative where two rows coincide. Take another kernel, for example Gaussian or "
            "Polynomial(zeta=4)."
        )


def _parameter(value, name, **bounds):
    """`value` if it is such a number, whole numbers as they are: powers of these are computed in another way."""
    number = check_positive(value, name, **bounds)
    return int(value) if isinstance(value, numbers.Integral) else number


#: Types of the fields of kernels. Beyond the bounds squares and fourth powers would overflow.
Scale = Annotated[float, partial(_parameter, smallest=1e-20, largest=1e20)]
Exponent = Annotated[float, partial(_parameter, smallest=1e-6, largest=1e4)]
Offset = Annotated[float, partial(_parameter, allow_zero=True, largest=1e20)]


@dataclasses.dataclass(frozen=True)
class Kernel(Parameters):
    """Base of all kernels: k(x, y) of unit amplitude, whose input is never normalised.

    A subclass is a frozen dataclass whose fields are numbers with the names of the C++ parameters, of the types
    `Scale`, `Exponent` or `Offset`, and which gives `name`; it enters :data:`mercer.kernels.KERNELS` by itself.
    """

    name: ClassVar[str]

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        KERNELS[cls.name] = cls

    @property
    def _prefix(self):
        return type(self).__name__

    def __call__(self, X, Y=None, *, out=None, dtype=None, n_threads=None, x_groups=None, y_groups=None):
        """The kernel matrix K[i, j] = k(X_i, Y_j).

        Parameters
        ----------
        X : array_like of shape (n, n_features)
            Feature rows; copied only if they are not C-ordered or not of `dtype`. They are not scanned: NaN comes out
            where NaN goes in.
        Y : array_like of shape (m, n_features), optional
            Default: X. Then half of the matrix is computed, and it is exactly symmetric.
        out : ndarray of shape (n, m), optional
            C-contiguous array of `dtype` that takes the result; by default memory from the buffer pool.
        dtype : {numpy.float64, numpy.float32}, optional
            Default float64. Single precision is enough for predictions and spoils training.
        n_threads : int, optional
            Default: what :func:`mercer.set_num_threads` says. The result does not depend on it.
        x_groups, y_groups : array_like of int, shapes (n,) and (m,), optional
            K[i, j] = 0 where the groups of rows i and j differ (for example species of the centre atom), and no time
            is spent there.

        Returns
        -------
        ndarray of shape (n, m)

        Raises
        ------
        mercer.errors.DataError
            Wrong shapes or an unusable `out`.
        mercer.errors.ConfigError
            Another `dtype`, or groups for one side only.

        Examples
        --------
        >>> import numpy as np
        >>> from mercer.kernels import Polynomial
        >>> Polynomial(zeta=2)(np.eye(2), np.array([[0.6, 0.8]]))
        array([[0.36],
               [0.64]])
        """
        dtype = _dtype(dtype)
        X, Y, x_groups, y_groups = pair_operands(X, Y, x_groups, y_groups, dtype)
        if out is not None:
            check_out(out, (len(X), len(Y)), dtype=dtype)
            check_free(out, X, Y)
        with threads(n_threads), core_errors():
            return core.gram(self.to_core(), X, Y, out, x_groups, y_groups)

    def diag(self, X):
        """k(x, x) of every row: ndarray of shape (n,); what predictive variances start from.

        Examples
        --------
        >>> import numpy as np
        >>> from mercer.kernels import Linear
        >>> Linear().diag(np.array([[3.0, 4.0]]))
        array([25.])
        """
        with core_errors():
            return core.gram_diagonal(self.to_core(), feature_rows(X, "X"))

    def vjp(self, X, Y, dL_dK, *, n_threads=None, x_groups=None, y_groups=None):
        """Reverse pass: the gradient of a number L with respect to the rows of X, from dL/dK.

        Kernels are symmetric: the gradient with respect to Y is ``vjp(Y, X, dL_dK.T)``.

        Parameters
        ----------
        X, Y, x_groups, y_groups
            As for a call. Y None: K is that of X with itself, and the gradient is through both operands.
        dL_dK : array_like of shape (n, m)

        Returns
        -------
        ndarray of shape (n, n_features)
            dL/dX, the same for any number of threads.

        Raises
        ------
        mercer.errors.ConfigError
            For a kernel without derivative at coinciding rows (Laplacian, Matern 1/2).

        Examples
        --------
        >>> from mercer.kernels import Polynomial
        >>> Polynomial(zeta=2).vjp([[1.0, 2.0]], [[3.0, 4.0]], [[1.0]])
        array([[66., 88.]])
        """
        require_differentiable(self, "no gradient")
        both = Y is None
        X, Y, x_groups, y_groups = pair_operands(X, Y, x_groups, y_groups)
        dL_dK = as_numbers(dL_dK, "dL_dK")
        if dL_dK.shape != (len(X), len(Y)):
            raise DataError(f"dL_dK has shape {dL_dK.shape}; expected {(len(X), len(Y))}.")
        if both:
            dL_dK = dL_dK + dL_dK.T
        dX, sums = np.empty(X.shape), np.empty(len(X))
        x, y = ((rows, np.arange(len(rows) + 1), groups, None) for rows, groups in ((X, x_groups), (Y, y_groups)))
        with threads(n_threads), core_errors():
            core.structure_vjp(self.to_core(), core.Matching("sum", {}), x, y, dL_dK, dX, sums)
        return dX

    def derivatives(self, u):
        """k(u), k'(u) and k''(u), where u is what :attr:`argument` says.

        Parameters
        ----------
        u : array_like of shape (n,)

        Returns
        -------
        tuple of three ndarrays of shape (n,)
            Infinite where a derivative is singular (Matérn 1/2 and 3/2 at u = 0).

        Examples
        --------
        >>> from mercer.kernels import Polynomial
        >>> [float(d[0]) for d in Polynomial(zeta=3).derivatives([2.0])]
        [8.0, 12.0, 12.0]
        """
        u = as_numbers(u, "u")
        if u.ndim != 1:
            raise DataError(f"u has shape {u.shape}; expected (n,).")
        with core_errors():
            return self.to_core().derivatives(u)

    def to_core(self):
        """The kernel of the C++ core."""
        return core.Kernel(self.name, self.hyperparameters)

    @property
    def argument(self):
        """What the kernel is a function of: "dot", "squared_distance" or "l1_distance" of two rows."""
        return self.to_core().argument

    @property
    def differentiable(self):
        """Whether k has a gradient with respect to x everywhere, also at x = y: what forces need."""
        return self.to_core().differentiable

    @property
    def hyperparameters(self):
        """Parameters by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def to_dict(self):
        """``{"name": ..., <parameter>: ...}`` of plain numbers; :func:`get_kernel` reads it back.

        Examples
        --------
        >>> from mercer.kernels import Gaussian
        >>> Gaussian(length_scale=0.5).to_dict()
        {'name': 'gaussian', 'length_scale': 0.5, 'offset': 0.0}
        """
        return {"name": self.name, **self.hyperparameters}


def _dtype(dtype):
    if dtype is None:
        return np.dtype(np.float64)
    try:
        found = np.dtype(dtype)
        good = found in (np.float64, np.float32)
    except (TypeError, ValueError):
        good = False
    if not good:
        raise ConfigError(f"dtype={show(dtype)}: kernels are computed in float64 or float32 only.")
    return found


class core_errors:
    """Turns an objection of the core to values (not to shapes, which Python has checked) into a DataError."""

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if kind is ValueError:
            raise DataError(str(error)) from None
        return False


def get_kernel(kernel):
    """A kernel from an instance, a name, or a dict with a name and parameters.

    Parameters
    ----------
    kernel : Kernel, str or dict
        For example ``Polynomial(zeta=4)``, ``"polynomial"`` or ``{"name": "polynomial", "zeta": 4}``; "type"
        means the same as "name".

    Returns
    -------
    Kernel

    Raises
    ------
    mercer.errors.ConfigError
        For an unknown name or parameter (with the nearest known one) or a value outside its range.

    Examples
    --------
    >>> from mercer.kernels import get_kernel
    >>> get_kernel({"name": "matern", "nu": 1.5})
    Matern(nu=1.5, length_scale=1.0)
    """
    if isinstance(kernel, Kernel):
        return kernel
    parameters = {}
    name = kernel
    if isinstance(kernel, dict):
        parameters = dict(kernel)
        names = [parameters.pop(key) for key in ("type", "name") if key in parameters]
        if len(names) > 1 and names[0] != names[1]:
            raise ConfigError(f"kernel: the dict {kernel!r} has a 'type' and another 'name'; give one of them.")
        name = names[0] if names else None
        if name is None:
            raise ConfigError(f"kernel: the dict {kernel!r} has no 'name'; known are {', '.join(KERNELS)}.")
    if not isinstance(name, str):
        raise ConfigError(f"kernel={kernel!r}: expected a kernel, a name or a dict with 'name'.")
    if name not in KERNELS:
        raise ConfigError(f"kernel={name!r} is unknown; known are {', '.join(KERNELS)}.{nearest(name, KERNELS)}")
    known = [field.name for field in dataclasses.fields(KERNELS[name])]
    for key in parameters:
        if key not in known:
            raise ConfigError(
                f"kernel {name!r} has no parameter {key!r}; it has {', '.join(known) or 'none'}.{nearest(key, known)}"
            )
    return KERNELS[name](**parameters)
