/// Rows of K that labels of whole frames need: sums over the atoms of a frame, made tile by tile, so that the matrix of
/// all atoms against all representative points is never held.
#pragma once

#include "mercer/core/array.hpp"
#include "mercer/kernels/gram.hpp"
#include "mercer/kernels/kernel.hpp"

namespace mercer {

/// out(f, m) = sum over the rows i of frame f (offsets[f] <= i < offsets[f + 1]) of k(X_i, Y_m), with the groups and
/// factors of gram. Scratch is a few tiles per thread; the same for any number of threads.
void energy_rows(const Kernel& kernel, MatView<const double> X, Span<const index_t> offsets, MatView<const double> Y,
                 MatView<double> out, const GramOptions& options = {});

/// out[f] = sum over all rows i, j of frame f with equal groups of k(X_i, X_j): the prior variance of a total energy,
/// for unit amplitude.
void self_kernel_sums(const Kernel& kernel, MatView<const double> X, Span<const index_t> offsets,
                      Span<const std::int32_t> groups, Span<double> out);

}  // namespace mercer
