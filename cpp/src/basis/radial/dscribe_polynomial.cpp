// The polynomial radial basis of DScribe (Himanen et al., Comput. Phys. Commun. 247 (2020) 106949): phi_n(r) =
// (radius - r)^(n + 2), n = 1 .. n_max, on [0, radius], the same for all l, orthonormalised by the symmetric root of the
// overlap of these very primitives, which are not normalised. `radius` is the r_cut of DScribe, where atoms beyond it count
// as long as their Gaussians reach into it.
#include <cmath>

#include "mercer/core/error.hpp"
#include "mercer/math/dense.hpp"
#include "mercer/math/quadrature.hpp"
#include "radial.hpp"

namespace mercer::radial {

RadialBasis dscribe_polynomial(const RadialBasisParameters& p) {
  const int n_max = p.n_max;
  const double radius = radius_within(p, "dscribe_polynomial", 0);
  MERCER_REQUIRE(n_max <= 20, "radial basis 'dscribe_polynomial': n_max = ", n_max,
                 " powers are linearly dependent; use n_max <= 20, or another radial_basis");
  WideMatrix overlap(static_cast<std::size_t>(n_max) * n_max);
  std::vector<Wide> powers(2 * n_max + 8, Wide(1));  // of the radius
  for (std::size_t k = 1; k < powers.size(); ++k) powers[k] = powers[k - 1] * Wide(radius);
  for (int i = 0; i < n_max; ++i) {
    for (int j = 0; j < n_max; ++j) {
      const int k = i + j + 7;  // int_0^R r^2 (R - r)^(k - 2) dr = 2 R^(k + 2) / ((k + 2) (k + 1) k)
      overlap[i * n_max + j] = Wide(2) * powers[k + 2] / Wide(static_cast<long double>(k) * (k + 1) * (k + 2));
    }
  }
  const WideMatrix root = inverse_root(n_max, overlap);
  const Quadrature rule = gauss_legendre(n_quadrature(radius, gaussian_wave_number(p.sigma)) + n_max, 0, radius);
  const long double four_pi = 4 * std::acos(-1.0L);
  std::vector<long double> matrix;
  for (std::size_t q = 0; q < rule.nodes.size(); ++q) {
    const Wide distance = Wide(radius) - Wide(rule.nodes[q]);
    for (int n = 0; n < n_max; ++n) {
      Wide value = 0;  // Horner's rule
      for (int k = n_max - 1; k >= 0; --k) value = value * distance + root[n * n_max + k];
      value *= distance * distance * distance;
      matrix.push_back(four_pi * rule.weights[q] * rule.nodes[q] * rule.nodes[q] * static_cast<long double>(value));
    }
  }
  return RadialBasis(p, rule.nodes, std::move(matrix));
}

}  // namespace mercer::radial
