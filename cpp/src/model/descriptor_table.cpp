#include "model/descriptor_table.hpp"

#include <cmath>

#include "mercer/core/error.hpp"
#include "mercer/descriptors/atom_matrix.hpp"
#include "mercer/descriptors/average_soap.hpp"
#include "mercer/descriptors/bag_of_bonds.hpp"
#include "mercer/descriptors/cluster_distances.hpp"
#include "mercer/descriptors/ewald_matrix.hpp"
#include "mercer/descriptors/inverse_powers.hpp"
#include "mercer/descriptors/mbtr.hpp"
#include "mercer/descriptors/pair_distance.hpp"
#include "mercer/descriptors/radial_spectrum.hpp"
#include "mercer/descriptors/sine_matrix.hpp"
#include "mercer/descriptors/soap.hpp"
#include "mercer/descriptors/triplet.hpp"

namespace mercer {
namespace {

using Made = std::unique_ptr<Descriptor>;

void require_features(const Fields& fields, double found, index_t expected) {
  MERCER_REQUIRE(found == static_cast<double>(expected), fields.where(), ": makes ", found, " features, but the sparse "
                 "points have ", expected);
}

/// What descriptors of the neighbour density share: python/mercer/descriptors/_density.py. `own`: keys beside these.
DensityParameters density(const Fields& fields, int l_max, std::vector<std::string> own) {
  std::vector<std::string> known{
      "type",   "species",      "r_cut",          "n_max",          "sigma",    "radial_basis", "radial_options",
      "cutoff", "cutoff_width", "radial_scaling", "central_weight", "channels", "normalize",    "ignore_unknown",
      "central_in_all_species"};
  known.insert(known.end(), own.begin(), own.end());
  fields.allow_only(known);
  DensityParameters p;
  p.species = fields.integers("species");
  p.radial.n_max = fields.integer("n_max", 1);
  p.radial.l_max = l_max;
  p.radial.r_cut = fields.length("r_cut");
  p.radial.sigma = fields.length("sigma");
  p.radial.width = fields.length("cutoff_width");
  if (fields.given("radial_options")) p.radial.extra = fields.named_numbers("radial_options");
  p.radial_basis = fields.text("radial_basis");
  p.cutoff = fields.text("cutoff");
  if (fields.given("radial_scaling")) {
    const Fields scaling = fields.object("radial_scaling");
    if (scaling.has("name")) p.scaling.kind = RadialScaling::kind_of(scaling.text("name"));
    for (const auto& [key, value] : scaling.named_numbers_except({"name"})) {
      MERCER_REQUIRE(key == "rate" || key == "scale" || key == "exponent", scaling.where(), ": ", key,
                     " is unknown to this version");
      (key == "rate" ? p.scaling.rate : key == "scale" ? p.scaling.scale : p.scaling.exponent) = value;
    }
  }
  p.central_weight = fields.within("central_weight", -1e6, 1e6);
  p.central_in_all_species = fields.given_or_early("central_in_all_species") && fields.flag("central_in_all_species");
  p.ignore_unknown = fields.given_or_early("ignore_unknown") && fields.flag("ignore_unknown");
  if (fields.given("channels")) p.channels = fields.matrix("channels");
  if (fields.flag("normalize") && p.central_weight == 0) {
    fields.wrong("central_weight", "a weight, as rows are normalised: they would jump at the cutoff");
  }
  return p;
}

/// Functions n of all channels.
double n_radial(const DensityParameters& p) {
  const double n_species = static_cast<double>(p.species.size());
  return p.radial.n_max * (p.channels.empty() ? n_species : static_cast<double>(p.channels.size()) / n_species);
}

double n_powers(const DensityParameters& p) { return (p.radial.l_max + 1.0) * n_radial(p) * (n_radial(p) + 1) / 2; }

Made soap(const Fields& fields, index_t n_features) {
  const DensityParameters p = density(fields, fields.integer("l_max", 0), {"l_max"});
  require_features(fields, n_powers(p), n_features);
  return std::make_unique<Soap>(p, fields.flag("normalize"));
}

Made average_soap(const Fields& fields, index_t n_features) {
  std::vector<std::int32_t> centers;
  if (fields.given("centers")) centers = fields.integers("centers");
  const DensityParameters p = density(fields, fields.integer("l_max", 0), {"l_max", "centers"});
  require_features(fields, n_powers(p), n_features);
  return std::make_unique<AverageSoap>(p, fields.flag("normalize"), centers);
}

Made radial_spectrum(const Fields& fields, index_t n_features) {
  const DensityParameters p = density(fields, 0, {});
  require_features(fields, n_radial(p), n_features);
  return std::make_unique<RadialSpectrum>(p, fields.flag("normalize"));
}

/// Elements that nothing is made of, as the kinds of clusters name them.
void check_species(const Fields& fields) {
  const std::vector<std::int32_t> species = fields.integers("species");
  bool rising = !species.empty() && species.front() >= 1 && species.back() <= 118;
  for (std::size_t k = 1; k < species.size(); ++k) rising = rising && species[k] > species[k - 1];
  if (!rising) fields.wrong("species", "rising atomic numbers");
}

/// What descriptors of clusters share: python/mercer/descriptors/_clusters.py. `own`: keys beside these.
struct ClusterParameters {
  std::vector<std::vector<std::int32_t>> kinds;
  Cutoff cutoff;
  std::vector<double> scales;

