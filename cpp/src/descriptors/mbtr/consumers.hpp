/// What is done with tuples that are measured: added to a row, contracted with the gradient of a row, or differentiated.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "mercer/core/simd.hpp"
#include "part.hpp"

namespace mercer::mbtr {

/// Rows of bins have this many more in front and behind, so that windows need not be cut to the grid.
inline constexpr index_t padding = 8;

/// y += a x for n doubles, a multiple of 8.
inline void add(double a, const double* x, int n, double* y) {
  for (int k = 0; k < n; k += simd::width) simd::store(y + k, simd::load(y + k) + a * simd::load(x + k));
}
/// z += a x + b y
inline void add(double a, const double* x, double b, const double* y, int n, double* z) {
  for (int k = 0; k < n; k += simd::width) {
    simd::store(z + k, simd::load(z + k) + (a * simd::load(x + k) + b * simd::load(y + k)));
  }
}

/// Scratch of one thread for the lines of one part.
struct Lines {
  std::vector<double> values, slopes;

  explicit Lines(const std::vector<std::unique_ptr<Part>>& parts) {
    int most = 0;
    for (const auto& part : parts) most = std::max(most, part->broadening().capacity());
    values.resize(most);
    slopes.resize(most);
  }
};

/// Adds tuples to a padded row.
class Deposit {
 public:
  double total = 0, outside = 0;  ///< weight of all tuples, and of those beside the grid

  void operator()(const Part& part, TupleBatch& batch, Lines& lines, double* padded) {
    part.measure(batch, false);
    for (int t = 0; t < batch.size; ++t) {
      const double w = batch.w[t];
      if (w == 0) continue;
      total += w;
      if (!part.inside(batch.g[t])) outside += w;
      part.for_each_image(batch.g[t], [&](double g) {
        const auto window = part.broadening().evaluate(g, lines.values.data(), nullptr);
        add(w, lines.values.data(), window.count, padded + padding + window.first);
      });
    }
  }
};

/// For Y = sum_b dY_b f_b: y = sum_b dY_b D_b and its derivative by g.
inline void contract(const Part& part, double g, Lines& lines, const double* padded, double& y, double& slope) {
  y = slope = 0;
  part.for_each_image(g, [&](double image) {
    const auto window = part.broadening().evaluate(image, lines.values.data(), lines.slopes.data());
    const double* dY = padded + padding + window.first;
    simd::Vector sum{}, sum_slope{};
    for (int k = 0; k < window.count; k += simd::width) {
      const auto d = simd::load(dY + k);
      sum += d * simd::load(lines.values.data() + k);
      sum_slope += d * simd::load(lines.slopes.data() + k);
    }
    y += simd::sum(sum);
    slope += simd::sum(sum_slope);
  });
}

/// Adds the gradient of Y to the atoms in the slots, and r (x) dY/dr to the strain. dY is a padded row with zeros in the
/// padding.
inline void reverse(const Part& part, TupleBatch& batch, Lines& lines, const double* dY, double* atoms,
                    double* strain) {
  part.measure(batch, true);
  for (int t = 0; t < batch.size; ++t) {
    const double w = batch.w[t];
    if (w == 0) continue;
    double y, slope;
    contract(part, batch.g[t], lines, dY, y, slope);
    slope *= w;
    for (int v = 0; v < batch.n_vectors(); ++v) {
      double *atom = atoms + 3 * batch.slots[v + 1][t], *origin = atoms + 3 * batch.slots[0][t];
      for (int a = 0; a < 3; ++a) {
        const double gradient = y * batch.dw[v][a][t] + slope * batch.dg[v][a][t];
        atom[a] += gradient;
        origin[a] -= gradient;
        for (int b = 0; b < 3; ++b) strain[3 * a + b] += gradient * batch.vectors[v][b][t];
      }
    }
  }
}

/// Adds derivatives to padded lines, `stride` apart, 3 slot + a for component a of a slot; slots below 0 are left out.
inline void differentiate(const Part& part, TupleBatch& batch, Lines& lines, double* padded, index_t stride) {
  part.measure(batch, true);
  for (int t = 0; t < batch.size; ++t) {
    const double w = batch.w[t];
    if (w == 0) continue;
    part.for_each_image(batch.g[t], [&](double g) {
      const auto window = part.broadening().evaluate(g, lines.values.data(), lines.slopes.data());
      double* first = padded + padding + window.first;
      const auto put = [&](int slot, int a, double dw, double dg) {
        if (slot < 0) return;
        add(dw, lines.values.data(), w * dg, lines.slopes.data(), window.count, first + (3 * slot + a) * stride);
      };
      for (int a = 0; a < 3; ++a) {
        double dw = 0, dg = 0;
        for (int v = 0; v < batch.n_vectors(); ++v) {
          put(batch.slots[v + 1][t], a, batch.dw[v][a][t], batch.dg[v][a][t]);
          dw -= batch.dw[v][a][t];
          dg -= batch.dg[v][a][t];
        }
        put(batch.slots[0][t], a, dw, dg);
      }
    });
  }
}

}  // namespace mercer::mbtr
