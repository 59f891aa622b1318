"""Solvers against extended precision, dense formulas and brute force."""

import io
import warnings

import mpmath
import numpy as np
import pytest
from mercer import threads
from mercer.errors import ConfigError, DataError
from mercer.kernels import Gaussian
from mercer.linalg import (
    SOLVERS,
    DenseSystem,
    SparseCovariance,
    SparseSystem,
    is_positive_semidefinite,
    smallest_eigenvalue,
    whitening_factor,
)
from threadpoolctl import threadpool_info, threadpool_limits

SIGMA = 0.05
STABLE = [name for name in SOLVERS if name != "normal"]


class Problem:
    """Noisy labels of a smooth function in three dimensions."""

    def __init__(self, n=120, m=25, length_scale=1.0, sigma=SIGMA, seed=0):
        rng = np.random.default_rng(seed)
        self.kernel = Gaussian(length_scale=length_scale)
        self.X = rng.normal(size=(n, 3))
        self.X_new = rng.normal(size=(30, 3))
        self.Z = self.X[:m].copy()
        self.sigma = sigma * rng.uniform(0.5, 2.0, n)
        self.y = np.sin(self.X[:, 0]) + self.X[:, 1] * self.X[:, 2] + self.sigma * rng.normal(size=n)

    def solve(self, solver="whitened", Z=None, **options):
        Z = self.Z if Z is None else Z
        system = SparseSystem(self.kernel(Z), solver=solver, **options)
        system.update(self.kernel(self.X, Z), self.y, self.sigma)
        return system.solve()

    def predict(self, solution, Z=None):
        return self.kernel(self.X_new, self.Z if Z is None else Z) @ solution.weights

    def exact(self):
        """Predictions, and the loss as a function of the weights, in 60 digits."""
        with mpmath.workdps(60):
            scale = 2 * mpmath.mpf(self.kernel.length_scale) ** 2

            def gram(A, B):
                rows = [
                    [mpmath.exp(-sum((mpmath.mpf(p) - q) ** 2 for p, q in zip(a, b, strict=True)) / scale) for b in B]
                    for a in A
                ]
                return mpmath.matrix(rows)

            K_MM, K_LM, K_XM = (gram(A.tolist(), self.Z.tolist()) for A in (self.Z, self.X, self.X_new))
            y = mpmath.matrix(self.y.tolist())
            weighted = K_LM.copy()
            for i, s in enumerate(self.sigma.tolist()):
                for j in range(weighted.cols):
                    weighted[i, j] /= mpmath.mpf(s) ** 2
            c = mpmath.lu_solve(K_MM + weighted.T * K_LM, weighted.T * y)

            def loss(weights):
                with mpmath.workdps(60):
                    w = mpmath.matrix(weights.tolist())
                    r = K_LM * w - y
                    data = sum((a / mpmath.mpf(s)) ** 2 for a, s in zip(r, self.sigma.tolist(), strict=True))
                    return data + (w.T * K_MM * w)[0]

            best = loss(c)
            return np.array((K_XM * c).tolist(), dtype=float)[:, 0], lambda weights: float(loss(weights) / best - 1)


@pytest.fixture(scope="module")
def problem():
    return Problem()


@pytest.fixture(scope="module")
def dense(problem):
    """C of the marginal likelihood, and the posterior covariance of the weights, by the formulas as printed."""
    K_MM, K_LM = problem.kernel(problem.Z), problem.kernel(problem.X, problem.Z)
    C = K_LM @ np.linalg.solve(K_MM, K_LM.T) + np.diag(problem.sigma**2)
    sigma_c = np.linalg.inv(K_MM + (K_LM.T / problem.sigma**2) @ K_LM)
    return C, sigma_c


@pytest.mark.parametrize("solver", SOLVERS)
def test_equals_extended_precision(problem, solver):
    expected, excess = problem.exact()
    solution = problem.solve(solver)
    assert np.abs(problem.predict(solution) - expected).max() <= 1e-9 * np.abs(expected).max()
    assert abs(excess(solution.weights)) <= 1e-12


def test_ill_conditioned():
    # cond(K_MM) 1e12 and sigma 1e-3: the normal equations would need 30 digits
    problem = Problem(n=80, m=50, length_scale=5.0, sigma=1e-3)
    assert np.linalg.cond(problem.kernel(problem.Z)) > 1e11
    _, excess = problem.exact()
    losses = {solver: excess(problem.solve(solver).weights) for solver in STABLE}
    assert max(losses.values()) <= 1e-6, losses
    try:
        assert excess(problem.solve("normal").weights) >= 1e3 * max(losses.values())
    except DataError as error:
        assert "solver='whitened'" in str(error)


