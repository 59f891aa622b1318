/// The distance of two atoms: what two-body terms of a potential are functions of.
#pragma once

#include "mercer/basis/cutoff.hpp"
#include "mercer/descriptors/clusters.hpp"

namespace mercer {

/// Every bond once: x = (r^e1, r^e2, ...), F = f_c(r) (erf(rho r) / r)^q; the energy is shared by both atoms.
/// QUIP's descriptor distance_2b, which counts every bond twice.
class PairDistance final : public ClusterDescriptor {
 public:
  /// @param exponents   e, not 0
  /// @param tail_exponent, tail_range  q >= 0 (0: no tail) and rho > 0 (1 / Angstrom)
  PairDistance(std::vector<std::vector<std::int32_t>> kinds, Cutoff cutoff, std::vector<int> exponents,
               double tail_exponent, double tail_range, std::vector<double> scales);

 private:
  void find(const StructureBatch& structures, const PairList& pairs, index_t centre, ClusterList& found) const override;
  void measure(const ClusterList& list, index_t begin, index_t end, double* out, double* jacobian) const override;

  Cutoff cutoff_;
  std::vector<int> exponents_;
  double tail_exponent_, tail_range_;
};

}  // namespace mercer
