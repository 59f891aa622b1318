/// Full neighbour lists, one thread; items are atoms. See bench/python/bench_neighbors.py for the peers.
#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "mercer/core/parallel.hpp"
#include "mercer/neighbors/pair_list.hpp"

using namespace mercer;

namespace {

/// A diamond crystal of n x n x n cubic cells (8 atoms each) with every atom moved at random.
StructureBatch carbon(int n) {
  constexpr double a = 3.87;
  constexpr double basis[8][3] = {{0, 0, 0},         {0, 0.5, 0.5},     {0.5, 0, 0.5},     {0.5, 0.5, 0},
                                  {.25, .25, .25}, {.25, .75, .75}, {.75, .25, .75}, {.75, .75, .25}};
  std::mt19937 random(0);
  std::normal_distribution<double> normal(0, 0.1);
  std::vector<double> positions;
  for (int x = 0; x < n; ++x) {
    for (int y = 0; y < n; ++y) {
      for (int z = 0; z < n; ++z) {
        for (const auto& b : basis) {
          positions.push_back(a * (x + b[0]) + normal(random));
          positions.push_back(a * (y + b[1]) + normal(random));
          positions.push_back(a * (z + b[2]) + normal(random));
        }
      }
    }
  }
  const std::vector<std::int32_t> numbers(positions.size() / 3, 6);
  StructureBatch batch;
  batch.append({positions.data(), static_cast<index_t>(numbers.size()), 3}, numbers,
               {{{a * n, 0, 0}, {0, a * n, 0}, {0, 0, a * n}}}, {true, true, true});
  return batch;
}

/// `n` copies of a primitive cell of silicon: many images of two atoms.
StructureBatch primitive(int n) {
  constexpr double b = 5.43 / 2;
  const double positions[6] = {0, 0, 0, b / 2, b / 2, b / 2};
  const std::vector<std::int32_t> numbers{14, 14};
  StructureBatch batch;
  for (int f = 0; f < n; ++f) {
    batch.append({positions, 2, 3}, numbers, {{{0, b, b}, {b, 0, b}, {b, b, 0}}}, {true, true, true});
  }
  return batch;
}

void run(benchmark::State& state, const StructureBatch& batch, double cutoff) {
  set_num_threads(1);
  index_t pairs = 0;
  for (auto _ : state) {
    const PairList list = build_pair_list(batch, cutoff);
    pairs = list.n_pairs();
    benchmark::DoNotOptimize(list.distances.data());
  }
  state.SetItemsProcessed(state.iterations() * batch.n_atoms());
  state.counters["pairs/atom"] = static_cast<double>(pairs) / static_cast<double>(batch.n_atoms());
  set_num_threads(0);
}

void crystal(benchmark::State& state) { run(state, carbon(static_cast<int>(state.range(0))), 3.7); }
void long_cutoff(benchmark::State& state) { run(state, carbon(static_cast<int>(state.range(0))), 6.0); }
void small_cell(benchmark::State& state) { run(state, primitive(static_cast<int>(state.range(0))), 10.0); }

BENCHMARK(crystal)->Arg(3)->Arg(11)->Arg(23);
BENCHMARK(long_cutoff)->Arg(3)->Arg(11);
BENCHMARK(small_cell)->Arg(1)->Arg(100);

}  // namespace
