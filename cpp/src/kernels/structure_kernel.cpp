#include "mercer/kernels/structure_kernel.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "kernels/grouped_rows.hpp"
#include "kernels/tile.hpp"
#include "mercer/core/error.hpp"
#include "mercer/core/memory.hpp"
#include "mercer/core/parallel.hpp"

namespace mercer {
namespace {

index_t padded(index_t n) { return (n + block_padding - 1) / block_padding * block_padding; }

/// Structures first .. last - 1, whose rows are taken together; their runs of equal groups lie together too.
struct Block {
  index_t first, last, first_run, last_run;
};

/// One operand: blocks of structures of up to `side` rows (or one longer structure), rows sorted by group in each.
class Operand {
 public:
  Operand(const char* name, const Kernel& kernel, const StructureRows& rows, index_t side)
      : offsets_(rows.offsets),
        weights_(rows.weights),
        segments_(make_segments(checked(name, rows), side)),
        rows_(rows.features, rows.groups, segments_),
        place_(static_cast<std::size_t>(rows.features.rows)),
        ones_(rows.weights.empty() ? static_cast<std::size_t>(longest()) : 0, 1.0) {
    rows_.reorder();
    rows_.prepare(kernel.argument());
    for (index_t p = 0; p < rows_.size(); ++p) place_[static_cast<std::size_t>(rows_.row(p))] = p;
    index_t structure = 0, run = 0;
    const auto& runs = rows_.runs();
    for (std::size_t s = 0; s + 1 < segments_.size(); ++s) {
      Block block{structure, structure, run, run};
      while (block.last < rows.size() && offsets_[block.last + 1] <= segments_[s + 1]) ++block.last;
      while (block.last_run < static_cast<index_t>(runs.size()) &&
             runs[static_cast<std::size_t>(block.last_run)].segment == static_cast<index_t>(s)) {
        ++block.last_run;
      }
      structure = block.last;
      run = block.last_run;
      blocks_.push_back(block);
    }
  }

  const std::vector<Block>& blocks() const { return blocks_; }
  index_t longest() const {
    index_t most = 0;
    for (index_t s = 0; s + 1 < offsets_.size; ++s) most = std::max(most, offsets_[s + 1] - offsets_[s]);
    return most;
  }
  index_t longest_block() const {
    index_t most = 0;
    for (const Block& block : blocks_) most = std::max(most, end(block) - begin(block));
    return most;
  }
  index_t begin(const Block& block) const { return offsets_[block.first]; }
  index_t end(const Block& block) const { return offsets_[block.last]; }
  index_t begin(index_t structure) const { return offsets_[structure]; }
  index_t size(index_t structure) const { return offsets_[structure + 1] - offsets_[structure]; }
  const RowRun& run(index_t r) const { return rows_.runs()[static_cast<std::size_t>(r)]; }
  /// The place of a row in the order, and back.
  const index_t* places(index_t row) const { return place_.data() + row; }
  index_t row(index_t place) const { return rows_.row(place); }
  TileRows<double> tile(index_t begin, index_t end) const { return rows_.tile(begin, end, nullptr); }
  const double* weights(index_t structure) const {
    return weights_.empty() ? ones_.data() : weights_.data + offsets_[structure];
  }

 private:
  static const StructureRows& checked(const char* name, const StructureRows& rows) {
    const index_t n = rows.features.rows;
    MERCER_REQUIRE(rows.offsets.size > 0 && rows.offsets[0] == 0 && rows.offsets[rows.size()] == n,
                   "structure kernel: offsets of ", name, " must run from 0 to ", n, ", the number of rows");
    for (index_t s = 0; s < rows.size(); ++s) {
      MERCER_REQUIRE(rows.offsets[s] < rows.offsets[s + 1], "structure kernel: structure ", s, " of ", name,
                     " has no rows; leave it out");
    }
    const auto check = [&](const char* what, index_t size) {
      MERCER_REQUIRE(size == 0 || size == n, "structure kernel: ", size, " ", what, " for ", n, " rows of ", name);
    };
    check("groups", rows.groups.size);
    check("weights", rows.weights.size);
    return rows;
  }

