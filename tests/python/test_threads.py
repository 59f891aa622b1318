"""Number of threads of the core: who sets it, and what happens after a fork."""

import multiprocessing
import os
import subprocess
import sys
import threading

import mercer
import pytest
import threadpoolctl
from mercer._core import core


@pytest.fixture(autouse=True)
def default_threads():
    mercer.set_num_threads(0)
    yield
    mercer.set_num_threads(0)


def threads_in_subprocess(code="import mercer", **environment):
    env = {key: value for key, value in os.environ.items() if not key.startswith("OMP_")}
    code = f"{code}; from mercer._core import core; print(core.num_threads(), core.threads_of_a_loop())"
    output = subprocess.run(
        [sys.executable, "-c", code], env={**env, **environment}, capture_output=True, text=True, timeout=60, check=True
    ).stdout
    return [int(word) for word in output.split()]


def loop_with_threads(n):
    mercer.set_num_threads(n)
    return core.num_threads(), core.threads_of_a_loop()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_set_num_threads(n):
    assert loop_with_threads(n) == (n, n)


@pytest.mark.parametrize("n", [-1, 1.5, "2", True])
def test_wrong_numbers_are_refused(n):
    before = core.num_threads()
    for use in (mercer.set_num_threads, lambda n: mercer.threads(n).__enter__()):
        with pytest.raises(mercer.errors.ConfigError, match=f"number of threads={n!r}: expected an integer >= 0"):
            use(n)
    assert core.num_threads() == before


def test_with_threads_restores_what_was():
    mercer.set_num_threads(3)
    with mercer.threads(1):
        assert core.num_threads() == 1
        with mercer.threads(2):
            assert core.num_threads() == 2
        assert core.num_threads() == 1
    assert core.num_threads() == 3
    with pytest.raises(KeyError), mercer.threads(1):
        raise KeyError
    assert core.num_threads() == 3


def test_with_threads_none_changes_nothing():
    mercer.set_num_threads(3)
    with mercer.threads(None):
        assert core.num_threads() == 3


@pytest.mark.parametrize("n", [1, 3])
def test_omp_num_threads_is_the_default(n):
    assert threads_in_subprocess(OMP_NUM_THREADS=str(n)) == [n, n]


def test_set_num_threads_wins_over_the_environment():
    assert threads_in_subprocess("import mercer; mercer.set_num_threads(2)", OMP_NUM_THREADS="3") == [2, 2]


def test_the_default_is_at_most_the_number_of_usable_cores():
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert 1 <= threads_in_subprocess()[0] <= usable


@pytest.mark.parametrize("n", [1, 3])
def test_threadpoolctl_is_respected(n):
    with threadpoolctl.threadpool_limits(limits=n, user_api="openmp"):
        assert core.num_threads() == n
        assert core.threads_of_a_loop() == n


def put_loop_with_threads(queue, n):
    queue.put(loop_with_threads(n))


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")
def test_a_forked_child_runs_on_one_thread_and_does_not_hang():
    """A second team of OpenMP threads would wait for ever in the child: its threads stayed in the parent."""
    assert loop_with_threads(2) == (2, 2)
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=put_loop_with_threads, args=(queue, 2))
    child.start()
    child.join(20)
    hung = child.is_alive()
    child.kill()
    assert not hung
    assert child.exitcode == 0
    assert queue.get() == (1, 1)
    assert core.threads_of_a_loop() == 2


def test_a_spawned_child_uses_its_threads():
    assert loop_with_threads(2) == (2, 2)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(loop_with_threads, (2,)) == (2, 2)


@pytest.mark.parametrize("before", [0, 3])
@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_blocks_that_are_left_in_any_order_leave_what_was(before, order):
    """Each block is in a thread of its own; inside, the last one entered of those still open counts."""
    mercer.set_num_threads(before)
    numbers = 1, 2, 5
    leave = [threading.Event() for _ in numbers]
    blocks = []
    for n, event in zip(numbers, leave, strict=True):
        entered = threading.Event()

        def block(n=n, event=event, entered=entered):
            with mercer.threads(n):
                entered.set()
                event.wait(20)

        blocks.append(threading.Thread(target=block))
        blocks[-1].start()
        assert entered.wait(20)
    inside = set(range(3))
    for k in order:
        assert core.fixed_num_threads() == numbers[max(inside)]
        leave[k].set()
        blocks[k].join(20)
        inside.remove(k)
    assert core.fixed_num_threads() == before


def test_many_threads_with_blocks_of_their_own():
    def work(n):
        for _ in range(200):
            with mercer.threads(n), mercer.threads(n + 1):
                pass

    workers = [threading.Thread(target=work, args=(n,)) for n in range(1, 9)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert core.fixed_num_threads() == 0
