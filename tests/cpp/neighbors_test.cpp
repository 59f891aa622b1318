#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "mercer/core/parallel.hpp"
#include "mercer/neighbors/pair_list.hpp"

using namespace mercer;

namespace {

StructureBatch random_batch(unsigned seed, int n_frames) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(-0.5, 1.5);
  StructureBatch batch;
  for (int f = 0; f < n_frames; ++f) {
    const std::array<bool, 3> pbc{(f & 1) != 0, (f & 2) != 0, (f & 4) != 0};
    const double size = 1.5 + 1.5 * (f % 5);
    Mat3 cell{{{size, 0.2, -0.4}, {0.9, 1.1 * size, 0.1}, {-0.3 * size, 0.3, 0.8 * size}}};
    const int n = (7 * f) % 23;
    std::vector<double> positions;
    const std::vector<std::int32_t> numbers(n, 6);
    for (int i = 0; i < n; ++i) {
      const double u = uniform(random), v = uniform(random), w = uniform(random);
      for (int a = 0; a < 3; ++a) positions.push_back(u * cell[0][a] + v * cell[1][a] + w * cell[2][a]);
    }
    for (int k = 0; k < 3; ++k) {
      if (!pbc[k] && f % 3 == 0) cell[k] = {0, 0, 0};
    }
    batch.append({positions.data(), n, 3}, numbers, cell, pbc);
  }
  return batch;
}

using Pair = std::tuple<index_t, index_t, int, int, int>;

/// Every image in a generous range, one by one.
std::vector<Pair> brute_force(const StructureBatch& batch, double cutoff) {
  std::vector<Pair> pairs;
  for (index_t f = 0; f < batch.n_frames(); ++f) {
    const auto& h = batch.cells[f];
    const auto range = [&](int k) { return batch.pbc[f][k] ? 12 : 0; };
    for (index_t i = batch.offsets[f]; i < batch.offsets[f + 1]; ++i) {
      for (index_t j = batch.offsets[f]; j < batch.offsets[f + 1]; ++j) {
        for (int s0 = -range(0); s0 <= range(0); ++s0) {
          for (int s1 = -range(1); s1 <= range(1); ++s1) {
            for (int s2 = -range(2); s2 <= range(2); ++s2) {
              double d2 = 0;
              for (int a = 0; a < 3; ++a) {
                const double d =
                    batch.positions[j][a] - batch.positions[i][a] + s0 * h[0][a] + s1 * h[1][a] + s2 * h[2][a];
                d2 += d * d;
              }
              if (d2 < cutoff * cutoff && !(i == j && s0 == 0 && s1 == 0 && s2 == 0)) pairs.emplace_back(i, j, s0, s1, s2);
            }
          }
        }
      }
    }
  }
  return pairs;
}

std::string error_of(const StructureBatch& batch, double cutoff, double min_distance = 0) {
  try {
    build_pair_list(batch, cutoff, min_distance);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "no error";
}

StructureBatch two_atoms(double distance, const Mat3& cell = {}, const std::array<bool, 3>& pbc = {}) {
  StructureBatch batch;
  const std::vector<double> positions{0, 0, 0, distance, 0, 0};
  const std::vector<std::int32_t> numbers{1, 1};
  batch.append({positions.data(), 2, 3}, numbers, cell, pbc);
  return batch;
}

}  // namespace

TEST_CASE("pair list: pairs, order, vectors and distances as by brute force") {
  const StructureBatch batch = random_batch(1, 48);
  for (const double cutoff : {0.7, 2.3, 4.0}) {
    const PairList list = build_pair_list(batch, cutoff);
    const std::vector<Pair> expected = brute_force(batch, cutoff);
    REQUIRE(list.n_atoms() == batch.n_atoms());
    REQUIRE(list.n_pairs() == static_cast<index_t>(expected.size()));
    REQUIRE(list.offsets[list.n_atoms()] == list.n_pairs());
    for (index_t i = 0; i < list.n_atoms(); ++i) {
      const Mat3& cell = batch.cells[batch.frame_of(i)];
      for (index_t p = list.offsets[i]; p < list.offsets[i + 1]; ++p) {
        const auto& s = list.shifts[p];
        const index_t j = list.neighbors[p];
        REQUIRE(Pair(i, j, s[0], s[1], s[2]) == expected[static_cast<std::size_t>(p)]);
        double d2 = 0;
        for (int a = 0; a < 3; ++a) {
          const double d = batch.positions[j][a] - batch.positions[i][a] + s[0] * cell[0][a] + s[1] * cell[1][a] +
                           s[2] * cell[2][a];
          CHECK(std::abs(list.vectors[p][a] - d) <= 1e-12);
          d2 += d * d;
        }
        CHECK(std::abs(list.distances[p] - std::sqrt(d2)) <= 1e-12);
        CHECK(list.distances[p] < cutoff);
      }
    }
  }
}

