/// The loops over tuples of atoms, shared by the descriptors of structures and of atoms.
#pragma once

#include <vector>

#include "batch.hpp"
#include "channels.hpp"
#include "mercer/neighbors/pair_list.hpp"

namespace mercer::mbtr {

/// The neighbours of atoms begin .. end - 1 closer than `reach`, grouped by their elements.
class Legs {
 public:
  /// element_of: index of the element of every atom of the batch, -1 for those to be left out.
  void build(const PairList& pairs, const std::vector<std::int32_t>& element_of, int n_elements, index_t begin,
             index_t end, double reach) {
    begin_ = begin;
    n_elements_ = n_elements;
    offsets_.assign((end - begin) * n_elements + 1, 0);
    const index_t first = pairs.offsets[begin], last = pairs.offsets[end];
    for (index_t i = begin; i < end; ++i) {
      for (index_t p = pairs.offsets[i]; p < pairs.offsets[i + 1]; ++p) {
        const int e = element_of[pairs.neighbors[p]];
        if (e >= 0 && pairs.distances[p] <= reach) ++offsets_[(i - begin) * n_elements + e + 1];
      }
    }
    for (std::size_t k = 1; k < offsets_.size(); ++k) offsets_[k] += offsets_[k - 1];
    if (static_cast<index_t>(pairs_.size()) < last - first) pairs_.resize(last - first);
    next_.assign(offsets_.begin(), offsets_.end() - 1);
    for (index_t i = begin; i < end; ++i) {
      for (index_t p = pairs.offsets[i]; p < pairs.offsets[i + 1]; ++p) {
        const int e = element_of[pairs.neighbors[p]];
        if (e >= 0 && pairs.distances[p] <= reach) pairs_[next_[(i - begin) * n_elements + e]++] = p;
      }
    }
  }
  /// Pairs of centre i with neighbours of an element, in the order of the list.
  Span<const index_t> of(index_t i, int element) const {
    const index_t k = (i - begin_) * n_elements_ + element;
    return {pairs_.data() + offsets_[k], offsets_[k + 1] - offsets_[k]};
  }
  /// With all neighbours.
  Span<const index_t> of(index_t i) const {
    const index_t k = (i - begin_) * n_elements_;
    return {pairs_.data() + offsets_[k], offsets_[k + n_elements_] - offsets_[k]};
  }

 private:
  index_t begin_ = 0;
  int n_elements_ = 0;
  std::vector<index_t> offsets_, pairs_, next_;
};

/// Collects tuples and calls flush(batch) whenever the batch is full.
template <class Flush>
class Collector {
 public:
  Collector(TupleBatch& batch, int order, const Flush& flush) : batch_(batch), flush_(flush) {
    batch_.order = order;
    batch_.size = 0;
  }
  void add(std::int32_t atom, double number, double count) {
    batch_.slots[0][batch_.size] = atom;
    batch_.number[batch_.size] = number;
    batch_.count[batch_.size] = count;
    next();
  }
  void add(std::int32_t origin, std::int32_t s1, const Vec3& v1) {
    batch_.slots[0][batch_.size] = origin;
    batch_.slots[1][batch_.size] = s1;
    batch_.put(0, v1);
    next();
  }
  void add(std::int32_t origin, std::int32_t s1, const Vec3& v1, std::int32_t s2, const Vec3& v2) {
    batch_.slots[0][batch_.size] = origin;
    batch_.slots[1][batch_.size] = s1;
    batch_.slots[2][batch_.size] = s2;
    batch_.put(0, v1);
    batch_.put(1, v2);
    next();
  }
  void add(std::int32_t origin, std::int32_t s1, const Vec3& v1, std::int32_t s2, const Vec3& v2, std::int32_t s3,
           const Vec3& v3) {
    batch_.slots[0][batch_.size] = origin;
    batch_.slots[1][batch_.size] = s1;
    batch_.slots[2][batch_.size] = s2;
    batch_.slots[3][batch_.size] = s3;
    batch_.put(0, v1);
    batch_.put(1, v2);
    batch_.put(2, v3);
    next();
  }
  void finish() {
    if (batch_.size > 0) flush_(batch_);
    batch_.size = 0;
  }

