"""Choice of sparse points: which rows of a feature matrix represent the others.

Every method returns distinct rows, is reproducible by its seed, and breaks ties towards the lowest index.
"""

import warnings

import numpy as np
from scipy.optimize import brentq
from sklearn.utils import check_random_state

from mercer._validation import check_choice, check_count, check_features, show
from mercer.errors import ConfigError, DataError
from mercer.linalg import one_blas_thread

#: Rows of X per block: 64 MB of temporaries at most.
_BLOCK_BYTES = 64 * 2**20
#: Candidates that are compared exactly between two passes over all rows.
_CANDIDATES = 512
#: Leverage scores: rows that stand for all in X^T X, and random directions that stand for all features.
_PROJECTED, _DIRECTIONS = 2048, 64
#: Matrices of kernels between these rows that exist at once: the kernel, its eigenvectors, and what finding them takes.
_LEVERAGE_MATRICES = 6
#: `leverage`: sparse points per degree of freedom that the ridge leaves.
_PER_FREEDOM = 5.0
#: `pivoted_cholesky` stops when the largest conditional variance, relative to the largest variance, falls below this.
PIVOT_TOL = 1e-10


def _blocks(n_rows, row_bytes, max_bytes=None):
    budget = _BLOCK_BYTES if max_bytes is None else min(_BLOCK_BYTES, max_bytes)
    step = max(1, int(budget // max(1, row_bytes)))
    return [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]


def distinct_rows(X):
    """Indices of the first occurrence of every distinct row, in rising order.

    Examples
    --------
    >>> import numpy as np
    >>> distinct_rows(np.array([[1.0], [2.0], [1.0]]))
    array([0, 1])
    """
    factors = np.random.default_rng(0).integers(1, 2**63, X.shape[1], dtype=np.uint64) * 2 + 1
    hashes = np.empty(len(X), dtype=np.uint64)
    for rows in _blocks(len(X), 3 * X.shape[1] * 8):
        bits = np.ascontiguousarray(X[rows] + 0.0).view(np.uint64)  # + 0.0 turns -0 into 0
        bits ^= bits >> np.uint64(32)
        bits *= factors
        bits ^= bits >> np.uint64(29)
        hashes[rows] = bits.sum(axis=1, dtype=np.uint64)
    first, group = np.unique(hashes, return_index=True, return_inverse=True)[1:]
    keep = np.zeros(len(X), dtype=bool)
    keep[first] = True
    for row in np.flatnonzero(~keep):  # equal hashes of different rows are kept
        keep[row] = not np.array_equal(X[row], X[first[group[row]]])
    return np.flatnonzero(keep)


def split_count(n, sizes):
    """Split `n` among groups in proportion to `sizes`, at least 1 and at most the size each.

    Examples
    --------
    >>> split_count(10, [900, 90, 10])
    [8, 1, 1]
    """
    sizes = np.asarray(sizes)
    quota = n * sizes / sizes.sum()
    share = np.clip(np.floor(quota).astype(int), 1, sizes)
    while share.sum() > n:
        share[np.argmax(np.where(share > 1, share - quota, -np.inf))] -= 1
    while share.sum() < n:
        share[np.argmax(np.where(share < sizes, quota - share, -np.inf))] += 1
    return share.tolist()


def _random(X, n, rng, kernel, max_bytes=None):
    """The first n rows of a seeded permutation."""
    return rng.permutation(len(X))[:n]


def _lazy_greedy(score, n, candidates_of, flush, stop=-np.inf):
    """Repeat: take the row of the largest score, update all scores; for scores that never rise.

    Scores of the best few hundred candidates are kept exact, all others are upper bounds. As long as the best
    candidate beats every bound it is the true maximum, so that the pass over all rows (`flush`) is done for many picks
    at once, as a matrix product. The picks are those of the plain algorithm.
    """
    picks = []
    while len(picks) < n:
        n_candidates = min(_CANDIDATES, len(score))
        best = int(np.argmax(score))
        candidates = np.argpartition(-score, n_candidates - 1)[:n_candidates]
        candidates = np.union1d(candidates, [best])
        bound = np.delete(score, candidates).max() if len(candidates) < len(score) else -np.inf
        batch = candidates_of(candidates, score[candidates])
        fresh = []
        while len(picks) + len(fresh) < n:
            j = int(np.argmax(batch.score))
            value = batch.score[j]
            if value <= stop or value == -np.inf or (fresh and not value > bound):
                break
            batch.pick(j)
            batch.score[j] = -np.inf
            fresh.append(int(candidates[j]))
        if not fresh:
            break
        picks += fresh
        if len(picks) < n:
            flush(fresh, score)
            score[fresh] = -np.inf
    return np.array(picks, dtype=np.int64)


class _Distances:
    """Squared distances to the nearest pick, among candidates."""

    def __init__(self, rows, score):
        self.rows, self.score = rows, score

    def pick(self, j):
        difference = self.rows - self.rows[j]
        np.minimum(self.score, np.einsum("cd,cd->c", difference, difference), out=self.score)


def _fps(X, n, rng, kernel, max_bytes=None):
    """Farthest point sampling in feature space; starts with the row farthest from the mean.

    D. J. Rosenkrantz et al., SIAM J. Comput. 6, 563 (1977).
    """
    # distances do not depend on the origin; differences from the mean lose fewer digits
    centre = X.mean(axis=0)
    norms = np.empty(len(X))
    blocks = _blocks(len(X), X.shape[1] * 8)
    for rows in blocks:
        difference = X[rows] - centre
        norms[rows] = np.einsum("nd,nd->n", difference, difference)
    start = int(np.argmax(norms))
    score = np.full(len(X), np.inf)

    def flush(fresh, score):
        chosen = X[fresh] - centre
        shift = chosen @ centre
        step = _blocks(len(X), len(fresh) * 8)
        for rows in step:
            product = X[rows] @ chosen.T
            product -= shift
            product *= -2.0
            product += norms[fresh]
            nearest = product.min(axis=1)
            nearest += norms[rows]
            np.minimum(score[rows], np.maximum(nearest, 0.0), out=score[rows])

    if n == 1:
        return np.array([start])
    flush([start], score)
    score[start] = -np.inf
    rest = _lazy_greedy(score, n - 1, lambda rows, bound: _Distances(X[rows], bound), flush)
    return np.concatenate([[start], rest])


class _Schur:
    """Conditional variances among candidates."""

    def __init__(self, schur, score):
        self.schur, self.score = schur, score

    def pick(self, j):
        column = self.schur[:, j] / np.sqrt(self.schur[j, j])
        self.schur -= np.outer(column, column)
        self.score -= column**2


def _pivoted_cholesky(X, n, rng, kernel, max_bytes=None):
    """Largest conditional variance k(x, x) - k(x, S) K_SS^-1 k(S, x), until it falls below `PIVOT_TOL`.

    S. Fine and K. Scheinberg, J. Mach. Learn. Res. 2, 243 (2001).
    """
    _need(kernel, "pivoted_cholesky")
    score = np.array(kernel.diag(X), dtype=np.float64)
    stop = PIVOT_TOL * float(score.max())
    factor = np.empty((len(X), n))
    done = 0

    def candidates_of(rows, bound):
        known = factor[rows, :done]
        schur = kernel(X[rows]) - known @ known.T
        return _Schur(schur, bound)

    def flush(fresh, score):
        nonlocal done
        new = slice(done, done + len(fresh))
        known = factor[fresh, :done]
        inner = np.linalg.cholesky(kernel(X[fresh]) - known @ known.T)
        inverse = np.linalg.inv(inner).T
        for rows in _blocks(len(X), len(fresh) * 8, max_bytes):
            block = kernel(X[rows], X[fresh])
            block -= factor[rows, :done] @ known.T
            factor[rows, new] = block @ inverse
            score[rows] -= np.einsum("nf,nf->n", factor[rows, new], factor[rows, new])
        done = new.stop

    picks = _lazy_greedy(score, n, candidates_of, flush, stop=stop)
    if len(picks) < n:
        warnings.warn(
            f"selection='pivoted_cholesky' stopped at {len(picks)} of {n} points: all others depend on them to a "
            f"relative variance of {PIVOT_TOL:.0e}.",
            stacklevel=2,
        )
    return picks


@one_blas_thread
def leverage_scores(X, rank=None, *, random_state=0):
    """Ridge leverage of each row, x_i (X^T X + ridge)^-1 x_i between 0 and 1: how little others stand in for it.

    The ridge is the squared norm of what the best approximation of rank `rank` leaves of X, divided by `rank`, so that
    the scores add up to about 2 `rank` at most. They come from one factorisation and products of X;
    where X has more than 2048 rows and more rows than columns, X^T X is that of a random part of them, and scores are
    estimated by random projection, both of which only matters to within some ten per cent.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
    rank : int, optional
        Default: an eighth of the smaller side of X, at most 256.
    random_state : int
        Seed of the random projections.

    Returns
    -------
    ndarray of shape (n_rows,)

    References
    ----------
    A. Alaoui and M. W. Mahoney, NIPS 28 (2015); M. B. Cohen, C. Musco and C. Musco, SODA (2017), 1758; for the part of
    the rows, M. B. Cohen et al., ITCS (2015), 181, and for the projection D. A. Spielman and N. Srivastava, SIAM J.
    Comput. 40, 1913 (2011).
    """
    rng = np.random.default_rng(random_state)
    n_rows, n_features = X.shape
    rank = max(1, min(256, min(X.shape) // 8) if rank is None else min(rank, *X.shape))
    if n_rows <= n_features:  # exact, in the space of the rows
        gram = X @ X.T
        ridge = _ridge(gram, rank, rng)
        scores = 1.0 - ridge * np.linalg.inv(gram + ridge * np.eye(n_rows)).diagonal()
        return np.clip(scores, 0.0, 1.0)
    part = X
    if n_rows > max(_PROJECTED, n_features):
        part = X[np.sort(rng.choice(n_rows, max(_PROJECTED, n_features), replace=False))]
    gram = part.T @ part
    gram *= n_rows / len(part)
    ridge = _ridge(gram, rank, rng)
    gram[np.diag_indices(n_features)] += ridge
    if n_features <= _DIRECTIONS:
        half = np.linalg.inv(np.linalg.cholesky(gram)).T
    else:  # x G^-1 x = |A G^-1 x|^2 with A = (part, sqrt(ridge) 1), of which random combinations of rows stand for all
        mix = rng.standard_normal((_DIRECTIONS, len(part))) * np.sqrt(n_rows / len(part) / _DIRECTIONS)
        mixed = mix @ part + rng.standard_normal((_DIRECTIONS, n_features)) * np.sqrt(ridge / _DIRECTIONS)
        half = np.linalg.solve(gram, mixed.T)
    scores = np.empty(n_rows)
    for rows in _blocks(n_rows, half.shape[1] * 8):
        image = X[rows] @ half
        scores[rows] = np.einsum("nk,nk->n", image, image)
    return np.minimum(scores, 1.0)


def _ridge(gram, rank, rng):
    """(Trace of `gram` beyond its leading part of that rank) / rank, from a Nystrom sketch; never below rounding.

    A. Gittens and M. W. Mahoney, J. Mach. Learn. Res. 17, 1 (2016).
    """
    trace = float(np.trace(gram))
    sketch = gram @ rng.standard_normal((len(gram), min(rank + 8, len(gram))))
    basis = np.linalg.qr(sketch)[0]
    held = float(np.linalg.eigvalsh(basis.T @ (gram @ basis))[-rank:].sum())
    return max((trace - held) / rank, 1e-10 * trace / rank, np.finfo(float).tiny)


def _cur(X, n, rng, kernel, max_bytes=None):
    """Seeded sampling by leverage scores, without replacement: n rows whatever the rank of the features."""
    rank = min(n, 256, max(1, min(X.shape) // 8))
    return _sample(leverage_scores(X, rank, random_state=rng.randint(2**31 - 1)), n, rng)


@one_blas_thread
def _leverage(X, n, rng, kernel, max_bytes=None):
    """Seeded sampling by ridge leverage of the kernel: the variance of f(x) that is left when the function is known,
    with noise, at a random part P of the rows, k(x, x) - k(x, P) (K_PP + ridge)^-1 k(P, x).

    The ridge leaves n / 5 degrees of freedom, sum w / (w + ridge) over the eigenvalues w of K_PP.
    A. Alaoui and M. W. Mahoney, NIPS 28 (2015); C. Musco and C. Musco, NIPS 30 (2017).
    """
    _need(kernel, "leverage")
    most = _PROJECTED if max_bytes is None else min(_PROJECTED, int(np.sqrt(max_bytes / (8 * _LEVERAGE_MATRICES))))
    part = X[rng.permutation(len(X))[: max(1, most)]]
    values, vectors = np.linalg.eigh(kernel(part))
    values = np.maximum(values, 0.0)
    freedom = min(n / _PER_FREEDOM, 0.5 * len(part))

    def excess(log_ridge):
        return float(np.sum(values / (values + np.exp(log_ridge)))) - freedom

    # below eps^2 rounding already counts as more degrees of freedom, or none are left; fewer are left at the upper end
    top = np.log(max(values[-1], 1e-300))
    bottom, end = top + 2 * np.log(np.finfo(float).eps), top + np.log(len(part) / freedom)
    ridge = np.exp(brentq(excess, bottom, end) if excess(bottom) > 0 else bottom)
    vectors /= np.sqrt(values + ridge)
    scores = np.array(kernel.diag(X), dtype=np.float64)
    for rows in _blocks(len(X), 2 * len(part) * 8, max_bytes):
        image = kernel(X[rows], part) @ vectors
        scores[rows] -= np.einsum("np,np->n", image, image)
    return _sample(scores, n, rng)


def _sample(scores, n, rng):
    """n rows, drawn one after the other without replacement in proportion to their scores.

    The n largest of log(score) + Gumbel noise: P. S. Efraimidis and P. G. Spirakis, Inf. Process. Lett. 97, 181 (2006).
    """
    keys = np.log(np.maximum(scores, 1e-300)) + rng.gumbel(size=len(scores))
    return np.argsort(-keys, kind="stable")[:n]


def _need(kernel, method):
    if kernel is None:
        raise ConfigError(f"selection={method!r} needs the kernel: select(X, n, {method!r}, kernel=...).")


#: Methods by name: function(X, n, rng, kernel, max_bytes) -> indices, for distinct rows X.
SELECTIONS = {
    "random": _random,
    "fps": _fps,
    "cur": _cur,
    "leverage": _leverage,
    "pivoted_cholesky": _pivoted_cholesky,
}


def select(X, n, method="cur", *, groups=None, kernel=None, random_state=0, max_bytes=None):
    """Choose `n` distinct rows of `X` as sparse points.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Features of the environments.
    n : int
        Number of points. With groups it is split in proportion to their numbers of distinct rows, at least one each.
    method : {"random", "fps", "cur", "leverage", "pivoted_cholesky"}, default "cur"
        "random": a seeded permutation. "fps": farthest point sampling in feature space. "cur": sampling in proportion
        to leverage scores of the features. "leverage": to those of the kernel. "pivoted_cholesky": largest
        conditional variance of the kernel; may return fewer than `n` points, with a warning, when the others depend
        on them.
    groups : array_like of shape (n_rows,), optional
        Species of the rows. Each group is treated by itself.
    kernel : callable, optional
        ``kernel(X, Y)`` and ``kernel.diag(X)``; needed by "leverage" and "pivoted_cholesky".
    random_state : int, RandomState or None, default 0
    max_bytes : float, optional
        "leverage" takes its scores from so many rows that their matrices take no more. Default: from 2048 rows.

    Returns
    -------
    ndarray of int64
        Rising; no two of these rows are equal within a group.

    Raises
    ------
    ConfigError
        If the method is unknown, or `n` exceeds the number of distinct rows or is below the number of groups.
    DataError
        If `X` or `groups` has the wrong shape or values that are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> select(np.array([[0.0], [0.1], [5.0], [5.0]]), 2, "fps")
    array([0, 2])
    """
    function = SELECTIONS[check_choice(method, SELECTIONS, "selection")]
    n = check_count(n, "n_sparse")
    X = check_features(X)
    if kernel is not None:
        as_kernel(kernel, "kernel")
    rng = _random_state(random_state)
    if groups is None:
        members = [np.arange(len(X))]
    else:
        groups = check_groups(groups, len(X))
        members = [np.flatnonzero(groups == label) for label in np.unique(groups)]
    members = [rows[distinct_rows(_take(X, rows))] for rows in members]
    n_distinct = sum(map(len, members))
    if n > n_distinct:
        raise ConfigError(
            f"n_sparse={n} is larger than the data (n_samples={len(X)}, {n_distinct} of them distinct). "
            f"Set n_sparse to at most {n_distinct}, or add data."
        )
    if n < len(members):
        raise ConfigError(
            f"n_sparse={n} is smaller than the number of groups (species), {len(members)}. "
            f"Set n_sparse to at least {len(members)}."
        )
    shares = split_count(n, [len(rows) for rows in members])
    chosen = [
        rows[function(_take(X, rows), share, rng, kernel, max_bytes)]
        for rows, share in zip(members, shares, strict=True)
    ]
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def _random_state(value):
    try:
        return check_random_state(value)
    except (TypeError, ValueError):
        raise ConfigError(
            f"random_state={show(value)}: expected an integer from 0 to 2^32 - 1, a RandomState, or None."
        ) from None


def check_groups(groups, n_rows):
    """Groups of rows as an array of shape (n_rows,), or None; DataError otherwise."""
    if groups is None:
        return None
    try:
        found = np.asarray(groups)
    except ValueError:  # lists of different lengths
        found = np.empty((0, 0))
    if found.shape != (n_rows,):
        raise DataError(f"groups has shape {np.shape(found)}; expected ({n_rows},), one per row of X.")
    if found.dtype.kind not in "biufUS":
        raise DataError(f"groups={show(groups)}: expected numbers or names, of one type.")
    return found


def as_kernel(value, name):
    """`value` if it is a kernel, of mercer or with the same calls; ConfigError otherwise."""
    if callable(value) and hasattr(value, "diag") and not isinstance(value, type):
        return value
    raise ConfigError(f"{name}={show(value)} is not a kernel; use one of mercer.kernels, such as Polynomial(zeta=4).")


def _take(X, rows):
    return X if len(rows) == len(X) else X[rows]
