"""A signal ends long calls of the core, soon."""

import signal
import time

import mercer
import numpy as np
import pytest
from ase.build import bulk
from mercer import kernels
from mercer._core import core
from mercer.descriptors import MBTR, AverageSOAP, EwaldMatrix
from mercer.rows import label_rows

#: Seconds of processor time before the signal, and after it at the most for each thread; the calls take 4 and more.
BEFORE, SOON = 0.3, 1.0


class Ended(Exception):
    pass


def crystal(n):
    atoms = bulk("Si", cubic=True).repeat(n)
    atoms.rattle(0.05, seed=1)
    return atoms


def neighbours():
    frames = [crystal(12)] * 40
    return lambda: mercer.descriptors.Environments.of(frames, 12.0)


def reverse_pass():
    soap = AverageSOAP("Si", 9.0, 12, 12, 0.4)
    environments = soap.environments([crystal(5)] * 20)
    dY_dX = np.ones((20, soap.n_features))
    return lambda: soap.vjp(environments, dY_dX)


def kernel_matrix():
    X = np.random.default_rng(0).normal(size=(6000, 3000))
    return lambda: kernels.Laplacian(20.0)(X)


def rows_of_forces():
    soap = mercer.SOAP("Si", 6.0, 12, 10, 0.4)
    environments = soap.environments(crystal(4))
    points = soap.transform(crystal(3))[:200]
    args = (soap, kernels.Polynomial(zeta=4), environments, np.tile(points, (5, 1)), np.full(1000, 14))
    return lambda: label_rows(*args, energy=True, forces=True, virial=True, match_groups=True)


def tensors():
    k3 = {"geometry": "angle", "grid": (0, 3.2, 100), "sigma": 0.05, "weight": "inverse_square", "r_cut": 8.0}
    mbtr = MBTR("Si", k3=k3, max_tuples=1e12)
    environments = mbtr.environments([crystal(3)] * 50)
    return lambda: mbtr.transform(environments)


def lattice_sums():
    frames = [crystal(2)] * 200
    return lambda: EwaldMatrix(64).transform(frames)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("prepare", [neighbours, reverse_pass, kernel_matrix, rows_of_forces, tensors, lattice_sums])
def test_a_signal_ends_the_call(prepare, threads):
    call = prepare()

    def end(*_):
        raise Ended

    before = signal.signal(signal.SIGPROF, end)
    try:
        with mercer.threads(threads), pytest.raises(Ended):
            signal.setitimer(signal.ITIMER_PROF, BEFORE)
            start = time.process_time()
            call()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    assert time.process_time() - start <= BEFORE + threads * SOON


def test_what_was_ended_can_be_called_again():
    X = np.random.default_rng(0).normal(size=(300, 20))
    expected, threads = kernels.Gaussian(3.0)(X), core.num_threads()
    test_a_signal_ends_the_call(kernel_matrix, 2)
    assert np.array_equal(kernels.Gaussian(3.0)(X), expected)
    assert core.num_threads() == threads
