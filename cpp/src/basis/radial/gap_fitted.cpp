// The other two radial bases of QUIP's GAP (Bartok & Csanyi, Int. J. Quantum Chem. 115 (2015) 1051), of which no published
// potential is known: functions on [0, r_b], r_b = r_cut + sigma sqrt(2 e ln 10), orthonormalised one after the other with
// weight r^2. The density is fitted to them by least squares at 3 n_max nodes g r_b / (3 n_max), g = 0, 1, ...: coefficients
// A^+ g, A the functions at the nodes. The factor 4 pi is left out, as there.
#include <algorithm>
#include <cmath>

#include "mercer/core/error.hpp"
#include "mercer/math/dense.hpp"
#include "mercer/math/quadrature.hpp"
#include "radial.hpp"

namespace mercer::radial {
namespace {

double border_of(const RadialBasisParameters& p) {
  const double exponent = extra_or(p, "basis_error_exponent", 10.0);
  MERCER_REQUIRE(exponent > 0, "radial basis: expected basis_error_exponent > 0, got ", exponent);
  return p.r_cut + p.sigma * std::sqrt(2 * exponent * std::log(10.0));
}

/// Appends A^+, transposed (node, n), of functions n = 0 .. n_max - 1. primitive(n, r, scale, previous) is `scale` times
/// the function n at r, or anything with the same part orthogonal to the functions before it; `previous` is that of n - 1.
template <class Primitive>
void append_fit(const char* name, int n_max, const std::vector<long double>& nodes, const Quadrature& rule,
                const Primitive& primitive, std::vector<long double>& matrix) {
  const std::size_t n_q = rule.nodes.size(), n_g = nodes.size();
  // A function is its values at the quadrature nodes times sqrt(weight) r, which give overlaps, and those at the nodes.
  std::vector<std::vector<long double>> functions(n_max, std::vector<long double>(n_q + n_g));
  const auto dot = [&](const auto& x, const auto& y) {
    long double sum = 0;
    for (std::size_t q = 0; q < n_q; ++q) sum += x[q] * y[q];
    return sum;
  };
  const auto add = [](auto& x, long double factor, const auto& y) {
    for (std::size_t k = 0; k < x.size(); ++k) x[k] += factor * y[k];
  };
  for (int n = 0; n < n_max; ++n) {
    auto& f = functions[n];
    for (std::size_t k = 0; k < n_q + n_g; ++k) {
      const long double r = k < n_q ? rule.nodes[k] : nodes[k - n_q];
      f[k] = primitive(n, r, k < n_q ? std::sqrt(rule.weights[k]) * r : 1, n > 0 ? functions[n - 1][k] : 0);
    }
    const long double before = std::sqrt(dot(f, f));
    for (int pass = 0; pass < 2; ++pass) {
      for (int k = 0; k < n; ++k) add(f, -dot(functions[k], f), functions[k]);
    }
    const long double norm = std::sqrt(dot(f, f));
    MERCER_REQUIRE(norm > 1e-8L * before, "radial basis '", name, "': ", n_max,
                   " functions are linearly dependent; use a smaller n_max");
    for (auto& value : f) value /= norm;
  }
  LongMatrix normal(static_cast<std::size_t>(n_max) * n_max, 0);
  for (int i = 0; i < n_max; ++i) {
    for (int j = 0; j < n_max; ++j) {
      for (std::size_t g = 0; g < n_g; ++g) normal[i * n_max + j] += functions[i][n_q + g] * functions[j][n_q + g];
    }
  }
  const LongMatrix inverse = inverse_positive(n_max, normal);
  for (std::size_t g = 0; g < n_g; ++g) {
    for (int n = 0; n < n_max; ++n) {
      long double sum = 0;
      for (int k = 0; k < n_max; ++k) sum += functions[k][n_q + g] * inverse[k * n_max + n];
      matrix.push_back(sum);
    }
  }
}

std::vector<long double> fit_nodes(int n_max, double border) {
  std::vector<long double> nodes(3 * static_cast<std::size_t>(n_max));
  for (std::size_t g = 0; g < nodes.size(); ++g) nodes[g] = static_cast<long double>(border) * g / nodes.size();
  return nodes;
}

}  // namespace

/// (r_b - r)^(n + 2), n = 1 .. n_max.
RadialBasis gap_polynomial(const RadialBasisParameters& p) {
  const double border = border_of(p);
  const auto nodes = fit_nodes(p.n_max, border);
  const Quadrature rule = gauss_legendre(p.n_max + 6, 0, border);
  std::vector<long double> matrix;
  const auto power = [&](int n, long double r, long double scale, long double previous) {
    const long double x = 1 - r / border;
    return n == 0 ? scale * x * x * x : x * previous;  // its part of order n + 3 is what counts
  };
  append_fit("gap_polynomial", p.n_max, nodes, rule, power, matrix);
  return RadialBasis(p, nodes, std::move(matrix));
}

/// r^l exp(-beta_nl r^2), which has fallen to 1/1000 at n r_b / n_max, n = 1 .. n_max.
RadialBasis gap_gto(const RadialBasisParameters& p) {
  const double border = border_of(p);
  const auto nodes = fit_nodes(p.n_max, border);
  const double narrowest = border / p.n_max;
  MERCER_REQUIRE(std::log(1000.0) + p.l_max * std::log(narrowest) > 0, "radial basis 'gap_gto': at ", narrowest,
                 " Angstrom no Gaussian of l = ", p.l_max, " has fallen to 1/1000; use a smaller n_max or l_max");
  std::vector<long double> matrix;
  for (int l = 0; l <= p.l_max; ++l) {
    std::vector<long double> beta(p.n_max);
    double steepest = 0;
    for (int n = 0; n < p.n_max; ++n) {
      const long double end = static_cast<long double>(border) * (n + 1) / p.n_max;
      beta[n] = (std::log(1000.0L) + l * std::log(end)) / (end * end);
      steepest = std::max(steepest, static_cast<double>(beta[n]));
    }
    const Quadrature rule =
        gauss_legendre(n_quadrature(border, gaussian_wave_number(1 / std::sqrt(4 * steepest))) + l, 0, border);
    const auto orbital = [&](int n, long double r, long double scale, long double) {
      long double value = scale * std::exp(-beta[n] * r * r);
      for (int k = 0; k < l; ++k) value *= r;
      return value;
    };
    append_fit("gap_gto", p.n_max, nodes, rule, orbital, matrix);
  }
  return RadialBasis(p, nodes, std::move(matrix));
}

}  // namespace mercer::radial
