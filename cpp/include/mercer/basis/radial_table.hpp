/// A radial basis tabulated once on a quintic Hermite spline, so that every basis costs the same in the hot loop.
#pragma once

#include "mercer/basis/radial_basis.hpp"
#include "mercer/core/memory.hpp"

namespace mercer {

/// Knots on a uniform grid over [0, r_cut]; each holds value, first and second derivative of all I_nl, so the spline is
/// C2 and its derivative is exactly the derivative of its value: forces are consistent with energies to the last digit.
/// n is padded with zeros to n_pad, a multiple of 4, for aligned vector loads; l is the slow index.
class RadialTable {
 public:
  /// Refines the grid until the spline differs from the basis by at most `accuracy` times the largest |I_nl|.
  explicit RadialTable(const RadialBasis& basis, double accuracy = 1e-11);

  int n_max() const { return n_max_; }
  int n_pad() const { return n_pad_; }
  int l_max() const { return l_max_; }
  index_t n_knots() const { return n_knots_; }
  /// Largest measured error, relative to the largest |I_nl|.
  double error() const { return error_; }
  double step() const { return 1.0 / inverse_step_; }

  /// Number of values per distance, (l_max + 1) * n_pad.
  index_t size() const { return static_cast<index_t>(l_max_ + 1) * n_pad_; }

  /// values[l * n_pad + n] = I_nl(r).
  void evaluate(double r, double* values) const;
  /// Also derivatives[l * n_pad + n] = dI_nl/dr.
  void evaluate(double r, double* values, double* derivatives) const;

 private:
  int n_max_ = 0, n_pad_ = 0, l_max_ = 0;
  index_t n_knots_ = 0;
  double inverse_step_ = 0;
  double r_cut_ = 0;
  double error_ = 0;
  Buffer<double> knots_;  ///< [knot][value, h * first, h^2 * second derivative][l][n_pad]
};

}  // namespace mercer
