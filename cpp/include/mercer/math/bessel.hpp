/// Spherical Bessel functions of a real argument, all orders up to l_max at once, in extended precision.
#pragma once

#include <vector>

namespace mercer {

/// values[l] = exp(-x) i_l(x), l = 0 .. l_max, for x >= 0, with i_l the modified spherical Bessel function of the first
/// kind: the ratios i_l / i_(l-1) by the downward recurrence (all terms positive: no digits are lost at any x or l).
void scaled_spherical_bessel_i(int l_max, long double x, long double* values);

/// values[l] = j_l(x), l = 0 .. l_max, for x >= 0: upward recurrence below x, downward (Miller) above.
void spherical_bessel_j(int l_max, long double x, long double* values);

/// The first n_max positive zeros of j_l for l = 0 .. l_max as zeros[l][n]; those of j_l lie between those of j_(l-1).
std::vector<std::vector<long double>> spherical_bessel_zeros(int l_max, int n_max);

}  // namespace mercer
