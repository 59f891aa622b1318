"""Energy rows against sums of the whole kernel matrix."""

from itertools import pairwise

import mercer
import numpy as np
import pytest
from mercer.errors import ConfigError, DataError
from mercer.kernels import KERNELS, Polynomial
from mercer.rows import energy_rows, self_kernel_sums

ALL = pytest.mark.parametrize("kernel", [cls() for cls in KERNELS.values()], ids=repr)

#: Atoms per frame: none, one, many small ones in one piece, more empty frames than a piece holds, frames longer than
#: a piece (one of them a multiple of it), nothing at all.
FRAMES = {
    "mixed": [0, 1, 5, 0, 700, 324, 1, 0],
    "small": [3, 1, 2] * 200,
    "empty": [2] + [0] * 600 + [3],
    "long": [1025, 2048, 10, 1024],
    "none": [],
}


def data(counts, n_features=6, m=300):
    rng = np.random.default_rng(sum(counts))
    X = np.abs(rng.normal(size=(sum(counts), n_features)))
    Y = np.abs(rng.normal(size=(m, n_features)))
    offsets = np.concatenate([[0], np.cumsum(counts, dtype=int)])
    return X, offsets, Y, rng.choice([6, 1, 8], len(X)), rng.choice([1, 6, 14], m)


def summed(K, offsets):
    return np.array([K[a:b].sum(axis=0) for a, b in pairwise(offsets)]).reshape(-1, K.shape[1])


@ALL
@pytest.mark.parametrize("counts", FRAMES.values(), ids=FRAMES)
def test_energy_rows(kernel, counts):
    X, offsets, Y, gx, gy = data(counts)
    np.testing.assert_allclose(energy_rows(kernel, X, offsets, Y), summed(kernel(X, Y), offsets), rtol=1e-11)
    out = np.full((len(counts), len(Y)), np.nan)
    grouped = energy_rows(kernel, X, offsets, Y, x_groups=gx, y_groups=gy, out=out)
    assert grouped is out
    np.testing.assert_allclose(grouped, summed(kernel(X, Y, x_groups=gx, y_groups=gy), offsets), rtol=1e-11)
    assert np.all(grouped[:, gy == 14] == 0)


@ALL
@pytest.mark.parametrize("counts", FRAMES.values(), ids=FRAMES)
def test_self_kernel_sums(kernel, counts):
    X, offsets, _, groups, _ = data(counts)
    for gx in (None, groups):
        sums = self_kernel_sums(kernel, X, offsets, groups=gx)
        expected = [kernel(X[a:b], x_groups=None if gx is None else gx[a:b]).sum() for a, b in pairwise(offsets)]
        np.testing.assert_allclose(sums, expected, rtol=1e-11)


def test_threads_change_nothing():
    X, offsets, Y, gx, gy = data([5, 1500, 0, 300, 2, 2, 2])
    results = []
    for n in (1, 2, 3):
        with mercer.threads(n):
            results.append(
                (
                    energy_rows(Polynomial(), X, offsets, Y),
                    energy_rows(Polynomial(), X, offsets, Y, x_groups=gx, y_groups=gy),
                    self_kernel_sums(Polynomial(), X, offsets, groups=gx),
                )
            )
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_no_representatives():
    assert energy_rows(Polynomial(), np.ones((3, 2)), [0, 1, 3], np.ones((0, 2))).shape == (2, 0)


@pytest.mark.parametrize("offsets", [[0, 2], [1, 4], [0, 3, 2, 4], [], [[0, 4]], [0, 5]])
def test_bad_offsets(offsets):
    for call in (
        lambda: energy_rows(Polynomial(), np.ones((4, 2)), offsets, np.ones((1, 2))),
        lambda: self_kernel_sums(Polynomial(), np.ones((4, 2)), offsets),
    ):
        with pytest.raises(DataError, match="rise from 0 to 4"):
            call()


def test_other_errors():
    X = np.ones((4, 2))
    with pytest.raises(DataError, match="same descriptor"):
        energy_rows(Polynomial(), X, [0, 4], np.ones((1, 3)))
    with pytest.raises(DataError, match="out"):
        energy_rows(Polynomial(), X, [0, 4], X, out=np.empty((4, 4)))
    with pytest.raises(ConfigError, match="x_groups is missing"):
        energy_rows(Polynomial(), X, [0, 4], X, y_groups=[1] * 4)
