#include <algorithm>
#include <vector>

#include "kernels/tile.hpp"
#include "mercer/core/memory.hpp"
#include "mercer/core/parallel.hpp"
#include "mercer/rows/label_rows.hpp"
#include "rows/batch_parts.hpp"
#include "rows/sparse_side.hpp"

namespace mercer {
namespace {

/// Rows of a tile: enough for GEMM to be near its peak, few enough to share a small cell among threads.
constexpr index_t tile_rows = 128;
/// Columns of a tile whose kernel values are taken at once.
constexpr index_t tile_cols = 512;

/// sum_i a_i b_i in a fixed order of many lanes.
double dot(const double* a, const double* b, index_t n) {
  constexpr index_t lanes = 16;
  double sums[lanes] = {};
  index_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    for (index_t l = 0; l < lanes; ++l) sums[l] += a[i + l] * b[i + l];
  }
  for (index_t l = 0; i + l < n; ++l) sums[l] += a[i + l] * b[i + l];
  double sum = 0;
  for (double part : sums) sum += part;
  return sum;
}

class TermEvaluator {
 public:
  TermEvaluator(const Kernel& kernel, const Descriptor& descriptor, const SparseRows& sparse,
                Span<const double> weights, bool gradients)
      : kernel_(kernel),
        descriptor_(descriptor),
        match_(sparse.match_groups),
        gradients_(gradients),
        sparse_("evaluate_term", kernel, descriptor, sparse) {
    for (index_t j = 0; j < weights.size; ++j) weights_.push_back(sparse_.factors[j] * weights[sparse_.rows.row(j)]);
  }

  /// Energies of rows X of features; where gradients are wanted, X becomes dE/dX.
  void run(const RowLayout& layout, MatView<double> X, Span<double> row_energies) const {
    const MatView<const double> features = kernel_view(descriptor_, X);
    GroupedRows<double> rows(features, matched(layout.groups, match_), {0, X.rows});
    rows.prepare(kernel_.argument());
    std::vector<Tile> tiles;
    index_t most_points = 0;
    for (const RowRun& run : rows.runs()) {
      const RowRun points = sparse_.run(run.group, match_);
      most_points = std::max(most_points, points.end - points.begin);
      const index_t n = run.end - run.begin, n_tiles = (n + tile_rows - 1) / tile_rows;
      for (index_t t = 0; t < n_tiles; ++t) {
        tiles.push_back({run.begin + t * n / n_tiles, run.begin + (t + 1) * n / n_tiles, points.begin, points.end});
      }
    }
    const index_t u_cols = gradients_ ? most_points : std::min(most_points, tile_cols);
    const auto make_scratch = [&] {
      return Scratch{Buffer<double>(tile_rows * features.cols), Buffer<double>(tile_rows * u_cols),
                     Buffer<double>(tile_cols), Buffer<double>(tile_cols)};
    };
    parallel_tiles(static_cast<index_t>(tiles.size()), X.rows, (gradients_ ? 2 : 1) * most_points, features.cols,
                   make_scratch,
                   [&](Scratch& scratch, index_t t) { evaluate(tiles[t], rows, X, row_energies, scratch); });
  }

 private:
  /// Rows begin .. end - 1 and sparse points first .. last - 1 of the two orders.
  struct Tile {
    index_t begin, end, first, last;
  };
  struct Scratch {
    Buffer<double> rows, u, k, dk;
  };

  void evaluate(const Tile& t, const GroupedRows<double>& rows, MatView<double> X, Span<double> row_energies,
                Scratch& scratch) const {
    const index_t n = t.end - t.begin, n_points = t.last - t.first;
    const TileRows<double> x = rows.tile(t.begin, t.end, scratch.rows.data());
    for (index_t i = t.begin; i < t.end; ++i) row_energies[rows.row(i)] = 0;
    for (index_t j = t.first; j < t.last; j += tile_cols) {
      const index_t cols = std::min(tile_cols, t.last - j);
      const double* w = weights_.data() + j;
      const MatView<double> u(scratch.u.data() + (gradients_ ? j - t.first : 0), n, cols,
                              gradients_ ? n_points : cols);
      argument_tile(kernel_.argument(), x, sparse_.rows.tile(j, j + cols, nullptr), u);
      for (index_t i = 0; i < n; ++i) {
        double* values = u.row(i);
        const double* k = values;
        if (gradients_) {
          kernel_.derivatives(values, cols, scratch.k.data(), scratch.dk.data(), nullptr);
          k = scratch.k.data();
          for (index_t m = 0; m < cols; ++m) values[m] = w[m] * scratch.dk[m];
        } else {
          kernel_.value(values, cols);
        }
        row_energies[rows.row(t.begin + i)] += dot(w, k, cols);
      }
    }
    if (descriptor_.has_factor()) multiply_by_factors(t, rows, {scratch.u.data(), n, n_points}, X, row_energies);
    if (gradients_) write_gradients(t, rows, x, {scratch.u.data(), n, n_points}, X);
  }

