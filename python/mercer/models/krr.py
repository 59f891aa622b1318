"""Kernel ridge regression."""

from mercer._parameters import NotNegativeRows
from mercer.linalg import DenseSystem
from mercer.models._base import DenseRegressor, KernelArgument


class KRR(DenseRegressor):
    """Kernel ridge regression, f(x) = sum_i c_i k(x, x_i) with (K + alpha 1) c = y.

    Parameters
    ----------
    kernel : kernel of mercer.kernels, "precomputed" or None, default None
        None is ``Gaussian()``. With "precomputed", `X` is the kernel matrix: (n_samples, n_samples) in fit,
        (n_new, n_samples) in predict.
    alpha : float or ndarray of shape (n_samples,), default 1e-6
        Regularisation, added to the diagonal of the kernel matrix as it is. As a Gaussian process: noise variance over
        prior variance.

    Attributes
    ----------
    dual_coef_ : ndarray of shape (n_samples,) or (n_samples, n_targets)
        Weights c.
    X_fit_ : ndarray of shape (n_samples, n_features), StructureRows or MultiRows
        Training data; None for precomputed kernels.
    system_ : mercer.linalg.DenseSystem
        The factorisation.

    See Also
    --------
    GPR : The same prediction, with error bars and evidence.
    SparseGPR : Cost independent of the number of training rows when predicting.

    References
    ----------
    K. P. Murphy, Machine Learning: A Probabilistic Perspective (MIT Press, 2012), section 14.4.3.

    Examples
    --------
    >>> import numpy as np
    >>> from mercer import KRR
    >>> from mercer.kernels import Gaussian
    >>> X = np.linspace(0, 3, 30)[:, None]
    >>> model = KRR(Gaussian(length_scale=0.5), alpha=1e-8).fit(X, np.sin(X[:, 0]))
    >>> bool(abs(model.predict([[1.05]])[0] - np.sin(1.05)) < 1e-4)
    True

    Energies of whole structures, and forces:

    >>> from ase.build import molecule
    >>> from mercer import SOAP
    >>> from mercer.kernels import Polynomial, REMatch, StructureRows
    >>> frames, soap = [molecule(name) for name in ("H2O", "H2O2", "CH4", "CO2")], SOAP(["H", "C", "O"], 4.0, 4, 3, 0.5)
    >>> rows = StructureRows.of(soap, frames)
    >>> model = KRR(REMatch(Polynomial(zeta=2), gamma=2.0), alpha=1e-6).fit(rows, [-10.1, -18.9, -17.4, -17.1])
    >>> forces = -soap.vjp(frames, model.gradient(rows))[0]
    >>> forces.shape
    (15, 3)
    """

    def __init__(self, kernel: KernelArgument | None = None, alpha: NotNegativeRows = 1e-6):
        self.kernel = kernel
        self.alpha = alpha

    def _factorise(self, K, options):
        return DenseSystem(K, options["alpha"], overwrite=not self._precomputed, remedy="alpha")

    def predict(self, X, groups=None, *, out=None):
        """Predictions of shape (n_new,) or (n_new, n_targets), in units of the labels; into `out` if given.

        Raises
        ------
        DataError
            For data that cannot be used, or groups that were given to only one of fit and predict.
        """
        return self._mean(*self._test_data(X, groups), out)