 private:
  void next() {
    if (++batch_.size == batch_size) finish();
  }
  TupleBatch& batch_;
  const Flush& flush_;
};

inline Vec3 sum(const Vec3& a, const Vec3& b) { return {a[0] + b[0], a[1] + b[1], a[2] + b[2]}; }
inline Vec3 difference(const Vec3& a, const Vec3& b) { return {a[0] - b[0], a[1] - b[1], a[2] - b[2]}; }

/// Atoms of one frame as the loops see them.
struct FrameView {
  const StructureBatch& structures;
  const PairList& pairs;
  const std::vector<std::int32_t>& element_of;  ///< of every atom of the batch
  index_t first;                                ///< slots are counted from this atom
  const Legs& legs;                             ///< of the centres, for k = 4 of all atoms of the frame
  const std::vector<double>& counts;            ///< atoms of each element in the frame

  std::int32_t slot(index_t atom) const { return static_cast<std::int32_t>(atom - first); }
};

/// Of the two directions in which a bond is in the list, the one to take: up in atoms, or for an image of the same atom
/// up in shifts.
inline bool forward(const PairList& pairs, index_t i, index_t p) {
  return pairs.neighbors[p] > i || (pairs.neighbors[p] == i && pairs.shifts[p] > std::array<std::int32_t, 3>{0, 0, 0});
}

/// Every tuple of the elements z whose origin is among the atoms begin .. end - 1, each once for all of its
/// translations.
template <class Flush>
void for_each_tuple(const FrameView& frame, int order, const Elements& z, index_t begin, index_t end,
                    TupleBatch& batch, const Flush& flush) {
  Collector<Flush> tuples(batch, order, flush);
  const PairList& pairs = frame.pairs;
  const Vec3* vectors = pairs.vectors.data();
  const std::int32_t* neighbors = pairs.neighbors.data();
  const int origin = order <= 2 ? z[0] : z[1];
  for (index_t i = begin; i < end; ++i) {
    if (frame.element_of[i] != origin) continue;
    const std::int32_t slot = frame.slot(i);
    if (order == 1) {
      tuples.add(slot, frame.structures.numbers[i], frame.counts[z[0]]);
    } else if (order == 2) {
      const bool same = z[0] == z[1];
      for (const index_t p : frame.legs.of(i, z[1])) {
        if (!same || forward(pairs, i, p)) tuples.add(slot, frame.slot(neighbors[p]), vectors[p]);
      }
    } else if (order == 3) {
      const auto left = frame.legs.of(i, z[0]), right = frame.legs.of(i, z[2]);
      const bool same = z[0] == z[2];
      for (index_t a = 0; a < left.size; ++a) {
        const index_t p = left[a];
        const std::int32_t slot1 = frame.slot(neighbors[p]);
        for (index_t c = same ? a + 1 : 0; c < right.size; ++c) {
          const index_t q = right[c];
          tuples.add(slot, slot1, vectors[p], frame.slot(neighbors[q]), vectors[q]);
        }
      }
    } else {
      // i is the second atom and the neighbour j of pair p the third. Chains with the same elements in both directions
      // are taken in one of them.
      const bool same = z[1] == z[2] && z[0] == z[3];
      for (const index_t p : frame.legs.of(i, z[2])) {
        if (same && !forward(pairs, i, p)) continue;
        const index_t j = neighbors[p];
        const auto& shift = pairs.shifts[p];
        for (const index_t q : frame.legs.of(i, z[0])) {
          if (q == p) continue;
          const std::int32_t slot1 = frame.slot(neighbors[q]);
          for (const index_t r : frame.legs.of(j, z[3])) {
            std::array<std::int32_t, 3> place;  // of the fourth atom, from the cell of i
            for (int a = 0; a < 3; ++a) place[a] = shift[a] + pairs.shifts[r][a];
            if (neighbors[r] == i && place == std::array<std::int32_t, 3>{0, 0, 0}) continue;
            if (neighbors[r] == neighbors[q] && place == pairs.shifts[q]) continue;
            tuples.add(slot, slot1, vectors[q], frame.slot(j), vectors[p], frame.slot(neighbors[r]),
                       sum(vectors[p], vectors[r]));
          }
        }
      }
    }
  }
  tuples.finish();
}

/// Every tuple of a centre i and neighbours of the elements z, each once. `block` is the place of the centre in the chain:
/// k = 2: 0; k = 3: 0, between two neighbours, 1, at the end, z being the elements of the vertex and the other end; k = 4:
/// 0, at the end, 1, in second place, z being the others along the chain. Slots: 0 for the centre, 1 + e for entry e of
/// its neighbours in the list. leg_reach: no leg is longer.
template <class Flush>
void for_each_local_tuple(const PairList& pairs, const Legs& legs, int order, int block, const Elements& z, index_t i,
                          double leg_reach, TupleBatch& batch, const Flush& flush) {
  Collector<Flush> tuples(batch, order, flush);
  const Vec3* vectors = pairs.vectors.data();
  const double* distances = pairs.distances.data();
  const auto slot = [first = pairs.offsets[i] - 1](index_t p) { return static_cast<std::int32_t>(p - first); };
  const double square = leg_reach * leg_reach * (1 + 1e-12);
  const auto far = [&](index_t p, index_t q) {
    const Vec3 d = difference(vectors[q], vectors[p]);
    return !(d[0] * d[0] + d[1] * d[1] + d[2] * d[2] <= square);
  };
  const Vec3 origin{0, 0, 0};
  if (order == 2) {
    for (const index_t p : legs.of(i, z[0])) tuples.add(0, slot(p), vectors[p]);
  } else if (order == 3 && block == 0) {
    const auto left = legs.of(i, z[0]), right = legs.of(i, z[1]);
    for (index_t a = 0; a < left.size; ++a) {
      if (distances[left[a]] > leg_reach) continue;
      for (index_t c = z[0] == z[1] ? a + 1 : 0; c < right.size; ++c) {
        if (distances[right[c]] > leg_reach) continue;
        tuples.add(0, slot(left[a]), vectors[left[a]], slot(right[c]), vectors[right[c]]);
      }
    }
  } else if (order == 3) {
    for (const index_t p : legs.of(i, z[0])) {
      if (distances[p] > leg_reach) continue;
      const Vec3 back = difference(origin, vectors[p]);
      for (const index_t q : legs.of(i, z[1])) {
        if (q == p || far(p, q)) continue;
        tuples.add(slot(p), 0, back, slot(q), difference(vectors[q], vectors[p]));
      }
    }
  } else if (block == 0) {  // i p q r
    for (const index_t p : legs.of(i, z[0])) {
      if (distances[p] > leg_reach) continue;
      const Vec3 back = difference(origin, vectors[p]);
      for (const index_t q : legs.of(i, z[1])) {
        if (q == p || far(p, q)) continue;
        for (const index_t r : legs.of(i, z[2])) {
          if (r == p || r == q || far(q, r)) continue;
          tuples.add(slot(p), 0, back, slot(q), difference(vectors[q], vectors[p]), slot(r),
                     difference(vectors[r], vectors[p]));
        }
      }
    }
  } else {  // p i q r
    for (const index_t q : legs.of(i, z[1])) {
      if (distances[q] > leg_reach) continue;
      for (const index_t p : legs.of(i, z[0])) {
        if (p == q || distances[p] > leg_reach) continue;
        for (const index_t r : legs.of(i, z[2])) {
          if (r == p || r == q || far(q, r)) continue;
          tuples.add(0, slot(p), vectors[p], slot(q), vectors[q], slot(r), vectors[r]);
        }
      }
    }
  }
  tuples.finish();
}

/// How many tuples `for_each_tuple` has for all elements together (for k = 4 a few more).
inline double count_tuples(const FrameView& frame, int order, index_t begin, index_t end) {
  double sum = 0;
  for (index_t i = begin; i < end; ++i) {
    if (frame.element_of[i] < 0) continue;
    const auto n = order == 1 ? 1.0 : static_cast<double>(frame.legs.of(i).size);
    if (order <= 2) sum += order == 1 ? 1 : 0.5 * n;
    if (order == 3) sum += 0.5 * n * (n - 1);
    if (order != 4) continue;
    for (const index_t p : frame.legs.of(i)) {
      sum += 0.5 * (n - 1) * static_cast<double>(frame.legs.of(frame.pairs.neighbors[p]).size - 1);
    }
  }
  return sum;
}

}  // namespace mercer::mbtr