@pytest.mark.parametrize("solver", STABLE)
@pytest.mark.parametrize("shift", [0.0, 1e-15, 1e-12, 1e-9])
def test_duplicated_sparse_points(problem, solver, shift):
    rng = np.random.default_rng(1)
    copies = problem.Z[rng.integers(0, 3, 100)]
    Z = np.concatenate([problem.Z, copies + shift * rng.normal(size=copies.shape)])
    plain, crowded = problem.solve(solver), problem.solve(solver, Z)
    expected = problem.predict(plain)
    assert np.abs(problem.predict(crowded, Z) - expected).max() <= 1e-8
    assert plain.rank == crowded.rank == len(problem.Z)
    assert len(crowded.dropped) == 100 and len(plain.dropped) == 0
    assert np.all(crowded.weights[crowded.dropped] == 0)
    assert abs(crowded.log_marginal_likelihood - plain.log_marginal_likelihood) <= 1e-6
    assert "25 of 125 sparse points kept (100 depend on the others" in crowded.report()


@pytest.mark.parametrize("solver", STABLE)
@pytest.mark.parametrize("shift", [1e-6, 1e-4])
def test_near_duplicates_keep_the_fit(problem, solver, shift):
    rng = np.random.default_rng(2)
    Z = np.concatenate([problem.Z, problem.Z + shift * rng.normal(size=problem.Z.shape)])
    # the added points span derivatives of the kernel: the model changes, but to that of more points, not to noise
    solution = problem.solve(solver, Z)
    full = DenseSystem(problem.kernel(problem.X), problem.sigma**2).solve(problem.y)
    reference = problem.kernel(problem.X_new, problem.X) @ full
    before = np.abs(problem.predict(problem.solve(solver)) - reference).max()
    assert np.abs(problem.predict(solution, Z) - reference).max() <= 2 * before
    assert np.isfinite(solution.log_marginal_likelihood) and solution.condition_number < 1e16


@pytest.mark.parametrize("noise", [1e-14, 1e-12, 1e-10])
def test_rank_tolerance_rises_above_noisy_kernels(problem, noise):
    rng = np.random.default_rng(3)
    Z = np.concatenate([problem.Z, np.repeat(problem.Z[:2], 40, axis=0)])
    error = noise * rng.normal(size=(len(Z), len(Z)))
    factor = whitening_factor(problem.kernel(Z) + error + error.T)
    assert factor.rank == len(problem.Z)
    assert factor.rank_tol >= noise


def test_smallest_pivot():
    for variance, rank in ((1e-13, 1), (1e-11, 2)):  # 1 - k^2 = 2 (1 - k)
        k = 1 - variance / 2
        assert whitening_factor([[1.0, k], [k, 1.0]]).rank == rank
    assert whitening_factor([[1.0, k], [k, 1.0]], rank_tol=1e-3).rank == 1


def test_smallest_pivot_of_each_point(problem):
    k = 1 - 0.5e-9  # variances of 1e-9, of two pairs of points that know nothing of each other
    K = np.kron(np.eye(2), [[1.0, k], [k, 1.0]])
    K[2:] *= 1e6
    factor = whitening_factor(K, pivot_floor=np.array([1e-10, 1e-10, 1e-8, 1e-8]))
    assert sorted(factor.points) in ([0, 1, 2], [0, 1, 3])
    assert factor.rank_tol == 1e-8
    kept = K[np.ix_(factor.points, factor.points)]
    assert np.abs(factor.lower @ factor.lower.T - kept).max() <= 1e-15 * np.abs(kept).max()
    assert whitening_factor(K, pivot_floor=1e-8).rank == 2 and whitening_factor(K, pivot_floor=1e-10).rank == 4


def test_whitening_factor(problem):
    K = problem.kernel(problem.Z)
    scale = 10.0 ** np.linspace(-6, 6, len(K))
    factor = whitening_factor(K * scale * scale[:, None])  # terms of very different magnitude keep their points
    assert sorted(factor.points) == list(range(len(K)))
    rebuilt = factor.lower @ factor.lower.T
    wanted = (K * scale * scale[:, None])[np.ix_(factor.points, factor.points)]
    assert np.abs(rebuilt / wanted - 1).max() <= 1e-9
    assert whitening_factor(K, jitter=1e-3).lower[0, 0] == pytest.approx(np.sqrt(1.001), rel=1e-14)
    K[3] = K[:, 3] = 0.0  # a sparse point without features
    assert list(whitening_factor(K).dropped) == [3]


