#include "mercer/descriptors/density_descriptor.hpp"

#include "mercer/core/error.hpp"

namespace mercer {

/// Some centres of a batch.
class BoundDensity final : public BoundDescriptor {
 public:
  BoundDensity(const DensityDescriptor& descriptor, const StructureBatch& structures, const PairList& pairs,
               const BatchPart& part)
      : descriptor_(descriptor),
        structures_(structures),
        pairs_(pairs),
        part_(part),
        species_(descriptor.density().species_of(structures, pairs)) {
    for (index_t f = part.first_frame; f <= part.last_frame; ++f) {
      layout_.offsets.push_back(std::clamp(structures.offsets[f], part.begin, part.end) - part.begin);
    }
    layout_.groups.assign(structures.numbers.begin() + part.begin, structures.numbers.begin() + part.end);
  }

  void transform(MatView<double> out) const override {
    require_shape(out.rows, out.cols);
    descriptor_.write_rows(pairs_, species_, part_.begin, part_.end, out);
  }

  void share(Span<const double> row_energies, Span<double> atom_energies) const override {
    for (index_t i = part_.begin; i < part_.end; ++i) atom_energies[i] += row_energies[i - part_.begin];
  }

  void add_vjp(MatView<const double> dY_dX, MatView<double> dY_dpositions, MatView<double> dY_dstrain) const override {
    require_shape(dY_dX.rows, dY_dX.cols);
    const Buffer<Vec3> gradients(pairs_.offsets[part_.end] - pairs_.offsets[part_.begin]);
    descriptor_.reverse_rows(pairs_, species_, part_.begin, part_.end, dY_dX, gradients.data());
    scatter_pair_gradients(structures_, pairs_, part_.begin, part_.end, gradients.span(), dY_dpositions, dY_dstrain);
  }

  std::unique_ptr<GradientContraction> contraction(MatView<const double> Q) const override {
    if (part_.end - part_.begin == structures_.n_atoms()) return descriptor_.contraction(structures_, pairs_, Q);
    if (!slice_) slice_ = std::make_unique<Slice>(Slice{structures_.slice(part_.first_frame, part_.last_frame),
                                                        pairs_.slice(part_.begin, part_.end)});
    return descriptor_.contraction(slice_->structures, slice_->pairs, Q);
  }
  index_t entry_origin() const override { return part_.begin; }

 private:
  struct Slice {
    StructureBatch structures;
    PairList pairs;
  };

  void require_shape(index_t rows, index_t cols) const {
    const index_t n = part_.end - part_.begin;
    MERCER_REQUIRE(rows == n && cols == descriptor_.n_features(), "descriptor: rows have shape (", rows, ", ", cols,
                   "), expected (", n, ", ", descriptor_.n_features(), ")");
  }

  const DensityDescriptor& descriptor_;
  const StructureBatch& structures_;
  const PairList& pairs_;
  BatchPart part_;
  std::vector<std::int16_t> species_;
  mutable std::unique_ptr<Slice> slice_;  ///< made for the first contraction
};

std::unique_ptr<BoundDescriptor> DensityDescriptor::bind(const StructureBatch& structures, const PairList& pairs,
                                                         const BatchPart& part) const {
  return std::make_unique<BoundDensity>(*this, structures, pairs, part);
}

void DensityDescriptor::transform(const StructureBatch& structures, const PairList& pairs, MatView<double> out) const {
  bind(structures, pairs, BatchPart::all(structures))->transform(out);
}

void DensityDescriptor::vjp(const StructureBatch& structures, const PairList& pairs, MatView<const double> dY_dX,
                            MatView<double> dY_dpositions, MatView<double> dY_dstrain) const {
  fill(dY_dpositions, 0.0);
  fill(dY_dstrain, 0.0);
  bind(structures, pairs, BatchPart::all(structures))->add_vjp(dY_dX, dY_dpositions, dY_dstrain);
}

}  // namespace mercer
