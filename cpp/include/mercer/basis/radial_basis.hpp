/// Radial bases: what a neighbour at distance r adds to the expansion coefficients of the density.
#pragma once

#include <map>
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
  double width = 0.5;   ///< transition width of the cutoff function, Angstrom; r_cut for "cosine", 0 for "none"
  std::map<std::string, double> extra = {};  ///< what one basis alone knows, e.g. the radius of "laplacian"
};

/// The radial integrals I_nl(r) that give c_nlm = sum_j f_c(r_j) u(r_j) I_nl(r_j) Y_lm(r_j). For a basis of orthonormal
/// functions R_nl they are the overlap with the Gaussian of an atom at distance r,
///   I_nl(r) = 4 pi int s^2 R_nl(s) g_l(s, r) ds,   g_l(s, r) = exp(-(s^2 + r^2) / 2 sigma^2) i_l(s r / sigma^2).
/// Every basis is linear in the density, so it is a set of nodes s_q and a matrix: I_nl(r) = sum_q g_l(s_q, r) M_l[q][n].
/// The nodes are those of a quadrature, or where a basis interpolates, its own. All in extended precision: RadialTable
/// makes the spline and the derivatives that the hot loop uses.
class RadialBasis {
 public:
  /// `matrix` holds [l][q][n], or [q][n] for all l alike.
  RadialBasis(const RadialBasisParameters& parameters, std::vector<long double> nodes, std::vector<long double> matrix);

  const RadialBasisParameters& parameters() const { return parameters_; }
  const std::vector<long double>& nodes() const { return nodes_; }
  const std::vector<long double>& matrix() const { return matrix_; }

  /// I_nl(r) for 0 <= r <= r_cut into values[l * n_max + n], close to double precision. The Gaussian on the centre
  /// is a neighbour at r = 0.
  void evaluate(double r, double* values) const;

 private:
  RadialBasisParameters parameters_;
  std::vector<long double> nodes_;
  std::vector<long double> matrix_;
  bool same_for_all_l_;
};

/// The table of radial bases: a new one is one file in src/basis/radial and its line in src/basis/radial/registry.cpp.
struct RadialBasisEntry {
  std::string name;
  std::vector<std::string> extra;  ///< keys of RadialBasisParameters::extra that it takes
  RadialBasis (*make)(const RadialBasisParameters&);
};
const std::vector<RadialBasisEntry>& radial_basis_table();

/// @throws std::invalid_argument for an unknown name (listing the known ones) or parameters outside their ranges.
std::unique_ptr<RadialBasis> make_radial_basis(const std::string& name, const RadialBasisParameters& parameters);

}  // namespace mercer
