#include "setup.hpp"

#include <cmath>

#include "broadening.hpp"
#include "geometry.hpp"
#include "mercer/core/error.hpp"
#include "weights.hpp"

namespace mercer {

std::vector<std::pair<std::string, int>> mbtr_geometries() {
  std::vector<std::pair<std::string, int>> out;
  for (const auto& g : mbtr::geometries()) out.emplace_back(g.name, g.order);
  return out;
}

std::vector<std::pair<std::string, std::vector<std::string>>> mbtr_weights() {
  std::vector<std::pair<std::string, std::vector<std::string>>> out;
  for (const auto& w : mbtr::weight_functions()) out.emplace_back(w.name, w.parameters);
  return out;
}

WeightFactor weight_of_cutoff(const std::string& name, double r_cut, double width) {
  if (name == "none") return {"step", {{"r_cut", r_cut}}, true};
  if (name == "cosine") return {"shifted_cosine", {{"r_cut", r_cut}, {"width", r_cut}}, true};
  return {name, {{"r_cut", r_cut}, {"width", width}}, true};
}

std::vector<std::string> mbtr_broadenings() {
  std::vector<std::string> out;
  for (const auto& shape : mbtr::line_shapes()) out.emplace_back(shape.name);
  return out;
}

}  // namespace mercer

namespace mercer::mbtr {

std::vector<int> element_table(const std::vector<std::int32_t>& species) {
  std::vector<int> table(256, -1);
  MERCER_REQUIRE(!species.empty(), "MBTR: species is empty, expected at least one element");
  for (std::size_t k = 0; k < species.size(); ++k) {
    MERCER_REQUIRE(species[k] > 0 && species[k] < 256, "MBTR: atomic number ", species[k], ", expected 1 to 255");
    MERCER_REQUIRE(k == 0 || species[k] > species[k - 1], "MBTR: species must ascend and differ");
    table[species[k]] = static_cast<int>(k);
  }
  return table;
}

std::vector<std::int32_t> elements_of_atoms(const StructureBatch& structures, const std::vector<int>& table) {
  std::vector<std::int32_t> out;
  out.reserve(structures.numbers.size());
  for (const std::int32_t z : structures.numbers) out.push_back(z >= 0 && z < 256 ? table[z] : -1);
  return out;
}

void check(const MbtrParameters& p) {
  MERCER_REQUIRE(!p.parts.empty(), "MBTR: no parts are given, expected at least one of k = 1, 2, 3, 4");
  MERCER_REQUIRE(p.max_tuples > 0, "max_tuples=", p.max_tuples, ": expected a number > 0");
  MERCER_REQUIRE(p.correlation.size() % p.species.size() == 0, "correlation: ", p.correlation.size(),
                 " numbers, expected rows of ", p.species.size());
  for (const double c : p.correlation) MERCER_REQUIRE(std::isfinite(c), "correlation: ", c, " is not finite");
  for (const MbtrPart& part : p.parts) {
    MERCER_REQUIRE(part.order >= 1 && part.order <= 4, "MBTR: k = ", part.order, ", expected 1 to 4");
  }
}

double list_cutoff(double reach) { return reach * (1 + 1e-9); }

void check_input(const char* who, const StructureBatch& structures, const PairList& pairs, double cutoff,
                 const std::vector<int>& table, bool ignore_unknown) {
  MERCER_REQUIRE(pairs.n_atoms() == structures.n_atoms(), who, ": a pair list of ", pairs.n_atoms(), " atoms for ",
                 structures.n_atoms());
  MERCER_REQUIRE(pairs.cutoff >= cutoff, who, ": a pair list of cutoff ", pairs.cutoff, ", expected at least r_cut = ", cutoff);
  if (ignore_unknown) return;
  for (index_t i = 0; i < structures.n_atoms(); ++i) {
    const std::int32_t z = structures.numbers[i];
    MERCER_REQUIRE(z >= 0 && z < 256 && table[z] >= 0, "frame ", structures.frame_of(i), ": atomic number ", z,
                   " is not among the species of ", who);
  }
}

void require_tuples(index_t frame, int order, double n, double limit) {
  MERCER_REQUIRE(n <= limit, "frame ", frame, ": has ", n, " tuples of k = ", order, " atoms, more than max_tuples=",
                 limit, "; give a shorter r_cut, or raise max_tuples if you mean it");
}

std::string why_it_jumps(const MbtrPart& part) {
  return concatenate("broadening='", part.broadening, "' with values='", part.values, "' (k = ", part.order,
                     ") jumps as atoms move, so there are no gradients; choose values='integral' or "
                     "broadening='normal', or leave forces, stresses and gradients out");
}

double volume(const Mat3& h) {
  return std::abs(h[0][0] * (h[1][1] * h[2][2] - h[1][2] * h[2][1]) - h[0][1] * (h[1][0] * h[2][2] - h[1][2] * h[2][0]) +
                  h[0][2] * (h[1][0] * h[2][1] - h[1][1] * h[2][0]));
}

}  // namespace mercer::mbtr
