/// The radial spectrum: the density averaged over all rotations.
#pragma once

#include "mercer/descriptors/density_descriptor.hpp"
#include "mercer/descriptors/raw_gradients.hpp"

namespace mercer {

/// Features c^a_n00, channel by channel: the invariants of order one (two-body) of the neighbour density, Willatt, Musil
/// & Ceriotti, J. Chem. Phys. 150 (2019) 154110. Rows are normalised unless `normalize` is off; a zero row stays zero.
class RadialSpectrum final : public DensityDescriptor {
 public:
  /// `parameters.radial.l_max` must be 0.
  RadialSpectrum(DensityParameters parameters, bool normalize);

  index_t n_features() const override { return static_cast<index_t>(density_.n_channels()) * density_.n_max(); }

  std::unique_ptr<GradientContraction> contraction(const StructureBatch& structures, const PairList& pairs,
                                                   MatView<const double> Q) const override;
  std::unique_ptr<GradientContraction> jacobian(const StructureBatch& structures, const PairList& pairs) const override;
  /// Prepared for one batch, which must outlive the result.
  std::unique_ptr<RawGradients> raw_gradients(const StructureBatch& structures, const PairList& pairs) const;

 protected:
  void write_rows(const PairList& pairs, Span<const std::int16_t> species, index_t begin, index_t end,
                  MatView<double> out) const override;
  void reverse_rows(const PairList& pairs, Span<const std::int16_t> species, index_t begin, index_t end,
                    MatView<const double> dY_dX, Vec3* pair_gradients) const override;

 private:
  double write_row(const Density::Workspace& ws, double* row) const;

  bool normalize_;
};

}  // namespace mercer
