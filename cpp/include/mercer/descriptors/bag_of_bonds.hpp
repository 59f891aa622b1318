/// Bags of bonds.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "mercer/descriptors/structure_descriptor.hpp"

namespace mercer {

/// The elements of the Coulomb matrix in bags, one for each pair of elements a <= b and, where wanted, before them one
/// for the diagonal elements of each element; sorted within a bag, largest first, and padded with zeros (Hansen et al.,
/// J. Phys. Chem. Lett. 6 (2015) 2326). For frames that are not periodic.
class BagOfBonds final : public StructureDescriptor {
 public:
  /// @param species    rising atomic numbers
  /// @param max_atoms  of each species, the room of the bags
  /// @param unit       of distances: "angstrom" or "bohr"
  BagOfBonds(std::vector<std::int32_t> species, std::vector<int> max_atoms, bool diagonal, const std::string& unit);

  double cutoff() const override;
  index_t n_features() const override { return columns_.back(); }
  bool differentiable() const override { return false; }
  void transform(const StructureBatch& structures, const PairList& pairs, MatView<double> out) const override;
  /// Both throw.
  void vjp(const StructureBatch& structures, const PairList& pairs, MatView<const double> dY_dX,
           MatView<double> dY_dpositions, MatView<double> dY_dstrain) const override;
  void gradients(const StructureBatch& structures, const PairList& pairs, MatView<double> out) const override;

 private:
  std::array<int, 128> species_index_{};
  std::vector<int> max_atoms_;
  bool diagonal_;
  double length_;
  std::vector<index_t> bags_;     ///< bag of a, b, n_species^2
  std::vector<index_t> columns_;  ///< first column of every bag, and n_features
};

}  // namespace mercer
