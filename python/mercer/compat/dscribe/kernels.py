"""DScribe's kernels of structures, of lists of (atoms, features) arrays."""

import math

import numpy as np

from mercer._validation import as_numbers, check_choice, check_flag, check_items, check_positive, show
from mercer.compat.dscribe._shown import Shown
from mercer.errors import ConfigError, DataError
from mercer.kernels import Average, Gaussian, Laplacian, Linear, Polynomial, REMatch, StructureRows

METRICS = ("linear", "rbf", "laplacian", "polynomial")


class _Kernel(Shown):
    """Base: the local kernel of rows, with the parameters of scikit-learn's; a subclass gives ``_kernel(local)``."""

    def __init__(self, metric, gamma, degree, coef0, kernel_params, normalize_kernel):
        self.metric = check_choice("polynomial" if str(metric) == "poly" else metric, METRICS, "metric")
        if not (kernel_params is None or (isinstance(kernel_params, dict) and not kernel_params)):
            raise ConfigError(f"kernel_params={show(kernel_params)}: no metric takes them; leave them out.")
        self.gamma = None if gamma is None else check_positive(gamma, "gamma", smallest=1e-20, largest=1e20)
        self.degree = check_positive(degree, "degree", smallest=1e-6, largest=1e4)
        self.coef0 = check_positive(coef0, "coef0", allow_zero=True, largest=1e20)
        self.normalize_kernel = check_flag(normalize_kernel, "normalize_kernel")

    def _local(self, gamma):
        """mercer's kernel, and the factor of the rows that it takes."""
        if self.metric == "rbf":
            return Gaussian(length_scale=math.sqrt(0.5 / gamma)), 1.0
        if self.metric == "laplacian":
            return Laplacian(length_scale=1 / gamma), 1.0
        if self.metric == "polynomial":
            degree = int(self.degree) if self.degree == int(self.degree) else self.degree
            return Polynomial(zeta=degree, offset=self.coef0), math.sqrt(gamma)
        return Linear(), 1.0

    def create(self, x, y=None):
        """The kernel matrix.

        Parameters
        ----------
        x : list of array_like of shape (n_atoms, n_features)
            Features of the atoms of each structure.
        y : list of array_like, optional
            Other structures; by default those of x.

        Returns
        -------
        ndarray of shape (len(x), len(y))

        Raises
        ------
        DataError
            For arrays that do not fit each other.
        """
        first = _rows(x, "x")
        second = None if y is None else _rows(y, "y")
        gamma = 1 / max(1, first.shape[1]) if self.gamma is None else self.gamma
        local, factor = self._local(gamma)
        if factor != 1:
            first, second = (r and StructureRows(factor * r.features, r.offsets) for r in (first, second))
        return np.array(self._kernel(local)(first, second))


class AverageKernel(_Kernel):
    """The mean of the local kernels of all pairs of atoms.

    Parameters
    ----------
    metric : str
        Local kernel as in scikit-learn: "linear", "rbf", "laplacian" or "polynomial".
    gamma : float, optional
        Its parameter; by default 1 / n_features.
    degree, coef0 : float, default 3, 1
        Of "polynomial", (gamma x . y + coef0)^degree.
    kernel_params
        Refused: none of the metrics takes others.
    normalize_kernel : bool, default True
        Divide by sqrt(K(A, A) K(B, B)).

    Examples
    --------
    >>> AverageKernel("linear").create([[[1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]]).round(3)
    array([[1.   , 0.707],
           [0.707, 1.   ]])
    """

    def __init__(self, metric, gamma=None, degree=3, coef0=1, kernel_params=None, normalize_kernel=True):
        super().__init__(metric, gamma, degree, coef0, kernel_params, normalize_kernel)

    def _kernel(self, local):
        return Average(local, match_groups=False, normalize=self.normalize_kernel)


class REMatchKernel(_Kernel):
    """The regularised-entropy match of De, Bartok, Csanyi and Ceriotti, Phys. Chem. Chem. Phys. 18 (2016) 13754.

    Rows must be of unit length, so that local kernels are at most 1.

    Parameters
    ----------
    alpha : float, default 0.1
        Weight of the entropy.
    threshold : float, default 1e-6
        Iterations end where scaling vectors change by less, as in DScribe: K differs from the converged one by some
        1e-5 then, which `mercer.kernels.REMatch` gives.
    metric, gamma, degree, coef0, kernel_params, normalize_kernel
        As for `AverageKernel`.

    Examples
    --------
    >>> REMatchKernel(alpha=0.1).create([[[1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]]).round(3)
    array([[1. , 0.5],
           [0.5, 1. ]])
    """

    def __init__(
        self,
        alpha=0.1,
        threshold=1e-6,
        metric="linear",
        gamma=None,
        degree=3,
        coef0=1,
        kernel_params=None,
        normalize_kernel=True,
    ):
        super().__init__(metric, gamma, degree, coef0, kernel_params, normalize_kernel)
        self.alpha = check_positive(alpha, "alpha", smallest=1e-6, largest=1e6)
        self.threshold = check_positive(threshold, "threshold", smallest=1e-15, largest=1.0)

    def _kernel(self, local):
        return REMatch(
            local,
            match_groups=False,
            normalize=self.normalize_kernel,
            gamma=2 * self.alpha,
            tolerance=self.threshold,
            max_sweeps=1_000_000,
            stop="scalings",
        )


def _rows(arrays, name):
    arrays = [as_numbers(array, name) for array in check_items(arrays, name, "a list of (n_atoms, n_features) arrays")]
    if not arrays or any(array.ndim != 2 or array.shape[1:] != arrays[0].shape[1:] for array in arrays):
        shapes = [array.shape for array in arrays[:5]]
        raise DataError(f"{name} has shapes {shapes}; expected a list of (n_atoms, n_features) arrays.")
    return StructureRows(np.concatenate(arrays), np.cumsum([0, *map(len, arrays)]))
