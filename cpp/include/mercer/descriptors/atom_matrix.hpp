/// Matrices with a row and a column for every atom of a structure: Coulomb matrix, inverse distances, sine matrix.
#pragma once

#include <string>
#include <vector>

#include "mercer/core/memory.hpp"
#include "mercer/descriptors/structure_descriptor.hpp"

namespace mercer {

/// Of "angstrom" or "bohr", in Angstrom.
double length_unit(const std::string& unit);
/// Z^2.4 / 2, a fit to the energies of free atoms.
double coulomb_diagonal(std::int32_t Z);

/// Symmetric matrices M of n atoms, padded with zeros to n_atoms_max. Subclasses give the elements.
class AtomMatrix : public StructureDescriptor {
 public:
  /// Features: all elements of M row by row, in the order of the atoms, or with rows and columns in descending order of
  /// their Euclidean norms (ties in the order of the atoms); the eigenvalues, by descending magnitude; or the elements
  /// M_ij, i < j, row by row.
  enum class Form { none, sorted_l2, eigenspectrum, pairs };
  /// The form of this name, "none", "sorted_l2" or "eigenspectrum".
  static Form form(const std::string& permutation);

  index_t n_atoms_max() const { return n_max_; }
  index_t n_features() const final;
  bool differentiable() const final { return form_ == Form::none || form_ == Form::pairs; }
  void transform(const StructureBatch& structures, const PairList& pairs, MatView<double> out) const final;
  void vjp(const StructureBatch& structures, const PairList& pairs, MatView<const double> dY_dX,
           MatView<double> dY_dpositions, MatView<double> dY_dstrain) const final;
  void gradients(const StructureBatch& structures, const PairList& pairs, MatView<double> out) const final;

 protected:
  /// @param name  of the descriptor, for messages
  AtomMatrix(const char* name, index_t n_atoms_max, Form form);

  /// Elements of one frame and, where `derivatives`, what they change by.
  struct Elements {
    explicit Elements(bool with_derivatives) : derivatives(with_derivatives) {}

    index_t n = 0;
    bool derivatives;
    std::vector<double> values;     ///< (n, n)
    std::vector<Vec3> positions;    ///< (n, n): of element (i, j) by the position of atom j, minus that by atom i
    std::vector<Mat3> strain;       ///< (n, n)
  };
  /// Writes the diagonal of the Coulomb matrix.
  static void diagonal(const std::int32_t* Z, Elements& out);
  /// Writes the elements i <= j of frame `frame`.
  virtual void elements(const StructureBatch& structures, const PairList& pairs, index_t frame,
                        Elements& out) const = 0;

 private:
  void compute(const StructureBatch& structures, const PairList& pairs, index_t frame, Elements& out) const;
  void write_row(const Elements& elements, double* row) const;
  template <class Use>
  void for_each_column(const Elements& elements, const Use& use) const;

  const char* name_;
  index_t n_max_;
  Form form_;
};

/// M_ii = Z_i^2.4 / 2 and M_ij = Z_i Z_j / r_ij (Rupp et al., Phys. Rev. Lett. 108 (2012) 058301, eq. 1), with distances
/// in Angstrom or bohr; for frames that are not periodic.
class CoulombMatrix final : public AtomMatrix {
 public:
  /// @param unit  "angstrom" or "bohr"
  CoulombMatrix(index_t n_atoms_max, const std::string& permutation, const std::string& unit);
  double cutoff() const override;

 private:
  void elements(const StructureBatch& structures, const PairList& pairs, index_t frame, Elements& out) const override;
  double length_;  ///< of the unit, Angstrom
};

/// 1 / r_ij of all pairs of atoms i < j: what models of the dynamics of one molecule, whose atoms keep their order, are
/// functions of (Chmiela et al., Sci. Adv. 3 (2017) e1603015).
class InverseDistances final : public AtomMatrix {
 public:
  explicit InverseDistances(index_t n_atoms_max);
  double cutoff() const override;

 private:
  void elements(const StructureBatch& structures, const PairList& pairs, index_t frame, Elements& out) const override;
};

}  // namespace mercer