  ClusterParameters(const Fields& fields, std::vector<std::string> own)
      : kinds(fields.integer_lists("kinds")),
        cutoff(fields.text("cutoff"), fields.length("r_cut"), fields.length("cutoff_width")) {
    own.insert(own.end(), {"type", "species", "r_cut", "kinds", "cutoff", "cutoff_width", "scales"});
    fields.allow_only(own);
    if (fields.given("species")) check_species(fields);
    if (fields.given("scales")) scales = fields.numbers("scales");
  }
};

Made pair_distance(const Fields& fields, index_t) {
  const ClusterParameters p(fields, {"exponents", "tail_exponent", "tail_range"});
  return std::make_unique<PairDistance>(p.kinds, p.cutoff, fields.integers("exponents"), fields.within("tail_exponent", 0, 64),
                                        fields.length("tail_range"), p.scales);
}

Made triplet(const Fields& fields, index_t) {
  const ClusterParameters p(fields, {});
  return std::make_unique<Triplet>(p.kinds, p.cutoff, p.scales);
}

Made cluster_distances(const Fields& fields, index_t) {
  const ClusterParameters p(fields, {"order", "compact", "permutations"});
  std::vector<std::vector<int>> permutations;
  if (fields.given("permutations")) permutations = fields.integer_lists("permutations");
  return std::make_unique<ClusterDistances>(p.kinds, p.cutoff, fields.flag("compact"), p.scales, permutations);
}

template <class Matrix>
Made atom_matrix(const Fields& fields, index_t) {
  fields.allow_only({"type", "n_atoms_max", "permutation", "unit"});
  return std::make_unique<Matrix>(fields.integer("n_atoms_max", 1), fields.text("permutation"), fields.text("unit"));
}

Made inverse_distances(const Fields& fields, index_t) {
  fields.allow_only({"type", "n_atoms_max"});
  return std::make_unique<InverseDistances>(fields.integer("n_atoms_max", 1));
}

Made ewald_matrix(const Fields& fields, index_t) {
  fields.allow_only({"type", "n_atoms_max", "permutation", "accuracy", "weight", "alpha", "real_cutoff",
                     "reciprocal_cutoff"});
  EwaldParameters p;
  p.accuracy = fields.number("accuracy");
  p.weight = fields.number("weight");
  if (fields.given("alpha")) p.alpha = fields.number("alpha");
  if (fields.given("real_cutoff")) p.real_cutoff = fields.number("real_cutoff");
  if (fields.given("reciprocal_cutoff")) p.reciprocal_cutoff = fields.number("reciprocal_cutoff");
  return std::make_unique<EwaldMatrix>(fields.integer("n_atoms_max", 1), fields.text("permutation"), p);
}

Made bag_of_bonds(const Fields& fields, index_t) {
  fields.allow_only({"type", "max_atoms", "diagonal", "unit"});
  std::vector<std::int32_t> species;
  std::vector<int> max_atoms;
  for (const auto& pair : fields.integer_lists("max_atoms")) {
    MERCER_REQUIRE(pair.size() == 2, fields.where(), ", max_atoms: expected pairs of an atomic number and a number");
    species.push_back(pair[0]);
    max_atoms.push_back(pair[1]);
  }
  return std::make_unique<BagOfBonds>(species, max_atoms, fields.flag("diagonal"), fields.text("unit"));
}

Made inverse_powers(const Fields& fields, index_t) {
  fields.allow_only({"type", "species", "pair_powers", "triple_powers", "r_cut", "cutoff", "cutoff_width"});
  std::optional<Cutoff> cutoff;
  if (fields.given("r_cut")) {
    cutoff.emplace(fields.text("cutoff"), fields.length("r_cut"), fields.length("cutoff_width"));
  }
  return std::make_unique<InversePowers>(fields.integers("species"), fields.integers("pair_powers"),
                                         fields.integers("triple_powers"), cutoff);
}

/// A part of an MBTR: python/mercer/descriptors/mbtr.py, MBTRPart.
MbtrPart mbtr_part(const Fields& fields, int order) {
  fields.allow_only({"geometry", "grid", "sigma", "weight", "threshold", "r_cut", "cutoff", "cutoff_width", "broadening",
                     "values", "centered", "normalized"});
  MbtrPart p;
  p.order = order;
  p.geometry = fields.text("geometry");
  const auto grid = fields.numbers("grid");
  constexpr double most_points = 1e6;
  if (grid.size() != 3 || !(grid[2] >= 1 && grid[2] <= most_points) || grid[2] != std::floor(grid[2])) {
    fields.wrong("grid", "first, last, and a number of points up to 1000000");
  }
  p.first = grid[0];
  p.last = grid[1];
  p.n = static_cast<index_t>(grid[2]);
  p.sigma = fields.number("sigma");
  p.broadening = fields.text("broadening");
  p.values = fields.text("values");
  p.centered = fields.flag("centered");
  p.normalized = fields.flag("normalized");
  p.threshold = fields.number("threshold");
  for (const Fields& factor : fields.objects("weight")) {
    p.weights.push_back({factor.text("function"), factor.named_numbers_except({"function", "edges"}),
                         factor.text("edges") == "legs"});
  }
  if (fields.given("r_cut") && order > 1) {
    p.weights.push_back(weight_of_cutoff(fields.text("cutoff"), fields.length("r_cut"), fields.length("cutoff_width")));
  }
  return p;
}

MbtrParameters mbtr_parameters(const Fields& fields, std::vector<std::string> own) {
  own.insert(own.end(), {"type", "species", "k2", "k3", "k4", "correlation", "normalization", "ignore_unknown",
                         "max_tuples"});
  fields.allow_only(own);
  MbtrParameters p;
  p.species = fields.integers("species");
  for (int k = 1; k <= 4; ++k) {
    const std::string name = "k" + std::to_string(k);
    if (fields.has(name)) p.parts.push_back(mbtr_part(fields.object(name), k));
  }
  if (fields.given("correlation")) p.correlation = fields.matrix("correlation");
  p.normalization = fields.text("normalization");
  p.ignore_unknown = fields.flag("ignore_unknown");
  p.max_tuples = fields.number("max_tuples");
  return p;
}

Made mbtr(const Fields& fields, index_t) { return std::make_unique<Mbtr>(mbtr_parameters(fields, {"k1"})); }

Made lmbtr(const Fields& fields, index_t) { return std::make_unique<Lmbtr>(mbtr_parameters(fields, {})); }

struct Entry {
  const char* type;
  Made (*make)(const Fields&, index_t n_features);
};

constexpr Entry table[] = {
    {"SOAP", soap},
    {"AverageSOAP", average_soap},
    {"RadialSpectrum", radial_spectrum},
    {"PairDistance", pair_distance},
    {"Triplet", triplet},
    {"ClusterDistances", cluster_distances},
    {"CoulombMatrix", atom_matrix<CoulombMatrix>},
    {"MBTR", mbtr},
    {"LMBTR", lmbtr},
    {"InverseDistances", inverse_distances},
    {"SineMatrix", atom_matrix<SineMatrix>},
    {"EwaldMatrix", ewald_matrix},
    {"BagOfBonds", bag_of_bonds},
    {"InversePowers", inverse_powers},
};

}  // namespace

Made make_descriptor(const Fields& fields, index_t n_features) {
  const std::string type = fields.text("type");
  if (fields.has("cutoff") && fields.is_text("cutoff") && fields.text("cutoff") == "none") {
    fields.wrong("cutoff", "a smooth cutoff function: rows would jump at the cutoff");
  }
  std::string known;
  for (const Entry& entry : table) {
    if (type == entry.type) {
      Made made = entry.make(fields, n_features);
      require_features(fields, static_cast<double>(made->n_features()), n_features);
      return made;
    }
    known += (known.empty() ? "" : ", ") + std::string(entry.type);
  }
  throw std::invalid_argument(
      concatenate(fields.where(), ": '", type, "' is a descriptor that this version does not know; known are ", known));
}

}  // namespace mercer
