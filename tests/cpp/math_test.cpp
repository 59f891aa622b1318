#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "mercer/core/simd.hpp"
#include "mercer/math/bessel.hpp"
#include "mercer/math/chebyshev.hpp"
#include "mercer/math/dense.hpp"
#include "mercer/math/quadrature.hpp"
#include "mercer/math/spherical_harmonics.hpp"
#include "mercer/math/vector_cos.hpp"
#include "mercer/math/vector_exp.hpp"

using mercer::index_t;
using mercer::LongMatrix;

namespace {

/// n unit vectors, component by component.
struct Vectors {
  explicit Vectors(int n) : x(n), y(n), z(n) {
    for (int i = 0; i < n; ++i) {
      z[i] = std::cos(1.7 * i + 0.3);
      const double rho = std::sqrt(1 - z[i] * z[i]);
      x[i] = rho * std::cos(2.9 * i);
      y[i] = rho * std::sin(2.9 * i);
    }
  }
  std::vector<double> x, y, z;
};

LongMatrix hilbert(int n) {
  LongMatrix a;
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < n; ++j) a.push_back(1.0L / (i + j + 1));
  }
  return a;
}

}  // namespace

TEST_CASE("harmonics fill n columns of each row and nothing else, whatever n and stride") {
  const mercer::SphericalHarmonics harmonics(5);
  for (int n : {0, 1, 5, 7, 8, 9, 15, 16, 29}) {
    const Vectors u(n);
    const index_t stride = n + 3, n_lm = harmonics.n_lm();
    std::vector<double> values(n_lm * stride, -7), again(values), gradients(3 * n_lm * stride, -7);
    harmonics.evaluate(n, u.x.data(), u.y.data(), u.z.data(), values.data(), stride);
    harmonics.evaluate(n, u.x.data(), u.y.data(), u.z.data(), again.data(), gradients.data(), stride);
    CHECK(values == again);
    for (index_t row = 0; row < n_lm; ++row) {
      for (index_t p = n; p < stride; ++p) {
        CHECK(values[row * stride + p] == -7);
        for (int a = 0; a < 3; ++a) CHECK(gradients[(3 * row + a) * stride + p] == -7);
      }
    }
    for (int p = 0; p < n; ++p) {  // sum_m Y_lm^2 = (2 l + 1) / 4 pi, and of their gradients l (l + 1) times that
      for (int l = 0; l <= 5; ++l) {
        double sum = 0, slopes = 0;
        for (int lm = l * l; lm < (l + 1) * (l + 1); ++lm) {
          sum += std::pow(values[lm * stride + p], 2);
          for (int a = 0; a < 3; ++a) slopes += std::pow(gradients[(3 * lm + a) * stride + p], 2);
        }
        const double expected = (2 * l + 1) / (4 * std::acos(-1.0));
        CHECK(std::fabs(sum - expected) <= 1e-14 * (2 * l + 1));
        CHECK(std::fabs(slopes - l * (l + 1) * expected) <= 1e-12);
      }
    }
  }
  CHECK_THROWS_AS(mercer::SphericalHarmonics(-1), std::invalid_argument);
}

TEST_CASE("the gradient of a sum of harmonics is the sum of their gradients") {
  constexpr int W = mercer::simd::width;
  for (int l_max : {0, 1, 2, 7}) {
    const mercer::SphericalHarmonics harmonics(l_max);
    const Vectors u(W);
    const index_t n_lm = harmonics.n_lm();
    std::vector<double> values(n_lm * W), gradients(3 * n_lm * W), b(n_lm * W), found(3 * W);
    harmonics.evaluate(W, u.x.data(), u.y.data(), u.z.data(), values.data(), gradients.data(), W);
    for (index_t k = 0; k < n_lm * W; ++k) b[k] = std::cos(1.3 * static_cast<double>(k * k));
    harmonics.gradient_of_sum(u.x.data(), u.y.data(), u.z.data(), b.data(), found.data());
    for (int k = 0; k < 3 * W; ++k) {
      double expected = 0;
      for (index_t lm = 0; lm < n_lm; ++lm) expected += b[lm * W + k % W] * gradients[3 * lm * W + k];
      CHECK(std::fabs(found[k] - expected) <= 1e-13 * (1 + l_max * l_max));
    }
  }
}

