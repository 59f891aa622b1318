/// SOAP values and reverse pass, time per atom, on made-up structures like those of bench/python/bench_soap.py:
/// rattled diamond with one species, and a dense random solid with ten.
#include <benchmark/benchmark.h>

#include <random>

#include "mercer/core/parallel.hpp"
#include "mercer/descriptors/soap.hpp"

namespace {

using namespace mercer;

StructureBatch diamond(int cells) {
  const double a = 3.567;
  const double basis[8][3] = {{0, 0, 0},       {0, .5, .5},     {.5, 0, .5},     {.5, .5, 0},
                              {.25, .25, .25}, {.25, .75, .75}, {.75, .25, .75}, {.75, .75, .25}};
  std::mt19937_64 random(1);
  std::normal_distribution<double> noise(0, 0.1);
  std::vector<double> positions;
  for (int i = 0; i < cells * cells * cells; ++i) {
    const double corner[3] = {double(i / (cells * cells)), double(i / cells % cells), double(i % cells)};
    for (const auto& site : basis) {
      for (int k = 0; k < 3; ++k) positions.push_back(a * (corner[k] + site[k]) + noise(random));
    }
  }
  const index_t n = static_cast<index_t>(positions.size() / 3);
  const std::vector<std::int32_t> numbers(n, 6);
  StructureBatch batch;
  const double length = a * cells;
  batch.append({positions.data(), n, 3}, numbers, {{{length, 0, 0}, {0, length, 0}, {0, 0, length}}},
               {true, true, true});
  return batch;
}

struct Case {
  StructureBatch structures;
  PairList pairs;
  Soap soap;

  static DensityParameters parameters(int n_species, int n_max, int l_max, double r_cut) {
    DensityParameters p;
    for (int s = 0; s < n_species; ++s) p.species.push_back(6 + s);
    p.radial.n_max = n_max;
    p.radial.l_max = l_max;
    p.radial.r_cut = r_cut;
    return p;
  }
  explicit Case(int n_species, int n_max, int l_max, double r_cut)
      : structures(diamond(n_species < 10 ? 3 : 2)), soap(parameters(n_species, n_max, l_max, r_cut), true) {
    std::mt19937_64 random(2);
    for (auto& z : structures.numbers) z = 6 + static_cast<int>(random() % n_species);
    pairs = build_pair_list(structures, r_cut);
  }
};

Case make_case(int which) { return which == 0 ? Case(1, 12, 6, 3.7) : which == 1 ? Case(10, 8, 6, 3.7) : Case(5, 8, 6, 2.2); }

void coefficients(benchmark::State& state) {
  const Case c = make_case(state.range(0));
  const auto species = c.soap.density().species_of(c.structures, c.pairs);
  auto workspace = c.soap.density().make_workspace(c.pairs, Density::Purpose::values);
  for (auto _ : state) {
    for (index_t i = 0; i < c.structures.n_atoms(); ++i) {
      c.soap.density().expand(c.pairs, species, i, workspace);
      benchmark::DoNotOptimize(workspace.coefficients[0]);
    }
  }
  state.counters["us/atom"] = benchmark::Counter(1e-6 * static_cast<double>(c.structures.n_atoms()),
                                                 benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void transform(benchmark::State& state) {
  const Case c = make_case(state.range(0));
  set_num_threads(static_cast<int>(state.range(1)));
  Buffer<double> out(c.structures.n_atoms() * c.soap.n_features());
  for (auto _ : state) {
    c.soap.transform(c.structures, c.pairs, {out.data(), c.structures.n_atoms(), c.soap.n_features()});
    benchmark::ClobberMemory();
  }
  set_num_threads(0);
  state.counters["us/atom"] = benchmark::Counter(1e-6 * static_cast<double>(c.structures.n_atoms()),
                                                 benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void vjp(benchmark::State& state) {
  const Case c = make_case(state.range(0));
  set_num_threads(static_cast<int>(state.range(1)));
  const index_t n = c.structures.n_atoms(), size = n * c.soap.n_features();
  Buffer<double> adjoint(size), positions(3 * n), strain(9);
  for (index_t k = 0; k < size; ++k) adjoint[k] = static_cast<double>(k % 17) - 8.0;
  for (auto _ : state) {
    c.soap.vjp(c.structures, c.pairs, {adjoint.data(), n, c.soap.n_features()}, {positions.data(), n, 3},
               {strain.data(), 1, 9});
    benchmark::ClobberMemory();
  }
  set_num_threads(0);
  state.counters["us/atom"] = benchmark::Counter(1e-6 * static_cast<double>(n),
                                                 benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void raw_gradients(benchmark::State& state) {
  const Case c = make_case(state.range(0));
  set_num_threads(static_cast<int>(state.range(1)));
  const auto raw = c.soap.raw_gradients(c.structures, c.pairs);
  const index_t n = c.structures.n_atoms(), n_pairs = c.pairs.n_pairs();
  Buffer<double> values(raw->value_offsets[n_pairs]), rows(n * c.soap.n_features()), norms(n), dots(3 * n_pairs);
  for (auto _ : state) {
    raw->write(values.data(), {rows.data(), n, c.soap.n_features()}, norms.data(), dots.data());
    benchmark::ClobberMemory();
  }
  set_num_threads(0);
  state.counters["us/atom"] = benchmark::Counter(1e-6 * static_cast<double>(n),
                                                 benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

}  // namespace

BENCHMARK(coefficients)->Arg(0)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond);
BENCHMARK(transform)->ArgsProduct({{0, 1, 2}, {1, 2}})->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(raw_gradients)->ArgsProduct({{0, 1, 2}, {1, 2}})->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(vjp)->ArgsProduct({{0, 1, 2}, {1, 2}})->Unit(benchmark::kMillisecond)->UseRealTime();
