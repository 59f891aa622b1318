#include "mercer/rows/label_rows.hpp"

#include <algorithm>
#include <memory>
#include <vector>

#include "kernels/tile.hpp"
#include "mercer/core/memory.hpp"
#include "mercer/core/parallel.hpp"
#include "rows/batch_parts.hpp"
#include "rows/sparse_side.hpp"

namespace mercer {
namespace {

/// A task is the frames that have together at least so many rows, and a block of at most so many sparse points: the
/// Jacobian of a row is made once per block, so blocks are wide, unless there would be fewer than `enough` tasks.
constexpr index_t task_rows = 32, widest = 512, narrowest = 64, enough = 16;
/// Rows whose kernel values are taken at once.
constexpr index_t tile_rows = 64;
/// Values of the contracted Jacobian held at a time (384 kB), unless one row has more.
constexpr index_t contracted_values = 48 * 1024;
/// Columns scattered at a time: the sums of a row stay in the first-level cache.
constexpr index_t scatter_cols = 64;

/// A block of sparse points of one group, as places of the sorted order.
struct PointBlock {
  std::int32_t group;
  index_t begin, end;
  Buffer<double> with_factor;  ///< the points with a last column of zeros, and the unit vector of that column
  MatView<const double> Q;

  index_t size() const { return end - begin; }
};

/// What the derivative of a row of K with respect to a vector to a neighbour is made of, for the points of a block:
/// slope[m] (contracted[m] - self) + factor_slope[m] dF.
struct RowSlopes {
  const double* slope;
  const double* factor_slope;  ///< null without factors
};

class LabelRowsDriver {
 public:
  LabelRowsDriver(const Kernel& kernel, const Descriptor& descriptor, const SparseRows& sparse, const LabelRows& out,
                  index_t n_groups_of_frames)
      : kernel_(kernel),
        descriptor_(descriptor),
        match_(sparse.match_groups),
        energy_(out.energy.data),
        forces_(out.forces.data),
        virial_(out.virial.data),
        out_(out),
        sparse_("label_rows", kernel, descriptor, sparse) {
    for (const RowRun& run : sparse_.rows.runs()) add_blocks(run, n_groups_of_frames, sparse.features.rows);
  }

  bool gradients() const { return forces_ || virial_; }

  void run(const StructureBatch& structures, const PairList& pairs, const BatchPart& part) const {
    const auto bound = descriptor_.bind(structures, pairs, part);
    const RowLayout& layout = bound->layout();
    const Buffer<double> memory(layout.n_rows() * descriptor_.n_features());
    const MatView<double> X(memory.data(), layout.n_rows(), descriptor_.n_features());
    bound->transform(X);
    Job job{structures, part, layout, bound->entry_origin(), X, frame_segments(layout), {}, {}, {}, 0};
    std::vector<index_t> row_segments;
    for (index_t frame : job.segments) row_segments.push_back(layout.offsets[frame]);
    job.rows = std::make_unique<GroupedRows<double>>(kernel_view(descriptor_, X), matched(layout.groups, match_),
                                                     row_segments);
    job.rows->prepare(kernel_.argument());
    const auto n_segments = static_cast<index_t>(job.segments.size()) - 1;
    job.first_run.assign(n_segments + 1, 0);
    for (const RowRun& run : job.rows->runs()) ++job.first_run[run.segment + 1];
    for (index_t s = 0; s < n_segments; ++s) job.first_run[s + 1] += job.first_run[s];
    if (gradients()) {
      for (const PointBlock& block : blocks_) {
        job.contractions.push_back(bound->contraction(block.Q));
      }
      if (!blocks_.empty()) job.most_entries = largest(job.contractions[0]->entries().offsets);
    }
    // Blocks are the slow index, so that a thread seldom needs scratch of another contraction.
    const auto n_blocks = static_cast<index_t>(blocks_.size());
    const double derivatives = job.contractions.empty() ? 0.0 : 3.0 * job.contractions[0]->entries().offsets.back();
    const double work = (derivatives + layout.n_rows()) * descriptor_.n_features() * sparse_.rows.size();
    parallel_tasks(
        n_blocks * n_segments, work, [&] { return make_scratch(job); },
        [&](Scratch& scratch, index_t task) { compute(job, task / n_segments, task % n_segments, scratch); });
  }