  static std::vector<index_t> make_segments(const StructureRows& rows, index_t side) {
    std::vector<index_t> segments{0};
    for (index_t s = 0; s < rows.size(); ++s) {
      if (rows.offsets[s] > segments.back() && rows.offsets[s + 1] - segments.back() > side) {
        segments.push_back(rows.offsets[s]);
      }
    }
    if (rows.size() > 0) segments.push_back(rows.offsets[rows.size()]);
    return segments;
  }

  Span<const index_t> offsets_;
  Span<const double> weights_;
  std::vector<index_t> segments_;
  GroupedRows<double> rows_;
  std::vector<index_t> place_;
  std::vector<double> ones_;
  std::vector<Block> blocks_;
};

/// Memory of one thread.
struct Scratch {
  Buffer<double> k, dk, sums;                     // local kernels of two blocks, k', and sum of dK/dk k'
  Buffer<double> pair, pair_gradient, matching;   // one pair of structures
  Buffer<double> line, gradient;                  // k of one row; d / dX of a block
};

class PairDriver {
 public:
  PairDriver(const Kernel& kernel, const Matching& matching, const Operand& x, const Operand& y, index_t n_features)
      : kernel_(kernel), matching_(matching), x_(x), y_(y), n_features_(n_features) {}

  Scratch make_scratch(bool gradients) const {
    const index_t rows = x_.longest_block(), cols = y_.longest_block();
    const index_t n = x_.longest(), m = padded(y_.longest());
    Scratch scratch{Buffer<double>(rows * cols), {}, {}, Buffer<double>(n * m), {},
                    Buffer<double>(matching_.scratch_size(n, m)), {}, {}};
    if (gradients) {
      scratch.dk = Buffer<double>(rows * cols);
      scratch.sums = Buffer<double>(rows * cols);
      scratch.pair_gradient = Buffer<double>(n * m);
      scratch.line = Buffer<double>(cols);
      scratch.gradient = Buffer<double>(rows * n_features_);
    }
    return scratch;
  }

  /// Local kernels of all rows of two blocks in the order of places, 0 between groups; with dk also k'(u).
  MatView<double> local_kernels(const Block& a, const Block& b, Scratch& scratch, bool gradients) const {
    const index_t row0 = x_.begin(a), col0 = y_.begin(b), cols = y_.end(b) - col0;
    const MatView<double> k(scratch.k.data(), x_.end(a) - row0, cols);
    const bool one = a.last_run - a.first_run == 1 && b.last_run - b.first_run == 1 &&
                     x_.run(a.first_run).group == y_.run(b.first_run).group;
    if (!one) std::fill_n(k.data, k.rows * k.cols, 0.0);
    for_runs(a, b, [&](const RowRun& r, const RowRun& c) {
      const MatView<double> part(&k(r.begin - row0, c.begin - col0), r.end - r.begin, c.end - c.begin, cols);
      const TileRows<double> x = x_.tile(r.begin, r.end), y = y_.tile(c.begin, c.end);
      if (!gradients) return kernel_tile(kernel_, x, y, part);
      argument_tile(kernel_.argument(), x, y, part);
      for (index_t i = 0; i < part.rows; ++i) {
        double* dk = scratch.dk.data() + (r.begin - row0 + i) * cols + c.begin - col0;
        kernel_.derivatives(part.row(i), part.cols, scratch.line.data(), dk, nullptr);
        std::copy_n(scratch.line.data(), part.cols, part.row(i));
      }
    });
    return k;
  }

  /// The part of the local kernels that belongs to one pair of structures.
  PairBlock pair(const Block& a, const Block& b, index_t A, index_t B, MatView<const double> k, double* to) const {
    const index_t n = x_.size(A), m = y_.size(B), stride = padded(m);
    const index_t *rows = x_.places(x_.begin(A)), *cols = y_.places(y_.begin(B));
    const index_t row0 = x_.begin(a), col0 = y_.begin(b);
    for (index_t i = 0; i < n; ++i) {
      const double* from = k.row(rows[i] - row0) - col0;
      for (index_t j = 0; j < m; ++j) to[i * stride + j] = from[cols[j]];
    }
    return {{to, n, m, stride}, x_.weights(A), y_.weights(B)};
  }

  double value(const Block& a, const Block& b, index_t A, index_t B, MatView<const double> k, Scratch& scratch,
               MatchStatus& status) const {
    return matching_.value(pair(a, b, A, B, k, scratch.pair.data()), scratch.matching.data(), status);
  }

