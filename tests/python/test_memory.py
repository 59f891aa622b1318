"""Arrays from the buffer pool: they own their memory, and it is used again."""

import gc

import numpy as np
import pytest
from mercer._core import core


@pytest.fixture(autouse=True)
def empty_pool():
    gc.collect()  # what other tests have left must not come back in between
    core.trim_pool()
    yield
    core.trim_pool()


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0)])
def test_empty_arrays(shape):
    assert core.empty(*shape).shape == shape


def test_memory_comes_back_when_the_last_view_dies():
    array = core.empty(300, 1000)
    assert array.flags.c_contiguous and array.flags.writeable and array.dtype == np.float64
    address = array.ctypes.data
    assert address % 64 == 0
    view = array[10:20]
    view[:] = 7.0
    del array
    gc.collect()
    assert core.pool_unused_bytes() == 0
    other = core.empty(300, 1000)
    assert other.ctypes.data != address
    assert (view == 7.0).all()
    del view
    gc.collect()
    assert core.pool_unused_bytes() >= 300 * 1000 * 8
    assert core.empty(300, 1000).ctypes.data == address


def test_no_growth_over_many_calls():
    for _ in range(1000):
        core.empty(300, 1000)
    assert core.pool_unused_bytes() < 2 * 300 * 1000 * 8


def test_impossible_sizes_are_memory_errors():
    with pytest.raises(MemoryError):
        core.empty(-1, 5)
    with pytest.raises(MemoryError):
        core.empty(2**62, 2**40)
