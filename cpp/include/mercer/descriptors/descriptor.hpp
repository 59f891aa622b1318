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
  /// Rows in one call of `apply` that cost less together than one by one.
  virtual index_t rows_together() const { return 1; }
  /// For the entries e of rows begin .. end - 1 (counted from the first of them) and a = x, y, z:
  /// out[(3 e + a) * out_stride + q] = sum_F dX(row, F)/dvector(e, a) Q(q, F), and, where `self` is not null,
  /// self[3 e + a] = sum_F dX(row, F)/dvector(e, a) X(row, F).
  virtual void apply(index_t begin, index_t end, Scratch& scratch, double* out, index_t out_stride,
                     double* self) const = 0;
};

/// Frames first_frame .. last_frame - 1 of a batch with all their atoms, or some atoms of one frame.
struct BatchPart {
  index_t first_frame, last_frame;
  index_t begin, end;  ///< atoms, global indices

  static BatchPart all(const StructureBatch& structures) {
    return {0, structures.n_frames(), 0, structures.n_atoms()};
  }
};

/// A descriptor at work on a part of a batch: what its functions share (a list of clusters) is found once. Not to outlive
/// the descriptor, the structures and the pairs.
class BoundDescriptor {
 public:
  virtual ~BoundDescriptor() = default;
  /// The rows whose origins are in the part; offsets of its frames.
  const RowLayout& layout() const { return layout_; }
  /// Writes every element of out (n_rows, n_features).
  virtual void transform(MatView<double> out) const = 0;
  /// Adds the energies of rows to atoms (n_atoms of the whole batch).
  virtual void share(Span<const double> row_energies, Span<double> atom_energies) const = 0;
  /// Adds to dY/dpositions (n_atoms, 3) and dY/dstrain (n_frames, 9) of the whole batch what follows from dY/dX of rows.
  virtual void add_vjp(MatView<const double> dY_dX, MatView<double> dY_dpositions, MatView<double> dY_dstrain) const = 0;
  /// Of the rows of whole frames. Its atoms are counted from `entry_origin()`.
  virtual std::unique_ptr<GradientContraction> contraction(MatView<const double> Q) const = 0;
  virtual index_t entry_origin() const { return 0; }

 protected:
  RowLayout layout_;
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

  /// The descriptor on a part of a batch, of whole frames unless `divides_frames`. By default the functions below run on
  /// a copy of these frames.
  virtual std::unique_ptr<BoundDescriptor> bind(const StructureBatch& structures, const PairList& pairs,
                                                const BatchPart& part) const;
  virtual bool divides_frames() const { return false; }
  /// About how many rows have atoms begin .. end - 1 of one frame as origins.
  virtual index_t estimate_rows(const PairList& pairs, index_t begin, index_t end) const;

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
