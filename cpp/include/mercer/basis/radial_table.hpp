/// A radial basis tabulated once on a quintic Hermite spline, so that every basis costs the same in the hot loop.
#pragma once

#include <algorithm>

#include "mercer/basis/radial_basis.hpp"
#include "mercer/core/memory.hpp"

namespace mercer {

/// Knots on a uniform grid over [0, r_cut]; each holds value, first and second derivative of all I_nl, so the spline is
/// C2 and its derivative is exactly the derivative of its value: forces are consistent with energies to the last digit.
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

  /// values[l * n_pad + n] = I_nl(r) for 0 <= r <= r_cut.
  void evaluate(double r, double* __restrict values) const {
    const Interval at = find(r);
    const double t = at.t, u = 1 - t;
    const double w0 = u * u * u * (1 + t * (3 + 6 * t)), w1 = u * u * u * t * (1 + 3 * t), w2 = 0.5 * u * u * u * t * t;
    const double w3 = t * t * t * (1 + u * (3 + 6 * u)), w4 = -t * t * t * u * (1 + 3 * u), w5 = 0.5 * t * t * t * u * u;
    const index_t n = size(), s = stride_;
    const double* __restrict k = at.knot;
    for (index_t i = 0; i < n; ++i) {
      values[i] = w0 * k[i] + w1 * k[s + i] + w2 * k[2 * s + i] + w3 * k[3 * s + i] + w4 * k[4 * s + i] +
                  w5 * k[5 * s + i];
    }
  }

  /// Also derivatives[l * n_pad + n] = dI_nl/dr.
  void evaluate(double r, double* __restrict values, double* __restrict derivatives) const {
    const Interval at = find(r);
    const double t = at.t, u = 1 - t, h = inverse_step_;
    const double w0 = u * u * u * (1 + t * (3 + 6 * t)), w1 = u * u * u * t * (1 + 3 * t), w2 = 0.5 * u * u * u * t * t;
    const double w3 = t * t * t * (1 + u * (3 + 6 * u)), w4 = -t * t * t * u * (1 + 3 * u), w5 = 0.5 * t * t * t * u * u;
    const double d0 = -30 * t * t * u * u * h, d1 = u * u * (1 + t * (2 - 15 * t)) * h,
                 d2 = 0.5 * u * u * t * (2 - 5 * t) * h;
    const double d4 = t * t * (1 + u * (2 - 15 * u)) * h, d5 = -0.5 * t * t * u * (2 - 5 * u) * h;
    const index_t n = size(), s = stride_;
    const double* __restrict k = at.knot;
    for (index_t i = 0; i < n; ++i) {
      const double k0 = k[i], k1 = k[s + i], k2 = k[2 * s + i], k3 = k[3 * s + i], k4 = k[4 * s + i], k5 = k[5 * s + i];
      values[i] = w0 * k0 + w1 * k1 + w2 * k2 + w3 * k3 + w4 * k4 + w5 * k5;
      derivatives[i] = d0 * (k0 - k3) + d1 * k1 + d2 * k2 + d4 * k4 + d5 * k5;
    }
  }

 private:
  struct Interval {
    const double* knot;
    double t;  ///< 0 .. 1
  };
  Interval find(double r) const {
    const double x = r * inverse_step_;
    const index_t i = std::min(static_cast<index_t>(x), n_knots_ - 2);
    return {knots_.data() + 3 * i * stride_, x - static_cast<double>(i)};
  }

  int n_max_ = 0, n_pad_ = 0, l_max_ = 0;
  index_t n_knots_ = 0;
  index_t stride_ = 0;  ///< size() rounded up to full cache lines
  double inverse_step_ = 0, step_ = 0;
  double r_cut_ = 0;
  double error_ = 0;
  Buffer<double> knots_;  ///< [knot][value, h * first, h^2 * second derivative][stride], within it [l][n_pad]
};

}  // namespace mercer
