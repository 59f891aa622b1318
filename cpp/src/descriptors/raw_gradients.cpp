#include "mercer/descriptors/raw_gradients.hpp"

#include <algorithm>
#include <cmath>

#include "descriptors/density_jacobian.hpp"
#include "mercer/core/error.hpp"
#include "mercer/core/simd.hpp"

namespace mercer {
namespace {

constexpr index_t smallest_streamed_result = 2000000;  // 16 MB

class DensityRawGradients final : public RawGradients {
 public:
  DensityRawGradients(std::unique_ptr<DensityJacobian> jacobian, const Density& density, bool normalize,
                      std::vector<index_t> columns, const StructureBatch& structures, const PairList& pairs)
      : jacobian_(std::move(jacobian)),
        density_(density),
        normalize_(normalize),
        columns_(std::move(columns)),
        pairs_(pairs),
        species_(density.species_of(structures, pairs)) {
    find_blocks();
  }

  Span<const index_t> columns() const override { return columns_; }

  void write(double* values, MatView<double> rows, double* norms, double* dots) const override {
    MERCER_REQUIRE(rows.rows == pairs_.n_atoms() && rows.cols == jacobian_->n_features(), "raw gradients: rows has shape (",
                   rows.rows, ", ", rows.cols, "), expected (", pairs_.n_atoms(), ", ", jacobian_->n_features(), ")");
    std::fill_n(dots, 3 * pairs_.n_pairs(), 0.0);
    const index_t n_values = value_offsets[pairs_.n_pairs()];
    JacobianSink sink;
    sink.values = values;
    sink.offsets = value_offsets.data();
    sink.dots = normalize_ ? dots : nullptr;
    sink.past_caches = n_values >= smallest_streamed_result;
    const double flops = 8.0 * static_cast<double>(n_values) / static_cast<double>(std::max<index_t>(1, pairs_.n_atoms()));
    density_.for_each_centre(
        pairs_, species_, Density::Purpose::factors, flops,
        [&] {
          Work work;
          work.scratch = jacobian_->make_scratch();
          work.row = Buffer<double>(jacobian_->most_touched());
          return work;
        },
        [&](Density::Workspace& ws, Work& work, index_t i) {
          JacobianSink to = sink;
          to.row = work.row.data();
          to.x = rows.row(i);
          norms[i] = start(ws, rows.row(i));
          for (int g = 0; g < ws.n_groups; ++g) {
            jacobian_->stream(ws, g, *work.scratch, to);
          }
          if (to.past_caches) simd::stream_fence();
        });
  }

 private:
  struct Work {
    std::unique_ptr<DensityJacobian::Scratch> scratch;
    Buffer<double> row;
  };

  /// Writes x, returns |p|.
  double start(const Density::Workspace& ws, double* x) const {
    const index_t n = jacobian_->n_features();
    jacobian_->start(ws, x);
    if (!normalize_) return 1;
    const double norm = std::sqrt(simd::dot(x, x, n)), inverse = norm > 0 ? 1 / norm : 0;
    for (index_t k = 0; k < n; ++k) x[k] *= inverse;
    return norm;
  }

  /// What a pair touches follows from its species and those around its centre.
  void find_blocks() {
    const index_t n_pairs = pairs_.n_pairs();
    const double r_cut = density_.parameters().radial.r_cut;
    const bool plain = density_.channels_are_species();
    block_offsets = Buffer<index_t>(n_pairs + 1);
    value_offsets = Buffer<index_t>(n_pairs + 1);
    block_offsets[0] = value_offsets[0] = 0;
    std::vector<std::int32_t> found;
    std::vector<ColumnRun> runs;
    struct Group {
      std::vector<std::int32_t> blocks;
      index_t size = 0;
    };
    std::vector<Group> groups;
    for (index_t i = 0; i < pairs_.n_atoms(); ++i) {
      const std::vector<int> present = density_.present_channels(pairs_, species_, i);
      groups.assign(plain ? present.size() : 1, {});
      for (std::size_t g = 0; g < groups.size() && !present.empty(); ++g) {
        jacobian_->touched(present, static_cast<int>(g), runs);
        for (const ColumnRun& run : runs) {
          auto block = std::lower_bound(columns_.begin(), columns_.end(), run.begin);
          for (; *block < run.begin + run.size; ++block) {
            groups[g].blocks.push_back(static_cast<std::int32_t>(block - columns_.begin()));
          }
          groups[g].size += run.size;
        }
      }
      for (index_t e = pairs_.offsets[i]; e < pairs_.offsets[i + 1]; ++e) {
        const int species = species_[pairs_.neighbors[e]];
        index_t size = 0;
        if (pairs_.distances[e] < r_cut && species >= 0) {
          const auto g = plain ? std::lower_bound(present.begin(), present.end(), species) - present.begin() : 0;
          found.insert(found.end(), groups[g].blocks.begin(), groups[g].blocks.end());
          size = groups[g].size;
        }
        block_offsets[e + 1] = static_cast<index_t>(found.size());
        value_offsets[e + 1] = value_offsets[e] + 3 * size;
      }
    }
    blocks = Buffer<std::int32_t>(static_cast<index_t>(found.size()));
    std::copy(found.begin(), found.end(), blocks.data());
  }

  std::unique_ptr<DensityJacobian> jacobian_;
  const Density& density_;
  bool normalize_;
  std::vector<index_t> columns_;
  const PairList& pairs_;
  std::vector<std::int16_t> species_;
};

}  // namespace

void JacobianSink::begin(index_t pair, int a) {
  copied_ = (offsets[pair + 1] - offsets[pair]) / 3;
  to_ = values + offsets[pair] + a * copied_;
  sum_ = 0;
  dot_ = dots ? dots + 3 * pair + a : nullptr;
}

void JacobianSink::complete(index_t column, index_t feature, index_t n) {
  if (dot_) sum_ += simd::dot(row + column, x + feature, n);
  if (past_caches) {  // full cache lines; the processor writes them while the next columns are computed
    const auto behind = static_cast<index_t>(reinterpret_cast<std::uintptr_t>(to_ + column) % 64 / sizeof(double));
    const index_t begin = column + (8 - behind) % 8;
    if (begin >= copied_) return;
    simd::stream(row + begin, copied_ - begin, to_ + begin);
    copied_ = begin;
  } else {
    std::copy_n(row + column, copied_ - column, to_ + column);
    copied_ = column;
  }
}

void JacobianSink::end() {
  std::copy_n(row, copied_, to_);
  if (dot_) *dot_ = sum_;
}

std::unique_ptr<RawGradients> make_raw_gradients(std::unique_ptr<DensityJacobian> jacobian, const Density& density,
                                                 bool normalize, std::vector<index_t> columns,
                                                 const StructureBatch& structures, const PairList& pairs) {
  return std::make_unique<DensityRawGradients>(std::move(jacobian), density, normalize, std::move(columns), structures,
                                               pairs);
}

}  // namespace mercer
