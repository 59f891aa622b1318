"""Kernel ridge regression against scikit-learn, closed forms and brute force."""

import numpy as np
import pytest
from mercer import KRR
from mercer.errors import ConfigError, DataError
from mercer.kernels import Gaussian, Laplacian, Linear, Polynomial
from sklearn.kernel_ridge import KernelRidge


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 3))
    return X, np.stack([np.sin(X[:, 0]) * X[:, 1], X[:, 2] ** 2], axis=1), rng.normal(size=(40, 3))


@pytest.mark.parametrize(
    ("kernel", "options"),
    [
        (Gaussian(length_scale=1.5), {"kernel": "rbf", "gamma": 1 / (2 * 1.5**2)}),
        (Laplacian(length_scale=2.0), {"kernel": "laplacian", "gamma": 1 / 2.0}),
        (Polynomial(zeta=2), {"kernel": "poly", "degree": 2, "gamma": 1.0, "coef0": 0.0}),
    ],
)
def test_equals_scikit_learn(data, kernel, options):
    X, y, X_new = data
    expected = KernelRidge(alpha=1e-3, **options).fit(X, y).predict(X_new)
    model = KRR(kernel, alpha=1e-3).fit(X, y)
    assert np.abs(model.predict(X_new) - expected).max() <= 1e-8
    assert np.abs(KRR(kernel, alpha=1e-3).fit(X, y[:, 0]).predict(X_new) - expected[:, 0]).max() <= 1e-8
    precomputed = KRR("precomputed", alpha=1e-3).fit(kernel(X), y)
    assert np.abs(precomputed.predict(kernel(X_new, X)) - expected).max() <= 1e-8


def test_closed_form():
    # ridge regression in one dimension: w = x.y / (x.x + alpha)
    model = KRR(Linear(), alpha=2.0).fit([[1.0], [3.0]], [2.0, 4.0])
    assert model.predict([[2.0]]) == pytest.approx([2 * 14 / 12], rel=1e-13)
    # alpha of each row: a row of huge alpha does not count
    model = KRR(Linear(), alpha=np.array([2.0, 1e30])).fit([[1.0], [3.0]], [2.0, 4.0])
    assert model.predict([[2.0]]) == pytest.approx([2 * 2 / 3], rel=1e-13)


@pytest.mark.parametrize("folds", [None, 7])
def test_leave_one_out(data, folds):
    X, y, _ = data
    groups = np.arange(150) if folds is None else np.arange(150) % folds
    model = KRR(Gaussian(length_scale=1.5), alpha=1e-4).fit(X, y)
    residuals = model.leave_one_out(None if folds is None else groups)
    for label in (0, 3):
        out = groups == label
        rest = KRR(Gaussian(length_scale=1.5), alpha=1e-4).fit(X[~out], y[~out])
        assert np.abs(residuals[out] - (y[out] - rest.predict(X[out]))).max() <= 1e-8


def test_groups(data):
    X, y, X_new = data
    groups, new = np.arange(150) % 2, np.arange(40) % 3
    model = KRR(Gaussian(), alpha=1e-4).fit(X, y[:, 0], groups=groups)
    prediction = model.predict(X_new, groups=new)
    for label in (0, 1):
        alone = KRR(Gaussian(), alpha=1e-4).fit(X[groups == label], y[groups == label, 0])
        assert np.abs(prediction[new == label] - alone.predict(X_new[new == label])).max() <= 1e-9
    assert np.all(prediction[new == 2] == 0)
    with pytest.raises(DataError, match="both fit and predict"):
        model.predict(X_new)


def test_out(data):
    X, y, X_new = data
    model = KRR(Gaussian(), alpha=1e-4).fit(X, y)
    out = np.empty((40, 2))
    assert model.predict(X_new, out=out) is out
    assert np.array_equal(out, model.predict(X_new))
    with pytest.raises(DataError, match=r"expected a float64 array of shape \(40, 2\)"):
        model.predict(X_new, out=np.empty(40))


def test_messages(data):
    X, y, _ = data
    twice = np.concatenate([X, X])
    with pytest.raises(DataError, match=r"Raise alpha.*or remove duplicates"):
        KRR(Linear(), alpha=0.0).fit(-twice, np.concatenate([y, y]))
    with pytest.raises(ConfigError, match=r"alpha=-1\.0: expected a finite number >= 0"):
        KRR(Linear(), alpha=-1.0).fit(X, y)
    with pytest.raises(DataError, match=r"alpha has shape \(3,\)"):
        KRR(Linear(), alpha=np.ones(3)).fit(X, y)
    with pytest.raises(DataError, match=r"y\[0, 1\] is nan"):
        KRR(Linear()).fit(X, np.where(np.arange(300).reshape(150, 2) == 1, np.nan, y))
    with pytest.raises(DataError, match="must be a square matrix"):
        KRR("precomputed").fit(X, y)
    with pytest.raises(ConfigError, match=r"kernel='rbf' is not a kernel; use one of mercer\.kernels"):
        KRR("rbf").fit(X, y)
    with pytest.raises(DataError, match="groups has shape"):
        KRR(Linear()).fit(X, y, groups=[1])
