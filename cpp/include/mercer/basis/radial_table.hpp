/// A radial basis tabulated once as a quintic spline, so that every basis costs the same in the hot loop.
#pragma once

#include "mercer/basis/radial_basis.hpp"
#include "mercer/core/memory.hpp"

namespace mercer {

class ChebyshevSeries;

/// Interpolates all I_nl at the knots of a uniform grid over [0, r_cut] (and their first two derivatives at its ends) by
/// quintic B-splines: de Boor, A Practical Guide to Splines. One row of coefficients a knot is half of the memory that
/// values with derivatives would take; the spline is C4, and its derivative is exactly the derivative of its value, so
/// forces are consistent with energies to the last digit.
/// n is padded with zeros to n_pad, a multiple of 4, for aligned vector loads; l is the slow index.
class RadialTable {
 public:
  /// Refines the grid until the spline differs from the basis by at most `accuracy` times the largest |I_nl|.
  /// @throws std::invalid_argument for an accuracy outside [1e-13, 1e-2].
  explicit RadialTable(const RadialBasis& basis, double accuracy = 1e-11);

  int n_max() const { return n_max_; }
  int n_pad() const { return n_pad_; }
  int l_max() const { return l_max_; }
  double r_cut() const { return r_cut_; }
  index_t n_knots() const { return n_knots_; }
  /// Largest measured error, relative to the largest |I_nl|.
  double error() const { return error_; }
  double step() const { return step_; }

  /// Number of values per distance, (l_max + 1) * n_pad.
  index_t size() const { return static_cast<index_t>(l_max_ + 1) * n_pad_; }
  /// size() rounded up to full cache lines: doubles between the results of two distances.
  index_t stride() const { return stride_; }

  /// values[p * stride() + l * n_pad + n] = f(r_p) I_nl(r_p) for n distances 0 <= r <= r_cut, zeros behind n_max and
  /// behind size(); where `derivatives` is given, also d(f I_nl)/dr from df[p] = f'(r_p).
  void evaluate(index_t n, const double* r, const double* f, const double* df, double* values, double* derivatives) const;
  /// I_nl(r), and its derivatives.
  void evaluate(double r, double* values, double* derivatives = nullptr) const {
    const double one = 1, zero = 0;
    evaluate(1, &r, &one, &zero, values, derivatives);
  }

 private:
  void interpolate(const ChebyshevSeries& series, index_t n_intervals);
  template <bool WithDerivatives>
  void evaluate_all(index_t n, const double* r, const double* f, const double* df, double* values,
                    double* derivatives) const;

  int n_max_ = 0, n_pad_ = 0, l_max_ = 0;
  index_t n_knots_ = 0;
  index_t stride_ = 0;
  double inverse_step_ = 0, step_ = 0;
  double r_cut_ = 0;
  double error_ = 0;
  Buffer<double> rows_;  ///< [n_knots + 4][stride], within it [l][n_pad]; rows k .. k + 5 count between knots k and k + 1
};

}  // namespace mercer