  /// E_i = F_i sum_m F_m w_m k: the last column of X becomes dE/dF, and C = F_m w_m k' is multiplied by F_i.
  void multiply_by_factors(const Tile& t, const GroupedRows<double>& rows, MatView<double> C, MatView<double> X,
                           Span<double> row_energies) const {
    for (index_t i = t.begin; i < t.end; ++i) {
      const index_t row = rows.row(i);
      const double factor = X(row, X.cols - 1), sum = row_energies[row];
      row_energies[row] = factor * sum;
      if (!gradients_) continue;
      X(row, X.cols - 1) = sum;
      for (index_t m = 0; m < C.cols; ++m) C(i - t.begin, m) *= factor;
    }
  }

  /// dE/dx_i = sum_m C_im x_m for dot products, 2 sum_m C_im (x_i - x_m) for squared distances, in the place of x.
  void write_gradients(const Tile& t, const GroupedRows<double>& rows, const TileRows<double>& x, MatView<double> C,
                       MatView<double> X) const {
    // The tile lies in X, or in scratch: neither is const.
    const MatView<double> gradient(const_cast<double*>(x.rows.data), x.rows.rows, x.rows.cols, x.rows.stride);
    const MatView<const double> points = sparse_.rows.tile(t.first, t.last, nullptr).rows;
    if (kernel_.argument() == KernelArgument::dot) {
      product(1.0, C, points, 0.0, gradient);
    } else if (gradient.cols <= few_features) {  // as in argument_tile: nothing cancels
      for (index_t i = 0; i < C.rows; ++i) {
        double sums[few_features] = {};
        for (index_t m = 0; m < C.cols; ++m) {
          for (index_t d = 0; d < gradient.cols; ++d) sums[d] += C(i, m) * (gradient(i, d) - points(m, d));
        }
        for (index_t d = 0; d < gradient.cols; ++d) gradient(i, d) = 2 * sums[d];
      }
    } else {
      for (index_t i = 0; i < C.rows; ++i) {
        double sum = 0;
        for (index_t m = 0; m < C.cols; ++m) sum += C(i, m);
        for (index_t d = 0; d < gradient.cols; ++d) gradient(i, d) *= 2 * sum;
      }
      product(-2.0, C, points, 1.0, gradient);
    }
    if (gradient.data == &X(rows.row(t.begin), 0)) return;
    for (index_t i = 0; i < gradient.rows; ++i) {
      std::copy_n(gradient.row(i), gradient.cols, X.row(rows.row(t.begin + i)));
    }
  }

  const Kernel& kernel_;
  const Descriptor& descriptor_;
  bool match_, gradients_;
  SparseSide sparse_;
  std::vector<double> weights_;  ///< times the factors, by place
};

}  // namespace

void evaluate_term(const Kernel& kernel, const Descriptor& descriptor, const StructureBatch& structures,
                   const PairList& pairs, const SparseRows& sparse, Span<const double> weights, Span<double> energies,
                   MatView<double> dE_dpositions, MatView<double> dE_dstrain) {
  const index_t n_atoms = structures.n_atoms(), n_frames = structures.n_frames();
  const auto check = [](const char* name, MatView<double> view, index_t rows, index_t cols) {
    MERCER_REQUIRE(!view.data || (view.rows == rows && view.cols == cols), "evaluate_term: ", name, " has shape (",
                   view.rows, ", ", view.cols, "), expected (", rows, ", ", cols, ")");
  };
  check("dE_dpositions", dE_dpositions, n_atoms, 3);
  check("dE_dstrain", dE_dstrain, n_frames, 9);
  MERCER_REQUIRE(energies.size == n_atoms, "evaluate_term: energies has ", energies.size, " entries for ", n_atoms,
                 " atoms");
  MERCER_REQUIRE(weights.size == sparse.features.rows, "evaluate_term: ", weights.size, " weights for ",
                 sparse.features.rows, " sparse rows");
  const bool gradients = dE_dpositions.data || dE_dstrain.data;
  if (gradients) require_differentiable("evaluate_term", kernel);

  const TermEvaluator evaluator(kernel, descriptor, sparse, weights, gradients);
  Buffer<double> unwanted;  // where only one of the two gradients is asked for
  if (gradients && !(dE_dpositions.data && dE_dstrain.data)) {
    unwanted = Buffer<double>(std::max(3 * n_atoms, 9 * n_frames));
    std::fill_n(unwanted.data(), unwanted.size(), 0.0);
    if (!dE_dpositions.data) dE_dpositions = {unwanted.data(), n_atoms, 3};
    if (!dE_dstrain.data) dE_dstrain = {unwanted.data(), n_frames, 9};
  }
  for_each_part(descriptor, structures, pairs, true, [&](const BatchPart& part) {
    const auto bound = descriptor.bind(structures, pairs, part);
    const index_t n_rows = bound->layout().n_rows();
    const Buffer<double> features(n_rows * descriptor.n_features()), row_energies(n_rows);
    const MatView<double> X(features.data(), n_rows, descriptor.n_features());
    bound->transform(X);
    evaluator.run(bound->layout(), X, row_energies.span());
    bound->share(row_energies.span(), energies);
    if (gradients) bound->add_vjp(X, dE_dpositions, dE_dstrain);
  });
}

}  // namespace mercer