@pytest.mark.parametrize("solver", SOLVERS)
def test_blocks_and_merge(problem, solver, monkeypatch):
    K_MM, K_LM = problem.kernel(problem.Z), problem.kernel(problem.X, problem.Z)
    whole = problem.solve(solver)
    monkeypatch.setattr("mercer.linalg._CHUNK", 7)
    streamed, other = SparseSystem(K_MM, solver=solver), SparseSystem(K_MM, solver=solver)
    for system, rows in (
        (streamed, slice(0, 50)),
        (other, slice(50, 51)),
        (other, slice(51, 51)),
        (other, slice(51, 120)),
    ):
        system.update(K_LM[rows], problem.y[rows], problem.sigma[rows])
    buffer = io.BytesIO()
    np.savez(buffer, **other.state())
    buffer.seek(0)
    restored = SparseSystem.from_state(np.load(buffer, allow_pickle=False))
    assert np.array_equal(restored.solve().weights, other.solve().weights)
    streamed.merge(restored)
    merged = streamed.solve()
    tolerance = 1e-5 if solver == "normal" else 1e-10
    assert np.abs(problem.predict(merged) - problem.predict(whole)).max() <= tolerance
    assert merged.log_marginal_likelihood == pytest.approx(whole.log_marginal_likelihood, rel=1e-7)
    assert merged.n_rows == whole.n_rows == 120
    with pytest.raises(DataError, match="make both from one K_MM"):
        streamed.merge(SparseSystem(2 * K_MM, solver=solver))


def test_update_keeps_its_arguments_and_refuses_without_change(problem):
    K_LM = problem.kernel(problem.X, problem.Z)
    K_before, y_before = K_LM.copy(), problem.y.copy()
    system = SparseSystem(problem.kernel(problem.Z))
    system.update(K_LM, problem.y, SIGMA)
    weights = system.solve().weights
    assert np.array_equal(K_LM, K_before) and np.array_equal(problem.y, y_before)
    broken = problem.y.copy()
    broken[100] = np.nan
    with pytest.raises(DataError, match=r"y\[100\] is nan"):
        system.update(K_LM, broken, SIGMA)
    with pytest.raises(DataError, match=r"K_LM\[1, 2\] is inf"):
        system.update(np.where(np.arange(25) == 2, [[0.0], [np.inf]], 0.0), [0.0, 0.0], SIGMA)
    with pytest.raises(ConfigError, match=r"sigma .noise. must be finite and > 0"):
        system.update(K_LM, problem.y, 0.0)
    with pytest.raises(DataError, match=r"K_LM has shape \(120, 3\); expected \(n_rows, 25\)"):
        system.update(K_LM[:, :3], problem.y, SIGMA)
    with pytest.raises(DataError, match=r"y has shape \(3,\)"):
        system.update(K_LM, problem.y[:3], SIGMA)
    with pytest.raises(DataError, match="sigma has shape"):
        system.update(K_LM, problem.y, problem.sigma[:3])
    assert np.array_equal(system.solve().weights, weights)


@pytest.mark.parametrize("solver", SOLVERS)
def test_log_marginal_likelihood(problem, dense, solver):
    C, _ = dense
    y = problem.y
    expected = -0.5 * (y @ np.linalg.solve(C, y) + np.linalg.slogdet(C)[1] + len(y) * np.log(2 * np.pi))
    assert problem.solve(solver).log_marginal_likelihood == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("solver", SOLVERS)
