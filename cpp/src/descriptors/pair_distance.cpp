#include "mercer/descriptors/pair_distance.hpp"

#include <cmath>

#include "mercer/core/error.hpp"

namespace mercer {
namespace {

double power(double r, int exponent) {
  double result = 1;
  for (int k = 0; k < std::abs(exponent); ++k) result *= r;
  return exponent < 0 ? 1 / result : result;
}

}  // namespace

PairDistance::PairDistance(std::vector<std::vector<std::int32_t>> kinds, Cutoff cutoff, std::vector<int> exponents,
                           double tail_exponent, double tail_range, std::vector<double> scales)
    : ClusterDescriptor(ClusterKinds(std::move(kinds), 0), cutoff.r_cut(), static_cast<index_t>(exponents.size()), true,
                        std::move(scales)),
      cutoff_(cutoff),
      exponents_(std::move(exponents)),
      tail_exponent_(tail_exponent),
      tail_range_(tail_range) {
  MERCER_REQUIRE(order() == 2, "PairDistance: kinds of ", order(), " elements, expected 2");
  MERCER_REQUIRE(!exponents_.empty(), "PairDistance: expected at least one exponent");
  for (const int e : exponents_) {
    MERCER_REQUIRE(e != 0 && std::abs(e) <= 64, "PairDistance: exponent ", e, ", expected -64 to 64 and not 0");
  }
  MERCER_REQUIRE(tail_exponent >= 0 && std::isfinite(tail_exponent), "PairDistance: tail_exponent = ", tail_exponent,
                 ", expected >= 0");
  MERCER_REQUIRE(tail_range > 0 && std::isfinite(tail_range), "PairDistance: tail_range = ", tail_range,
                 ", expected > 0");
}

void PairDistance::find(const StructureBatch& structures, const PairList& pairs, index_t centre,
                        ClusterList& found) const {
  const int first = kinds().element_class(structures.numbers[centre]);
  if (first < 0) return;
  for (index_t p = pairs.offsets[centre]; p < pairs.offsets[centre + 1]; ++p) {
    const std::int32_t j = pairs.neighbors[p];
    if (j < centre || !(pairs.distances[p] < r_cut())) continue;
    if (j == centre && pairs.shifts[p] < std::array<std::int32_t, 3>{}) continue;  // of two images one
    const int second = kinds().element_class(structures.numbers[j]);
    const std::int32_t group = second < 0 ? -1 : kinds().kind(first + static_cast<index_t>(second) * kinds().n_classes());
    if (group < 0) continue;
    found.groups.push_back(group);
    found.origins.push_back(static_cast<std::int32_t>(centre));
    found.atoms.push_back(j);
    found.vectors.push_back(pairs.vectors[p]);
  }
}

void PairDistance::measure(const ClusterList& list, index_t begin, index_t end, double* out, double* jacobian) const {
  const auto n_exponents = static_cast<index_t>(exponents_.size()), n = n_exponents + 1;
  for (index_t row = begin; row < end; ++row, out += n) {
    const Vec3& v = list.vectors[row];
    const double r = std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    double factor = cutoff_.value(r), slope = jacobian ? cutoff_.derivative(r) : 0;
    if (tail_exponent_ != 0) {
      constexpr double two_over_sqrt_pi = 1.12837916709551257390;
      const double screen = std::erf(tail_range_ * r), tail = std::pow(screen / r, tail_exponent_);
      const double x = tail_range_ * r;
      const double log_slope = tail_exponent_ * (tail_range_ * two_over_sqrt_pi * std::exp(-x * x) / screen - 1 / r);
      slope = tail * (slope + factor * log_slope);
      factor *= tail;
    }
    for (index_t k = 0; k < n_exponents; ++k) out[k] = power(r, exponents_[k]);
    out[n_exponents] = factor;
    if (!jacobian) continue;
    for (int a = 0; a < 3; ++a, jacobian += n) {
      const double direction = v[a] / r;
      for (index_t k = 0; k < n_exponents; ++k) {
        jacobian[k] = exponents_[k] * power(r, exponents_[k] - 1) * direction;
      }
      jacobian[n_exponents] = slope * direction;
    }
  }
}

}  // namespace mercer
