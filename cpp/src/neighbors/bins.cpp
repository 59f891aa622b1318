#include "bins.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "mercer/core/error.hpp"
#include "mercer/core/parallel.hpp"

namespace mercer {
namespace {

/// Atoms that a bin should hold: the work of finding candidates is shared by the centres of a bin, while long bins bring
/// more candidates to reject. The time is flat between 16 and 30.
constexpr double atoms_per_bin = 20;
constexpr index_t frames_per_chunk = 16;
constexpr double most_images = 1e7;

}  // namespace

Shift wrap(const Box& box, const std::array<bool, 3>& pbc, Vec3& r, index_t frame, index_t atom) {
  Shift shift{0, 0, 0};
  for (int k = 0; k < 3; ++k) {
    if (!pbc[k]) continue;
    const double turns = std::floor(dot(box.reciprocal[k], r));
    MERCER_REQUIRE(std::abs(turns) < 1e9, "frame ", frame, ": atom ", atom, " lies ", turns,
                   " cells away along cell vector ", k, "; wrap it into the cell");
    shift[k] = static_cast<std::int32_t>(turns);
  }
  if (shift == Shift{0, 0, 0}) return shift;
  const Vec3 t = box.translation(shift);
  for (int a = 0; a < 3; ++a) r[a] -= t[a];
  return shift;
}

BinnedBatch::BinnedBatch(const StructureBatch& structures_, double cutoff_)
    : structures(structures_),
      cutoff(cutoff_),
      slots(structures.n_atoms()),
      starts(structures.n_atoms() + 2 * structures.n_frames()),
      bounds(structures.n_atoms() + structures.n_frames()) {
  frames.reserve(structures.n_frames());
  for (index_t f = 0; f < structures.n_frames(); ++f) {
    frames.push_back({Box(structures.cells[f], structures.pbc[f]), structures.pbc[f]});
  }
  parallel_for((structures.n_frames() + frames_per_chunk - 1) / frames_per_chunk, [] { return Scratch(); },
               [&](Scratch& scratch, index_t chunk) {
                 const index_t last = std::min(structures.n_frames(), (chunk + 1) * frames_per_chunk);
                 for (index_t f = chunk * frames_per_chunk; f < last; ++f) sort(f, scratch);
               });
  index_t n_images = 0;
  for (Bins& bins : frames) {
    bins.first_image = n_images;
    n_images += bins.image_count();
  }
  images = Buffer<Image>(n_images);
  Image* image = images.data();
  for (const Bins& bins : frames) {
    const Shift& n = bins.n_images;
    Shift s;
    for (s[0] = -n[0]; s[0] <= n[0]; ++s[0]) {
      for (s[1] = -n[1]; s[1] <= n[1]; ++s[1]) {
        for (s[2] = -n[2]; s[2] <= n[2]; ++s[2]) *image++ = {bins.box.translation(s), s};
      }
    }
  }
}

void BinnedBatch::sort(index_t f, Scratch& scratch) {
  Bins& bins = frames[f];
  bins.first_slot = structures.offsets[f];
  bins.first_bin = structures.offsets[f] + f;
  bins.n_atoms = structures.offsets[f + 1] - structures.offsets[f];
  const auto first = structures.positions.begin() + bins.first_slot;
  scratch.positions.assign(first, first + bins.n_atoms);
  wrap(f, scratch);
  choose_bins(f, scratch.positions);

  // A counting sort; atoms of one bin stay in order.
  std::int32_t* begin = starts.data() + bins.first_bin + f;
  std::fill(begin, begin + bins.size() + 1, 0);
  scratch.bins.resize(bins.n_atoms);
  for (index_t i = 0; i < bins.n_atoms; ++i) {
    Shift b{0, 0, 0};
    for (int k = 0; k < 3; ++k) {
      if (bins.n_bins[k] == 1) continue;
      const double u = (dot(bins.box.reciprocal[k], scratch.positions[i]) - bins.origin[k]) * bins.bins_per_unit[k];
      b[k] = std::clamp(static_cast<std::int32_t>(u), 0, bins.n_bins[k] - 1);
    }
    scratch.bins[i] = static_cast<std::int32_t>(bins.bin(b));
    ++begin[scratch.bins[i]];
  }
  std::int32_t sum = 0;
  for (index_t b = 0; b <= bins.size(); ++b) sum += std::exchange(begin[b], sum);
  constexpr double inf = std::numeric_limits<double>::infinity();
  std::fill_n(bounds.data() + bins.first_bin, bins.size(), Bounds{{inf, inf, inf}, {-inf, -inf, -inf}});
  for (index_t i = 0; i < bins.n_atoms; ++i) {
    slots[bins.first_slot + begin[scratch.bins[i]]++] = {scratch.positions[i], static_cast<std::int32_t>(i),
                                                         scratch.wraps[i]};
    bounds[bins.first_bin + scratch.bins[i]].extend(scratch.positions[i]);
  }
  for (index_t b = bins.size(); b > 0; --b) begin[b] = begin[b - 1];
  begin[0] = 0;
}

void BinnedBatch::wrap(index_t f, Scratch& scratch) const {
  const Bins& bins = frames[f];
  scratch.wraps.resize(bins.n_atoms);
  for (index_t i = 0; i < bins.n_atoms; ++i) {
    scratch.wraps[i] = mercer::wrap(bins.box, bins.pbc, scratch.positions[i], f, i);
  }
}

void BinnedBatch::choose_bins(index_t f, const std::vector<Vec3>& positions) {
  Bins& bins = frames[f];
  if (positions.empty()) return;
  Vec3 lengths;  // between the planes that hold the atoms
  for (int k = 0; k < 3; ++k) {
    lengths[k] = bins.box.heights[k];
    if (bins.pbc[k]) continue;
    double low = std::numeric_limits<double>::infinity(), high = -low;
    for (const Vec3& r : positions) {
      const double u = dot(bins.box.reciprocal[k], r);
      low = std::min(low, u);
      high = std::max(high, u);
    }
    bins.origin[k] = low;
    lengths[k] = (high - low) * bins.box.heights[k];
  }
  // Bins that hold atoms_per_bin at the mean density, but not much longer than the cutoff where atoms are sparse.
  const double n = static_cast<double>(positions.size());
  double volume = 1;
  for (int k = 0; k < 3; ++k) volume *= std::max(lengths[k], cutoff);
  double edge = std::min(std::cbrt(volume / n * atoms_per_bin), 2 * cutoff);
  const auto count = [&](int k) { return std::max(1.0, std::floor(lengths[k] / edge)); };
  while (count(0) * count(1) * count(2) > n) edge *= 1.25;
  for (int k = 0; k < 3; ++k) {
    const double n_bins = count(k);
    bins.n_bins[k] = static_cast<std::int32_t>(n_bins);
    bins.bins_per_unit[k] = n_bins / (lengths[k] / bins.box.heights[k]);
    const double reach = std::ceil(cutoff * search_margin / (lengths[k] / n_bins));
    if (bins.pbc[k]) {
      MERCER_REQUIRE(reach < most_images, "frame ", f, ": the cutoff ", cutoff, " A spans ", reach / n_bins,
                     " cells along cell vector ", k, "; check the units of cell and cutoff");
      bins.reach[k] = static_cast<std::int32_t>(reach);
      bins.n_images[k] = (bins.reach[k] + bins.n_bins[k] - 1) / bins.n_bins[k];
    } else {
      bins.reach[k] = n_bins > 1 ? static_cast<std::int32_t>(std::min(reach, n_bins - 1)) : 0;
    }
  }
  const double images = (2.0 * bins.n_images[0] + 1) * (2.0 * bins.n_images[1] + 1) * (2.0 * bins.n_images[2] + 1);
  MERCER_REQUIRE(images < most_images, "frame ", f, ": the cutoff ", cutoff, " A covers ", images,
                 " images of the cell; check the units of cell and cutoff");
}

}  // namespace mercer
