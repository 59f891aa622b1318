#include "model/potential_contents.hpp"

#include <algorithm>

#include "mercer/core/error.hpp"

namespace mercer {
namespace {

const std::vector<std::string> label_kinds{"energy", "energies", "forces", "virial"};

void check_units(const Fields& units) {
  units.allow_only({"energy", "length"});
  units.choice("energy", {"eV"});
  units.choice("length", {"Angstrom"});
}

std::vector<std::int32_t> read_species(const Fields& header) {
  const std::vector<std::int32_t> species = header.integers("species");
  bool rising = !species.empty() && species.front() >= 0 && species.back() <= 118;
  for (std::size_t k = 1; k < species.size(); ++k) rising = rising && species[k] > species[k - 1];
  if (!rising) header.wrong("species", "rising atomic numbers");
  return species;
}

std::vector<double> read_e0(const Fields& e0, std::size_t n_species) {
  e0.allow_only({"energies", "sources", "undetermined"});
  const std::vector<double> energies = e0.numbers("energies"), undetermined = e0.matrix("undetermined");
  const std::size_t n_sources = e0.texts("sources").size();
  MERCER_REQUIRE(energies.size() == n_species && n_sources == n_species, e0.where(), ": ", energies.size(),
                 " energies and ", n_sources, " sources of ", n_species, " species");
  MERCER_REQUIRE(undetermined.size() % n_species == 0, e0.where(), ": the directions undetermined have not ", n_species,
                 " numbers each");
  return energies;
}

/// Standard deviations of labels by their kinds.
void check_sigma(const Fields& sigma) {
  sigma.allow_only(label_kinds);
  for (const std::string& kind : sigma.keys()) {
    if (sigma.has(kind)) sigma.positive(kind);
  }
}

/// The options of the fit, which are kept for another one.
void check_parameters(const Fields& parameters) {
  parameters.allow_only({"sigma", "sigma_scaling", "e0", "config_type_sigma", "solver", "seed", "max_selection",
                         "cross_validation", "max_memory", "repulsive"});
  if (parameters.given("sigma")) check_sigma(parameters.object("sigma"));
  parameters.choice("sigma_scaling", {"sqrt", "per_atom", "total"});
  if (parameters.given("config_type_sigma")) {
    for (const Fields& sigma : parameters.object("config_type_sigma").objects_by_name()) check_sigma(sigma);
  }
  if (parameters.given("e0")) {
    if (parameters.is_object("e0")) {
      parameters.named_numbers("e0");
    } else if (!parameters.is_number("e0")) {
      parameters.choice("e0", {"auto", "isolated", "lstsq", "average", "none"});
    }
  }
  parameters.choice("solver", {"whitened", "qr", "normal"});
  if (parameters.count("seed", 0) > 0xFFFFFFFF) parameters.wrong("seed", "an integer up to 4294967295");
  if (parameters.given("max_selection")) parameters.count("max_selection", 1);
  if (parameters.given_or_early("cross_validation")) parameters.count("cross_validation", 0);
  if (parameters.has("repulsive")) parameters.flag("repulsive");
  if (parameters.given_or_early("max_memory") && !parameters.is_text("max_memory")) parameters.positive("max_memory");
}

/// No other arrays than those that were read: they would mean something.
void check_arrays(const ModelFile& file, index_t n_terms) {
  std::vector<std::string> known{"covariance.points", "covariance.factors"};
  for (index_t t = 0; t < n_terms; ++t) {
    for (const char* name : {"features", "species", "origin", "weights"}) {
      known.push_back(concatenate("terms.", t, ".", name));
    }
  }
  for (const std::string& name : file.names()) {
    MERCER_REQUIRE(std::count(known.begin(), known.end(), name), "the array ", name, " is unknown to this version");
  }
}

}  // namespace

PotentialContents::PotentialContents(ModelFile& file, Purpose purpose) : writer(file.writer()) {
  try {
    read(file, purpose);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(concatenate("written by mercer ", writer, ", cannot be used here: ", error.what()));
  }
}

void PotentialContents::read(ModelFile& file, Purpose purpose) {
  const Fields header = file.header();
  const std::string kind = header.text("kind");
  MERCER_REQUIRE(kind == "potential", "holds a '", kind, "', expected a potential");
  header.allow_only({"kind", "units", "parameters", "species", "e0", "terms", "baseline", "calibration",
                     "log_marginal_likelihood", "report"});
  check_units(header.object("units"));
  check_parameters(header.object("parameters"));
  header.number("log_marginal_likelihood");
  header.object("report");
  species = read_species(header);
  e0 = read_e0(header.object("e0"), species.size());

  const bool with_covariance = file.has("covariance.factors") || file.has("covariance.points");
  const bool variance = with_covariance && purpose == Purpose::evaluate_with_variance;
  for (const Fields& fields : header.objects("terms")) {
    terms.emplace_back(file, fields, static_cast<index_t>(terms.size()), variance);
    cutoff = std::max(cutoff, terms.back().cutoff());
    n_points += terms.back().n_points();
  }
  MERCER_REQUIRE(!terms.empty(), "header: terms is empty");
  check_arrays(file, static_cast<index_t>(terms.size()));

  if (header.has("baseline")) {
    for (const Fields& fields : header.objects("baseline")) {
      if (purpose == Purpose::check && fields.text("type") == "calculator") {
        fields.allow_only({"type", "label"});
        fields.text("label");
        continue;
      }
      baselines.push_back(make_baseline(fields));
      cutoff = std::max(cutoff, baselines.back()->cutoff());
    }
  }
  if (header.has("calibration")) {
    calibration = header.named_numbers("calibration");
    for (const auto& factor : calibration) {
      MERCER_REQUIRE(factor.second >= 0, "header, calibration: ", factor.first, " = ", factor.second,
                     ", expected a factor >= 0");
    }
  }
  if (with_covariance) {
    const std::vector<index_t>& shape = file.shape("covariance.points");
    MERCER_REQUIRE(shape.size() == 1, "array covariance.points: expected one dimension");
    const index_t rank = shape[0];
    file.require_shape("covariance.factors", {rank + 1, rank});
    if (purpose != Purpose::evaluate) {
      covariance.emplace(file.integers("covariance.points", {rank}),
                         file.doubles("covariance.factors", {rank + 1, rank}), n_points);
    }
  }
}

ModelContents read_model(const std::string& path) {
  ModelFile file(path);
  const Fields header = file.header();
  if (header.text("kind") == "potential") PotentialContents(file, PotentialContents::Purpose::check);
  ModelContents contents;
  contents.header = file.header_text();
  contents.writer = file.writer();
  for (const std::string& name : file.names()) contents.arrays.push_back(file.array(name));
  return contents;
}

}  // namespace mercer
