#include "mercer/basis/radial_basis.hpp"

#include <algorithm>
#include <cmath>

#include "mercer/core/error.hpp"
#include "mercer/math/bessel.hpp"

namespace mercer {

RadialBasis::RadialBasis(const RadialBasisParameters& parameters, std::vector<long double> nodes,
                         std::vector<long double> matrix)
    : parameters_(parameters), nodes_(std::move(nodes)), matrix_(std::move(matrix)) {
  const std::size_t one = nodes_.size() * parameters_.n_max;
  same_for_all_l_ = matrix_.size() == one;
  if (!same_for_all_l_ && matrix_.size() != one * (parameters_.l_max + 1)) {
    throw std::logic_error("RadialBasis: the matrix does not fit the nodes");
  }
}

void RadialBasis::evaluate(double r, double* values) const {
  const int n_max = parameters_.n_max, l_max = parameters_.l_max;
  const long double sigma = parameters_.sigma;
  std::vector<long double> sums(static_cast<std::size_t>(l_max + 1) * n_max, 0), bessel(l_max + 1);
  const std::size_t n_nodes = nodes_.size();
  for (std::size_t q = 0; q < n_nodes; ++q) {
    const long double t = (nodes_[q] - r) / sigma;
    if (t * t > 140) continue;  // exp(-70) = 4e-31
    const long double gaussian = std::exp(-t * t / 2);
    scaled_spherical_bessel_i(l_max, nodes_[q] * r / (sigma * sigma), bessel.data());
    for (int l = 0; l <= l_max; ++l) {
      const long double g = gaussian * bessel[l];
      const long double* row = &matrix_[((same_for_all_l_ ? 0 : l) * n_nodes + q) * n_max];
      long double* sum = &sums[static_cast<std::size_t>(l) * n_max];
      for (int n = 0; n < n_max; ++n) sum[n] += g * row[n];
    }
  }
  std::transform(sums.begin(), sums.end(), values, [](long double v) { return static_cast<double>(v); });
}

}  // namespace mercer
