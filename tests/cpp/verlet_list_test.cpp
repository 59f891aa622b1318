#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "mercer/core/parallel.hpp"
#include "mercer/neighbors/verlet_list.hpp"

using namespace mercer;

namespace {

template <class T>
bool equal(const Buffer<T>& a, const Buffer<T>& b) {
  return a.size() == b.size() && std::equal(a.data(), a.data() + a.size(), b.data());
}

/// Frames of all eight periodicities, triclinic, with cells from half the cutoff upwards and atoms outside of them.
StructureBatch frames(std::mt19937& random) {
  std::uniform_real_distribution<double> uniform(-0.6, 1.6);
  StructureBatch batch;
  for (int f = 0; f < 16; ++f) {
    const double size = 2.0 + 1.7 * (f / 8) + 0.3 * (f % 5);
    const Mat3 cell{{{size, 0.2, -0.4}, {0.9, 1.1 * size, 0.1}, {-0.3 * size, 0.3, 0.8 * size}}};
    const int n = 3 * f % 13;
    std::vector<double> positions;
    for (int i = 0; i < n; ++i) {
      const double u = uniform(random), v = uniform(random), w = uniform(random);
      for (int a = 0; a < 3; ++a) positions.push_back(u * cell[0][a] + v * cell[1][a] + w * cell[2][a]);
    }
    const std::vector<std::int32_t> numbers(n, 6);
    batch.append({positions.data(), n, 3}, numbers, cell, {(f & 1) != 0, (f & 2) != 0, (f & 4) != 0});
  }
  return batch;
}

/// Every atom moves by a normal deviate, every cell is strained, atoms with it.
void move(StructureBatch& batch, std::mt19937& random, double step, double strain) {
  std::normal_distribution<double> normal;
  for (index_t f = 0; f < batch.n_frames(); ++f) {
    double e[3][3];
    for (auto& row : e) {
      for (double& x : row) x = strain * normal(random);
    }
    const auto stretch = [&](Vec3& r) {
      const Vec3 old = r;
      for (int b = 0; b < 3; ++b) r[b] += old[0] * e[0][b] + old[1] * e[1][b] + old[2] * e[2][b];
    };
    for (Vec3& row : batch.cells[f]) stretch(row);
    for (index_t i = batch.offsets[f]; i < batch.offsets[f + 1]; ++i) {
      stretch(batch.positions[i]);
      for (double& x : batch.positions[i]) x += step * normal(random);
    }
  }
}

void check_equal(const PairList& list, const PairList& fresh) {
  REQUIRE(list.cutoff == fresh.cutoff);
  REQUIRE(equal(list.offsets, fresh.offsets));
  REQUIRE(equal(list.neighbors, fresh.neighbors));
  REQUIRE(equal(list.shifts, fresh.shifts));
  REQUIRE(equal(list.vectors, fresh.vectors));
  REQUIRE(equal(list.distances, fresh.distances));
}

}  // namespace

TEST_CASE("Verlet list: bitwise the fresh list, whatever moves, and fewer searches than updates") {
  for (const double strain : {0.0, 0.002}) {
    for (const double step : {0.0, 0.005, 0.05}) {
      std::mt19937 random(3);
      StructureBatch batch = frames(random);
      VerletList verlet(3.1, 0.8);
      for (int k = 0; k < 60; ++k) {
        set_num_threads(1 + k % 3);
        check_equal(verlet.update(batch), build_pair_list(batch, 3.1));
        move(batch, random, step, strain);
      }
      set_num_threads(0);
      if (step == 0 && strain == 0) CHECK(verlet.n_builds() == 1);
      if (step == 0.005) CHECK(verlet.n_builds() < 30);
      if (step == 0.05) CHECK(verlet.n_builds() > 5);
    }
  }
}

TEST_CASE("Verlet list: no pair is lost however atoms conspire") {
  // Two atoms that have just lost sight of each other come back head on; then one alone does the whole way.
  const std::vector<std::int32_t> numbers{6, 6};
  for (const double share : {0.5, 0.0, 1.0}) {
    VerletList verlet(3.0, 1.0);
    for (double gap = 1.0001; gap > -0.3; gap -= 0.01) {
      const double moved = 1.0001 - gap;
      const double positions[6] = {moved * share, 0, 0, 4.0001 - moved * (1 - share), 0, 0};
      StructureBatch batch;
      batch.append({positions, 2, 3}, numbers, {}, {});
      check_equal(verlet.update(batch), build_pair_list(batch, 3.0));
    }
    CHECK(verlet.n_builds() == 2);  // at the start, and when the gap of `skin` had been walked
  }
}

TEST_CASE("Verlet list: a cell that shrinks brings images near without moving an atom") {
  VerletList verlet(3.0, 1.0);
  const std::vector<std::int32_t> numbers{6};
  const double origin[3] = {0, 0, 0};
  for (double length = 4.01; length > 2.9; length -= 0.03) {
    StructureBatch batch;
    batch.append({origin, 1, 3}, numbers, {{{length, 0, 0}, {0, 9, 0}, {0, 0, 9}}}, {true, true, true});
    check_equal(verlet.update(batch), build_pair_list(batch, 3.0));
  }
  CHECK(verlet.n_builds() < 10);
}

TEST_CASE("Verlet list: other atoms, frames or periodicity are other structures") {
  std::mt19937 random(5);
  StructureBatch batch = frames(random);
  VerletList verlet(3.0, 10.0);
  verlet.update(batch);
  batch.pbc[7] = {true, false, true};
  check_equal(verlet.update(batch), build_pair_list(batch, 3.0));
  const double positions[6] = {0, 0, 0, 1, 1, 1};
  const std::vector<std::int32_t> numbers{6, 6};
  batch.append({positions, 2, 3}, numbers, {}, {});
  check_equal(verlet.update(batch), build_pair_list(batch, 3.0));
  CHECK(verlet.n_builds() == 3);
  CHECK(verlet.update(StructureBatch()).n_pairs() == 0);
}

TEST_CASE("Verlet list: mistakes are named, and nothing stale is used after one") {
  const double inf = INFINITY;
  CHECK_THROWS_WITH_AS(VerletList(-1, 1), doctest::Contains("cutoff = -1"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(VerletList(3, -1), doctest::Contains("skin = -1"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(VerletList(3, inf), doctest::Contains("skin = inf"), std::invalid_argument);
  const std::vector<std::int32_t> numbers{6, 6};
  const auto at = [&](double x) {
    const double positions[6] = {0, 0, 0, x, 0, 0};
    StructureBatch batch;
    batch.append({positions, 2, 3}, numbers, {}, {});
    return batch;
  };
  VerletList verlet(3.0, 1.0, 0.5);
  CHECK(verlet.update(at(0.7)).n_pairs() == 2);
  CHECK_THROWS_WITH_AS(verlet.update(at(0.4)), doctest::Contains("atoms 0 and 1 are 0.4 A apart"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(verlet.update(at(std::nan(""))), doctest::Contains("not finite"), std::invalid_argument);
  CHECK(verlet.update(at(0.9)).n_pairs() == 2);
  CHECK(verlet.n_builds() == 1);
}