def test_variance(problem, dense, solver):
    K_MM, K_XM = problem.kernel(problem.Z), problem.kernel(problem.X_new, problem.Z)
    _, sigma_c = dense
    K_XX = problem.kernel(problem.X_new)
    expected = K_XX - K_XM @ np.linalg.solve(K_MM, K_XM.T) + K_XM @ sigma_c @ K_XM.T
    covariance = problem.solve(solver).covariance
    assert np.abs(covariance.variance(K_XM, np.ones(30)) - expected.diagonal()).max() <= 1e-9
    assert np.abs(covariance.covariance(K_XM, K_XX) - expected).max() <= 1e-9
    # a sum over atoms is a linear functional: summed rows, and the sum over all pairs
    total = covariance.variance(K_XM.sum(axis=0)[None], [K_XX.sum()])
    assert total[0] == pytest.approx(expected.sum(), rel=1e-8)
    assert np.all(covariance.variance(K_MM, np.ones(25)) >= 0)
    assert covariance.variance(np.zeros((1, 25)), [1.0])[0] == 1.0
    # what is saved is enough, in the layout that the class describes
    rebuilt = SparseCovariance(covariance.points, covariance.factors.copy())
    assert np.array_equal(rebuilt.variance(K_XM, np.ones(30)), covariance.variance(K_XM, np.ones(30)))
    lower, lower_a = np.tril(covariance.factors[1:]), np.triu(covariance.factors[:-1]).T
    assert np.abs(lower @ lower.T - K_MM[np.ix_(covariance.points, covariance.points)]).max() <= 1e-12
    inverse = np.linalg.inv(lower @ lower_a @ lower_a.T @ lower.T)
    assert np.abs(inverse - sigma_c[np.ix_(covariance.points, covariance.points)]).max() <= 1e-6 * np.abs(sigma_c).max()


@pytest.mark.parametrize("solver", STABLE)
def test_fitc(problem, dense, solver):
    K_MM, K_LM = problem.kernel(problem.Z), problem.kernel(problem.X, problem.Z)
    system = SparseSystem(K_MM, solver=solver)
    system.update(K_LM, problem.y, problem.sigma, prior_variance=np.ones(120))
    noise = problem.sigma**2 + 1 - np.einsum("lm,lm->l", K_LM, np.linalg.solve(K_MM, K_LM.T).T)
    weights = np.linalg.solve(K_MM + (K_LM.T / noise) @ K_LM, K_LM.T @ (problem.y / noise))
    assert np.abs(K_LM @ (system.solve().weights - weights)).max() <= 1e-9
    with pytest.raises(ConfigError, match="fitc"):
        SparseSystem(K_MM, solver="normal").update(K_LM, problem.y, 1.0, prior_variance=np.ones(120))


def test_sparse_leave_one_out(problem):
    K_MM, K_LM = problem.kernel(problem.Z), problem.kernel(problem.X, problem.Z)
    solution = problem.solve()
    leverage = solution.covariance.leverage(K_LM, problem.sigma)
    residuals = (problem.y - K_LM @ solution.weights) / (1 - leverage)
    for i in (0, 30, 119):
        rest = np.arange(120) != i
        system = SparseSystem(K_MM)
        system.update(K_LM[rest], problem.y[rest], problem.sigma[rest])
        assert residuals[i] == pytest.approx(problem.y[i] - K_LM[i] @ system.solve().weights, rel=1e-8)


@pytest.mark.parametrize("solver", SOLVERS)
def test_several_targets(problem, solver):
    targets = np.stack([problem.y, np.cos(problem.X[:, 0]), np.zeros(120)], axis=1)
    K_MM, K_LM = problem.kernel(problem.Z), problem.kernel(problem.X, problem.Z)
    together = SparseSystem(K_MM, solver=solver, n_targets=3)
    together.update(K_LM, targets, problem.sigma)
    solution = together.solve()
    likelihood = 0.0
    for t in range(3):
        alone = SparseSystem(K_MM, solver=solver)
        alone.update(K_LM, targets[:, t], problem.sigma)
        alone = alone.solve()
        assert np.abs(K_LM @ (alone.weights - solution.weights[:, t])).max() <= 1e-9
        likelihood += alone.log_marginal_likelihood
    assert solution.log_marginal_likelihood == pytest.approx(likelihood, rel=1e-9)


@pytest.mark.parametrize("solver", SOLVERS)
def test_closed_form_of_one_point(solver):
    # K_MM = 4, two labels 1 and 3 with k = 2 and sigma = 1: c = 2 (1 + 3) / (4 + 2 * 4) = 2/3
    system = SparseSystem([[4.0]], solver=solver)
    system.update([[2.0], [2.0]], [1.0, 3.0], 1.0)
    solution = system.solve()
    assert solution.weights == pytest.approx([2 / 3], rel=1e-14)
    assert solution.covariance.variance([[2.0]], [1.0]) == pytest.approx([4 / 12], rel=1e-14)
    C = np.array([[2.0, 1.0], [1.0, 2.0]])
    expected = -0.5 * (np.array([1, 3]) @ np.linalg.solve(C, [1, 3]) + np.log(3.0) + 2 * np.log(2 * np.pi))
    assert solution.log_marginal_likelihood == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("solver", SOLVERS)
