/// Derivatives of the power spectrum.
#pragma once

#include <memory>

#include "descriptors/density_jacobian.hpp"
#include "mercer/descriptors/soap.hpp"

namespace mercer {

/// The derivative of a coefficient with respect to a component of a neighbour's vector has rank two in (n, m),
/// dc[lm][n] = U[n] u_a Y_lm + V[n] grad_a Y_lm (Density::PairFactors). Summed over m with the other factor of a product,
/// sum_m dc_m[n] c_m[n'] = U[n] A[n'] + V[n] B[n'], so no derivative of a coefficient is ever formed.
class SoapJacobian final : public DensityJacobian {
 public:
  explicit SoapJacobian(const Soap& soap);
  std::unique_ptr<Scratch> make_scratch() const override;
  index_t most_touched() const override { return most_touched_; }
  index_t n_features() const override { return soap_.n_features(); }
  void touched(const std::vector<int>& present, int g, std::vector<ColumnRun>& runs) const override;
  void start(const Density::Workspace& ws, double* p) const override;
  void fill(const Density::Workspace& ws, int g, Scratch& scratch, double* jacobian, index_t stride) const override;
  void stream(const Density::Workspace& ws, int g, Scratch& scratch, JacobianSink& sink) const override;

 private:
  struct Work;
  template <class Body>
  void for_touched_blocks(const std::vector<int>& present, int g, const Body& body) const;
  /// Writes every row of group g to row(k, a) for gathered neighbour k, from its last block to the first, and calls
  /// block_done(column in the row, block) after each, then row_done().
  template <class Row, class BlockDone, class RowDone>
  void for_rows(const Density::Workspace& ws, int g, Work& work, const Row& row, const BlockDone& block_done,
                const RowDone& row_done) const;
  template <int Lanes>
  void sums_over_m(const Density::Workspace& ws, const Density::PairFactors& factors, Work& work) const;

  const Soap& soap_;
  const Density& density_;
  index_t size_;  ///< of vectors [l][n_pad]
  index_t most_touched_;
};

}  // namespace mercer
