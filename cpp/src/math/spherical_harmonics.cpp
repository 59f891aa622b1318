#include "mercer/math/spherical_harmonics.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "mercer/core/error.hpp"
#include "mercer/core/simd.hpp"

namespace mercer {

SphericalHarmonics::SphericalHarmonics(int l_max) : l_max_(l_max) {
  MERCER_REQUIRE(l_max >= 0, "SphericalHarmonics: expected l_max >= 0, got ", l_max);
  const long double four_pi = 4 * std::acos(-1.0L);
  long double diagonal = std::sqrt(1 / four_pi);
  for (int m = 0; m <= l_max; ++m) {
    diagonal_.push_back(static_cast<double>(diagonal));
    diagonal *= std::sqrt((m == 0 ? 2.0L : 1.0L) * (2 * m + 3) / (2 * m + 2));
    for (int l = m + 1; l <= l_max; ++l) {
      const long double d = static_cast<long double>(l) * l - static_cast<long double>(m) * m;
      const long double e = static_cast<long double>(l - 1) * (l - 1) - static_cast<long double>(m) * m;
      steps_.push_back({static_cast<double>(std::sqrt((4.0L * l * l - 1) / d)),
                        static_cast<double>(e > 0 ? std::sqrt((2 * l + 1) * e / ((2 * l - 3) * d)) : 0.0L)});
    }
    for (int l = m; m > 0 && l <= l_max; ++l) {
      slopes_.push_back(std::sqrt(static_cast<double>((l + m) * (l - m + 1)) / (m == 1 ? 2 : 1)));
    }
  }
}

namespace {

/// Doubles that arithmetic acts on at once; the compiler splits them where its registers are shorter.
using Eight = double __attribute__((vector_size(64)));
using Four = double __attribute__((vector_size(32)));

template <class V>
inline void load(V& v, const double* from) {
  std::memcpy(&v, from, sizeof v);
}
template <class V>
inline void store(double* to, const V& v) {
  std::memcpy(to, &v, sizeof v);
}

}  // namespace

/// V holds one vector or several; all state is in registers.
template <class V, bool WithGradients>
void SphericalHarmonics::block(const double* x_in, const double* y_in, const double* z_in, double* values,
                               double* gradients, index_t stride) const {
  V x, y, z;
  load(x, x_in);
  load(y, y_in);
  load(z, z_in);
  V c = x * 0 + 1, s = x * 0, c_below = s, s_below = s;  // c_m, s_m and m c_(m-1), m s_(m-1)
  const Step* step = steps_.data();
  for (int m = 0; m <= l_max_; ++m) {
    V q = x * 0 + diagonal_[m], q_below = x * 0, dq = q_below, dq_below = q_below;  // P_l^m, P_(l-1)^m, derivatives
    for (int l = m;; ++l, ++step) {
      const index_t plus = l * l + l + m, minus = l * l + l - m;
      store(values + plus * stride, V(q * c));
      if (m > 0) store(values + minus * stride, V(q * s));
      if (WithGradients) {
        // grad (P(z) c_m) = (P m c_(m-1), -P m s_(m-1), P' c_m); u . grad = (m P + z P') c_m; for s_m alike.
        const V radial = static_cast<double>(m) * q + z * dq;
        const V along_c = radial * c;
        double* g = gradients + 3 * plus * stride;
        store(g, V(q * c_below - x * along_c));
        store(g + stride, V(-q * s_below - y * along_c));
        store(g + 2 * stride, V(dq * c - z * along_c));
        if (m > 0) {
          const V along_s = radial * s;
          double* h = gradients + 3 * minus * stride;
          store(h, V(q * s_below - x * along_s));
          store(h + stride, V(q * c_below - y * along_s));
          store(h + 2 * stride, V(dq * s - z * along_s));
        }
      }
      if (l == l_max_) break;
      const double a = step->a, b = step->b;
      if (WithGradients) {
        const V next = a * (q + z * dq) - b * dq_below;
        dq_below = dq;
        dq = next;
      }
      const V next = (a * z) * q - b * q_below;
      q_below = q;
      q = next;
    }
    const V next_c = c * x - s * y, next_s = s * x + c * y;
    c_below = (m + 1.0) * c;
    s_below = (m + 1.0) * s;
    c = next_c;
    s = next_s;
  }
}

template <class V, bool WithGradients>
void SphericalHarmonics::blocks(index_t n, const double* x, const double* y, const double* z, double* values,
                                double* gradients, index_t stride) const {
  constexpr index_t width = sizeof(V) / sizeof(double);
  for (index_t p = 0; p < n; p += width) {
    p = std::min(p, n - width);  // the last block overlaps the one before: the same numbers are written twice
    block<V, WithGradients>(x + p, y + p, z + p, values + p, gradients + p, stride);
  }
}

template <bool WithGradients>
void SphericalHarmonics::all(index_t n, const double* x, const double* y, const double* z, double* values,
                             double* gradients, index_t stride) const {
  if (n >= 8) {
    blocks<Eight, WithGradients>(n, x, y, z, values, gradients, stride);
  } else if (n >= 4) {
    blocks<Four, WithGradients>(n, x, y, z, values, gradients, stride);
  } else {
    blocks<double, WithGradients>(n, x, y, z, values, gradients, stride);
  }
}

void SphericalHarmonics::evaluate(index_t n, const double* x, const double* y, const double* z, double* values,
                                  index_t stride) const {
  all<false>(n, x, y, z, values, values, stride);
}

void SphericalHarmonics::evaluate(index_t n, const double* x, const double* y, const double* z, double* values,
                                  double* gradients, index_t stride) const {
  all<true>(n, x, y, z, values, gradients, stride);
}

/// With F_m = sum_l b_lm P_l^m (for cosines and for sines) and D_m = sum_l b_lm dP_l^m/dz, the sum is that of F_m c_m over
/// m, and grad c_m = m (c_(m-1), -s_(m-1), 0), grad s_m = m (s_(m-1), c_(m-1), 0). D_m comes with F_(m+1).
void SphericalHarmonics::gradient_of_sum(const double* x_in, const double* y_in, const double* z_in, const double* b,
                                         double* gradients) const {
  using simd::Vector;
  constexpr int W = simd::width;
  const Vector x = simd::load(x_in), y = simd::load(y_in), z = simd::load(z_in);
  Vector c_below{}, s_below{}, c = c_below + 1.0, s{};  // c_(m-1), s_(m-1), c_m, s_m
  Vector g[3] = {};
  const Step* step = steps_.data();
  const double* slope = slopes_.data();
  for (int m = 0; m <= l_max_; ++m) {
    Vector q = Vector{} + diagonal_[m], q_below{};  // P_l^m, P_(l-1)^m
    Vector F_c{}, F_s{}, D_c{}, D_s{};              // F_m and D_(m-1)
    for (int l = m;; ++l, ++step) {
      const double* row = b + static_cast<index_t>(l * l + l) * W;
      if (m > 0) {
        const Vector dq = *slope++ * q;
        F_c += q * simd::load(row + m * W);
        F_s += q * simd::load(row - m * W);
        D_c += dq * simd::load(row + (m - 1) * W);
        if (m > 1) D_s += dq * simd::load(row - (m - 1) * W);
      }
      if (l == l_max_) break;
      const Vector next = (step->a * z) * q - step->b * q_below;
      q_below = q;
      q = next;
    }
    if (m > 0) {
      g[0] += static_cast<double>(m) * (F_c * c_below + F_s * s_below);
      g[1] += static_cast<double>(m) * (F_s * c_below - F_c * s_below);
      g[2] += D_c * c_below + D_s * s_below;
    }
    c_below = c;
    s_below = s;
    c = c_below * x - s_below * y;
    s = s_below * x + c_below * y;
  }
  const Vector radial = g[0] * x + g[1] * y + g[2] * z;
  simd::store(gradients, g[0] - radial * x);
  simd::store(gradients + W, g[1] - radial * y);
  simd::store(gradients + 2 * W, g[2] - radial * z);
}

}  // namespace mercer
