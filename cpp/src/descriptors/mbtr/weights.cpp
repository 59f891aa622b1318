#include "weights.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "mercer/core/error.hpp"
#include "mercer/math/vector_exp.hpp"

namespace mercer::mbtr {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double pi = 3.14159265358979323846;

void positive(double value, const char* name) {
  MERCER_REQUIRE(value > 0 && std::isfinite(value), name, "=", value, ": expected a finite number > 0");
}

// unity

void unity(const double*, int n, const double*, double* f, double* df) {
  for (int t = 0; t < n; ++t) f[t] = 1, df[t] = 0;
}

// inverse: d^-power

void inverse(const double* p, int n, const double* d, double* f, double* df) {
  const int power = static_cast<int>(p[0]);
  for (int t = 0; t < n; ++t) f[t] = 1;
  for (int k = 0; k < power; ++k) {
    for (int t = 0; t < n; ++t) f[t] /= d[t];
  }
  for (int t = 0; t < n; ++t) df[t] = -power * f[t] / d[t];
}
void check_inverse(const double* p) {
  MERCER_REQUIRE(p[0] >= 1 && p[0] <= 24 && p[0] == std::floor(p[0]), "power=", p[0],
                 ": expected an integer from 1 to 24");
}

// exponential: exp(-scale d)

void exponential(const double* p, int n, const double* d, double* f, double* df) {
  for (int t = 0; t < n; ++t) {
    f[t] = vector_exp(-p[0] * d[t]);
    df[t] = -p[0] * f[t];
  }
}
void check_scale(const double* p) { positive(p[0], "scale"); }

// gaussian: exp(-scale d^2)

void gaussian(const double* p, int n, const double* d, double* f, double* df) {
  for (int t = 0; t < n; ++t) {
    f[t] = vector_exp(-p[0] * d[t] * d[t]);
    df[t] = -2 * p[0] * d[t] * f[t];
  }
}

// step: 1 up to r_cut, r_cut included

void step(const double* p, int n, const double* d, double* f, double* df) {
  for (int t = 0; t < n; ++t) f[t] = d[t] <= p[0] ? 1 : 0, df[t] = 0;
}
void check_step(const double* p) { positive(p[0], "r_cut"); }

// Cutoff functions that fall from 1 at r_cut - width to 0 at r_cut, as in basis/cutoff.hpp, without branches.

void check_width(const double* p) {
  positive(p[0], "r_cut");
  MERCER_REQUIRE(p[1] > 0 && p[1] <= p[0], "width=", p[1], ": expected a number in (0, r_cut=", p[0], "]");
}

/// (d - r_cut + width) / width, at least 0 and at most 1.
double transition(const double* p, double d) {
  const double x = (d - (p[0] - p[1])) / p[1];
  return std::min(1.0, std::max(0.0, x));
}

/// 1/2 (1 + cos pi x) = 1/2 (1 - sin pi y), y = x - 1/2: Taylor series.
void shifted_cosine(const double* p, int n, const double* d, double* f, double* df) {
  constexpr int terms = 11;
  static const auto series = [] {
    struct {
      double sine[terms], cosine[terms];
    } s;
    long double c = 1;
    for (int k = 0; k < terms; ++k) {  // pi^m (-1)^(m / 2) / m!, m = 2 k and 2 k + 1
      s.cosine[k] = static_cast<double>(c);
      s.sine[k] = static_cast<double>(c * 3.141592653589793238462643L / (2 * k + 1));
      c *= -9.869604401089358618834491L / ((2 * k + 1) * (2 * k + 2));
    }
    return s;
  }();
  const double slope = -0.5 * pi / p[1];
  for (int t = 0; t < n; ++t) {
    const double y = transition(p, d[t]) - 0.5, square = y * y;
    double sine = series.sine[terms - 1], cosine = series.cosine[terms - 1];
#pragma GCC unroll 16
    for (int k = terms - 2; k >= 0; --k) {
      sine = sine * square + series.sine[k];
      cosine = cosine * square + series.cosine[k];
    }
    f[t] = d[t] < p[0] ? 0.5 - 0.5 * (sine * y) : 0.0;
    df[t] = std::abs(y) < 0.5 ? slope * cosine : 0.0;
  }
}

/// 1 - 35 x^4 + 84 x^5 - 70 x^6 + 20 x^7.
void polynomial(const double* p, int n, const double* d, double* f, double* df) {
  for (int t = 0; t < n; ++t) {
    const double x = transition(p, d[t]), y = 1 - x, xy = x * y;
    f[t] = y * y * y * y * (1 + x * (4 + x * (10 + x * 20)));
    df[t] = -140 * xy * xy * xy / p[1];
  }
}

// sharpness: 1 + y x^(y + 1) - (y + 1) x^y, x = d / r_cut, the smooth cutoff of DScribe

void sharpness(const double* p, int n, const double* d, double* f, double* df) {
  const double r_cut = p[0], y = p[1];
  for (int t = 0; t < n; ++t) {
    const double x = std::min(1.0, d[t] / r_cut), power = std::pow(x, y - 1);
    f[t] = 1 + power * x * (y * x - (y + 1));
    df[t] = y * (y + 1) * power * (x - 1) / r_cut;
  }
}
void check_sharpness(const double* p) {
  positive(p[0], "r_cut");
  MERCER_REQUIRE(p[1] >= 1 && std::isfinite(p[1]), "sharpness=", p[1], ": expected a number >= 1");
}

}  // namespace

