/// Rows of a feature matrix in the order in which tiles want them: segment after segment (frames, or one for all), and
/// within a segment group after group (centre species), so that no tile mixes groups.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/tile.hpp"
#include "mercer/core/array.hpp"
#include "mercer/core/memory.hpp"
#include "mercer/core/parallel.hpp"

namespace mercer {

/// Places begin .. end - 1 of the order hold the rows of one group in one segment, ascending.
struct RowRun {
  index_t segment;
  std::int32_t group;
  index_t begin, end;
};

template <class T>
class GroupedRows {
 public:
  /// `segments`: increasing row offsets from 0 to rows.rows; `groups`: empty (all the same) or one per row.
  GroupedRows(MatView<const T> rows, Span<const std::int32_t> groups, const std::vector<index_t>& segments)
      : rows_(rows) {
    for (std::size_t s = 0; s + 1 < segments.size(); ++s) {
      const index_t begin = segments[s], end = segments[s + 1];
      if (begin == end) continue;
      const auto segment = static_cast<index_t>(s);
      if (groups.empty()) {
        runs_.push_back({segment, 0, begin, end});
      } else {
        add_segment(groups, segment, begin, end);
      }
    }
  }

  index_t size() const { return rows_.rows; }
  const std::vector<RowRun>& runs() const { return runs_; }
  /// The row at a place of the order.
  index_t row(index_t place) const { return order_.empty() ? place : order_[place]; }

  /// Copies the rows into that order, so that tiles never copy again (for the operand that every tile reads).
  void reorder() {
    if (contiguous(0, rows_.rows)) return;
    storage_ = Buffer<T>(rows_.rows * rows_.cols);
    copy(0, rows_.rows, storage_.data());
  }

  /// Computes |row|^2 if u is a squared distance; before the first tile.
  void prepare(KernelArgument argument) {
    if (argument != KernelArgument::squared_distance) return;
    norms_ = Buffer<T>(rows_.rows);
    constexpr index_t values = index_t{1} << 18;
    parallel_chunks(rows_.rows, 1 + values / (1 + rows_.cols), [&](index_t begin, index_t end) {
      for (index_t i = begin; i < end; ++i) {
        const T* x = rows_.row(row(i));
        double sum = 0;
        for (index_t d = 0; d < rows_.cols; ++d) sum += static_cast<double>(x[d]) * x[d];
        norms_[i] = static_cast<T>(sum);
      }
    });
  }

  /// The rows at begin .. end - 1, in place if they lie together, else copied to scratch (end - begin, columns).
  TileRows<T> tile(index_t begin, index_t end, T* scratch) const {
    return {view(begin, end, scratch), norms_.data() ? norms_.data() + begin : nullptr};
  }

 private:
  MatView<const T> view(index_t begin, index_t end, T* scratch) const {
    if (storage_.data()) return {storage_.data() + begin * rows_.cols, end - begin, rows_.cols};
    if (contiguous(begin, end)) return {rows_.row(row(begin)), end - begin, rows_.cols, rows_.stride};
    copy(begin, end, scratch);
    return {scratch, end - begin, rows_.cols};
  }

  bool contiguous(index_t begin, index_t end) const {
    if (order_.empty() || begin == end) return true;
    for (index_t i = begin + 1; i < end; ++i) {
      if (order_[i] != order_[begin] + i - begin) return false;
    }
    return true;
  }

  void copy(index_t begin, index_t end, T* to) const {
    for (index_t i = begin; i < end; ++i) {
      std::memcpy(to + (i - begin) * rows_.cols, rows_.row(row(i)), sizeof(T) * rows_.cols);
    }
  }

  void add_segment(Span<const std::int32_t> groups, index_t segment, index_t begin, index_t end) {
    if (order_.empty()) {
      order_.resize(rows_.rows);
      for (index_t i = 0; i < rows_.rows; ++i) order_[i] = i;
    }
    std::stable_sort(order_.begin() + begin, order_.begin() + end,
                     [&](index_t a, index_t b) { return groups[a] < groups[b]; });
    for (index_t i = begin; i < end; ++i) {
      const std::int32_t group = groups[order_[i]];
      if (i == begin || group != runs_.back().group) runs_.push_back({segment, group, i, i});
      runs_.back().end = i + 1;
    }
  }

  MatView<const T> rows_;
  std::vector<index_t> order_;  // empty: as they are
  std::vector<RowRun> runs_;
  Buffer<T> storage_;           // the reordered rows, if asked for
  Buffer<T> norms_;
};

}  // namespace mercer