TEST_CASE("cos and sin of multiples of pi") {
  const long double pi = std::acos(-1.0L);
  for (int k = 0; k <= 1000; ++k) {
    const double x = k / 1000.0;
    CHECK(std::fabs(static_cast<double>(mercer::vector_cos_pi(x) - std::cos(pi * x))) <= 3e-16);
    CHECK(std::fabs(static_cast<double>(mercer::vector_sin_pi(x) - std::sin(pi * x))) <= 3e-16);
  }
}

TEST_CASE("Gauss-Legendre integrates polynomials of degree 2 n - 1 in extended precision") {
  for (int n : {1, 2, 7, 40}) {
    const mercer::Quadrature rule = mercer::gauss_legendre(n, 0, 2);
    for (int power : {0, n, 2 * n - 1}) {
      long double sum = 0;
      for (int q = 0; q < n; ++q) sum += rule.weights[q] * std::pow(rule.nodes[q], static_cast<long double>(power));
      const long double exact = std::pow(2.0L, power + 1) / (power + 1);
      CHECK(std::fabs(sum / exact - 1) <= 1e-17L);
    }
  }
  CHECK_THROWS_AS(mercer::gauss_legendre(0, 0, 1), std::invalid_argument);
}

TEST_CASE("Cholesky factor and inverse of an ill-conditioned matrix") {
  const int n = 8;  // condition 1.5e10
  const LongMatrix a = hilbert(n), l = mercer::cholesky(n, a), inverse = mercer::inverse_positive(n, a);
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < n; ++j) {
      long double product = 0, unit = 0;
      for (int k = 0; k < n; ++k) {
        product += l[i * n + k] * l[j * n + k];
        unit += a[i * n + k] * inverse[k * n + j];
      }
      CHECK(std::fabs(product - a[i * n + j]) <= 1e-18L);
      CHECK(std::fabs(unit - (i == j)) <= 1e-9L);
      if (j > i) CHECK(l[i * n + j] == 0);
    }
  }
  CHECK_THROWS_AS(mercer::cholesky(2, {1, 2, 2, 1}), std::invalid_argument);
  CHECK(mercer::infinity_norm(2, {1, -2, 3, 0.5L}) == 3.5L);
}

TEST_CASE("inverse root of an ill-conditioned matrix, with twice the digits of long double") {
  const int n = 12;  // condition 2e16
  mercer::WideMatrix a(n * n);
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < n; ++j) a[i * n + j] = mercer::Wide(1) / mercer::Wide(i + j + 1);
  }
  const mercer::WideMatrix root = mercer::inverse_root(n, a);
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < n; ++j) {
      CHECK(std::fabs((root[i * n + j] - root[j * n + i]).hi) <= 1e-16L * std::fabs(root[i * n + i].hi));
      mercer::Wide product = 0;  // (root a root)_ij
      for (int k = 0; k < n; ++k) {
        for (int m = 0; m < n; ++m) product += root[i * n + k] * a[k * n + m] * root[m * n + j];
      }
      CHECK(std::fabs(static_cast<long double>(product) - (i == j)) <= 1e-18L);
    }
  }
  a[0] = -1;
  CHECK_THROWS_AS(mercer::inverse_root(n, a), std::invalid_argument);
}

