#include <cmath>

#include "mercer/basis/radial_basis.hpp"
#include "mercer/core/error.hpp"
#include "radial.hpp"

namespace mercer {

const std::vector<RadialBasisEntry>& radial_basis_table() {
  static const std::vector<RadialBasisEntry> table = {
      {"gto", {}, radial::gto},
      {"gap", {"basis_error_exponent", "angular_power"}, radial::gap},
      {"gap_polynomial", {"basis_error_exponent"}, radial::gap_polynomial},
      {"gap_gto", {"basis_error_exponent"}, radial::gap_gto},
      {"laplacian", {"radius"}, radial::laplacian},
      {"dscribe_gto", {"radius"}, radial::dscribe_gto},
      {"dscribe_polynomial", {"radius"}, radial::dscribe_polynomial},
      {"featomic_gto", {}, radial::featomic_gto},
  };
  return table;
}

namespace {
std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}
}  // namespace

std::unique_ptr<RadialBasis> make_radial_basis(const std::string& name, const RadialBasisParameters& p) {
  std::vector<std::string> known;
  for (const auto& entry : radial_basis_table()) {
    known.push_back(entry.name);
    if (entry.name != name) continue;
    MERCER_REQUIRE(p.n_max >= 1, "radial basis: expected n_max >= 1, got ", p.n_max);
    MERCER_REQUIRE(p.l_max >= 0, "radial basis: expected l_max >= 0, got ", p.l_max);
    MERCER_REQUIRE(p.r_cut > 0 && std::isfinite(p.r_cut), "radial basis: expected r_cut > 0 (Angstrom), got ", p.r_cut);
    MERCER_REQUIRE(p.sigma > 0 && std::isfinite(p.sigma), "radial basis: expected sigma > 0 (Angstrom), got ", p.sigma);
    MERCER_REQUIRE(p.sigma >= 1e-3 * p.r_cut, "radial basis: sigma = ", p.sigma, " is too narrow for r_cut = ", p.r_cut,
                   ": expected at least r_cut / 1000");
    MERCER_REQUIRE(p.sigma <= 2 * p.r_cut, "radial basis: sigma = ", p.sigma, " is too wide for r_cut = ", p.r_cut,
                   ": expected at most twice r_cut, for nothing is resolved beyond");
    MERCER_REQUIRE(p.width >= 0 && p.width <= p.r_cut, "radial basis: expected a width in [0, r_cut = ", p.r_cut,
                   "] (Angstrom), got ", p.width);
    for (const auto& [key, value] : p.extra) {
      bool taken = false;
      for (const auto& expected : entry.extra) taken = taken || expected == key;
      MERCER_REQUIRE(taken, "radial basis '", name, "': unknown parameter '", key, "', it takes ",
                     entry.extra.empty() ? "none" : joined(entry.extra));
      MERCER_REQUIRE(std::isfinite(value), "radial basis '", name, "': ", key, " = ", value, " is not finite");
    }
    return std::make_unique<RadialBasis>(entry.make(p));
  }
  throw std::invalid_argument("unknown radial basis '" + name + "', expected one of " + joined(known));
}

}  // namespace mercer
