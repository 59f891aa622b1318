"""Sparse Gaussian process regression: limits, invariances, blocks, bad input."""

import pickle

import numpy as np
import pytest
from mercer import GPR, SparseGPR, threads
from mercer.errors import ConfigError, DataError
from mercer.kernels import KERNELS, Gaussian, Polynomial
from mercer.linalg import SOLVERS
from mercer.models import _base
from mercer.selection import SELECTIONS
from threadpoolctl import threadpool_limits

STABLE = [name for name in SOLVERS if name != "normal"]


@pytest.fixture(scope="module")
def data():
    """Rows of norm 1 and labels with noise 0.05."""
    rng = np.random.default_rng(0)

    def rows(n):
        X = rng.normal(size=(n, 5)) + 2.0
        return X / np.linalg.norm(X, axis=1)[:, None]

    X, X_new = rows(400), rows(50)
    return X, np.sin(6 * X[:, 0]) + 4 * X[:, 1] * X[:, 2] + 0.05 * rng.normal(size=400), X_new


def model(**options):
    return SparseGPR(**{"kernel": Polynomial(zeta=4), "n_sparse": 60, "noise": 0.05, **options})


@pytest.mark.parametrize("kernel", [kind() for kind in KERNELS.values()], ids=list(KERNELS))
@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.filterwarnings("ignore:selection='pivoted_cholesky' stopped:UserWarning")
def test_every_kernel_and_selection_learns(data, kernel, selection):
    X, y, _ = data
    fitted = model(kernel=kernel, selection=selection).fit(X[:300], y[:300])
    assert np.array_equal(fitted.sparse_points_, X[fitted.sparse_indices_])
    assert fitted.score(X[300:], y[300:]) > (0.7 if kernel.name == "linear" else 0.9)


@pytest.mark.filterwarnings("ignore:solver=.normal")
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("delta", [1.0, 4.0])
@pytest.mark.parametrize("noise", [0.05, np.linspace(0.05, 0.5, 150)])
def test_all_points_equal_the_full_process(data, solver, delta, noise):
    X, y, X_new = data
    kernel = Gaussian(length_scale=0.4)
    full = GPR(kernel, noise=noise, delta=delta).fit(X[:150], y[:150])
    sparse = model(kernel=kernel, solver=solver, noise=noise, delta=delta, n_sparse=150).fit(X[:150], y[:150])
    mean, std = full.predict(X_new, return_std=True)
    sparse_mean, sparse_std = sparse.predict(X_new, return_std=True)
    tolerance = 1e-4 if solver == "normal" else 1e-8  # relative to labels of order one
    assert np.abs(sparse_mean - mean).max() <= tolerance
    assert np.abs(sparse_std - std).max() <= tolerance
    assert sparse.log_marginal_likelihood_ == pytest.approx(full.log_marginal_likelihood_, rel=tolerance)


@pytest.mark.parametrize("approx", ["dtc", "fitc"])
def test_delta_scales_the_kernel(data, approx):
    X, y, X_new = data
    # labels, noise and prior in other units: everything follows
    one = model(approx=approx).fit(X, y)
    other = model(approx=approx, noise=50.0, delta=1000.0).fit(X, 1000 * y)
    mean, std = one.predict(X_new, return_std=True)
    other_mean, other_std = other.predict(X_new, return_std=True)
    assert np.abs(other_mean / 1000 - mean).max() <= 1e-9
    assert np.abs(other_std / 1000 - std).max() <= 1e-9
    difference = one.log_marginal_likelihood_ - other.log_marginal_likelihood_
    assert difference == pytest.approx(400 * np.log(1000), rel=1e-9)


def test_fitc_is_the_dtc_of_larger_noise(data):
    X, y, X_new = data
    kernel = Gaussian(length_scale=0.2)
    fitc = model(kernel=kernel, approx="fitc", delta=2.0).fit(X, y)
    Z = fitc.sparse_points_
    K = kernel(X, Z)
    unexplained = 1 - np.einsum("nm,nm->n", K, np.linalg.solve(kernel(Z), K.T).T)
    noise = np.sqrt(0.05**2 + 4.0 * np.maximum(unexplained, 0))
    dtc = model(kernel=kernel, sparse_points=Z, noise=noise, delta=2.0).fit(X, y)
    assert np.abs(fitc.predict(X_new) - dtc.predict(X_new)).max() <= 1e-9
    assert np.abs(fitc.predict(X_new) - model(kernel=kernel, delta=2.0).fit(X, y).predict(X_new)).max() > 1e-3


@pytest.mark.parametrize("solver", STABLE)
def test_duplicated_points(data, solver):
    X, y, X_new = data
    Z = X[:60]
    plain = model(solver=solver, sparse_points=Z).fit(X, y)
    crowded = model(solver=solver, sparse_points=np.concatenate([Z, np.repeat(Z[:1], 100, axis=0)])).fit(X, y)
    assert crowded.rank_ == plain.rank_ and len(crowded.weights_) == 160
    for a, b in zip(plain.predict(X_new, return_std=True), crowded.predict(X_new, return_std=True), strict=True):
        assert np.abs(a - b).max() <= 1e-7
    assert f"{plain.rank_} of 160 sparse points kept" in crowded.report_


