#include "mercer/rows/energy_rows.hpp"

#include <algorithm>
#include <vector>

#include "kernels/grouped_rows.hpp"
#include "kernels/tile.hpp"
#include "mercer/core/error.hpp"
#include "mercer/core/memory.hpp"
#include "mercer/core/parallel.hpp"

namespace mercer {
namespace {

constexpr index_t tile_rows = 256, tile_cols = 256;
/// Frames are taken together up to this many rows (or frames), and longer ones are split and summed afterwards.
constexpr index_t piece_rows = 1024, piece_frames = 256;

void check_offsets(Span<const index_t> offsets, index_t rows, index_t frames) {
  MERCER_REQUIRE(offsets.size == frames + 1, "energy_rows: offsets has ", offsets.size, " entries for ", frames,
                 " frames, expected one more than frames");
  MERCER_REQUIRE(offsets[0] == 0 && offsets[frames] == rows, "energy_rows: offsets run from ", offsets[0], " to ",
                 offsets[frames], ", expected 0 to ", rows, " (the rows of X)");
  for (index_t f = 0; f < frames; ++f) {
    MERCER_REQUIRE(offsets[f] <= offsets[f + 1], "energy_rows: offsets decrease after frame ", f);
  }
}

/// Whole frames first .. last - 1, or one part of a long frame.
struct Piece {
  index_t first, last;
  index_t part;  // row of the array of partial sums, -1 for whole frames
};

struct Plan {
  std::vector<Piece> pieces;
  std::vector<index_t> segments{0};  // row offsets of the pieces
  index_t n_parts = 0;

