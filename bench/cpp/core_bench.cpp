/// What a large result costs before any arithmetic: fresh pages against memory from the pool, both written once; and
/// what it costs to start a parallel loop.
#include <benchmark/benchmark.h>

#include <cstring>
#include <memory>

#include "mercer/core/memory.hpp"
#include "mercer/core/parallel.hpp"

namespace {

void write_fresh(benchmark::State& state) {
  const auto n = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    const std::unique_ptr<char[]> memory(new char[n]);
    std::memset(memory.get(), 1, n);
    benchmark::DoNotOptimize(memory.get());
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

void write_pooled(benchmark::State& state) {
  std::memset(mercer::Buffer<char>(state.range(0)).data(), 0, static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    const mercer::Buffer<char> memory(state.range(0));
    std::memset(memory.data(), 1, static_cast<std::size_t>(state.range(0)));
    benchmark::DoNotOptimize(memory.data());
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

void start_loop(benchmark::State& state) {
  mercer::set_num_threads(static_cast<int>(state.range(0)));
  double values[64] = {};
  for (auto _ : state) {
    mercer::parallel_for(64, [&](mercer::index_t chunk) { values[chunk] += 1; });
    benchmark::ClobberMemory();
  }
  mercer::set_num_threads(0);
}

BENCHMARK(write_fresh)->Arg(1 << 16)->Arg(64 << 20);
BENCHMARK(write_pooled)->Arg(1 << 16)->Arg(64 << 20);
BENCHMARK(start_loop)->Arg(1)->Arg(2)->UseRealTime();

}  // namespace
