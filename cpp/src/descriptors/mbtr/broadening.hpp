/// Broadening: what one tuple puts into the bins of the grid.
#pragma once

#include <string>
#include <vector>

#include "mercer/descriptors/mbtr.hpp"

namespace mercer::mbtr {

/// A line shape of unit standard deviation.
struct LineShape {
  const char* name;
  double reach;  ///< outside of -reach .. reach it is zero to double precision
  long double (*density)(long double t);
  long double (*cumulative)(long double t);  ///< integral of the density from minus infinity
  bool flat;     ///< constant inside, zero outside: evaluated directly
};

const std::vector<LineShape>& line_shapes();

/// The values of a shifted line on the bins around it. With z = (g - x_0) / step, the bin j = floor(z) of the line and u
/// = z - j, the value in bin j + m is a smooth function of u in [0, 1) for each m, also where the line has a kink at its
/// centre: it is tabulated as polynomials on pieces of [0, 1), to 1e-15 of the height of the line.
class Broadening {
 public:
  explicit Broadening(const MbtrPart& part);

  /// Bins `first` .. `first + count - 1` hold what is not negligible; count is a multiple of 8, and bins of which some
  /// are outside of 0 .. n - 1 by up to 7 hold numbers too.
  struct Window {
    int first = 0, count = 0;
  };
  /// Values and, where `slopes` is not null, derivatives by g; arrays of capacity().
  Window evaluate(double g, double* values, double* slopes) const;

  int capacity() const { return width_; }
  index_t n() const { return n_; }
  /// Whether g is on the grid.
  bool inside(double g) const {
    const double z = (g - origin_) * inverse_step_;
    return z >= lowest_ && z <= highest_;
  }
  /// Images of g along a periodic axis that reach the grid: g + p period for p = first .. last.
  void images(double g, double period, int& first, int& last) const;
  /// Jumps as a function of g, so there is no gradient.
  bool jumps() const { return jumps_; }

 private:
  static constexpr int degree = 9, block = 8;

  Window flat(double g, double* values, double* slopes) const;

  double origin_, step_, inverse_step_, sigma_;
  double lowest_, highest_;  ///< z of the grid
  double reach_;             ///< in the unit of g
  index_t n_;
  int pieces_ = 1, below_ = 0, width_ = 0;  ///< bins below j, and all of them
  bool is_flat_, points_, jumps_;
  double scale_;                ///< of all values
  std::vector<double> table_;   ///< [piece][width_ / block][degree + 1][block], highest power first
};

}  // namespace mercer::mbtr
