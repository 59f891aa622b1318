#include <algorithm>

#include "kernels/kernel_base.hpp"

namespace mercer {
namespace {

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "none" : text;
}

}  // namespace

const std::vector<KernelEntry>& kernel_table() {
  static const std::vector<KernelEntry> table{
      {"linear", {}, make_linear},
      {"polynomial", {"zeta"}, make_polynomial},
      {"gaussian", {"length_scale"}, make_gaussian},
      {"laplacian", {"length_scale"}, make_laplacian},
      {"matern", {"nu", "length_scale"}, make_matern},
      {"rational_quadratic", {"alpha", "length_scale"}, make_rational_quadratic},
  };
  return table;
}

std::unique_ptr<Kernel> make_kernel(const std::string& name, const KernelParameters& parameters) {
  std::vector<std::string> known;
  for (const KernelEntry& entry : kernel_table()) {
    if (entry.name != name) {
      known.push_back(entry.name);
      continue;
    }
    for (const auto& wanted : entry.parameters) {
      MERCER_REQUIRE(parameters.count(wanted), name, ": parameter ", wanted, " is missing; expected ",
                     joined(entry.parameters));
    }
    for (const auto& given : parameters) {
      MERCER_REQUIRE(std::count(entry.parameters.begin(), entry.parameters.end(), given.first), name,
                     ": unknown parameter ", given.first, "; expected ", joined(entry.parameters));
    }
    return entry.make(parameters);
  }
  throw std::invalid_argument(concatenate("kernel: unknown name '", name, "'; known are ", joined(known)));
}

}  // namespace mercer
