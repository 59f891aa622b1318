#include "mercer/descriptors/structure_descriptor.hpp"

#include "mercer/core/error.hpp"

namespace mercer {

void StructureDescriptor::share(const StructureBatch& structures, const PairList&, Span<const double> row_energies,
                                Span<double> atom_energies) const {
  for (index_t f = 0; f < structures.n_frames(); ++f) {
    const index_t begin = structures.offsets[f], end = structures.offsets[f + 1];
    for (index_t i = begin; i < end; ++i) atom_energies[i] += row_energies[f] / static_cast<double>(end - begin);
  }
}

void StructureDescriptor::require_differentiable(const char* who) const {
  MERCER_REQUIRE(differentiable(), who, ": the order of the features depends on the positions, so they have no "
                                        "derivatives everywhere; choose a form of fixed order (permutation 'none'), or "
                                        "leave forces, stresses and gradients out");
}

}  // namespace mercer
