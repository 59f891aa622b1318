/// The one blocked driver for kernel matrices.
#pragma once

#include <cstdint>

#include "mercer/core/array.hpp"
#include "mercer/kernels/kernel.hpp"

namespace mercer {

struct GramOptions {
  /// Where not empty, sizes rows of X and rows of Y: k = 0 between rows of different groups (centre species).
  Span<const std::int32_t> x_groups, y_groups;
  /// Where not empty, k(i, j) is multiplied by x_factors[i] and y_factors[j] (covariance cutoffs).
  Span<const double> x_factors, y_factors;
};

/// @throws std::invalid_argument unless the columns of X and Y agree and every option fits its rows.
void check_gram(index_t x_rows, index_t x_cols, index_t y_rows, index_t y_cols, const GramOptions& options);

/// K(i, j) = k(X_i, Y_j) into out (rows of X, rows of Y): tiles of GEMM, then the kernel while the tile is in cache;
/// parallel over tiles, the same for any number of threads. No work is spent on pairs of different groups. Where X and
/// Y are the same memory with the same options, half of K is computed and mirrored: exactly symmetric.
/// Rows are not scanned for NaN; NaN comes out where it goes in.
void gram(const Kernel& kernel, MatView<const double> X, MatView<const double> Y, MatView<double> out,
          const GramOptions& options = {});
void gram(const Kernel& kernel, MatView<const float> X, MatView<const float> Y, MatView<float> out,
          const GramOptions& options = {});

/// out[i] = k(X_i, X_i), in double precision.
void gram_diagonal(const Kernel& kernel, MatView<const double> X, Span<double> out);

}  // namespace mercer
