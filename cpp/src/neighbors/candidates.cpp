#include "candidates.hpp"

#ifdef __AVX512F__
#include <immintrin.h>
#endif

#include <algorithm>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

#include "mercer/core/error.hpp"

namespace mercer {
namespace {

/// Candidates are filtered in blocks of this many.
constexpr index_t block = 16;

/// The square of the distance from a box to a point, or to the nearest point of another box, moved by t.
double distance2(const Bounds& a, const Bounds& b, const Vec3& t) {
  double sum = 0;
  for (int k = 0; k < 3; ++k) {
    const double d = std::max(0.0, std::max(a.low[k] - (b.high[k] + t[k]), (b.low[k] + t[k]) - a.high[k]));
    sum += d * d;
  }
  return sum;
}

/// Copies the hits of one block with d2 <= bound, other than `self`, to `out`; returns the end. Writes a whole block.
Candidates::Hit* keep(const Candidates::Hit* hits, const double* d2, double bound, const Candidates::Hit& self,
                      Candidates::Hit* out) {
#ifdef __AVX512F__
  static_assert(sizeof(Candidates::Hit) == 8);
  long long own;
  std::memcpy(&own, &self, sizeof(own));
  for (index_t c = 0; c < block; c += 8) {
    const __m512i eight = _mm512_loadu_si512(hits + c);
    const __mmask8 near = _mm512_cmp_pd_mask(_mm512_loadu_pd(d2 + c), _mm512_set1_pd(bound), _CMP_LE_OQ) &
                          _mm512_cmpneq_epi64_mask(eight, _mm512_set1_epi64(own));
    _mm512_storeu_si512(out, _mm512_maskz_compress_epi64(near, eight));
    out += __builtin_popcount(near);
  }
#else
  for (index_t c = 0; c < block; ++c) {
    *out = hits[c];
    out += (d2[c] <= bound) & !((hits[c].slot == self.slot) & (hits[c].image == self.image));
  }
#endif
  return out;
}

}  // namespace

void refuse_pair(const StructureBatch& structures, index_t frame, index_t i, index_t j, double distance,
                 double min_distance) {
  const index_t first = structures.offsets[frame];
  throw std::invalid_argument(concatenate(
      "frame ", frame, ": atoms ", i - first, " and ", j - first,
      distance > 0 ? concatenate(" are ", distance, " A apart") : " coincide",
      i == j ? " (periodic images of one atom)" : "",
      min_distance > 0 ? concatenate(", expected more than ", min_distance, " A") : std::string(),
      "; remove one of them, or check the cell and the units"));
}

void Candidates::find(const BinnedBatch& batch, const Bins& bins, index_t b, index_t begin, index_t end) {
  Bounds centres{batch.slots[bins.first_slot + begin].wrapped, batch.slots[bins.first_slot + begin].wrapped};
  for (index_t s = begin + 1; s < end; ++s) centres.extend(batch.slots[bins.first_slot + s].wrapped);
  visit(batch, bins, b, centres);
  gather(batch, bins, centres);
  sort(bins);
  load(batch, bins);
}

void Candidates::visit(const BinnedBatch& batch, const Bins& bins, index_t b, const Bounds& centres) {
  const double bound = batch.cutoff * batch.cutoff * search_margin * search_margin;
  const std::int32_t* starts = batch.starts.data() + bins.first_slot + 2 * (bins.first_bin - bins.first_slot);
  const Shift home = bins.place(b);
  visits_.clear();
  Shift o, c, s;
  const auto place = [&](int k) {  // bin and image at offset o along k; false outside a non-periodic direction
    const std::int32_t p = home[k] + o[k], n = bins.n_bins[k];
    c[k] = p;
    s[k] = 0;
    if (!bins.pbc[k]) return p >= 0 && p < n;
    if (p < 0) s[k] = -((n - 1 - p) / n);
    if (p >= n) s[k] = p / n;
    c[k] = p - s[k] * n;
    return true;
  };
  for (o[0] = -bins.reach[0]; o[0] <= bins.reach[0]; ++o[0]) {
    if (!place(0)) continue;
    for (o[1] = -bins.reach[1]; o[1] <= bins.reach[1]; ++o[1]) {
      if (!place(1)) continue;
      for (o[2] = -bins.reach[2]; o[2] <= bins.reach[2]; ++o[2]) {
        if (!place(2)) continue;
        const index_t bin = bins.bin(c);
        const std::int32_t image = bins.image(s);
        if (distance2(centres, batch.bounds[bins.first_bin + bin],
                      batch.images[bins.first_image + image].translation) <= bound) {
          visits_.push_back({starts[bin], starts[bin + 1], image});
        }
      }
    }
  }
}

void Candidates::gather(const BinnedBatch& batch, const Bins& bins, const Bounds& centres) {
  const double bound = batch.cutoff * batch.cutoff * search_margin * search_margin;
  const BinnedBatch::Slot* slots = batch.slots.data() + bins.first_slot;
  const BinnedBatch::Image* images = batch.images.data() + bins.first_image;
  std::size_t most = 0;
  for (const Visit& v : visits_) most += static_cast<std::size_t>(v.end - v.begin);
  if (found_.size() <= most) found_.resize(2 * most + 1);
  n_found_ = 0;
  const auto consider = [&](std::int32_t slot, std::int32_t image) {
    const Vec3& r = slots[slot].wrapped;
    found_[n_found_] = {{slot, image}, slots[slot].atom};
    n_found_ += distance2(centres, {r, r}, images[image].translation) <= bound;
  };
  if (bins.size() == 1) {  // atom by atom: sorted at once
    for (std::int32_t slot = 0; slot < bins.n_atoms; ++slot) {
      for (const Visit& v : visits_) consider(slot, v.image);
    }
  } else {
    for (const Visit& v : visits_) {
      for (std::int32_t slot = v.begin; slot < v.end; ++slot) consider(slot, v.image);
    }
  }
}

/// Radix sort by atom. It is stable, so images of one atom, visited in order of their shifts, stay so.
void Candidates::sort(const Bins& bins) {
  if (bins.size() == 1) return;
  int bits = 1;
  while ((index_t{1} << bits) < bins.n_atoms) ++bits;
  const int passes = (bits + 8) / 9, digit = (bits + passes - 1) / passes;
  const std::int32_t mask = (1 << digit) - 1;
  if (scratch_.size() < found_.size()) scratch_.resize(found_.size());
  for (int pass = 0; pass < passes; ++pass) {
    const int low = pass * digit;
    counts_.assign(std::size_t{1} << digit, 0);
    for (index_t h = 0; h < n_found_; ++h) ++counts_[(found_[h].atom >> low) & mask];
    std::int32_t sum = 0;
    for (std::int32_t& count : counts_) sum += std::exchange(count, sum);
    for (index_t h = 0; h < n_found_; ++h) scratch_[counts_[(found_[h].atom >> low) & mask]++] = found_[h];
    found_.swap(scratch_);
  }
}

void Candidates::load(const BinnedBatch& batch, const Bins& bins) {
  const BinnedBatch::Slot* slots = batch.slots.data() + bins.first_slot;
  const BinnedBatch::Image* images = batch.images.data() + bins.first_image;
  const index_t size = (n_found_ + block - 1) / block * block;
  if (static_cast<index_t>(x_.size()) < size) {
    for (auto* v : {&x_, &y_, &z_, &tx_, &ty_, &tz_}) v->resize(2 * size);
    hits_.resize(2 * size);
  }
  for (index_t h = 0; h < n_found_; ++h) {
    const Hit hit = found_[h].hit;
    const Vec3& r = slots[hit.slot].wrapped;
    const Vec3& t = images[hit.image].translation;
    hits_[h] = hit;
    x_[h] = r[0], y_[h] = r[1], z_[h] = r[2];
    tx_[h] = t[0], ty_[h] = t[1], tz_[h] = t[2];
  }
  for (index_t h = n_found_; h < size; ++h) {
    x_[h] = y_[h] = z_[h] = 0;
    tx_[h] = ty_[h] = tz_[h] = std::numeric_limits<double>::infinity();
    hits_[h] = {-1, -1};
  }
}

void Candidates::filter(const BinnedBatch& batch, const Bins& bins, index_t slot, double bound, std::vector<Hit>& hits,
                        index_t& n_hits) const {
  if (static_cast<index_t>(hits.size()) < n_hits + n_found_ + block) hits.resize(2 * (n_hits + n_found_ + block));
  const Vec3 r = batch.slots[bins.first_slot + slot].wrapped;
  const Hit self{static_cast<std::int32_t>(slot), bins.image({0, 0, 0})};
  Hit* out = hits.data() + n_hits;
  const double *x = x_.data(), *y = y_.data(), *z = z_.data(), *tx = tx_.data(), *ty = ty_.data(), *tz = tz_.data();
  for (index_t first = 0; first < n_found_; first += block) {
    double d2[block];
    for (index_t c = first; c < first + block; ++c) {
      const double dx = difference(x[c], r[0], tx[c]);
      const double dy = difference(y[c], r[1], ty[c]);
      const double dz = difference(z[c], r[2], tz[c]);
      d2[c - first] = squared_length(dx, dy, dz);
    }
    out = keep(hits_.data() + first, d2, bound, self, out);
  }
  n_hits = out - hits.data();
}

}  // namespace mercer
