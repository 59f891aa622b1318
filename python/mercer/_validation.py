"""Checks that every public function shares; each message says what came, what was expected, and the way out."""

import difflib
import numbers

import numpy as np

from mercer.errors import ConfigError, DataError


def nearest(value, choices):
    """' Did you mean ...?' with the nearest of `choices`, or '' if none is near."""
    close = difflib.get_close_matches(str(value), [str(choice) for choice in choices], n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def check_choice(value, choices, name):
    """Return `value` if it is one of `choices`.

    Raises
    ------
    ConfigError
        With the nearest choice and the whole list.

    Examples
    --------
    >>> check_choice("cur", ["random", "cur"], "selection")
    'cur'
    """
    choices = list(choices)
    if isinstance(value, str) and value in choices:
        return value
    raise ConfigError(f"{name}={value!r} is unknown; choose one of {', '.join(choices)}.{nearest(value, choices)}")


def check_positive(value, name, *, allow_zero=False):
    """Return `value` as a finite float above zero (or zero, if allowed); ConfigError otherwise.

    Examples
    --------
    >>> check_positive(2, "delta")
    2.0
    """
    number = isinstance(value, numbers.Real | np.ndarray) and np.ndim(value) == 0 and not isinstance(value, bool)
    if number and np.isfinite(value) and (value > 0 or (allow_zero and value == 0)):
        return float(value)
    raise ConfigError(f"{name}={value!r}: expected a finite number {'>= 0' if allow_zero else '> 0'}.")


def check_count(value, name, *, minimum=1):
    """Return `value` as an int of at least `minimum`; ConfigError otherwise.

    Examples
    --------
    >>> check_count(10, "n_sparse")
    10
    """
    if isinstance(value, numbers.Integral) and not isinstance(value, bool) and value >= minimum:
        return int(value)
    raise ConfigError(f"{name}={value!r}: expected an integer >= {minimum}.")


def check_finite(array, name):
    """Raise DataError with the first offending index if `array` holds NaN or infinity; return it otherwise."""
    # the sum of finite numbers is finite (or overflows, then the exact test decides): one pass, no temporary
    with np.errstate(over="ignore", invalid="ignore"):
        total = array.sum()
    if not np.isfinite(total):
        bad = np.argwhere(~np.isfinite(array))
        if len(bad):
            where = ", ".join(str(i) for i in bad[0])
            raise DataError(
                f"{name}[{where}] is {array[tuple(bad[0])]} ({len(bad)} of {array.size} values are NaN or inf). "
                "Remove or repair these rows."
            )
    return array


def check_features(X, name="X", *, n_features=None):
    """Feature rows as a finite, C-ordered float64 array of shape (n_samples, n_features).

    Parameters
    ----------
    X : array_like of shape (n_samples, n_features)
        Copied only if its type or order differs.
    n_features : int, optional
        The number of columns that a fitted model or another argument demands.

    Raises
    ------
    DataError
        If the shape is wrong or a value is not finite.
    """
    X = np.ascontiguousarray(X, dtype=np.float64)
    if X.ndim != 2:
        raise DataError(
            f"{name} has shape {X.shape}; expected 2 dimensions (n_samples, n_features). "
            f"For a single row use {name}.reshape(1, -1)."
        )
    if n_features is not None and X.shape[1] != n_features:
        raise DataError(f"{name} has {X.shape[1]} features, expected {n_features}. Use the descriptor of the fit.")
    return check_finite(X, name)


def check_targets(y, n_rows, name="y"):
    """Labels as a finite float64 array whose first dimension is `n_rows`; DataError otherwise."""
    y = np.asarray(y, dtype=np.float64)
    if y.ndim not in (1, 2) or len(y) != n_rows:
        raise DataError(f"{name} has shape {y.shape}; expected ({n_rows},), a label for every row.")
    return check_finite(y, name)


def check_out(out, shape, name="out", *, dtype=np.float64):
    """Return `out` if it can take a result of `shape`, or a new array if it is None.

    Raises
    ------
    DataError
        If shape, type or order differ, or the array is read-only: a result is never silently copied.
    """
    if out is None:
        return np.empty(shape, dtype=dtype)
    if not isinstance(out, np.ndarray) or out.shape != tuple(shape) or out.dtype != np.dtype(dtype):
        got = f"{out.dtype} array of shape {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise DataError(f"{name} is a {got}; expected a {np.dtype(dtype)} array of shape {tuple(shape)}.")
    if not (out.flags.c_contiguous and out.flags.writeable):
        raise DataError(f"{name} must be C-contiguous and writeable; pass numpy.empty({tuple(shape)}) or leave it out.")
    return out
