#include "mercer/descriptors/sine_matrix.hpp"

#include <cmath>

#include "mercer/core/error.hpp"
#include "neighbors/box.hpp"

namespace mercer {

SineMatrix::SineMatrix(index_t n_atoms_max, const std::string& permutation, const std::string& unit)
    : AtomMatrix("SineMatrix", n_atoms_max, form(permutation)), length_(length_unit(unit)) {}

/// dM/du = -M u / |u|^2, du/dr = sum_k pi sin(2 pi f_k) b_k (x) g_k with the reciprocal vectors g_k; a strain leaves f as
/// it is and moves u as r.
void SineMatrix::elements(const StructureBatch& structures, const PairList&, index_t frame, Elements& out) const {
  constexpr double pi = 3.14159265358979323846;
  if (out.n == 0) return;
  const auto& pbc = structures.pbc[frame];
  MERCER_REQUIRE(pbc[0] && pbc[1] && pbc[2], "frame ", frame,
                 ": is not periodic in all three directions, which SineMatrix needs; use CoulombMatrix for molecules");
  const Box box(structures.cells[frame], pbc);
  const index_t first = structures.offsets[frame];
  const std::int32_t* Z = structures.numbers.data() + first;
  diagonal(Z, out);
  for (index_t i = 0; i < out.n; ++i) {
    for (index_t j = i + 1; j < out.n; ++j) {
      const Vec3 &from = structures.positions[first + i], &to = structures.positions[first + j];
      const Vec3 r{to[0] - from[0], to[1] - from[1], to[2] - from[2]};
      Vec3 u{}, f;
      for (int k = 0; k < 3; ++k) {
        f[k] = dot(box.reciprocal[k], r);
        const double s = std::sin(pi * f[k]);
        for (int a = 0; a < 3; ++a) u[a] += s * s * box.rows[k][a];
      }
      const double u2 = dot(u, u);
      MERCER_REQUIRE(u2 > 1e-16, "frame ", frame, ": atoms ", i, " and ", j,
                     " coincide; remove one of them, or check the cell and the units");
      const double value = length_ * Z[i] * Z[j] / std::sqrt(u2);
      out.values[i * out.n + j] = value;
      if (!out.derivatives) continue;
      Vec3& position = out.positions[i * out.n + j];
      position = {};
      for (int k = 0; k < 3; ++k) {
        const double g = -value / u2 * dot(u, box.rows[k]) * pi * std::sin(2 * pi * f[k]);
        for (int a = 0; a < 3; ++a) position[a] += g * box.reciprocal[k][a];
      }
      for (int a = 0; a < 3; ++a) {
        for (int b = 0; b < 3; ++b) out.strain[i * out.n + j][a][b] = -value / u2 * u[a] * u[b];
      }
    }
  }
}

}  // namespace mercer
