"""Solvers: sparse Gaussian processes that stream over blocks of rows, and dense Gaussian processes.

This is the only user of scipy.linalg. It knows matrices and labels, not atoms or kernels.

Sparse model: f(x) = sum_m c_m k(x, x_m) with M sparse points; L labels y = K_LM c + noise of variances Lambda:

    c = argmin |K_LM c - y|^2_{1/Lambda} + c^T K_MM c.

The solvers work with the rows of Phi = K_LM L^-T, where K_MM = L L^T is a pivoted Cholesky factorisation that leaves
out sparse points which depend on the others (duplicates). In these whitened coordinates the prior is the unit matrix:

    v = argmin |Phi v - y|^2_{1/Lambda} + |v|^2,    c = L^-T v.

References: L. Foster et al., J. Mach. Learn. Res. 10, 857 (2009) (stability of the variants); C. E. Rasmussen and
C. K. I. Williams, Gaussian Processes for Machine Learning (MIT Press, 2006), sections 2.2, 5.4.2, 8.3; J. Demmel et
al., SIAM J. Sci. Comput. 34, A206 (2012) (QR of stacked blocks).

Rounding depends on how BLAS splits its work, and ill-conditioned systems amplify it a million times. The solvers
therefore run BLAS on one thread and split the work themselves, into fixed pieces: the result is the same to the bit for
any number of threads.
"""

import contextlib
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy.linalg import blas, lapack
from threadpoolctl import ThreadpoolController

from mercer._threads import num_threads
from mercer._validation import LARGEST, as_numbers, check_choice, check_finite, check_positive, check_targets
from mercer.errors import ConfigError, DataError

#: Rows of K_LM that are whitened at a time: enough for BLAS-3 speed, small beside the M x M state.
_CHUNK = 1024
#: Fixed pieces of the work of one chunk: rows to whiten, columns of the accumulator.
_PIECE_ROWS, _PIECE_COLUMNS = 128, 256
#: Columns that a dense factorisation eliminates at a time.
_CHOLESKY_BLOCK = 256
#: Condition number above which normal equations are warned of: errors of energies grew to meV per atom at 1e11.
_NORMAL_CONDITION = 1e10
#: Multiplications below which threads cost more than they bring.
_WORTH_THREADS = 10**8
_LOG_2PI = float(np.log(2.0 * np.pi))
#: Smallest relative pivot that is taken for more than the rounding of kernel values: (x.y)^4 of two computations of one
#: dot product of thousands of terms differs by up to 1e-13.
PIVOT_FLOOR = 2e-13
#: Jitters tried by "auto", relative to the mean diagonal.
JITTER_LADDER = (0.0, *(10.0**e for e in range(-12, -5)))


class _OneBlasThread(contextlib.ContextDecorator):
    """Run BLAS on one thread; may be nested and entered from several threads at once."""

    def __init__(self):
        self._controller = ThreadpoolController()
        self._lock = threading.Lock()
        self._depth = 0

    def __enter__(self):
        with self._lock:
            if self._depth == 0:
                self._limit = self._controller.limit(limits=1, user_api="blas")
            self._depth += 1

    def __exit__(self, *_):
        with self._lock:
            self._depth -= 1
            if self._depth == 0:
                self._limit.restore_original_limits()


one_blas_thread = _OneBlasThread()


def _for_pieces(function, n, piece, work):
    """Call ``function(slice)`` for fixed pieces of range(n), on threads if the `work` (multiplications) is worth it."""
    pieces = [slice(start, min(start + piece, n)) for start in range(0, n, piece)]
    n_threads = min(num_threads(), len(pieces)) if work > _WORTH_THREADS else 1
    if n_threads <= 1:
        for part in pieces:
            function(part)
        return
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(function, pieces))


def _fortran(shape):
    return np.zeros(shape, order="F")


def _triangular_solve(factor, rhs, *, lower, transpose=False):
    """factor^-1 rhs (or factor^-T rhs) in place; both arrays Fortran-ordered."""
    if factor.shape[0] == 0 or rhs.size == 0:
        return rhs
    return blas.dtrsm(1.0, factor, rhs, lower=lower, trans_a=transpose, overwrite_b=1)


def _cholesky(matrix):
    """Lower factor of a Fortran-ordered symmetric matrix, in place; None if it is not positive definite."""
    factor, info = lapack.dpotrf(matrix, lower=1, clean=1, overwrite_a=1)
    return factor if info == 0 else None


