/// All distances within a cluster of N atoms.
#pragma once

#include "mercer/basis/cutoff.hpp"
#include "mercer/descriptors/clusters.hpp"

namespace mercer {

/// Clusters of N atoms: x = distances (12), (13), .. (1N), (23), ..; the energy is shared by all N. QUIP's descriptor
/// distance_Nb.
/// compact: atom 1 is any atom, atoms 2 .. N distinct neighbours of it, sorted by (element, index, shift), each set once
///   for each atom 1; F = prod_k f_c(r_1k).
/// connected: each set of atoms once in which every atom reaches every other by steps within the cutoff, sorted by
///   (element, index, shift); F = sum over connected graphs g of the N atoms of prod_{e in g} f_c(r_e)
///   prod_{e not in g} (1 - f_c(r_e)).
class ClusterDistances final : public ClusterDescriptor {
 public:
  /// @throws std::invalid_argument for clusters of fewer than 2 or more than 5 atoms
  ClusterDistances(std::vector<std::vector<std::int32_t>> kinds, Cutoff cutoff, bool compact,
                   std::vector<double> scales, std::vector<std::vector<int>> permutations = {});

 private:
  void find(const StructureBatch& structures, const PairList& pairs, index_t centre, ClusterList& found) const override;
  void find_compact(const StructureBatch& structures, const PairList& pairs, index_t centre, ClusterList& found) const;
  void find_connected(const StructureBatch& structures, const PairList& pairs, index_t centre,
                      ClusterList& found) const;
  void measure(const ClusterList& list, index_t begin, index_t end, double* out, double* jacobian) const override;
  double connected_factor(const double* f, double* derivative) const;

  Cutoff cutoff_;
  bool compact_;
  std::vector<unsigned> graphs_;  ///< connected graphs as sets of edges, in the order of the distances
};

}  // namespace mercer
