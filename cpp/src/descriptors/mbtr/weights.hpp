/// Weights w_k of tuples: products of functions of the distances in a tuple.
#pragma once

#include <string>
#include <vector>

#include "batch.hpp"
#include "mercer/descriptors/mbtr.hpp"

namespace mercer::mbtr {

/// A function f(d) that may be a factor of a weight.
struct WeightFunction {
  const char* name;
  std::vector<std::string> parameters;
  /// Writes f, and df/d(distance), of n distances (a multiple of 8).
  void (*evaluate)(const double* parameters, int n, const double* distances, double* f, double* df);
  /// -ln f(d) = power ln d + linear d + quadratic d^2 for d < r_cut, as far as it helps to bound d; f = 0 beyond r_cut
  /// (infinity where there is none).
  void (*decay)(const double* parameters, double& power, double& linear, double& quadratic, double& r_cut);
  /// @throws std::invalid_argument
  void (*check)(const double* parameters);
};

const std::vector<WeightFunction>& weight_functions();

class Weight {
 public:
  Weight(int order, const std::vector<WeightFactor>& factors, double threshold);

  /// Writes w of every tuple, 0 where it is below the threshold, and if asked for its derivatives.
  void evaluate(TupleBatch& batch, bool derivatives) const;

  /// Tuples with a leg longer than this have no weight; infinity where there is no bound.
  double leg_reach() const { return leg_reach_; }
  /// The same of any edge.
  double edge_reach() const { return edge_reach_; }

 private:
  struct Factor {
    const WeightFunction* function;
    std::vector<double> parameters;
    int n_edges;  ///< the first of the edges
  };

  double bound(bool leg) const;

  int order_;
  int n_edges_ = 0;  ///< that any factor looks at
  double threshold_;
  std::vector<Factor> factors_;
  double leg_reach_, edge_reach_;
};

}  // namespace mercer::mbtr
