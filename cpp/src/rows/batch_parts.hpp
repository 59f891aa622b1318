/// Batches cut into parts, so that what is held per row stays bounded.
#pragma once

#include <algorithm>

#include "mercer/descriptors/descriptor.hpp"

namespace mercer {

/// Calls body(part) one after the other for parts whose features take about 64 MB at most: some frames, or some atoms of a
/// frame that has more, if `divide` and the descriptor allows it.
template <class Body>
void for_each_part(const Descriptor& descriptor, const StructureBatch& structures, const PairList& pairs, bool divide,
                   const Body& body) {
  constexpr index_t most_values = index_t{1} << 23, most_rows = index_t{1} << 18;
  const index_t max_rows = std::min(most_rows, most_values / std::max<index_t>(1, descriptor.n_features()));
  divide = divide && descriptor.divides_frames();
  BatchPart part{0, 0, 0, 0};
  index_t n_rows = 0;
  const auto flush = [&] {
    if (part.last_frame > part.first_frame) body(static_cast<const BatchPart&>(part));
    n_rows = 0;
  };
  for (index_t f = 0; f < structures.n_frames(); ++f) {
    const index_t begin = structures.offsets[f], end = structures.offsets[f + 1];
    const index_t rows = descriptor.estimate_rows(pairs, begin, end);
    if (n_rows + rows > max_rows) {
      flush();
      part = {f, f, begin, begin};
    }
    part.last_frame = f + 1;
    if (divide && rows > max_rows) {
      for (index_t i = begin; i < end; ++i) {
        const index_t more = descriptor.estimate_rows(pairs, i, i + 1);
        if (n_rows + more > max_rows && part.end > part.begin) {
          flush();
          part.begin = i;
        }
        n_rows += more;
        part.end = i + 1;
      }
      flush();
      part = {f + 1, f + 1, end, end};
      continue;
    }
    n_rows += rows;
    part.end = end;
  }
  flush();
}

}  // namespace mercer
