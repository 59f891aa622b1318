/// Real orthonormal spherical harmonics without Condon-Shortley phase, in Cartesian form.
#pragma once

#include <vector>

#include "mercer/core/array.hpp"

namespace mercer {

/// Y_lm of many unit vectors at once, vectorised over them. Index lm = l * l + l + m, m = -l .. l; m < 0 holds the sine
/// functions: Y_lm = P_l^|m|(z) {c_m (m >= 0), s_|m| (m < 0)} with c_m + i s_m = (x + i y)^m and P_l^m(z) the m-th
/// derivative of the Legendre polynomial, normalised so that the Y_lm are orthonormal on the sphere.
/// Output is [lm][vector]: values[lm * stride + p], p = 0 .. n - 1; stride >= n.
class SphericalHarmonics {
 public:
  /// @throws std::invalid_argument for l_max < 0.
  explicit SphericalHarmonics(int l_max);
  int l_max() const { return l_max_; }
  index_t n_lm() const { return static_cast<index_t>(l_max_ + 1) * (l_max_ + 1); }

  /// x, y, z: components of n unit vectors.
  void evaluate(index_t n, const double* x, const double* y, const double* z, double* values, index_t stride) const;

  /// Also the gradients on the sphere, (1 - u u^T) grad Y (divide by r for d/dr_vec), as
  /// gradients[(3 * lm + a) * stride + p] with a = x, y, z.
  void evaluate(index_t n, const double* x, const double* y, const double* z, double* values, double* gradients,
                index_t stride) const;

  /// Reverse pass for simd::width unit vectors u: gradients[a * width + p] is the gradient of sum_lm b_lm Y_lm on the
  /// sphere at vector p, b_lm = b[lm * width + p]. Needs neither Y_lm nor their gradients.
  void gradient_of_sum(const double* x, const double* y, const double* z, const double* b, double* gradients) const;

 private:
  /// P_l^m = a z P_(l-1)^m - b P_(l-2)^m for l > m.
  struct Step {
    double a, b;
  };
  template <class V, bool WithGradients>
  void block(const double* x, const double* y, const double* z, double* values, double* gradients, index_t stride) const;
  template <class V, bool WithGradients>
  void blocks(index_t n, const double* x, const double* y, const double* z, double* values, double* gradients,
              index_t stride) const;
  template <bool WithGradients>
  void all(index_t n, const double* x, const double* y, const double* z, double* values, double* gradients,
           index_t stride) const;

  int l_max_;
  std::vector<double> diagonal_;  ///< P_m^m
  std::vector<Step> steps_;       ///< l = m + 1 .. l_max for m = 0, then for m = 1, ...
  std::vector<double> slopes_;    ///< dP_l^(m-1)/dz over P_l^m; l = m .. l_max for m = 1, then for m = 2, ...
};

}  // namespace mercer
