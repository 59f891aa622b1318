/// Linked cells (Allen and Tildesley, Computer Simulation of Liquids, section 5.3.2) for any periodicity.
///
/// The atoms of a frame, wrapped into its box, are sorted into bins. For the centres of one bin the candidates are
/// gathered once from the bins within reach (periodic images included) and sorted by atom, so that each centre only
/// has to filter them to obtain its pairs in final order. A first pass counts, a second one fills.
#include "mercer/neighbors/pair_list.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "box.hpp"
#include "mercer/core/error.hpp"
#include "mercer/core/parallel.hpp"

namespace mercer {
namespace {

using Shift = std::array<std::int32_t, 3>;

/// Atoms that a bin should hold: fewer means more bins to visit, more means more candidates to reject.
constexpr double atoms_per_bin = 8;
/// Centres of one task, a fixed number so that results do not depend on the threads.
constexpr index_t centres_per_chunk = 64;
/// Candidates are filtered in blocks of this many.
constexpr index_t block = 16;
/// The search is this much wider than the cutoff, against rounding of bins and bounds; the filter is exact.
constexpr double margin = 1 + 1e-9;
constexpr double most_images = 1e8;

/// Bins of one frame; atoms in bin order occupy the slots offsets[f] .. of the batch.
struct Grid {
  Box box;
  std::array<bool, 3> pbc;
  Shift n_bins{1, 1, 1};
  Shift reach{0, 0, 0};     ///< bins to visit on either side
  Vec3 origin{};            ///< fractional coordinate where bin 0 starts
  Vec3 bins_per_unit{};     ///< bins per fractional coordinate
  index_t first_slot = 0;
  index_t first_bin = 0;    ///< into bin_starts

  index_t size() const { return index_t{1} * n_bins[0] * n_bins[1] * n_bins[2]; }
  index_t bin(const Shift& b) const { return (index_t{b[0]} * n_bins[1] + b[1]) * n_bins[2] + b[2]; }
};

/// All frames sorted into bins.
struct BinnedBatch {
  const StructureBatch& structures;
  double cutoff;
  std::vector<Grid> grids;
  Buffer<std::int32_t> bin_starts;             ///< first slot of each bin, relative to the frame
  Buffer<std::int32_t> atoms;                  ///< by slot: atom of the frame
  Buffer<Vec3> wrapped;                        ///< by slot
  Buffer<Shift> wraps;                         ///< by atom: position = wrapped + wrap . cell

  BinnedBatch(const StructureBatch& structures_, double cutoff_)
      : structures(structures_),
        cutoff(cutoff_),
        bin_starts(structures.n_atoms() + 2 * structures.n_frames()),
        atoms(structures.n_atoms()),
        wrapped(structures.n_atoms()),
        wraps(structures.n_atoms()) {
    grids.reserve(structures.n_frames());
    for (index_t f = 0; f < structures.n_frames(); ++f) {
      grids.push_back({Box(structures.cells[f], structures.pbc[f]), structures.pbc[f]});
    }
    struct Scratch {
      std::vector<Vec3> positions;
      std::vector<std::int32_t> bins;
    };
    constexpr index_t frames_per_chunk = 16;
    parallel_for((structures.n_frames() + frames_per_chunk - 1) / frames_per_chunk, [] { return Scratch(); },
                 [&](Scratch& scratch, index_t chunk) {
                   const index_t last = std::min(structures.n_frames(), (chunk + 1) * frames_per_chunk);
                   for (index_t f = chunk * frames_per_chunk; f < last; ++f) sort(f, scratch.positions, scratch.bins);
                 });
  }

