"""Gaussian process regression with a weight per training row."""

import numpy as np

from mercer._parameters import Amplitude, NotNegativeRows
from mercer._validation import check_flag
from mercer.errors import ConfigError
from mercer.linalg import DenseSystem
from mercer.models._base import DenseRegressor, JitterArgument, KernelArgument, row_blocks


class GPR(DenseRegressor):
    """Gaussian process y = f(x) + noise, with prior f ~ GP(0, delta^2 k); labels are not centred.

    Parameters
    ----------
    kernel : kernel of mercer.kernels, "precomputed" or None, default None
        Of unit amplitude. None is ``Gaussian()``. With "precomputed", `X` is the kernel matrix:
        (n_samples, n_samples) in fit, (n_new, n_samples) in predict, which then gives no error bars.
    noise : float or ndarray of shape (n_samples,), default 1e-2
        Standard deviation of the noise in units of the labels.
    delta : float, default 1.0
        Prior standard deviation of f in units of the labels.
    jitter : "auto" or float, default "auto"
        Variance added to the diagonal beside the noise, over delta^2. "auto" adds nothing unless the factorisation
        fails, then 1e-12 times the mean diagonal, rising tenfold up to 1e-6; see `jitter_`.

    Attributes
    ----------
    dual_coef_ : ndarray of shape (n_samples,) or (n_samples, n_targets)
        Weights c of f(x) = sum_i c_i k(x, x_i).
    log_marginal_likelihood_ : float
        log p(y), summed over targets.
    jitter_ : float
        What was added to the diagonal, over delta^2.
    X_fit_ : ndarray of shape (n_samples, n_features), StructureRows or MultiRows
        Training data; None for precomputed kernels.
    system_ : mercer.linalg.DenseSystem
        The factorisation.

    References
    ----------
    C. E. Rasmussen and C. K. I. Williams, Gaussian Processes for Machine Learning (MIT Press, 2006), algorithm 2.1.

    Examples
    --------
    >>> import numpy as np
    >>> from mercer import GPR
    >>> from mercer.kernels import Gaussian
    >>> X = np.linspace(0, 3, 30)[:, None]
    >>> model = GPR(Gaussian(length_scale=0.5), noise=1e-3).fit(X, np.sin(X[:, 0]))
    >>> mean, std = model.predict([[1.0], [9.0]], return_std=True)
    >>> bool(std[0] < 0.01 and std[1] > 0.99)
    True
    """

    def __init__(
        self,
        kernel: KernelArgument | None = None,
        noise: NotNegativeRows = 1e-2,
        delta: Amplitude = 1.0,
        jitter: JitterArgument = "auto",
    ):
        self.kernel = kernel
        self.noise = noise
        self.delta = delta
        self.jitter = jitter

    def _factorise(self, K, options):
        self._delta = options["delta"]
        variance = (options["noise"] / self._delta) ** 2
        return DenseSystem(K, variance, jitter=options["jitter"], overwrite=not self._precomputed, remedy="noise")

    def fit(self, X, y=None, groups=None):
        super().fit(X, y, groups)
        # y ~ N(0, delta^2 (K + noise^2 / delta^2)): the factor delta^2 moves out of the determinant
        lml = self.system_.log_marginal_likelihood(self.y_fit_ / self._delta)
        self.log_marginal_likelihood_ = lml - self.y_fit_.size * float(np.log(self._delta))
        self.jitter_ = self.system_.jitter
        return self

    fit.__doc__ = DenseRegressor.fit.__doc__

    def predict(self, X, return_std=False, return_cov=False, groups=None, *, out=None):
        """Mean of the latent function and, on request, its standard deviation or covariance.

        Parameters
        ----------
        X : array_like of shape (n_new, n_features)
        return_std, return_cov : bool, default False
            At most one of them.
        groups : array_like of shape (n_new,), optional
            Required if fit had groups.
        out : ndarray of shape (n_new,) or (n_new, n_targets), optional
            Takes the mean.

        Returns
        -------
        mean : ndarray of shape (n_new,) or (n_new, n_targets)
        std : ndarray of shape (n_new,)
            Of f, without the noise; the same for every target.
        cov : ndarray of shape (n_new, n_new)

        Raises
        ------
        ConfigError
            If both are asked for, or either with a precomputed kernel.
        DataError
            For data that cannot be used.
        """
        return_std, return_cov = check_flag(return_std, "return_std"), check_flag(return_cov, "return_cov")
        X, groups = self._test_data(X, groups)
        if return_std and return_cov:
            raise ConfigError("return_std and return_cov are both set; ask for one of them.")
        if (return_std or return_cov) and self._precomputed:
            raise ConfigError("kernel='precomputed' has no k(x, x) for new rows; fit with a kernel for error bars.")
        mean = self._mean(X, groups, out)
        if return_cov:
            K = self._test_gram(X, groups, slice(None))
            return mean, self._delta**2 * self.system_.covariance(K, self._gram(X, X, groups, groups))
        if return_std:
            variance = np.empty(len(X))
            diagonal = self._function().diag(X)
            for rows in row_blocks(len(X), len(self.dual_coef_)):
                variance[rows] = self.system_.variance(self._test_gram(X, groups, rows), diagonal[rows])
            return mean, self._delta * np.sqrt(variance)
        return mean
