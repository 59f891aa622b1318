#include "mercer/model/potential.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <stdexcept>

#include "mercer/core/error.hpp"
#include "mercer/core/parallel.hpp"
#include "mercer/kernels/gram.hpp"
#include "mercer/rows/energy_rows.hpp"
#include "mercer/rows/label_rows.hpp"
#include "model/covariance.hpp"
#include "model/descriptor_table.hpp"
#include "model/model_file.hpp"
#include "rows/frame_pieces.hpp"

namespace mercer {
namespace {

/// Atoms closer than this (Angstrom) are a mistake of the input: MIN_DISTANCE of python/mercer/descriptors/_base.py.
constexpr double min_distance = 1e-3;
/// Numbers held at a time for standard deviations (64 MB), unless one frame has more.
constexpr index_t block_values = index_t{1} << 23;

struct Term {
  std::unique_ptr<Descriptor> descriptor;
  std::unique_ptr<Kernel> kernel;
  double variance;  ///< delta^2
  bool match_species;
  index_t n_points;
  Buffer<double> features;
  std::vector<std::int32_t> groups;
  std::vector<double> weights;  ///< times delta^2

  SparseRows sparse() const { return {points(), groups, match_species}; }
  MatView<const double> points() const { return {features.data(), n_points, descriptor->n_features()}; }
};

Term read_term(ModelFile& file, const Fields& fields, index_t number) {
  fields.allow_only({"descriptor", "kernel", "delta", "n_sparse", "selection", "match_species", "n_points",
                     "n_features"});
  Term term;
  term.descriptor = make_descriptor(fields.object("descriptor"));
  const Fields kernel = fields.object("kernel");
  term.kernel = make_kernel(kernel.text("name"), kernel.named_numbers_except({"name"}));
  const double delta = fields.number("delta");
  MERCER_REQUIRE(delta > 0 && std::isfinite(delta * delta), fields.where(), ": delta = ", delta,
                 ", expected a positive number");
  term.variance = delta * delta;
  term.match_species = fields.flag("match_species");
  term.n_points = fields.integer("n_points", 0);
  const index_t n_features = fields.integer("n_features", 0);
  MERCER_REQUIRE(n_features == term.descriptor->n_features(), fields.where(), ": ", n_features,
                 " features, but its descriptor makes ", term.descriptor->n_features());
  const std::string prefix = concatenate("terms.", number, ".");
  term.features = file.doubles(prefix + "features", {term.n_points, n_features});
  const Buffer<index_t> groups = file.integers(prefix + "species", {term.n_points});
  for (const index_t group : groups.span()) term.groups.push_back(static_cast<std::int32_t>(group));
  const Buffer<double> weights = file.doubles(prefix + "weights", {term.n_points});
  for (const double weight : weights.span()) term.weights.push_back(term.variance * weight);
  return term;
}

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

struct Potential::Contents {
  std::string writer;
  std::vector<std::int32_t> species;
  std::vector<double> e0;
  std::vector<Term> terms;
  std::optional<Covariance> covariance;
  double cutoff = 0;
  index_t n_points = 0;

