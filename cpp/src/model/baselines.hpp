/// Potentials that were subtracted before a fit: python/mercer/baselines.py.
#pragma once

#include <memory>

#include "mercer/core/array.hpp"
#include "mercer/neighbors/pair_list.hpp"
#include "mercer/structure/structure_batch.hpp"
#include "model/fields.hpp"

namespace mercer {

class Baseline {
 public:
  virtual ~Baseline() = default;
  /// What a pair list must reach, Angstrom.
  virtual double cutoff() const = 0;
  /// Adds to energies (n_atoms), and where the views have data, to dE/dpositions (n_atoms, 3) and dE/dstrain
  /// (n_frames, 9). The pair list may be longer than the cutoff.
  virtual void add(const StructureBatch& structures, const PairList& pairs, Span<double> energies,
                   MatView<double> dE_dpositions, MatView<double> dE_dstrain) const = 0;
};

/// The table of baselines is in baselines.cpp.
/// @throws std::invalid_argument for an unknown type (listing the known ones), unknown, missing or bad parameters.
std::unique_ptr<Baseline> make_baseline(const Fields& fields);

}  // namespace mercer
