#include "model/covariance.hpp"

#include <Eigen/Core>
#include <algorithm>

#include "mercer/core/error.hpp"
#include "mercer/core/parallel.hpp"

namespace mercer {
namespace {

using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using ColumnMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic>;

/// Right-hand sides solved at once.
constexpr index_t chunk = 128;

}  // namespace

Covariance::Covariance(Buffer<index_t> points, Buffer<double> factors, index_t n_points)
    : points_(std::move(points)), factors_(std::move(factors)) {
  for (const index_t point : points_.span()) {
    MERCER_REQUIRE(point >= 0 && point < n_points, "covariance.points: ", point, " is not among the ", n_points,
                   " sparse points");
  }
  for (index_t i = 0; i < rank(); ++i) {
    const double l = factors_[(i + 1) * rank() + i], l_a = factors_[i * rank() + i];
    MERCER_REQUIRE(l > 0 && l_a > 0, "covariance.factors: the triangles are singular at row ", i);
  }
}

void Covariance::variance(MatView<const double> K, Span<const double> prior, Span<double> out) const {
  const index_t n = rank();
  const Eigen::Map<const RowMajor> L(factors_.data() + n, n, n), L_A_transposed(factors_.data(), n, n);
  const auto make_scratch = [&] { return Buffer<double>(n * chunk); };
  parallel_for((K.rows + chunk - 1) / chunk, make_scratch, [&](const Buffer<double>& scratch, index_t task) {
    const index_t begin = task * chunk, cols = std::min(chunk, K.rows - begin);
    Eigen::Map<ColumnMajor> v(scratch.data(), n, cols);
    for (index_t i = 0; i < cols; ++i) {
      for (index_t m = 0; m < n; ++m) v(m, i) = K(begin + i, points_[m]);
    }
    L.triangularView<Eigen::Lower>().solveInPlace(v);
    for (index_t i = 0; i < cols; ++i) {
      out[begin + i] += std::max(prior[begin + i] - v.col(i).squaredNorm(), 0.0);
    }
    L_A_transposed.transpose().triangularView<Eigen::Lower>().solveInPlace(v);
    for (index_t i = 0; i < cols; ++i) out[begin + i] += v.col(i).squaredNorm();
  });
}

}  // namespace mercer
