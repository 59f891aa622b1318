#include "mercer/math/bessel.hpp"

#include <algorithm>
#include <cmath>

namespace mercer {

void scaled_spherical_bessel_i(int l_max, long double x, long double* values) {
  values[0] = x > 0 ? -std::expm1(-2 * x) / (2 * x) : 1;
  if (l_max == 0) return;
  // ratio_l = i_l / i_(l-1) = x / (2 l + 1 + x ratio_(l+1)). An error of the ratio shrinks by ratio^2 a step, which is
  // about exp(-2 l / x), so that starting from l^2 = l_max^2 + 50 x leaves exp(-50) of it.
  const int start = static_cast<int>(std::sqrt(static_cast<double>(l_max) * l_max + 50 * static_cast<double>(x))) + 16;
  long double ratio = x / (start + 1 + std::sqrt(static_cast<long double>(start) * start + x * x));
  for (int l = start; l > l_max; --l) ratio = x / (2 * l + 1 + x * ratio);
  for (int l = l_max; l >= 1; --l) values[l] = ratio = x / (2 * l + 1 + x * ratio);
  for (int l = 1; l <= l_max; ++l) values[l] *= values[l - 1];
}

void spherical_bessel_j(int l_max, long double x, long double* values) {
  if (x == 0) {
    std::fill(values, values + l_max + 1, 0.0L);
    values[0] = 1;
    return;
  }
  const long double j0 = std::sin(x) / x;
  if (x > l_max) {
    values[0] = j0;
    if (l_max > 0) values[1] = (j0 - std::cos(x)) / x;
    for (int l = 1; l < l_max; ++l) values[l + 1] = (2 * l + 1) / x * values[l] - values[l - 1];
    return;
  }
  // Downward from an order where j_l is negligible; scaled at the end by j_0 or j_1, whichever is larger.
  const long double j1 = x < 0.1L ? x / 3 * (1 - x * x / 10 * (1 - x * x / 28 * (1 - x * x / 54 * (1 - x * x / 88 * (1 - x * x / 130)))))
                                  : (j0 - std::cos(x)) / x;
  const int start = l_max + 30 + static_cast<int>(2 * std::sqrt(10.0 * (l_max + 1)));
  long double next = 0, current = 1e-300L;
  std::vector<long double> raw(std::max(l_max, 1) + 1);
  for (int l = start; l >= 0; --l) {
    if (l < static_cast<int>(raw.size())) raw[l] = current;
    const long double previous = (2 * l + 1) / x * current - next;  // j_(l-1)
    next = current;
    current = previous;
    if (std::fabs(current) > 1e1000L) {
      current *= 1e-2000L;
      next *= 1e-2000L;
      for (int k = std::max(l, 0); k < static_cast<int>(raw.size()); ++k) raw[k] *= 1e-2000L;
    }
  }
  const long double scale = std::fabs(j0) > std::fabs(j1) ? j0 / raw[0] : j1 / raw[1];
  for (int l = 0; l <= l_max; ++l) values[l] = raw[l] * scale;
}

std::vector<std::vector<long double>> spherical_bessel_zeros(int l_max, int n_max) {
  const long double pi = std::acos(-1.0L);
  std::vector<std::vector<long double>> zeros(l_max + 1);
  for (int n = 1; n <= n_max + l_max; ++n) zeros[0].push_back(n * pi);
  std::vector<long double> j(l_max + 1);
  for (int l = 1; l <= l_max; ++l) {
    for (std::size_t n = 0; n + 1 < zeros[l - 1].size(); ++n) {
      long double low = zeros[l - 1][n], high = zeros[l - 1][n + 1];
      spherical_bessel_j(l, low, j.data());
      const bool low_is_positive = j[l] > 0;
      long double x = (low + high) / 2;
      for (int iteration = 0; iteration < 100; ++iteration) {
        spherical_bessel_j(l, x, j.data());
        ((j[l] > 0) == low_is_positive ? low : high) = x;
        const long double slope = j[l - 1] - (l + 1) / x * j[l];
        long double newton = x - j[l] / slope;
        if (!(newton > low && newton < high)) newton = (low + high) / 2;
        const long double step = std::fabs(newton - x);
        x = newton;
        if (step < 1e-18L * x) break;
      }
      zeros[l].push_back(x);
    }
  }
  for (auto& row : zeros) row.resize(n_max);
  return zeros;
}

}  // namespace mercer
