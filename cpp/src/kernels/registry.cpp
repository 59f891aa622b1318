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

// The table: a name and the names of the parameters, of which "offset" may be missing. src/kernels/<name>.cpp defines make_<name>.
#define MERCER_KERNELS(KERNEL)      \
  KERNEL(linear)                    \
  KERNEL(polynomial, "zeta", "offset") \
  KERNEL(gaussian, "length_scale", "offset") \
  KERNEL(laplacian, "length_scale") \
  KERNEL(matern, "nu", "length_scale") \
  KERNEL(rational_quadratic, "alpha", "length_scale")

#define MERCER_DECLARE(name, ...) std::unique_ptr<Kernel> make_##name(const KernelParameters&);
MERCER_KERNELS(MERCER_DECLARE)

const std::vector<KernelEntry>& kernel_table() {
#define MERCER_ENTRY(name, ...) {#name, {__VA_ARGS__}, make_##name},
  static const std::vector<KernelEntry> table{MERCER_KERNELS(MERCER_ENTRY)};
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
      MERCER_REQUIRE(parameters.count(wanted) || wanted == "offset", name, ": parameter ", wanted, " is missing; expected ",
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
