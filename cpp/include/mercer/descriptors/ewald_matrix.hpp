/// The Ewald sum matrix: electrostatics of a crystal of nuclei, atom by atom.
#pragma once

#include <optional>

#include "mercer/descriptors/atom_matrix.hpp"

namespace mercer {

/// How an Ewald sum is split and where its parts end.
struct EwaldParameters {
  double accuracy = 1e-10;  ///< of terms that are left out, where the cutoffs follow from it
  double weight = 1;        ///< cost of a term of real over one of reciprocal space
  std::optional<double> alpha, real_cutoff, reciprocal_cutoff;  ///< 1/Angstrom, Angstrom, 1/Angstrom
};

/// M_ij = Z_i Z_j [ sum_T erfc(a d) / d + 4 pi / V sum_(G != 0) exp(-G^2 / 4 a^2) / G^2 cos(G . r) - pi / (V a^2) ], with
/// d = |r + T| over all images T of r = r_j - r_i except itself, and M_ii half of that, less a Z_i^2 / sqrt(pi): the sum
/// over i <= j is the energy of a cell of nuclei in a neutralising background (Faber, Lindmaa, von Lilienfeld and
/// Armiento, Int. J. Quantum Chem. 115 (2015) 1094, section 3). It does not depend on a. Z in e, energies in e^2/Angstrom.
/// Where not given, a = sqrt(pi) (n w / V^2)^(1/6), d <= f / a and G <= 2 a f with f = sqrt(-ln accuracy). Derivatives
/// are those of the sums at fixed a.
class EwaldMatrix final : public AtomMatrix {
 public:
  EwaldMatrix(index_t n_atoms_max, const std::string& permutation, const EwaldParameters& parameters);
  double cutoff() const override { return 0; }

 private:
  void elements(const StructureBatch& structures, const PairList& pairs, index_t frame, Elements& out) const override;
  EwaldParameters parameters_;
};

}  // namespace mercer
