#include "mercer/descriptors/descriptor.hpp"

#include "mercer/core/error.hpp"
#include "mercer/core/memory.hpp"

namespace mercer {
namespace {

/// The functions of a descriptor on a copy of some frames, or on the batch itself where these are all.
class FrameSlice final : public BoundDescriptor {
 public:
  FrameSlice(const Descriptor& descriptor, const StructureBatch& structures, const PairList& pairs,
             const BatchPart& part)
      : descriptor_(descriptor), part_(part), structures_(&structures), pairs_(&pairs) {
    MERCER_REQUIRE(part.begin == structures.offsets[part.first_frame] && part.end == structures.offsets[part.last_frame],
                   "bind: a part of a frame, where rows of this descriptor belong to whole frames");
    if (part.last_frame - part.first_frame < structures.n_frames()) {
      structures_copy_ = structures.slice(part.first_frame, part.last_frame);
      pairs_copy_ = pairs.slice(part.begin, part.end);
      structures_ = &structures_copy_;
      pairs_ = &pairs_copy_;
    }
    layout_ = descriptor_.rows(*structures_, *pairs_);
  }

  void transform(MatView<double> out) const override { descriptor_.transform(*structures_, *pairs_, out); }
  void share(Span<const double> row_energies, Span<double> atom_energies) const override {
    descriptor_.share(*structures_, *pairs_, row_energies, {atom_energies.data + part_.begin, structures_->n_atoms()});
  }
  void add_vjp(MatView<const double> dY_dX, MatView<double> dY_dpositions, MatView<double> dY_dstrain) const override {
    const index_t n_atoms = structures_->n_atoms(), n_frames = structures_->n_frames();
    const Buffer<double> positions(3 * n_atoms), strain(9 * n_frames);
    descriptor_.vjp(*structures_, *pairs_, dY_dX, {positions.data(), n_atoms, 3}, {strain.data(), n_frames, 9});
    const auto add = [](const Buffer<double>& from, index_t first, MatView<double> to) {
      for (index_t k = 0; k < from.size(); ++k) to(first + k / to.cols, k % to.cols) += from[k];
    };
    add(positions, part_.begin, dY_dpositions);
    add(strain, part_.first_frame, dY_dstrain);
  }
  std::unique_ptr<GradientContraction> contraction(MatView<const double> Q) const override {
    return descriptor_.contraction(*structures_, *pairs_, Q);
  }
  index_t entry_origin() const override { return part_.begin; }

 private:
  const Descriptor& descriptor_;
  BatchPart part_;
  StructureBatch structures_copy_;
  PairList pairs_copy_;
  const StructureBatch* structures_;
  const PairList* pairs_;
};

}  // namespace

std::unique_ptr<BoundDescriptor> Descriptor::bind(const StructureBatch& structures, const PairList& pairs,
                                                  const BatchPart& part) const {
  return std::make_unique<FrameSlice>(*this, structures, pairs, part);
}

index_t Descriptor::estimate_rows(const PairList&, index_t begin, index_t end) const {
  return per_atom() ? end - begin : 1;
}

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
