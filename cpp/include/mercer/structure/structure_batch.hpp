/// Many structures (frames) in one structure of arrays.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "mercer/core/array.hpp"

namespace mercer {

using Vec3 = std::array<double, 3>;
/// Rows are the lattice vectors.
using Mat3 = std::array<Vec3, 3>;

/// Frames of atoms, stored one after another. Atom indices are global: atoms of frame f are
/// offsets[f] .. offsets[f + 1] - 1. Lengths in Angstrom.
struct StructureBatch {
  std::vector<index_t> offsets{0};        ///< n_frames + 1
  std::vector<Vec3> positions;            ///< n_atoms
  std::vector<std::int32_t> numbers;      ///< n_atoms, atomic numbers
  std::vector<Mat3> cells;                ///< n_frames; rows of non-periodic directions may be zero
  std::vector<std::array<bool, 3>> pbc;   ///< n_frames

  index_t n_frames() const { return static_cast<index_t>(cells.size()); }
  index_t n_atoms() const { return static_cast<index_t>(positions.size()); }
  /// The frame that holds atom i.
  index_t frame_of(index_t i) const;

  /// Frames first .. last - 1 as a batch of their own.
  StructureBatch slice(index_t first, index_t last) const;

  /// Appends one frame. `positions` (n, 3), `numbers` (n).
  void append(MatView<const double> positions, Span<const std::int32_t> numbers, const Mat3& cell,
              const std::array<bool, 3>& pbc);

  /// Throws std::invalid_argument, naming the frame and the atom (both counted from 0), for arrays whose lengths
  /// disagree, offsets that fall, positions that are NaN or infinite, negative atomic numbers, cells that are NaN or
  /// infinite, a periodic direction whose cell vector is zero, and periodic cell vectors that are linearly dependent.
  void validate() const;
};

}  // namespace mercer
