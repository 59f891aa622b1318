/// Per neighbour: the spline table and the spherical harmonics; once per descriptor: building a table.
#include <benchmark/benchmark.h>

#include <cmath>
#include <vector>

#include "mercer/basis/radial_table.hpp"
#include "mercer/math/spherical_harmonics.hpp"
#include "mercer/math/vector_exp.hpp"

namespace {

mercer::RadialBasisParameters parameters(const benchmark::State& state) {
  mercer::RadialBasisParameters p;
  p.n_max = static_cast<int>(state.range(0));
  p.l_max = static_cast<int>(state.range(1));
  p.r_cut = 3.7;
  return p;
}

/// Distances in no order, as neighbours come.
std::vector<double> distances(int n, double r_cut) {
  std::vector<double> r(n);
  for (int i = 0; i < n; ++i) r[i] = r_cut * std::fmod(0.618034 * i, 1.0);
  return r;
}

void table_values(benchmark::State& state) {
  const mercer::RadialTable table(*mercer::make_radial_basis("gto", parameters(state)));
  const auto r = distances(1024, table.r_cut());
  std::vector<double> values(table.stride());
  std::size_t i = 0;
  for (auto _ : state) {
    table.evaluate(r[i++ & 1023], values.data());
    benchmark::ClobberMemory();
  }
}

void table_derivatives(benchmark::State& state) {
  const mercer::RadialTable table(*mercer::make_radial_basis("gto", parameters(state)));
  const auto r = distances(1024, table.r_cut());
  std::vector<double> values(table.stride()), derivatives(table.stride());
  std::size_t i = 0;
  for (auto _ : state) {
    table.evaluate(r[i++ & 1023], values.data(), derivatives.data());
    benchmark::ClobberMemory();
  }
}

template <int Index>
void build(benchmark::State& state) {
  const auto& entry = mercer::radial_basis_table()[Index];
  state.SetLabel(entry.name);
  for (auto _ : state) {
    const mercer::RadialTable table(*mercer::make_radial_basis(entry.name, parameters(state)));
    benchmark::DoNotOptimize(table.error());
  }
}

/// l_max and the number of vectors.
void harmonics(benchmark::State& state, bool gradients) {
  const mercer::SphericalHarmonics sphere(static_cast<int>(state.range(0)));
  const mercer::index_t n = state.range(1);
  std::vector<double> x(n), y(n), z(n), values(sphere.n_lm() * n), slopes(3 * sphere.n_lm() * n);
  for (mercer::index_t i = 0; i < n; ++i) {
    const double theta = 0.7 * static_cast<double>(i), phi = 1.3 * static_cast<double>(i);
    x[i] = std::sin(theta) * std::cos(phi);
    y[i] = std::sin(theta) * std::sin(phi);
    z[i] = std::cos(theta);
  }
  for (auto _ : state) {
    if (gradients) {
      sphere.evaluate(n, x.data(), y.data(), z.data(), values.data(), slopes.data(), n);
    } else {
      sphere.evaluate(n, x.data(), y.data(), z.data(), values.data(), n);
    }
    benchmark::ClobberMemory();
  }
}

template <class T>
void exponential(benchmark::State& state) {
  std::vector<T> x(1024), y(1024);
  for (int i = 0; i < 1024; ++i) x[i] = static_cast<T>(-0.03 * i);
  for (auto _ : state) {
    for (int i = 0; i < 1024; ++i) y[i] = mercer::vector_exp(x[i]);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * 1024);
}

}  // namespace

BENCHMARK(table_values)->Args({8, 4})->Args({12, 6});
BENCHMARK(table_derivatives)->Args({8, 4})->Args({12, 6});
BENCHMARK(build<0>)->Args({8, 4})->Args({12, 6})->Args({16, 12})->Unit(benchmark::kMillisecond);
BENCHMARK(build<1>)->Args({8, 4})->Args({12, 6})->Unit(benchmark::kMillisecond);
BENCHMARK(build<2>)->Args({8, 4})->Args({12, 6})->Args({16, 12})->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(harmonics, values, false)->Args({6, 29})->Args({6, 7})->Args({12, 29});
BENCHMARK_CAPTURE(harmonics, gradients, true)->Args({6, 29})->Args({6, 7})->Args({12, 29});
BENCHMARK_TEMPLATE(exponential, double);
BENCHMARK_TEMPLATE(exponential, float);