@one_blas_thread
def _blocked_cholesky(matrix):
    """`_cholesky` of a large matrix in fixed pieces on threads: the same to the bit for any number of them."""
    n = len(matrix)
    for start in range(0, n, _CHOLESKY_BLOCK):
        end = min(start + _CHOLESKY_BLOCK, n)
        diagonal = _cholesky(np.array(matrix[start:end, start:end], order="F"))
        if diagonal is None:
            return None
        matrix[start:end, start:end] = diagonal
        panel = matrix[end:, start:end]
        work = len(panel) * (end - start) ** 2

        def solve(rows, panel=panel, diagonal=diagonal):
            panel[rows] = blas.dtrsm(1.0, diagonal, panel[rows], side=1, lower=1, trans_a=1)

        def subtract(columns, panel=panel, end=end):
            rest = slice(columns.start, None)
            matrix[end + columns.start :, end + columns.start : end + columns.stop] -= panel[rest] @ panel[columns].T

        _for_pieces(solve, len(panel), _PIECE_COLUMNS, work)
        _for_pieces(subtract, len(panel), _PIECE_COLUMNS, work * len(panel) // (end - start))
        matrix[start:end, end:] = 0.0
    return matrix


def is_positive_semidefinite(K, shift=1e-10):
    """Whether no eigenvalue is below -`shift` times the mean one, by a factorisation."""
    matrix = np.array(K, order="F", dtype=np.float64)
    matrix[np.diag_indices_from(matrix)] += shift * max(float(np.trace(matrix)) / len(matrix), np.finfo(float).tiny)
    return _blocked_cholesky(matrix) is not None


def smallest_eigenvalue(K):
    """Smallest eigenvalue of a symmetric matrix with positive trace; of a large one that is not positive semidefinite
    to a factor of 1.5, by bisection. (Lanczos does not converge where many eigenvalues are near it.)
    """
    if len(K) < 50:
        return float(np.linalg.eigvalsh(K)[0])
    mean = float(np.trace(K)) / len(K)
    low, high = np.log(1e-10), np.log(np.linalg.norm(K) / mean)
    while high - low > np.log(1.5):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if is_positive_semidefinite(K, np.exp(middle)) else (middle, high)
    return float(-mean * np.exp(0.5 * (low + high)))


def _triangle_condition(factor, *, lower):
    """Estimate of the 1-norm condition number of a triangular matrix (LAPACK xTRCON)."""
    if factor.shape[0] == 0:
        return 1.0
    rcond, _ = lapack.dtrcon(factor, norm="1", uplo="L" if lower else "U")
    return 1.0 / rcond if rcond > 0 else np.inf


def _symmetric(K, name):
    K = as_numbers(K, name)
    if K.ndim != 2 or K.shape[0] != K.shape[1] or len(K) == 0:
        raise DataError(f"{name} has shape {K.shape}; expected a square matrix with at least one row.")
    return check_finite(K, name)


def _labels(y, n_rows):
    y = check_targets(y, n_rows)
    return y if y.ndim == 2 else y[:, None]


def _sigmas(sigma, n_rows):
    sigma = as_numbers(sigma, "sigma")
    if sigma.shape not in ((), (n_rows,)):
        raise DataError(f"sigma has shape {sigma.shape}; expected a number or one per row ({n_rows},).")
    if not (np.all(sigma >= 1 / LARGEST) and np.all(sigma <= LARGEST)):
        raise ConfigError(
            "sigma (noise) must be finite and > 0 in every row: it is a standard deviation in label units."
        )
    return np.broadcast_to(sigma, (n_rows,))


@dataclass(frozen=True)
class WhiteningFactor:
    """K_MM ~ L L^T on the sparse points that are kept.

    Attributes
    ----------
    points : ndarray of shape (rank,), int64
        Kept sparse points in the order of the pivots.
    lower : ndarray of shape (rank, rank), Fortran order
        L, of K_MM[points][:, points].
    n_points : int
        M, kept or not.
    jitter : float
        Added to the diagonal, relative to each diagonal element.
    rank_tol : float
        Smallest pivot, relative to the diagonal, that was kept; the largest of them, where points differ in it.
    """

    points: np.ndarray
    lower: np.ndarray
    n_points: int
    jitter: float
    rank_tol: float

    @property
    def rank(self):
        return len(self.points)

    @property
    def dropped(self):
        """Sparse points left out, in rising order; their weights are zero."""
        return np.setdiff1d(np.arange(self.n_points), self.points)

    def whiten(self, K_XM):
        """Phi = K_XM L^-T: shape (n_rows, rank), a fresh C-ordered array."""
        return _solve_rows(K_XM, self.points, self.lower, lower=1)


def _solve_rows(K_XM, points, triangle, *, lower, transpose=False):
    """Solve triangle x = k (or triangle^T x = k) for every row k of ``K_XM[:, points]``."""
    solved = np.empty((len(K_XM), len(points)))

    def piece(rows):
        np.take(K_XM[rows], points, axis=1, out=solved[rows], mode="clip")
        _triangular_solve(triangle, solved[rows].T, lower=lower, transpose=transpose)

    with one_blas_thread:
        _for_pieces(piece, len(K_XM), _PIECE_ROWS, solved.size * len(points))
    return solved


@one_blas_thread
def whitening_factor(K_MM, *, jitter="auto", rank_tol=None, pivot_floor=PIVOT_FLOOR):
    """Pivoted Cholesky factorisation of K_MM, scaled to a unit diagonal, that stops at its numerical rank.

    A sparse point is left out when its variance given the points before it, relative to its own variance, is below
    `rank_tol`: what it could add is rounding noise of the kernel. Duplicates are the extreme case.

    Parameters
    ----------
    K_MM : ndarray of shape (M, M)
    jitter : "auto" or float, default "auto"
        "auto" adds nothing: leaving out dependent points makes the factor regular and costs less accuracy than any
        jitter. A number is added to the diagonal, relative to each diagonal element.
    rank_tol : float, optional
        Default: the larger of M times the machine precision and `pivot_floor`, raised to ten times the rounding noise
        that shows as negative remainders on the diagonal.
    pivot_floor : float or ndarray of shape (M,), default 2e-13
        Smallest tolerance of the default. Higher for points whose weights would else be so large that predictions carry
        their rounding errors.

    Returns
    -------
    WhiteningFactor

    Raises
    ------
    DataError
        If the matrix is not square, not finite, or has no positive diagonal element.

    References
    ----------
    N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed. (SIAM, 2002), section 10.3.
    """
    K = _symmetric(K_MM, "K_MM")
    jitter = 0.0 if isinstance(jitter, str) and check_choice(jitter, ["auto"], "jitter") else jitter
    jitter = check_positive(jitter, "jitter", allow_zero=True, largest=1.0)
    diagonal = K.diagonal()
    used = np.flatnonzero(diagonal > 0)
    if len(used) == 0:
        raise DataError("K_MM has no positive diagonal element: all sparse points have zero features. Check the data.")
    scale = np.sqrt(diagonal[used])
    adaptive = rank_tol is None
    if adaptive:
        tolerance = np.maximum(np.broadcast_to(pivot_floor, (len(K),))[used], len(K) * np.finfo(float).eps)
    else:
        tolerance = np.full(len(used), check_positive(rank_tol, "rank_tol", allow_zero=True, largest=1.0))
    while True:
        # points of a higher tolerance are scaled down, so that one threshold serves all
        threshold = float(tolerance.min())
        share = np.divide(threshold, tolerance, out=np.ones(len(used)), where=tolerance > 0)
        scaled = np.asfortranarray(K[np.ix_(used, used)]) if len(used) < len(K) else K.T.copy(order="F")
        divisor = scale / np.sqrt(share)
        scaled /= divisor
        scaled /= divisor[:, None]
        np.fill_diagonal(scaled, (1.0 + jitter) * share)
        factor, pivots, rank, _ = lapack.dpstrf(scaled, tol=threshold, lower=1, overwrite_a=1)
        left = share[pivots[rank:] - 1]
        remainder = 1.0 + jitter - np.einsum("mr,mr->m", factor[rank:, :rank], factor[rank:, :rank]) / left
        noise = -10.0 * float(remainder.min(initial=0.0))
        if not adaptive or noise <= threshold or threshold >= 1e-6:
            break
        tolerance = np.maximum(tolerance, min(noise, 1e-6))
    pivots = pivots[:rank] - 1
    lower = np.asfortranarray(np.tril(factor[:rank, :rank]))
    lower *= divisor[pivots][:, None]
    return WhiteningFactor(used[pivots].astype(np.int64), lower, len(K), jitter, float(tolerance.max()))


# --- accumulators: what a solver keeps of the rows that have passed --------------------------------------------------


class _Whitened:
    """A = sum Phi^T Lambda^-1 Phi and b = sum Phi^T Lambda^-1 y (rank-k updates)."""

    names = ("gram", "rhs")
    whitens = True

    def __init__(self, rank, n_targets):
        self.gram = _fortran((rank, rank))
        self.rhs = _fortran((rank, n_targets))

    def update(self, phi, y):
        """phi: (rows, rank), y: (rows, targets); both already divided by sigma. Fills the lower triangle."""

        def piece(columns):
            self.gram[columns.start :, columns] += phi[:, columns.start :].T @ phi[:, columns]

        _for_pieces(piece, phi.shape[1], _PIECE_COLUMNS, phi.size * phi.shape[1])
        self.rhs += phi.T @ y

    def merge(self, other):
        self.gram += other.gram
        self.rhs += other.rhs

    def solve(self, whitening):
        """v, lower factor of A + 1, and |L_A^-1 b|^2 per target."""
        regularised = self.gram.copy(order="F")
        regularised[np.diag_indices_from(regularised)] += 1.0
        factor = _cholesky(regularised)
        if factor is None:
            raise DataError(
                "the whitened system is not positive definite: the rows of K_LM exceed what float64 can hold beside "
                "the prior. Use solver='qr', or a larger sigma (noise)."
            )
        half = _triangular_solve(factor, self.rhs.copy(order="F"), lower=1)
        explained = np.einsum("mt,mt->t", half, half)
        return _triangular_solve(factor, half, lower=1, transpose=True), factor, explained


class _QR:
    """Triangular factor of the stacked rows Lambda^-1/2 [Phi, y], one block at a time (TSQR)."""

    names = ("triangle",)
    whitens = True

    def __init__(self, rank, n_targets):
        self.rank = rank
        self.triangle = _fortran((rank + n_targets, rank + n_targets))

    def _stack(self, triangle, rows):
        n = len(triangle)
        return lapack.dtpqrt(0, min(32, n), triangle, rows, overwrite_a=1, overwrite_b=1)[0]

    def update(self, phi, y):
        rows = np.empty((len(phi), len(self.triangle)), order="F")
        rows[:, : self.rank] = phi
        rows[:, self.rank :] = y
        self.triangle = self._stack(self.triangle, rows)

    def merge(self, other):
        self.triangle = self._stack(self.triangle, np.asfortranarray(np.triu(other.triangle)))

    def solve(self, whitening):
        r = self.rank
        prior = _fortran((r, len(self.triangle)))
        np.fill_diagonal(prior, 1.0)
        triangle = np.triu(self._stack(self.triangle.copy(order="F"), prior))
        upper = triangle[:r] * np.where(triangle.diagonal()[:r] < 0, -1.0, 1.0)[:, None]
        half = np.asfortranarray(upper[:, r:])
        explained = np.einsum("mt,mt->t", half, half)
        factor = np.asfortranarray(upper[:, :r])
        return _triangular_solve(factor, half, lower=0), np.asfortranarray(factor.T), explained


class _Normal(_Whitened):
    """K_MM + sum K_ML Lambda^-1 K_LM, literally: the textbook reference, whose condition number is the square."""

    whitens = False

    def solve(self, whitening):
        lower = whitening.lower
        matrix = np.asfortranarray(lower @ lower.T + self.gram)
        factor = _cholesky(matrix)
        if factor is None:
            raise DataError(
                "the normal equations are not positive definite in float64: the sparse points nearly depend on each "
                "other. Use solver='whitened' or solver='qr', fewer sparse points, or a jitter such as 1e-10."
            )
        condition = _triangle_condition(factor, lower=1) ** 2
        if not condition <= _NORMAL_CONDITION:
            warnings.warn(
                f"solver='normal': the condition number of the normal equations is {condition:.1e}, so that weights "
                "and predictions carry rounding errors that may be larger than those of the model; use "
                "solver='whitened' or solver='qr'",
                stacklevel=4,
            )
        half = _triangular_solve(factor, self.rhs.copy(order="F"), lower=1)
        explained = np.einsum("mt,mt->t", half, half)
        weights = _triangular_solve(factor, half, lower=1, transpose=True)
        # G = L L_A is the factor of L (A + 1) L^T, and c = L^-T v
        return lower.T @ weights, _triangular_solve(lower, factor, lower=1), explained


SOLVERS = {"whitened": _Whitened, "qr": _QR, "normal": _Normal}


class SparseSystem:
    """Regularised least squares of a sparse Gaussian process, built from blocks of rows that are then forgotten.

    Parameters
    ----------
    K_MM : ndarray of shape (M, M)
        Kernel of the sparse points, including the prior variance delta^2.
    solver : {"whitened", "qr", "normal"}, default "whitened"
        "whitened": triangular solve of each block, then rank-k updates; 2 L M^2 flops. "qr": the same blocks through
        Householder QR, which never squares the condition number; about twice the time. "normal": the textbook formula
        c = (K_MM + K_ML Lambda^-1 K_LM)^-1 K_ML Lambda^-1 y, as a reference.
    jitter, rank_tol, pivot_floor
        See `whitening_factor`.
    n_targets : int, default 1
        Columns of y.

    Notes
    -----
    Memory is the factor and the accumulator, 2 M^2 numbers, and a chunk of 1024 rows. Blocks give the same answer as
    all rows at once to rounding.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.linspace(0.0, 1.0, 50)[:, None]
    >>> k = lambda a, b: np.exp(-((a - b.T) ** 2) / 0.02)
    >>> system = SparseSystem(k(x[::10], x[::10]))
    >>> for rows in (slice(0, 25), slice(25, 50)):
    ...     system.update(k(x[rows], x[::10]), np.sin(6 * x[rows, 0]), sigma=0.01)
    >>> solution = system.solve()
    >>> solution.weights.shape
    (5,)
    """

    def __init__(self, K_MM, *, solver="whitened", jitter="auto", rank_tol=None, pivot_floor=PIVOT_FLOOR, n_targets=1):
        kind = SOLVERS[check_choice(solver, SOLVERS, "solver")]
        self.solver = solver
        self.n_targets = n_targets
        self.whitening = whitening_factor(K_MM, jitter=jitter, rank_tol=rank_tol, pivot_floor=pivot_floor)
        self._sums = kind(self.whitening.rank, n_targets)
        self.n_rows = 0
        self._log_lambda = 0.0
        self._yy = np.zeros(n_targets)

    @property
    def n_points(self):
        """M, the number of sparse points (and of weights)."""
        return self.whitening.n_points

    def empty(self):
        """A system of the same sparse points that has seen no rows."""
        system = SparseSystem.__new__(SparseSystem)
        system.solver, system.n_targets, system.whitening = self.solver, self.n_targets, self.whitening
        system._sums = SOLVERS[self.solver](self.whitening.rank, self.n_targets)
        system.n_rows, system._log_lambda, system._yy = 0, 0.0, np.zeros(self.n_targets)
        return system

    @one_blas_thread
    def update(self, K_LM, y, sigma, *, prior_variance=None):
        """Fold in a block of rows.

        Parameters
        ----------
        K_LM : ndarray of shape (n_rows, M)
            Covariance of the labels with the sparse points, in units of the label; not changed.
        y : ndarray of shape (n_rows,) or (n_rows, n_targets)
        sigma : float or ndarray of shape (n_rows,)
            Standard deviation of the noise in label units.
        prior_variance : ndarray of shape (n_rows,), optional
            Prior variance k(x, x) of each label. If given, the part of it that the sparse points do not explain is
            added to the noise variance (FITC; E. Snelson and Z. Ghahramani, NIPS 18, 1257 (2006)); else the
            approximation is DTC (subset of regressors).

        Raises
        ------
        DataError, ConfigError
            For wrong shapes, values that are not finite, or a sigma that is not positive. The state is then unchanged.
        """
        K_LM = as_numbers(K_LM, "K_LM")
        if K_LM.ndim != 2 or K_LM.shape[1] != self.n_points:
            raise DataError(f"K_LM has shape {K_LM.shape}; expected (n_rows, {self.n_points}).")
        n_rows = len(K_LM)
        check_finite(K_LM, "K_LM")
        y = _labels(y, n_rows)
        if y.shape[1] != self.n_targets:
            raise DataError(f"y has {y.shape[1]} columns; this system was made for n_targets={self.n_targets}.")
        sigma = _sigmas(sigma, n_rows)
        if prior_variance is not None and not self._sums.whitens:
            raise ConfigError("approx='fitc' needs solver='whitened' or solver='qr'.")
        for start in range(0, n_rows, _CHUNK):
            rows = slice(start, min(start + _CHUNK, n_rows))
            variance = sigma[rows] ** 2
            if self._sums.whitens:
                phi = self.whitening.whiten(K_LM[rows])
                if prior_variance is not None:
                    unexplained = prior_variance[rows] - np.einsum("lm,lm->l", phi, phi)
                    variance = variance + np.maximum(unexplained, 0.0)
            else:
                phi = np.take(K_LM[rows], self.whitening.points, axis=1)
            scale = 1.0 / np.sqrt(variance)
            phi *= scale[:, None]
            scaled_y = y[rows] * scale[:, None]
            self._sums.update(phi, scaled_y)
            self._yy += np.einsum("lt,lt->t", scaled_y, scaled_y)
            self._log_lambda += float(np.log(variance).sum())
        self.n_rows += n_rows

    @one_blas_thread
    def merge(self, other):
        """Add the rows of another system with the same sparse points, solver and jitter.

        Raises
        ------
        DataError
            If the two were not made from the same K_MM.
        """
        mine, theirs = self.whitening, other.whitening
        same = self.solver == other.solver and self.n_targets == other.n_targets
        if not (same and np.array_equal(mine.points, theirs.points) and np.array_equal(mine.lower, theirs.lower)):
            raise DataError("merge: the systems differ in sparse points, solver or jitter; make both from one K_MM.")
        self._sums.merge(other._sums)
        self._yy += other._yy
        self._log_lambda += other._log_lambda
        self.n_rows += other.n_rows

    def state(self):
        """The whole state as named arrays (no pickle needed): `from_state` gives an equal system."""
        arrays = {name: np.ascontiguousarray(getattr(self._sums, name)) for name in self._sums.names}
        return {
            "solver": np.array(list(SOLVERS).index(self.solver)),
            "points": self.whitening.points,
            "lower": np.ascontiguousarray(self.whitening.lower),
            "scalars": np.array(
                [self.n_points, self.whitening.jitter, self.whitening.rank_tol, self.n_rows, self._log_lambda]
            ),
            "yy": self._yy.copy(),
            **arrays,
        }

    @classmethod
    def from_state(cls, state):
        """Rebuild a system from `state()`."""
        system = cls.__new__(cls)
        system.solver = list(SOLVERS)[int(state["solver"])]
        n_points, jitter, rank_tol, n_rows, system._log_lambda = (float(value) for value in state["scalars"])
        lower = np.asfortranarray(state["lower"])
        system.whitening = WhiteningFactor(np.asarray(state["points"]), lower, int(n_points), jitter, rank_tol)
        system.n_rows = int(n_rows)
        system._yy = np.array(state["yy"])
        system.n_targets = len(system._yy)
        system._sums = SOLVERS[system.solver](len(lower), system.n_targets)
        for name in system._sums.names:
            setattr(system._sums, name, np.array(state[name], order="F"))
        return system

    @one_blas_thread
    def solve(self):
        """Weights and everything else that the accumulated rows determine; more rows may follow.

        Returns
        -------
        SparseSolution
        """
        whitening = self.whitening
        v, factor, explained = self._sums.solve(whitening)
        weights = np.zeros((self.n_points, self.n_targets))
        weights[whitening.points] = _triangular_solve(whitening.lower, v.copy(order="F"), lower=1, transpose=True)
        check_finite(weights, "weights")
        log_det = 2.0 * self.n_targets * float(np.log(factor.diagonal()).sum())
        noise_terms = self.n_targets * (self._log_lambda + self.n_rows * _LOG_2PI)
        lml = -0.5 * (float(np.sum(self._yy - explained)) + log_det + noise_terms)
        return SparseSolution(
            weights=weights[:, 0] if self.n_targets == 1 else weights,
            covariance=SparseCovariance.from_factors(whitening.points, whitening.lower, factor),
            log_marginal_likelihood=lml,
            condition_number=_triangle_condition(factor, lower=1) ** 2,
            condition_number_kmm=_triangle_condition(whitening.lower, lower=1) ** 2,
            jitter=whitening.jitter,
            rank_tol=whitening.rank_tol,
            rank=whitening.rank,
            dropped=whitening.dropped,
            n_rows=self.n_rows,
            solver=self.solver,
        )


@dataclass(frozen=True)
class SparseCovariance:
    """Posterior covariance of a sparse Gaussian process in two triangles, packed into one array.

    Attributes
    ----------
    points : ndarray of shape (rank,), int64
        Columns of K_XM that are used, in this order.
    factors : ndarray of shape (rank + 1, rank)
        ``tril(factors[1:])`` is L of K_MM = L L^T; ``triu(factors[:-1])`` is the transpose of L_A of
        1 + Phi^T Lambda^-1 Phi = L_A L_A^T. Both are for the points in the order of `points`.
    """

    points: np.ndarray
    factors: np.ndarray

    @classmethod
    def from_factors(cls, points, lower, lower_a):
        rank = len(points)
        packed = np.zeros((rank + 1, rank))
        packed[1:] = lower
        packed[:-1] += lower_a.T
        return cls(points, packed)

    def _halves(self, K_XM):
        """K_XM L^-T and K_XM L^-T L_A^-T, both (n, rank); transposed views of the triangles are Fortran-ordered."""
        K_XM = np.asarray(K_XM, dtype=np.float64)
        prior = _solve_rows(K_XM, self.points, self.factors[1:].T, lower=0, transpose=1)
        return prior, _solve_rows(prior, np.arange(len(self.points)), self.factors[:-1].T, lower=1)

    def variance(self, K_XM, prior_variance):
        """Variance of the latent function (DTC), k** - |L^-1 k|^2 + |L_A^-1 L^-1 k|^2, never negative.

        Parameters
        ----------
        K_XM : ndarray of shape (n, M)
            Covariance with the sparse points; of sums over atoms, the summed rows.
        prior_variance : ndarray of shape (n,)
            k(x, x); of sums over atoms, the sum over all pairs of atoms.

        Returns
        -------
        ndarray of shape (n,)
            In squared label units. Add the noise variance for the variance of a label.

        References
        ----------
        J. Quinonero-Candela and C. E. Rasmussen, J. Mach. Learn. Res. 6, 1939 (2005), eq. 20b.
        """
        prior, posterior = self._halves(K_XM)
        unexplained = np.asarray(prior_variance, dtype=np.float64) - np.einsum("xm,xm->x", prior, prior)
        return np.maximum(unexplained, 0.0) + np.einsum("xm,xm->x", posterior, posterior)

    def covariance(self, K_XM, K_XX):
        """Covariance matrix (n, n) of the latent function (DTC); `K_XX` is the prior one."""
        prior, posterior = self._halves(K_XM)
        return np.asarray(K_XX, dtype=np.float64) - prior @ prior.T + posterior @ posterior.T

    @one_blas_thread
    def condition(self, K_LM, residual, sigma):
        """What further labels change of the weights: Sigma_c K_ML (K_LM Sigma_c K_ML + sigma^2)^-1 residual.

        Parameters
        ----------
        K_LM : ndarray of shape (n, M)
        residual : ndarray of shape (n,)
            Label minus K_LM c, of the weights c that this is the covariance of.
        sigma : float or ndarray of shape (n,)
            Standard deviation of the labels.

        Returns
        -------
        ndarray of shape (M,)
        """
        posterior = self._halves(K_LM)[1]
        system = DenseSystem(posterior @ posterior.T, _sigmas(sigma, len(posterior)) ** 2, remedy="sigma")
        half = np.asfortranarray((posterior.T @ system.solve(residual))[:, None])
        half = _triangular_solve(self.factors[:-1].T, half, lower=1, transpose=True)
        change = np.zeros(np.shape(K_LM)[1])
        change[self.points] = _triangular_solve(self.factors[1:].T, half, lower=0)[:, 0]
        return change

    def leverage(self, K_LM, sigma):
        """h_l = k_l Sigma_c k_l / sigma_l^2: leave-one-out residuals are (y - K_LM c) / (1 - h)."""
        sigma = _sigmas(sigma, len(K_LM))
        posterior = self._halves(K_LM)[1]
        return np.einsum("lm,lm->l", posterior, posterior) / sigma**2


@dataclass(frozen=True)
class SparseSolution:
    """Result of `SparseSystem.solve`.

    Attributes
    ----------
    weights : ndarray of shape (M,) or (M, n_targets)
        c; zero for sparse points that were dropped.
    covariance : SparseCovariance
        For error bars.
    log_marginal_likelihood : float
        log p(y) of the DTC model (Rasmussen and Williams, section 8.3.3), summed over targets.
    condition_number : float
        Estimate for the matrix that was solved, 1 + Phi^T Lambda^-1 Phi.
    condition_number_kmm : float
        Estimate for K_MM on the sparse points that were kept.
    jitter : float
        Added to the diagonal of K_MM, relative to each element.
    rank_tol : float
        Sparse points whose variance given the others was below this share of their own were dropped.
    rank : int
        Sparse points that were kept.
    dropped : ndarray of int
        Sparse points that depend on the others and were left out.
    n_rows : int
        Labels seen.
    solver : str
    """

    weights: np.ndarray
    covariance: SparseCovariance
    log_marginal_likelihood: float
    condition_number: float
    condition_number_kmm: float
    jitter: float
    rank_tol: float
    rank: int
    dropped: np.ndarray
    n_rows: int
    solver: str

    def report(self):
        """What was solved, in two lines of plain text."""
        kept = f"{self.rank} of {len(self.weights)} sparse points kept"
        if len(self.dropped):
            kept += f" ({len(self.dropped)} depend on the others to {self.rank_tol:.0e})"
        return (
            f"solver {self.solver}: {self.n_rows} labels, {kept}, jitter {self.jitter:.0e}\n"
            f"condition numbers: K_MM {self.condition_number_kmm:.1e}, system {self.condition_number:.1e}; "
            f"log marginal likelihood {self.log_marginal_likelihood:.6g}"
        )


class DenseSystem:
    """Cholesky factorisation of C = K + noise of a full Gaussian process or kernel ridge regression.

    Parameters
    ----------
    K : ndarray of shape (N, N)
    noise_variance : float or ndarray of shape (N,)
        Added to the diagonal (KRR: alpha).
    jitter : "auto" or float, default 0.0
        "auto" tries `JITTER_LADDER` times the mean diagonal until the factorisation succeeds.
    overwrite : bool, default False
        Use the memory of `K`.
    remedy : str
        What the message tells the caller to raise when the factorisation fails.

    Attributes
    ----------
    jitter : float
        Added to the diagonal, absolute.

    Raises
    ------
    DataError
        If no allowed jitter makes C positive definite.

    References
    ----------
    Rasmussen and Williams (2006), algorithm 2.1, and section 5.4.2 for leave-one-out.

    Examples
    --------
    >>> import numpy as np
    >>> DenseSystem(np.eye(2), 1.0).solve(np.array([2.0, 4.0]))
    array([1., 2.])
    """

    def __init__(self, K, noise_variance, *, jitter=0.0, overwrite=False, remedy="noise"):
        K = _symmetric(K, "K")
        noise_variance = as_numbers(noise_variance, remedy)
        if noise_variance.shape not in ((), (len(K),)):
            raise DataError(f"{remedy} has shape {noise_variance.shape}; expected a number or ({len(K)},).")
        if not (np.all(noise_variance >= 0) and np.all(np.isfinite(noise_variance))):
            raise ConfigError(f"{remedy} must be finite and >= 0.")
        mean_diagonal = max(float(K.diagonal().mean()), np.finfo(float).tiny)
        if isinstance(jitter, str):
            check_choice(jitter, ["auto"], "jitter")
            ladder = [step * mean_diagonal for step in JITTER_LADDER]
        else:
            ladder = [check_positive(jitter, "jitter", allow_zero=True)]
        diagonal = K.diagonal() + noise_variance
        for self.jitter in ladder:
            matrix = K.T if overwrite and len(ladder) == 1 and K.flags.c_contiguous else K.T.copy(order="F")
            np.fill_diagonal(matrix, diagonal + self.jitter)
            factor = _blocked_cholesky(matrix)
            if factor is not None:
                break
        else:
            raise DataError(
                f"K + {remedy} is not positive definite, even with a jitter of {self.jitter:.1e}: rows of the data are "
                f"(nearly) equal, or the kernel is not positive definite. Raise {remedy}"
                + (", for example to 1e-10 times the mean diagonal of K, " if len(ladder) == 1 else " ")
                + f"({mean_diagonal:.3g} is the mean diagonal), or remove duplicates."
            )
        self.lower = factor
        self._inverse = None

    def __len__(self):
        return len(self.lower)

    @one_blas_thread
    def solve(self, y):
        """C^-1 y for one or several right-hand sides; same shape as `y`."""
        y = np.asarray(y, dtype=np.float64)
        rhs = np.array(y.reshape(len(self), -1), order="F")
        _triangular_solve(self.lower, rhs, lower=1)
        _triangular_solve(self.lower, rhs, lower=1, transpose=True)
        return rhs.reshape(y.shape)

    def log_marginal_likelihood(self, y):
        """-y C^-1 y / 2 - log|C| / 2 - N log(2 pi) / 2, summed over the columns of `y`."""
        y = np.asarray(y, dtype=np.float64)
        n_targets = y.size // len(self)
        log_det = 2.0 * float(np.log(self.lower.diagonal()).sum())
        return -0.5 * (float(np.sum(y * self.solve(y))) + n_targets * (log_det + len(self) * _LOG_2PI))

    def inverse(self):
        """C^-1 as a symmetric array of shape (N, N); kept after the first call."""
        if self._inverse is None:
            self._inverse = self._compute_inverse()
        return self._inverse

    @one_blas_thread
    def _compute_inverse(self):
        n = len(self)
        half, inverse = _fortran((n, n)), _fortran((n, n))  # L^-1, and L^-T L^-1

        def invert(columns):
            unit = _fortran((n - columns.start, columns.stop - columns.start))
            np.fill_diagonal(unit, 1.0)
            rest = slice(columns.start, None)
            half[rest, columns] = _triangular_solve(np.asfortranarray(self.lower[rest, rest]), unit, lower=1)

        def multiply(columns):
            rest = slice(columns.start, None)
            inverse[rest, columns] = half[rest, rest].T @ half[rest, columns]

        _for_pieces(invert, n, _PIECE_COLUMNS, n**3 // 3)
        _for_pieces(multiply, n, _PIECE_COLUMNS, n**3 // 3)
        return np.tril(inverse) + np.tril(inverse, -1).T

    def leave_out(self, y, groups=None):
        """Residuals y - prediction of models that were trained without each row, or each group of rows, in closed form.

        Parameters
        ----------
        y : ndarray of shape (N,) or (N, n_targets)
        groups : array_like of shape (N,), optional
            Rows with equal entries are left out together. Default: each row alone.

        Returns
        -------
        ndarray like `y`
        """
        weights = self.solve(y)
        inverse = self.inverse()
        if groups is None:
            diagonal = inverse.diagonal()
            return weights / (diagonal if weights.ndim == 1 else diagonal[:, None])
        residuals = np.empty_like(weights)
        for rows in self._groups(groups):
            residuals[rows] = DenseSystem(inverse[np.ix_(rows, rows)], 0.0).solve(weights[rows])
        return residuals

    def leave_out_variance(self, groups=None):
        """Variances of the labels, noise included, by models that were trained without each row, or group of rows.

        Returns
        -------
        ndarray of shape (N,)
        """
        inverse = self.inverse()
        if groups is None:
            return 1.0 / inverse.diagonal()
        variance = np.empty(len(self))
        for rows in self._groups(groups):
            variance[rows] = DenseSystem(inverse[np.ix_(rows, rows)], 0.0).inverse().diagonal()
        return variance

    def _groups(self, groups):
        """Rows of each group."""
        groups = np.asarray(groups)
        if groups.shape != (len(self),):
            raise DataError(f"groups has shape {groups.shape}; expected ({len(self)},).")
        return [np.flatnonzero(groups == label) for label in np.unique(groups)]

    def _halves(self, K_XN):
        """K_XN L^-T, shape (n, N)."""
        return _solve_rows(np.asarray(K_XN, dtype=np.float64), np.arange(len(self)), self.lower, lower=1)

    def variance(self, K_XN, prior_variance):
        """Variance of the latent function, k** - k C^-1 k, never negative; shape (n,)."""
        half = self._halves(K_XN)
        return np.maximum(np.asarray(prior_variance) - np.einsum("xn,xn->x", half, half), 0.0)

    @one_blas_thread
    def covariance(self, K_XN, K_XX):
        """Covariance matrix (n, n) of the latent function."""
        half = self._halves(K_XN)
        return np.asarray(K_XX) - half @ half.T
