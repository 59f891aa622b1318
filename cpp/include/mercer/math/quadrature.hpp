/// Gauss-Legendre quadrature.
#pragma once

#include <vector>

namespace mercer {

/// Nodes and weights of a rule in extended precision: they are used to build tables, never in a hot loop.
struct Quadrature {
  std::vector<long double> nodes;
  std::vector<long double> weights;
};

/// The Gauss-Legendre rule of n nodes on [a, b], nodes ascending.
Quadrature gauss_legendre(int n, long double a, long double b);

}  // namespace mercer
