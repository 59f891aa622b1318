// Eigenfunctions of the Laplacian in a sphere, R_nl(r) = N_nl j_l(z_ln r / radius) with z_ln the zeros of j_l: Bigi,
// Huguenin-Dumittan, Ceriotti & Manolopoulos, J. Chem. Phys. 157 (2022) 234101. The sphere must hold the tails of the
// Gaussians: by default radius = r_cut + 4 sigma.
#include <cmath>

#include "mercer/core/error.hpp"
#include "mercer/math/bessel.hpp"
#include "mercer/math/quadrature.hpp"
#include "radial.hpp"

namespace mercer::radial {

RadialBasis laplacian(const RadialBasisParameters& p) {
  const double radius = extra_or(p, "radius", p.r_cut + 4 * p.sigma);
  MERCER_REQUIRE(radius >= p.r_cut, "radial basis 'laplacian': expected a radius >= r_cut = ", p.r_cut,
                 " (Angstrom; r_cut + 4 sigma holds the tails of the Gaussians), got ", radius);
  const auto zeros = spherical_bessel_zeros(p.l_max, p.n_max);
  const double wave_number = static_cast<double>(zeros[p.l_max][p.n_max - 1]) / radius + gaussian_wave_number(p.sigma);
  const Quadrature rule = gauss_legendre(n_quadrature(radius, wave_number), 0, radius);
  const std::size_t n_nodes = rule.nodes.size();
  const long double four_pi = 4 * std::acos(-1.0L);
  std::vector<long double> matrix(n_nodes * (p.l_max + 1) * p.n_max), j(p.l_max + 2);
  for (int l = 0; l <= p.l_max; ++l) {
    for (int n = 0; n < p.n_max; ++n) {
      const long double z = zeros[l][n];
      spherical_bessel_j(l + 1, z, j.data());
      // int_0^R s^2 j_l(z s / R)^2 ds = R^3 / 2 j_(l+1)(z)^2; the sign of R_nl is that of j_l near the centre.
      const long double norm = std::sqrt(2 / (static_cast<long double>(radius) * radius * radius)) / std::fabs(j[l + 1]);
      for (std::size_t q = 0; q < n_nodes; ++q) {
        const long double s = rule.nodes[q];
        spherical_bessel_j(l, z * s / radius, j.data());
        matrix[(l * n_nodes + q) * p.n_max + n] = four_pi * rule.weights[q] * s * s * norm * j[l];
      }
    }
  }
  return RadialBasis(p, rule.nodes, std::move(matrix));
}

}  // namespace mercer::radial