const std::vector<WeightFunction>& weight_functions() {
  using D = const double*;
  using R = double&;
  static const std::vector<WeightFunction> table = {
      {"unity", {}, unity, [](D, R, R, R, R) {}, [](D) {}},
      {"inverse", {"power"}, inverse, [](D p, R power, R, R, R) { power += p[0]; }, check_inverse},
      {"exponential", {"scale"}, exponential, [](D p, R, R linear, R, R) { linear += p[0]; }, check_scale},
      {"gaussian", {"scale"}, gaussian, [](D p, R, R, R quadratic, R) { quadratic += p[0]; }, check_scale},
      {"step", {"r_cut"}, step, [](D p, R, R, R, R r_cut) { r_cut = std::min(r_cut, p[0]); }, check_step},
      {"shifted_cosine", {"r_cut", "width"}, shifted_cosine,
       [](D p, R, R, R, R r_cut) { r_cut = std::min(r_cut, p[0]); }, check_width},
      {"polynomial", {"r_cut", "width"}, polynomial, [](D p, R, R, R, R r_cut) { r_cut = std::min(r_cut, p[0]); },
       check_width},
      {"sharpness", {"r_cut", "sharpness"}, sharpness, [](D p, R, R, R, R r_cut) { r_cut = std::min(r_cut, p[0]); },
       check_sharpness},
  };
  return table;
}

Weight::Weight(int order, const std::vector<WeightFactor>& factors, double threshold)
    : order_(order), threshold_(threshold) {
  MERCER_REQUIRE(threshold >= 0 && threshold < 1, "threshold=", threshold, ": expected a number in [0, 1)");
  for (const WeightFactor& given : factors) {
    const auto& table = weight_functions();
    const auto found = std::find_if(table.begin(), table.end(), [&](const auto& f) { return given.function == f.name; });
    if (found == table.end()) {
      std::string known;
      for (const auto& f : table) known += (known.empty() ? "" : ", ") + std::string(f.name);
      throw std::invalid_argument(concatenate("weight '", given.function, "' is unknown; choose one of ", known));
    }
    Factor factor{&*found, {}, given.legs_only ? n_legs[order] : n_edges[order]};
    for (const std::string& name : found->parameters) {
      const auto value = given.parameters.find(name);
      MERCER_REQUIRE(value != given.parameters.end(), "weight '", given.function, "' needs ", name);
      factor.parameters.push_back(value->second);
    }
    MERCER_REQUIRE(given.parameters.size() == found->parameters.size(), "weight '", given.function, "' has ",
                   found->parameters.size(), " parameters, got ", given.parameters.size());
    found->check(factor.parameters.data());
    if (given.function == "unity") continue;
    n_edges_ = std::max(n_edges_, factor.n_edges);
    factors_.push_back(std::move(factor));
  }
  edge_reach_ = order == 1 ? 0 : bound(false);
  leg_reach_ = order == 1 ? 0 : std::min(edge_reach_, bound(true));
}

