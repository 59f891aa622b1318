"""Sparse Gaussian process regression: a weight per sparse point, whatever the number of labels."""

from collections.abc import Iterable
from functools import partial
from typing import Annotated

import numpy as np

from mercer._parameters import Amplitude, Count, PositiveRows, choice
from mercer._validation import check_features, check_flag, check_out, check_positive, check_targets, show
from mercer.errors import ConfigError, DataError
from mercer.kernels import MultiRows, StructureRows
from mercer.linalg import SOLVERS, SparseSystem
from mercer.models._base import JitterArgument, KernelRegressor, row_blocks
from mercer.selection import SELECTIONS, as_kernel, check_groups, select


class SparseGPR(KernelRegressor):
    """Sparse Gaussian process f(x) = sum_m c_m k(x, x_m) on M sparse points; labels are not centred.

    Minimises |K_NM c - y|^2 / noise^2 + c^T K_MM c / delta^2, the mean of the DTC approximation (subset of regressors).

    Parameters
    ----------
    kernel : kernel of mercer.kernels or None, default None
        Of unit amplitude. None is ``Gaussian()``; ``Polynomial(zeta=4)`` is usual for normalised SOAP rows.
    n_sparse : int, default 1000
        Number of sparse points M.
    selection : {"cur", "fps", "leverage", "random", "pivoted_cholesky"}, default "cur"
        See `mercer.selection.select`.
    noise : float or ndarray of shape (n_samples,), default 1e-2
        Standard deviation of the noise in units of the labels.
    delta : float, default 1.0
        Prior standard deviation of f in units of the labels.
    solver : {"whitened", "qr", "normal"}, default "whitened"
        See `mercer.linalg.SparseSystem`.
    jitter : "auto" or float, default "auto"
        Added to the diagonal of K_MM, relative to it. "auto" adds nothing and leaves out sparse points that depend on
        the others.
    rank_tol : float or None, default None
        Sparse points whose variance given the others is below this share of their own are left out; None chooses it by
        the rounding of the kernel. See `mercer.linalg.whitening_factor`.
    approx : {"dtc", "fitc"}, default "dtc"
        "fitc" adds to the noise variance of each label what the sparse points do not explain of its prior variance.
    sparse_points : array_like of shape (M, n_features), optional
        Sparse points to use; `n_sparse` and `selection` are then ignored.
    sparse_groups : array_like of shape (M,), optional
        Their groups, if fit gets groups.
    random_state : int, RandomState or None, default 0
        Seed of the selection.

    Attributes
    ----------
    weights_ : ndarray of shape (M,) or (M, n_targets)
        c; zero for sparse points that depend on others.
    sparse_points_ : ndarray of shape (M, n_features)
    sparse_indices_ : ndarray of shape (M,) or None
        Rows of the training data; None if the points were given.
    sparse_groups_ : ndarray of shape (M,) or None
    covariance_ : mercer.linalg.SparseCovariance
        Factors of the posterior covariance, over delta^2.
    log_marginal_likelihood_ : float
    rank_, jitter_, condition_number_ : int, float, float
        Sparse points kept, jitter added, condition number of the solved system.
    report_ : str
        The same in words.

    References
    ----------
    J. Quinonero-Candela and C. E. Rasmussen, J. Mach. Learn. Res. 6, 1939 (2005).
    A. P. Bartok and G. Csanyi, Int. J. Quantum Chem. 115, 1051 (2015), section "Sparsification".

    Examples
    --------
    >>> import numpy as np
    >>> from mercer import SparseGPR
    >>> from mercer.kernels import Gaussian
    >>> X = np.linspace(0, 3, 300)[:, None]
    >>> model = SparseGPR(Gaussian(length_scale=0.5), n_sparse=20, selection="fps").fit(X, np.sin(X[:, 0]))
    >>> mean, std = model.predict([[1.0], [9.0]], return_std=True)
    >>> bool(abs(mean[0] - np.sin(1.0)) < 1e-3 and std[1] > 0.99)
    True

    Blocks that never lie in memory together:

    >>> blocks = ((X[i : i + 100], np.sin(X[i : i + 100, 0])) for i in range(0, 300, 100))
    >>> model = SparseGPR(Gaussian(length_scale=0.5), sparse_points=X[::15]).fit(blocks)
    """

    def __init__(
        self,
        kernel: Annotated[object, as_kernel] | None = None,
        n_sparse: Count = 1000,
        selection: choice(SELECTIONS) = "cur",
        noise: PositiveRows = 1e-2,
        delta: Amplitude = 1.0,
        solver: choice(SOLVERS) = "whitened",
        jitter: JitterArgument = "auto",
        rank_tol: Annotated[float, partial(check_positive, allow_zero=True, largest=1.0)] | None = None,
        approx: choice(("dtc", "fitc")) = "dtc",
        sparse_points=None,
        sparse_groups=None,
        random_state=0,
    ):
        self.kernel = kernel
        self.n_sparse = n_sparse
        self.selection = selection
        self.noise = noise
        self.delta = delta
        self.solver = solver
        self.jitter = jitter
        self.rank_tol = rank_tol
        self.approx = approx
        self.sparse_points = sparse_points
        self.sparse_groups = sparse_groups
        self.random_state = random_state

    def fit(self, X, y=None, groups=None):
        """Choose the sparse points and fit their weights.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features), or iterable of blocks
            Blocks are tuples (X, y) or (X, y, groups); they are read once, and memory is O(M^2 + block).
            `sparse_points` must then be set and `noise` be a number.
        y : array_like of shape (n_samples,) or (n_samples, n_targets)
            Absent for blocks.
        groups : array_like of shape (n_samples,), optional
            Species of the rows: the kernel of rows of different groups is zero, and each group has its own sparse
            points.

        Returns
        -------
        self

        Raises
        ------
        ConfigError
            For options outside their range, such as `n_sparse` larger than the data.
        DataError
            For data that cannot be used.
        """
        if self._precomputed:
            raise ConfigError("SparseGPR has no kernel='precomputed'; use GPR or KRR, or mercer.linalg.SparseSystem.")
        options = self._checked()
        self._delta = options["delta"]
        if isinstance(X, StructureRows | MultiRows):
            raise ConfigError("SparseGPR compares rows, not structures; use GPR or KRR with a kernel of structures.")
        if self.sparse_points is None and self.sparse_groups is not None:
            raise ConfigError("sparse_groups are groups of sparse_points, which are missing; give both, or neither.")
        table = hasattr(X, "shape") or (isinstance(X, list | tuple) and self.sparse_points is None)
        if y is None and not table:
            return self._fit_blocks(X, groups, options["noise"])
        X, y, groups = self._training_data(X, y, groups)
        if self.sparse_points is None:
            self.sparse_indices_ = select(
                X,
                options["n_sparse"],
                self.selection,
                groups=groups,
                kernel=self._function(),
                random_state=self.random_state,
            )
            self.sparse_points_ = X[self.sparse_indices_]
            self.sparse_groups_ = None if groups is None else groups[self.sparse_indices_]
        else:
            self._take_given_points(X.shape[1])
        system = self._new_system(1 if y.ndim == 1 else y.shape[1])
        self._update(system, X, y, groups, options["noise"])
        return self._finish(system)

    def _fit_blocks(self, blocks, groups, noise):
        if self.sparse_points is None:
            raise ConfigError("fit got blocks, or no y. Blocks need sparse_points=...; arrays need fit(X, y).")
        if groups is not None:
            raise ConfigError("groups of blocks come with the blocks: (X, y, groups).")
        noise = check_positive(noise, "noise")
        if not isinstance(blocks, Iterable):
            raise DataError(f"X={show(blocks)}: expected an array, or blocks (X, y).")
        self._take_given_points(None)
        system = None
        for number, block in enumerate(blocks):
            if not (isinstance(block, tuple) and len(block) in (2, 3)):
                raise DataError(
                    f"block {number} is a {type(block).__name__}; expected a tuple (X, y) or (X, y, groups)."
                )
            X = check_features(block[0], f"X of block {number}", n_features=self.n_features_in_)
            y = check_targets(block[1], len(X), f"y of block {number}")
            if system is None:
                system = self._new_system(1 if y.ndim == 1 else y.shape[1])
            self._update(system, X, y, check_groups(block[2] if len(block) == 3 else None, len(X)), noise)
        if system is None:
            raise DataError("fit got no blocks: the iterator was empty, or had been used before.")
        return self._finish(system)

    def _take_given_points(self, n_features):
        self.sparse_points_ = check_features(self.sparse_points, "sparse_points", n_features=n_features)
        self.n_features_in_ = self.sparse_points_.shape[1]
        self.sparse_indices_ = None
        self.sparse_groups_ = check_groups(self.sparse_groups, len(self.sparse_points_))

    # The system is that of f / delta, whose prior is the kernel itself: labels and noise are divided by delta.

    def _new_system(self, n_targets):
        Z, groups = self.sparse_points_, self.sparse_groups_
        K_MM = self._gram(Z, Z, groups, groups)
        return SparseSystem(K_MM, solver=self.solver, jitter=self.jitter, rank_tol=self.rank_tol, n_targets=n_targets)

    def _update(self, system, X, y, groups, noise):
        if np.shape(noise) not in ((), (len(X),)):
            raise ConfigError(f"noise has shape {np.shape(noise)}; expected a number or ({len(X)},), one per label.")
        noise = np.broadcast_to(noise, (len(X),)) / self._delta
        y = y / self._delta
        for rows, K in self._kernel_blocks(X, groups):
            diagonal = self._function().diag(X[rows]) if self.approx == "fitc" else None
            system.update(K, y[rows], noise[rows], prior_variance=diagonal)

    def _kernel_blocks(self, X, groups):
        """Kernel of blocks of rows with the sparse points; every block uses the same memory."""
        M = len(self.sparse_points_)
        blocks = row_blocks(len(X), M)
        buffer = np.empty((max((b.stop - b.start for b in blocks), default=0), M))
        for rows in blocks:
            block_groups = None if groups is None else groups[rows]
            out = buffer[: rows.stop - rows.start]
            yield rows, self._gram(X[rows], self.sparse_points_, block_groups, self.sparse_groups_, out=out)

    def _finish(self, system):
        solution = system.solve()
        self.weights_ = solution.weights * self._delta
        self.covariance_ = solution.covariance
        scale = solution.n_rows * system.n_targets * float(np.log(self._delta))
        self.log_marginal_likelihood_ = solution.log_marginal_likelihood - scale
        self.rank_ = solution.rank
        self.jitter_ = solution.jitter
        self.condition_number_ = solution.condition_number
        self.report_ = solution.report()
        return self

    def predict(self, X, return_std=False, groups=None, *, out=None):
        """Mean of the latent function and, on request, its standard deviation (DTC).

        Parameters
        ----------
        X : array_like of shape (n_new, n_features)
        return_std : bool, default False
        groups : array_like of shape (n_new,), optional
            Required if fit had groups. Rows of a group without sparse points get mean zero and the prior's deviation.
        out : ndarray of shape (n_new,) or (n_new, n_targets), optional
            Takes the mean.

        Returns
        -------
        mean : ndarray of shape (n_new,) or (n_new, n_targets)
        std : ndarray of shape (n_new,)
            Of f, without the noise, in units of the labels.

        Raises
        ------
        DataError
            For data that cannot be used.
        """
        return_std = check_flag(return_std, "return_std")
        X, groups = self._test_data(X, groups)
        mean = check_out(out, (len(X), *self.weights_.shape[1:]))
        variance = np.empty(len(X)) if return_std else None
        diagonal = self._function().diag(X) if return_std else None
        for rows, K in self._kernel_blocks(X, groups):
            np.matmul(K, self.weights_, out=mean[rows])
            if return_std:
                variance[rows] = self.covariance_.variance(K, diagonal[rows])
        return (mean, self._delta * np.sqrt(variance)) if return_std else mean
