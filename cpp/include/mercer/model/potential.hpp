/// A fitted potential, read from a model file and evaluated without Python.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "mercer/core/array.hpp"
#include "mercer/neighbors/pair_list.hpp"
#include "mercer/structure/structure_batch.hpp"

namespace mercer {

/// What to compute beside energies.
struct PotentialRequest {
  bool forces = true;
  bool virial = true;
  bool energy_std = false;    ///< of the energies of frames
  bool energies_std = false;  ///< of the energies of atoms
};

/// Energies in eV, lengths in Angstrom. What was not asked for is empty.
struct PotentialResult {
  std::vector<double> energy;        ///< n_frames
  std::vector<double> energies;      ///< n_atoms; their sum over a frame is its energy
  std::vector<Vec3> forces;          ///< n_atoms: -dE/dposition, eV/Angstrom
  std::vector<Mat3> virial;          ///< n_frames: -dE/dstrain, eV; stress = -virial / volume, tension positive
  std::vector<double> energy_std;    ///< n_frames
  std::vector<double> energies_std;  ///< n_atoms
};

/// E = sum_i (e0(species of i) + sum_t sum_m w_m delta_t^2 k_t(x_i, x_m)) of the terms t with sparse points x_m, with the
/// baseline that was subtracted before the fit, and its derivatives (Bartok, Payne, Kondor & Csanyi, PRL 104 (2010)
/// 136403). Immutable, cheap to copy, and safe to share
/// between threads. The same numbers as in Python, and the same for any number of threads.
///
///     const mercer::Potential potential = mercer::Potential::load("model.mercer");
///     mercer::StructureBatch frame;
///     frame.append({positions.data(), n_atoms, 3}, numbers, cell, {true, true, true});
///     const mercer::PotentialResult result = potential.evaluate(frame);
class Potential {
 public:
  /// Reads a file that Potential.save or `mercer fit` wrote. Without `variance`, the covariance that standard
  /// deviations need (about M^2 numbers) stays on disk.
  /// @throws std::runtime_error naming the file and the reason: missing, truncated, foreign, of a newer format (with
  ///         the version of mercer that it needs), or with parts that this version does not know.
  static Potential load(const std::string& path, bool variance = true);

  /// The largest cutoff of all terms and baselines, Angstrom: what a neighbour list for `evaluate` must reach.
  double cutoff() const;
  /// Atomic numbers that the potential knows, ascending.
  const std::vector<std::int32_t>& species() const;
  /// Number of terms, and of the sparse points of all of them.
  index_t n_terms() const;
  index_t n_points() const;
  /// Whether standard deviations can be computed.
  bool has_variance() const;
  /// The version of mercer that wrote the file.
  const std::string& writer() const;

  /// @throws std::invalid_argument for an invalid structure, two atoms at one place, an element that the potential does
  ///         not know (naming frame and atom), standard deviations of a potential without covariance, and forces of a
  ///         kernel that has none.
  PotentialResult evaluate(const StructureBatch& structures, const PotentialRequest& request = {}) const;

  /// The same with a neighbour list of the structures, at least as long as cutoff(): for dynamics that of a VerletList.
  PotentialResult evaluate(const StructureBatch& structures, const PairList& pairs,
                           const PotentialRequest& request = {}) const;

  /// The same for one frame: positions (n_atoms, 3), numbers (n_atoms), cell vectors as rows.
  PotentialResult evaluate(MatView<const double> positions, Span<const std::int32_t> numbers, const Mat3& cell,
                           const std::array<bool, 3>& pbc, const PotentialRequest& request = {}) const;

 private:
  struct Contents;
  explicit Potential(std::shared_ptr<const Contents> contents) : contents_(std::move(contents)) {}

  std::shared_ptr<const Contents> contents_;
};

}  // namespace mercer
