/// Rows of K for energies, forces and virials, and the evaluation of a fitted term: the two users of gradients.
#pragma once

#include "mercer/core/array.hpp"
#include "mercer/descriptors/descriptor.hpp"
#include "mercer/kernels/kernel.hpp"

namespace mercer {

/// Sparse points of a term: rows of features (with the factor as last column where the descriptor has one), and their
/// groups; `match_groups`: rows of different groups do not covary.
struct SparseRows {
  MatView<const double> features;
  Span<const std::int32_t> groups;
  bool match_groups = true;
};

/// Where rows of K go; a view without data is not computed. M = number of sparse points.
struct LabelRows {
  MatView<double> energy;  ///< (n_frames, M): sum over rows of k
  MatView<double> forces;  ///< (3 n_atoms, M): -d energy / d position
  MatView<double> virial;  ///< (9 n_frames, M): -d energy / d strain, row-major 3 x 3
};

/// Writes every element of the views given. Parallel over frames and blocks of sparse points; the same for any number
/// of threads; scratch is a few MB per thread.
/// @throws std::invalid_argument for kernels without a derivative (Laplacian, Matern 1/2) where gradients are asked for.
void label_rows(const Kernel& kernel, const Descriptor& descriptor, const StructureBatch& structures,
                const PairList& pairs, const SparseRows& sparse, const LabelRows& out);

/// Energies of the fitted term sum_m weights[m] k(., x_m): added to the atoms' energies (n_atoms), and where the views
/// have data, dE/dpositions (n_atoms, 3) and dE/dstrain (n_frames, 9) are added too.
void evaluate_term(const Kernel& kernel, const Descriptor& descriptor, const StructureBatch& structures,
                   const PairList& pairs, const SparseRows& sparse, Span<const double> weights, Span<double> energies,
                   MatView<double> dE_dpositions, MatView<double> dE_dstrain);

}  // namespace mercer
