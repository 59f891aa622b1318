/// The atoms that the centres of one bin may see.
#pragma once

#include <cstdint>
#include <vector>

#include "bins.hpp"

namespace mercer {

/// r_j - r_i for the image translated by t. The sign flips exactly when the pair is seen from the other side, so both
/// sides agree on what lies within the cutoff.
inline double difference(double r_j, double r_i, double t) { return (r_j - r_i) + t; }

inline Vec3 difference(const Vec3& r_j, const Vec3& r_i, const Vec3& t) {
  return {difference(r_j[0], r_i[0], t[0]), difference(r_j[1], r_i[1], t[1]), difference(r_j[2], r_i[2], t[2])};
}

inline double squared_length(double x, double y, double z) { return x * x + y * y + z * z; }

/// Throws the error about two atoms, global indices, that are no more than `min_distance` apart.
[[noreturn]] void refuse_pair(const StructureBatch& structures, index_t frame, index_t i, index_t j, double distance,
                              double min_distance);

class Candidates {
 public:
  /// A neighbour: the slot of its atom, relative to the frame, and the image, relative to the frame's first one.
  struct Hit {
    std::int32_t slot, image;
  };

  /// Finds the candidates of the atoms in slots [begin, end) of one frame, which share bin `b`.
  void find(const BinnedBatch& batch, const Bins& bins, index_t b, index_t begin, index_t end);

  /// Appends to `hits` the candidates within the cutoff of the atom in `slot`, itself excluded, in order of (atom,
  /// shift); `bound` is the largest squared distance.
  void filter(const BinnedBatch& batch, const Bins& bins, index_t slot, double bound, std::vector<Hit>& hits,
              index_t& n_hits) const;

 private:
  struct Visit {
    std::int32_t begin, end, image;
  };
  struct Found {
    Hit hit;
    std::int32_t atom;
  };
  void visit(const BinnedBatch& batch, const Bins& bins, index_t b, const Bounds& centres);
  void gather(const BinnedBatch& batch, const Bins& bins, const Bounds& centres);
  void sort(const Bins& bins);
  void load(const BinnedBatch& batch, const Bins& bins);

  std::vector<Visit> visits_;  ///< bins, and their images, that may hold candidates
  std::vector<Found> found_, scratch_;
  index_t n_found_ = 0;
  std::vector<std::int32_t> counts_;
  std::vector<Hit> hits_;
  std::vector<double> x_, y_, z_, tx_, ty_, tz_;  ///< wrapped position, translation; padded with points at infinity to whole blocks
};

}  // namespace mercer