 private:
  void sort(index_t f, std::vector<Vec3>& positions, std::vector<std::int32_t>& bins) {
    const index_t first = structures.offsets[f], n = structures.offsets[f + 1] - first;
    Grid& grid = grids[f];
    grid.first_slot = first;
    grid.first_bin = first + 2 * f;
    positions.assign(structures.positions.begin() + first, structures.positions.begin() + first + n);
    wrap(grid, positions);
    choose_bins(f, positions);

    bins.resize(n);
    std::int32_t* starts = bin_starts.data() + grid.first_bin;
    std::fill(starts, starts + grid.size() + 1, 0);
    for (index_t i = 0; i < n; ++i) {
      Shift b{0, 0, 0};
      for (int k = 0; k < 3; ++k) {
        if (grid.n_bins[k] == 1) continue;
        const double u = (dot(grid.box.reciprocal[k], positions[i]) - grid.origin[k]) * grid.bins_per_unit[k];
        b[k] = std::clamp(static_cast<std::int32_t>(u), 0, grid.n_bins[k] - 1);
      }
      bins[i] = static_cast<std::int32_t>(grid.bin(b));
      ++starts[bins[i]];
    }
    std::int32_t sum = 0;
    for (index_t b = 0; b <= grid.size(); ++b) sum += std::exchange(starts[b], sum);
    for (index_t i = 0; i < n; ++i) {
      const std::int32_t slot = starts[bins[i]]++;
      atoms[first + slot] = static_cast<std::int32_t>(i);
      wrapped[first + slot] = positions[i];
    }
    for (index_t b = grid.size(); b > 0; --b) starts[b] = starts[b - 1];
    starts[0] = 0;
  }

  void wrap(const Grid& grid, std::vector<Vec3>& positions) {
    const index_t n = static_cast<index_t>(positions.size());
    for (index_t i = 0; i < n; ++i) {
      Shift shift{0, 0, 0};
      for (int k = 0; k < 3; ++k) {
        if (!grid.pbc[k]) continue;
        const double turns = std::floor(dot(grid.box.reciprocal[k], positions[i]));
        MERCER_REQUIRE(std::abs(turns) < 1e9, "frame ", structures.frame_of(grid.first_slot + i), ": atom ", i,
                       " lies ", turns, " cells away; wrap it into the cell");
        shift[k] = static_cast<std::int32_t>(turns);
      }
      wraps[grid.first_slot + i] = shift;
      if (shift == Shift{0, 0, 0}) continue;
      const Vec3 t = grid.box.translation(shift);
      for (int a = 0; a < 3; ++a) positions[i][a] -= t[a];
    }
  }

  void choose_bins(index_t f, const std::vector<Vec3>& positions) {
    Grid& grid = grids[f];
    if (positions.empty()) return;
    Vec3 lengths;  // between the planes that hold the atoms
    for (int k = 0; k < 3; ++k) {
      lengths[k] = grid.box.heights[k];
      if (grid.pbc[k]) continue;
      double low = std::numeric_limits<double>::infinity(), high = -low;
      for (const Vec3& r : positions) {
        const double u = dot(grid.box.reciprocal[k], r);
        low = std::min(low, u);
        high = std::max(high, u);
      }
      grid.origin[k] = low;
      lengths[k] = high - low;
    }
    // Edges are as long as the cutoff, unless bins of that size would be fuller than atoms_per_bin, or so empty that
    // there are more bins than atoms.
    const double n = static_cast<double>(positions.size());
    double edge = cutoff * margin;
    const auto count = [&](int k) { return std::max(1.0, std::floor(lengths[k] / edge)); };
    const auto total = [&] { return count(0) * count(1) * count(2); };
    while (n / total() > 2 * atoms_per_bin && edge > cutoff / 3) edge /= 2;
    while (total() > n) edge *= 1.25;
    for (int k = 0; k < 3; ++k) {
      grid.n_bins[k] = static_cast<std::int32_t>(count(k));
      const double bin_length = lengths[k] / grid.n_bins[k];
      grid.bins_per_unit[k] = grid.n_bins[k] / (grid.pbc[k] ? 1.0 : lengths[k] / grid.box.heights[k]);
      const double bins = grid.pbc[k] || grid.n_bins[k] > 1 ? std::ceil(cutoff * margin / bin_length) : 0.0;
      MERCER_REQUIRE(bins < most_images, "frame ", f, ": the cutoff ", cutoff, " A spans ", bins,
                     " times the cell's height ", lengths[k], " A along cell vector ", k);
      grid.reach[k] = static_cast<std::int32_t>(grid.pbc[k] ? bins : std::min<double>(bins, grid.n_bins[k] - 1));
    }
    const double images = (2.0 * grid.reach[0] + 1) * (2.0 * grid.reach[1] + 1) * (2.0 * grid.reach[2] + 1);
    MERCER_REQUIRE(images < most_images, "frame ", f, ": the cutoff ", cutoff, " A covers ", images,
                   " images of the cell; check the units of cell and cutoff");
  }
};

/// What the centres of one bin may see, in order of (atom, shift), padded to whole blocks with points at infinity.
struct Candidates {
  std::vector<double> x, y, z;     ///< wrapped position
  std::vector<double> tx, ty, tz;  ///< translation of the image
  std::vector<std::int32_t> atom;  ///< atom of the frame
  std::vector<Shift> shift;
  index_t size = 0;

