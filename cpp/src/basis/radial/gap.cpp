// Equispaced Gaussians as in QUIP's GAP (Bartok & Csanyi, Int. J. Quantum Chem. 115 (2015) 1051): phi_n(r) =
// exp(-(r - r_n)^2 / 2 sigma^2) at r_n = n r_b / n_max, r_b = r_cut + sigma sqrt(2 e ln 10), Cholesky-orthonormalised.
// The density is interpolated at the nodes, not projected: coefficients g^T C^-1 L with C_nn' = phi_n'(r_n), S = L L^T
// the overlap with weight r^2. The factor 4 pi is left out, as there. Coefficients of angular momentum l are multiplied
// by (2 l + 1)^angular_power: with 1/4 power spectra lose their factor (2 l + 1)^-1/2, as in potentials before 2015.
#include <cmath>

#include "mercer/core/error.hpp"
#include "mercer/math/dense.hpp"
#include "radial.hpp"

namespace mercer::radial {

RadialBasis gap(const RadialBasisParameters& p) {
  const int n_max = p.n_max;
  const long double angular_power = extra_or(p, "angular_power", 0.0);
  const double exponent = extra_or(p, "basis_error_exponent", 10.0);
  MERCER_REQUIRE(exponent > 0, "radial basis 'gap': expected basis_error_exponent > 0, got ", exponent);
  const long double sigma = p.sigma, a = 1 / (2 * sigma * sigma), pi = std::acos(-1.0L);
  const long double border = p.r_cut + sigma * std::sqrt(2 * exponent * std::log(10.0L));
  std::vector<long double> nodes(n_max);
  for (int n = 0; n < n_max; ++n) nodes[n] = n * border / n_max;

  LongMatrix overlap(static_cast<std::size_t>(n_max) * n_max), collocation(overlap.size());
  for (int i = 0; i < n_max; ++i) {
    for (int j = 0; j < n_max; ++j) {
      const long double s = nodes[i] + nodes[j], d = nodes[i] - nodes[j];
      collocation[i * n_max + j] = std::exp(-a * d * d);
      overlap[i * n_max + j] =
          s * std::exp(-a * (nodes[i] * nodes[i] + nodes[j] * nodes[j])) / (8 * a) +
          std::sqrt(pi) * std::exp(-a * d * d / 2) / (8 * std::sqrt(2.0L) * a * std::sqrt(a)) * (1 + a * s * s) *
              (1 + std::erf(std::sqrt(a / 2) * s));
    }
  }
  const auto refusal = [&](const std::string& detail) {
    return concatenate("radial basis 'gap': n_max = ", n_max, " Gaussians of sigma = ", p.sigma, " in ",
                       static_cast<double>(border), " Angstrom are linearly dependent (", detail,
                       "); use a smaller n_max or sigma");
  };
  LongMatrix l, inverse;
  try {
    l = cholesky(n_max, overlap);
    inverse = inverse_positive(n_max, collocation);
    const double condition =
        static_cast<double>(infinity_norm(n_max, overlap) * infinity_norm(n_max, inverse_positive(n_max, overlap)));
    if (!(condition < 1e12)) throw std::invalid_argument(concatenate("condition ", condition, ", limit 1e12"));
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(refusal(error.what()));
  }
  LongMatrix transform(overlap.size(), 0);
  for (int i = 0; i < n_max; ++i) {
    for (int k = 0; k < n_max; ++k) {
      for (int j = 0; j <= k; ++j) transform[i * n_max + j] += inverse[i * n_max + k] * l[k * n_max + j];
    }
  }
  if (angular_power == 0) return RadialBasis(p, std::move(nodes), std::move(transform));
  LongMatrix scaled;
  for (int l = 0; l <= p.l_max; ++l) {
    for (const long double value : transform) scaled.push_back(value * std::pow(2.0L * l + 1, angular_power));
  }
  return RadialBasis(p, std::move(nodes), std::move(scaled));
}

}  // namespace mercer::radial
