/// Derivatives of rows before normalisation, without the columns that a neighbour does not touch.
#pragma once

#include <cstdint>
#include <memory>

#include "mercer/core/array.hpp"
#include "mercer/core/memory.hpp"

namespace mercer {

/// With p the row of an atom before normalisation and x = p / |p|, dx / dv = (dp / dv - x (x . dp / dv)) / |p| for the
/// vector v to a neighbour. The second term fills every column, the first only blocks with the species of the neighbour:
/// here are the first, and the factors of the second. The sparsity is known at once; `write` computes the values, which
/// are 3 rows (x, y, z) of the columns of its blocks, one block after the other, for every pair of the list.
class RawGradients {
 public:
  virtual ~RawGradients() = default;
  /// First column of every block, and n_features: n_blocks + 1.
  virtual Span<const index_t> columns() const = 0;
  /// Pair e has the blocks blocks[block_offsets[e]] .. blocks[block_offsets[e + 1] - 1], ascending, and
  /// value_offsets[e + 1] - value_offsets[e] values.
  Buffer<index_t> block_offsets;  ///< n_pairs + 1
  Buffer<std::int32_t> blocks;
  Buffer<index_t> value_offsets;  ///< n_pairs + 1
  /// values (value_offsets[n_pairs]) dp / dv, rows (n_atoms, n_features) x, norms (n_atoms) |p|, dots (n_pairs, 3)
  /// x . dp / dv. Where rows are not normalised, x = p, and norms are 1 and dots 0: the formula holds all the same.
  virtual void write(double* values, MatView<double> rows, double* norms, double* dots) const = 0;
};

}  // namespace mercer