  /// K(A, B); adds weight dK/dk of the pair to scratch.sums.
  double gradient(const Block& a, const Block& b, index_t A, index_t B, MatView<const double> k, double weight,
                  Scratch& scratch, MatchStatus& status) const {
    const PairBlock block = pair(a, b, A, B, k, scratch.pair.data());
    const MatView<double> dk(scratch.pair_gradient.data(), block.k.rows, block.k.cols, block.k.stride);
    const double value = matching_.gradient(block, dk, scratch.matching.data(), status);
    const index_t *rows = x_.places(x_.begin(A)), *cols = y_.places(y_.begin(B));
    for (index_t i = 0; i < dk.rows; ++i) {
      double* to = scratch.sums.data() + (rows[i] - x_.begin(a)) * k.cols - y_.begin(b);
      for (index_t j = 0; j < dk.cols; ++j) to[cols[j]] = weight * dk(i, j);
    }
    return value;
  }

  /// Adds the reverse pass of u, from scratch.sums and k'(u), to scratch.gradient: rows of block a in order.
  void pull_back(const Block& a, const Block& b, double factor, Scratch& scratch) const {
    const index_t row0 = x_.begin(a), col0 = y_.begin(b), cols = y_.end(b) - col0;
    for_runs(a, b, [&](const RowRun& r, const RowRun& c) {
      const index_t offset = (r.begin - row0) * cols + c.begin - col0;
      const MatView<double> C(scratch.sums.data() + offset, r.end - r.begin, c.end - c.begin, cols);
      for (index_t i = 0; i < C.rows; ++i) {
        const double* dk = scratch.dk.data() + offset + i * cols;
        for (index_t j = 0; j < C.cols; ++j) C(i, j) *= factor * dk[j];
      }
      const MatView<double> dX(scratch.gradient.data() + (r.begin - row0) * n_features_, C.rows, n_features_);
      pull_back_tile(kernel_.argument(), x_.tile(r.begin, r.end), y_.tile(c.begin, c.end), C, dX);
    });
  }

 private:
  template <class Body>
  void for_runs(const Block& a, const Block& b, const Body& body) const {
    for (index_t r = a.first_run; r < a.last_run; ++r) {
      for (index_t c = b.first_run; c < b.last_run; ++c) {
        if (x_.run(r).group == y_.run(c).group) body(x_.run(r), y_.run(c));
      }
    }
  }

