/// Batches cut into pieces of whole frames, so that what is held per row stays bounded.
#pragma once

#include <algorithm>
#include <vector>

#include "mercer/core/parallel.hpp"
#include "mercer/descriptors/descriptor.hpp"

namespace mercer {

/// Frames first .. last - 1 of a batch as a batch of their own; `layout`: its rows of features.
struct FramePiece {
  index_t first, last;
  const StructureBatch& structures;
  const PairList& pairs;
  RowLayout layout;

  index_t n_rows() const { return layout.n_rows(); }
};

namespace detail {

inline StructureBatch slice(const StructureBatch& all, index_t first, index_t last) {
  StructureBatch part;
  const index_t begin = all.offsets[first], end = all.offsets[last];
  part.offsets.clear();
  for (index_t f = first; f <= last; ++f) part.offsets.push_back(all.offsets[f] - begin);
  part.positions.assign(all.positions.begin() + begin, all.positions.begin() + end);
  part.numbers.assign(all.numbers.begin() + begin, all.numbers.begin() + end);
  part.cells.assign(all.cells.begin() + first, all.cells.begin() + last);
  part.pbc.assign(all.pbc.begin() + first, all.pbc.begin() + last);
  return part;
}

/// The pairs of atoms begin .. end - 1, which are those of whole frames.
inline PairList slice(const PairList& all, index_t begin, index_t end) {
  PairList part;
  const index_t p0 = all.offsets[begin], n = all.offsets[end] - p0;
  part.cutoff = all.cutoff;
  part.offsets = Buffer<index_t>(end - begin + 1);
  part.neighbors = Buffer<std::int32_t>(n);
  part.shifts = Buffer<std::array<std::int32_t, 3>>(n);
  part.vectors = Buffer<Vec3>(n);
  part.distances = Buffer<double>(n);
  for (index_t i = begin; i <= end; ++i) part.offsets[i - begin] = all.offsets[i] - p0;
  for (index_t p = 0; p < n; ++p) part.neighbors[p] = static_cast<std::int32_t>(all.neighbors[p0 + p] - begin);
  std::copy_n(all.shifts.data() + p0, n, part.shifts.data());
  std::copy_n(all.vectors.data() + p0, n, part.vectors.data());
  std::copy_n(all.distances.data() + p0, n, part.distances.data());
  return part;
}

}  // namespace detail

/// Calls body(piece) one after the other for pieces whose features take at most 64 MB, or of one frame that has more. A
/// batch that is one piece is not copied.
template <class Body>
void for_each_piece(const Descriptor& descriptor, const StructureBatch& structures, const PairList& pairs,
                    const Body& body) {
  constexpr index_t most_values = index_t{1} << 23, most_rows = index_t{1} << 18;
  const index_t max_rows = std::min(most_rows, most_values / std::max<index_t>(1, descriptor.n_features()));
  RowLayout layout = descriptor.rows(structures, pairs);
  const index_t n_frames = structures.n_frames();
  for (index_t first = 0; first < n_frames;) {
    index_t last = first + 1;
    while (last < n_frames && layout.offsets[last + 1] - layout.offsets[first] <= max_rows) ++last;
    if (last - first == n_frames) {
      body(FramePiece{first, last, structures, pairs, std::move(layout)});
    } else {
      const StructureBatch part = detail::slice(structures, first, last);
      const PairList part_pairs = detail::slice(pairs, structures.offsets[first], structures.offsets[last]);
      RowLayout rows;
      for (index_t f = first; f <= last; ++f) rows.offsets.push_back(layout.offsets[f] - layout.offsets[first]);
      rows.groups.assign(layout.groups.begin() + layout.offsets[first], layout.groups.begin() + layout.offsets[last]);
      body(FramePiece{first, last, part, part_pairs, std::move(rows)});
    }
    first = last;
  }
}

}  // namespace mercer
