/// Products of a few rows with many vectors, the vectors packed once as panels that the register kernel reads in order.
#pragma once

#include <algorithm>
#include <vector>

#include "descriptors/tile_product.hpp"
#include "mercer/core/memory.hpp"
#include "mercer/core/parallel.hpp"

namespace mercer {

/// Vectors of a panel: a tile. Rows at once: as many as fit the registers.
inline constexpr int panel_width = simd::max_tile;
inline constexpr int panel_rows = simd::width == 8 ? 8 : 4;

/// A run of columns of the vectors.
struct ColumnRun {
  index_t begin, size;
  bool first;  ///< whether no run before, of another list, held these columns
};

/// Stores rows of a panel whose first vector is `first` of n_vectors.
template <int R>
inline void store_panel(const simd::Tile<panel_width> (&sum)[R], int n_rows, index_t first, index_t n_vectors,
                        double* const* to) {
  const index_t width = std::min<index_t>(panel_width, n_vectors - first);
  for (int r = 0; r < n_rows; ++r) {
    if (width == panel_width) {
      sum[r].store(to[r] + first);
    } else {
      double row[panel_width];
      sum[r].store(row);
      std::copy_n(row, width, to[r] + first);
    }
  }
}

/// to[r][first + v] = sum_k rows[r][k] panel[column k][v]; the columns of `rows` are those of the runs, one after the
/// other. Reads up to three rows behind the last one.
inline void panel_product(const double* rows, index_t n_rows, index_t stride, const std::vector<ColumnRun>& runs,
                          const double* panel, index_t first, index_t n_vectors, double* const* to) {
  const auto some_rows = [&](auto& sum, index_t r, int n) {
    const double* row = rows + r * stride;
    for (const ColumnRun& run : runs) {
      add_tile_product(row, stride, 1, panel + run.begin * panel_width, panel_width, run.size, sum);
      row += run.size;
    }
    store_panel(sum, n, first, n_vectors, to + r);
  };
  index_t r = 0;
  for (; r + panel_rows <= n_rows; r += panel_rows) {
    simd::Tile<panel_width> sum[panel_rows] = {};
    some_rows(sum, r, panel_rows);
  }
  for (; r < n_rows; r += tile_rows) {
    simd::Tile<panel_width> sum[tile_rows] = {};
    some_rows(sum, r, static_cast<int>(std::min<index_t>(tile_rows, n_rows - r)));
  }
}

/// Q (n_vectors, n_columns) as panels [panel][column][panel_width], zeros behind the last vector.
class PackedVectors {
 public:
  explicit PackedVectors(MatView<const double> Q)
      : n_vectors_(Q.rows), n_columns_(Q.cols), panels_(n_panels() * Q.cols * panel_width) {
    parallel_for(n_panels(), [&](index_t p) {
      double* panel = panels_.data() + p * n_columns_ * panel_width;
      for (int v = 0; v < panel_width; ++v) {
        const index_t q = p * panel_width + v;
        for (index_t k = 0; k < n_columns_; ++k) panel[k * panel_width + v] = q < n_vectors_ ? Q(q, k) : 0.0;
      }
    });
  }

  index_t n_vectors() const { return n_vectors_; }
  index_t n_panels() const { return (n_vectors_ + panel_width - 1) / panel_width; }

  /// to[r][q] = sum_k rows[r][k] Q(q, column k) for all q: the columns of `rows` are those of the runs, one after the
  /// other. `rows` has `n_rows` rounded up to a multiple of four rows, `to` a place for each of the n_rows.
  void multiply(const double* rows, index_t n_rows, index_t stride, const std::vector<ColumnRun>& runs,
                double* const* to) const {
    for (index_t p = 0; p < n_panels(); ++p) {
      panel_product(rows, n_rows, stride, runs, panels_.data() + p * n_columns_ * panel_width, p * panel_width,
                    n_vectors_, to);
    }
  }

 private:
  index_t n_vectors_, n_columns_;
  Buffer<double> panels_;
};

}  // namespace mercer
