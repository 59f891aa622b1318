#include "mercer/descriptors/descriptor.hpp"

#include "mercer/core/error.hpp"

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

}  // namespace mercer
