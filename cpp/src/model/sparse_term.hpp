/// One term of a fitted potential: python/mercer/models/term.py.
#pragma once

#include <memory>
#include <vector>

#include "mercer/descriptors/descriptor.hpp"
#include "mercer/kernels/kernel.hpp"
#include "mercer/rows/label_rows.hpp"
#include "model/model_file.hpp"

namespace mercer {

/// Basis functions delta^2 k(., x_m) of local energies at the sparse points x_m, with their weights.
class SparseTerm {
 public:
  /// Term `number` of the file, whose description is `fields`. Without `variance`, the last three functions must not be
  /// called.
  SparseTerm(ModelFile& file, const Fields& fields, index_t number, bool variance);

  double cutoff() const { return descriptor_->cutoff(); }
  index_t n_features() const { return descriptor_->n_features(); }
  index_t n_points() const { return static_cast<index_t>(groups_.size()); }

  // All of the following: the pair list has the cutoff of the term or a longer one; what is computed is written into
  // (rows) or added to (the rest) the output.

  /// Energies of atoms (n_atoms), and where the views have data, dE/dpositions (n_atoms, 3), dE/dstrain (n_frames, 9).
  void evaluate(const StructureBatch& structures, const PairList& pairs, Span<double> energies,
                MatView<double> dE_dpositions, MatView<double> dE_dstrain) const;

  /// Covariances of energies of frames with the sparse points: (n_frames, n_points).
  void frame_rows(const StructureBatch& structures, const PairList& pairs, MatView<double> K) const;
  /// The same of energies of atoms: (n_atoms, n_points).
  void atom_rows(const StructureBatch& structures, const PairList& pairs, MatView<double> K) const;
  /// Prior variances of energies of frames, sum_ij k(x_i, x_j) over pairs of their rows: (n_frames).
  void frame_variance(const StructureBatch& structures, const PairList& pairs, Span<double> out) const;
  /// The same of energies of atoms: (n_atoms). Of clusters, that part which the sparse points can express.
  void atom_variance(const StructureBatch& structures, const PairList& pairs, Span<double> out) const;

 private:
  /// Rows of features of a batch.
  struct Rows {
    RowLayout layout;
    Buffer<double> values;
    std::vector<double> factors;  ///< empty where the descriptor has none
  };
  Rows rows(const StructureBatch& structures, const PairList& pairs) const;
  MatView<const double> points() const { return {features_.data(), n_points(), n_features()}; }
  /// Covariance of rows begin .. end - 1 with the sparse points begin_point .. end_point - 1.
  void covariance(const Rows& rows, index_t begin, index_t end, index_t begin_point, index_t end_point,
                  MatView<double> K) const;
  void make_inverse_root();

  std::unique_ptr<Descriptor> descriptor_;
  std::unique_ptr<Kernel> kernel_;
  double variance_;  ///< delta^2
  bool match_species_;
  std::vector<std::int32_t> groups_;
  Buffer<double> features_;
  std::vector<double> factors_;  ///< of the sparse points; empty where the descriptor has none
  std::vector<double> weights_;  ///< times delta^2
  /// Of clusters, V / sqrt(lambda) of K_MM = V diag(lambda) V^T without its smallest lambda: (n_points, rank_).
  Buffer<double> inverse_root_;
  index_t rank_ = 0;
};

}  // namespace mercer
