/// cos(pi x) and sin(pi x) without branches or calls, so that loops over arrays vectorise.
#pragma once

namespace mercer {

namespace detail {

/// sum_k (-1)^k pi^(2k + Odd) / (2k + Odd)! y2^k for k = 0 .. 10: the Taylor series of cos(pi y) or sin(pi y) / y.
template <int Odd>
inline double half_turn_series(double y2) {
  double coefficients[11] = {}, term = Odd ? 3.14159265358979323846 : 1.0;
  for (int k = 0; k < 11; ++k) {
    coefficients[k] = term;
    term *= -9.86960440108935861883 / ((2 * k + 1 + Odd) * (2 * k + 2 + Odd));
  }
  double sum = coefficients[10];
  for (int k = 9; k >= 0; --k) sum = sum * y2 + coefficients[k];
  return sum;
}

}  // namespace detail

/// For 0 <= x <= 1, to 2e-16: the series about x = 1/2.
inline double vector_cos_pi(double x) {
  const double y = x - 0.5;
  return -y * detail::half_turn_series<1>(y * y);
}
inline double vector_sin_pi(double x) {
  const double y = x - 0.5;
  return detail::half_turn_series<0>(y * y);
}

}  // namespace mercer
