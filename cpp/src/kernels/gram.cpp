#include "mercer/kernels/gram.hpp"

#include <algorithm>
#include <vector>

#include "kernels/grouped_rows.hpp"
#include "kernels/tile.hpp"
#include "mercer/core/error.hpp"
#include "mercer/core/memory.hpp"
#include "mercer/core/parallel.hpp"

namespace mercer {
namespace {

template <class T>
bool same(Span<T> a, Span<T> b) {
  return a.data == b.data && a.size == b.size;
}

/// Places of the two orders.
struct Tile {
  index_t x_begin, x_end, y_begin, y_end;
};

template <class T>
class GramDriver {
 public:
  GramDriver(const Kernel& kernel, MatView<const T> X, MatView<const T> Y, MatView<T> out, const GramOptions& options)
      : kernel_(kernel),
        options_(options),
        out_(out),
        side_(tile_side(X.rows, Y.rows)),
        symmetric_(X.data == Y.data && X.rows == Y.rows && X.stride == Y.stride &&
                   same(options.x_groups, options.y_groups) && same(options.x_factors, options.y_factors)),
        x_(X, options.x_groups, {0, X.rows}),
        y_(Y, options.y_groups, {0, Y.rows}),
        cols_(X.cols) {
    y_.reorder();
    x_.prepare(kernel.argument());
    y_.prepare(kernel.argument());
  }

  void run() {
    if (x_.runs().size() > 1 || y_.runs().size() > 1 || different_groups()) clear();
    const std::vector<Tile> tiles = matching_tiles();
    struct Scratch {
      Buffer<T> rows, values;
    };
    parallel_tiles(
        static_cast<index_t>(tiles.size()), out_.rows, out_.cols, cols_,
        [&] { return Scratch{Buffer<T>(side_ * cols_), Buffer<T>(side_ * side_)}; },
        [&](Scratch& scratch, index_t t) { compute(tiles[t], scratch.rows.data(), scratch.values.data()); });
  }

 private:
  bool different_groups() const {
    return !x_.runs().empty() && !y_.runs().empty() && x_.runs()[0].group != y_.runs()[0].group;
  }

  void clear() {
    constexpr index_t values = index_t{1} << 18;
    parallel_chunks(out_.rows, 1 + values / (1 + out_.cols), [&](index_t begin, index_t end) {
      for (index_t i = begin; i < end; ++i) std::fill_n(out_.row(i), out_.cols, T(0));
    });
  }

  std::vector<Tile> matching_tiles() const {
    std::vector<Tile> tiles;
    for (const RowRun& a : x_.runs()) {
      for (const RowRun& b : y_.runs()) {
        if (a.group != b.group) continue;
        for (index_t i = a.begin; i < a.end; i += side_) {
          for (index_t j = symmetric_ ? i : b.begin; j < b.end; j += side_) {
            tiles.push_back({i, std::min(i + side_, a.end), j, std::min(j + side_, b.end)});
          }
        }
      }
    }
    return tiles;
  }

  /// A tile goes straight to its place if its columns lie together, else through `values`.
  void compute(const Tile& t, T* rows, T* values) const {
    const index_t n = t.x_end - t.x_begin, m = t.y_end - t.y_begin;
    const index_t row0 = x_.row(t.x_begin), col0 = y_.row(t.y_begin);
    const bool in_place = x_.row(t.x_end - 1) - row0 == n - 1 && y_.row(t.y_end - 1) - col0 == m - 1;
    const MatView<T> tile = in_place ? MatView<T>(&out_(row0, col0), n, m, out_.stride) : MatView<T>(values, n, m);
    kernel_tile(kernel_, x_.tile(t.x_begin, t.x_end, rows), y_.tile(t.y_begin, t.y_end, nullptr), tile);
    if (!options_.x_factors.empty()) scale_rows(t, tile);
    if (!options_.y_factors.empty()) scale_columns(t, tile);
    if (!in_place) {
      for (index_t i = 0; i < n; ++i) {
        for (index_t j = 0; j < m; ++j) out_(x_.row(t.x_begin + i), y_.row(t.y_begin + j)) = tile(i, j);
      }
    }
    if (symmetric_) mirror(t, tile);
  }

