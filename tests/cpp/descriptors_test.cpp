/// Descriptors from C++: layout of the rows, nothing written outside of them, reverse pass, independence of threads.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>

#include "mercer/core/parallel.hpp"
#include "mercer/descriptors/radial_spectrum.hpp"
#include "mercer/descriptors/soap.hpp"

using namespace mercer;

namespace {

StructureBatch random_structures(int n_frames, int n_atoms, int n_species) {
  std::mt19937_64 random(5);
  std::uniform_real_distribution<double> uniform(0, 1);
  StructureBatch batch;
  for (int f = 0; f < n_frames; ++f) {
    std::vector<double> positions;
    std::vector<std::int32_t> numbers;
    for (int i = 0; i < n_atoms; ++i) {  // one atom in each cell of a chain, so that none come close
      positions.insert(positions.end(), {1.5 * i + 0.5 * uniform(random), uniform(random), uniform(random)});
      numbers.push_back(1 + static_cast<int>(random() % n_species));
    }
    batch.append({positions.data(), n_atoms, 3}, numbers, {{{1.5 * n_atoms, 0, 0}, {0.3, 2.5, 0}, {0, 0, 0}}},
                 {true, true, false});
  }
  return batch;
}

DensityParameters parameters(int n_species, int n_max, int l_max) {
  DensityParameters p;
  for (int s = 0; s < n_species; ++s) p.species.push_back(1 + s);
  p.radial.n_max = n_max;
  p.radial.l_max = l_max;
  p.radial.r_cut = 3.0;
  return p;
}

}  // namespace

TEST_CASE("SOAP writes its rows, all of them, and nothing else") {
  const auto structures = random_structures(2, 5, 2);
  const auto pairs = build_pair_list(structures, 3.0);
  for (int n_species : {1, 2, 4}) {
    for (int n_max : {1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 17, 20}) {
      auto p = parameters(n_species, n_max, 3);
      p.ignore_unknown = true;
      p.radial_basis = "laplacian";
      const Soap soap(p, true);
      const index_t n = structures.n_atoms(), width = soap.n_features(), stride = width + 3;
      const double marker = 12345.0;
      std::vector<double> memory(n * stride + 3, marker);
      MatView<double> out(memory.data() + 3, n, width, stride);
      soap.transform(structures, pairs, out);
      for (index_t i = 0; i < n; ++i) {
        double norm = 0;
        for (index_t k = 0; k < width; ++k) {
          REQUIRE(out(i, k) != marker);
          norm += out(i, k) * out(i, k);
        }
        CHECK(std::abs(norm - 1) <= 1e-12);
        for (int k = 1; k <= 3; ++k) CHECK(out.row(i)[-k] == marker);
      }
    }
  }
}

TEST_CASE("blocks tile the features") {
  const Soap soap(parameters(3, 4, 2), true);
  CHECK(soap.n_blocks() == 6);
  CHECK(soap.block(1) == std::pair<int, int>(0, 1));
  CHECK(soap.block_offsets()[0] == 0);
  CHECK(soap.block_offsets()[1] == 3 * 10);
  CHECK(soap.block_offsets()[2] == 3 * 10 + 3 * 16);
  CHECK(soap.block_offsets()[6] == soap.n_features());
}