/// The largest distance d of a leg, or of any edge, at which the weight of a tuple can reach the threshold. With factors
/// exp(-s d) on all edges the edges beside this one are worth at least m more of them, by the triangle inequality.
double Weight::bound(bool leg) const {
  double power = 0, linear = 0, quadratic = 0, reach = infinity;
  bool bounded = true;  // no factor is larger than 1
  for (const Factor& factor : factors_) {
    double p = 0, l = 0, q = 0, r_cut = infinity;
    factor.function->decay(factor.parameters.data(), p, l, q, r_cut);
    if (p > 0 && order_ > 2) bounded = false;
    const bool applies = leg || factor.n_edges == n_edges[order_];
    if (!applies) continue;
    reach = std::min(reach, r_cut);
    const double others = factor.n_edges == n_legs[order_] ? 0 : order_ - 2;
    power += p;
    linear += l * (1 + others);
    quadratic += q;
  }
  if (threshold_ == 0 || !bounded || power + linear + quadratic == 0) return reach;
  const auto decay = [&](double d) { return power * std::log(d) + linear * d + quadratic * d * d; };
  const double goal = -std::log(threshold_);
  double low = 0, high = 1;
  while (decay(high) < goal && high < 1e9) high *= 2;
  for (int step = 0; step < 200; ++step) (decay(0.5 * (low + high)) < goal ? low : high) = 0.5 * (low + high);
  return std::min(reach, high);
}

void Weight::evaluate(TupleBatch& b, bool derivatives) const {
  const int n = b.padded();
  alignas(64) double distance[6][batch_size], u[6][batch_size], du[6][batch_size], f[batch_size], df[batch_size];
  const auto coordinate = [&](int point, int a, int t) { return point == 0 ? 0.0 : b.vectors[point - 1][a][t]; };
  for (int e = 0; e < n_edges_; ++e) {
    if (order_ == 1) {
      std::copy_n(b.count, n, distance[e]);
    } else {
      const Edge edge = edge_table[order_][e];
      const auto& to = b.vectors[edge.to - 1];
      if (edge.from == 0) {
        for (int t = 0; t < n; ++t) {
          distance[e][t] = std::sqrt(to[0][t] * to[0][t] + to[1][t] * to[1][t] + to[2][t] * to[2][t]);
        }
      } else {
        const auto& from = b.vectors[edge.from - 1];
        for (int t = 0; t < n; ++t) {
          const double x = to[0][t] - from[0][t], y = to[1][t] - from[1][t], z = to[2][t] - from[2][t];
          distance[e][t] = std::sqrt(x * x + y * y + z * z);
        }
      }
    }
    bool first = true;
    for (const Factor& factor : factors_) {
      if (e >= factor.n_edges) continue;
      if (first) {
        factor.function->evaluate(factor.parameters.data(), n, distance[e], u[e], du[e]);
        first = false;
        continue;
      }
      factor.function->evaluate(factor.parameters.data(), n, distance[e], f, df);
      for (int t = 0; t < n; ++t) {
        du[e][t] = du[e][t] * f[t] + u[e][t] * df[t];
        u[e][t] *= f[t];
      }
    }
  }
  std::fill_n(b.w, n, 1.0);
  for (int e = 0; e < n_edges_; ++e) {
    for (int t = 0; t < n; ++t) b.w[t] *= u[e][t];
  }
  if (threshold_ > 0) {
    for (int t = 0; t < n; ++t) b.w[t] = b.w[t] >= threshold_ ? b.w[t] : 0.0;
  }
  if (!derivatives) return;
  for (int v = 0; v < b.n_vectors(); ++v) {
    for (int a = 0; a < 3; ++a) std::fill_n(b.dw[v][a], n, 0.0);
  }
  if (order_ == 1) return;
  for (int e = 0; e < n_edges_; ++e) {
    const Edge edge = edge_table[order_][e];
    for (int t = 0; t < n; ++t) f[t] = du[e][t] / distance[e][t];
    for (int other = 0; other < n_edges_; ++other) {
      if (other == e) continue;
      for (int t = 0; t < n; ++t) f[t] *= u[other][t];
    }
    for (int a = 0; a < 3; ++a) {
      for (int t = 0; t < n; ++t) {
        const double slope = f[t] * (coordinate(edge.to, a, t) - coordinate(edge.from, a, t));
        b.dw[edge.to - 1][a][t] += slope;
        if (edge.from > 0) b.dw[edge.from - 1][a][t] -= slope;
      }
    }
  }
}

}  // namespace mercer::mbtr
