/// One tile of a kernel matrix: u by GEMM (dot products and squared distances) or directly (L1), then k(u) in cache.
#pragma once

#include <algorithm>

#include "mercer/core/array.hpp"
#include "mercer/core/parallel.hpp"
#include "mercer/kernels/kernel.hpp"

namespace mercer {

/// Some rows and, where u is a squared distance, their |row|^2 (else null).
template <class T>
struct TileRows {
  MatView<const T> rows;
  const T* squared_norms;
};

/// Up to so many features, differences of rows are taken directly rather than by GEMM.
constexpr index_t few_features = 8;

/// Rows or columns of a tile: 256 x 256 doubles stay in the second-level cache of most processors. Smaller ones where a
/// matrix would give too few tiles to share among threads; from the shape alone, so that results do not depend on the
/// number of threads.
inline index_t tile_side(index_t rows, index_t cols) {
  constexpr index_t largest = 256, smallest = 64, enough = 16;
  index_t side = largest;
  while (side > smallest && ((rows + side - 1) / side) * ((cols + side - 1) / side) < enough) side /= 2;
  return side;
}

/// parallel_tasks for tiles of a matrix of `rows` x `cols` from rows of `n_features`.
template <class MakeWorkspace, class Body>
void parallel_tiles(index_t n_tiles, index_t rows, index_t cols, index_t n_features, const MakeWorkspace& make_workspace,
                    const Body& body) {
  constexpr double kernel_cost = 32;  // multiply-adds
  const double work = static_cast<double>(rows) * static_cast<double>(cols) * (n_features + kernel_cost);
  parallel_tasks(n_tiles, work, make_workspace, body);
}

/// out(i, j) = u(X_i, Y_j).
template <class T>
void argument_tile(KernelArgument argument, TileRows<T> X, TileRows<T> Y, MatView<T> out);

/// out(i, j) = k(u(X_i, Y_j)).
template <class T>
void kernel_tile(const Kernel& kernel, TileRows<T> X, TileRows<T> Y, MatView<T> out);

/// Adds sum_j C_ij du(X_i, Y_j) / dX_i to dX; not for L1 distances.
void pull_back_tile(KernelArgument argument, TileRows<double> X, TileRows<double> Y, MatView<const double> C,
                    MatView<double> dX);

/// out = beta out + alpha A B.
void product(double alpha, MatView<const double> A, MatView<const double> B, double beta, MatView<double> out);

}  // namespace mercer
