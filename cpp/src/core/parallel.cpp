#include "mercer/core/parallel.hpp"

#include <pthread.h>

#include "mercer/core/error.hpp"

namespace mercer {
namespace {

std::atomic<int> fixed_threads{0};
std::atomic<bool> forked_child{false};

void after_fork_in_child() { forked_child.store(true); }
const int fork_handler = pthread_atfork(nullptr, nullptr, after_fork_in_child);

}  // namespace

void set_num_threads(int n) {
  MERCER_REQUIRE(n >= 0, "set_num_threads: n = ", n, ", expected a positive number, or 0 for the default");
  fixed_threads.store(n);
}

int fixed_num_threads() { return fixed_threads.load(); }

int num_threads() {
  if (fork_handler != 0 || forked_child.load() || omp_in_parallel()) return 1;
  const int fixed = fixed_num_threads();
  return fixed > 0 ? fixed : std::max(1, omp_get_max_threads());
}

}  // namespace mercer
