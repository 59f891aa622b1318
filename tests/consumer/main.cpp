// Uses one thing of every room that is public, linked from an installed copy. Exit status 0 if all is well.
#include <cmath>
#include <cstdio>
#include <stdexcept>
#include <vector>

#include <mercer/core/memory.hpp>
#include <mercer/core/parallel.hpp>
#include <mercer/core/version.hpp>

namespace {

bool core_works() {
  const mercer::Buffer<double> squares(1000);
  mercer::parallel_chunks(squares.size(), 64, [&](mercer::index_t begin, mercer::index_t end) {
    for (mercer::index_t i = begin; i < end; ++i) squares[i] = static_cast<double>(i * i);
  });
  double sum = 0;
  for (const double value : squares.span()) sum += value;
  return sum == 332833500.0;
}

bool errors_arrive() {
  try {
    mercer::parallel_for(10, [](mercer::index_t) { throw std::runtime_error("from a loop"); });
  } catch (const std::runtime_error&) {
    return true;
  }
  return false;
}

}  // namespace

int main() {
  std::printf("mercer %s, %d threads\n", mercer::version, mercer::num_threads());
  const bool good = core_works() && errors_arrive();
  std::puts(good ? "ok" : "FAILED");
  return good ? 0 : 1;
}
