"""Sparse points: distinct, reproducible, and those of the plain algorithms."""

import numpy as np
import pytest
from mercer import selection
from mercer.errors import ConfigError, DataError
from mercer.kernels import Gaussian, Linear
from mercer.selection import SELECTIONS, distinct_rows, leverage_scores, select, split_count
from scipy.optimize import brentq

KERNEL = Gaussian(length_scale=1.0)


@pytest.fixture(scope="module")
def rows():
    """Random rows, a lattice with many equal distances, and duplicates."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    X[100:200] = np.round(X[100:200])
    X[250:] = X[:50]
    return X


def plain_fps(X):
    picks = [int(np.argmax(((X - X.mean(axis=0)) ** 2).sum(axis=1)))]
    nearest = np.full(len(X), np.inf)
    while len(picks) < len(X):
        nearest = np.minimum(nearest, ((X - X[picks[-1]]) ** 2).sum(axis=1))
        nearest[picks] = -1.0
        picks.append(int(np.argmax(nearest)))
    return picks


def plain_pivoted_cholesky(X, n):
    K = KERNEL(X)
    picks = []
    for _ in range(n):
        S = np.array(picks, dtype=int)
        known = np.linalg.solve(K[np.ix_(S, S)], K[S]) if picks else np.zeros((0, len(X)))
        variance = K.diagonal() - np.einsum("sn,sn->n", K[S], known)
        variance[picks] = -1.0
        picks.append(int(np.argmax(variance)))
    return picks


@pytest.mark.parametrize("method", SELECTIONS)
@pytest.mark.parametrize("n", [1, 2, 30, 100])
def test_distinct_and_reproducible(rows, method, n):
    chosen = select(rows, n, method, kernel=KERNEL, random_state=3)
    assert chosen.dtype == np.int64 and chosen.shape == (n,)
    assert len(np.unique(rows[chosen], axis=0)) == n
    assert np.all(np.diff(chosen) > 0)
    assert np.array_equal(select(rows, n, method, kernel=KERNEL, random_state=3), chosen)
    assert chosen.max() < 250  # the first of equal rows


@pytest.mark.parametrize("method", [name for name in SELECTIONS if name != "pivoted_cholesky"])
def test_every_distinct_row_can_be_chosen(method):
    # rank 2, and equal distances everywhere: neither may stop a selection or repeat a row
    X = np.array([[float(i), float(j), float(i + j)] for i in range(8) for j in range(8)])
    assert np.array_equal(select(X, 64, method, kernel=Linear()), np.arange(64))
    assert len(set(select(X, 50, method, kernel=Linear()))) == 50


@pytest.mark.parametrize("method", ["random", "cur", "leverage"])
def test_seeds_differ(rows, method):
    picks = [tuple(select(rows, 20, method, kernel=KERNEL, random_state=seed)) for seed in range(5)]
    assert len(set(picks)) == 5


@pytest.mark.parametrize("candidates", [1, 3, 512])
def test_fps_equals_the_plain_algorithm(rows, candidates, monkeypatch):
    monkeypatch.setattr(selection, "_CANDIDATES", candidates)
    monkeypatch.setattr(selection, "_BLOCK_BYTES", 1000)
    distinct = distinct_rows(rows)
    expected = plain_fps(rows[distinct])
    for n in (1, 2, 17, 60, 150):
        assert np.array_equal(select(rows, n, "fps"), distinct[np.sort(expected[:n])])


@pytest.mark.parametrize("candidates", [1, 3, 512])
def test_pivoted_cholesky_equals_the_plain_algorithm(rows, candidates, monkeypatch):
    monkeypatch.setattr(selection, "_CANDIDATES", candidates)
    monkeypatch.setattr(selection, "_BLOCK_BYTES", 1000)
    distinct = distinct_rows(rows)
    expected = distinct[np.sort(plain_pivoted_cholesky(rows[distinct], 40))]
    assert np.array_equal(select(rows, 40, "pivoted_cholesky", kernel=KERNEL), expected)


def test_pivoted_cholesky_stops_at_the_rank(rows):
    with pytest.warns(UserWarning, match="stopped at 4 of 20 points"):
        chosen = select(rows, 20, "pivoted_cholesky", kernel=Linear())
    assert len(chosen) == 4
    assert np.linalg.matrix_rank(rows[chosen]) == 4


@pytest.mark.parametrize("method", ["leverage", "pivoted_cholesky"])
def test_methods_that_need_the_kernel(rows, method):
    with pytest.raises(ConfigError, match=f"'{method}' needs the kernel"):
        select(rows, 20, method)


@pytest.mark.parametrize("shape", [(200, 20), (300, 100), (4000, 100), (100, 300)])
def test_leverage_scores(shape):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(shape[0], 80)) * 2.0 ** (-np.arange(80) / 4) @ rng.normal(size=(80, shape[1]))
    ridge = np.sum(np.linalg.svd(X, compute_uv=False)[5:] ** 2) / 5
    expected = np.einsum("nf,nf->n", X @ np.linalg.inv(X.T @ X + ridge * np.eye(shape[1])), X)
    ratio = leverage_scores(X, 5) / expected
    # exact but for the estimate of the ridge, or else estimated by projection
    spread = 1.0 if shape[0] > shape[1] > 64 else 0.01
    assert np.abs(np.log(ratio)).max() <= spread
    assert abs(np.log(ratio).mean()) <= 0.15 * spread


def test_cur_prefers_rows_of_large_leverage():
    rng = np.random.default_rng(2)
    X = np.concatenate([rng.normal(size=(900, 1)) * [[1.0, 0.0, 0.0]], 3 * rng.normal(size=(100, 3)) * [0.0, 1.0, 1.0]])
    scores = leverage_scores(X)
    counts = np.zeros(1000)
    for seed in range(200):
        counts[select(X, 50, "cur", random_state=seed)] += 1
    # sampling without replacement in proportion to the scores, while they are small
    strong = scores > np.quantile(scores, 0.9)
    assert counts[strong].mean() > 5 * counts[~strong].mean()
    small = (scores > 0) & (scores < 0.2 / 50 * scores.sum())
    slope = (counts[small] @ scores[small]) / (scores[small] @ scores[small])
    assert np.corrcoef(counts[small], slope * scores[small])[0, 1] > 0.9


@pytest.mark.parametrize(("n_rows", "n"), [(2, 1), (50, 1), (50, 2), (50, 49)])
@pytest.mark.parametrize("length_scale", [1e-3, 1.0, 1e3])
def test_leverage_of_few_points(n_rows, n, length_scale):
    X = np.random.default_rng(0).normal(size=(n_rows, 3))
    assert len(set(select(X, n, "leverage", kernel=Gaussian(length_scale=length_scale)))) == n


def test_leverage_draws_by_ridge_leverage_of_the_kernel():
    X = np.random.default_rng(5).exponential(size=(250, 2)) ** 2  # crowded near the origin
    K = KERNEL(X)
    values = np.linalg.eigvalsh(K)
    ridge = brentq(lambda r: np.sum(values / (values + r)) - 20 / 5, 1e-8, 1e3)
    scores = np.diag(K @ np.linalg.inv(K + ridge * np.eye(len(K))))
    counts = np.zeros(len(X))
    for seed in range(300):
        counts[select(X, 20, "leverage", kernel=KERNEL, random_state=seed)] += 1
    assert np.corrcoef(counts, scores)[0, 1] > 0.7  # the counts scatter by chance
    assert counts[scores > 0.02].mean() > 1.5 * counts[scores < 0.01].mean()


@pytest.mark.parametrize("method", SELECTIONS)
def test_groups(rows, method):
    groups = np.where(np.arange(300) % 10 == 0, 14, 6)
    chosen = select(rows, 40, method, groups=groups, kernel=KERNEL)
    counts = [int(np.sum(groups[chosen] == label)) for label in (6, 14)]
    sizes = [len(distinct_rows(rows[groups == label])) for label in (6, 14)]
    assert counts == split_count(40, sizes)
    # a group is treated as if it were alone: what is chosen in it does not depend on the others
    if method not in ("random", "cur", "leverage"):
        alone = select(rows[groups == 6], counts[0], method, kernel=KERNEL)
        assert np.array_equal(chosen[groups[chosen] == 6], np.flatnonzero(groups == 6)[alone])
    # equal rows of different groups are different environments
    twice = np.concatenate([rows[:10], rows[:10]])
    assert len(select(twice, 20, method, groups=np.repeat([1, 8], 10), kernel=KERNEL)) == 20


@pytest.mark.parametrize("n", range(3, 31))
def test_split_count(n):
    for sizes in ([1, 1, 28], [10, 10, 10], [5, 20, 5], [28, 1, 1]):
        shares = split_count(n, sizes)
        assert sum(shares) == n
        assert all(1 <= share <= size for share, size in zip(shares, sizes, strict=True))
    assert split_count(10, [900, 90, 10]) == [8, 1, 1]


def test_distinct_rows(rows, monkeypatch):
    expected = np.sort(np.unique(rows, axis=0, return_index=True)[1])
    assert np.array_equal(distinct_rows(rows), expected)
    monkeypatch.setattr(selection, "_BLOCK_BYTES", 100)
    assert np.array_equal(distinct_rows(rows), expected)
    assert np.array_equal(distinct_rows(np.array([[0.0, 1.0], [-0.0, 1.0], [1.0, 0.0]])), [0, 2])
    small = np.arange(4096.0).reshape(-1, 2)
    assert len(distinct_rows(small)) == 2048


def test_messages(rows):
    with pytest.raises(ConfigError, match=r"n_sparse=400 is larger than the data .n_samples=300.*at most \d+"):
        select(rows, 400)
    with pytest.raises(ConfigError, match=r"n_sparse=1 is smaller than the number of groups .species., 2"):
        select(rows, 1, groups=np.arange(300) % 2)
    with pytest.raises(ConfigError, match=r"selection='cu' is unknown.*Did you mean 'cur'"):
        select(rows, 10, "cu")
    with pytest.raises(ConfigError, match="n_sparse=0"):
        select(rows, 0)
    with pytest.raises(DataError, match=r"X\[5, 2\] is nan"):
        select(np.where(np.arange(1200).reshape(300, 4) == 22, np.nan, rows), 10)
    with pytest.raises(DataError, match="groups has shape"):
        select(rows, 10, groups=[1, 2])
