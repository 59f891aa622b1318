/// The box of one frame: lattice vectors along periodic directions, made-up orthogonal ones along the others.
#pragma once

#include <array>
#include <cmath>

#include "mercer/structure/structure_batch.hpp"

namespace mercer {

inline double dot(const Vec3& a, const Vec3& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

inline Vec3 cross(const Vec3& a, const Vec3& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

inline Vec3 normalised(const Vec3& a) {
  const double inverse = 1 / std::sqrt(dot(a, a));
  return {a[0] * inverse, a[1] * inverse, a[2] * inverse};
}

struct Box {
  Mat3 rows{};        ///< lattice vectors; unit vectors orthogonal to all others where not periodic
  Mat3 reciprocal{};  ///< fractional coordinate k of r is dot(reciprocal[k], r)
  Vec3 heights{};     ///< distance between the planes of each direction (1 where not periodic)

  Box(const Mat3& cell, const std::array<bool, 3>& pbc) : rows(cell) {
    complete(pbc);
    for (int k = 0; k < 3; ++k) {
      const Vec3 normal = cross(rows[(k + 1) % 3], rows[(k + 2) % 3]);
      const double inverse_volume = 1 / dot(normal, rows[k]);
      for (int a = 0; a < 3; ++a) reciprocal[k][a] = normal[a] * inverse_volume;
      heights[k] = 1 / std::sqrt(dot(reciprocal[k], reciprocal[k]));
    }
  }

  /// shift . cell; exactly opposite for opposite shifts. The shift is zero along non-periodic directions.
  Vec3 translation(const std::array<std::int32_t, 3>& shift) const {
    Vec3 t;
    for (int a = 0; a < 3; ++a) t[a] = shift[0] * rows[0][a] + shift[1] * rows[1][a] + shift[2] * rows[2][a];
    return t;
  }

 private:
  void complete(const std::array<bool, 3>& pbc) {
    const int n_periodic = pbc[0] + pbc[1] + pbc[2];
    if (n_periodic == 0) rows = {{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
    if (n_periodic == 1) {
      const int p = pbc[0] ? 0 : pbc[1] ? 1 : 2;
      const Vec3 a = normalised(rows[p]);
      int smallest = 0;
      for (int k = 1; k < 3; ++k) {
        if (std::abs(a[k]) < std::abs(a[smallest])) smallest = k;
      }
      Vec3 axis{};
      axis[smallest] = 1;
      rows[(p + 1) % 3] = normalised(cross(a, axis));
      rows[(p + 2) % 3] = cross(a, rows[(p + 1) % 3]);
    }
    if (n_periodic == 2) {
      const int k = !pbc[0] ? 0 : !pbc[1] ? 1 : 2;
      rows[k] = normalised(cross(normalised(rows[(k + 1) % 3]), normalised(rows[(k + 2) % 3])));
    }
  }
};

}  // namespace mercer
