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

/// sum[r][:] += sum_k a[r * a_row + k * a_k] b[k * b_k + :].
template <int T, int R>
inline void add_tile_product(const double* a, index_t a_row, index_t a_k, const double* b, index_t b_k, index_t n_k,
                             simd::Tile<T> (&sum)[R]) {
  simd::Tile<T> product[R];
  tile_product(a, a_row, a_k, b, b_k, n_k, product);
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) sum[r].add(1.0, product[r]);
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
      const double* panel = panels_.data() + p * n_columns_ * panel_width;
      index_t r = 0;
      for (; r + panel_rows <= n_rows; r += panel_rows) {
        multiply_rows<panel_rows>(rows + r * stride, stride, runs, panel, p, panel_rows, to + r);
      }
      for (; r < n_rows; r += tile_rows) {
        const int n = static_cast<int>(std::min<index_t>(tile_rows, n_rows - r));
        multiply_rows<tile_rows>(rows + r * stride, stride, runs, panel, p, n, to + r);
      }
    }
  }

  /// Stores the first n rows of panel p.
  template <int R>
  void store(const simd::Tile<panel_width> (&sum)[R], index_t p, int n, double* const* to) const {
    const index_t first = p * panel_width, width = std::min<index_t>(panel_width, n_vectors_ - first);
    for (int r = 0; r < n; ++r) {
      if (width == panel_width) {
        sum[r].store(to[r] + first);
      } else {
        double row[panel_width];
        sum[r].store(row);
        std::copy_n(row, width, to[r] + first);
      }
    }
  }

 private:
  template <int R>
  void multiply_rows(const double* rows, index_t stride, const std::vector<ColumnRun>& runs, const double* panel,
                     index_t p, int n, double* const* to) const {
    simd::Tile<panel_width> sum[R] = {};
    for (const ColumnRun& run : runs) {
      add_tile_product(rows, stride, 1, panel + run.begin * panel_width, panel_width, run.size, sum);
      rows += run.size;
    }
    store(sum, p, n, to);
  }

  index_t n_vectors_, n_columns_;
  Buffer<double> panels_;
};

}  // namespace mercer