  const Kernel& kernel_;
  const Matching& matching_;
  const Operand &x_, &y_;
  index_t n_features_;
};

void check_pair(const StructureRows& X, const StructureRows& Y) {
  MERCER_REQUIRE(X.features.cols == Y.features.cols, "structure kernel: rows of X have ", X.features.cols,
                 " features, rows of Y ", Y.features.cols, "; both must come from the same descriptor");
  MERCER_REQUIRE(X.groups.empty() == Y.groups.empty(), "structure kernel: groups are given for X or Y only");
}

bool same(const StructureRows& X, const StructureRows& Y) {
  return X.features.data == Y.features.data && X.offsets.data == Y.offsets.data && X.size() == Y.size() &&
         X.groups.data == Y.groups.data && X.weights.data == Y.weights.data;
}

MatchStatus total(const std::vector<MatchStatus>& parts) {
  MatchStatus sum;
  for (const MatchStatus& part : parts) {
    sum.unconverged += part.unconverged;
    sum.sweeps += part.sweeps;
    sum.error = std::max(sum.error, part.error);
  }
  return sum;
}

double work(const StructureRows& X, const StructureRows& Y, const Matching& matching) {
  return static_cast<double>(X.features.rows) * static_cast<double>(Y.features.rows) *
         (static_cast<double>(X.features.cols) + matching.cost());
}

}  // namespace

MatchStatus structure_gram(const Kernel& kernel, const Matching& matching, const StructureRows& X,
                           const StructureRows& Y, Span<const double> x_factors, Span<const double> y_factors,
                           MatView<double> out) {
  check_pair(X, Y);
  MERCER_REQUIRE(out.rows == X.size() && out.cols == Y.size(), "structure kernel: out has shape (", out.rows, ", ",
                 out.cols, "), expected (", X.size(), ", ", Y.size(), ")");
  MERCER_REQUIRE((x_factors.empty() || x_factors.size == out.rows) && (y_factors.empty() || y_factors.size == out.cols),
                 "structure kernel: factors do not fit the structures");
  const index_t side = tile_side(X.features.rows, Y.features.rows);
  const bool symmetric = same(X, Y);
  const Operand x("X", kernel, X, side);
  std::optional<Operand> other;
  const Operand& y = symmetric ? x : other.emplace("Y", kernel, Y, side);
  const PairDriver driver(kernel, matching, x, y, X.features.cols);
  const auto n_x = static_cast<index_t>(x.blocks().size()), n_y = static_cast<index_t>(y.blocks().size());
  std::vector<std::pair<index_t, index_t>> tasks;
  for (index_t a = 0; a < n_x; ++a) {
    for (index_t b = symmetric ? a : 0; b < n_y; ++b) tasks.emplace_back(a, b);
  }
  std::vector<MatchStatus> status(tasks.size());
  parallel_tasks(
      static_cast<index_t>(tasks.size()), work(X, Y, matching), [&] { return driver.make_scratch(false); },
      [&](Scratch& scratch, index_t t) {
        const auto task = static_cast<std::size_t>(t);
        const Block& a = x.blocks()[static_cast<std::size_t>(tasks[task].first)];
        const Block& b = y.blocks()[static_cast<std::size_t>(tasks[task].second)];
        const MatView<double> k = driver.local_kernels(a, b, scratch, false);
        for (index_t A = a.first; A < a.last; ++A) {
          for (index_t B = symmetric ? std::max(A, b.first) : b.first; B < b.last; ++B) {
            double value = driver.value(a, b, A, B, k, scratch, status[task]);
            if (!x_factors.empty()) value *= x_factors[A];
            if (!y_factors.empty()) value *= y_factors[B];
            out(A, B) = value;
            if (symmetric) out(B, A) = value;
          }
        }
      });
  return total(status);
}

MatchStatus structure_diagonal(const Kernel& kernel, const Matching& matching, const StructureRows& X,
                               Span<double> out) {
  MERCER_REQUIRE(out.size == X.size(), "structure kernel: out has ", out.size, " entries for ", X.size(),
                 " structures");
  const Operand x("X", kernel, X, 1);
  const PairDriver driver(kernel, matching, x, x, X.features.cols);
  std::vector<MatchStatus> status(x.blocks().size());
  parallel_tasks(
      X.size(), work(X, X, matching) / static_cast<double>(std::max<index_t>(1, X.size())),
      [&] { return driver.make_scratch(false); },
      [&](Scratch& scratch, index_t A) {
        const auto task = static_cast<std::size_t>(A);
        const Block& a = x.blocks()[task];
        out[A] = driver.value(a, a, A, A, driver.local_kernels(a, a, scratch, false), scratch, status[task]);
      });
  return total(status);
}

MatchStatus structure_vjp(const Kernel& kernel, const Matching& matching, const StructureRows& X,
                          const StructureRows& Y, MatView<const double> dK, MatView<double> dX, Span<double> sums) {
  check_pair(X, Y);
  MERCER_REQUIRE(kernel.differentiable(), "structure kernel: the local kernel has no derivative at coinciding points");
  MERCER_REQUIRE(dK.rows == X.size() && dK.cols == Y.size() && dX.rows == X.features.rows &&
                     dX.cols == X.features.cols && sums.size == X.size(),
                 "structure kernel: shapes of dK, dX or sums do not fit the structures");
  const index_t side = tile_side(X.features.rows, Y.features.rows), n_features = X.features.cols;
  const Operand x("X", kernel, X, side);
  std::optional<Operand> other;
  const Operand& y = same(X, Y) ? x : other.emplace("Y", kernel, Y, side);
  const PairDriver driver(kernel, matching, x, y, n_features);
  const auto n_x = static_cast<index_t>(x.blocks().size()), n_y = static_cast<index_t>(y.blocks().size());
  // One block of X at a time goes over all of Y; where there are too few of them to share, over parts of Y, whose
  // results are added afterwards.
  constexpr index_t enough = 16;
  const index_t n_parts = std::clamp<index_t>((enough + n_x - 1) / std::max<index_t>(1, n_x), 1, std::max<index_t>(1, n_y));
  const Buffer<double> gradients(n_parts > 1 ? n_parts * dX.rows * dX.cols : 0), part_sums(n_parts * X.size());
  std::vector<MatchStatus> status(static_cast<std::size_t>(n_x * n_parts));
  parallel_tasks(
      n_x * n_parts, 2 * work(X, Y, matching), [&] { return driver.make_scratch(true); },
      [&](Scratch& scratch, index_t t) {
        const index_t part = t % n_parts;
        const Block& a = x.blocks()[static_cast<std::size_t>(t / n_parts)];
        double* part_sum = part_sums.data() + part * X.size();
        std::fill(part_sum + a.first, part_sum + a.last, 0.0);
        std::fill_n(scratch.gradient.data(), (x.end(a) - x.begin(a)) * n_features, 0.0);
        for (index_t j = part * n_y / n_parts; j < (part + 1) * n_y / n_parts; ++j) {
          const Block& b = y.blocks()[static_cast<std::size_t>(j)];
          const MatView<double> k = driver.local_kernels(a, b, scratch, true);
          for (index_t A = a.first; A < a.last; ++A) {
            for (index_t B = b.first; B < b.last; ++B) {
              const double weight = dK(A, B);
              part_sum[A] += weight * driver.gradient(a, b, A, B, k, weight, scratch, status[static_cast<std::size_t>(t)]);
            }
          }
          driver.pull_back(a, b, 1.0, scratch);
        }
        double* to = n_parts > 1 ? gradients.data() + part * dX.rows * dX.cols : dX.data;
        const index_t stride = n_parts > 1 ? dX.cols : dX.stride;
        for (index_t p = x.begin(a); p < x.end(a); ++p) {
          std::copy_n(scratch.gradient.data() + (p - x.begin(a)) * n_features, n_features, to + x.row(p) * stride);
        }
      });
  for (index_t A = 0; A < X.size(); ++A) {
    sums[A] = 0;
    for (index_t part = 0; part < n_parts; ++part) sums[A] += part_sums[part * X.size() + A];
  }
  if (n_parts == 1) return total(status);
  parallel_chunks(dX.rows, 64, [&](index_t begin, index_t end) {
    for (index_t i = begin; i < end; ++i) {
      std::fill_n(dX.row(i), dX.cols, 0.0);
      for (index_t part = 0; part < n_parts; ++part) {
        const double* from = gradients.data() + (part * dX.rows + i) * dX.cols;
        for (index_t d = 0; d < dX.cols; ++d) dX(i, d) += from[d];
      }
    }
  });
  return total(status);
}

MatchStatus structure_diagonal_vjp(const Kernel& kernel, const Matching& matching, const StructureRows& X,
                                   Span<const double> weights, MatView<double> dX) {
  MERCER_REQUIRE(kernel.differentiable(), "structure kernel: the local kernel has no derivative at coinciding points");
  MERCER_REQUIRE(weights.size == X.size() && dX.rows == X.features.rows && dX.cols == X.features.cols,
                 "structure kernel: shapes of weights or dX do not fit the structures");
  const index_t n_features = X.features.cols;
  const Operand x("X", kernel, X, 1);
  const PairDriver driver(kernel, matching, x, x, n_features);
  std::vector<MatchStatus> status(x.blocks().size());
  parallel_tasks(
      X.size(), 2 * work(X, X, matching) / static_cast<double>(std::max<index_t>(1, X.size())),
      [&] { return driver.make_scratch(true); },
      [&](Scratch& scratch, index_t A) {
        const auto task = static_cast<std::size_t>(A);
        const Block& a = x.blocks()[task];
        const MatView<double> k = driver.local_kernels(a, a, scratch, true);
        driver.gradient(a, a, A, A, k, weights[A], scratch, status[task]);
        std::fill_n(scratch.gradient.data(), (x.end(a) - x.begin(a)) * n_features, 0.0);
        driver.pull_back(a, a, 2.0, scratch);  // K(A, B) = K(B, A)
        for (index_t p = x.begin(a); p < x.end(a); ++p) {
          double* to = dX.row(x.row(p));
          for (index_t d = 0; d < n_features; ++d) to[d] += scratch.gradient[(p - x.begin(a)) * n_features + d];
        }
      });
  return total(status);
}

}  // namespace mercer
