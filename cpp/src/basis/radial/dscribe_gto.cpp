// The Gaussian radial basis of DScribe (Himanen et al., Comput. Phys. Commun. 247 (2020) 106949): phi_nl(r) =
// r^l exp(-alpha_nl r^2), with alpha_nl such that phi_nl(a_n) = 1/1000 at n_max points a_n at equal distances from 1 Angstrom
// to the radius. They are orthonormalised by the symmetric root of the overlap of these very primitives, which are not
// normalised. `radius` is the r_cut of DScribe, where atoms beyond it count as long as their Gaussians reach into it.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "mercer/core/error.hpp"
#include "mercer/math/dense.hpp"
#include "mercer/math/quadrature.hpp"
#include "radial.hpp"

namespace mercer::radial {
namespace {

double condition_of(std::size_t n, const LongMatrix& overlap) {
  try {
    const int size = static_cast<int>(n);
    return static_cast<double>(infinity_norm(size, overlap) * infinity_norm(size, inverse_positive(size, overlap)));
  } catch (const std::invalid_argument&) {
    return INFINITY;
  }
}

}  // namespace

RadialBasis dscribe_gto(const RadialBasisParameters& p) {
  const std::size_t n_max = p.n_max, n_l = p.l_max + 1;
  const double radius = radius_within(p, "dscribe_gto", 1);
  std::vector<long double> alpha(n_l * n_max);
  double end = 0, steepest = 0;
  for (std::size_t l = 0; l < n_l; ++l) {
    for (std::size_t n = 0; n < n_max; ++n) {
      const long double a = n_max == 1 ? 1 : 1 + (static_cast<long double>(radius) - 1) * n / (n_max - 1);
      const long double value = alpha[l * n_max + n] = (std::log(1000.0L) + l * std::log(a)) / (a * a);
      // r^l exp(-alpha r^2) falls off at least like a Gaussian around its maximum sqrt(l / 2 alpha).
      end = std::max(end, static_cast<double>((std::sqrt(l + 1.0L) + 10) / std::sqrt(2 * value)));
      steepest = std::max(steepest, static_cast<double>(value));
    }
  }
  // The narrowest structure: two of the narrowest primitives, or one with the atomic Gaussian.
  const double width = 1 / std::sqrt(2 * steepest + std::max(2 * steepest, 1 / (p.sigma * p.sigma)));
  const Quadrature rule = gauss_legendre(n_quadrature(end, 1.15 * gaussian_wave_number(width)), 0, end);
  const std::size_t n_nodes = rule.nodes.size();
  const long double four_pi = 4 * std::acos(-1.0L);
  std::vector<long double> matrix;
  LongMatrix columns(n_nodes * n_max), overlap(n_max * n_max);
  for (std::size_t l = 0; l < n_l; ++l) {
    std::vector<long double> norms(n_max, 0);
    for (std::size_t q = 0; q < n_nodes; ++q) {
      const long double s = rule.nodes[q];
      for (std::size_t n = 0; n < n_max; ++n) {
        const long double value = std::sqrt(rule.weights[q]) * s * std::exp(l * std::log(s) - alpha[l * n_max + n] * s * s);
        columns[q * n_max + n] = value;
        norms[n] += value * value;
      }
    }
    for (std::size_t i = 0; i < n_max; ++i) {
      for (std::size_t j = 0; j < n_max; ++j) {
        long double sum = 0;
        for (std::size_t q = 0; q < n_nodes; ++q) sum += columns[q * n_max + i] * columns[q * n_max + j];
        overlap[i * n_max + j] = sum / std::sqrt(norms[i] * norms[j]);
      }
    }
    const double condition = condition_of(n_max, overlap);
    MERCER_REQUIRE(condition < 1e16, "radial basis 'dscribe_gto': n_max = ", n_max,
                   " Gaussians are linearly dependent (condition ", condition,
                   " of their overlap, limit 1e16); use a smaller n_max, or another radial_basis");
    const PolarFactor factor = polar_factor(static_cast<int>(n_nodes), p.n_max, columns);
    for (std::size_t q = 0; q < n_nodes; ++q) {
      const long double scale = four_pi * std::sqrt(rule.weights[q]) * rule.nodes[q];
      for (std::size_t n = 0; n < n_max; ++n) matrix.push_back(scale * factor.u[q * n_max + n]);
    }
  }
  return RadialBasis(p, rule.nodes, std::move(matrix));
}

}  // namespace mercer::radial
