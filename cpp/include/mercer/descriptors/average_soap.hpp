/// The SOAP power spectrum of the density around the atoms of a structure on average.
#pragma once

#include <vector>

#include "mercer/density/density.hpp"
#include "mercer/descriptors/structure_descriptor.hpp"

namespace mercer {

/// A row per frame: the power spectrum, as `Soap` packs it, of the mean of c_nlm over the centres of a frame ("inner
/// average"; De, Bartok, Csanyi & Ceriotti, PCCP 18 (2016) 13754, who average the kernels instead). It sees less than the
/// mean of the spectra, as the environments of all atoms keep their common orientation.
class AverageSoap final : public StructureDescriptor {
 public:
  /// @param centers  atomic numbers of the atoms that are centres; empty: all
  AverageSoap(DensityParameters parameters, bool normalize, std::vector<std::int32_t> centers);

  const Density& density() const { return density_; }
  double cutoff() const override { return density_.parameters().radial.r_cut; }
  index_t n_features() const override { return n_features_; }
  void transform(const StructureBatch& structures, const PairList& pairs, MatView<double> out) const override;
  void vjp(const StructureBatch& structures, const PairList& pairs, MatView<const double> dY_dX,
           MatView<double> dY_dpositions, MatView<double> dY_dstrain) const override;
  void gradients(const StructureBatch& structures, const PairList& pairs, MatView<double> out) const override;

 private:
  /// Doubles of coefficients, [channel][lm][n].
  index_t size() const { return static_cast<index_t>(density_.n_channels()) * density_.n_lm() * density_.n_max(); }
  bool is_center(std::int32_t number) const;
  /// Mean coefficients of a frame, and the number of centres.
  index_t mean(const StructureBatch& structures, const PairList& pairs, Span<const std::int16_t> species, index_t frame,
               Density::Workspace& ws, double* c) const;
  /// Calls use(column, l, factor, x, y) for x, y = index of the coefficients (m = -l) of (a, n) and (b, n') in every column,
  /// whose sum over m of products times the factor is the feature.
  template <class Use>
  void for_each_feature(const Use& use) const;
  /// row = p(c, d), symmetrised: the derivative of p along d at c where d is not c.
  void spectrum(const double* c, const double* d, double* row) const;

  Density density_;
  bool normalize_;
  std::vector<std::int32_t> centers_;
  index_t n_features_;
};

}  // namespace mercer