  struct Entry {
    std::int32_t slot, image;
  };
  std::vector<Entry> found, scratch;
  std::vector<std::int32_t> counts;
  std::vector<Vec3> translations;
  std::vector<Shift> shifts;

  /// Candidates of the centres in slots [begin, end) of one frame, which lie in bin `b`.
  void gather(const BinnedBatch& batch, const Grid& grid, const Shift& b, index_t begin, index_t end) {
    Vec3 low = batch.wrapped[grid.first_slot + begin], high = low;
    for (index_t s = begin + 1; s < end; ++s) {
      for (int a = 0; a < 3; ++a) {
        low[a] = std::min(low[a], batch.wrapped[grid.first_slot + s][a]);
        high[a] = std::max(high[a], batch.wrapped[grid.first_slot + s][a]);
      }
    }
    const double bound = batch.cutoff * batch.cutoff * margin * margin;
    const std::int32_t* starts = batch.bin_starts.data() + grid.first_bin;
    found.clear();
    translations.clear();
    shifts.clear();
    Shift o, c, s;
    const auto place = [&](int k) {  // bin and image of offset o along k; false outside a non-periodic direction
      const std::int32_t p = b[k] + o[k], n = grid.n_bins[k];
      if (!grid.pbc[k]) {
        c[k] = p;
        s[k] = 0;
        return p >= 0 && p < n;
      }
      s[k] = p >= 0 ? p / n : -((n - 1 - p) / n);
      c[k] = p - s[k] * n;
      return true;
    };
    for (o[0] = -grid.reach[0]; o[0] <= grid.reach[0]; ++o[0]) {
      if (!place(0)) continue;
      for (o[1] = -grid.reach[1]; o[1] <= grid.reach[1]; ++o[1]) {
        if (!place(1)) continue;
        for (o[2] = -grid.reach[2]; o[2] <= grid.reach[2]; ++o[2]) {
          if (!place(2)) continue;
          const index_t bin = grid.bin(c);
          if (starts[bin] == starts[bin + 1]) continue;
          const Vec3 t = grid.box.translation(s);
          const auto image = static_cast<std::int32_t>(shifts.size());
          shifts.push_back(s);
          translations.push_back(t);
          for (std::int32_t slot = starts[bin]; slot < starts[bin + 1]; ++slot) {
            double r2 = 0;
            for (int a = 0; a < 3; ++a) {
              const double r = batch.wrapped[grid.first_slot + slot][a] + t[a];
              const double d = std::max(0.0, std::max(low[a] - r, r - high[a]));
              r2 += d * d;
            }
            if (r2 <= bound) found.push_back({slot, image});
          }
        }
      }
    }
  }

  /// Stable, so that images of one atom, visited in order of their shifts, stay so.
  void sort(const BinnedBatch& batch, const Grid& grid, index_t n_atoms) {
    const std::int32_t* key = batch.atoms.data() + grid.first_slot;
    bool sorted = true;
    for (std::size_t c = 1; c < found.size(); ++c) sorted &= key[found[c - 1].slot] <= key[found[c].slot];
    if (sorted) return;
    int bits = 1;
    while ((index_t{1} << bits) < n_atoms) ++bits;
    const int passes = (bits + 8) / 9, digit = (bits + passes - 1) / passes;
    const std::int32_t mask = (1 << digit) - 1;
    scratch.resize(found.size());
    for (int pass = 0; pass < passes; ++pass) {
      const int low = pass * digit;
      counts.assign(std::size_t{1} << digit, 0);
      for (const Entry& e : found) ++counts[(key[e.slot] >> low) & mask];
      std::int32_t sum = 0;
      for (std::int32_t& count : counts) sum += std::exchange(count, sum);
      for (const Entry& e : found) scratch[counts[(key[e.slot] >> low) & mask]++] = e;
      found.swap(scratch);
    }
  }

