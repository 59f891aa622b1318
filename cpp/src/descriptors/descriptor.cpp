#include "mercer/descriptors/descriptor.hpp"

#include "mercer/core/error.hpp"
#include "mercer/core/memory.hpp"

namespace mercer {

RowLayout Descriptor::rows(const StructureBatch& structures, const PairList&) const {
  RowLayout layout;
  if (per_atom()) {
    layout.offsets = structures.offsets;
    layout.groups = structures.numbers;
  } else {
    for (index_t f = 0; f <= structures.n_frames(); ++f) layout.offsets.push_back(f);
    layout.groups.assign(structures.n_frames(), 0);
  }
  return layout;
}

void Descriptor::share(const StructureBatch& structures, const PairList&, Span<const double> row_energies,
                       Span<double> atom_energies) const {
  if (!per_atom()) throw std::logic_error("share: rows of this descriptor are not atoms");
  for (index_t i = 0; i < structures.n_atoms(); ++i) atom_energies[i] += row_energies[i];
}

std::unique_ptr<GradientContraction> Descriptor::contraction(const StructureBatch&, const PairList&,
                                                             MatView<const double>) const {
  throw std::logic_error("this descriptor has no gradients of rows");
}

namespace {

/// A contraction with the unit matrix that it owns.
class UnitContraction final : public GradientContraction {
 public:
  UnitContraction(const Descriptor& descriptor, const StructureBatch& structures, const PairList& pairs)
      : unit_(descriptor.n_features() * descriptor.n_features()) {
    const index_t n = descriptor.n_features();
    for (index_t i = 0; i < n * n; ++i) unit_[i] = i % (n + 1) == 0 ? 1.0 : 0.0;
    contraction_ = descriptor.contraction(structures, pairs, {unit_.data(), n, n});
  }
  const RowEntries& entries() const override { return contraction_->entries(); }
  std::unique_ptr<Scratch> make_scratch() const override { return contraction_->make_scratch(); }
  void apply(index_t begin, index_t end, Scratch& scratch, double* out, index_t out_stride, double* self) const override {
    contraction_->apply(begin, end, scratch, out, out_stride, self);
  }

 private:
  Buffer<double> unit_;
  std::unique_ptr<GradientContraction> contraction_;
};

}  // namespace

std::unique_ptr<GradientContraction> Descriptor::jacobian(const StructureBatch& structures, const PairList& pairs) const {
  return std::make_unique<UnitContraction>(*this, structures, pairs);
}

}  // namespace mercer
