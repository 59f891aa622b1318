/// Radial bases: what a neighbour at distance r adds to the expansion coefficients of the density.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "mercer/core/array.hpp"

namespace mercer {

struct RadialBasisParameters {
  int n_max = 8;        ///< number of radial functions, n = 0 .. n_max - 1
  int l_max = 6;        ///< largest angular momentum, l = 0 .. l_max
  double r_cut = 5.0;   ///< Angstrom
  double sigma = 0.5;   ///< width of the atomic Gaussians, Angstrom
  double width = 0.5;   ///< transition width of the cutoff function, Angstrom
};

/// The radial integrals I_nl(r) of an orthonormal basis R_n with the Gaussian of an atom at distance r,
/// I_nl(r) = 4 pi exp(-r^2 / 2 sigma^2) int_0^inf s^2 R_nl(s) exp(-s^2 / 2 sigma^2) i_l(s r / sigma^2) ds,
/// so that c_nlm = sum_j f_c(r_j) u(r_j) I_nl(r_j) Y_lm(r_j).
/// A basis gives values only; RadialTable makes the spline and the derivatives that the hot loop uses.
class RadialBasis {
 public:
  explicit RadialBasis(const RadialBasisParameters& parameters) : parameters_(parameters) {}
  virtual ~RadialBasis() = default;
  const RadialBasisParameters& parameters() const { return parameters_; }

  /// I_nl(r) for 0 <= r <= r_cut into values[l * n_max + n], close to double precision. The Gaussian on the centre
  /// is a neighbour at r = 0.
  virtual void evaluate(double r, double* values) const = 0;

 private:
  RadialBasisParameters parameters_;
};

/// The table of radial bases: a new one is one file in src/basis/radial and one line in its registry.cpp.
struct RadialBasisEntry {
  std::string name;
  std::unique_ptr<RadialBasis> (*make)(const RadialBasisParameters&);
};
const std::vector<RadialBasisEntry>& radial_basis_table();

/// @throws std::invalid_argument for an unknown name (listing the known ones) or parameters outside their ranges.
std::unique_ptr<RadialBasis> make_radial_basis(const std::string& name, const RadialBasisParameters& parameters);

}  // namespace mercer
