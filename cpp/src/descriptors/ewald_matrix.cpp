#include "mercer/descriptors/ewald_matrix.hpp"

#include <array>
#include <cmath>
#include <tuple>

#include "mercer/core/error.hpp"
#include "mercer/core/interrupt.hpp"
#include "neighbors/box.hpp"

namespace mercer {
namespace {

constexpr double pi = 3.14159265358979323846;

/// A reciprocal lattice vector, of which there is another one with the opposite sign.
struct Wave {
  Vec3 G;
  double factor;  ///< of the cosine
  double strain;  ///< d factor / d strain_ab = factor (strain G_a G_b - delta_ab)
};

/// Terms of one sum, at most.
constexpr double most_terms = 1e7;

/// The largest integers of vectors of a sum. @throws std::invalid_argument where they make too many terms.
std::array<int, 3> bounds_of(index_t frame, const std::array<double, 3>& largest) {
  double terms = 1;
  for (const double value : largest) terms *= 2 * std::floor(value) + 1;
  MERCER_REQUIRE(terms <= most_terms, "frame ", frame, ": ", terms, " terms of a sum of EwaldMatrix, the limit is ",
                 most_terms, "; give an alpha nearer to the default (which depends on the cell), a lower accuracy, or "
                 "smaller cutoffs");
  return {static_cast<int>(largest[0]), static_cast<int>(largest[1]), static_cast<int>(largest[2])};
}

/// Calls use(n) for all integer vectors within the bounds.
template <class Use>
void for_each_point(const std::array<int, 3>& bounds, const Use& use) {
  for (int x = -bounds[0]; x <= bounds[0]; ++x) {
    for (int y = -bounds[1]; y <= bounds[1]; ++y) {
      for (int z = -bounds[2]; z <= bounds[2]; ++z) use(std::array<std::int32_t, 3>{x, y, z});
    }
  }
}

std::vector<Wave> waves(index_t frame, const Box& box, double volume, double a, double cutoff) {
  std::array<double, 3> largest;
  for (int k = 0; k < 3; ++k) largest[k] = cutoff * std::sqrt(dot(box.rows[k], box.rows[k])) / (2 * pi);
  std::vector<Wave> out;
  for_each_point(bounds_of(frame, largest), [&](const std::array<std::int32_t, 3>& n) {
    if (std::make_tuple(n[0], n[1], n[2]) <= std::make_tuple(0, 0, 0)) return;  // half of the vectors
    Vec3 G{};
    for (int k = 0; k < 3; ++k) {
      for (int c = 0; c < 3; ++c) G[c] += 2 * pi * n[k] * box.reciprocal[k][c];
    }
    const double g2 = dot(G, G);
    if (g2 > cutoff * cutoff) return;
    out.push_back({G, 8 * pi / volume * std::exp(-g2 / (4 * a * a)) / g2, 2 / g2 + 1 / (2 * a * a)});
  });
  return out;
}

}  // namespace

EwaldMatrix::EwaldMatrix(index_t n_atoms_max, const std::string& permutation, const EwaldParameters& parameters)
    : AtomMatrix("EwaldMatrix", n_atoms_max, form(permutation)), parameters_(parameters) {
  const auto& p = parameters_;
  MERCER_REQUIRE(p.accuracy > 0 && p.accuracy < 1, "EwaldMatrix: accuracy = ", p.accuracy, ", expected 0 < accuracy < 1");
  MERCER_REQUIRE(p.weight > 0 && std::isfinite(p.weight), "EwaldMatrix: weight = ", p.weight, ", expected > 0");
  for (const auto& value : {p.alpha, p.real_cutoff, p.reciprocal_cutoff}) {
    MERCER_REQUIRE(!value || (*value > 0 && std::isfinite(*value)),
                   "EwaldMatrix: expected alpha, real_cutoff and reciprocal_cutoff > 0, got ", *value);
  }
  MERCER_REQUIRE(p.real_cutoff.has_value() == p.reciprocal_cutoff.has_value(),
                 "EwaldMatrix: give both of real_cutoff and reciprocal_cutoff, or neither");
}

void EwaldMatrix::elements(const StructureBatch& structures, const PairList&, index_t frame, Elements& out) const {
  const index_t n = out.n, first = structures.offsets[frame];
  if (n == 0) return;
  const auto& pbc = structures.pbc[frame];
  MERCER_REQUIRE(pbc[0] && pbc[1] && pbc[2], "frame ", frame,
                 ": is not periodic in all three directions, which EwaldMatrix needs; use CoulombMatrix for molecules");
  const Box box(structures.cells[frame], pbc);
  const double volume = std::fabs(dot(box.rows[0], cross(box.rows[1], box.rows[2])));
  const auto& p = parameters_;
  const double a = p.alpha.value_or(
      std::sqrt(pi) * std::pow(static_cast<double>(n) * p.weight / (volume * volume), 1.0 / 6));
  const double f = std::sqrt(-std::log(p.accuracy));
  const double real_cutoff = p.real_cutoff.value_or(f / a);
  const auto reciprocal = waves(frame, box, volume, a, p.reciprocal_cutoff.value_or(2 * a * f));
  std::array<double, 3> largest;  // of images of a vector whose fractional coordinates are at most 1/2
  for (int k = 0; k < 3; ++k) largest[k] = real_cutoff / box.heights[k] + 0.5 + 1e-9;
  const auto bounds = bounds_of(frame, largest);

  for (index_t i = 0; i < n; ++i) {
    check_interrupt();
    for (index_t j = i; j < n; ++j) {
      const Vec3 &from = structures.positions[first + i], &to = structures.positions[first + j];
      Vec3 r{to[0] - from[0], to[1] - from[1], to[2] - from[2]};
      std::array<std::int32_t, 3> home;
      for (int k = 0; k < 3; ++k) home[k] = -static_cast<std::int32_t>(std::lround(dot(box.reciprocal[k], r)));
      const Vec3 shift = box.translation(home);
      for (int c = 0; c < 3; ++c) r[c] += shift[c];

      double value = -pi / (volume * a * a);
      Vec3 position{};
      Mat3 strain{};
      for (int c = 0; c < 3; ++c) strain[c][c] = -value;
      for_each_point(bounds, [&](const std::array<std::int32_t, 3>& shifted) {
        if (i == j && shifted == std::array<std::int32_t, 3>{0, 0, 0}) return;
        Vec3 d = box.translation(shifted);
        for (int c = 0; c < 3; ++c) d[c] += r[c];
        const double distance = std::sqrt(dot(d, d));
        if (distance > real_cutoff) return;
        MERCER_REQUIRE(distance > 1e-8, "frame ", frame, ": atoms ", i, " and ", j,
                       " coincide; remove one of them, or check the cell and the units");
        const double term = std::erfc(a * distance) / distance;
        value += term;
        if (!out.derivatives) return;
        const double slope =
            -(term + 2 * a / std::sqrt(pi) * std::exp(-a * a * distance * distance)) / (distance * distance);
        for (int c = 0; c < 3; ++c) {
          position[c] += slope * d[c];
          for (int e = 0; e < 3; ++e) strain[c][e] += slope * d[c] * d[e];
        }
      });
      for (const Wave& wave : reciprocal) {
        const double phase = dot(wave.G, r), cosine = wave.factor * std::cos(phase);
        value += cosine;
        if (!out.derivatives) continue;
        const double sine = wave.factor * std::sin(phase);
        for (int c = 0; c < 3; ++c) {
          position[c] -= sine * wave.G[c];
          strain[c][c] -= cosine;
          for (int e = 0; e < 3; ++e) strain[c][e] += cosine * wave.strain * wave.G[c] * wave.G[e];
        }
      }
      const double Z = static_cast<double>(structures.numbers[first + i]) * structures.numbers[first + j];
      const double scale = i == j ? Z / 2 : Z;
      const index_t k = i * n + j;
      out.values[k] = scale * value - (i == j ? a * Z / std::sqrt(pi) : 0);
      if (!out.derivatives) continue;
      for (int c = 0; c < 3; ++c) {
        out.positions[k][c] = i == j ? 0 : scale * position[c];
        for (int e = 0; e < 3; ++e) out.strain[k][c][e] = scale * strain[c][e];
      }
    }
  }
}

}  // namespace mercer
