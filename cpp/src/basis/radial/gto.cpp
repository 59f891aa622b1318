// Gaussian-type orbitals r^k exp(-r^2 / 2 sigma_k^2), k = 0 .. n_max - 1, orthonormalised by S^(-1/2): Musil et al.,
// J. Chem. Phys. 154 (2021) 114109. Their widths put the maxima of the primitives at equal distances,
// sigma_k = span max(sqrt(k), 1) / n_max, where span is the range in which the cutoff function is 1, or r_cut where it
// falls from the centre on. "featomic_gto" is the basis of featomic (github.com/metatensor/featomic): the same functions
// over all of r_cut, and Gaussians of unit norm, int g^2 d^3r = 1, instead of unit height.
#include <algorithm>
#include <cmath>

#include "mercer/core/error.hpp"
#include "mercer/math/dense.hpp"
#include "mercer/math/quadrature.hpp"
#include "radial.hpp"

namespace mercer::radial {
namespace {

/// The functions over `span`, of a basis called `name`, and atomic Gaussians of the given height.
RadialBasis orbitals(const RadialBasisParameters& p, const char* name, double span, long double height) {
  const int n_max = p.n_max;
  // Whatever the span, the overlap is singular in extended precision long before; the factor would take minutes.
  MERCER_REQUIRE(n_max <= 40, "radial basis '", name, "': n_max = ", n_max,
                 " Gaussians are linearly dependent; use n_max <= 17 or radial_basis='laplacian'");
  std::vector<double> widths(n_max);
  double radius = 0;
  for (int k = 0; k < n_max; ++k) {
    widths[k] = span * std::max(std::sqrt(static_cast<double>(k)), 1.0) / n_max;
    // r^k exp(-r^2 / 2 sigma_k^2) falls off at least like a Gaussian of sigma_k around its maximum sqrt(k) sigma_k.
    radius = std::max(radius, widths[k] * (std::sqrt(static_cast<double>(k)) + 10));
  }
  // The narrowest structure: two of the narrowest primitives, or one with the atomic Gaussian.
  const double narrow = widths[0];
  const double width = 1 / std::sqrt(1 / (narrow * narrow) + 1 / std::pow(std::min(p.sigma, narrow), 2));
  const int n_nodes = n_quadrature(radius, 1.15 * gaussian_wave_number(width));
  const Quadrature rule = gauss_legendre(n_nodes, 0, radius);

  // Columns sqrt(w_q) s_q phi_k(s_q), scaled so that phi_k is 1 at its maximum. Their overlap is S, so the polar factor
  // holds sqrt(w_q) s_q R_n(s_q) with R = S^(-1/2) phi, at the condition number of S^(1/2) instead of that of S.
  // R_n depends on the normalisation of phi_k before the root: unit norm.
  LongMatrix columns(static_cast<std::size_t>(n_nodes) * n_max);
  for (int k = 0; k < n_max; ++k) {
    const long double sigma = widths[k];
    long double norm = 0;
    for (int q = 0; q < n_nodes; ++q) {
      const long double t = rule.nodes[q] / sigma;
      const long double log_value = (k == 0 ? 0 : k * (std::log(t) - std::log(static_cast<long double>(k)) / 2)) -
                                    (t * t - k) / 2;
      const long double value = std::sqrt(rule.weights[q]) * rule.nodes[q] * std::exp(log_value);
      columns[static_cast<std::size_t>(q) * n_max + k] = value;
      norm += value * value;
    }
    norm = std::sqrt(norm);
    for (int q = 0; q < n_nodes; ++q) columns[static_cast<std::size_t>(q) * n_max + k] /= norm;
  }
  PolarFactor factor = polar_factor(n_nodes, n_max, columns);
  const double condition = static_cast<double>(factor.condition * factor.condition);
  MERCER_REQUIRE(condition < 1e12, "radial basis '", name, "': n_max = ", n_max,
                 " Gaussians are linearly dependent (condition ", condition,
                 " of their overlap, limit 1e12); use n_max <= 17 or radial_basis='laplacian'");
  const long double four_pi = 4 * height * std::acos(-1.0L);
  for (int q = 0; q < n_nodes; ++q) {
    const long double scale = four_pi * std::sqrt(rule.weights[q]) * rule.nodes[q];
    for (int n = 0; n < n_max; ++n) factor.u[static_cast<std::size_t>(q) * n_max + n] *= scale;
  }
  return RadialBasis(p, rule.nodes, std::move(factor.u));
}

}  // namespace

RadialBasis gto(const RadialBasisParameters& p) {
  return orbitals(p, "gto", p.width < p.r_cut ? p.r_cut - p.width : p.r_cut, 1);
}

RadialBasis featomic_gto(const RadialBasisParameters& p) {
  const long double sigma = p.sigma;
  return orbitals(p, "featomic_gto", p.r_cut, std::pow(std::acos(-1.0L) * sigma * sigma, -0.75L));
}

}  // namespace mercer::radial
