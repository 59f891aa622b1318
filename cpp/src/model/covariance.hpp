/// Posterior covariance of a sparse Gaussian process, as the model file holds it.
#pragma once

#include <vector>

#include "mercer/core/array.hpp"
#include "mercer/core/memory.hpp"

namespace mercer {

/// Two triangles: L of K_MM = L L^T and L_A of 1 + Phi^T Lambda^-1 Phi = L_A L_A^T, over the sparse points in the order
/// of `points`. factors (rank + 1, rank): L is the lower triangle of its last rank rows, L_A^T the upper one of its
/// first.
class Covariance {
 public:
  /// @throws std::invalid_argument for points outside 0 .. n_points - 1, and triangles that are singular.
  Covariance(Buffer<index_t> points, Buffer<double> factors, index_t n_points);

  /// out[i] += variance of the latent function whose covariances with all sparse points are K(i, :), and whose prior
  /// variance is prior[i]: k** - |L^-1 k|^2 + |L_A^-1 L^-1 k|^2, never negative (DTC; Quinonero-Candela & Rasmussen,
  /// JMLR 6 (2005) 1939, eq. 20b).
  void variance(MatView<const double> K, Span<const double> prior, Span<double> out) const;

 private:
  index_t rank() const { return points_.size(); }

  Buffer<index_t> points_;
  Buffer<double> factors_;
};

}  // namespace mercer