TEST_CASE("polar factor: orthonormal columns, and u^T a symmetric and positive") {
  const int m = 11, n = 5;
  LongMatrix a;
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < n; ++j) a.push_back(std::pow(0.1L * (i + 1), static_cast<long double>(j)));
  }
  const mercer::PolarFactor factor = mercer::polar_factor(m, n, a);
  CHECK(factor.condition > 100);
  CHECK(factor.condition < 1e5);
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < n; ++j) {
      long double unit = 0, ij = 0, ji = 0;
      for (int q = 0; q < m; ++q) {
        unit += factor.u[q * n + i] * factor.u[q * n + j];
        ij += factor.u[q * n + i] * a[q * n + j];
        ji += factor.u[q * n + j] * a[q * n + i];
      }
      CHECK(std::fabs(unit - (i == j)) <= 1e-17L);
      CHECK(std::fabs(ij - ji) <= 1e-17L);
      if (i == j) CHECK(ij > 0);
    }
  }
}

TEST_CASE("Chebyshev series: values and two derivatives of several functions") {
  const auto functions = [](double x, double* values) {
    values[0] = std::exp(-x * x);
    values[1] = std::sin(5 * x);
    values[2] = 1;
  };
  const mercer::ChebyshevSeries series(3, -0.5, 2.5, functions, 1e-15);
  CHECK(series.converged());
  CHECK(series.degree() <= 64);
  for (double x : {-0.5, -0.1, 0.0, 1.1, 2.5}) {
    double f[3], f1[3], f2[3];
    series.evaluate(x, f, f1, f2);
    const double g = std::exp(-x * x), s = std::sin(5 * x), c = std::cos(5 * x);
    const double expected[3] = {g, s, 1}, first[3] = {-2 * x * g, 5 * c, 0}, second[3] = {(4 * x * x - 2) * g, -25 * s, 0};
    for (int i = 0; i < 3; ++i) {
      CHECK(std::fabs(f[i] - expected[i]) <= 1e-14);
      CHECK(std::fabs(f1[i] - first[i]) <= 1e-11);
      CHECK(std::fabs(f2[i] - second[i]) <= 1e-8);
    }
  }
  const auto kink = [](double x, double* values) { values[0] = std::fabs(x - 0.3); };
  CHECK_FALSE(mercer::ChebyshevSeries(1, 0, 1, kink, 1e-12, 64).converged());
  CHECK_THROWS_AS(mercer::ChebyshevSeries(1, 1, 1, kink, 1e-12), std::invalid_argument);
}

TEST_CASE("Bessel functions satisfy their sums") {
  for (long double x : {1e-4L, 0.3L, 4.0L, 25.0L, 90.0L}) {
    std::vector<long double> i(140), j(140);
    mercer::scaled_spherical_bessel_i(139, x, i.data());
    mercer::spherical_bessel_j(139, x, j.data());
    long double sum_i = 0, sum_j = 0;  // sum (2 l + 1) i_l = exp(x); sum (2 l + 1) j_l^2 = 1
    for (int l = 139; l >= 0; --l) {
      sum_i += (2 * l + 1) * i[l];
      sum_j += (2 * l + 1) * j[l] * j[l];
    }
    CHECK(std::fabs(sum_i - 1) <= 1e-17L);
    CHECK(std::fabs(sum_j - 1) <= 1e-16L);
  }
}

TEST_CASE("vector_exp") {
  for (double x = -745; x < 709; x += 0.37) {
    const double expected = std::exp(x);
    CHECK(std::fabs(mercer::vector_exp(x) - expected) <= 2 * (std::nextafter(expected, INFINITY) - expected));
  }
  CHECK(mercer::vector_exp(0.0) == 1);
  CHECK(mercer::vector_exp(-1e300) == 0);
  CHECK(mercer::vector_exp(-std::numeric_limits<double>::infinity()) == 0);
  CHECK(mercer::vector_exp(1e300) == std::numeric_limits<double>::infinity());
  CHECK(std::isnan(mercer::vector_exp(std::numeric_limits<double>::quiet_NaN())));
  CHECK(mercer::vector_exp(0.0f) == 1);
  CHECK(mercer::vector_exp(-1e30f) == 0);
  CHECK(std::fabs(mercer::vector_exp(-3.0f) / std::exp(-3.0f) - 1) <= 2.4e-7f);
}
