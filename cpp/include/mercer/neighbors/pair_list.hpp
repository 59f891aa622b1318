/// The neighbour list: all ordered pairs of atoms closer than a cutoff.
#pragma once

#include <array>
#include <cstdint>

#include "mercer/core/array.hpp"
#include "mercer/core/memory.hpp"
#include "mercer/structure/structure_batch.hpp"

namespace mercer {

/// Full list (i -> j and j -> i) in CSR form by centre i: pairs offsets[i] .. offsets[i + 1] - 1, sorted by
/// (i, j, shift), so the order is the same in every run and for any number of threads.
/// vectors = positions[j] + shift . cell - positions[i], distances = |vectors|, with 0 < distance < cutoff (strict).
/// Periodic images of i itself are neighbours; cells may be smaller than the cutoff.
struct PairList {
  double cutoff = 0;
  Buffer<index_t> offsets;                       ///< n_atoms + 1
  Buffer<std::int32_t> neighbors;                ///< n_pairs, global atom index j
  Buffer<std::array<std::int32_t, 3>> shifts;    ///< n_pairs, lattice shift of j
  Buffer<Vec3> vectors;                          ///< n_pairs, Angstrom, from i to j
  Buffer<double> distances;                      ///< n_pairs, Angstrom

  index_t n_atoms() const { return offsets.size() - 1; }
  index_t n_pairs() const { return neighbors.size(); }
  /// The largest number of pairs of one centre.
  index_t most_neighbors() const;
  /// The pairs of atoms begin .. end - 1, those of whole frames, as the list of a batch of these frames.
  PairList slice(index_t begin, index_t end) const;
};

/// Builds the list in parallel, in time proportional to n_atoms * neighbours per atom. An infinite cutoff gives all pairs
/// of every frame, a cutoff of 0 none.
/// @throws std::invalid_argument for a negative cutoff, a frame that is periodic where the cutoff is infinite, an invalid
///         structure (StructureBatch::validate), or two atoms closer than `min_distance` (Angstrom), naming frame and
///         atoms.
PairList build_pair_list(const StructureBatch& structures, double cutoff, double min_distance = 0.0);

}  // namespace mercer
