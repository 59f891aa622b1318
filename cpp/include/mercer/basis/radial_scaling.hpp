/// The radial scaling u(r): the weight of a neighbour.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace mercer {

/// By name, with x = r / scale:
/// "willatt": 1 for exponent = 0; x^-exponent for rate = 0; else rate / (rate + x^exponent). Willatt, Musil & Ceriotti,
/// PCCP 20 (2018) 29661, eq. 21.
/// "polynomial": (1 + 2 x^3 - 3 x^2)^exponent for x < 1, else 0. Caro, PRB 100 (2019) 024112.
/// "exponential": rate / (rate + exp(-x)), or exp(x) for rate = 0: it grows from rate / (rate + 1) to 1.
struct RadialScaling {
  enum class Kind { willatt, polynomial, exponential };

  double rate = 1.0;      ///< c >= 0
  double scale = 2.0;     ///< r0 > 0, Angstrom
  double exponent = 0.0;  ///< m >= 0; 0 switches "willatt" off
  Kind kind = Kind::willatt;

  /// @throws std::invalid_argument for an unknown name (listing the known ones).
  static Kind kind_of(const std::string& name);
  /// The names, each with the parameters that it takes.
  static const std::map<std::string, std::vector<std::string>>& table();

  /// @throws std::invalid_argument for parameters outside their ranges.
  void validate() const;
  /// Whether u = 1 everywhere.
  bool off() const { return kind == Kind::willatt && exponent == 0; }
  double value(double r) const;
  double derivative(double r) const;
};

}  // namespace mercer
