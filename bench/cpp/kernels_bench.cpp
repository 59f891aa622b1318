/// Rates of the blocked driver: flops counts 2 D per entry of K, as for the matrix product alone (kernel "linear").
#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

#include "mercer/core/memory.hpp"
#include "mercer/core/parallel.hpp"
#include "mercer/kernels/gram.hpp"
#include "mercer/rows/energy_rows.hpp"

namespace {

using mercer::index_t;
using mercer::MatView;

constexpr index_t n = 4000, m = 2000, n_features = 546;

std::vector<double> random_rows(index_t rows) {
  std::mt19937 engine(1);
  std::uniform_real_distribution<double> uniform(0.0, 0.08);  // rows of length about one
  std::vector<double> data(static_cast<std::size_t>(rows * n_features));
  for (double& x : data) x = uniform(engine);
  return data;
}

mercer::KernelParameters defaults(const mercer::KernelEntry& entry) {
  mercer::KernelParameters parameters;
  for (const auto& name : entry.parameters) parameters[name] = name == "zeta" ? 4.0 : name == "nu" ? 2.5 : 1.0;
  return parameters;
}

template <class Work>
void run(benchmark::State& state, const Work& work) {
  mercer::set_num_threads(static_cast<int>(state.range(0)));
  for (auto _ : state) {
    work();
    benchmark::ClobberMemory();
  }
  mercer::set_num_threads(0);
  state.counters["flops"] = benchmark::Counter(2.0 * n * m * n_features, benchmark::Counter::kIsIterationInvariantRate);
}

template <class T>
void gram(benchmark::State& state, const mercer::KernelEntry& entry) {
  const auto kernel = mercer::make_kernel(entry.name, defaults(entry));
  const std::vector<double> x = random_rows(n), y = random_rows(m);
  const std::vector<T> X(x.begin(), x.end()), Y(y.begin(), y.end());
  const mercer::Buffer<T> K(n * m);
  run(state, [&] {
    mercer::gram(*kernel, MatView<const T>(X.data(), n, n_features), MatView<const T>(Y.data(), m, n_features),
                 MatView<T>(K.data(), n, m));
  });
}

void energy_rows(benchmark::State& state, const mercer::KernelEntry& entry) {
  const auto kernel = mercer::make_kernel(entry.name, defaults(entry));
  const std::vector<double> X = random_rows(n), Y = random_rows(m);
  std::vector<index_t> offsets;
  for (index_t i = 0; i <= n; i += 8) offsets.push_back(i);
  const mercer::Buffer<double> K((n / 8) * m);
  run(state, [&] {
    mercer::energy_rows(*kernel, {X.data(), n, n_features}, offsets, {Y.data(), m, n_features}, {K.data(), n / 8, m});
  });
}

const bool registered = [] {
  const auto add = [](const std::string& name, auto work, const mercer::KernelEntry& entry) {
    benchmark::RegisterBenchmark(name.c_str(), work, entry)->Arg(1)->Arg(2)->UseRealTime()->Unit(
        benchmark::kMillisecond);
  };
  for (const mercer::KernelEntry& entry : mercer::kernel_table()) {
    add("gram/" + entry.name, gram<double>, entry);
    add("gram_single/" + entry.name, gram<float>, entry);
    add("energy_rows/" + entry.name, energy_rows, entry);
  }
  return true;
}();

}  // namespace
