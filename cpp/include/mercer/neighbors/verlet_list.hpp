/// A neighbour list that is kept while atoms move a little.
#pragma once

#include <array>
#include <vector>

#include "mercer/neighbors/pair_list.hpp"
#include "mercer/structure/structure_batch.hpp"

namespace mercer {

/// Holds the pairs closer than cutoff + skin and searches again only when a pair may have come within the cutoff
/// unseen (L. Verlet, Phys. Rev. 159, 98 (1967)). One user at a time.
class VerletList {
 public:
  /// @param skin  Angstrom; 0 searches whenever anything has moved
  /// @throws std::invalid_argument for cutoff < 0 or skin < 0.
  VerletList(double cutoff, double skin, double min_distance = 0.0);

  /// What build_pair_list(structures, cutoff, min_distance) returns, with the same order of pairs and the same bits.
  /// @throws std::invalid_argument as build_pair_list.
  PairList update(const StructureBatch& structures);

  double cutoff() const { return cutoff_; }
  double skin() const { return skin_; }
  /// Searches so far.
  index_t n_builds() const { return n_builds_; }

 private:
  bool holds_for(const StructureBatch& structures) const;
  void build(const StructureBatch& structures);
  void refresh(const StructureBatch& structures);
  PairList filtered() const;

  double cutoff_, skin_, min_distance_;
  index_t n_builds_ = 0;
  StructureBatch reference_;  ///< structures of the last search; no offsets before
  PairList wide_;             ///< pairs found then, with the vectors of the last update
};

}  // namespace mercer
