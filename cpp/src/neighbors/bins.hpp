/// The atoms of many frames, wrapped into their boxes and sorted into bins.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "box.hpp"
#include "mercer/core/memory.hpp"
#include "mercer/structure/structure_batch.hpp"

namespace mercer {

using Shift = std::array<std::int32_t, 3>;

/// The search is this much wider than the cutoff, against rounding of bins and bounds; the final comparison is exact.
constexpr double search_margin = 1 + 1e-9;

/// Corners of a box with Cartesian edges.
struct Bounds {
  Vec3 low, high;

  void extend(const Vec3& r) {
    for (int a = 0; a < 3; ++a) {
      low[a] = r[a] < low[a] ? r[a] : low[a];
      high[a] = r[a] > high[a] ? r[a] : high[a];
    }
  }
};

/// Bins of one frame. Its atoms in order of bins occupy the slots first_slot, first_slot + 1, ... of the batch.
struct Bins {
  Box box;
  std::array<bool, 3> pbc;
  Shift n_bins{1, 1, 1};
  Shift reach{0, 0, 0};     ///< bins to visit on either side
  Shift n_images{0, 0, 0};  ///< images to visit on either side
  Vec3 origin{};            ///< fractional coordinate where bin 0 starts
  Vec3 bins_per_unit{};     ///< bins per fractional coordinate
  index_t n_atoms = 0;
  index_t first_slot = 0;
  index_t first_bin = 0;    ///< into BinnedBatch::starts and bounds
  index_t first_image = 0;  ///< into BinnedBatch::images

  index_t size() const { return index_t{1} * n_bins[0] * n_bins[1] * n_bins[2]; }
  index_t bin(const Shift& b) const { return (index_t{b[0]} * n_bins[1] + b[1]) * n_bins[2] + b[2]; }
  Shift place(index_t bin) const {
    return {static_cast<std::int32_t>(bin / (index_t{1} * n_bins[1] * n_bins[2])),
            static_cast<std::int32_t>(bin / n_bins[2] % n_bins[1]), static_cast<std::int32_t>(bin % n_bins[2])};
  }
  index_t image_count() const {
    return index_t{1} * (2 * n_images[0] + 1) * (2 * n_images[1] + 1) * (2 * n_images[2] + 1);
  }
  /// Images are numbered in order of their shifts.
  std::int32_t image(const Shift& s) const {
    return ((s[0] + n_images[0]) * (2 * n_images[1] + 1) + s[1] + n_images[1]) * (2 * n_images[2] + 1) + s[2] +
           n_images[2];
  }
};

/// Moves r into the box along the periodic directions; returns the shift with old r = new r + shift . cell.
/// @throws std::invalid_argument, naming frame and atom, for an atom that is too many cells away.
Shift wrap(const Box& box, const std::array<bool, 3>& pbc, Vec3& r, index_t frame, index_t atom);

struct BinnedBatch {
  struct Slot {
    Vec3 wrapped;       ///< position = wrapped + wrap . cell
    std::int32_t atom;  ///< of the frame
    Shift wrap;
  };
  struct Image {
    Vec3 translation;
    Shift shift;
  };

  const StructureBatch& structures;
  double cutoff;
  std::vector<Bins> frames;
  Buffer<Slot> slots;
  Buffer<std::int32_t> starts;  ///< first slot of each bin, relative to the frame, and the end of the last one
  Buffer<Bounds> bounds;        ///< of the atoms in each bin
  Buffer<Image> images;

  BinnedBatch(const StructureBatch& structures, double cutoff);

 private:
  struct Scratch {
    std::vector<Vec3> positions;
    std::vector<Shift> wraps;
    std::vector<std::int32_t> bins;
  };
  void sort(index_t frame, Scratch& scratch);
  void wrap(index_t frame, Scratch& scratch) const;
  void choose_bins(index_t frame, const std::vector<Vec3>& positions);
};

}  // namespace mercer
