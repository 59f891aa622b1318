#include "mercer/math/dense.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "mercer/core/error.hpp"

namespace mercer {
namespace {

template <class T>
std::vector<T> cholesky_factor(int n, const std::vector<T>& a) {
  using std::sqrt;
  std::vector<T> l(static_cast<std::size_t>(n) * n, 0);
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j <= i; ++j) {
      T sum = a[i * n + j];
      for (int k = 0; k < j; ++k) sum -= l[i * n + k] * l[j * n + k];
      if (i == j) {
        MERCER_REQUIRE(sum > T(0), "cholesky: the matrix is not positive definite at pivot ", i);
        l[i * n + i] = sqrt(sum);
      } else {
        l[i * n + j] = sum / l[j * n + j];
      }
    }
  }
  return l;
}

/// u = a (a^T a)^(-1/2), and the largest and smallest singular values of a, by one-sided Jacobi: a v = u s with u, v
/// orthonormal. `epsilon`: cosine of two columns that counts as zero.
template <class T>
struct Polar {
  std::vector<T> u;
  T largest = 0, smallest = 0;

  Polar(int m, int n, const std::vector<T>& a, long double epsilon);
};

template <class T>
Polar<T>::Polar(int m, int n, const std::vector<T>& a, long double epsilon) {
  using std::fabs;
  using std::sqrt;
  std::vector<T> work(static_cast<std::size_t>(m) * n), v(static_cast<std::size_t>(n) * n, 0);  // columns contiguous
  for (int q = 0; q < m; ++q) {
    for (int j = 0; j < n; ++j) work[static_cast<std::size_t>(j) * m + q] = a[static_cast<std::size_t>(q) * n + j];
  }
  for (int j = 0; j < n; ++j) v[j * n + j] = 1;
  const auto dot = [](int size, const T* x, const T* y) {
    T sum = 0;
    for (int i = 0; i < size; ++i) sum += x[i] * y[i];
    return sum;
  };
  const auto rotate = [](int size, T* x, T* y, const T& c, const T& s) {
    for (int i = 0; i < size; ++i) {
      const T xi = x[i];
      x[i] = c * xi - s * y[i];
      y[i] = s * xi + c * y[i];
    }
  };
  bool rotated = true;
  for (int sweep = 0; rotated && sweep < 60; ++sweep) {
    rotated = false;
    for (int i = 0; i < n; ++i) {
      for (int j = i + 1; j < n; ++j) {
        T* x = &work[static_cast<std::size_t>(i) * m];
        T* y = &work[static_cast<std::size_t>(j) * m];
        const T xx = dot(m, x, x), yy = dot(m, y, y), xy = dot(m, x, y);
        if (!(fabs(xy) > T(epsilon) * sqrt(xx * yy))) continue;
        rotated = true;
        const T tau = (yy - xx) / (T(2) * xy);
        const T t = T(tau >= T(0) ? 1 : -1) / (fabs(tau) + sqrt(T(1) + tau * tau));
        const T c = T(1) / sqrt(T(1) + t * t);
        rotate(m, x, y, c, c * t);
        rotate(n, &v[i * n], &v[j * n], c, c * t);  // row j of v holds column j of the rotation
      }
    }
  }
  smallest = INFINITY;
  for (int j = 0; j < n; ++j) {
    T* x = &work[static_cast<std::size_t>(j) * m];
    const T norm = sqrt(dot(m, x, x));
    largest = std::max(largest, norm);
    smallest = std::min(smallest, norm);
    for (int q = 0; q < m; ++q) x[q] /= norm;
  }
  u.assign(static_cast<std::size_t>(m) * n, 0);
  for (int j = 0; j < n; ++j) {
    for (int q = 0; q < m; ++q) {
      const T w = work[static_cast<std::size_t>(j) * m + q];
      for (int k = 0; k < n; ++k) u[static_cast<std::size_t>(q) * n + k] += w * v[j * n + k];
    }
  }
}

}  // namespace

LongMatrix cholesky(int n, const LongMatrix& a) { return cholesky_factor(n, a); }

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
  Polar<long double> polar(m, n, a, 1e-18L);
  return {std::move(polar.u), polar.largest / polar.smallest};
}

WideMatrix inverse_root(int n, const WideMatrix& a) {
  // With a = l l^T the polar factor u of l^T is l^T a^(-1/2).
  const WideMatrix l = cholesky_factor(n, a);
  WideMatrix transposed(l.size());
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < n; ++j) transposed[i * n + j] = l[j * n + i];
  }
  WideMatrix root = Polar<Wide>(n, n, transposed, 1e-36L).u;
  for (int column = 0; column < n; ++column) {
    for (int i = n - 1; i >= 0; --i) {
      for (int k = i + 1; k < n; ++k) root[i * n + column] -= l[k * n + i] * root[k * n + column];
      root[i * n + column] /= l[i * n + i];
    }
  }
  return root;
}

}  // namespace mercer
