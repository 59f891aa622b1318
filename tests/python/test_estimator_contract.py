"""scikit-learn's own suite of checks, and its tools, on every estimator."""

import numpy as np
import pytest
from mercer import GPR, KRR, SparseGPR
from mercer.kernels import Gaussian, Laplacian, Polynomial
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

# the suite fits as few as ten rows, so that SparseGPR gets ten points
ESTIMATORS = [
    KRR(),
    GPR(),
    SparseGPR(Gaussian(length_scale=5.0), n_sparse=10),
    SparseGPR(Gaussian(length_scale=5.0), n_sparse=10, solver="qr", approx="fitc", selection="fps"),
]
# Checks that skip themselves: these need pandas, or an array library that SciPy was told to accept.
OPTIONAL = {"check_regressor_data_not_an_array", "check_array_api_input"}


@parametrize_with_checks(ESTIMATORS)
def test_scikit_learn(estimator, check):
    if check.func.__name__ not in OPTIONAL:
        check(estimator)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(120, 3))
    return X, np.sin(4 * X[:, 0]) + X[:, 1] * X[:, 2]


@pytest.mark.parametrize("estimator", ESTIMATORS[:3], ids=lambda e: type(e).__name__)
def test_tools_of_scikit_learn(estimator, data):
    X, y = data
    kernels = [Polynomial(zeta=1), Gaussian(length_scale=0.5), Laplacian(length_scale=1.0)]
    if "n_sparse" in estimator.get_params():
        estimator = clone(estimator).set_params(n_sparse=60)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), estimator), {f"{type(estimator).__name__.lower()}__kernel": kernels}
    )
    assert search.fit(X, y).best_score_ > 0.8
    assert search.best_params_ != {f"{type(estimator).__name__.lower()}__kernel": kernels[0]}
    copy = clone(estimator.set_params(kernel=kernels[1]))
    assert copy.kernel == kernels[1] and not hasattr(copy, "n_features_in_")


@pytest.mark.parametrize("estimator", [KRR, GPR])
def test_cross_validation_of_precomputed_kernels(estimator, data):
    X, y = data
    kernel, folds = Gaussian(length_scale=0.5), KFold(4)
    expected = cross_val_score(estimator(kernel), X, y, cv=folds)
    assert np.allclose(cross_val_score(estimator("precomputed"), kernel(X), y, cv=folds), expected, rtol=0, atol=1e-9)
