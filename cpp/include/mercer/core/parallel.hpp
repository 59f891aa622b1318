/// The only file with OpenMP directives. One level of parallelism: a loop inside a parallel loop runs serially.
#pragma once

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>

#include "mercer/core/array.hpp"
#include "mercer/core/error.hpp"
#include "mercer/core/interrupt.hpp"

namespace mercer {

/// Fixes the number of threads for the process; n = 0 returns to the default (OMP_NUM_THREADS, or what
/// omp_set_num_threads or threadpoolctl has set, or all cores).
void set_num_threads(int n);

/// What set_num_threads was last given; 0 for the default.
int fixed_num_threads();

/// The number of threads that a loop started now may use. One in a child after fork(), where a second OpenMP team
/// would hang, and one inside a parallel loop.
int num_threads();

/// body(workspace, chunk), compiled once: where the body is inlined into the serial and the parallel loop, the compiler
/// may fuse its multiplications and additions in two ways, and results would depend on the number of threads.
template <class Body, class Workspace>
#if defined(__clang__)
__attribute__((noinline))
#else
__attribute__((noinline, noclone))
#endif
void run_chunk(const Body& body, Workspace& workspace, index_t chunk) {
  body(workspace, chunk);
}

/// Calls `body(workspace, chunk)` for chunk = 0 .. n_chunks - 1, with one `make_workspace()` per thread. Which thread
/// runs a chunk is not fixed, so a result must depend on the chunk alone: then it is the same for any number of
/// threads. If chunks throw, the exception of the first of them (by number) is rethrown to the caller, as in a serial
/// loop; chunks not yet started are skipped. `check_interrupt` is called between chunks.
template <class MakeWorkspace, class Body>
void parallel_for(index_t n_chunks, const MakeWorkspace& make_workspace, const Body& body) {
  if (n_chunks <= 0) return;
  const int threads = static_cast<int>(std::min<index_t>(num_threads(), n_chunks));
  if (threads <= 1) {
    auto workspace = make_workspace();
    for (index_t chunk = 0; chunk < n_chunks; ++chunk) {
      check_interrupt();
      run_chunk(body, workspace, chunk);
    }
    return;
  }
  std::atomic<index_t> next{0};
  std::atomic<bool> failed{false};
  // Chunks are handed out in order, and one that was handed out runs, so the lowest failing chunk is always among
  // the caught ones. An exception must not leave the parallel region: that would end the process.
  std::mutex error_mutex;
  std::exception_ptr error;
  index_t error_chunk = n_chunks;
#pragma omp parallel num_threads(threads)
  {
    index_t chunk = -1;
    try {
      auto workspace = make_workspace();
      while (!failed.load(std::memory_order_relaxed)) {
        check_interrupt();
        chunk = next.fetch_add(1, std::memory_order_relaxed);
        if (chunk >= n_chunks) break;
        run_chunk(body, workspace, chunk);
      }
    } catch (...) {
      failed.store(true, std::memory_order_relaxed);
      const std::lock_guard<std::mutex> lock(error_mutex);
      if (chunk < error_chunk) {
        error_chunk = chunk;
        error = std::current_exception();
      }
    }
  }  // the barrier here makes all that the threads wrote visible to the caller
  if (error) std::rethrow_exception(error);
}

/// Calls `body(chunk)` for chunk = 0 .. n_chunks - 1 in parallel.
template <class Body>
void parallel_for(index_t n_chunks, const Body& body) {
  parallel_for(n_chunks, [] { return 0; }, [&](int&, index_t chunk) { body(chunk); });
}

/// Splits 0 .. n into chunks of `chunk_size` and calls `body(begin, end)` for each in parallel. The chunks depend on
/// n and chunk_size only, never on the number of threads.
template <class Body>
void parallel_chunks(index_t n, index_t chunk_size, const Body& body) {
  MERCER_REQUIRE(chunk_size > 0, "parallel_chunks: chunk_size = ", chunk_size, ", expected a positive number");
  const index_t n_chunks = (n + chunk_size - 1) / chunk_size;
  parallel_for(n_chunks, [&](index_t chunk) { body(chunk * chunk_size, std::min(n, (chunk + 1) * chunk_size)); });
}

/// Calls body(workspace, task) for tasks that cost `work` multiply-adds together, in parallel, as many in a row as make it
/// worth the start of a thread: small work takes one thread.
template <class MakeWorkspace, class Body>
void parallel_tasks(index_t n_tasks, double work, const MakeWorkspace& make_workspace, const Body& body) {
  constexpr double worthwhile = 2e5;
  const auto batch = static_cast<index_t>(1 + std::min<double>(n_tasks, n_tasks * worthwhile / std::max(work, 1.0)));
  parallel_for((n_tasks + batch - 1) / batch, make_workspace, [&](auto& workspace, index_t first) {
    for (index_t t = first * batch; t < std::min(n_tasks, (first + 1) * batch); ++t) body(workspace, t);
  });
}

}  // namespace mercer