  /// Copies what lies above the diagonal below it, in blocks whose columns share cache lines.
  void mirror(const Tile& t, MatView<T> tile) const {
    constexpr index_t block = 16;
    const bool diagonal = t.x_begin == t.y_begin;
    for (index_t i0 = 0; i0 < tile.rows; i0 += block) {
      for (index_t j0 = diagonal ? i0 : 0; j0 < tile.cols; j0 += block) {
        for (index_t j = j0; j < std::min(j0 + block, tile.cols); ++j) {
          T* row = out_.row(y_.row(t.y_begin + j));
          const index_t end = std::min(i0 + block, diagonal ? j : tile.rows);
          for (index_t i = i0; i < end; ++i) row[x_.row(t.x_begin + i)] = tile(i, j);
        }
      }
    }
  }

  void scale_rows(const Tile& t, MatView<T> tile) const {
    for (index_t i = 0; i < tile.rows; ++i) {
      const T factor = static_cast<T>(options_.x_factors[x_.row(t.x_begin + i)]);
      for (index_t j = 0; j < tile.cols; ++j) tile(i, j) *= factor;
    }
  }

  void scale_columns(const Tile& t, MatView<T> tile) const {
    for (index_t j = 0; j < tile.cols; ++j) {
      const T factor = static_cast<T>(options_.y_factors[y_.row(t.y_begin + j)]);
      for (index_t i = 0; i < tile.rows; ++i) tile(i, j) *= factor;
    }
  }

  const Kernel& kernel_;
  const GramOptions& options_;
  MatView<T> out_;
  index_t side_;
  bool symmetric_;
  GroupedRows<T> x_, y_;
  index_t cols_;
};

template <class T>
void checked_gram(const Kernel& kernel, MatView<const T> X, MatView<const T> Y, MatView<T> out,
                  const GramOptions& options) {
  check_gram(X.rows, X.cols, Y.rows, Y.cols, options);
  MERCER_REQUIRE(out.rows == X.rows && out.cols == Y.rows, "gram: out has shape (", out.rows, ", ", out.cols,
                 "), expected (", X.rows, ", ", Y.rows, ")");
  GramDriver<T>(kernel, X, Y, out, options).run();
}

}  // namespace

void check_gram(index_t x_rows, index_t x_cols, index_t y_rows, index_t y_cols, const GramOptions& options) {
  MERCER_REQUIRE(x_cols == y_cols, "gram: rows of X have ", x_cols, " features, rows of Y ", y_cols,
                 "; both must come from the same descriptor");
  MERCER_REQUIRE(options.x_groups.empty() == options.y_groups.empty() || x_rows == 0 || y_rows == 0,
                 "gram: groups are given for X or Y only; give both or none");
  const auto check = [](const char* name, index_t size, index_t rows) {
    MERCER_REQUIRE(size == 0 || size == rows, "gram: ", name, " has ", size, " entries for ", rows, " rows");
  };
  check("x_groups", options.x_groups.size, x_rows);
  check("y_groups", options.y_groups.size, y_rows);
  check("x_factors", options.x_factors.size, x_rows);
  check("y_factors", options.y_factors.size, y_rows);
}

void gram(const Kernel& kernel, MatView<const double> X, MatView<const double> Y, MatView<double> out,
          const GramOptions& options) {
  checked_gram(kernel, X, Y, out, options);
}

void gram(const Kernel& kernel, MatView<const float> X, MatView<const float> Y, MatView<float> out,
          const GramOptions& options) {
  checked_gram(kernel, X, Y, out, options);
}

void gram_diagonal(const Kernel& kernel, MatView<const double> X, Span<double> out) {
  MERCER_REQUIRE(out.size == X.rows, "gram_diagonal: out has ", out.size, " entries for ", X.rows, " rows");
  parallel_chunks(X.rows, 1024, [&](index_t begin, index_t end) {
    for (index_t i = begin; i < end; ++i) {
      double u = 0;
      if (kernel.argument() == KernelArgument::dot) {
        for (index_t d = 0; d < X.cols; ++d) u += X(i, d) * X(i, d);
      }
      out[i] = u;
    }
    kernel.value(out.data + begin, end - begin);
  });
}

}  // namespace mercer