TEST_CASE("pair list: bitwise the same for any number of threads") {
  const StructureBatch batch = random_batch(2, 200);
  set_num_threads(1);
  const PairList one = build_pair_list(batch, 3.0);
  set_num_threads(3);
  const PairList three = build_pair_list(batch, 3.0);
  set_num_threads(0);
  REQUIRE(one.n_pairs() == three.n_pairs());
  CHECK(std::equal(one.offsets.span().begin(), one.offsets.span().end(), three.offsets.data()));
  CHECK(std::equal(one.neighbors.span().begin(), one.neighbors.span().end(), three.neighbors.data()));
  CHECK(std::equal(one.shifts.span().begin(), one.shifts.span().end(), three.shifts.data()));
  CHECK(std::equal(one.vectors.span().begin(), one.vectors.span().end(), three.vectors.data()));
}

TEST_CASE("pair list: empty batches and frames") {
  CHECK(build_pair_list(StructureBatch(), 3.0).n_pairs() == 0);
  CHECK(build_pair_list(StructureBatch(), 3.0).n_atoms() == 0);
  StructureBatch batch;
  batch.append({nullptr, 0, 3}, Span<const std::int32_t>(), {}, {});
  CHECK(build_pair_list(batch, 3.0).n_atoms() == 0);
}

TEST_CASE("pair list: an infinite cutoff gives all pairs, a cutoff of 0 none") {
  constexpr double inf = std::numeric_limits<double>::infinity();
  StructureBatch batch = two_atoms(1);
  const std::vector<double> positions{0, 0, 0, 50, 0, 0, 0, 90, 0};
  const std::vector<std::int32_t> numbers{1, 6, 8};
  batch.append({positions.data(), 3, 3}, numbers, {}, {});
  const PairList all = build_pair_list(batch, inf), wide = build_pair_list(batch, 1000.0);
  REQUIRE(all.n_pairs() == 8);
  REQUIRE(wide.n_pairs() == 8);
  CHECK(std::equal(all.offsets.span().begin(), all.offsets.span().end(), wide.offsets.data()));
  CHECK(std::equal(all.neighbors.span().begin(), all.neighbors.span().end(), wide.neighbors.data()));
  CHECK(std::equal(all.vectors.span().begin(), all.vectors.span().end(), wide.vectors.data()));
  CHECK(build_pair_list(batch, 0).n_pairs() == 0);
  CHECK(build_pair_list(batch, 0).n_atoms() == 5);
  const Mat3 cube{{{4, 0, 0}, {0, 4, 0}, {0, 0, 4}}};
  CHECK(error_of(two_atoms(1, cube, {false, true, false}), inf).find("frame 0: is periodic") == 0);
  CHECK(error_of(two_atoms(0), inf).find("frame 0: atoms 0 and 1 coincide") == 0);
}

TEST_CASE("pair list: mistakes are named") {
  const Mat3 cube{{{4, 0, 0}, {0, 4, 0}, {0, 0, 4}}};
  const std::array<bool, 3> all{true, true, true};
  const double nan = std::nan("");
  CHECK(error_of(two_atoms(1), 3) == "no error");
  CHECK(error_of(two_atoms(1), nan).find("cutoff = nan") == 0);
  CHECK(error_of(two_atoms(1), -1).find("cutoff = -1") == 0);
  CHECK(error_of(two_atoms(1), 3, nan).find("min_distance = nan") == 0);
  CHECK(error_of(two_atoms(nan), 3).find("frame 0: the position of atom 1 is not finite") == 0);
  CHECK(error_of(two_atoms(0), 3).find("frame 0: atoms 0 and 1 coincide") == 0);
  CHECK(error_of(two_atoms(4, cube, all), 3).find("frame 0: atoms 0 and 1 coincide") == 0);
  CHECK(error_of(two_atoms(1), 3, 1.0).find("frame 0: atoms 0 and 1 are 1 A apart") == 0);
  CHECK(error_of(two_atoms(2, cube, all), 5, 4.5).find("frame 0: atoms 0 and ") == 0);
  CHECK(error_of(two_atoms(1, {}, all), 3).find("frame 0: periodic along cell vector 0, which is zero") == 0);
  CHECK(error_of(two_atoms(1, {{{1, 0, 0}, {0, 1, 0}, {1, 1, 0}}}, all), 3).find("frame 0: the periodic cell has no") ==
        0);
  StructureBatch negative = two_atoms(1);
  negative.numbers[1] = -6;
  CHECK(error_of(negative, 3).find("frame 0: the atomic number of atom 1 is -6") == 0);
  negative.numbers.pop_back();
  CHECK(error_of(negative, 3).find("StructureBatch: arrays disagree") == 0);
}
