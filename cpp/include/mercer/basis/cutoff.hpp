/// Cutoff functions f_c(r): 1 near the centre, 0 from r_cut on.
#pragma once

#include <string>
#include <vector>

#include "mercer/core/array.hpp"

namespace mercer {

/// f_c(r) and its derivative. `width` is the transition width (Angstrom): f_c = 1 for r <= r_cut - width.
/// Names: "shifted_cosine" (1/2 [1 + cos(pi (r - r_cut + width) / width)], C1), "cosine" (the same with width = r_cut),
/// "polynomial" (1 - 35 x^4 + 84 x^5 - 70 x^6 + 20 x^7, x = (r - r_cut + width) / width, C3), "none" (a sharp step).
class Cutoff {
 public:
  /// "cosine" and "none" do not use `width`.
  /// @throws std::invalid_argument for an unknown name, r_cut <= 0, or a width outside (0, r_cut].
  Cutoff(const std::string& name, double r_cut, double width);

  double r_cut() const { return r_cut_; }
  /// r_cut for "cosine", 0 for "none".
  double width() const { return width_; }
  /// Value and slope go to zero at r_cut.
  bool smooth() const { return kind_ != Kind::none; }
  /// f_c of n distances, and unless null their derivatives.
  void evaluate(index_t n, const double* r, double* values, double* derivatives) const;
  double value(double r) const {
    double value;
    evaluate(1, &r, &value, nullptr);
    return value;
  }
  double derivative(double r) const {
    double value, derivative;
    evaluate(1, &r, &value, &derivative);
    return derivative;
  }

  static std::vector<std::string> names();

 private:
  enum class Kind { shifted_cosine, polynomial, none };
  Kind kind_;
  double r_cut_;
  double width_;
};

}  // namespace mercer
