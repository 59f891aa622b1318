/// Blocks of the power spectrum, written packed.
#pragma once

#include <algorithm>

#include "descriptors/tile_product.hpp"

namespace mercer {

inline constexpr double sqrt_2 = 1.41421356237309504880;
inline constexpr double fourth_root_2 = 1.18920711500272106672;

/// Coefficients in the layout [lm][n_pad] are summed over m.
struct SumOverM {
  int n_pad;
  index_t begin(int l) const { return static_cast<index_t>(l) * l * n_pad; }
  /// Between the vectors on the left, and on the right; T > 0 is n_pad known to the compiler.
  template <int T = 0>
  index_t left() const { return T > 0 ? T : n_pad; }
  template <int T = 0>
  index_t right() const { return T > 0 ? T : n_pad; }
  int size(int l) const { return 2 * l + 1; }
};

/// `Rank` outer products of vectors [l][n_pad] that are a distance apart, on the left and on the right.
template <int Rank>
struct SumOfProducts {
  index_t n_pad, left_step, right_step;
  index_t begin(int l) const { return l * n_pad; }
  template <int T = 0>
  index_t left() const { return left_step; }
  template <int T = 0>
  index_t right() const { return right_step; }
  int size(int) const { return Rank; }
};

/// Stores a tile whose first `skip` elements are not wanted. They overwrite what lies before `to`, which is written
/// later; nothing before `floor` is touched.
template <int T>
void store_shifted(const simd::Tile<T>& tile, int skip, double* to, const double* floor) {
  if (to - skip >= floor) {
    tile.store(to - skip);
  } else {
    double row[T];
    tile.store(row);
    std::copy(row + skip, row + T, to);
  }
}

/// A block of two different channels whose rows fit one tile of T, R rows at a time; arguments as for power_block.
template <int T, int R, class Sum>
void mixed_block(const Sum& sum_over, const double* a, const double* b, int l_max, int n_max, double* out, const double* floor) {
  static_assert(T % R == 0, "groups of rows");
  const int pad = T - n_max;
  const index_t left = sum_over.template left<T>(), right = sum_over.template right<T>();
  for (int l = l_max; l >= 0; --l) {
    const index_t lm = sum_over.begin(l);
    for (int j0 = T - R; j0 >= 0; j0 -= R) {
      simd::Tile<T> sum[R];
      tile_product(a + lm + j0, 1, left, b + lm, right, sum_over.size(l), sum);
      double* rows = out + (l * n_max + j0 - pad) * n_max;
      if (pad == 0) {
#pragma GCC unroll 8
        for (int r = R - 1; r >= 0; --r) sum[r].store(rows + r * T);
      } else {
#pragma GCC unroll 8
        for (int r = R - 1; r >= 0; --r) {
          if (j0 + r >= pad) store_shifted(sum[r], pad, rows + r * n_max, floor);
        }
      }
    }
  }
}

/// The upper triangle of a symmetric T x T matrix in registers, four rows at a time: from row J on, columns J .. T - 1.
template <int T, int J = 0>
struct Triangle {
  simd::Tile<T - J> rows[tile_rows] = {};
  Triangle<T, J + tile_rows> below;
  /// += the outer product of a and b.
  inline void add(const double* a, const double* b) {
    const auto row = simd::Tile<T - J>::load(b + J);
#pragma GCC unroll 4
    for (int r = 0; r < tile_rows; ++r) rows[r].add(a[J + r], row);
    below.add(a, b);
  }
  /// Packed from the last row to the first, with 1 / sqrt(2) on the diagonal and without the first `pad` rows.
  inline void store(int pad, double* out, const double* floor) {
    below.store(pad, out, floor);
#pragma GCC unroll 4
    for (int r = tile_rows - 1; r >= 0; --r) {
      const int n = J + r - pad;
      if (n < 0) break;
      rows[r].scale_lane(r, 1 / sqrt_2);
      store_shifted(rows[r], r, out + n * (2 * (T - pad) - n + 1) / 2, floor);
    }
  }
};
template <int T>
struct Triangle<T, T> {
  inline void add(const double*, const double*) {}
  inline void store(int, double*, const double*) {}
};

/// A block of one channel whose triangle fits the registers.
template <int T, class Sum>
void same_block(const Sum& sum_over, const double* a, const double* b, int l_max, int n_max, double* out, const double* floor) {
  const index_t left_step = sum_over.template left<T>(), right_step = sum_over.template right<T>();
  for (int l = l_max; l >= 0; --l) {
    Triangle<T> sum;
    const double *left = a + sum_over.begin(l), *right = b + sum_over.begin(l);
    for (int k = 0; k < sum_over.size(l); ++k) sum.add(left + k * left_step, right + k * right_step);
    sum.store(T - n_max, out + l * (n_max * (n_max + 1) / 2), floor);
  }
}

/// One block of the power spectrum, block[l][n][n'] = sum_k a[l][k][n] b[l][k][n'], packed; n behind n_pad - n_max zeros.
/// Written from the last row to the first, so that rows may overlap backwards.
template <class Sum>
void power_block(const Sum& sum_over, const double* a, const double* b, bool same, int l_max, int n_max, int n_pad, double* out,
                 const double* floor) {
  if (same && simd::width >= 4) {
    switch (n_pad) {
      case 4: return same_block<4>(sum_over, a, b, l_max, n_max, out, floor);
      case 8: return same_block<8>(sum_over, a, b, l_max, n_max, out, floor);
      case 12:
        if constexpr (simd::width == 8) return same_block<12>(sum_over, a, b, l_max, n_max, out, floor);
        break;
      case 16:
        if constexpr (simd::width == 8) return same_block<16>(sum_over, a, b, l_max, n_max, out, floor);
        break;
      default: break;
    }
  }
  if (!same && n_pad <= simd::max_tile) {
    constexpr int many = simd::width == 8 ? 8 : 4;  // rows in registers
    switch (n_pad) {
      case 4: return mixed_block<4, 4>(sum_over, a, b, l_max, n_max, out, floor);
      case 8: return mixed_block<std::min(8, simd::max_tile), many>(sum_over, a, b, l_max, n_max, out, floor);
      case 12: return mixed_block<std::min(12, simd::max_tile), 4>(sum_over, a, b, l_max, n_max, out, floor);
      default: return mixed_block<simd::max_tile, many>(sum_over, a, b, l_max, n_max, out, floor);
    }
  }
  const int pad = n_pad - n_max;
  const index_t rows_size = same ? n_max * (n_max + 1) / 2 : n_max * n_max;
  for (int l = l_max; l >= 0; --l) {
    const index_t lm = sum_over.begin(l);
    double* block = out + l * rows_size;
    for (int j0 = n_pad - tile_rows; j0 >= 0; j0 -= tile_rows) {
      const int first_column = same ? j0 : 0;
      for_tiles(first_column, n_pad, [&](auto tile, int column) {
        decltype(tile) sum[tile_rows];
        tile_product(a + lm + j0, 1, sum_over.left(), b + lm + column, sum_over.right(), sum_over.size(l), sum);
#pragma GCC unroll 4
        for (int r = tile_rows - 1; r >= 0; --r) {
          const int n = j0 + r - pad;
          if (n < 0) continue;
          if (same) {
            if (column == first_column) {
              sum[r].scale_lane(r, 1 / sqrt_2);
              store_shifted(sum[r], r, block + n * (2 * n_max - n + 1) / 2, floor);
            } else {
              sum[r].store(block + n * (2 * n_max - n + 1) / 2 + column - (j0 + r));
            }
          } else if (column == 0) {
            store_shifted(sum[r], pad, block + n * n_max, floor);
          } else {
            sum[r].store(block + n * n_max + column - pad);
          }
        }
      });
    }
  }
}

}  // namespace mercer
