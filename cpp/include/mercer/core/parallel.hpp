/// The only file with OpenMP directives. One level of parallelism: a loop inside a parallel loop runs serially.
#pragma once

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>

#include "mercer/core/array.hpp"

namespace mercer {

/// Fixes the number of threads for the process; n = 0 returns to the default (OMP_NUM_THREADS, or what
/// omp_set_num_threads or threadpoolctl has set, or all cores).
void set_num_threads(int n);

/// What set_num_threads was last given; 0 for the default.
int fixed_num_threads();

/// The number of threads that a loop started now may use. One in a child after fork(), where a second OpenMP team
/// would hang, and one inside a parallel loop.
int num_threads();

/// Calls `body(workspace, chunk)` for chunk = 0 .. n_chunks - 1, with one `make_workspace()` per thread. Which thread
/// runs a chunk is not fixed, so a result must depend on the chunk alone: then it is the same for any number of
/// threads. The first exception is rethrown to the caller; the remaining chunks are skipped.
template <class MakeWorkspace, class Body>
void parallel_for(index_t n_chunks, const MakeWorkspace& make_workspace, const Body& body) {
  if (n_chunks <= 0) return;
  const int threads = static_cast<int>(std::min<index_t>(num_threads(), n_chunks));
  if (threads <= 1) {
    auto workspace = make_workspace();
    for (index_t chunk = 0; chunk < n_chunks; ++chunk) body(workspace, chunk);
    return;
  }
  std::exception_ptr error;
  std::mutex error_mutex;
  std::atomic<bool> failed{false};
  const auto guard = [&](auto&& action) {
    try {
      action();
    } catch (...) {
      const std::lock_guard<std::mutex> lock(error_mutex);
      if (!error) error = std::current_exception();
      failed.store(true);
    }
  };
  std::atomic<index_t> next{0};
#pragma omp parallel num_threads(threads)
  guard([&] {
    auto workspace = make_workspace();
    for (index_t chunk = next++; chunk < n_chunks && !failed.load(std::memory_order_relaxed); chunk = next++) {
      body(workspace, chunk);
    }
  });
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
  const index_t n_chunks = (n + chunk_size - 1) / chunk_size;
  parallel_for(n_chunks, [&](index_t chunk) { body(chunk * chunk_size, std::min(n, (chunk + 1) * chunk_size)); });
}

}  // namespace mercer
