"""Shared checks and their messages."""

import numpy as np
import pytest
from mercer._validation import (
    check_choice,
    check_count,
    check_features,
    check_finite,
    check_out,
    check_positive,
    check_targets,
)
from mercer.errors import ConfigError, DataError


def test_choice():
    assert check_choice("qr", {"qr": 1, "normal": 2}, "solver") == "qr"
    for value in ("qrr", "QR", None, 3):
        with pytest.raises(ConfigError, match=rf"solver={value!r} is unknown; choose one of qr, normal"):
            check_choice(value, ["qr", "normal"], "solver")
    with pytest.raises(ConfigError, match=r"Did you mean 'normal'\?"):
        check_choice("norml", ["qr", "normal"], "solver")


@pytest.mark.parametrize("value", [0, -1.0, np.nan, np.inf, "1", None, True, [1.0]])
def test_positive(value):
    assert check_positive(np.float32(2), "delta") == 2.0
    with pytest.raises(ConfigError, match=r"delta=.*: expected a finite number > 0"):
        check_positive(value, "delta")


def test_positive_or_zero():
    assert check_positive(0, "jitter", allow_zero=True) == 0.0
    with pytest.raises(ConfigError, match=r"jitter=-1: expected a finite number >= 0"):
        check_positive(-1, "jitter", allow_zero=True)


@pytest.mark.parametrize("value", [0, -1, 1.0, "1", None, True])
def test_count(value):
    assert check_count(np.int64(3), "n_sparse") == 3
    with pytest.raises(ConfigError, match=r"n_sparse=.*: expected an integer >= 1"):
        check_count(value, "n_sparse")


def test_features():
    X = np.ones((3, 2))
    assert check_features(X) is X
    assert check_features([[1, 2]]).dtype == np.float64
    assert check_features(np.asfortranarray(X)).flags.c_contiguous
    with pytest.raises(DataError, match=r"X has shape \(3,\).*reshape\(1, -1\)"):
        check_features(np.ones(3))
    with pytest.raises(DataError, match="Z has 2 features, expected 5"):
        check_features(X, "Z", n_features=5)
    with pytest.raises(DataError, match=r"X\[1, 0\] is inf .1 of 6 values are NaN or inf."):
        check_features(np.where(np.arange(6).reshape(3, 2) == 2, np.inf, X))


def test_finite():
    # finite numbers whose sum overflows are finite; inf - inf must not hide
    for values in ([1e308, 1e308], []):
        check_finite(np.array(values), "x")
    with pytest.raises(DataError, match=r"x\[0\] is inf"):
        check_finite(np.array([np.inf, -np.inf]), "x")


def test_targets():
    assert check_targets([1, 2], 2).dtype == np.float64
    with pytest.raises(DataError, match=r"y has shape \(2,\); expected \(3,\)"):
        check_targets([1, 2], 3)
    with pytest.raises(DataError, match=r"y\[1\] is nan"):
        check_targets([1, np.nan], 2)


def test_out():
    out = np.empty((2, 3))
    assert check_out(out, (2, 3)) is out
    assert check_out(None, (2, 3)).shape == (2, 3)
    frozen = np.empty((2, 3))
    frozen.flags.writeable = False
    for bad, message in [
        (np.empty((3, 2)), r"float64 array of shape \(3, 2\); expected a float64 array of shape \(2, 3\)"),
        (np.empty((2, 3), dtype=np.float32), "float32 array"),
        ([1.0], "out is a list"),
        (np.empty((2, 3), order="F"), "C-contiguous"),
        (frozen, "writeable"),
    ]:
        with pytest.raises(DataError, match=message):
            check_out(bad, (2, 3))
