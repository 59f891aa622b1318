/// Linked cells (Allen and Tildesley, Computer Simulation of Liquids, section 5.3.2) for any periodicity.
///
/// The atoms of a frame, wrapped into its box, are sorted into bins. For the centres of one bin the candidates are
/// gathered once from the bins within reach, periodic images included, and sorted by atom, so that each centre only
/// has to filter them to find its neighbours in final order. A first pass keeps the hits, eight bytes each; when all
/// are counted a second one writes the list.
#include "mercer/neighbors/pair_list.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "bins.hpp"
#include "candidates.hpp"
#include "mercer/core/error.hpp"
#include "mercer/core/parallel.hpp"

namespace mercer {
namespace {

using Hit = Candidates::Hit;

/// Centres of one task, a fixed number so that results do not depend on the threads.
constexpr index_t centres_per_chunk = 128;

/// The largest number whose square root is below the cutoff.
double largest_square(double cutoff) {
  double square = cutoff * cutoff * (1 + 1e-15);
  while (std::sqrt(square) >= cutoff) square = std::nextafter(square, 0.0);
  return square;
}

/// Calls body(bins, frame, b, begin, end) for the runs of slots of one chunk that share a bin b.
template <class Body>
void for_each_run(const BinnedBatch& batch, index_t chunk, const Body& body) {
  const StructureBatch& structures = batch.structures;
  index_t first = chunk * centres_per_chunk;
  const index_t last = std::min(structures.n_atoms(), first + centres_per_chunk);
  for (index_t f = structures.frame_of(first); first < last; ++f) {
    const Bins& bins = batch.frames[f];
    const std::int32_t* starts = batch.starts.data() + bins.first_bin + f;
    const index_t stop = std::min(last, structures.offsets[f + 1]) - bins.first_slot;
    index_t slot = first - bins.first_slot;
    index_t b = std::upper_bound(starts, starts + bins.size() + 1, static_cast<std::int32_t>(slot)) - starts - 1;
    while (slot < stop) {
      while (starts[b + 1] <= slot) ++b;
      const index_t end = std::min<index_t>(stop, starts[b + 1]);
      body(bins, f, b, slot, end);
      slot = end;
    }
    first = stop + bins.first_slot;
  }
}

struct Workspace {
  Candidates candidates;
  std::vector<Hit> hits;
};

/// The list for an infinite cutoff.
void list_all_pairs(const StructureBatch& structures, double min_distance, PairList& list) {
  for (index_t f = 0; f < structures.n_frames(); ++f) {
    const auto& pbc = structures.pbc[f];
    MERCER_REQUIRE(!pbc[0] && !pbc[1] && !pbc[2], "frame ", f, ": is periodic, where an infinite cutoff has no end of ",
                   "pairs; give a finite cutoff (r_cut), a weight that decays with a threshold, a descriptor of crystals "
                   "(SineMatrix), or a structure without periodicity");
    const index_t begin = structures.offsets[f], end = structures.offsets[f + 1];
    for (index_t i = begin; i < end; ++i) list.offsets[i + 1] = list.offsets[i] + end - begin - 1;
  }
  const index_t n_pairs = list.offsets[structures.n_atoms()];
  list.neighbors = Buffer<std::int32_t>(n_pairs);
  list.shifts = Buffer<Shift>(n_pairs);
  list.vectors = Buffer<Vec3>(n_pairs);
  list.distances = Buffer<double>(n_pairs);
  parallel_chunks(structures.n_atoms(), centres_per_chunk, [&](index_t first, index_t last) {
    index_t f = structures.frame_of(first);
    for (index_t i = first; i < last; ++i) {
      while (i >= structures.offsets[f + 1]) ++f;
      index_t pair = list.offsets[i];
      for (index_t j = structures.offsets[f]; j < structures.offsets[f + 1]; ++j) {
        if (j == i) continue;
        const Vec3 d = difference(structures.positions[j], structures.positions[i], {0, 0, 0});
        const double distance = std::sqrt(squared_length(d[0], d[1], d[2]));
        if (!(distance > min_distance)) refuse_pair(structures, f, i, j, distance, min_distance);
        list.neighbors[pair] = static_cast<std::int32_t>(j);
        list.shifts[pair] = {0, 0, 0};
        list.vectors[pair] = d;
        list.distances[pair++] = distance;
      }
    }
  });
}

}  // namespace

index_t PairList::most_neighbors() const {
  index_t most = 0;
  for (index_t i = 0; i < n_atoms(); ++i) most = std::max(most, offsets[i + 1] - offsets[i]);
  return most;
}

PairList PairList::slice(index_t begin, index_t end) const {
  PairList part;
  const index_t first = offsets[begin], n = offsets[end] - first;
  part.cutoff = cutoff;
  part.offsets = Buffer<index_t>(end - begin + 1);
  part.neighbors = Buffer<std::int32_t>(n);
  part.shifts = Buffer<std::array<std::int32_t, 3>>(n);
  part.vectors = Buffer<Vec3>(n);
  part.distances = Buffer<double>(n);
  for (index_t i = begin; i <= end; ++i) part.offsets[i - begin] = offsets[i] - first;
  for (index_t p = 0; p < n; ++p) part.neighbors[p] = static_cast<std::int32_t>(neighbors[first + p] - begin);
  std::copy_n(shifts.data() + first, n, part.shifts.data());
  std::copy_n(vectors.data() + first, n, part.vectors.data());
  std::copy_n(distances.data() + first, n, part.distances.data());
  return part;
}

PairList build_pair_list(const StructureBatch& structures, double cutoff, double min_distance) {
  MERCER_REQUIRE(cutoff >= 0, "cutoff = ", cutoff, ", expected a positive length in Angstrom");
  MERCER_REQUIRE(min_distance >= 0, "min_distance = ", min_distance, ", expected a length in Angstrom, or 0");
  structures.validate();
  const index_t n_atoms = structures.n_atoms();
  MERCER_REQUIRE(n_atoms < std::numeric_limits<std::int32_t>::max(), "too many atoms in one batch: ", n_atoms);

  PairList list;
  list.cutoff = cutoff;
  list.offsets = Buffer<index_t>(n_atoms + 1);
  list.offsets[0] = 0;
  if (n_atoms == 0 || cutoff == 0) {
    std::fill_n(list.offsets.data(), n_atoms + 1, index_t{0});
    return list;
  }
  if (std::isinf(cutoff)) {
    list_all_pairs(structures, min_distance, list);
    return list;
  }

  const BinnedBatch batch(structures, cutoff);
  const double bound = largest_square(cutoff);
  const index_t n_chunks = (n_atoms + centres_per_chunk - 1) / centres_per_chunk;
  std::vector<Buffer<Hit>> chunk_hits(static_cast<std::size_t>(n_chunks));

  parallel_for(n_chunks, [] { return Workspace(); }, [&](Workspace& work, index_t chunk) {
    index_t n_hits = 0;
    for_each_run(batch, chunk, [&](const Bins& bins, index_t, index_t b, index_t begin, index_t end) {
      work.candidates.find(batch, bins, b, begin, end);
      for (index_t slot = begin; slot < end; ++slot) {
        const index_t before = n_hits;
        work.candidates.filter(batch, bins, slot, bound, work.hits, n_hits);
        list.offsets[bins.first_slot + batch.slots[bins.first_slot + slot].atom + 1] = n_hits - before;
      }
    });
    chunk_hits[chunk] = Buffer<Hit>(n_hits);
    std::copy_n(work.hits.data(), n_hits, chunk_hits[chunk].data());
  });
  for (index_t i = 0; i < n_atoms; ++i) list.offsets[i + 1] += list.offsets[i];

  const index_t n_pairs = list.offsets[n_atoms];
  list.neighbors = Buffer<std::int32_t>(n_pairs);
  list.shifts = Buffer<Shift>(n_pairs);
  list.vectors = Buffer<Vec3>(n_pairs);
  list.distances = Buffer<double>(n_pairs);
  parallel_for(n_chunks, [&](index_t chunk) {
    const Hit* hit = chunk_hits[chunk].data();
    for_each_run(batch, chunk, [&](const Bins& bins, index_t f, index_t, index_t begin, index_t end) {
      const BinnedBatch::Slot* slots = batch.slots.data() + bins.first_slot;
      const BinnedBatch::Image* images = batch.images.data() + bins.first_image;
      for (index_t slot = begin; slot < end; ++slot) {
        const BinnedBatch::Slot& centre = slots[slot];
        const index_t i = bins.first_slot + centre.atom;
        for (index_t pair = list.offsets[i]; pair < list.offsets[i + 1]; ++pair, ++hit) {
          const BinnedBatch::Slot& other = slots[hit->slot];
          const BinnedBatch::Image& image = images[hit->image];
          const std::int32_t j = static_cast<std::int32_t>(bins.first_slot + other.atom);
          for (int k = 0; k < 3; ++k) list.shifts[pair][k] = image.shift[k] + centre.wrap[k] - other.wrap[k];
          const Vec3 d = difference(other.wrapped, centre.wrapped, image.translation);
          const double distance = std::sqrt(squared_length(d[0], d[1], d[2]));
          if (distance <= min_distance) refuse_pair(structures, f, i, j, distance, min_distance);
          list.neighbors[pair] = j;
          list.vectors[pair] = d;
          list.distances[pair] = distance;
        }
      }
    });
  });
  return list;
}

}  // namespace mercer