  Contents(const std::string& path, bool variance);
  std::vector<double> free_atoms(const StructureBatch& structures) const;
  void variances(const StructureBatch& structures, const PairList& pairs, Span<double> of_frames,
                 Span<double> of_atoms) const;
};

Potential::Contents::Contents(const std::string& path, bool variance) {
  ModelFile file(path);
  writer = file.writer();
  const Fields header = file.header();
  const std::string kind = header.text("kind");
  MERCER_REQUIRE(kind == "potential", "holds a '", kind, "', expected a potential");
  MERCER_REQUIRE(!header.has("baseline"), "header: a baseline, which this version does not know");
  const Fields units = header.object("units");
  MERCER_REQUIRE(units.text("energy") == "eV" && units.text("length") == "Angstrom", "units are ",
                 units.text("energy"), " and ", units.text("length"), ", expected eV and Angstrom");
  species = header.integers("species");
  e0 = header.object("e0").numbers("energies");
  MERCER_REQUIRE(species.size() == e0.size(), "header, e0: ", e0.size(), " energies of ", species.size(), " species");
  MERCER_REQUIRE(std::is_sorted(species.begin(), species.end()), "header: species do not rise");
  for (const Fields& fields : header.objects("terms")) {
    terms.push_back(read_term(file, fields, static_cast<index_t>(terms.size())));
    cutoff = std::max(cutoff, terms.back().descriptor->cutoff());
    n_points += terms.back().n_points;
  }
  MERCER_REQUIRE(!terms.empty(), "header: terms is empty");
  if (variance && file.has("covariance.factors")) {
    const std::vector<index_t>& shape = file.shape("covariance.points");
    MERCER_REQUIRE(shape.size() == 1, "array covariance.points: expected one dimension");
    const index_t rank = shape[0];
    covariance.emplace(file.integers("covariance.points", {rank}),
                       file.doubles("covariance.factors", {rank + 1, rank}), n_points);
  }
}

Potential Potential::load(const std::string& path, bool variance) {
  try {
    return Potential(std::make_shared<const Contents>(path, variance));
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
  for (const Term& term : contents_->terms) {
    PairList storage;
    evaluate_term(*term.kernel, *term.descriptor, structures, shortened(pairs, term.descriptor->cutoff(), storage),
                  term.sparse(), term.weights, result.energies, {forces, n_atoms, 3}, {virial, n_frames, 9});
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
    for (double& value : result.energy_std) value = std::sqrt(value);
    for (double& value : result.energies_std) value = std::sqrt(value);
  }
  return result;
}

/// An empty span is not wanted.
void Potential::Contents::variances(const StructureBatch& structures, const PairList& pairs, Span<double> of_frames,
                                    Span<double> of_atoms) const {
  index_t n_features = 0;
  for (const Term& term : terms) {
    MERCER_REQUIRE(!term.descriptor->has_factor(), "potential: standard deviations of cluster terms are not available");
    n_features += term.descriptor->n_features();
  }
  const index_t max_atoms = std::max<index_t>(1, block_values / std::max<index_t>(1, n_features));
  for (index_t first = 0, last; first < structures.n_frames(); first = last) {
    last = first + 1;
    const index_t begin = structures.offsets[first];
    while (last < structures.n_frames() && structures.offsets[last + 1] - begin <= max_atoms) ++last;
    const index_t n = structures.offsets[last] - begin, frames = last - first;
    const StructureBatch part = detail::slice(structures, first, last);
    const PairList part_pairs = detail::slice(pairs, begin, begin + n);
    std::vector<Buffer<double>> features;
    for (const Term& term : terms) {
      PairList storage;
      features.emplace_back(n * term.descriptor->n_features());
      term.descriptor->transform(part, shortened(part_pairs, term.descriptor->cutoff(), storage),
                                 {features.back().data(), n, term.descriptor->n_features()});
    }
    const auto rows_of = [&](std::size_t t, index_t from, index_t count) {
      const index_t width = terms[t].descriptor->n_features();
      return MatView<const double>(features[t].data() + from * width, count, width);
    };
    const auto options = [&](const Term& term, index_t from, index_t count) {
      GramOptions matching;
      if (term.match_species) {
        matching.x_groups = {part.numbers.data() + from, count};
        matching.y_groups = term.groups;
      }
      return matching;
    };
    const auto scale = [](double factor, MatView<double> values) {
      for (index_t i = 0; i < values.rows; ++i) {
        for (index_t j = 0; j < values.cols; ++j) values(i, j) *= factor;
      }
    };

    if (!of_frames.empty()) {
      const Buffer<double> K(frames * n_points), sums(frames);
      std::vector<double> prior(frames, 0.0);
      index_t column = 0;
      for (std::size_t t = 0; t < terms.size(); ++t) {
        const Term& term = terms[t];
        const MatView<double> block(K.data() + column, frames, term.n_points, n_points);
        energy_rows(*term.kernel, rows_of(t, 0, n), part.offsets, term.points(), block, options(term, 0, n));
        scale(term.variance, block);
        self_kernel_sums(*term.kernel, rows_of(t, 0, n), part.offsets, options(term, 0, n).x_groups, sums.span());
        for (index_t f = 0; f < frames; ++f) prior[f] += term.variance * sums[f];
        column += term.n_points;
      }
      covariance->variance({K.data(), frames, n_points}, prior, {of_frames.data + first, frames});
    }

    const index_t max_rows = std::max<index_t>(1, block_values / std::max<index_t>(1, n_points));
    for (index_t from = 0, count; !of_atoms.empty() && from < n; from += count) {
      count = std::min(max_rows, n - from);
      const Buffer<double> K(count * n_points), diagonal(count);
      std::vector<double> prior(count, 0.0);
      index_t column = 0;
      for (std::size_t t = 0; t < terms.size(); ++t) {
        const Term& term = terms[t];
        const MatView<double> block(K.data() + column, count, term.n_points, n_points);
        gram(*term.kernel, rows_of(t, from, count), term.points(), block, options(term, from, count));
        scale(term.variance, block);
        gram_diagonal(*term.kernel, rows_of(t, from, count), diagonal.span());
        for (index_t i = 0; i < count; ++i) prior[i] += term.variance * diagonal[i];
        column += term.n_points;
      }
      covariance->variance({K.data(), count, n_points}, prior, {of_atoms.data + begin + from, count});
    }
  }
}

}  // namespace mercer
