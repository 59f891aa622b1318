#include "mercer/neighbors/verlet_list.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "bins.hpp"
#include "candidates.hpp"
#include "mercer/core/error.hpp"
#include "mercer/core/parallel.hpp"

namespace mercer {
namespace {

constexpr index_t centres_per_chunk = 256;

/// Calls body(frame, i) for the atoms of all frames in parallel.
template <class Body>
void for_each_atom(const StructureBatch& structures, const Body& body) {
  parallel_chunks(structures.n_atoms(), centres_per_chunk, [&](index_t begin, index_t end) {
    index_t f = structures.frame_of(begin);
    for (index_t i = begin; i < end; ++i) {
      while (i >= structures.offsets[f + 1]) ++f;
      body(f, i);
    }
  });
}

/// How frame f may have changed since the reference: positions are r' = r F + w, with one matrix F for the frame, which
/// also takes the old lattice vectors to the new ones.
struct Change {
  double least_stretch;  ///< a lower bound of |v F| / |v|
  double approach;       ///< by how much two atoms may have come nearer through w, Angstrom
};

Change change(const StructureBatch& before, const StructureBatch& after, index_t f) {
  Mat3 F{{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
  double strain = 0;  // Frobenius norm of F - 1, never less than the spectral one
  if (before.cells[f] != after.cells[f]) {
    const Box from(before.cells[f], before.pbc[f]), to(after.cells[f], after.pbc[f]);
    for (int a = 0; a < 3; ++a) {
      for (int b = 0; b < 3; ++b) {
        F[a][b] = 0;
        for (int k = 0; k < 3; ++k) F[a][b] += from.reciprocal[k][a] * to.rows[k][b];
        strain += (F[a][b] - (a == b)) * (F[a][b] - (a == b));
      }
    }
    strain = std::sqrt(strain);
  }
  double largest = 0, second = 0;  // squares of |w|
  for (index_t i = before.offsets[f]; i < before.offsets[f + 1]; ++i) {
    const Vec3 &r = before.positions[i], &moved = after.positions[i];
    double w2 = 0;
    for (int b = 0; b < 3; ++b) {
      const double w = moved[b] - (r[0] * F[0][b] + r[1] * F[1][b] + r[2] * F[2][b]);
      w2 += w * w;
    }
    second = std::max(second, std::min(largest, w2));
    largest = std::max(largest, w2);
  }
  return {1 - strain, std::sqrt(largest) + std::sqrt(second)};
}

}  // namespace

VerletList::VerletList(double cutoff, double skin, double min_distance)
    : cutoff_(cutoff), skin_(skin), min_distance_(min_distance) {
  MERCER_REQUIRE(cutoff >= 0, "cutoff = ", cutoff, ", expected a positive length in Angstrom");
  MERCER_REQUIRE(std::isfinite(skin) && skin >= 0, "skin = ", skin, ", expected a length in Angstrom, or 0");
  reference_.offsets.clear();
}

PairList VerletList::update(const StructureBatch& structures) {
  structures.validate();
  if (!holds_for(structures)) build(structures);
  refresh(structures);
  return filtered();
}

/// Pairs outside the list were cutoff + skin or more apart, and are now at least (cutoff + skin) least_stretch -
/// approach apart.
bool VerletList::holds_for(const StructureBatch& structures) const {
  if (structures.offsets != reference_.offsets || structures.pbc != reference_.pbc) return false;
  for (index_t f = 0; f < structures.n_frames(); ++f) {
    const Change moved = change(reference_, structures, f);
    const double nearest = (cutoff_ + skin_) * moved.least_stretch - moved.approach;
    const bool still = moved.least_stretch == 1 && moved.approach == 0;
    if (!still && !(nearest >= cutoff_ * search_margin)) return false;
  }
  return true;
}

/// Leaves everything as it was if it throws.
void VerletList::build(const StructureBatch& structures) {
  StructureBatch reference = structures;
  wide_ = build_pair_list(structures, cutoff_ + skin_, min_distance_);
  reference_ = std::move(reference);
  ++n_builds_;
}

/// Vectors and distances of the pairs held, by the arithmetic of build_pair_list.
void VerletList::refresh(const StructureBatch& structures) {
  std::vector<Box> boxes;
  for (index_t f = 0; f < structures.n_frames(); ++f) boxes.emplace_back(structures.cells[f], structures.pbc[f]);
  Buffer<Vec3> wrapped(structures.n_atoms());
  Buffer<Shift> wraps(structures.n_atoms());
  for_each_atom(structures, [&](index_t f, index_t i) {
    wrapped[i] = structures.positions[i];
    wraps[i] = wrap(boxes[f], structures.pbc[f], wrapped[i], f, i - structures.offsets[f]);
  });
  for_each_atom(structures, [&](index_t f, index_t i) {
    for (index_t pair = wide_.offsets[i]; pair < wide_.offsets[i + 1]; ++pair) {
      const std::int32_t j = wide_.neighbors[pair];
      Shift image;
      for (int k = 0; k < 3; ++k) image[k] = wide_.shifts[pair][k] - wraps[i][k] + wraps[j][k];
      const Vec3 d = difference(wrapped[j], wrapped[i], boxes[f].translation(image));
      const double distance = std::sqrt(squared_length(d[0], d[1], d[2]));
      if (distance <= min_distance_) refuse_pair(structures, f, i, j, distance, min_distance_);
      wide_.vectors[pair] = d;
      wide_.distances[pair] = distance;
    }
  });
}

PairList VerletList::filtered() const {
  const index_t n_atoms = wide_.n_atoms();
  PairList list;
  list.cutoff = cutoff_;
  list.offsets = Buffer<index_t>(n_atoms + 1);
  list.offsets[0] = 0;
  parallel_chunks(n_atoms, centres_per_chunk, [&](index_t begin, index_t end) {
    for (index_t i = begin; i < end; ++i) {
      index_t count = 0;
      for (index_t pair = wide_.offsets[i]; pair < wide_.offsets[i + 1]; ++pair) count += wide_.distances[pair] < cutoff_;
      list.offsets[i + 1] = count;
    }
  });
  for (index_t i = 0; i < n_atoms; ++i) list.offsets[i + 1] += list.offsets[i];
  const index_t n_pairs = list.offsets[n_atoms];
  list.neighbors = Buffer<std::int32_t>(n_pairs);
  list.shifts = Buffer<Shift>(n_pairs);
  list.vectors = Buffer<Vec3>(n_pairs);
  list.distances = Buffer<double>(n_pairs);
  parallel_chunks(n_atoms, centres_per_chunk, [&](index_t begin, index_t end) {
    index_t to = list.offsets[begin];
    for (index_t from = wide_.offsets[begin]; from < wide_.offsets[end]; ++from) {
      if (!(wide_.distances[from] < cutoff_)) continue;
      list.neighbors[to] = wide_.neighbors[from];
      list.shifts[to] = wide_.shifts[from];
      list.vectors[to] = wide_.vectors[from];
      list.distances[to] = wide_.distances[from];
      ++to;
    }
  });
  return list;
}

}  // namespace mercer
