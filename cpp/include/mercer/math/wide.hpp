/// A number of twice the digits of long double: the unevaluated sum of two. For small ill-conditioned matrices.
#pragma once

#include <cmath>

namespace mercer {

/// hi + lo with |lo| <= ulp(hi) / 2; error-free sums and products as in Dekker, Numer. Math. 18 (1971) 224.
struct Wide {
  long double hi = 0, lo = 0;

  Wide() = default;
  Wide(long double value) : hi(value) {}  // NOLINT: numbers are meant to convert
  Wide(long double high, long double low) : hi(high + low), lo(low - (hi - high)) {}  ///< |low| <= |high|

  explicit operator long double() const { return hi + lo; }
  Wide operator-() const { return {-hi, -lo}; }
};

inline Wide operator+(const Wide& a, const Wide& b) {
  const long double sum = a.hi + b.hi, part = sum - a.hi;
  return {sum, (a.hi - (sum - part)) + (b.hi - part) + (a.lo + b.lo)};
}
inline Wide operator-(const Wide& a, const Wide& b) { return a + -b; }
inline Wide operator*(const Wide& a, const Wide& b) {
  const long double product = a.hi * b.hi;
  return {product, std::fma(a.hi, b.hi, -product) + (a.hi * b.lo + a.lo * b.hi)};
}
inline Wide operator/(const Wide& a, const Wide& b) {
  const long double first = a.hi / b.hi;
  const Wide rest = a - b * first;
  const long double second = rest.hi / b.hi;
  return Wide(first, second) + Wide((rest - b * second).hi / b.hi);
}
inline Wide& operator+=(Wide& a, const Wide& b) { return a = a + b; }
inline Wide& operator-=(Wide& a, const Wide& b) { return a = a - b; }
inline Wide& operator*=(Wide& a, const Wide& b) { return a = a * b; }
inline Wide& operator/=(Wide& a, const Wide& b) { return a = a / b; }
inline bool operator>(const Wide& a, const Wide& b) { return a.hi > b.hi || (a.hi == b.hi && a.lo > b.lo); }
inline bool operator<(const Wide& a, const Wide& b) { return b > a; }
inline bool operator>=(const Wide& a, const Wide& b) { return a.hi > b.hi || (a.hi == b.hi && a.lo >= b.lo); }

inline Wide fabs(const Wide& a) { return a.hi < 0 ? -a : a; }
inline Wide sqrt(const Wide& a) {
  if (!(a.hi > 0)) return std::sqrt(a.hi);
  const long double first = std::sqrt(a.hi);
  return Wide(first, (a - Wide(first) * first).hi / (2 * first));
}

}  // namespace mercer
