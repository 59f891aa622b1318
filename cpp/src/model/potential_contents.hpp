/// What a model file of a potential holds, and everything that is demanded of it: python/mercer/models/potential_file.py
/// says what the entries mean.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/baselines.hpp"
#include "model/covariance.hpp"
#include "model/model_file.hpp"
#include "model/sparse_term.hpp"

namespace mercer {

struct PotentialContents {
  /// `evaluate` in C++, with standard deviations if they are there; or `check` for a program that takes header and arrays,
  /// and knows baselines that C++ does not.
  enum class Purpose { evaluate, evaluate_with_variance, check };
  /// @throws std::invalid_argument for whatever is missing, unknown, out of its range, or does not fit together.
  PotentialContents(ModelFile& file, Purpose purpose);

  std::string writer;
  std::vector<std::int32_t> species;
  std::vector<double> e0;
  std::vector<SparseTerm> terms;
  std::vector<std::unique_ptr<Baseline>> baselines;
  std::map<std::string, double> calibration;  ///< factors of standard deviations, where not 1
  std::optional<Covariance> covariance;
  double cutoff = 0;
  index_t n_points = 0;

 private:
  void read(ModelFile& file, Purpose purpose);
};

}  // namespace mercer
