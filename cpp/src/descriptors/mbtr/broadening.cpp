#include "broadening.hpp"

#include <algorithm>
#include <cmath>

#include "mercer/core/error.hpp"
#include "mercer/core/simd.hpp"

namespace mercer::mbtr {
namespace {

constexpr long double pi = 3.141592653589793238462643L;
constexpr double sqrt3 = 1.7320508075688772;

long double normal_density(long double t) { return expl(-0.5L * t * t) / sqrtl(2 * pi); }
long double normal_cumulative(long double t) { return 0.5L * erfcl(-t / sqrtl(2)); }

long double laplace_density(long double t) { return expl(-sqrtl(2) * fabsl(t)) / sqrtl(2); }
long double laplace_cumulative(long double t) {
  const long double tail = 0.5L * expl(-sqrtl(2) * fabsl(t));
  return t < 0 ? tail : 1 - tail;
}

long double uniform_density(long double t) { return fabsl(t) < sqrtl(3) ? 0.5L / sqrtl(3) : 0; }
long double uniform_cumulative(long double t) {
  return std::min(1.0L, std::max(0.0L, 0.5L + 0.5L * t / sqrtl(3)));
}

/// Standard deviations per step of the grid, above which a piece has to be shorter than a step.
constexpr int most_pieces = 4096;

}  // namespace

const std::vector<LineShape>& line_shapes() {
  static const std::vector<LineShape> table = {
      {"normal", 8.5, normal_density, normal_cumulative, false},
      {"uniform", sqrt3, uniform_density, uniform_cumulative, true},
      {"laplace", 26, laplace_density, laplace_cumulative, false},
  };
  return table;
}

Broadening::Broadening(const MbtrPart& part) : sigma_(part.sigma), n_(part.n) {
  MERCER_REQUIRE(part.n >= 2 && part.n <= 1000000, "grid: ", part.n, " points, expected 2 to 1000000");
  MERCER_REQUIRE(std::isfinite(part.first) && std::isfinite(part.last) && part.first < part.last, "grid: from ",
                 part.first, " to ", part.last, ", expected an ascending range");
  MERCER_REQUIRE(part.sigma > 0 && std::isfinite(part.sigma), "sigma=", part.sigma, ": expected a finite number > 0");
  MERCER_REQUIRE(part.values == "integral" || part.values == "average" || part.values == "point", "values='",
                 part.values, "': expected integral, average or point");
  const auto& shapes = line_shapes();
  const auto shape =
      std::find_if(shapes.begin(), shapes.end(), [&](const LineShape& s) { return part.broadening == s.name; });
  MERCER_REQUIRE(shape != shapes.end(), "broadening='", part.broadening, "': expected normal, uniform or laplace");
  step_ = (part.last - part.first) / static_cast<double>(part.n - 1);
  MERCER_REQUIRE(part.sigma >= step_ / 1000, "sigma=", part.sigma, " is less than a thousandth of the step ", step_,
                 " of the grid; use more points or a larger sigma");
  // Lines are never cut, so that tables grow with their width.
  MERCER_REQUIRE(part.sigma <= step_ * 1000 * (1 + 1e-9), "sigma=", part.sigma, " is more than a thousand steps of ", step_,
                 " of the grid; use fewer points or a smaller sigma");
  inverse_step_ = 1 / step_;
  points_ = part.values == "point";
  const bool centered = points_ || part.centered;
  // Bin b is [origin + b step, origin + (b + 1) step]; point b is origin + b step.
  origin_ = points_ || !centered ? part.first : part.first - 0.5 * step_;
  lowest_ = points_ ? -0.5 : 0;
  highest_ = lowest_ + static_cast<double>(n_);
  reach_ = shape->reach * sigma_;
  is_flat_ = shape->flat;
  jumps_ = is_flat_ && points_;
  const long double area = part.normalized ? 1.0L : static_cast<long double>(sigma_) / shape->density(0);
  scale_ = static_cast<double>(points_ ? area / sigma_ : part.values == "average" ? area / step_ : area);

  below_ = static_cast<int>(std::ceil(reach_ * inverse_step_)) + 1;
  width_ = (2 * below_ + 1 + block - 1) / block * block;
  if (is_flat_) return;

  // The value in bin j + m: t from (m - u) h, h = step / sigma, to (m + 1 - u) h; or at (m - u) h.
  const long double h = static_cast<long double>(step_) / sigma_;
  const auto value = [&](int m, long double u) -> long double {
    if (points_) {
      // A point exactly on the kink belongs to either side: both give the same value.
      return shape->density((m - u) * h);
    }
    const long double low = (m - u) * h, high = (m + 1 - u) * h;
    // The smaller of the tails, without cancellation.
    return low > 0 ? shape->cumulative(-low) - shape->cumulative(-high) : shape->cumulative(high) - shape->cumulative(low);
  };
  long double peak = shape->density(0) * (points_ ? 1 : std::min(1 / shape->density(0), h));
  constexpr int nodes = degree + 1;
  long double cosines[nodes][nodes];  // cos(k angle of node q)
  for (int k = 0; k < nodes; ++k) {
    for (int q = 0; q < nodes; ++q) cosines[k][q] = cosl(pi * k * (q + 0.5L) / nodes);
  }
  // Polynomials through the Chebyshev nodes of a piece, as powers of v in [-1, 1].
  std::vector<long double> powers(nodes * nodes, 0);  // T_k as powers of v
  powers[0] = 1;
  powers[nodes + 1] = 1;
  for (int k = 2; k < nodes; ++k) {
    for (int p = 0; p < nodes; ++p) {
      powers[k * nodes + p] = (p > 0 ? 2 * powers[(k - 1) * nodes + p - 1] : 0) - powers[(k - 2) * nodes + p];
    }
  }
  const auto fit = [&](int m, int piece, int pieces, long double (&c)[nodes]) {
    long double f[nodes];
    for (int q = 0; q < nodes; ++q) {
      f[q] = value(m, (piece + 0.5L * (cosines[1][q] + 1)) / pieces);
    }
    std::fill_n(c, nodes, 0.0L);
    for (int k = 0; k < nodes; ++k) {
      long double a = 0;
      for (int q = 0; q < nodes; ++q) a += f[q] * cosines[k][q];
      a *= (k == 0 ? 1.0L : 2.0L) / nodes;
      for (int p = 0; p < nodes; ++p) c[p] += a * powers[k * nodes + p];
    }
  };
  // Pieces: until the fit is good between the nodes, in the bins where the line bends most.
  const auto good = [&](int pieces) {
    const int most = static_cast<int>(std::min<long double>(below_, 5 / h + 2));
    for (int m = -most; m <= most; ++m) {
      for (const int piece : {0, pieces / 2, pieces - 1}) {
        long double c[nodes];
        fit(m, piece, pieces, c);
        for (const long double v : {-0.98L, -0.6L, 0.15L, 0.85L, 0.99L}) {
          long double p = 0;
          for (int k = degree; k >= 0; --k) p = p * v + c[k];
          if (!(fabsl(p - value(m, (piece + 0.5L * (v + 1)) / pieces)) <= 4e-16L * peak)) return false;
        }
      }
    }
    return true;
  };
  pieces_ = std::max(1, static_cast<int>(h * 2));
  while (pieces_ < most_pieces && !good(pieces_)) pieces_ = pieces_ + (pieces_ + 3) / 4;
  table_.assign(static_cast<std::size_t>(pieces_) * width_ * nodes, 0.0);
  for (int piece = 0; piece < pieces_; ++piece) {
    for (int w = 0; w < width_; ++w) {
      long double c[nodes];
      fit(w - below_, piece, pieces_, c);
      double* to = table_.data() + (static_cast<std::size_t>(piece) * (width_ / block) + w / block) * nodes * block;
      for (int k = 0; k < nodes; ++k) to[(degree - k) * block + w % block] = static_cast<double>(c[k] * scale_);
    }
  }
}

Broadening::Window Broadening::evaluate(double g, double* values, double* slopes) const {
  if (is_flat_) return flat(g, values, slopes);
  const double z = (g - origin_) * inverse_step_;
  if (!(z > -below_ && z < static_cast<double>(n_ + below_))) return {};
  const double j = std::floor(z), along = (z - j) * pieces_;
  const int piece = std::min(pieces_ - 1, static_cast<int>(along));
  const double v = 2 * (along - piece) - 1;
  const int bin = static_cast<int>(j) - below_, n = static_cast<int>(n_);
  const int begin = bin < 0 ? -bin / block : 0;
  const int end = std::min(width_ / block, (n - bin + block - 1) / block);
  if (begin >= end) return {};
  const double* c = table_.data() + (static_cast<std::size_t>(piece) * (width_ / block) + begin) * (degree + 1) * block;
  using simd::Vector;
  constexpr int lanes = simd::width, per_block = block / lanes;
  if (slopes == nullptr) {
    for (int k = begin; k < end; ++k, c += (degree + 1) * block, values += block) {
      Vector p[per_block];
#pragma GCC unroll 4
      for (int l = 0; l < per_block; ++l) p[l] = simd::load(c + l * lanes);
#pragma GCC unroll 16
      for (int d = 1; d <= degree; ++d) {
#pragma GCC unroll 4
        for (int l = 0; l < per_block; ++l) p[l] = p[l] * v + simd::load(c + d * block + l * lanes);
      }
#pragma GCC unroll 4
      for (int l = 0; l < per_block; ++l) simd::store(values + l * lanes, p[l]);
    }
  } else {
    const double slope = 2 * pieces_ * inverse_step_;
    for (int k = begin; k < end; ++k, c += (degree + 1) * block, values += block, slopes += block) {
      Vector p[per_block], s[per_block];
#pragma GCC unroll 4
      for (int l = 0; l < per_block; ++l) {
        p[l] = simd::load(c + l * lanes);
        s[l] = Vector{};
      }
#pragma GCC unroll 16
      for (int d = 1; d <= degree; ++d) {
#pragma GCC unroll 4
        for (int l = 0; l < per_block; ++l) {
          s[l] = s[l] * v + p[l];
          p[l] = p[l] * v + simd::load(c + d * block + l * lanes);
        }
      }
#pragma GCC unroll 4
      for (int l = 0; l < per_block; ++l) {
        simd::store(values + l * lanes, p[l]);
        simd::store(slopes + l * lanes, s[l] * slope);
      }
    }
  }
  return {bin + block * begin, block * (end - begin)};
}

/// The uniform line: its half width is sqrt(3) sigma.
Broadening::Window Broadening::flat(double g, double* values, double* slopes) const {
  const double z = (g - origin_) * inverse_step_, half = reach_ * inverse_step_;
  if (!(z > -below_ && z < static_cast<double>(n_ + below_))) return {};
  const int bin = std::max(0, static_cast<int>(std::floor(z)) - below_), n = static_cast<int>(n_);
  const int end = std::min(n, static_cast<int>(std::floor(z)) + below_ + 1);
  if (bin >= end) return {};
  const int count = (end - bin + block - 1) / block * block;
  const double height = scale_ / (2 * half);  // a bin is one unit of z wide
  for (int k = 0; k < count; ++k) {
    const double low = bin + k - z, high = low + 1;
    if (points_) {
      values[k] = std::abs(low) < half ? scale_ / (2 * sqrt3) : 0.0;
      continue;
    }
    const double a = std::min(half, std::max(-half, low)), b = std::min(half, std::max(-half, high));
    values[k] = (b - a) * height;
    if (slopes) {
      const double in_low = std::abs(low) < half ? 1 : 0, in_high = std::abs(high) < half ? 1 : 0;
      slopes[k] = (in_low - in_high) * height * inverse_step_;
    }
  }
  return {bin, count};
}

void Broadening::images(double g, double period, int& first, int& last) const {
  const double low = origin_ - reach_, high = origin_ + step_ * static_cast<double>(n_) + reach_;
  first = static_cast<int>(std::ceil((low - g) / period));
  last = static_cast<int>(std::floor((high - g) / period));
}

}  // namespace mercer::mbtr