def test_without_labels_is_the_prior(problem, solver):
    solution = SparseSystem(problem.kernel(problem.Z), solver=solver).solve()
    assert np.all(solution.weights == 0)
    assert solution.log_marginal_likelihood == pytest.approx(0.0, abs=1e-9)
    K_XM = problem.kernel(problem.X_new, problem.Z)
    assert np.abs(solution.covariance.variance(K_XM, np.ones(30)) - 1).max() <= 1e-9


@pytest.mark.parametrize("solver", STABLE)
def test_number_of_threads(solver, monkeypatch):
    monkeypatch.setattr("mercer.linalg._WORTH_THREADS", 0)
    problem = Problem(n=1500, m=300, length_scale=1.5)
    solutions = []
    for n_threads in (1, 2):
        with threads(n_threads), threadpool_limits(n_threads):
            solutions.append(problem.solve(solver))
            assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {n_threads}
    one, two = solutions
    assert one.condition_number_kmm > 1e9
    assert np.array_equal(one.weights, two.weights)
    assert np.array_equal(one.covariance.factors, two.covariance.factors)
    assert one.log_marginal_likelihood == two.log_marginal_likelihood


def test_bad_sparse_systems():
    with pytest.raises(ConfigError, match=r"solver='whitend' is unknown.*Did you mean 'whitened'"):
        SparseSystem(np.eye(2), solver="whitend")
    with pytest.raises(DataError, match=r"K_MM has shape \(2, 3\)"):
        SparseSystem(np.ones((2, 3)))
    with pytest.raises(DataError, match=r"K_MM\[0, 1\] is nan"):
        SparseSystem([[1.0, np.nan], [0.0, 1.0]])
    with pytest.raises(DataError, match="all sparse points have zero features"):
        SparseSystem(np.zeros((2, 2)))
    with pytest.raises(ConfigError, match="jitter=-1"):
        SparseSystem(np.eye(2), jitter=-1.0)
    with pytest.raises(DataError, match="n_targets=1"):
        SparseSystem(np.eye(2)).update(np.eye(2), np.eye(2), 1.0)


# --- dense -----------------------------------------------------------------------------------------------------------


def test_dense_solve(problem):
    K = problem.kernel(problem.X)
    kept = K.copy()
    system = DenseSystem(K, problem.sigma**2)
    C = K + np.diag(problem.sigma**2)
    targets = np.stack([problem.y, problem.X[:, 0]], axis=1)
    assert np.array_equal(K, kept) and system.jitter == 0
    assert np.abs(C @ system.solve(targets) - targets).max() <= 1e-10
    assert np.array_equal(system.solve(problem.y), system.solve(targets[:, :1])[:, 0])
    assert np.abs(system.inverse() @ C - np.eye(120)).max() <= 1e-9
    y = problem.y
    expected = -0.5 * (y @ np.linalg.solve(C, y) + np.linalg.slogdet(C)[1] + len(y) * np.log(2 * np.pi))
    assert system.log_marginal_likelihood(y) == pytest.approx(expected, rel=1e-11)
    assert system.log_marginal_likelihood(targets[:, [0, 0]]) == pytest.approx(2 * expected, rel=1e-11)
    assert np.array_equal(DenseSystem(K.copy(), problem.sigma**2, overwrite=True).solve(y), system.solve(y))


def test_dense_variance(problem):
    K, K_XN = problem.kernel(problem.X), problem.kernel(problem.X_new, problem.X)
    system = DenseSystem(K, problem.sigma**2)
    K_XX = problem.kernel(problem.X_new)
    expected = K_XX - K_XN @ np.linalg.solve(K + np.diag(problem.sigma**2), K_XN.T)
    assert np.abs(system.covariance(K_XN, K_XX) - expected).max() <= 1e-10
    assert np.abs(system.variance(K_XN, np.ones(30)) - expected.diagonal()).max() <= 1e-10


@pytest.mark.parametrize("grouped", [False, True])
def test_dense_leave_out(problem, grouped):
    K = problem.kernel(problem.X)
    groups = np.arange(120) % 17 if grouped else None
    targets = np.stack([problem.y, problem.X[:, 0]], axis=1)
    residuals = DenseSystem(K, problem.sigma**2).leave_out(targets, groups)
    labels = np.arange(120) if groups is None else groups
    for label in (0, 5, 16):
        out = labels == label
        rest = DenseSystem(K[np.ix_(~out, ~out)], problem.sigma[~out] ** 2).solve(targets[~out])
        assert np.abs(residuals[out] - (targets[out] - K[np.ix_(out, ~out)] @ rest)).max() <= 1e-9
    with pytest.raises(DataError, match="groups has shape"):
        DenseSystem(K, problem.sigma**2).leave_out(targets, [1, 2])


