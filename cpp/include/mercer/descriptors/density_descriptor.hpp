/// What descriptors of the neighbour density share: a row per atom, made of the coefficients of its own density.
#pragma once

#include "mercer/density/density.hpp"
#include "mercer/descriptors/descriptor.hpp"

namespace mercer {

class DensityDescriptor : public Descriptor {
 public:
  const Density& density() const { return density_; }
  double cutoff() const final { return density_.parameters().radial.r_cut; }
  bool per_atom() const final { return true; }

  void transform(const StructureBatch& structures, const PairList& pairs, MatView<double> out) const final;
  void vjp(const StructureBatch& structures, const PairList& pairs, MatView<const double> dY_dX,
           MatView<double> dY_dpositions, MatView<double> dY_dstrain) const final;
  std::unique_ptr<BoundDescriptor> bind(const StructureBatch& structures, const PairList& pairs,
                                        const BatchPart& part) const final;
  bool divides_frames() const final { return true; }

 protected:
  explicit DensityDescriptor(DensityParameters parameters) : density_(std::move(parameters)) {}

  /// Rows of centres begin .. end - 1; `species`: Density::species_of the batch.
  virtual void write_rows(const PairList& pairs, Span<const std::int16_t> species, index_t begin, index_t end,
                          MatView<double> out) const = 0;
  /// From dY/dX of these rows, dY/d(vector) of their pairs, of which there are offsets[end] - offsets[begin].
  virtual void reverse_rows(const PairList& pairs, Span<const std::int16_t> species, index_t begin, index_t end,
                            MatView<const double> dY_dX, Vec3* pair_gradients) const = 0;

  Density density_;

 private:
  friend class BoundDensity;
};

}  // namespace mercer
