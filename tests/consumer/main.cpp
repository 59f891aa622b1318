// Core and neighbour list, linked from an installed copy. Exit status 0 if all is well.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <vector>

#include <mercer/core/memory.hpp>
#include <mercer/core/parallel.hpp>
#include <mercer/core/version.hpp>
#include <mercer/neighbors/pair_list.hpp>
#include <mercer/structure/structure_batch.hpp>

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

// Simple cubic, one atom a cell: 6 neighbours at distance a, 12 at a sqrt(2).
bool neighbors_work() {
  const std::vector<double> position{0.1, 0.2, 0.3};
  const std::vector<std::int32_t> number{84};
  mercer::StructureBatch polonium;
  polonium.append({position.data(), 1, 3}, number, {{{3.35, 0, 0}, {0, 3.35, 0}, {0, 0, 3.35}}}, {true, true, true});
  const mercer::PairList pairs = mercer::build_pair_list(polonium, 5.0);
  double sum = 0;
  for (const double distance : pairs.distances.span()) sum += distance;
  return pairs.n_pairs() == 18 && std::abs(sum - 3.35 * (6 + 12 * std::sqrt(2.0))) < 1e-12;
}

}  // namespace

int main() {
  std::printf("mercer %s, %d threads\n", mercer::version, mercer::num_threads());
  const bool good = core_works() && errors_arrive() && neighbors_work();
  std::puts(good ? "ok" : "FAILED");
  return good ? 0 : 1;
}