def test_dense_jitter():
    K = np.ones((50, 50))
    with pytest.raises(DataError, match=r"Raise alpha.*remove duplicates"):
        DenseSystem(K - 1e-9 * np.eye(50), 0.0, remedy="alpha")
    system = DenseSystem(K - 1e-9 * np.eye(50), 0.0, jitter="auto")
    assert 1e-9 < system.jitter <= 1e-8
    with pytest.raises(DataError, match=r"even with a jitter of 9\.0e-07"):
        DenseSystem(np.ones((3, 3)) - 0.1 * np.arange(3) * np.eye(3), 0.0, jitter="auto", remedy="noise")
    assert DenseSystem(np.eye(3), 1.0, jitter="auto").jitter == 0.0
    with pytest.raises(ConfigError, match="noise must be finite and >= 0"):
        DenseSystem(np.eye(3), -1.0)
    with pytest.raises(DataError, match=r"noise has shape \(2,\)"):
        DenseSystem(np.eye(3), [1.0, 1.0])


def test_dense_system_in_pieces_and_on_threads():
    """Larger than a piece of the factorisation, with enough work for threads."""
    rng = np.random.default_rng(0)
    n = 1200
    half = rng.normal(size=(n, n)) / np.sqrt(n)
    K, y = half @ half.T, rng.normal(size=(n, 2))
    results = []
    for n_threads in (1, 2):
        with threads(n_threads):
            system = DenseSystem(K, 0.1)
            results.append(
                [
                    system.solve(y),
                    system.inverse(),
                    system.leave_out(y),
                    system.variance(K[:300], K.diagonal()[:300]),
                    system.covariance(K[:300], K[:300, :300]),
                ]
            )
    for one, two in zip(*results, strict=True):
        assert np.array_equal(one, two)
    C = K + 0.1 * np.eye(n)
    assert np.abs(C @ results[0][0] - y).max() <= 1e-10
    assert np.abs(C @ results[0][1] - np.eye(n)).max() <= 1e-10
    expected = K[:300, :300] - K[:300] @ np.linalg.solve(C, K[:, :300])
    assert np.abs(results[0][4] - expected).max() <= 1e-11
    assert np.abs(results[0][3] - expected.diagonal()).max() <= 1e-11
    K[700, 700] -= 10
    with pytest.raises(DataError, match="not positive definite"):
        DenseSystem(K, 0.1)


def test_definiteness():
    rng = np.random.default_rng(0)
    half = rng.normal(size=(300, 400))
    K = half @ half.T
    assert is_positive_semidefinite(K)
    assert is_positive_semidefinite(half.T @ half)  # of rank 300
    values, vectors = np.linalg.eigh(K)
    values[0] = -1e-3 * values[-1]
    K = vectors * values @ vectors.T
    assert not is_positive_semidefinite(K)
    assert abs(smallest_eigenvalue(K) - values[0]) <= 0.01 * values[-1]
    assert abs(smallest_eigenvalue(K[:20, :20]) - np.linalg.eigvalsh(K[:20, :20])[0]) <= 1e-9


@pytest.mark.parametrize("negative", [1e-7, 1e-4, 0.3])
@pytest.mark.parametrize("n", [20, 120])
def test_smallest_eigenvalue_below_many_near_zero(n, negative):
    rng = np.random.default_rng(0)
    vectors = np.linalg.qr(rng.normal(size=(n, n)))[0]
    values = np.exp(-0.5 * np.arange(n))
    assert is_positive_semidefinite((vectors * values) @ vectors.T)
    values[-1] = -negative
    K = (vectors * values) @ vectors.T
    assert not is_positive_semidefinite(K)
    assert negative / 1.5 <= -smallest_eigenvalue(K) <= negative * 1.5


def test_normal_equations_that_are_ill_conditioned_are_told():
    """Where energies of the solvers differ, and not where they agree."""
    x = np.linspace(0.0, 1.0, 40)[:, None]
    for points, told in ((x[::10], False), (x[::2], True)):
        K, rows = (np.exp(-((a - points.T) ** 2) / 0.02) for a in (points, x))
        system = SparseSystem(K, solver="normal")
        system.update(rows, np.sin(6 * x[:, 0]), 1e-4)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            system.solve()
        assert bool(caught) == told
        assert all("condition number of the normal equations" in str(w.message) for w in caught)
