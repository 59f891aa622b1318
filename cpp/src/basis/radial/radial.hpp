/// The radial bases, one file each.
#pragma once

#include <cmath>

#include "mercer/basis/radial_basis.hpp"
#include "mercer/core/error.hpp"

namespace mercer::radial {

RadialBasis gto(const RadialBasisParameters& parameters);
RadialBasis gap(const RadialBasisParameters& parameters);
RadialBasis gap_polynomial(const RadialBasisParameters& parameters);
RadialBasis gap_gto(const RadialBasisParameters& parameters);
RadialBasis laplacian(const RadialBasisParameters& parameters);
RadialBasis dscribe_gto(const RadialBasisParameters& parameters);
RadialBasis dscribe_polynomial(const RadialBasisParameters& parameters);
RadialBasis featomic_gto(const RadialBasisParameters& parameters);

/// Nodes of a Gauss-Legendre rule that integrates functions of largest wave number k over [0, radius] to all digits:
/// about k radius / 4 for the wave and a constant number for the ends.
inline int n_quadrature(double radius, double k) { return static_cast<int>(std::ceil(0.25 * k * radius)) + 28; }

/// Where the Fourier transform of a Gaussian of standard deviation `width` has fallen to exp(-46) = 1e-20.
inline double gaussian_wave_number(double width) { return 9.6 / width; }

inline double extra_or(const RadialBasisParameters& parameters, const char* key, double value) {
  const auto found = parameters.extra.find(key);
  return found == parameters.extra.end() ? value : found->second;
}

/// The parameter `radius`, by default r_cut, where functions may end before the cutoff.
inline double radius_within(const RadialBasisParameters& parameters, const char* name, double least) {
  const double radius = extra_or(parameters, "radius", parameters.r_cut);
  MERCER_REQUIRE(radius > least && radius <= parameters.r_cut, "radial basis '", name, "': expected a radius in (", least,
                 ", r_cut = ", parameters.r_cut, "] (Angstrom), got ", radius);
  return radius;
}

}  // namespace mercer::radial
