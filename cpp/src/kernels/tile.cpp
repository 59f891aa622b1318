#include "kernels/tile.hpp"

#include <Eigen/Core>
#include <algorithm>

#include "mercer/core/memory.hpp"

namespace mercer {
namespace {

template <class T>
using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

template <class T>
Eigen::Map<const Matrix<T>, 0, Eigen::OuterStride<>> map(MatView<const T> view) {
  return {view.data, view.rows, view.cols, Eigen::OuterStride<>(view.stride)};
}

template <class T>
void dot_tile(MatView<const T> X, MatView<const T> Y, MatView<T> out) {
  Eigen::Map<Matrix<T>, 0, Eigen::OuterStride<>> product(out.data, out.rows, out.cols,
                                                         Eigen::OuterStride<>(out.stride));
  product.noalias() = map(X) * map(Y).transpose();
}

template <class T>
T direct_squared_distance(const T* x, const T* y, index_t n) {
  Eigen::Map<const Eigen::Array<T, Eigen::Dynamic, 1>> a(x, n), b(y, n);
  return (a - b).square().sum();
}

/// Sums of term(x_d - y_d) with columns of the tile as lanes: Y is transposed in panels of `width` rows, and a block of
/// `height` x `width` sums stays in registers.
template <class T, class Term>
void difference_tile(MatView<const T> X, MatView<const T> Y, MatView<T> out, const Term& term) {
  constexpr int width = 128 / sizeof(T), height = 4;
  using Lanes = Eigen::Array<T, width, 1>;
  const index_t D = X.cols;
  Buffer<T> panel(D * width);
  for (index_t j = 0; j < Y.rows; j += width) {
    const index_t cols = std::min<index_t>(width, Y.rows - j);
    for (index_t d = 0; d < D; ++d) {
      for (index_t c = 0; c < width; ++c) panel[d * width + c] = c < cols ? Y(j + c, d) : 0;
    }
    for (index_t i = 0; i < X.rows; i += height) {
      const T* x[height];
      for (int r = 0; r < height; ++r) x[r] = X.row(std::min(i + r, X.rows - 1));
      Lanes s0 = Lanes::Zero(), s1 = Lanes::Zero(), s2 = Lanes::Zero(), s3 = Lanes::Zero();
      for (index_t d = 0; d < D; ++d) {
        const Lanes y = Eigen::Map<const Lanes, Eigen::Aligned64>(panel.data() + d * width);
        s0 += term(y - x[0][d]);
        s1 += term(y - x[1][d]);
        s2 += term(y - x[2][d]);
        s3 += term(y - x[3][d]);
      }
      const Lanes* sums[height] = {&s0, &s1, &s2, &s3};
      for (int r = 0; r < height && i + r < X.rows; ++r) std::copy_n(sums[r]->data(), cols, out.row(i + r) + j);
    }
  }
}

/// |x|^2 + |y|^2 - 2 x.y loses digits where x and y nearly agree: there the distance is taken directly, so that equal
/// rows are at distance 0 exactly. The bound leaves ten digits of u (four in single precision) on the quick way. Rows of
/// few features, where the quick way is not quicker, are always taken directly: their sparse points lie densely, so that
/// weights are large and every digit of k counts.
template <class T>
void squared_distance_tile(TileRows<T> X, TileRows<T> Y, MatView<T> out) {
  constexpr T close = sizeof(T) == 8 ? T(1e-6) : T(1e-3);
  if (X.rows.cols <= few_features) {
    return difference_tile(X.rows, Y.rows, out, [](const auto& difference) { return difference.square(); });
  }
  dot_tile(X.rows, Y.rows, out);
  for (index_t i = 0; i < out.rows; ++i) {
    T* u = out.row(i);
    const T norm = X.squared_norms[i];
    int cancelled = 0;
    for (index_t j = 0; j < out.cols; ++j) {
      const T sum = norm + Y.squared_norms[j];
      const T distance = sum - 2 * u[j];
      cancelled |= distance < close * sum;
      u[j] = distance;
    }
    if (!cancelled) continue;
    for (index_t j = 0; j < out.cols; ++j) {
      if (u[j] < close * (norm + Y.squared_norms[j])) {
        u[j] = direct_squared_distance(X.rows.row(i), Y.rows.row(j), X.rows.cols);
      }
    }
  }
}

}  // namespace

template <class T>
void argument_tile(KernelArgument argument, TileRows<T> X, TileRows<T> Y, MatView<T> out) {
  switch (argument) {
    case KernelArgument::dot:
      return dot_tile(X.rows, Y.rows, out);
    case KernelArgument::squared_distance:
      return squared_distance_tile(X, Y, out);
    case KernelArgument::l1_distance:
      return difference_tile(X.rows, Y.rows, out, [](const auto& difference) { return difference.abs(); });
  }
}

template <class T>
void kernel_tile(const Kernel& kernel, TileRows<T> X, TileRows<T> Y, MatView<T> out) {
  argument_tile(kernel.argument(), X, Y, out);
  for (index_t i = 0; i < out.rows; ++i) kernel.value(out.row(i), out.cols);
}

void product(double alpha, MatView<const double> A, MatView<const double> B, double beta, MatView<double> out) {
  Eigen::Map<Matrix<double>, 0, Eigen::OuterStride<>> result(out.data, out.rows, out.cols,
                                                             Eigen::OuterStride<>(out.stride));
  if (beta == 0) {
    result.setZero();
  } else if (beta != 1) {
    result *= beta;
  }
  if (A.cols > 0) result.noalias() += alpha * map(A) * map(B);
}

void pull_back_tile(KernelArgument argument, TileRows<double> X, TileRows<double> Y, MatView<const double> C,
                    MatView<double> dX) {
  if (argument == KernelArgument::dot) return product(1.0, C, Y.rows, 1.0, dX);
  // 2 sum_j C_ij (x_i - y_j)
  for (index_t i = 0; i < C.rows; ++i) {
    double sum = 0;
    for (index_t j = 0; j < C.cols; ++j) sum += C(i, j);
    for (index_t d = 0; d < dX.cols; ++d) dX(i, d) += 2 * sum * X.rows(i, d);
  }
  product(-2.0, C, Y.rows, 1.0, dX);
}

template void argument_tile(KernelArgument, TileRows<double>, TileRows<double>, MatView<double>);
template void argument_tile(KernelArgument, TileRows<float>, TileRows<float>, MatView<float>);
template void kernel_tile(const Kernel&, TileRows<double>, TileRows<double>, MatView<double>);
template void kernel_tile(const Kernel&, TileRows<float>, TileRows<float>, MatView<float>);

}  // namespace mercer
