/// What every descriptor offers: features of atoms (or structures) and their reverse pass.
#pragma once

#include <memory>
#include <vector>

#include "mercer/core/array.hpp"
#include "mercer/neighbors/pair_list.hpp"
#include "mercer/structure/structure_batch.hpp"

namespace mercer {

/// Which rows of features belong to which frame, and which may covary.
struct RowLayout {
  std::vector<index_t> offsets;       ///< n_frames + 1: rows of frame f are offsets[f] .. offsets[f + 1] - 1
  std::vector<std::int32_t> groups;   ///< n_rows: species of the centre, or number of the species tuple of a cluster

  index_t n_rows() const { return static_cast<index_t>(groups.size()); }
};

/// The atoms whose displacement changes a row, beside its origin. Entries entry_offsets[r] .. entry_offsets[r + 1] - 1 of
/// row r: atom atoms[e] sits at vectors[e] from the origin atom origins[r]. The row depends on these vectors only, so
/// the derivative with respect to the origin is minus the sum over the entries.
struct RowEntries {
  std::vector<index_t> offsets;         ///< n_rows + 1
  std::vector<std::int32_t> origins;    ///< n_rows, global atom index
  Span<const std::int32_t> atoms;       ///< per entry, global atom index
  Span<const Vec3> vectors;             ///< per entry, Angstrom
  std::shared_ptr<const void> storage;  ///< keeps atoms and vectors alive where the pair list does not
};

/// The Jacobian of rows times many vectors at once, prepared for one batch and one matrix Q (n_vectors, n_features):
/// what force rows of a kernel matrix need (Bartok & Csanyi, IJQC 115 (2015) 1051). Shared by threads; scratch is the
/// caller's, one per thread.
class GradientContraction {
 public:
  class Scratch {
   public:
    virtual ~Scratch() = default;
  };
  virtual ~GradientContraction() = default;
  virtual const RowEntries& entries() const = 0;
  virtual std::unique_ptr<Scratch> make_scratch() const = 0;
  /// For the entries e of rows begin .. end - 1 (counted from the first of them) and a = x, y, z:
  /// out[(3 e + a) * out_stride + q] = sum_F dX(row, F)/dvector(e, a) Q(q, F), and, where `self` is not null,
  /// self[3 e + a] = sum_F dX(row, F)/dvector(e, a) X(row, F).
  virtual void apply(index_t begin, index_t end, Scratch& scratch, double* out, index_t out_stride,
                     double* self) const = 0;
};

/// Immutable after construction and safe to share between threads; scratch belongs to the call.
class Descriptor {
 public:
  virtual ~Descriptor() = default;
  /// The cutoff (Angstrom) that the pair list given to the other functions must have; 0 where none is needed, infinity
  /// for all pairs of frames that are not periodic.
  virtual double cutoff() const = 0;
  virtual index_t n_features() const = 0;
  /// A row per atom, or a row per frame.
  virtual bool per_atom() const = 0;

  /// Writes every element of out (rows, n_features), rows = atoms or frames.
  virtual void transform(const StructureBatch& structures, const PairList& pairs, MatView<double> out) const = 0;

  /// Whether rows have derivatives; else `vjp` throws std::invalid_argument.
  virtual bool differentiable() const { return true; }

  /// Where true, the last column of a row is a factor F (covariance cutoff) and the kernel sees the columns x before
  /// it: the covariance of two rows is F F' k(x, x').
  virtual bool has_factor() const { return false; }

  /// Default: a row per atom with its atomic number as group (per_atom), or a row per frame in one group.
  virtual RowLayout rows(const StructureBatch& structures, const PairList& pairs) const;

  /// Adds the energies of rows (n_rows) to the atoms that share them (n_atoms). Default: rows are atoms.
  virtual void share(const StructureBatch& structures, const PairList& pairs, Span<const double> row_energies,
                     Span<double> atom_energies) const;

  /// Q (n_vectors, n_features) must outlive the result, as must structures and pairs.
  /// @throws std::logic_error where the descriptor has no such gradients.
  virtual std::unique_ptr<GradientContraction> contraction(const StructureBatch& structures, const PairList& pairs,
                                                           MatView<const double> Q) const;

  /// The Jacobian itself, as `contraction` with the unit matrix (the default).
  virtual std::unique_ptr<GradientContraction> jacobian(const StructureBatch& structures, const PairList& pairs) const;

  /// The reverse pass: given dY/dX (rows, n_features), writes dY/dpositions (n_atoms, 3) and dY/dstrain
  /// (n_frames, 9, row-major 3 x 3; strain e acts as r -> (1 + e) r on positions and cell vectors).
  virtual void vjp(const StructureBatch& structures, const PairList& pairs, MatView<const double> dY_dX,
                   MatView<double> dY_dpositions, MatView<double> dY_dstrain) const = 0;
};

}  // namespace mercer
