/// What every descriptor offers: features of atoms (or structures) and their reverse pass.
#pragma once

#include "mercer/core/array.hpp"
#include "mercer/neighbors/pair_list.hpp"
#include "mercer/structure/structure_batch.hpp"

namespace mercer {

/// Immutable after construction and safe to share between threads; scratch belongs to the call.
class Descriptor {
 public:
  virtual ~Descriptor() = default;
  /// The cutoff (Angstrom) that the pair list given to the other functions must have; 0 where none is needed.
  virtual double cutoff() const = 0;
  virtual index_t n_features() const = 0;
  /// A row per atom, or a row per frame.
  virtual bool per_atom() const = 0;

  /// Writes every element of out (rows, n_features), rows = atoms or frames.
  virtual void transform(const StructureBatch& structures, const PairList& pairs, MatView<double> out) const = 0;

  /// The reverse pass: given dY/dX (rows, n_features), writes dY/dpositions (n_atoms, 3) and dY/dstrain
  /// (n_frames, 9, row-major 3 x 3; strain e acts as r -> (1 + e) r on positions and cell vectors).
  virtual void vjp(const StructureBatch& structures, const PairList& pairs, MatView<const double> dY_dX,
                   MatView<double> dY_dpositions, MatView<double> dY_dstrain) const = 0;
};

}  // namespace mercer