  /// Columns from the sorted order to that of the caller.
  void restore_order() const {
    const index_t n = sparse_.rows.size();
    bool sorted = true;
    for (index_t j = 0; j < n; ++j) sorted = sorted && sparse_.rows.row(j) == j;
    if (sorted) return;
    for (const MatView<double>& matrix : {out_.energy, out_.forces, out_.virial}) {
      if (!matrix.data) continue;
      parallel_chunks(matrix.rows, 256, [&](index_t begin, index_t end) {
        const Buffer<double> copy(n);
        for (index_t i = begin; i < end; ++i) {
          std::copy_n(matrix.row(i), n, copy.data());
          for (index_t j = 0; j < n; ++j) matrix(i, sparse_.rows.row(j)) = copy[j];
        }
      });
    }
  }

 private:
  struct Job {
    const StructureBatch& structures;
    const BatchPart& part;
    const RowLayout& layout;
    index_t first_atom;             ///< that atoms of entries are counted from
    MatView<double> X;
    std::vector<index_t> segments;  ///< first frame (of the part) of every group of frames, and the number of frames
    std::unique_ptr<GroupedRows<double>> rows;
    std::vector<std::size_t> first_run;  ///< of every group of frames
    std::vector<std::unique_ptr<GradientContraction>> contractions;
    index_t most_entries;
  };

  struct Scratch {
    Buffer<double> rows, u, k, slope, factor_slope, contracted, self;
    index_t block = -1;
    std::unique_ptr<GradientContraction::Scratch> contraction;
  };

  void add_blocks(const RowRun& run, index_t n_groups_of_frames, index_t n_points) {
    const index_t per_group = std::max<index_t>(1, enough / std::max<index_t>(1, n_groups_of_frames));
    const index_t width = std::clamp((n_points + per_group - 1) / per_group, narrowest, widest);
    const index_t n = run.end - run.begin, n_blocks = (n + width - 1) / width;
    for (index_t b = 0; b < n_blocks; ++b) {
      PointBlock block{run.group, run.begin + b * n / n_blocks, run.begin + (b + 1) * n / n_blocks, {}, {}};
      block.Q = sparse_.rows.tile(block.begin, block.end, nullptr).rows;
      if (descriptor_.has_factor()) {
        const index_t cols = block.Q.cols + 1, m = block.size();
        block.with_factor = Buffer<double>((m + 1) * cols);
        std::fill_n(block.with_factor.data(), (m + 1) * cols, 0.0);
        for (index_t j = 0; j < m; ++j) std::copy_n(block.Q.row(j), cols - 1, block.with_factor.data() + j * cols);
        block.with_factor[(m + 1) * cols - 1] = 1;
        block.Q = {block.with_factor.data(), m + 1, cols};
      }
      widest_block_ = std::max(widest_block_, block.size());
      blocks_.push_back(std::move(block));
    }
  }

  static std::vector<index_t> frame_segments(const RowLayout& layout) {
    std::vector<index_t> segments{0};
    const auto n_frames = static_cast<index_t>(layout.offsets.size()) - 1;
    for (index_t f = 1; f < n_frames; ++f) {
      if (layout.offsets[f] - layout.offsets[segments.back()] >= task_rows) segments.push_back(f);
    }
    segments.push_back(n_frames);
    return segments;
  }

  static index_t largest(const std::vector<index_t>& offsets) {
    index_t most = 0;
    for (std::size_t r = 0; r + 1 < offsets.size(); ++r) most = std::max(most, offsets[r + 1] - offsets[r]);
    return most;
  }

  /// Distance of the rows of the contracted Jacobian: whole cache lines, and not a multiple of a page.
  index_t stride() const { return (widest_block_ + 1 + 7) / 8 * 8 + 8; }

  Scratch make_scratch(const Job& job) const {
    const index_t tile = tile_rows * widest_block_;
    Scratch scratch;
    scratch.rows = Buffer<double>(tile_rows * kernel_columns(descriptor_));
    scratch.u = Buffer<double>(tile);
    if (!gradients()) return scratch;
    scratch.k = Buffer<double>(tile);
    scratch.slope = Buffer<double>(tile);
    scratch.factor_slope = Buffer<double>(descriptor_.has_factor() ? widest_block_ : 0);
    const index_t together = job.contractions.empty() ? 1 : job.contractions[0]->rows_together();
    scratch.contracted = Buffer<double>(std::max(contracted_values, 3 * together * job.most_entries * stride()));
    scratch.self = Buffer<double>(scratch.contracted.size() / stride());
    return scratch;
  }