@pytest.mark.parametrize("grouped", [False, True])
def test_blocks(data, grouped, monkeypatch):
    X, y, X_new = data
    groups = np.arange(400) % 2 if grouped else None
    new = np.zeros(50, dtype=int) if grouped else None
    given = {"sparse_points": X[:60], "sparse_groups": groups[:60] if grouped else None}
    whole = model(**given).fit(X, y, groups=groups)

    def blocks():
        for start in range(0, 400, 70):
            part = slice(start, start + 70)
            yield (X[part], y[part], groups[part]) if grouped else (X[part], y[part])

    monkeypatch.setattr(_base, "BLOCK_BYTES", 1)
    streamed = model(**given).fit(blocks())
    assert np.abs(streamed.predict(X_new, groups=new) - whole.predict(X_new, groups=new)).max() <= 1e-8
    assert streamed.log_marginal_likelihood_ == pytest.approx(whole.log_marginal_likelihood_, rel=1e-7)
    listed = model(**given).fit(list(blocks()))
    assert np.array_equal(listed.weights_, streamed.weights_)
    assert streamed.n_features_in_ == 5 and streamed.sparse_indices_ is None


def test_groups_are_separate_models(data):
    X, y, X_new = data
    groups = np.array(["Si", "O"])[np.arange(400) % 2]
    fitted = model(selection="fps").fit(X, y, groups=groups)
    assert np.array_equal(np.unique(fitted.sparse_groups_, return_counts=True)[1], [30, 30])
    mean, std = fitted.predict(X_new, return_std=True, groups=np.repeat("O", 50))
    alone = model(selection="fps", n_sparse=30).fit(X[1::2], y[1::2])
    alone_mean, alone_std = alone.predict(X_new, return_std=True)
    assert np.abs(mean - alone_mean).max() <= 1e-7 and np.abs(std - alone_std).max() <= 1e-7
    mean, std = fitted.predict(X_new, return_std=True, groups=np.repeat("H", 50))
    assert np.all(mean == 0) and np.abs(std - 1).max() <= 1e-12
    with pytest.raises(DataError, match="both fit and predict"):
        fitted.predict(X_new)


@pytest.mark.parametrize("solver", STABLE)
def test_number_of_threads(data, solver, monkeypatch):
    monkeypatch.setattr("mercer.linalg._WORTH_THREADS", 0)
    X, y, X_new = data
    predictions = []
    for n in (1, 2):
        with threads(n), threadpool_limits(n):
            predictions.append(model(solver=solver, n_sparse=300, noise=1e-3).fit(X, y).predict(X_new, return_std=True))
    for one, two in zip(*predictions, strict=True):
        assert np.abs(one - two).max() <= 1e-10


def test_pickle_and_out(data):
    X, y, X_new = data
    fitted = model().fit(X, np.stack([y, X[:, 0]], axis=1))
    copy = pickle.loads(pickle.dumps(fitted))
    out = np.empty((50, 2))
    assert copy.predict(X_new, out=out) is out
    assert np.array_equal(out, fitted.predict(X_new))
    assert np.array_equal(copy.predict(X_new, return_std=True)[1], fitted.predict(X_new, return_std=True)[1])


def test_messages(data):
    X, y, X_new = data
    with pytest.raises(ConfigError, match=r"n_sparse=401 is larger than the data .*Set n_sparse to at most 400"):
        model(n_sparse=401).fit(X, y)
    with pytest.raises(ConfigError, match=r"selection='fsp' is unknown.*Did you mean 'fps'"):
        model(selection="fsp").fit(X, y)
    with pytest.raises(ConfigError, match=r"solver='QR' is unknown"):
        model(solver="QR").fit(X, y)
    with pytest.raises(ConfigError, match=r"approx='vfe' is unknown"):
        model(approx="vfe").fit(X, y)
    with pytest.raises(ConfigError, match="fitc"):
        model(approx="fitc", solver="normal").fit(X, y)
    with pytest.raises(ConfigError, match="delta=-1"):
        model(delta=-1).fit(X, y)
    with pytest.raises(ConfigError, match=r"noise has shape \(3,\); expected a number or \(400,\)"):
        model(noise=np.ones(3)).fit(X, y)
    with pytest.raises(ConfigError, match=r"noise=0\.0: expected a finite number > 0"):
        model(noise=0.0).fit(X, y)
    with pytest.raises(ConfigError, match="no kernel='precomputed'"):
        model(kernel="precomputed").fit(X @ X.T, y)
    with pytest.raises(DataError, match="requires y to be passed"):
        model().fit(X)
    with pytest.raises(DataError, match="sparse_points has 2 features, expected 5"):
        model(sparse_points=X[:9, :2]).fit(X, y)
    with pytest.raises(ValueError, match="X has 3 features, but SparseGPR is expecting 5"):
        model().fit(X, y).predict(X_new[:, :3])
    with pytest.raises(DataError, match=r"X\[7, 1\] is nan"):
        model().fit(np.where(np.arange(2000).reshape(400, 5) == 36, np.nan, X), y)


def test_messages_of_blocks(data):
    X, y, _ = data
    with pytest.raises(ConfigError, match="Blocks need sparse_points"):
        model().fit(iter([(X, y)]))
    given = model(sparse_points=X[:60])
    with pytest.raises(DataError, match="iterator was empty"):
        given.fit(iter([]))
    with pytest.raises(DataError, match=r"block 1 is a ndarray; expected a tuple"):
        given.fit(iter([(X, y), X]))
    with pytest.raises(DataError, match=r"X of block 0 has 2 features, expected 5"):
        given.fit(iter([(X[:, :2], y)]))
    with pytest.raises(DataError, match=r"y of block 1\[3\] is nan"):
        given.fit(iter([(X, y), (X, np.where(np.arange(400) == 3, np.nan, y))]))
    with pytest.raises(DataError, match=r"y of block 0 has shape \(3,\); expected \(400,\)"):
        given.fit(iter([(X, y[:3])]))
    with pytest.raises(ConfigError, match="come with the blocks"):
        given.fit(iter([(X, y)]), groups=np.ones(400))
    with pytest.raises(ConfigError, match="noise="):
        model(sparse_points=X[:60], noise=np.ones(400)).fit(iter([(X, y)]))
