/// Kernels of whole structures, K(A, B), from the local kernels k(x_i, y_j) of the rows of A and of B.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mercer/core/array.hpp"
#include "mercer/kernels/kernel.hpp"

namespace mercer {

/// Rows of several structures, one after the other: rows offsets[s] .. offsets[s + 1] - 1 belong to structure s.
struct StructureRows {
  MatView<const double> features;
  Span<const index_t> offsets;
  /// Where not empty: k = 0 between rows of different groups (centre species).
  Span<const std::int32_t> groups;
  /// Where not empty: weights of the rows, 1 by default.
  Span<const double> weights;

  index_t size() const { return offsets.size - 1; }
};

/// How well iterations converged; of several pairs, together.
struct MatchStatus {
  index_t unconverged = 0;  ///< pairs of structures that stopped before they converged
  double error = 0;         ///< the largest error of marginals among these
  index_t sweeps = 0;       ///< iterations of all pairs
};

/// The local kernels of one pair of structures. `k` has rows of a stride that is a multiple of `block_padding`; what the
/// padding holds does not matter.
struct PairBlock {
  MatView<const double> k;
  const double *x_weights, *y_weights;
};
inline constexpr index_t block_padding = 8;

/// K(A, B) of the local kernels; stateless after construction, called by many threads.
class Matching {
 public:
  virtual ~Matching() = default;
  /// Doubles of scratch that a pair of n and m rows needs.
  virtual index_t scratch_size(index_t n, index_t m) const = 0;
  /// Multiply-adds per local kernel, roughly: how work is shared among threads.
  virtual double cost() const = 0;
  virtual double value(const PairBlock& block, double* scratch, MatchStatus& status) const = 0;
  /// The same, and dk(i, j) = dK / dk(i, j).
  virtual double gradient(const PairBlock& block, MatView<double> dk, double* scratch, MatchStatus& status) const = 0;
};

/// The table of matchings: a new one is one file in src/kernels/structure and one line in its registry.cpp.
struct MatchingEntry {
  std::string name;
  std::vector<std::string> parameters;
  std::unique_ptr<Matching> (*make)(const KernelParameters&);
};
const std::vector<MatchingEntry>& matching_table();

/// @throws std::invalid_argument for an unknown name (listing the known ones), missing or bad parameters.
std::unique_ptr<Matching> make_matching(const std::string& name, const KernelParameters& parameters);

/// out(A, B) = x_factors[A] y_factors[B] K(A, B); empty factors are 1. The local kernels of blocks of structures are
/// made by GEMM, and matched pair by pair; parallel over pairs of blocks, the same for any number of threads. Where X and
/// Y are the same memory, half of K is computed and mirrored. Scratch is, for each thread, the local kernels of the
/// largest pair of structures.
MatchStatus structure_gram(const Kernel& kernel, const Matching& matching, const StructureRows& X,
                           const StructureRows& Y, Span<const double> x_factors, Span<const double> y_factors,
                           MatView<double> out);

/// out[A] = K(A, A).
MatchStatus structure_diagonal(const Kernel& kernel, const Matching& matching, const StructureRows& X,
                               Span<double> out);

/// dX = sum_B dK(A, B) dK(A, B) / dX, and sums[A] = sum_B dK(A, B) K(A, B).
MatchStatus structure_vjp(const Kernel& kernel, const Matching& matching, const StructureRows& X,
                          const StructureRows& Y, MatView<const double> dK, MatView<double> dX, Span<double> sums);

/// dX += weights[A] dK(A, A) / dX, through both operands.
MatchStatus structure_diagonal_vjp(const Kernel& kernel, const Matching& matching, const StructureRows& X,
                                   Span<const double> weights, MatView<double> dX);

}  // namespace mercer