TEST_CASE("reverse passes equal central differences and do not depend on threads") {
  const auto structures = random_structures(3, 4, 2);
  const Soap soap(parameters(2, 5, 4), true);
  const RadialSpectrum radial(parameters(2, 6, 0), true);
  for (const Descriptor* descriptor : {static_cast<const Descriptor*>(&soap), static_cast<const Descriptor*>(&radial)}) {
    const index_t n = structures.n_atoms(), width = descriptor->n_features();
    std::mt19937_64 random(1);
    std::normal_distribution<double> normal;
    std::vector<double> adjoint(n * width), X(n * width), positions(3 * n), strain(9 * 3);
    for (double& a : adjoint) a = normal(random);
    const auto pairs = build_pair_list(structures, 3.0);
    descriptor->vjp(structures, pairs, {adjoint.data(), n, width}, {positions.data(), n, 3}, {strain.data(), 3, 9});
    const auto value = [&](index_t i, int a, double step) {
      StructureBatch moved = structures;
      moved.positions[i][a] += step;
      descriptor->transform(moved, build_pair_list(moved, 3.0), {X.data(), n, width});
      double sum = 0;
      for (index_t k = 0; k < n * width; ++k) sum += X[k] * adjoint[k];
      return sum;
    };
    double error = 0, largest = 0;
    const double h = 1e-4;
    for (index_t i = 0; i < n; ++i) {
      for (int a = 0; a < 3; ++a) {
        const double numeric = (8 * (value(i, a, h) - value(i, a, -h)) - value(i, a, 2 * h) + value(i, a, -2 * h)) / (12 * h);
        error = std::max(error, std::abs(numeric - positions[3 * i + a]));
        largest = std::max(largest, std::abs(numeric));
      }
    }
    CHECK(largest > 0.01);
    CHECK(error <= 1e-7 * largest);

    std::vector<double> again(3 * n), strain_again(9 * 3);
    for (int threads : {1, 2, 3}) {
      set_num_threads(threads);
      descriptor->vjp(structures, pairs, {adjoint.data(), n, width}, {again.data(), n, 3}, {strain_again.data(), 3, 9});
      CHECK(again == positions);
      CHECK(strain_again == strain);
    }
    set_num_threads(0);
  }
}

TEST_CASE("ignored species leave no trace, unknown ones are named") {
  const auto structures = random_structures(1, 6, 3);
  const auto pairs = build_pair_list(structures, 3.0);
  auto p = parameters(2, 4, 2);
  const Soap strict(p, true);
  std::vector<double> out(6 * strict.n_features());
  CHECK_THROWS_WITH_AS(strict.transform(structures, pairs, {out.data(), 6, strict.n_features()}),
                       doctest::Contains("has atomic number 3"), std::invalid_argument);
  p.ignore_unknown = true;
  const Soap lenient(p, true);
  lenient.transform(structures, pairs, {out.data(), 6, lenient.n_features()});
  StructureBatch reduced;
  std::vector<double> positions;
  std::vector<std::int32_t> numbers;
  std::vector<index_t> kept;
  for (index_t i = 0; i < 6; ++i) {
    if (structures.numbers[i] == 3) continue;
    kept.push_back(i);
    positions.insert(positions.end(), structures.positions[i].begin(), structures.positions[i].end());
    numbers.push_back(structures.numbers[i]);
  }
  REQUIRE(kept.size() < 6);
  const index_t n = static_cast<index_t>(kept.size());
  reduced.append({positions.data(), n, 3}, numbers, structures.cells[0], structures.pbc[0]);
  std::vector<double> expected(n * strict.n_features());
  strict.transform(reduced, build_pair_list(reduced, 3.0), {expected.data(), n, strict.n_features()});
  for (index_t k = 0; k < n; ++k) {
    for (index_t c = 0; c < strict.n_features(); ++c) {
      CHECK(std::abs(out[kept[k] * strict.n_features() + c] - expected[k * strict.n_features() + c]) <= 1e-13);
    }
  }
}

TEST_CASE("bad arguments") {
  CHECK_THROWS_AS(RadialSpectrum(parameters(1, 4, 1), true), std::invalid_argument);
  auto p = parameters(2, 4, 2);
  p.channels = {1, 2, 3};
  CHECK_THROWS_AS(Soap(p, true), std::invalid_argument);
  p.channels.clear();
  p.species = {2, 1};
  CHECK_THROWS_AS(Soap(p, true), std::invalid_argument);
  p.species = {1, 2};
  p.central_weight = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_AS(Soap(p, true), std::invalid_argument);
}
