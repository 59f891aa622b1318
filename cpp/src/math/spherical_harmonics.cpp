#include "mercer/math/spherical_harmonics.hpp"

#include <cmath>

#include "mercer/core/error.hpp"

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
  }
}

/// Width vectors: the loops over them have a fixed length and become vector instructions; all state is in registers.
template <int Width, bool WithGradients>
void SphericalHarmonics::block(const double* x_in, const double* y_in, const double* z_in, double* values,
                               double* gradients, index_t stride) const {
  using Lanes = double[Width];
  Lanes x, y, z;
  for (int p = 0; p < Width; ++p) x[p] = x_in[p], y[p] = y_in[p], z[p] = z_in[p];
  Lanes c, s, c_below, s_below;  // c_m, s_m and m c_(m-1), m s_(m-1)
  for (int p = 0; p < Width; ++p) c[p] = 1, s[p] = 0, c_below[p] = 0, s_below[p] = 0;
  const Step* step = steps_.data();
  for (int m = 0; m <= l_max_; ++m) {
    Lanes q, q_below, dq, dq_below;  // P_l^m, P_(l-1)^m and their derivatives
    for (int p = 0; p < Width; ++p) q[p] = diagonal_[m], q_below[p] = 0, dq[p] = 0, dq_below[p] = 0;
    for (int l = m;; ++l, ++step) {
      double* cosine = values + (l * l + l + m) * stride;
      double* sine = values + (l * l + l - m) * stride;
      if (m > 0) {
        for (int p = 0; p < Width; ++p) sine[p] = q[p] * s[p];
      }
      for (int p = 0; p < Width; ++p) cosine[p] = q[p] * c[p];
      if (WithGradients) {
        // grad (P(z) c_m) = (P m c_(m-1), -P m s_(m-1), P' c_m); u . grad = (m P + z P') c_m; for s_m alike.
        double* g = gradients + 3 * (l * l + l + m) * stride;
        double* h = gradients + 3 * (l * l + l - m) * stride;
        for (int p = 0; p < Width; ++p) {
          const double radial = m * q[p] + z[p] * dq[p];
          const double along_c = radial * c[p], along_s = radial * s[p];
          if (m > 0) {
            h[p] = q[p] * s_below[p] - x[p] * along_s;
            h[stride + p] = q[p] * c_below[p] - y[p] * along_s;
            h[2 * stride + p] = dq[p] * s[p] - z[p] * along_s;
          }
          g[p] = q[p] * c_below[p] - x[p] * along_c;
          g[stride + p] = -q[p] * s_below[p] - y[p] * along_c;
          g[2 * stride + p] = dq[p] * c[p] - z[p] * along_c;
        }
      }
      if (l == l_max_) break;
      const double a = step->a, b = step->b;
      for (int p = 0; p < Width; ++p) {
        if (WithGradients) {
          const double dnext = a * (q[p] + z[p] * dq[p]) - b * dq_below[p];
          dq_below[p] = dq[p];
          dq[p] = dnext;
        }
        const double next = a * z[p] * q[p] - b * q_below[p];
        q_below[p] = q[p];
        q[p] = next;
      }
    }
    for (int p = 0; p < Width; ++p) {
      const double next_c = c[p] * x[p] - s[p] * y[p], next_s = s[p] * x[p] + c[p] * y[p];
      c_below[p] = (m + 1) * c[p];
      s_below[p] = (m + 1) * s[p];
      c[p] = next_c;
      s[p] = next_s;
    }
  }
}

template <bool WithGradients>
void SphericalHarmonics::all(index_t n, const double* x, const double* y, const double* z, double* values,
                             double* gradients, index_t stride) const {
  constexpr int width = 8;
  index_t p = 0;
  for (; p + width <= n; p += width) {
    block<width, WithGradients>(x + p, y + p, z + p, values + p, gradients + p, stride);
  }
  if (p < n && n >= width) {  // the last block overlaps the one before: the same numbers are written twice
    p = n - width;
    block<width, WithGradients>(x + p, y + p, z + p, values + p, gradients + p, stride);
    return;
  }
  for (; p < n; ++p) block<1, WithGradients>(x + p, y + p, z + p, values + p, gradients + p, stride);
}

void SphericalHarmonics::evaluate(index_t n, const double* x, const double* y, const double* z, double* values,
                                  index_t stride) const {
  all<false>(n, x, y, z, values, values, stride);
}

void SphericalHarmonics::evaluate(index_t n, const double* x, const double* y, const double* z, double* values,
                                  double* gradients, index_t stride) const {
  all<true>(n, x, y, z, values, gradients, stride);
}

}  // namespace mercer