  void add(const Piece& piece, index_t end) {
    pieces.push_back(piece);
    segments.push_back(end);
  }
};

Plan make_plan(Span<const index_t> offsets) {
  Plan plan;
  const index_t frames = offsets.size - 1;
  for (index_t first = 0; first < frames;) {
    const index_t begin = offsets[first];
    if (offsets[first + 1] - begin > piece_rows) {
      for (index_t row = begin; row < offsets[first + 1]; row += piece_rows) {
        plan.add({first, first + 1, plan.n_parts++}, std::min(row + piece_rows, offsets[first + 1]));
      }
      ++first;
      continue;
    }
    index_t last = first + 1;
    while (last < frames && last - first < piece_frames && offsets[last + 1] - begin <= piece_rows) ++last;
    plan.add({first, last, -1}, offsets[last]);
    first = last;
  }
  return plan;
}

}  // namespace

void energy_rows(const Kernel& kernel, MatView<const double> X, Span<const index_t> offsets, MatView<const double> Y,
                 MatView<double> out, const GramOptions& options) {
  check_gram(X.rows, X.cols, Y.rows, Y.cols, options);
  check_offsets(offsets, X.rows, out.rows);
  MERCER_REQUIRE(out.cols == Y.rows, "energy_rows: out has ", out.cols, " columns, expected ", Y.rows);

  const Plan plan = make_plan(offsets);
  const auto n_pieces = static_cast<index_t>(plan.pieces.size());
  GroupedRows<double> x(X, options.x_groups, plan.segments);
  GroupedRows<double> y(Y, options.y_groups, {0, Y.rows});
  y.reorder();
  x.prepare(kernel.argument());
  y.prepare(kernel.argument());
  std::vector<RowRun> columns;
  for (const RowRun& run : y.runs()) {
    for (index_t j = run.begin; j < run.end; j += tile_cols) {
      columns.push_back({0, run.group, j, std::min(j + tile_cols, run.end)});
    }
  }
  std::vector<std::size_t> first_run(n_pieces + 1, 0);  // runs of a piece lie together
  for (const RowRun& run : x.runs()) ++first_run[run.segment + 1];
  for (index_t p = 0; p < n_pieces; ++p) first_run[p + 1] += first_run[p];
  Buffer<double> parts(plan.n_parts * out.cols);

  struct Scratch {
    Buffer<double> rows, tile, sums;
  };
  const auto make_scratch = [&] {
    return Scratch{Buffer<double>(tile_rows * X.cols), Buffer<double>(tile_rows * tile_cols),
                   Buffer<double>(piece_frames * tile_cols)};
  };
  const auto n_columns = static_cast<index_t>(columns.size());
  parallel_tiles(n_pieces * n_columns, X.rows, Y.rows, X.cols, make_scratch, [&](Scratch& scratch, index_t task) {
    const index_t p = task / n_columns;
    const Piece& piece = plan.pieces[p];
    const RowRun& cols = columns[task % n_columns];
    const index_t m = cols.end - cols.begin;
    std::fill_n(scratch.sums.data(), (piece.last - piece.first) * m, 0.0);
    for (std::size_t r = first_run[p]; r < first_run[p + 1]; ++r) {
      const RowRun& run = x.runs()[r];
      if (run.group != cols.group) continue;
      index_t frame = piece.first;
      for (index_t begin = run.begin; begin < run.end; begin += tile_rows) {
        const index_t end = std::min(begin + tile_rows, run.end);
        const MatView<double> tile(scratch.tile.data(), end - begin, m);
        kernel_tile(kernel, x.tile(begin, end, scratch.rows.data()), y.tile(cols.begin, cols.end, nullptr), tile);
        for (index_t i = begin; i < end; ++i) {
          const index_t row = x.row(i);
          while (row >= offsets[frame + 1]) ++frame;
          const double factor = options.x_factors.empty() ? 1.0 : options.x_factors[row];
          double* sum = scratch.sums.data() + (frame - piece.first) * m;
          const double* k = tile.row(i - begin);
          for (index_t j = 0; j < m; ++j) sum[j] += factor * k[j];
        }
      }
    }
    for (index_t f = piece.first; f < piece.last; ++f) {
      double* target = piece.part < 0 ? out.row(f) : parts.data() + piece.part * out.cols;
      for (index_t j = 0; j < m; ++j) {
        const index_t col = y.row(cols.begin + j);
        const double factor = options.y_factors.empty() ? 1.0 : options.y_factors[col];
        target[col] = factor * scratch.sums[(f - piece.first) * m + j];
      }
    }
  });

  for (index_t p = 0; p < n_pieces; ++p) {
    const Piece& piece = plan.pieces[p];
    if (piece.part < 0) continue;
    double* target = out.row(piece.first);
    const double* part = parts.data() + piece.part * out.cols;
    if (plan.segments[p] == offsets[piece.first]) std::fill_n(target, out.cols, 0.0);
    for (index_t j = 0; j < out.cols; ++j) target[j] += part[j];
  }
}

void self_kernel_sums(const Kernel& kernel, MatView<const double> X, Span<const index_t> offsets,
                      Span<const std::int32_t> groups, Span<double> out) {
  GramOptions options;
  options.x_groups = options.y_groups = groups;
  check_gram(X.rows, X.cols, X.rows, X.cols, options);
  check_offsets(offsets, X.rows, out.size);

  GroupedRows<double> x(X, groups, std::vector<index_t>(offsets.begin(), offsets.end()));
  x.prepare(kernel.argument());
  struct Item {
    index_t frame, x_begin, x_end, y_begin, y_end;
  };
  std::vector<Item> items;
  for (const RowRun& run : x.runs()) {
    for (index_t i = run.begin; i < run.end; i += tile_rows) {
      for (index_t j = i; j < run.end; j += tile_rows) {
        items.push_back({run.segment, i, std::min(i + tile_rows, run.end), j, std::min(j + tile_rows, run.end)});
      }
    }
  }
  const auto n_items = static_cast<index_t>(items.size());
  Buffer<double> sums(n_items);
  struct Scratch {
    Buffer<double> left, right, tile;
  };
  const auto make_scratch = [&] {
    return Scratch{Buffer<double>(tile_rows * X.cols), Buffer<double>(tile_rows * X.cols),
                   Buffer<double>(tile_rows * tile_rows)};
  };
  const index_t mean_cols = out.size > 0 ? X.rows / out.size : 0;
  parallel_tiles(n_items, X.rows, mean_cols, X.cols, make_scratch, [&](Scratch& scratch, index_t t) {
    const Item& item = items[t];
    const index_t n = item.x_end - item.x_begin, m = item.y_end - item.y_begin;
    const MatView<double> tile(scratch.tile.data(), n, m);
    kernel_tile(kernel, x.tile(item.x_begin, item.x_end, scratch.left.data()),
                x.tile(item.y_begin, item.y_end, scratch.right.data()), tile);
    double sum = 0;
    for (index_t k = 0; k < n * m; ++k) sum += tile.data[k];
    sums[t] = item.x_begin == item.y_begin ? sum : 2 * sum;
  });
  std::fill(out.begin(), out.end(), 0.0);
  for (index_t t = 0; t < n_items; ++t) out[items[t].frame] += sums[t];
}

}  // namespace mercer