  void compute(const Job& job, index_t b, index_t segment, Scratch& scratch) const {
    const PointBlock& block = blocks_[b];
    const index_t first = job.segments[segment], last = job.segments[segment + 1], m = block.size();
    const auto clear = [&](MatView<double> matrix, index_t begin, index_t end) {
      for (index_t i = begin; matrix.data && i < end; ++i) std::fill_n(matrix.row(i) + block.begin, m, 0.0);
    };
    const index_t first_frame = job.part.first_frame + first, last_frame = job.part.first_frame + last;
    const auto& atoms = job.structures.offsets;
    clear(out_.energy, first_frame, last_frame);
    clear(out_.virial, 9 * first_frame, 9 * last_frame);
    clear(out_.forces, 3 * atoms[first_frame], 3 * atoms[last_frame]);
    if (gradients() && scratch.block != b) {
      scratch.contraction = job.contractions[b]->make_scratch();
      scratch.block = b;
    }
    for (std::size_t r = job.first_run[segment]; r < job.first_run[segment + 1]; ++r) {
      const RowRun& run = job.rows->runs()[r];
      if (match_ && run.group != block.group) continue;
      index_t frame = first;
      for (index_t begin = run.begin; begin < run.end; begin += tile_rows) {
        const index_t end = std::min(begin + tile_rows, run.end);
        kernel_values(job, block, begin, end, frame, scratch);
        if (gradients()) add_gradients(job, b, begin, end, frame, scratch);
        while (job.rows->row(end - 1) >= job.layout.offsets[frame + 1]) ++frame;
      }
    }
  }

  /// k and k' of rows at begin .. end - 1 of the order; adds k to the energies. `frame`: not behind that of the first.
  void kernel_values(const Job& job, const PointBlock& block, index_t begin, index_t end, index_t frame,
                     Scratch& scratch) const {
    const index_t m = block.size();
    const MatView<double> u(scratch.u.data(), end - begin, m);
    argument_tile(kernel_.argument(), job.rows->tile(begin, end, scratch.rows.data()),
                  sparse_.rows.tile(block.begin, block.end, nullptr), u);
    for (index_t i = begin; i < end; ++i) {
      const index_t row = job.rows->row(i), place = (i - begin) * m;
      double* k = u.data + place;
      if (gradients()) {
        k = scratch.k.data() + place;
        kernel_.derivatives(u.data + place, m, k, scratch.slope.data() + place, nullptr);
      } else {
        kernel_.value(k, m);
      }
      if (!energy_) continue;
      while (row >= job.layout.offsets[frame + 1]) ++frame;
      const double factor = row_factor(job, row);
      const double* factors = sparse_.factors.data() + block.begin;
      double* energy = out_.energy.row(job.part.first_frame + frame) + block.begin;
      for (index_t j = 0; j < m; ++j) energy[j] += factor * factors[j] * k[j];
    }
  }

  double row_factor(const Job& job, index_t row) const {
    return descriptor_.has_factor() ? job.X(row, job.X.cols - 1) : 1.0;
  }

  /// Rows whose neighbours lie together are contracted together, as many as fit into scratch.
  void add_gradients(const Job& job, index_t b, index_t begin, index_t end, index_t frame, Scratch& scratch) const {
    const GroupedRows<double>& rows = *job.rows;
    const GradientContraction& contraction = *job.contractions[b];
    const RowEntries& entries = contraction.entries();
    const index_t room = scratch.self.size();
    const bool distances = kernel_.argument() != KernelArgument::dot;
    for (index_t i = begin; i < end;) {
      const index_t row = rows.row(i), first_entry = entries.offsets[row];
      index_t next = i + 1;
      while (next < end && rows.row(next) == row + next - i &&
             3 * (entries.offsets[row + next - i + 1] - first_entry) <= room) {
        ++next;
      }
      contraction.apply(row, row + next - i, *scratch.contraction, scratch.contracted.data(), stride(),
                        distances ? scratch.self.data() : nullptr);
      for (; i < next; ++i) {
        const index_t r = rows.row(i);
        while (r >= job.layout.offsets[frame + 1]) ++frame;
        scatter(job, blocks_[b], entries, r, frame, slopes(job, blocks_[b], r, (i - begin) * blocks_[b].size(), scratch),
                scratch.contracted.data() + 3 * (entries.offsets[r] - first_entry) * stride(),
                scratch.self.data() + 3 * (entries.offsets[r] - first_entry));
      }
    }
  }

