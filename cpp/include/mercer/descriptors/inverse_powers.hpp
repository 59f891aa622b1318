/// Sums of inverse powers of distances over pairs and triples of atoms.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "mercer/basis/cutoff.hpp"
#include "mercer/descriptors/structure_descriptor.hpp"

namespace mercer {

/// With p_m(d) = d^-m f_c(d): for each pair of elements a <= b and each power m, the sum over all pairs of such atoms of
/// p_m(d_12); for each triple of elements a <= b <= c and powers m1, m2, m3, the sum over all triples of atoms (1, 2, 3)
/// with these elements in this order of p_m1(d_12) p_m2(d_13) p_m3(d_23), where exchanges of atoms of one element count
/// separately and features that are equal for this reason are there once: F_2B + F_3B of W. Pronobis, A. Tkatchenko and
/// K.-R. Mueller, J. Chem. Theory Comput. 14 (2018) 2991. In periodic frames, sums per cell.
class InversePowers final : public StructureDescriptor {
 public:
  /// @param species  rising atomic numbers
  /// @param pair_powers, triple_powers  m, rising, from 1 to 64; the latter may be empty
  /// @param cutoff  f_c; none: 1, and frames must not be periodic
  InversePowers(std::vector<std::int32_t> species, std::vector<int> pair_powers, std::vector<int> triple_powers,
                std::optional<Cutoff> cutoff);

  double cutoff() const override;
  index_t n_features() const override { return n_features_; }
  void transform(const StructureBatch& structures, const PairList& pairs, MatView<double> out) const override;
  void vjp(const StructureBatch& structures, const PairList& pairs, MatView<const double> dY_dX,
           MatView<double> dY_dpositions, MatView<double> dY_dstrain) const override;
  void gradients(const StructureBatch& structures, const PairList& pairs, MatView<double> out) const override;

 private:
  /// What exchanges of the atoms of a triple leave its elements as they are: numbers of the cases.
  enum Likeness { all_differ, first_two, last_two, all_same };
  /// The products p_m1 p_m2 p_m3 of a triple with one likeness: by place, powers and the column that they add to.
  struct Products {
    struct Term {
      std::array<int, 3> powers;  ///< places in triple_powers
      index_t column;
      double weight;
    };
    std::vector<Term> terms;
    index_t n_columns = 0;
  };
  struct Edge;
  struct Scratch;

  static Products products(Likeness likeness, int n_powers);
  void powers(const std::vector<int>& exponents, double distance, bool derivatives, double* values,
              double* slopes) const;
  template <class Use>
  void visit(const StructureBatch& structures, const PairList& pairs, index_t frame, bool derivatives, Scratch& scratch,
             const Use& use) const;
  template <class Use>
  void visit_triples(const StructureBatch& structures, const PairList& pairs, index_t centre, bool derivatives,
                     Scratch& scratch, const Use& use) const;

  std::array<int, 128> species_index_{};  ///< of an atomic number, -1 where it does not occur
  index_t n_species_;
  std::vector<int> pair_powers_, triple_powers_;
  std::optional<Cutoff> cutoff_;
  std::array<Products, 4> products_;
  std::vector<index_t> pair_columns_;    ///< first column of a, b (a <= b), n_species^2
  std::vector<index_t> triple_columns_;  ///< first column of a, b, c (a <= b <= c), n_species^3
  index_t n_features_ = 0;
};

}  // namespace mercer
