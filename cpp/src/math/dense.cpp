#include "mercer/math/dense.hpp"

#include <algorithm>
#include <cmath>

#include "mercer/core/error.hpp"

namespace mercer {

LongMatrix cholesky(int n, const LongMatrix& a) {
  LongMatrix l(static_cast<std::size_t>(n) * n, 0);
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j <= i; ++j) {
      long double sum = a[i * n + j];
      for (int k = 0; k < j; ++k) sum -= l[i * n + k] * l[j * n + k];
      if (i == j) {
        MERCER_REQUIRE(sum > 0, "cholesky: the matrix is not positive definite at pivot ", i);
        l[i * n + i] = std::sqrt(sum);
      } else {
        l[i * n + j] = sum / l[j * n + j];
      }
    }
  }
  return l;
}

LongMatrix inverse_positive(int n, const LongMatrix& a) {
  const LongMatrix l = cholesky(n, a);
  LongMatrix x(static_cast<std::size_t>(n) * n, 0);
  for (int column = 0; column < n; ++column) {
    for (int i = 0; i < n; ++i) {
      long double sum = i == column ? 1 : 0;
      for (int k = 0; k < i; ++k) sum -= l[i * n + k] * x[k * n + column];
      x[i * n + column] = sum / l[i * n + i];
    }
    for (int i = n - 1; i >= 0; --i) {
      long double sum = x[i * n + column];
      for (int k = i + 1; k < n; ++k) sum -= l[k * n + i] * x[k * n + column];
      x[i * n + column] = sum / l[i * n + i];
    }
  }
  return x;
}

long double infinity_norm(int n, const LongMatrix& a) {
  long double norm = 0;
  for (int i = 0; i < n; ++i) {
    long double sum = 0;
    for (int j = 0; j < n; ++j) sum += std::fabs(a[i * n + j]);
    norm = std::max(norm, sum);
  }
  return norm;
}

PolarFactor polar_factor(int m, int n, const LongMatrix& a) {
  // One-sided Jacobi: a v = u s with u, v orthonormal; the columns are kept contiguous.
  LongMatrix work(static_cast<std::size_t>(m) * n), v(static_cast<std::size_t>(n) * n, 0);
  for (int q = 0; q < m; ++q) {
    for (int j = 0; j < n; ++j) work[static_cast<std::size_t>(j) * m + q] = a[static_cast<std::size_t>(q) * n + j];
  }
  for (int j = 0; j < n; ++j) v[j * n + j] = 1;
  const auto dot = [](int size, const long double* x, const long double* y) {
    long double sum = 0;
    for (int i = 0; i < size; ++i) sum += x[i] * y[i];
    return sum;
  };
  const auto rotate = [](int size, long double* x, long double* y, long double c, long double s) {
    for (int i = 0; i < size; ++i) {
      const long double xi = x[i];
      x[i] = c * xi - s * y[i];
      y[i] = s * xi + c * y[i];
    }
  };
  bool rotated = true;
  for (int sweep = 0; rotated && sweep < 60; ++sweep) {
    rotated = false;
    for (int i = 0; i < n; ++i) {
      for (int j = i + 1; j < n; ++j) {
        long double* x = &work[static_cast<std::size_t>(i) * m];
        long double* y = &work[static_cast<std::size_t>(j) * m];
        const long double xx = dot(m, x, x), yy = dot(m, y, y), xy = dot(m, x, y);
        if (!(std::fabs(xy) > 1e-18L * std::sqrt(xx * yy))) continue;
        rotated = true;
        const long double tau = (yy - xx) / (2 * xy);
        const long double t = (tau >= 0 ? 1 : -1) / (std::fabs(tau) + std::sqrt(1 + tau * tau));
        const long double c = 1 / std::sqrt(1 + t * t);
        rotate(m, x, y, c, c * t);
        rotate(n, &v[i * n], &v[j * n], c, c * t);  // row j of v holds column j of the rotation
      }
    }
  }
  long double largest = 0, smallest = INFINITY;
  for (int j = 0; j < n; ++j) {
    long double* x = &work[static_cast<std::size_t>(j) * m];
    const long double norm = std::sqrt(dot(m, x, x));
    largest = std::max(largest, norm);
    smallest = std::min(smallest, norm);
    for (int q = 0; q < m; ++q) x[q] /= norm;
  }
  PolarFactor result{LongMatrix(static_cast<std::size_t>(m) * n, 0), largest / smallest};
  for (int j = 0; j < n; ++j) {
    for (int q = 0; q < m; ++q) {
      const long double u = work[static_cast<std::size_t>(j) * m + q];
      for (int k = 0; k < n; ++k) result.u[static_cast<std::size_t>(q) * n + k] += u * v[j * n + k];
    }
  }
  return result;
}

}  // namespace mercer
