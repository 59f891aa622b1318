"""Gaussian process regression against scikit-learn and closed forms."""

import numpy as np
import pytest
from mercer import GPR, KRR
from mercer.errors import ConfigError, DataError
from mercer.kernels import Gaussian, Linear
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 3))
    return X, 5 + np.sin(X[:, 0]) * X[:, 1] + 0.05 * rng.normal(size=120), rng.normal(size=(40, 3))


@pytest.mark.parametrize("noise", [0.05, np.linspace(0.05, 0.5, 120)])
@pytest.mark.parametrize("delta", [1.0, 3.0])
def test_equals_scikit_learn(data, noise, delta):
    X, y, X_new = data
    peer = GaussianProcessRegressor(
        ConstantKernel(delta**2, "fixed") * RBF(1.5, "fixed"), alpha=noise**2, optimizer=None
    ).fit(X, y)
    model = GPR(Gaussian(length_scale=1.5), noise=noise, delta=delta).fit(X, y)
    mean, std = model.predict(X_new, return_std=True)
    peer_mean, peer_cov = peer.predict(X_new, return_cov=True)
    assert np.abs(mean - peer_mean).max() <= 1e-9
    assert np.abs(std**2 - peer_cov.diagonal()).max() <= 1e-9
    assert np.abs(model.predict(X_new, return_cov=True)[1] - peer_cov).max() <= 1e-9
    assert np.array_equal(model.predict(X_new), mean)
    assert model.log_marginal_likelihood_ == pytest.approx(peer.log_marginal_likelihood_value_, rel=1e-10)
    assert model.jitter_ == 0.0


def test_mean_is_that_of_krr(data):
    X, y, X_new = data
    targets = np.stack([y, X[:, 0]], axis=1)
    ridge = KRR(Gaussian(), alpha=(0.1 / 2.0) ** 2).fit(X, targets)
    model = GPR(Gaussian(), noise=0.1, delta=2.0).fit(X, targets)
    assert np.abs(model.predict(X_new) - ridge.predict(X_new)).max() <= 1e-12
    assert np.array_equal(model.leave_one_out(), ridge.leave_one_out())
    separate = [GPR(Gaussian(), noise=0.1, delta=2.0).fit(X, t).log_marginal_likelihood_ for t in targets.T]
    assert model.log_marginal_likelihood_ == pytest.approx(sum(separate), rel=1e-12)


def test_closed_form():
    # k = 1 at distance 0, one label: mean delta^2 y / (delta^2 + noise^2)
    model = GPR(Gaussian(), noise=1.0, delta=2.0).fit([[0.0]], [5.0])
    mean, std = model.predict([[0.0], [1e3]], return_std=True)
    assert mean == pytest.approx([4.0, 0.0], rel=1e-14)
    assert std == pytest.approx([np.sqrt(4 - 16 / 5), 2.0], rel=1e-14)
    assert model.log_marginal_likelihood_ == pytest.approx(-0.5 * (25 / 5 + np.log(5 * 2 * np.pi)), rel=1e-14)


def test_jitter(data):
    X, y, X_new = data
    twice, labels = np.concatenate([X, X]), np.concatenate([y, y])
    model = GPR(Gaussian(length_scale=3.0), noise=0.0).fit(twice, labels)
    assert 0 < model.jitter_ <= 1e-6
    assert np.all(np.isfinite(model.predict(X_new)))
    with pytest.raises(DataError, match="Raise noise"):
        GPR(Gaussian(length_scale=3.0), noise=0.0, jitter=0.0).fit(twice, labels)


def test_groups(data):
    X, y, X_new = data
    groups = np.array(["C", "H"])[np.arange(120) % 2]
    model = GPR(Gaussian(), noise=0.1).fit(X, y, groups=groups)
    mean, std = model.predict(X_new, return_std=True, groups=np.repeat("H", 40))
    alone_mean, alone_std = GPR(Gaussian(), noise=0.1).fit(X[1::2], y[1::2]).predict(X_new, return_std=True)
    assert np.abs(mean - alone_mean).max() <= 1e-10 and np.abs(std - alone_std).max() <= 1e-8
    _, cov = model.predict(X_new[:2], return_cov=True, groups=np.array(["C", "O"]))
    assert abs(cov[0, 1]) <= 1e-14 and cov[1, 1] == 1.0


def test_messages(data):
    X, y, X_new = data
    model = GPR(Linear(), noise=0.1).fit(X, y)
    with pytest.raises(ConfigError, match="ask for one of them"):
        model.predict(X_new, return_std=True, return_cov=True)
    precomputed = GPR("precomputed").fit(Gaussian()(X), y)
    with pytest.raises(ConfigError, match="fit with a kernel"):
        precomputed.predict(Gaussian()(X_new, X), return_std=True)
    with pytest.raises(ConfigError, match="delta=0"):
        GPR(Linear(), delta=0.0).fit(X, y)
    with pytest.raises(DataError, match=r"noise has shape \(2,\)"):
        GPR(Linear(), noise=[0.1, 0.2]).fit(X, y)
