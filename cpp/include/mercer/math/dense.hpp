/// Small dense matrices in extended precision, row-major, for building radial bases.
#pragma once

#include <vector>

#include "mercer/math/wide.hpp"

namespace mercer {

using LongMatrix = std::vector<long double>;
using WideMatrix = std::vector<Wide>;

/// Lower Cholesky factor L of the symmetric n x n matrix a = L L^T (zeros above the diagonal).
/// @throws std::invalid_argument where a is not positive definite.
LongMatrix cholesky(int n, const LongMatrix& a);

/// Inverse of the positive-definite n x n matrix a.
LongMatrix inverse_positive(int n, const LongMatrix& a);

/// Largest sum of |a_ij| over a row: the infinity norm.
long double infinity_norm(int n, const LongMatrix& a);

/// What polar_factor returns: u has orthonormal columns, and condition is the 2-norm condition number of the argument.
struct PolarFactor {
  LongMatrix u;
  long double condition;
};

/// The orthonormal factor u = a (a^T a)^(-1/2) of the m x n matrix a, m >= n, by one-sided Jacobi rotations. Its error is
/// of order eps condition(a), where forming the overlap a^T a first would give eps condition(a)^2.
PolarFactor polar_factor(int m, int n, const LongMatrix& a);

/// The symmetric root a^(-1/2) of the positive-definite n x n matrix a, to long double precision for condition numbers
/// up to 1e18.
/// @throws std::invalid_argument where a is not positive definite.
WideMatrix inverse_root(int n, const WideMatrix& a);

}  // namespace mercer
