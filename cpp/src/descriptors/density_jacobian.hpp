/// Derivatives of the rows of a descriptor of the neighbour density with respect to the vectors to the neighbours.
#pragma once

#include <memory>
#include <vector>

#include "descriptors/packed_vectors.hpp"
#include "mercer/density/density.hpp"
#include "mercer/descriptors/descriptor.hpp"
#include "mercer/descriptors/raw_gradients.hpp"

namespace mercer {

/// Where rows of a Jacobian go that are made one at a time, in pieces from the last column to the first: copied from
/// `row`, while they are in a cache, to values[offsets[pair]], three rows a pair, and their products with x to
/// dots[3 pair + a].
class JacobianSink {
 public:
  double* row = nullptr;
  const double* x = nullptr;  ///< all columns
  double* values = nullptr;
  const index_t* offsets = nullptr;
  double* dots = nullptr;     ///< or null
  bool past_caches = false;

  void begin(index_t pair, int a);
  /// row[column ..] is complete; the first n of it are columns feature .. feature + n - 1 of all.
  void complete(index_t column, index_t feature, index_t n);
  void end();

 private:
  double* to_ = nullptr;
  index_t copied_ = 0;  ///< columns from here on
  double sum_ = 0;
  double* dot_ = nullptr;
};

/// Rows before normalisation, p, and their Jacobian, neighbours of one species at a time: these touch some columns only.
class DensityJacobian {
 public:
  class Scratch {
   public:
    virtual ~Scratch() = default;
  };
  virtual ~DensityJacobian() = default;
  virtual std::unique_ptr<Scratch> make_scratch() const = 0;
  /// Most columns that neighbours of one species touch, and columns of a row.
  virtual index_t most_touched() const = 0;
  virtual index_t n_features() const = 0;
  /// The columns that neighbours of group g touch where these channels are present, in order; `first` where groups before g touch none of them.
  virtual void touched(const std::vector<int>& present, int g, std::vector<ColumnRun>& runs) const = 0;
  /// Comes first after Density::expand: writes p as a full row. Scales the coefficients as the other functions want them.
  virtual void start(const Density::Workspace& ws, double* p) const = 0;
  /// jacobian[(3 k + a) * stride + column] = dp / d(vector of neighbour k of group g, a); columns as `touched` says.
  virtual void fill(const Density::Workspace& ws, int g, Scratch& scratch, double* jacobian, index_t stride) const = 0;
  /// The same rows, neighbour after neighbour: each to sink.row.
  virtual void stream(const Density::Workspace& ws, int g, Scratch& scratch, JacobianSink& sink) const = 0;
};

/// The entries of descriptors whose rows are atoms with their neighbours.
RowEntries pair_entries(const PairList& pairs);

/// Base of both ways to contract: rows are atoms, entries are pairs, and normalisation comes last.
class DensityContraction : public GradientContraction {
 public:
  DensityContraction(const Density& density, bool normalize, const StructureBatch& structures, const PairList& pairs)
      : density_(density),
        normalize_(normalize),
        pairs_(pairs),
        species_(density.species_of(structures, pairs)),
        entries_(pair_entries(pairs)) {}
  const RowEntries& entries() const override { return entries_; }

 protected:
  /// Zeros for the pairs of a centre that no coefficient depends on, and in `self`.
  void clear(index_t centre, double* out, index_t stride, index_t n_vectors, double* self) const;
  /// From J q, along = J . p and p_q = p . q to derivatives of normalised rows x = p / |p|,
  /// (J q - (J . x) (x . q)) / |p|; a row of zeros has none. Other rows: `self` is J . p.
  void finish(const Density::Workspace& ws, index_t centre, double norm2, const double* along, const double* p_q,
              double* out, index_t stride, index_t n_vectors, double* self) const;

  const Density& density_;
  bool normalize_;
  const PairList& pairs_;
  std::vector<std::int16_t> species_;
  RowEntries entries_;
};

/// The Jacobian of rows with all columns.
std::unique_ptr<GradientContraction> make_full_jacobian(std::unique_ptr<DensityJacobian> jacobian,
                                                        const Density& density, bool normalize,
                                                        const StructureBatch& structures, const PairList& pairs);

/// `columns`: first column of every block, and their number.
std::unique_ptr<RawGradients> make_raw_gradients(std::unique_ptr<DensityJacobian> jacobian, const Density& density,
                                                 bool normalize, std::vector<index_t> columns,
                                                 const StructureBatch& structures, const PairList& pairs);

/// The Jacobian of a row, then its product with Q.
std::unique_ptr<GradientContraction> make_jacobian_contraction(std::unique_ptr<DensityJacobian> jacobian,
                                                               const Density& density, bool normalize,
                                                               const StructureBatch& structures, const PairList& pairs,
                                                               MatView<const double> Q);

}  // namespace mercer
