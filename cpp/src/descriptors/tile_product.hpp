/// The one register kernel of the power spectrum and its reverse pass.
#pragma once

#include <algorithm>
#include <type_traits>

#include "mercer/core/array.hpp"
#include "mercer/core/simd.hpp"

namespace mercer {

/// Rows of a tile.
inline constexpr int tile_rows = 4;

/// sum[r][:] += sum_k a[r * a_row + k * a_k] b[k * b_k + :], one product after the other: splitting k, or leaving out
/// where a is zero, changes no bit.
template <int T, int R>
inline void add_tile_product(const double* a, index_t a_row, index_t a_k, const double* b, index_t b_k, index_t n_k,
                             simd::Tile<T> (&sum)[R]) {
  simd::Tile<T> s[R];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) s[r] = sum[r];
  for (index_t k = 0; k < n_k; ++k, a += a_k, b += b_k) {
    const auto row = simd::Tile<T>::load(b);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) s[r].add(a[r * a_row], row);
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) sum[r] = s[r];
}

/// sum[r][:] = sum_k a[r * a_row + k * a_k] b[k * b_k + :], r = 0 .. R - 1.
template <int T, int R>
inline void tile_product(const double* a, index_t a_row, index_t a_k, const double* b, index_t b_k, index_t n_k,
                         simd::Tile<T> (&sum)[R]) {
  for (auto& tile : sum) tile = simd::Tile<T>{};
  add_tile_product(a, a_row, a_k, b, b_k, n_k, sum);
}

/// Splits rows 0 .. n - 1 into groups and calls body(integral_constant of their number, first row).
template <class Body>
inline void for_row_groups(int n, const Body& body) {
  constexpr int most = simd::width == 8 ? 8 : 4;
  int row = 0;
  for (; row + most <= n; row += most) body(std::integral_constant<int, most>{}, row);
  for (; row + 4 <= n; row += 4) body(std::integral_constant<int, 4>{}, row);
  for (; row + 2 <= n; row += 2) body(std::integral_constant<int, 2>{}, row);
  for (; row < n; ++row) body(std::integral_constant<int, 1>{}, row);
}

/// Splits columns begin .. end (multiples of 4) into tiles from left to right and calls body(tile of that width, column).
template <class Body>
inline void for_tiles(int begin, int end, const Body& body) {
  while (begin < end) {
    const int width = std::min(end - begin, simd::max_tile);
    switch (width) {
      case 4: body(simd::Tile<4>{}, begin); break;
      case 8: body(simd::Tile<std::min(8, simd::max_tile)>{}, begin); break;
      case 12: body(simd::Tile<std::min(12, simd::max_tile)>{}, begin); break;
      default: body(simd::Tile<simd::max_tile>{}, begin); break;
    }
    begin += width;
  }
}

}  // namespace mercer
