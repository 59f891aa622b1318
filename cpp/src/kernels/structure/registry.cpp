#include "kernels/kernel_base.hpp"
#include "mercer/kernels/structure_kernel.hpp"

namespace mercer {

// The table: a name and the names of the parameters. src/kernels/structure defines make_<name>.
#define MERCER_MATCHINGS(MATCHING) \
  MATCHING(sum)                    \
  MATCHING(rematch, "gamma", "tolerance", "max_sweeps", "stop_at_scalings")

#define MERCER_DECLARE(name, ...) std::unique_ptr<Matching> make_##name(const KernelParameters&);
MERCER_MATCHINGS(MERCER_DECLARE)

const std::vector<MatchingEntry>& matching_table() {
#define MERCER_ENTRY(name, ...) {#name, {__VA_ARGS__}, make_##name},
  static const std::vector<MatchingEntry> table{MERCER_MATCHINGS(MERCER_ENTRY)};
  return table;
}

std::unique_ptr<Matching> make_matching(const std::string& name, const KernelParameters& parameters) {
  std::string known;
  for (const MatchingEntry& entry : matching_table()) {
    known += (known.empty() ? "" : ", ") + entry.name;
    if (entry.name != name) continue;
    for (const auto& wanted : entry.parameters) {
      MERCER_REQUIRE(parameters.count(wanted), name, ": parameter ", wanted, " is missing");
    }
    MERCER_REQUIRE(parameters.size() == entry.parameters.size(), name, ": ", parameters.size(),
                   " parameters, expected ", entry.parameters.size());
    return entry.make(parameters);
  }
  throw std::invalid_argument(concatenate("matching: unknown name '", name, "'; known are ", known));
}

}  // namespace mercer
