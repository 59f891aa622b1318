#include "mercer/basis/radial_table.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "mercer/core/error.hpp"
#include "mercer/core/simd.hpp"
#include "mercer/math/chebyshev.hpp"

namespace mercer {

RadialTable::RadialTable(const RadialBasis& basis, double accuracy)
    : n_max_(basis.parameters().n_max),
      n_pad_((n_max_ + 3) / 4 * 4),
      l_max_(basis.parameters().l_max),
      r_cut_(basis.parameters().r_cut) {
  MERCER_REQUIRE(accuracy >= 1e-13 && accuracy <= 1e-2, "RadialTable: expected an accuracy in [1e-13, 1e-2], got ",
                 accuracy);
  // One polynomial over the whole range gives the derivatives at the knots; the basis itself is called few times.
  std::vector<double> compact(static_cast<std::size_t>(l_max_ + 1) * n_max_);
  const auto padded = [&](double r, double* values) {
    basis.evaluate(r, compact.data());
    for (int l = 0; l <= l_max_; ++l) {
      std::copy_n(&compact[static_cast<std::size_t>(l) * n_max_], n_max_, values + static_cast<index_t>(l) * n_pad_);
      std::fill_n(values + static_cast<index_t>(l) * n_pad_ + n_max_, n_pad_ - n_max_, 0.0);
    }
  };
  const ChebyshevSeries series(size(), 0, r_cut_, padded, 1e-14, 4096);
  if (!series.converged()) throw std::logic_error("RadialTable: the radial integrals are not smooth on [0, r_cut]");

  const index_t s = size();
  stride_ = (s + 7) / 8 * 8;
  std::vector<double> exact(stride_), spline(stride_);
  index_t n_intervals = 32;
  for (int attempt = 0;; ++attempt) {
    interpolate(series, n_intervals);
    double largest = 0, worst = 0;
    const auto compare = [&](double r) {
      evaluate(r, spline.data());
      for (index_t i = 0; i < s; ++i) {
        largest = std::max(largest, std::fabs(exact[i]));
        worst = std::max(worst, std::fabs(spline[i] - exact[i]));
      }
    };
    // Between the knots the error is largest in the middle.
    for (index_t k = 0; k < n_intervals; ++k) {
      for (double t : {0.0, 0.3, 0.5}) {
        const double r = step_ * (static_cast<double>(k) + t);
        series.evaluate(r, exact.data());
        compare(r);
      }
    }
    for (int i = 0; i < 9; ++i) {  // the polynomial is checked against the basis as well
      const double r = step_ * (static_cast<double>(n_intervals * i / 9) + 0.5);
      padded(r, exact.data());
      compare(r);
    }
    error_ = largest > 0 ? worst / largest : 0;
    if (error_ <= accuracy) return;
    MERCER_REQUIRE(attempt < 8 && n_intervals < 100000, "RadialTable: reached an error of ", error_, " with ", n_knots_,
                   " knots, asked for ", accuracy, "; use a larger accuracy or a larger sigma");
    // The error falls with the sixth power of the step.
    const double factor = std::min(8.0, std::max(1.1, 1.05 * std::pow(error_ / accuracy, 1.0 / 6)));
    n_intervals = static_cast<index_t>(std::ceil(factor * static_cast<double>(n_intervals)));
  }
}

/// Rows c_0 .. c_(n + 4) of n intervals from as many equations: the value at knot k is
/// (c_k + 26 c_(k+1) + 66 c_(k+2) + 26 c_(k+3) + c_(k+4)) / 120, and its derivatives at the first and the last knot alike.
/// Elimination needs no pivots: collocation matrices of B-splines are totally positive.
void RadialTable::interpolate(const ChebyshevSeries& series, index_t n_intervals) {
  constexpr int lower = 4, band = 9;  // entries of equation e are those of rows e - 4 .. e + 4
  constexpr double value[5] = {1 / 120.0, 26 / 120.0, 66 / 120.0, 26 / 120.0, 1 / 120.0};
  constexpr double slope[5] = {-1 / 24.0, -10 / 24.0, 0, 10 / 24.0, 1 / 24.0};
  constexpr double curvature[5] = {1 / 6.0, 2 / 6.0, -1, 2 / 6.0, 1 / 6.0};
  step_ = r_cut_ / static_cast<double>(n_intervals);
  inverse_step_ = static_cast<double>(n_intervals) / r_cut_;
  n_knots_ = n_intervals + 1;
  const index_t n = n_knots_ + 4, s = stride_;
  rows_ = Buffer<double>(n * s);
  std::fill_n(rows_.data(), n * s, 0.0);
  std::vector<double> matrix(n * band), first(size()), second(size());
  index_t e = 0;
  const auto add = [&](index_t knot, const double (&entries)[5]) {
    for (int k = 0; k < 5; ++k) matrix[e * band + knot + k - e + lower] = entries[k];
    return rows_.data() + e++ * s;
  };
  for (index_t knot = 0; knot < n_knots_; ++knot) {
    double* row = add(knot, value);
    const bool end = knot == 0 || knot == n_intervals;
    series.evaluate(step_ * static_cast<double>(knot), row, end ? first.data() : nullptr, end ? second.data() : nullptr);
    if (!end) continue;
    double *row1 = add(knot, slope), *row2 = add(knot, curvature);
    for (index_t i = 0; i < size(); ++i) {
      row1[i] = step_ * first[i];
      row2[i] = step_ * step_ * second[i];
    }
  }
  const auto entry = [&](index_t i, index_t j) -> double& { return matrix[i * band + j - i + lower]; };
  const auto subtract = [&](double factor, index_t from, index_t to) {
    for (index_t i = 0; i < s; ++i) rows_[to * s + i] -= factor * rows_[from * s + i];
  };
  for (index_t k = 0; k < n; ++k) {
    for (index_t i = k + 1; i < std::min(n, k + lower + 1); ++i) {
      const double factor = entry(i, k) / entry(k, k);
      if (factor == 0) continue;
      for (index_t j = k; j < std::min(n, k + lower + 1); ++j) entry(i, j) -= factor * entry(k, j);
      subtract(factor, k, i);
    }
  }
  for (index_t k = n - 1; k >= 0; --k) {
    for (index_t j = k + 1; j < std::min(n, k + lower + 1); ++j) subtract(entry(k, j), j, k);
    for (index_t i = 0; i < s; ++i) rows_[k * s + i] /= entry(k, k);
  }
}

namespace {

constexpr index_t block_size = 64;
constexpr int n_weights = 6;

/// f(r) I(r) is the sum of six rows of coefficients, from `rows` on, times `weights`; its derivative that times `slopes`.
struct Stencils {
  std::int32_t rows[block_size];
  double weights[n_weights][block_size], slopes[n_weights][block_size];
};

template <bool WithDerivatives>
void find_stencils(index_t n, double inverse_step, std::int32_t last, const double* r, const double* f, const double* df,
                   Stencils& to) {
  for (index_t p = 0; p < n; ++p) {
    const double x = r[p] * inverse_step;
    to.rows[p] = std::min(static_cast<std::int32_t>(x), last);
    // The six B-splines that are not zero between two knots, times 120, and their derivatives, times 24.
    const double t = x - to.rows[p], u = 1 - t, t2 = t * t, u2 = u * u;
    const double b[] = {u2 * u2 * u,
                        26 + t * (-50 + t * (20 + t * (20 + t * (-20 + t * 5)))),
                        66 + t2 * (-60 + t2 * (30 - 10 * t)),
                        66 + u2 * (-60 + u2 * (30 - 10 * u)),
                        26 + u * (-50 + u * (20 + u * (20 + u * (-20 + u * 5)))),
                        t2 * t2 * t};
    const double g = f[p] * (1 / 120.0);
    for (int k = 0; k < n_weights; ++k) to.weights[k][p] = g * b[k];
    if constexpr (WithDerivatives) {
      const double d[] = {-u2 * u2,
                          -10 + t * (8 + t * (12 + t * (-16 + t * 5))),
                          t * (-24 + t2 * (24 - 10 * t)),
                          u * (24 + u2 * (-24 + 10 * u)),
                          10 + u * (-8 + u * (-12 + u * (16 - u * 5))),
                          t2 * t2};
      const double dg = df[p] * (1 / 120.0), gd = f[p] * inverse_step * (1 / 24.0);
      for (int k = 0; k < n_weights; ++k) to.slopes[k][p] = dg * b[k] + gd * d[k];
    }
  }
}

}  // namespace

template <bool WithDerivatives>
void RadialTable::evaluate_all(index_t n, const double* r, const double* f, const double* df, double* values,
                               double* derivatives) const {
  using simd::Vector;
  Stencils stencils;
  for (index_t begin = 0; begin < n; begin += block_size) {
    const index_t size = std::min(block_size, n - begin);
    find_stencils<WithDerivatives>(size, inverse_step_, static_cast<std::int32_t>(n_knots_ - 2), r + begin, f + begin,
                                   df + begin, stencils);
    for (index_t p = 0; p < size; ++p) {
      const double* rows = rows_.data() + stencils.rows[p] * stride_;
      Vector w[n_weights], d[n_weights];
      for (int k = 0; k < n_weights; ++k) {
        w[k] = Vector{} + stencils.weights[k][p];
        if constexpr (WithDerivatives) d[k] = Vector{} + stencils.slopes[k][p];
      }
      for (index_t i = 0; i < stride_; i += simd::width) {
        Vector value{}, derivative{};
#pragma GCC unroll 8
        for (int k = 0; k < n_weights; ++k) {
          const Vector c = simd::load(rows + k * stride_ + i);
          value += w[k] * c;
          if constexpr (WithDerivatives) derivative += d[k] * c;
        }
        simd::store(values + (begin + p) * stride_ + i, value);
        if constexpr (WithDerivatives) simd::store(derivatives + (begin + p) * stride_ + i, derivative);
      }
    }
  }
}

void RadialTable::evaluate(index_t n, const double* r, const double* f, const double* df, double* values,
                           double* derivatives) const {
  if (derivatives) {
    evaluate_all<true>(n, r, f, df, values, derivatives);
  } else {
    evaluate_all<false>(n, r, f, f, values, nullptr);
  }
}

}  // namespace mercer
