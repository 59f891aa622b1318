"""Checks that every public function shares; each message says what came, what was expected, and the way out."""

import difflib
import math
import numbers
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from mercer.errors import ConfigError, DataError

#: Squares of rows and labels must stay finite, with room for sums over them.
LARGEST = 1e120


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
    raise ConfigError(f"{name}={show(value)} is unknown; choose one of {', '.join(choices)}.{nearest(value, choices)}")


def show(value):
    """`repr(value)` for a message: one line of at most 200 characters."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 200 else f"{text[:150]} ... ({len(text)} characters)"


def _real(value):
    """`value` as a float, or NaN where it is no real number (text, truth values, complex numbers, integers beyond 64
    bits)."""
    if isinstance(value, bool | np.bool_):
        return math.nan
    if isinstance(value, np.ndarray):
        return float(value) if value.ndim == 0 and value.dtype.kind in "iuf" else math.nan
    if not isinstance(value, numbers.Real) or (isinstance(value, int) and not -(2**63) <= value < 2**63):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def check_number(value, name, *, smallest=-math.inf, largest=math.inf):
    """Return `value` as a finite float between `smallest` and `largest`; ConfigError otherwise.

    Examples
    --------
    >>> check_number(-2, "weight")
    -2.0
    """
    number = _real(value)
    if math.isfinite(number) and smallest <= number <= largest:
        return number
    bounded = math.isfinite(smallest) or math.isfinite(largest)
    expected = "a finite number" + (f" from {smallest:g} to {largest:g}" if bounded else "")
    raise ConfigError(f"{name}={show(value)}: expected {expected}.")


def check_positive(value, name, *, allow_zero=False, smallest=0.0, largest=math.inf):
    """Return `value` as a finite float above zero (or zero, if allowed), and between `smallest` and `largest` where
    these are given; ConfigError otherwise.

    Examples
    --------
    >>> check_positive(2, "delta")
    2.0
    """
    number = _real(value)
    if math.isfinite(number) and ((number > 0 and smallest <= number <= largest) or (allow_zero and number == 0)):
        return number
    expected = f"a finite number {'>= 0' if allow_zero else '> 0'}"
    if number > 0 and math.isfinite(number):
        expected += f", {smallest:g} to {largest:g}"
    raise ConfigError(f"{name}={show(value)}: expected {expected}.")


def check_length(value, name):
    """Return `value` as a float if it can be a length in Angstrom: beyond these bounds it has another unit."""
    return check_positive(value, name, smallest=1e-6, largest=1e6)


def check_amplitude(value, name):
    """Return `value`, a standard deviation of labels or functions, as a float above zero whose squares stay finite."""
    return check_positive(value, name, smallest=1 / LARGEST, largest=LARGEST)


def check_count(value, name, *, minimum=1, maximum=2**31 - 1):
    """Return `value` as an int from `minimum` to `maximum`; ConfigError otherwise.

    Examples
    --------
    >>> check_count(10, "n_sparse")
    10
    """
    if isinstance(value, numbers.Integral) and not isinstance(value, bool) and minimum <= value <= maximum:
        return int(value)
    upper = f" and <= {maximum}" if isinstance(value, numbers.Integral) and value > maximum else ""
    raise ConfigError(f"{name}={show(value)}: expected an integer >= {minimum}{upper}.")


def check_flag(value, name):
    """Return `value` as a bool if it is one; ConfigError otherwise, for "false" and "no" would count as true.

    Examples
    --------
    >>> check_flag(True, "normalize")
    True
    """
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise ConfigError(f"{name}={show(value)}: expected True or False.")


def check_mapping(value, name, expected="a mapping"):
    """Return `value` if it is a mapping; ConfigError otherwise."""
    if isinstance(value, Mapping):
        return value
    raise ConfigError(f"{name}={show(value)}: expected {expected}.")


def check_items(value, name, expected="a list", *, single=False):
    """The entries of a list, tuple, array or other iterable as a list, where `single` also of one number alone;
    ConfigError for anything else, and for text."""
    if single and (isinstance(value, numbers.Number) or (isinstance(value, np.ndarray) and value.ndim == 0)):
        return [value]
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        try:
            return list(value)
        except TypeError:  # an array without dimensions
            pass
    raise ConfigError(f"{name}={show(value)}: expected {expected}.")


def check_path(value, name="path"):
    """Return `value` as a Path; ConfigError where it cannot be one."""
    if isinstance(value, str | os.PathLike) and "\0" not in os.fspath(value) and os.fspath(value):
        return Path(value)
    raise ConfigError(f"{name}={show(value)}: expected the name of a file.")


def check_callable(value, name):
    """Return `value` if it can be called; ConfigError otherwise."""
    if callable(value) and not isinstance(value, type):
        return value
    raise ConfigError(f"{name}={show(value)}: expected a function.")


def as_numbers(array, name, dtype=np.float64):
    """`array` as a C-ordered array of real numbers; it is copied only if type or order differ, and not scanned.

    Raises
    ------
    DataError
        For complex numbers, text, and everything that is not an array of numbers.

    Examples
    --------
    >>> as_numbers([[1, 2]], "X")
    array([[1., 2.]])
    """
    if type(array) is np.ndarray and array.dtype == dtype:
        return np.asarray(array, order="C")
    try:
        found = np.asarray(array)
        if found.dtype.kind in "biufO":
            return np.asarray(found, dtype=dtype, order="C")
        got = show(array)
    except (TypeError, ValueError, OverflowError):
        got = show(array)
    raise DataError(f"{name}: expected an array of real numbers, got {got}.")


def check_cutoff(value, name="cutoff"):
    """Return `value` as a distance in Angstrom, zero and infinity among them."""
    return value if isinstance(value, float) and value == math.inf else check_positive(value, name, allow_zero=True)


def positive_rows(value, name, *, allow_zero=False):
    """`value` as a float, or as an array (n_rows,) of numbers that are all positive; ConfigError otherwise."""
    if np.ndim(value) == 0 if isinstance(value, np.ndarray) else not isinstance(value, list | tuple):
        return check_positive(value, name, allow_zero=allow_zero, smallest=1 / LARGEST, largest=LARGEST)
    try:
        array = as_numbers(value, name)
    except DataError as error:
        raise ConfigError(str(error)) from None
    good = (array >= 1 / LARGEST) & (array <= LARGEST) | (allow_zero & (array == 0))
    if array.ndim != 1 or not good.all():
        least = ">= 0" if allow_zero else "> 0"
        raise ConfigError(f"{name}={show(value)}: expected a number or one for each row, all finite and {least}.")
    return array


def check_size(array, name):
    """Raise DataError with the first offending index if a number exceeds `LARGEST`; return the array otherwise."""
    if array.size and max(array.max(), -array.min()) > LARGEST:
        index = tuple(np.argwhere(np.abs(array) > LARGEST)[0])
        where = ", ".join(str(i) for i in index)
        raise DataError(f"{name}[{where}] is {array[index]:g}; expected numbers below {LARGEST:g}. Check the units.")
    return array


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
    X = as_numbers(X, name)
    if X.ndim != 2:
        raise DataError(
            f"{name} has shape {X.shape}; expected 2 dimensions (n_samples, n_features). "
            f"For a single row use {name}.reshape(1, -1)."
        )
    if n_features is not None and X.shape[1] != n_features:
        raise DataError(f"{name} has {X.shape[1]} features, expected {n_features}. Use the descriptor of the fit.")
    return check_size(check_finite(X, name), name)


def check_targets(y, n_rows, name="y"):
    """Labels as a finite float64 array whose first dimension is `n_rows`; DataError otherwise."""
    y = as_numbers(y, name)
    if y.ndim not in (1, 2) or len(y) != n_rows:
        raise DataError(f"{name} has shape {y.shape}; expected ({n_rows},), a label for every row.")
    return check_size(check_finite(y, name), name)


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
