#include "mercer/basis/radial_scaling.hpp"

#include <cmath>

#include "mercer/core/error.hpp"

namespace mercer {

const std::map<std::string, std::vector<std::string>>& RadialScaling::table() {
  static const std::map<std::string, std::vector<std::string>> table = {
      {"willatt", {"rate", "scale", "exponent"}}, {"polynomial", {"scale", "exponent"}}, {"exponential", {"rate", "scale"}}};
  return table;
}

RadialScaling::Kind RadialScaling::kind_of(const std::string& name) {
  if (name == "willatt") return Kind::willatt;
  if (name == "polynomial") return Kind::polynomial;
  MERCER_REQUIRE(name == "exponential", "RadialScaling: unknown name '", name,
                 "', expected willatt, polynomial or exponential");
  return Kind::exponential;
}

void RadialScaling::validate() const {
  MERCER_REQUIRE(rate >= 0 && std::isfinite(rate), "RadialScaling: expected rate >= 0, got ", rate);
  MERCER_REQUIRE(scale > 0 && std::isfinite(scale), "RadialScaling: expected scale > 0 (Angstrom), got ", scale);
  MERCER_REQUIRE(exponent >= 0 && std::isfinite(exponent), "RadialScaling: expected exponent >= 0, got ", exponent);
}

double RadialScaling::value(double r) const {
  const double x = r / scale;
  if (kind == Kind::polynomial) return x < 1 ? std::pow((1 - x) * (1 - x) * (1 + 2 * x), exponent) : 0;
  if (kind == Kind::exponential) return rate == 0 ? std::exp(x) : rate / (rate + std::exp(-x));
  if (exponent == 0) return 1;
  const double power = std::pow(x, exponent);
  return rate == 0 ? 1 / power : rate / (rate + power);
}

double RadialScaling::derivative(double r) const {
  const double x = r / scale;
  if (kind == Kind::polynomial) {
    if (!(x < 1)) return 0;
    const double base = (1 - x) * (1 - x) * (1 + 2 * x);
    return -6 * exponent * x * (1 - x) * std::pow(base, exponent - 1) / scale;
  }
  if (kind == Kind::exponential) {
    if (rate == 0) return std::exp(x) / scale;
    const double decay = std::exp(-x);
    return rate * decay / (scale * (rate + decay) * (rate + decay));
  }
  if (exponent == 0) return 0;
  if (rate == 0) return -exponent / r * std::pow(x, -exponent);
  const double below = std::pow(x, exponent - 1);  // x^m / x: finite at r = 0 for m >= 1
  const double sum = rate + below * x;
  return -rate * exponent * below / (scale * sum * sum);
}

}  // namespace mercer
