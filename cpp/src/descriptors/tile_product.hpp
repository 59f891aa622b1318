/// The one register kernel of the power spectrum and its reverse pass.
#pragma once

#include <algorithm>

#include "mercer/core/simd.hpp"

namespace mercer {

/// Rows of a tile.
inline constexpr int tile_rows = 4;

/// sum[r][:] = sum_k a[r * a_row + k * a_k] b[k * b_k + :], r = 0 .. 3.
template <int T>
inline void tile_product(const double* a, index_t a_row, index_t a_k, const double* b, index_t b_k, index_t n_k,
                         simd::Tile<T> (&sum)[tile_rows]) {
  simd::Tile<T> s0{}, s1{}, s2{}, s3{};
  for (index_t k = 0; k < n_k; ++k, a += a_k, b += b_k) {
    const auto row = simd::Tile<T>::load(b);
    s0.add(a[0], row);
    s1.add(a[a_row], row);
    s2.add(a[2 * a_row], row);
    s3.add(a[3 * a_row], row);
  }
  sum[0] = s0;
  sum[1] = s1;
  sum[2] = s2;
  sum[3] = s3;
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
