/// Triangles of a centre and two of its neighbours: what three-body terms of a potential are functions of.
#pragma once

#include "mercer/basis/cutoff.hpp"
#include "mercer/descriptors/clusters.hpp"

namespace mercer {

/// For every centre i and every two of its neighbours j, k within the cutoff, once: x = (r_ij + r_ik, (r_ij - r_ik)^2,
/// r_jk), F = f_c(r_ij) f_c(r_ik); the energy belongs to i. Bartok & Csanyi, Int. J. Quantum Chem. 115 (2015) 1051,
/// section 4.2. QUIP's descriptor angle_3b, which counts every triangle of a centre twice.
class Triplet final : public ClusterDescriptor {
 public:
  /// @param kinds  element of the centre, then those of the neighbours in any order
  Triplet(std::vector<std::vector<std::int32_t>> kinds, Cutoff cutoff, std::vector<double> scales);

 private:
  void find(const StructureBatch& structures, const PairList& pairs, index_t centre, ClusterList& found) const override;
  void measure(const ClusterList& list, index_t begin, index_t end, double* out, double* jacobian) const override;

  Cutoff cutoff_;
};

}  // namespace mercer