  /// Of F_i F_m k(u): u = x_i . x_m has du = contracted; u = |x_i - x_m|^2 has du = 2 (self - contracted).
  RowSlopes slopes(const Job& job, const PointBlock& block, index_t row, index_t place, Scratch& scratch) const {
    const index_t m = block.size();
    const double* factors = sparse_.factors.data() + block.begin;
    const double* k = scratch.k.data() + place;
    double* slope = scratch.slope.data() + place;
    const double scale = (kernel_.argument() == KernelArgument::dot ? 1.0 : -2.0) * row_factor(job, row);
    for (index_t j = 0; j < m; ++j) slope[j] *= scale * factors[j];
    if (!descriptor_.has_factor()) return {slope, nullptr};
    for (index_t j = 0; j < m; ++j) scratch.factor_slope[j] = factors[j] * k[j];
    return {slope, scratch.factor_slope.data()};
  }

  /// Adds a row's derivatives g with respect to its vectors r: neighbours get -g, the origin +g, the virial -g r.
  void scatter(const Job& job, const PointBlock& block, const RowEntries& entries, index_t row, index_t frame,
               const RowSlopes& slopes, const double* contracted, double* self) const {
    const index_t m = block.size(), first = entries.offsets[row], n_entries = entries.offsets[row + 1] - first;
    const bool distances = kernel_.argument() != KernelArgument::dot;
    if (distances && slopes.factor_slope) {  // the kernel does not see the factor
      const double factor = row_factor(job, row);
      for (index_t e = 0; e < 3 * n_entries; ++e) self[e] -= factor * contracted[e * stride() + m];
    }
    double g[scatter_cols], origin[3][scatter_cols], virial[9][scatter_cols];
    for (index_t col = 0; col < m; col += scatter_cols) {
      const index_t n = std::min(scatter_cols, m - col);
      std::fill_n(origin[0], 3 * scatter_cols, 0.0);
      std::fill_n(virial[0], 9 * scatter_cols, 0.0);
      for (index_t e = 0; e < n_entries; ++e) {
        const Vec3& r = entries.vectors[first + e];
        const index_t atom = job.first_atom + entries.atoms[first + e];
        for (int a = 0; a < 3; ++a) {
          const double* in = contracted + (3 * e + a) * stride();
          const double shift = distances ? self[3 * e + a] : 0.0;
          for (index_t j = 0; j < n; ++j) g[j] = slopes.slope[col + j] * (in[col + j] - shift);
          if (slopes.factor_slope) {
            for (index_t j = 0; j < n; ++j) g[j] += slopes.factor_slope[col + j] * in[m];
          }
          if (forces_) {
            double* force = out_.forces.row(3 * atom + a) + block.begin + col;
            for (index_t j = 0; j < n; ++j) {
              force[j] -= g[j];
              origin[a][j] += g[j];
            }
          }
          for (int c = 0; virial_ && c < 3; ++c) {
            for (index_t j = 0; j < n; ++j) virial[3 * a + c][j] -= g[j] * r[c];
          }
        }
      }
      const auto add = [&](MatView<double> out, index_t out_row, const double* values) {
        double* target = out.row(out_row) + block.begin + col;
        for (index_t j = 0; j < n; ++j) target[j] += values[j];
      };
      const index_t atom = job.first_atom + entries.origins[row];
      for (int a = 0; forces_ && a < 3; ++a) add(out_.forces, 3 * atom + a, origin[a]);
      for (int a = 0; virial_ && a < 9; ++a) add(out_.virial, 9 * (job.part.first_frame + frame) + a, virial[a]);
    }
  }

  const Kernel& kernel_;
  const Descriptor& descriptor_;
  bool match_, energy_, forces_, virial_;
  LabelRows out_;
  SparseSide sparse_;
  std::vector<PointBlock> blocks_;
  index_t widest_block_ = 0;
};

}  // namespace

void label_rows(const Kernel& kernel, const Descriptor& descriptor, const StructureBatch& structures,
                const PairList& pairs, const SparseRows& sparse, const LabelRows& out) {
  const index_t m = sparse.features.rows, n_frames = structures.n_frames(), n_atoms = structures.n_atoms();
  const auto check = [&](const char* name, MatView<double> view, index_t rows) {
    MERCER_REQUIRE(!view.data || (view.rows == rows && view.cols == m), "label_rows: ", name, " has shape (", view.rows,
                   ", ", view.cols, "), expected (", rows, ", ", m, ")");
  };
  check("energy", out.energy, n_frames);
  check("forces", out.forces, 3 * n_atoms);
  check("virial", out.virial, 9 * n_frames);
  if (out.forces.data || out.virial.data) require_differentiable("label_rows", kernel);
  const LabelRowsDriver driver(kernel, descriptor, sparse, out, std::min(n_frames, 1 + n_atoms / task_rows));
  for_each_part(descriptor, structures, pairs, false,
                [&](const BatchPart& part) { driver.run(structures, pairs, part); });
  driver.restore_order();
}

}  // namespace mercer
