/// The sparse points of a term in the order in which tiles want them, and checks that the two users share.
#pragma once

#include <numeric>
#include <vector>

#include "kernels/grouped_rows.hpp"
#include "mercer/core/error.hpp"
#include "mercer/rows/label_rows.hpp"

namespace mercer {

/// Columns of features that the kernel sees.
inline index_t kernel_columns(const Descriptor& descriptor) {
  return descriptor.n_features() - (descriptor.has_factor() ? 1 : 0);
}

inline MatView<const double> kernel_view(const Descriptor& descriptor, MatView<const double> rows) {
  return {rows.data, rows.rows, kernel_columns(descriptor), rows.stride};
}

/// Groups to match, or none.
inline Span<const std::int32_t> matched(Span<const std::int32_t> groups, bool match) {
  return match ? groups : Span<const std::int32_t>();
}

/// Sparse points sorted by group; place j of the order is point row(j).
struct SparseSide {
  SparseSide(const char* who, const Kernel& kernel, const Descriptor& descriptor, const SparseRows& sparse)
      : rows(kernel_view(descriptor, checked(who, descriptor, sparse).features),
             matched(sparse.groups, sparse.match_groups), {0, sparse.features.rows}) {
    rows.reorder();
    rows.prepare(kernel.argument());
    for (index_t j = 0; j < sparse.features.rows; ++j) {
      factors.push_back(descriptor.has_factor() ? sparse.features(rows.row(j), sparse.features.cols - 1) : 1.0);
    }
  }

  /// The places of the points that rows of a group covary with: one run, empty where there are none.
  RowRun run(std::int32_t group, bool match) const {
    for (const RowRun& run : rows.runs()) {
      if (!match || run.group == group) return run;
    }
    return {0, group, 0, 0};
  }

  GroupedRows<double> rows;
  std::vector<double> factors;  ///< by place; 1 where the descriptor has none

 private:
  static const SparseRows& checked(const char* who, const Descriptor& descriptor, const SparseRows& sparse) {
    MERCER_REQUIRE(sparse.features.cols == descriptor.n_features(), who, ": sparse rows have ", sparse.features.cols,
                   " features, the descriptor gives ", descriptor.n_features());
    MERCER_REQUIRE(!sparse.match_groups || sparse.groups.size == sparse.features.rows, who, ": ", sparse.groups.size,
                   " groups for ", sparse.features.rows, " sparse rows");
    return sparse;
  }
};

inline void require_differentiable(const char* who, const Kernel& kernel) {
  MERCER_REQUIRE(kernel.differentiable(), who,
                 ": the kernel has no derivative at coinciding points (laplacian, matern with nu = 1/2, polynomial with "
                 "a fractional zeta below 1); choose another one, or leave out forces and virials");
}

}  // namespace mercer
