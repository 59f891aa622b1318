#include "mercer/model/potential.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "mercer/core/error.hpp"
#include "mercer/core/parallel.hpp"
#include "model/potential_contents.hpp"

namespace mercer {
namespace {

/// Finite weights can still make sums that overflow.
template <class T>
void require_finite(const StructureBatch& structures, const char* kind, const std::vector<T>& values, bool per_frame) {
  constexpr std::size_t width = sizeof(T) / sizeof(double);
  const double* numbers = reinterpret_cast<const double*>(values.data());
  for (std::size_t k = 0; k < width * values.size(); ++k) {
    if (std::isfinite(numbers[k])) continue;
    const auto index = static_cast<index_t>(k / width);
    throw std::invalid_argument(concatenate("frame ", per_frame ? index : structures.frame_of(index),
                                            ": the potential gives no finite ", kind, "; its parameters are out of range"));
  }
}

/// Atoms closer than this (Angstrom) are a mistake of the input: MIN_DISTANCE of python/mercer/descriptors/_base.py.
constexpr double min_distance = 1e-3;
/// Numbers per matrix that standard deviations hold at a time (64 MB), unless one frame has more.
constexpr index_t block_values = index_t{1} << 23;

/// The pairs of `all` closer than `cutoff`: what build_pair_list would give.
PairList within(const PairList& all, double cutoff) {
  constexpr index_t centres = 512;
  PairList part;
  part.cutoff = cutoff;
  part.offsets = Buffer<index_t>(all.n_atoms() + 1);
  part.offsets[0] = 0;
  parallel_chunks(all.n_atoms(), centres, [&](index_t begin, index_t end) {
    for (index_t i = begin; i < end; ++i) {
      part.offsets[i + 1] = std::count_if(all.distances.data() + all.offsets[i],
                                          all.distances.data() + all.offsets[i + 1],
                                          [&](double distance) { return distance < cutoff; });
    }
  });
  for (index_t i = 0; i < all.n_atoms(); ++i) part.offsets[i + 1] += part.offsets[i];
  const index_t n = part.offsets[all.n_atoms()];
  part.neighbors = Buffer<std::int32_t>(n);
  part.shifts = Buffer<std::array<std::int32_t, 3>>(n);
  part.vectors = Buffer<Vec3>(n);
  part.distances = Buffer<double>(n);
  parallel_chunks(all.n_atoms(), centres, [&](index_t begin, index_t end) {
    index_t to = part.offsets[begin];
    for (index_t p = all.offsets[begin]; p < all.offsets[end]; ++p) {
      if (!(all.distances[p] < cutoff)) continue;
      part.neighbors[to] = all.neighbors[p];
      part.shifts[to] = all.shifts[p];
      part.vectors[to] = all.vectors[p];
      part.distances[to++] = all.distances[p];
    }
  });
  return part;
}

/// `all`, or its part within `cutoff` in `storage`.
const PairList& shortened(const PairList& all, double cutoff, PairList& storage) {
  if (!(cutoff < all.cutoff)) return all;
  storage = within(all, cutoff);
  return storage;
}

}  // namespace

struct Potential::Contents : PotentialContents {
  using PotentialContents::PotentialContents;
  std::vector<double> free_atoms(const StructureBatch& structures) const;
  void variances(const StructureBatch& structures, const PairList& pairs, Span<double> of_frames,
                 Span<double> of_atoms) const;
};

Potential Potential::load(const std::string& path, bool variance) {
  try {
    ModelFile file(path);
    const auto purpose = variance ? PotentialContents::Purpose::evaluate_with_variance
                                  : PotentialContents::Purpose::evaluate;
    return Potential(std::make_shared<const Contents>(file, purpose));
  } catch (const std::invalid_argument& error) {
    throw std::runtime_error(path + ": " + error.what());
  }
}

double Potential::cutoff() const { return contents_->cutoff; }
const std::vector<std::int32_t>& Potential::species() const { return contents_->species; }
index_t Potential::n_terms() const { return static_cast<index_t>(contents_->terms.size()); }
index_t Potential::n_points() const { return contents_->n_points; }
bool Potential::has_variance() const { return contents_->covariance.has_value(); }
const std::string& Potential::writer() const { return contents_->writer; }

std::vector<double> Potential::Contents::free_atoms(const StructureBatch& structures) const {
  std::vector<double> energies(structures.n_atoms());
  for (index_t i = 0; i < structures.n_atoms(); ++i) {
    const auto found = std::lower_bound(species.begin(), species.end(), structures.numbers[i]);
    if (found == species.end() || *found != structures.numbers[i]) {
      const index_t frame = structures.frame_of(i);
      std::string known;
      for (const std::int32_t number : species) known += (known.empty() ? "" : ", ") + std::to_string(number);
      throw std::invalid_argument(concatenate("frame ", frame, ", atom ", i - structures.offsets[frame],
                                              ": atomic number ", structures.numbers[i],
                                              " is unknown to the potential, which knows ", known));
    }
    energies[i] = e0[found - species.begin()];
  }
  return energies;
}

PotentialResult Potential::evaluate(const StructureBatch& structures, const PotentialRequest& request) const {
  return evaluate(structures, build_pair_list(structures, contents_->cutoff, min_distance), request);
}

PotentialResult Potential::evaluate(MatView<const double> positions, Span<const std::int32_t> numbers,
                                    const Mat3& cell, const std::array<bool, 3>& pbc,
                                    const PotentialRequest& request) const {
  StructureBatch structures;
  structures.append(positions, numbers, cell, pbc);
  return evaluate(structures, request);
}

PotentialResult Potential::evaluate(const StructureBatch& structures, const PairList& pairs,
                                    const PotentialRequest& request) const {
  const index_t n_atoms = structures.n_atoms(), n_frames = structures.n_frames();
  MERCER_REQUIRE(pairs.cutoff >= contents_->cutoff && pairs.n_atoms() == n_atoms, "potential: the pair list has ",
                 pairs.n_atoms(), " atoms and cutoff ", pairs.cutoff, ", expected ", n_atoms, " atoms and at least ",
                 contents_->cutoff);
  const bool std = request.energy_std || request.energies_std;
  MERCER_REQUIRE(!std || contents_->covariance,
                 "potential: it was saved, or loaded, without its covariance: no standard deviations");

  PotentialResult result;
  result.energies = contents_->free_atoms(structures);
  if (request.forces) result.forces.assign(n_atoms, Vec3{});
  if (request.virial) result.virial.assign(n_frames, Mat3{});
  double* forces = result.forces.empty() ? nullptr : result.forces[0].data();
  double* virial = result.virial.empty() ? nullptr : result.virial[0][0].data();
  for (const SparseTerm& term : contents_->terms) {
    PairList storage;
    term.evaluate(structures, shortened(pairs, term.cutoff(), storage), result.energies, {forces, n_atoms, 3},
                  {virial, n_frames, 9});
  }
  for (const auto& baseline : contents_->baselines) {
    baseline->add(structures, pairs, result.energies, {forces, n_atoms, 3}, {virial, n_frames, 9});
  }
  for (index_t k = 0; forces && k < 3 * n_atoms; ++k) forces[k] = -forces[k];
  for (index_t k = 0; virial && k < 9 * n_frames; ++k) virial[k] = -virial[k];
  result.energy.assign(n_frames, 0.0);
  for (index_t f = 0; f < n_frames; ++f) {
    for (index_t i = structures.offsets[f]; i < structures.offsets[f + 1]; ++i) result.energy[f] += result.energies[i];
  }
  if (std) {
    if (request.energy_std) result.energy_std.assign(n_frames, 0.0);
    if (request.energies_std) result.energies_std.assign(n_atoms, 0.0);
    contents_->variances(structures, pairs, result.energy_std, result.energies_std);
    const auto finish = [&](const char* kind, std::vector<double>& values) {
      const auto found = contents_->calibration.find(kind);
      const double factor = found == contents_->calibration.end() ? 1.0 : found->second;
      for (double& value : values) value = factor * std::sqrt(value);
    };
    finish("energy", result.energy_std);
    finish("energies", result.energies_std);
  }
  require_finite(structures, "energies", result.energies, false);
  require_finite(structures, "forces", result.forces, false);
  require_finite(structures, "virial", result.virial, true);
  require_finite(structures, "standard deviations", result.energy_std, true);
  require_finite(structures, "standard deviations", result.energies_std, false);
  return result;
}

/// Adds to spans that are not empty.
void Potential::Contents::variances(const StructureBatch& structures, const PairList& pairs, Span<double> of_frames,
                                    Span<double> of_atoms) const {
  index_t widest = n_points;
  for (const SparseTerm& term : terms) widest = std::max(widest, term.n_features());
  const index_t max_atoms = std::max<index_t>(1, block_values / std::max<index_t>(1, widest));
  for (index_t first = 0, last; first < structures.n_frames(); first = last) {
    const index_t begin = structures.offsets[first];
    last = first + 1;
    while (last < structures.n_frames() && structures.offsets[last + 1] - begin <= max_atoms) ++last;
    const index_t frames = last - first, atoms = structures.offsets[last] - begin;
    const StructureBatch part = structures.slice(first, last);
    const PairList part_pairs = pairs.slice(begin, begin + atoms);
    const auto add = [&](auto rows, auto prior_variance, index_t n, Span<double> out) {
      const Buffer<double> K(n * n_points);
      std::vector<double> prior(n, 0.0);
      index_t column = 0;
      for (const SparseTerm& term : terms) {
        PairList storage;
        const PairList& own = shortened(part_pairs, term.cutoff(), storage);
        (term.*rows)(part, own, {K.data() + column, n, term.n_points(), n_points});
        (term.*prior_variance)(part, own, prior);
        column += term.n_points();
      }
      covariance->variance({K.data(), n, n_points}, prior, out);
    };
    if (!of_frames.empty()) {
      add(&SparseTerm::frame_rows, &SparseTerm::frame_variance, frames, {of_frames.data + first, frames});
    }
    if (!of_atoms.empty()) {
      add(&SparseTerm::atom_rows, &SparseTerm::atom_variance, atoms, {of_atoms.data + begin, atoms});
    }
  }
}

}  // namespace mercer
