#include "mercer/descriptors/triplet.hpp"

#include <cmath>

#include "mercer/core/error.hpp"

namespace mercer {

Triplet::Triplet(std::vector<std::vector<std::int32_t>> kinds, Cutoff cutoff, std::vector<double> scales)
    : ClusterDescriptor(ClusterKinds(std::move(kinds), 1), cutoff.r_cut(), 3, false, std::move(scales)),
      cutoff_(cutoff) {
  MERCER_REQUIRE(order() == 3, "Triplet: kinds of ", order(), " elements, expected 3");
}

void Triplet::find(const StructureBatch& structures, const PairList& pairs, index_t centre, ClusterList& found) const {
  const index_t n = kinds().n_classes();
  const auto element = [&](index_t atom) { return kinds().element_class(structures.numbers[atom]); };
  const int first = element(centre);
  if (first < 0) return;
  const index_t end = pairs.offsets[centre + 1];
  for (index_t p = pairs.offsets[centre]; p < end; ++p) {
    const int second = element(pairs.neighbors[p]);
    if (second < 0 || !(pairs.distances[p] < r_cut())) continue;
    for (index_t q = p + 1; q < end; ++q) {
      const int third = element(pairs.neighbors[q]);
      if (third < 0 || !(pairs.distances[q] < r_cut())) continue;
      const std::int32_t group = kinds().kind(first + n * (second + n * third));
      if (group < 0) continue;
      found.groups.push_back(group);
      found.origins.push_back(static_cast<std::int32_t>(centre));
      for (const index_t pair : {p, q}) {
        found.atoms.push_back(pairs.neighbors[pair]);
        found.vectors.push_back(pairs.vectors[pair]);
      }
    }
  }
}

void Triplet::measure(const ClusterList& list, index_t begin, index_t end, double* out, double* jacobian) const {
  constexpr index_t n = 4;
  for (index_t row = begin; row < end; ++row, out += n) {
    const Vec3 &v = list.vectors[2 * row], &w = list.vectors[2 * row + 1];
    const Vec3 d{w[0] - v[0], w[1] - v[1], w[2] - v[2]};
    const auto length = [](const Vec3& u) { return std::sqrt(u[0] * u[0] + u[1] * u[1] + u[2] * u[2]); };
    const double r1 = length(v), r2 = length(w), r12 = length(d);
    const double f1 = cutoff_.value(r1), f2 = cutoff_.value(r2);
    out[0] = r1 + r2;
    out[1] = (r1 - r2) * (r1 - r2);
    out[2] = r12;
    out[3] = f1 * f2;
    if (!jacobian) continue;
    const double df1 = cutoff_.derivative(r1), df2 = cutoff_.derivative(r2);
    for (int a = 0; a < 3; ++a) {
      const double e1 = v[a] / r1, e2 = w[a] / r2, e12 = d[a] / r12;
      double *to_first = jacobian + a * n, *to_second = jacobian + (3 + a) * n;
      to_first[0] = e1;
      to_second[0] = e2;
      to_first[1] = 2 * (r1 - r2) * e1;
      to_second[1] = -2 * (r1 - r2) * e2;
      to_first[2] = -e12;
      to_second[2] = e12;
      to_first[3] = df1 * f2 * e1;
      to_second[3] = f1 * df2 * e2;
    }
    jacobian += 6 * n;
  }
}

}  // namespace mercer
