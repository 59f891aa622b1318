#include "mercer/basis/radial_scaling.hpp"

#include <cmath>

#include "mercer/core/error.hpp"

namespace mercer {

void RadialScaling::validate() const {
  MERCER_REQUIRE(rate >= 0 && std::isfinite(rate), "RadialScaling: expected rate >= 0, got ", rate);
  MERCER_REQUIRE(scale > 0 && std::isfinite(scale), "RadialScaling: expected scale > 0 (Angstrom), got ", scale);
  MERCER_REQUIRE(exponent >= 0 && std::isfinite(exponent), "RadialScaling: expected exponent >= 0, got ", exponent);
}

double RadialScaling::value(double r) const {
  if (exponent == 0) return 1;
  const double power = std::pow(r / scale, exponent);
  return rate == 0 ? 1 / power : rate / (rate + power);
}

double RadialScaling::derivative(double r) const {
  if (exponent == 0) return 0;
  if (rate == 0) return -exponent / r * std::pow(r / scale, -exponent);
  const double below = std::pow(r / scale, exponent - 1);  // (r / scale)^m / (r / scale): finite at r = 0 for m >= 1
  const double sum = rate + below * (r / scale);
  return -rate * exponent * below / (scale * sum * sum);
}

}  // namespace mercer
