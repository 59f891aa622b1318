/// The radial scaling u(r) of Willatt, Musil & Ceriotti, PCCP 20 (2018) 29661, eq. 21: the weight of a neighbour.
#pragma once

namespace mercer {

/// u(r) = 1 for exponent = 0; (r / scale)^-exponent for rate = 0; else rate / (rate + (r / scale)^exponent).
struct RadialScaling {
  double rate = 1.0;      ///< c >= 0
  double scale = 2.0;     ///< r0 > 0, Angstrom
  double exponent = 0.0;  ///< m >= 0; 0 switches the scaling off

  /// @throws std::invalid_argument for parameters outside their ranges.
  void validate() const;
  double value(double r) const;
  double derivative(double r) const;
};

}  // namespace mercer
