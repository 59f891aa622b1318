#include "mercer/structure/structure_batch.hpp"

#include <cmath>

#include "mercer/core/error.hpp"

namespace mercer {

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
  for (index_t f = 0; f < n_frames(); ++f) {
    for (index_t i = offsets[f]; i < offsets[f + 1]; ++i) {
      for (double x : positions[i]) {
        MERCER_REQUIRE(std::isfinite(x), "frame ", f, ": the position of atom ", i - offsets[f], " is not finite");
      }
    }
  }
}

}  // namespace mercer
