/// Chebyshev interpolation of a vector of functions on an interval.
#pragma once

#include <functional>
#include <vector>

#include "mercer/core/array.hpp"

namespace mercer {

/// Interpolates `size` functions at the Chebyshev points of the second kind and doubles their number until the trailing
/// coefficients are below `tolerance` times the largest one.
class ChebyshevSeries {
 public:
  /// `function(x, values)` writes `size` values. Where `max_degree` does not reach the tolerance, converged() is false.
  ChebyshevSeries(index_t size, double a, double b, const std::function<void(double, double*)>& function,
                  double tolerance, int max_degree = 1024);

  index_t size() const { return size_; }
  int degree() const { return static_cast<int>(coefficients_.size() / size_) - 1; }
  bool converged() const { return converged_; }

  /// Writes `size` values and, unless null, first and second derivatives at x.
  void evaluate(double x, double* values, double* first = nullptr, double* second = nullptr) const;

 private:
  index_t size_;
  double centre_, half_;
  bool converged_ = false;
  std::vector<double> coefficients_;  ///< [k][function]
};

}  // namespace mercer
