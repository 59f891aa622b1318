/// The SOAP power spectrum.
#pragma once

#include <utility>
#include <vector>

#include "mercer/descriptors/density_descriptor.hpp"
#include "mercer/descriptors/raw_gradients.hpp"

namespace mercer {

/// p^{ab}_{nn'l} = (2l + 1)^(-1/2) sum_m c^a_nlm c^b_n'lm of the density coefficients of every atom
/// (Bartok, Kondor & Csanyi, PRB 87 (2013) 184115; Willatt, Musil & Ceriotti, PCCP 20 (2018) 29661, eq. 7), packed so
/// that dot products equal those of the full spectrum: a block for each pair of channels a <= b, slowest; within a
/// block l, then n, then n'. Blocks a < b hold all (n, n') times sqrt(2); blocks a = a hold n <= n', with sqrt(2) where
/// n < n'. Rows are normalised unless `normalize` is off; a zero row stays zero.
class Soap final : public DensityDescriptor {
 public:
  Soap(DensityParameters parameters, bool normalize);

  index_t n_features() const override { return offsets_.back(); }
  index_t n_blocks() const { return static_cast<index_t>(blocks_.size()); }
  /// Channels (a, b) of a block.
  std::pair<int, int> block(index_t index) const { return blocks_[index]; }
  /// First feature of every block, and n_features: n_blocks + 1.
  Span<const index_t> block_offsets() const { return offsets_; }

  std::unique_ptr<GradientContraction> contraction(const StructureBatch& structures, const PairList& pairs,
                                                   MatView<const double> Q) const override;
  std::unique_ptr<GradientContraction> jacobian(const StructureBatch& structures, const PairList& pairs) const override;
  /// Prepared for one batch, which must outlive the result.
  std::unique_ptr<RawGradients> raw_gradients(const StructureBatch& structures, const PairList& pairs) const;
  /// The two orders of the sums over features and coefficients: the Jacobian of the rows, then its product with Q; or Q
  /// contracted with the coefficients first, at a cost for each pair that does not grow with the number of species. The
  /// function above takes the one with fewer multiplications.
  enum class Order { rows_first, coefficients_first };
  std::unique_ptr<GradientContraction> contraction(const StructureBatch& structures, const PairList& pairs,
                                                   MatView<const double> Q, Order order) const;

  /// The rows without the blocks that are zero because a channel is absent around the atom. Atom i has the blocks
  /// blocks[atom_offsets[i]] .. blocks[atom_offsets[i + 1] - 1], ascending; block k holds
  /// values[value_offsets[k]] .. values[value_offsets[k + 1] - 1].
  struct SparseRows {
    Buffer<index_t> atom_offsets;   ///< n_atoms + 1
    Buffer<std::int32_t> blocks;
    Buffer<index_t> value_offsets;  ///< number of blocks + 1
    Buffer<double> values;
  };
  SparseRows transform_blocks(const StructureBatch& structures, const PairList& pairs) const;

 protected:
  void write_rows(const PairList& pairs, Span<const std::int16_t> species, index_t begin, index_t end,
                  MatView<double> out) const override;
  void reverse_rows(const PairList& pairs, Span<const std::int16_t> species, index_t begin, index_t end,
                    MatView<const double> dY_dX, Vec3* pair_gradients) const override;

 private:
  friend class SoapJacobian;
  struct Scratch;
  index_t block_index(int a, int b) const {
    return static_cast<index_t>(a) * (2 * density_.n_channels() - a + 1) / 2 + b - a;
  }
  Scratch make_scratch(bool reverse) const;
  /// Of one row.
  double flops() const { return 2.0 * static_cast<double>(n_features()) * (density_.l_max() + 1); }
  bool norm_first() const { return normalize_ && density_.n_channels() > 1; }
  double transpose_coefficients(const Density::Workspace& ws, Scratch& scratch) const;
  void prepare(const Density::Workspace& ws, Scratch& scratch) const;
  void scale_coefficients(const Density::Workspace& ws, double factor) const;
  void write_blocks(const Density::Workspace& ws, double* out) const;
  void write_row(const Density::Workspace& ws, double* out) const;
  void adjoints(const Density::Workspace& ws, Scratch& scratch, const double* dY_dX) const;

  bool normalize_;
  std::vector<std::pair<int, int>> blocks_;
  std::vector<index_t> offsets_;
  std::vector<double> l_factor_;    ///< (2l + 1)^(-1/4)
  std::vector<index_t> l_offsets_;  ///< where l begins in the transposed coefficients [l][n][m] of a channel
};

}  // namespace mercer
