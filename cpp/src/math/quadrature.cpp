#include "mercer/math/quadrature.hpp"

#include <cmath>

#include "mercer/core/error.hpp"

namespace mercer {

Quadrature gauss_legendre(int n, long double a, long double b) {
  MERCER_REQUIRE(n >= 1, "gauss_legendre: expected at least one node, got ", n);
  const long double pi = std::acos(-1.0L);
  Quadrature rule{std::vector<long double>(n), std::vector<long double>(n)};
  const long double centre = (a + b) / 2, half = (b - a) / 2;
  for (int i = 0; i < (n + 1) / 2; ++i) {
    // Newton's iteration on P_n from the asymptotic root; P_n and its derivative by the three-term recurrence.
    long double x = std::cos(pi * (i + 0.75L) / (n + 0.5L)), slope = 1;
    for (int iteration = 0; iteration < 8; ++iteration) {
      long double p = 1, previous = 0;
      for (int k = 1; k <= n; ++k) {
        const long double next = ((2 * k - 1) * x * p - (k - 1) * previous) / k;
        previous = p;
        p = next;
      }
      slope = n * (x * p - previous) / (x * x - 1);
      const long double step = p / slope;
      x -= step;
      if (std::fabs(step) < 1e-19L) break;
    }
    const long double weight = 2 / ((1 - x * x) * slope * slope);
    rule.nodes[i] = centre - half * x;
    rule.nodes[n - 1 - i] = centre + half * x;
    rule.weights[i] = rule.weights[n - 1 - i] = half * weight;
  }
  return rule;
}

}  // namespace mercer
