/// Kernels of two feature vectors as functions of one number u: their dot product, squared distance or L1 distance.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mercer/core/array.hpp"

namespace mercer {

/// What u is.
enum class KernelArgument {
  dot,               ///< x . y
  squared_distance,  ///< |x - y|^2
  l1_distance        ///< sum_d |x_d - y_d|
};

/// Named parameters, e.g. {{"length_scale", 1.0}}.
using KernelParameters = std::map<std::string, double>;

/// k(u) with unit amplitude; stateless after construction. The virtual calls take many values at once.
class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual KernelArgument argument() const = 0;
  /// k has a gradient with respect to x everywhere, also at x = y: what forces need.
  virtual bool differentiable() const = 0;
  /// Replaces n values of u by k(u).
  virtual void value(double* u, index_t n) const = 0;
  /// The same in single precision (prediction only).
  virtual void value(float* u, index_t n) const = 0;
  /// k(u), k'(u) and k''(u) of n values; any output may be null, none may overlap u. Infinite where singular.
  virtual void derivatives(const double* u, index_t n, double* k, double* dk, double* d2k) const = 0;
};

/// The table of kernels: a new one is one file in src/kernels and one line in its registry.cpp.
struct KernelEntry {
  std::string name;
  std::vector<std::string> parameters;
  std::unique_ptr<Kernel> (*make)(const KernelParameters&);
};
const std::vector<KernelEntry>& kernel_table();

/// @throws std::invalid_argument for an unknown name (listing the known ones), unknown, missing or bad parameters.
std::unique_ptr<Kernel> make_kernel(const std::string& name, const KernelParameters& parameters);

}  // namespace mercer