  void load(const BinnedBatch& batch, const Grid& grid) {
    size = (static_cast<index_t>(found.size()) + block - 1) / block * block;
    for (auto* v : {&x, &y, &z, &tx, &ty, &tz}) v->resize(size);
    atom.resize(size);
    shift.resize(size);
    for (index_t c = 0; c < static_cast<index_t>(found.size()); ++c) {
      const index_t slot = grid.first_slot + found[c].slot;
      const Vec3& r = batch.wrapped[slot];
      const Vec3& t = translations[found[c].image];
      x[c] = r[0], y[c] = r[1], z[c] = r[2];
      tx[c] = t[0], ty[c] = t[1], tz[c] = t[2];
      atom[c] = batch.atoms[slot];
      shift[c] = shifts[found[c].image];
    }
    for (index_t c = static_cast<index_t>(found.size()); c < size; ++c) {
      x[c] = y[c] = z[c] = 0;
      tx[c] = ty[c] = tz[c] = std::numeric_limits<double>::infinity();
    }
  }

  /// Squared distances from the point r to the candidates of one block. (x_j - x_i) + t changes sign exactly when the
  /// pair is seen from the other side, so both sides agree on what lies within the cutoff.
  void distances2(index_t first, const Vec3& r, double* d2) const {
    for (index_t c = 0; c < block; ++c) {
      const double dx = (x[first + c] - r[0]) + tx[first + c];
      const double dy = (y[first + c] - r[1]) + ty[first + c];
      const double dz = (z[first + c] - r[2]) + tz[first + c];
      d2[c] = dx * dx + dy * dy + dz * dz;
    }
  }
};

/// The largest number whose square root is below the cutoff.
double largest_square(double cutoff) {
  double square = cutoff * cutoff * (1 + 1e-15);
  while (std::sqrt(square) >= cutoff) square = std::nextafter(square, 0.0);
  return square;
}

/// Calls body(grid, frame, bin, begin, end) for the runs of slots in [first, last) of the batch that share a bin.
template <class Body>
void for_each_run(const BinnedBatch& batch, index_t first, index_t last, const Body& body) {
  const StructureBatch& structures = batch.structures;
  index_t f = structures.frame_of(first);
  while (first < last) {
    while (structures.offsets[f + 1] <= first) ++f;
    const Grid& grid = batch.grids[f];
    const std::int32_t* starts = batch.bin_starts.data() + grid.first_bin;
    const index_t stop = std::min(last, structures.offsets[f + 1]) - grid.first_slot;
    index_t slot = first - grid.first_slot;
    index_t bin = std::upper_bound(starts, starts + grid.size() + 1, static_cast<std::int32_t>(slot)) - starts - 1;
    while (slot < stop) {
      while (starts[bin + 1] <= slot) ++bin;
      const index_t end = std::min<index_t>(stop, starts[bin + 1]);
      const Shift b{static_cast<std::int32_t>(bin / (grid.n_bins[1] * grid.n_bins[2])),
                    static_cast<std::int32_t>(bin / grid.n_bins[2] % grid.n_bins[1]),
                    static_cast<std::int32_t>(bin % grid.n_bins[2])};
      body(grid, f, b, slot, end);
      slot = end;
    }
    first = stop + grid.first_slot;
  }
}

}  // namespace

PairList build_pair_list(const StructureBatch& structures, double cutoff, double min_distance) {
  MERCER_REQUIRE(std::isfinite(cutoff) && cutoff > 0, "cutoff = ", cutoff, ", expected a positive length in Angstrom");
  structures.validate();
  const index_t n_atoms = structures.n_atoms();
  MERCER_REQUIRE(n_atoms < std::numeric_limits<std::int32_t>::max(), "too many atoms in one batch: ", n_atoms);

  PairList list;
  list.cutoff = cutoff;
  list.offsets = Buffer<index_t>(n_atoms + 1);
  list.offsets[0] = 0;
  if (n_atoms == 0) return list;

  const BinnedBatch batch(structures, cutoff);
  const double bound = largest_square(cutoff);
  const double closest = min_distance * min_distance;
  const index_t n_chunks = (n_atoms + centres_per_chunk - 1) / centres_per_chunk;

  parallel_for(n_chunks, [] { return Candidates(); }, [&](Candidates& candidates, index_t chunk) {
    for_each_run(batch, chunk * centres_per_chunk, std::min(n_atoms, (chunk + 1) * centres_per_chunk),
                 [&](const Grid& grid, index_t, const Shift& b, index_t begin, index_t end) {
      candidates.gather(batch, grid, b, begin, end);
      candidates.load(batch, grid);
      for (index_t slot = grid.first_slot + begin; slot < grid.first_slot + end; ++slot) {
        index_t count = -1;  // the centre itself
        double d2[block];
        for (index_t first = 0; first < candidates.size; first += block) {
          candidates.distances2(first, batch.wrapped[slot], d2);
          for (index_t c = 0; c < block; ++c) count += d2[c] <= bound;
        }
        list.offsets[grid.first_slot + batch.atoms[slot] + 1] = count;
      }
    });
  });
  for (index_t i = 0; i < n_atoms; ++i) list.offsets[i + 1] += list.offsets[i];

  const index_t n_pairs = list.offsets[n_atoms];
  list.neighbors = Buffer<std::int32_t>(n_pairs);
  list.shifts = Buffer<Shift>(n_pairs);
  list.vectors = Buffer<Vec3>(n_pairs);
  list.distances = Buffer<double>(n_pairs);
  parallel_for(n_chunks, [] { return Candidates(); }, [&](Candidates& candidates, index_t chunk) {
    for_each_run(batch, chunk * centres_per_chunk, std::min(n_atoms, (chunk + 1) * centres_per_chunk),
                 [&](const Grid& grid, index_t f, const Shift& b, index_t begin, index_t end) {
      candidates.gather(batch, grid, b, begin, end);
      candidates.sort(batch, grid, structures.offsets[f + 1] - structures.offsets[f]);
      candidates.load(batch, grid);
      for (index_t slot = grid.first_slot + begin; slot < grid.first_slot + end; ++slot) {
        const std::int32_t i = batch.atoms[slot];
        const Vec3 r = batch.wrapped[slot];
        const Shift wrap = batch.wraps[grid.first_slot + i];
        index_t pair = list.offsets[grid.first_slot + i];
        double d2[block];
        std::int32_t hits[block];
        for (index_t first = 0; first < candidates.size; first += block) {
          candidates.distances2(first, r, d2);
          index_t n_hits = 0;
          for (index_t c = 0; c < block; ++c) {
            hits[n_hits] = static_cast<std::int32_t>(c);
            n_hits += d2[c] <= bound;
          }
          for (index_t h = 0; h < n_hits; ++h) {
            const index_t c = first + hits[h];
            const std::int32_t j = candidates.atom[c];
            if (d2[hits[h]] <= closest) {
              if (i == j && candidates.shift[c] == Shift{0, 0, 0}) continue;
              MERCER_REQUIRE(false, "frame ", f, ": atoms ", i, " and ", j, " are ", std::sqrt(d2[hits[h]]),
                             " A apart", i == j ? " (periodic images of one atom)" : "",
                             closest > 0 ? concatenate(", closer than ", min_distance, " A") : std::string(),
                             "; remove one of them, or check cell and units");
            }
            const Shift other = batch.wraps[grid.first_slot + j];
            list.neighbors[pair] = static_cast<std::int32_t>(grid.first_slot + j);
            for (int a = 0; a < 3; ++a) list.shifts[pair][a] = candidates.shift[c][a] + wrap[a] - other[a];
            list.vectors[pair] = {(candidates.x[c] - r[0]) + candidates.tx[c], (candidates.y[c] - r[1]) + candidates.ty[c],
                                  (candidates.z[c] - r[2]) + candidates.tz[c]};
            list.distances[pair] = std::sqrt(d2[hits[h]]);
            ++pair;
          }
        }
      }
    });
  });
  return list;
}

}  // namespace mercer
