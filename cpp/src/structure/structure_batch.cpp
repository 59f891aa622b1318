#include "mercer/structure/structure_batch.hpp"

#include <algorithm>
#include <cmath>

#include "mercer/core/error.hpp"

namespace mercer {
namespace {

double dot(const Vec3& a, const Vec3& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }
double norm(const Vec3& a) { return std::sqrt(dot(a, a)); }
bool finite(const Vec3& a) { return std::isfinite(a[0]) && std::isfinite(a[1]) && std::isfinite(a[2]); }

Vec3 cross(const Vec3& a, const Vec3& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

std::string text(const Vec3& a) { return concatenate("(", a[0], ", ", a[1], ", ", a[2], ")"); }

/// The volume, area or length that the periodic vectors span, each scaled to length one: 0 if linearly dependent.
double unit_volume(const Mat3& cell, const std::array<bool, 3>& periodic) {
  std::array<Vec3, 3> unit{};
  int n = 0;
  for (int k = 0; k < 3; ++k) {
    if (!periodic[k]) continue;
    const double length = norm(cell[k]);
    unit[n++] = {cell[k][0] / length, cell[k][1] / length, cell[k][2] / length};
  }
  if (n == 3) return std::abs(dot(unit[0], cross(unit[1], unit[2])));
  return n == 2 ? norm(cross(unit[0], unit[1])) : 1.0;
}

}  // namespace

index_t StructureBatch::frame_of(index_t i) const {
  return std::upper_bound(offsets.begin(), offsets.end(), i) - offsets.begin() - 1;
}

StructureBatch StructureBatch::slice(index_t first, index_t last) const {
  StructureBatch part;
  const index_t begin = offsets[first], end = offsets[last];
  part.offsets.clear();
  for (index_t f = first; f <= last; ++f) part.offsets.push_back(offsets[f] - begin);
  part.positions.assign(positions.begin() + begin, positions.begin() + end);
  part.numbers.assign(numbers.begin() + begin, numbers.begin() + end);
  part.cells.assign(cells.begin() + first, cells.begin() + last);
  part.pbc.assign(pbc.begin() + first, pbc.begin() + last);
  return part;
}

void StructureBatch::append(MatView<const double> frame_positions, Span<const std::int32_t> frame_numbers,
                            const Mat3& cell, const std::array<bool, 3>& periodic) {
  MERCER_REQUIRE(frame_positions.cols == 3 && frame_positions.rows == frame_numbers.size,
                 "StructureBatch::append: positions has shape (", frame_positions.rows, ", ", frame_positions.cols,
                 "), expected (", frame_numbers.size, ", 3)");
  for (index_t i = 0; i < frame_positions.rows; ++i) {
    positions.push_back({frame_positions(i, 0), frame_positions(i, 1), frame_positions(i, 2)});
    numbers.push_back(frame_numbers[i]);
  }
  cells.push_back(cell);
  pbc.push_back(periodic);
  offsets.push_back(n_atoms());
}

void StructureBatch::validate() const {
  const auto n = static_cast<std::size_t>(n_frames());
  MERCER_REQUIRE(offsets.size() == n + 1 && pbc.size() == n && offsets[0] == 0 && offsets[n] == n_atoms() &&
                     numbers.size() == positions.size(),
                 "StructureBatch: arrays disagree: ", n, " cells, ", pbc.size(), " pbc, ", offsets.size(),
                 " offsets (expected ", n + 1, ", from 0 to the number of atoms), ", positions.size(), " positions, ",
                 numbers.size(), " numbers");
  for (index_t f = 0; f < n_frames(); ++f) {
    MERCER_REQUIRE(offsets[f] <= offsets[f + 1], "frame ", f, ": offsets fall from ", offsets[f], " to ",
                   offsets[f + 1]);
    for (index_t i = offsets[f]; i < offsets[f + 1]; ++i) {
      MERCER_REQUIRE(finite(positions[i]), "frame ", f, ": the position of atom ", i - offsets[f],
                     " is not finite: ", text(positions[i]));
      MERCER_REQUIRE(numbers[i] >= 0, "frame ", f, ": the atomic number of atom ", i - offsets[f], " is ", numbers[i],
                     ", expected 0 or more");
    }
    const Mat3& cell = cells[f];
    for (int k = 0; k < 3; ++k) {
      MERCER_REQUIRE(finite(cell[k]), "frame ", f, ": cell vector ", k, " is not finite: ", text(cell[k]));
      MERCER_REQUIRE(!pbc[f][k] || norm(cell[k]) > 0, "frame ", f, ": periodic along cell vector ", k,
                     ", which is zero; set pbc to False along it or give the cell");
    }
    MERCER_REQUIRE(unit_volume(cell, pbc[f]) > 1e-10, "frame ", f,
                   ": the periodic cell has no volume: its vectors ", text(cell[0]), ", ", text(cell[1]), ", ",
                   text(cell[2]), " are linearly dependent");
  }
}

}  // namespace mercer
