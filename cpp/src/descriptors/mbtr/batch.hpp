/// Tuples of atoms in structure-of-arrays form: what the loops over tuples fill, and geometry functions and weights work
/// on, many tuples at a time.
#pragma once

#include <cstdint>

#include "mercer/structure/structure_batch.hpp"

namespace mercer::mbtr {

/// Tuples of a batch; everything of one batch stays in the first-level cache.
inline constexpr int batch_size = 64;

/// A tuple of k atoms is an origin and k - 1 vectors from it. The origin is the only atom (k = 1), either atom (k = 2), the
/// one in the middle (k = 3), or the second of the chain (k = 4). `vectors` go to the other atom, to the two ends, or to
/// the first, third and fourth atom of the chain.
struct alignas(64) TupleBatch {
  int order = 0;
  int size = 0;
  std::int32_t slots[4][batch_size] = {};    ///< who the atoms are: first the origin, then those of `vectors`
  double vectors[3][3][batch_size] = {};     ///< [vector][component][tuple], Angstrom
  double number[batch_size] = {};            ///< k = 1: atomic number
  double count[batch_size] = {};             ///< k = 1: atoms of this element in the frame
  double g[batch_size] = {};                 ///< value of the geometry function
  double w[batch_size] = {};                 ///< weight
  double dg[3][3][batch_size] = {};          ///< their derivatives with respect to the components of the vectors
  double dw[3][3][batch_size] = {};

  int n_vectors() const { return order - 1; }
  /// The size rounded up to whole vectors of the processor; lanes behind the end hold what was there before.
  int padded() const { return (size + 7) & ~7; }

  void put(int v, const Vec3& vector) {
    for (int a = 0; a < 3; ++a) vectors[v][a][size] = vector[a];
  }
};

/// Two ends of an edge of a tuple: 0 is the origin, v + 1 the end of vector v.
struct Edge {
  int from, to;
};

/// The edges of a tuple, first its legs: those along the chain of its atoms.
inline constexpr Edge edge_table[5][6] = {
    {}, {}, {{0, 1}}, {{0, 1}, {0, 2}, {1, 2}}, {{0, 1}, {0, 2}, {2, 3}, {1, 2}, {0, 3}, {1, 3}}};
inline constexpr int n_legs[5] = {0, 1, 1, 2, 3};   ///< k = 1 has one number, the count of the element, in place of edges
inline constexpr int n_edges[5] = {0, 1, 1, 3, 6};

}  // namespace mercer::mbtr
