/// The sine matrix: a Coulomb matrix of crystals.
#pragma once

#include "mercer/descriptors/atom_matrix.hpp"

namespace mercer {

/// M_ii = Z_i^2.4 / 2 and M_ij = Z_i Z_j / |u|, u = sum_k sin^2(pi f_k) b_k, with the cell vectors b_k and f the fractional
/// coordinates of r_j - r_i (Faber, Lindmaa, von Lilienfeld and Armiento, Int. J. Quantum Chem. 115 (2015) 1094). Frames
/// must be periodic in all directions.
class SineMatrix final : public AtomMatrix {
 public:
  /// @param unit  of |u|: "angstrom" or "bohr"
  SineMatrix(index_t n_atoms_max, const std::string& permutation, const std::string& unit);
  double cutoff() const override { return 0; }

 private:
  void elements(const StructureBatch& structures, const PairList& pairs, index_t frame, Elements& out) const override;
  double length_;
};

}  // namespace mercer
