#include "mercer/basis/radial_table.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "mercer/core/error.hpp"
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
  std::vector<double> exact(s), spline(s);
  index_t n_intervals = 32;
  for (int attempt = 0;; ++attempt) {
    step_ = r_cut_ / static_cast<double>(n_intervals);
    inverse_step_ = static_cast<double>(n_intervals) / r_cut_;
    n_knots_ = n_intervals + 1;
    knots_ = Buffer<double>(3 * n_knots_ * stride_);
    double largest = 0;
    for (index_t k = 0; k < n_knots_; ++k) {
      double* knot = knots_.data() + 3 * k * stride_;
      series.evaluate(step_ * static_cast<double>(k), knot, knot + stride_, knot + 2 * stride_);
      for (index_t i = 0; i < s; ++i) {
        largest = std::max(largest, std::fabs(knot[i]));
        knot[stride_ + i] *= step_;
        knot[2 * stride_ + i] *= step_ * step_;
      }
    }
    // Between the knots the error of quintic Hermite interpolation is largest in the middle.
    double worst = 0;
    const auto compare = [&](double r) {
      evaluate(r, spline.data());
      for (index_t i = 0; i < s; ++i) worst = std::max(worst, std::fabs(spline[i] - exact[i]));
    };
    for (index_t k = 0; k < n_intervals; ++k) {
      for (double t : {0.5, 0.3}) {
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

}  // namespace mercer
