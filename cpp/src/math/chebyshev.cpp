#include "mercer/math/chebyshev.hpp"

#include <algorithm>
#include <cmath>

#include "mercer/core/error.hpp"

namespace mercer {

ChebyshevSeries::ChebyshevSeries(index_t size, double a, double b,
                                 const std::function<void(double, double*)>& function, double tolerance, int max_degree)
    : size_(size), centre_((a + b) / 2), half_((b - a) / 2) {
  MERCER_REQUIRE(size >= 1 && b > a, "ChebyshevSeries: expected size >= 1 and a < b, got size ", size, ", [", a, ", ", b,
                 "]");
  const double pi = std::acos(-1.0);
  std::vector<double> samples;  // [point][function], points cos(pi i / n)
  for (int n = 16; !converged_ && n <= max_degree; n *= 2) {
    std::vector<double> cosines(2 * n);
    for (int i = 0; i < 2 * n; ++i) cosines[i] = std::cos(pi * i / n);
    std::vector<double> finer(static_cast<std::size_t>((n + 1) * size));
    for (int i = 0; i <= n; ++i) {  // the points of n / 2 are every second one of n
      double* row = &finer[static_cast<std::size_t>(i * size)];
      if (i % 2 == 0 && !samples.empty()) {
        std::copy_n(&samples[static_cast<std::size_t>(i / 2 * size)], size, row);
      } else {
        function(centre_ + half_ * cosines[i], row);
      }
    }
    samples = std::move(finer);
    coefficients_.assign(static_cast<std::size_t>((n + 1) * size), 0.0);
    double largest = 0, tail = 0;
    for (int k = 0; k <= n; ++k) {
      double* c = &coefficients_[static_cast<std::size_t>(k * size)];
      for (int i = 0; i <= n; ++i) {
        const double weight = (k == 0 || k == n ? 1.0 : 2.0) / n * (i == 0 || i == n ? 0.5 : 1.0) *
                              cosines[static_cast<int>(static_cast<index_t>(i) * k % (2 * n))];
        const double* f = &samples[static_cast<std::size_t>(i * size)];
        for (index_t j = 0; j < size; ++j) c[j] += weight * f[j];
      }
      for (index_t j = 0; j < size; ++j) {
        largest = std::max(largest, std::fabs(c[j]));
        if (k > n - n / 8) tail = std::max(tail, std::fabs(c[j]));
      }
    }
    converged_ = tail <= tolerance * largest;
  }
}

void ChebyshevSeries::evaluate(double x, double* values, double* first, double* second) const {
  const double t = (x - centre_) / half_;
  std::fill_n(values, size_, 0.0);
  if (first) std::fill_n(first, size_, 0.0);
  if (second) std::fill_n(second, size_, 0.0);
  // T_(k+1) = 2 t T_k - T_(k-1), and the same recurrence differentiated once and twice.
  double p = 1, p1 = 0, p2 = 0, q = t, q1 = 0, q2 = 0;  // q: T_(k-1) with T_(-1) = t
  q1 = 1;
  for (int k = 0; k <= degree(); ++k) {
    const double* c = &coefficients_[static_cast<std::size_t>(k * size_)];
    for (index_t j = 0; j < size_; ++j) values[j] += p * c[j];
    if (first) {
      const double w = p1 / half_;
      for (index_t j = 0; j < size_; ++j) first[j] += w * c[j];
    }
    if (second) {
      const double w = p2 / (half_ * half_);
      for (index_t j = 0; j < size_; ++j) second[j] += w * c[j];
    }
    const double n = 2 * t * p - q, n1 = 2 * p + 2 * t * p1 - q1, n2 = 4 * p1 + 2 * t * p2 - q2;
    q = p, q1 = p1, q2 = p2;
    p = n, p1 = n1, p2 = n2;
  }
}

}  // namespace mercer
