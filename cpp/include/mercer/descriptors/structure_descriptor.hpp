/// What descriptors of whole structures share: a row of features for each frame.
#pragma once

#include "mercer/core/parallel.hpp"
#include "mercer/descriptors/descriptor.hpp"

namespace mercer {

/// One row per frame, all in one group. Models of such rows learn energies of frames; forces follow by `vjp`.
class StructureDescriptor : public Descriptor {
 public:
  bool per_atom() const final { return false; }
  /// Every atom of a frame has the same part of the energy of its row.
  void share(const StructureBatch& structures, const PairList& pairs, Span<const double> row_energies,
             Span<double> atom_energies) const final;

  /// Writes d row / d position, every element of out (3 n_atoms, n_features): line 3 i + a is the derivative of the row
  /// of the frame of atom i by component a of its position.
  virtual void gradients(const StructureBatch& structures, const PairList& pairs, MatView<double> out) const = 0;

 protected:
  /// Throws where `differentiable()` is false; `who` names the descriptor.
  void require_differentiable(const char* who) const;
};

/// Calls body(workspace, frame) for all frames in parallel, with one make_workspace() per thread.
template <class MakeWorkspace, class Body>
void for_each_frame(const StructureBatch& structures, const MakeWorkspace& make_workspace, const Body& body) {
  constexpr index_t frames_per_chunk = 4;
  const index_t n = structures.n_frames();
  parallel_for((n + frames_per_chunk - 1) / frames_per_chunk, make_workspace, [&](auto& workspace, index_t chunk) {
    const index_t last = std::min(n, (chunk + 1) * frames_per_chunk);
    for (index_t f = chunk * frames_per_chunk; f < last; ++f) body(workspace, f);
  });
}

}  // namespace mercer
