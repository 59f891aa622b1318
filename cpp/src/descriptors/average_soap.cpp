#include "mercer/descriptors/average_soap.hpp"

#include <algorithm>
#include <cmath>

#include "mercer/core/error.hpp"
#include "mercer/core/interrupt.hpp"

namespace mercer {

AverageSoap::AverageSoap(DensityParameters parameters, bool normalize, std::vector<std::int32_t> centers)
    : density_(std::move(parameters)), normalize_(normalize), centers_(std::move(centers)) {
  const index_t n = density_.n_max(), k = density_.n_channels();
  n_features_ = (density_.l_max() + 1) * (k * n) * (k * n + 1) / 2;
}

bool AverageSoap::is_center(std::int32_t number) const {
  return centers_.empty() || std::find(centers_.begin(), centers_.end(), number) != centers_.end();
}

index_t AverageSoap::mean(const StructureBatch& structures, const PairList& pairs, Span<const std::int16_t> species,
                          index_t frame, Density::Workspace& ws, double* c) const {
  const index_t width = static_cast<index_t>(density_.n_lm()) * density_.n_max();
  std::fill_n(c, size(), 0.0);
  index_t count = 0;
  for (index_t i = structures.offsets[frame]; i < structures.offsets[frame + 1]; ++i) {
    if (!is_center(structures.numbers[i])) continue;
    check_interrupt();
    ++count;
    density_.expand(pairs, species, i, ws);
    for (int k = 0; k < ws.n_present; ++k) {
      const double* from = ws.coefficients[k] + density_.pad();
      double* to = c + ws.present[k] * width;
      for (int lm = 0; lm < density_.n_lm(); ++lm) {
        for (int n = 0; n < density_.n_max(); ++n) to[lm * density_.n_max() + n] += from[lm * density_.n_pad() + n];
      }
    }
  }
  for (index_t k = 0; k < size(); ++k) c[k] /= static_cast<double>(std::max<index_t>(count, 1));
  return count;
}

template <class Use>
void AverageSoap::for_each_feature(const Use& use) const {
  const int n_max = density_.n_max(), n_lm = density_.n_lm();
  const double root_two = std::sqrt(2.0);
  index_t column = 0;
  for (int a = 0; a < density_.n_channels(); ++a) {
    for (int b = a; b < density_.n_channels(); ++b) {
      for (int l = 0; l <= density_.l_max(); ++l) {
        const double factor = 1 / std::sqrt(2.0 * l + 1);
        const index_t x = (static_cast<index_t>(a) * n_lm + l * l) * n_max;
        const index_t y = (static_cast<index_t>(b) * n_lm + l * l) * n_max;
        for (int n = 0; n < n_max; ++n) {
          for (int k = a == b ? n : 0; k < n_max; ++k) {
            use(column++, l, a == b && n == k ? factor : factor * root_two, x + n, y + k);
          }
        }
      }
    }
  }
}

void AverageSoap::spectrum(const double* c, const double* d, double* row) const {
  const index_t n_max = density_.n_max();
  const bool same = c == d;
  for_each_feature([&](index_t column, int l, double factor, index_t x, index_t y) {
    double sum = 0;
    for (int m = 0; m <= 2 * l; ++m) {
      sum += c[x + m * n_max] * d[y + m * n_max];
      if (!same) sum += d[x + m * n_max] * c[y + m * n_max];
    }
    row[column] = factor * sum;
  });
}

namespace {

double dot(index_t n, const double* x, const double* y) {
  double sum = 0;
  for (index_t k = 0; k < n; ++k) sum += x[k] * y[k];
  return sum;
}

/// What one thread needs.
struct Scratch {
  Density::Workspace ws;
  Buffer<double> c, adjoint, row, U, V, moved;
};

}  // namespace

void AverageSoap::transform(const StructureBatch& structures, const PairList& pairs, MatView<double> out) const {
  const auto species = density_.species_of(structures, pairs);
  for_each_frame(
      structures,
      [&] {
        Scratch s;
        s.ws = density_.make_workspace(pairs, Density::Purpose::values);
        s.c = Buffer<double>(size());
        return s;
      },
      [&](Scratch& s, index_t f) {
        double* row = out.row(f);
        mean(structures, pairs, species, f, s.ws, s.c.data());
        spectrum(s.c.data(), s.c.data(), row);
        const double norm = std::sqrt(dot(n_features_, row, row));
        if (normalize_ && norm > 0) {
          for (index_t k = 0; k < n_features_; ++k) row[k] /= norm;
        }
      });
}

void AverageSoap::vjp(const StructureBatch& structures, const PairList& pairs, MatView<const double> dY_dX,
                      MatView<double> dY_dpositions, MatView<double> dY_dstrain) const {
  MERCER_REQUIRE(dY_dX.rows == structures.n_frames() && dY_dX.cols == n_features_, "AverageSOAP: dY_dX has shape (",
                 dY_dX.rows, ", ", dY_dX.cols, "), expected (", structures.n_frames(), ", ", n_features_, ")");
  const auto species = density_.species_of(structures, pairs);
  const int n_max = density_.n_max(), n_lm = density_.n_lm();
  Buffer<Vec3> pair_gradients(pairs.n_pairs());
  std::fill_n(pair_gradients.data(), pairs.n_pairs(), Vec3{0, 0, 0});
  for_each_frame(
      structures,
      [&] {
        Scratch s;
        s.ws = density_.make_workspace(pairs, Density::Purpose::reverse);
        s.c = Buffer<double>(size());
        s.adjoint = Buffer<double>(size());
        s.row = Buffer<double>(n_features_);
        return s;
      },
      [&](Scratch& s, index_t f) {
        double *c = s.c.data(), *adjoint = s.adjoint.data();
        const index_t count = mean(structures, pairs, species, f, s.ws, c);
        spectrum(c, c, s.row.data());
        // x = p / |p|: dY/dp = (g - x (x . g)) / |p|
        const double* g = dY_dX.row(f);
        const double norm2 = normalize_ ? dot(n_features_, s.row.data(), s.row.data()) : 1;
        const double along = normalize_ ? dot(n_features_, s.row.data(), g) : 0;
        std::fill_n(adjoint, size(), 0.0);
        if (norm2 > 0) {
          const double scale = 1 / (std::sqrt(norm2) * static_cast<double>(std::max<index_t>(count, 1)));
          for_each_feature([&](index_t column, int l, double factor, index_t x, index_t y) {
            const double w = scale * factor * (g[column] - along / norm2 * s.row[column]);
            for (int m = 0; m <= 2 * l; ++m) {
              adjoint[x + m * n_max] += w * c[y + m * n_max];
              adjoint[y + m * n_max] += w * c[x + m * n_max];
            }
          });
        }
        for (index_t i = structures.offsets[f]; i < structures.offsets[f + 1]; ++i) {
          if (!is_center(structures.numbers[i])) continue;
          check_interrupt();
          density_.expand(pairs, species, i, s.ws);
          for (int k = 0; k < s.ws.n_present; ++k) {
            double* to = s.ws.adjoints[k];
            std::fill_n(to, density_.channel_size(), 0.0);
            const double* from = adjoint + static_cast<index_t>(s.ws.present[k]) * n_lm * n_max;
            for (int lm = 0; lm < n_lm; ++lm) {
              std::copy_n(from + lm * n_max, n_max, to + lm * density_.n_pad() + density_.pad());
            }
          }
          density_.reverse(pairs, i, s.ws, pair_gradients.data() + pairs.offsets[i]);
        }
      });
  fill(dY_dpositions, 0.0);
  fill(dY_dstrain, 0.0);
  scatter_pair_gradients(structures, pairs, 0, structures.n_atoms(), pair_gradients.span(), dY_dpositions, dY_dstrain);
}

void AverageSoap::gradients(const StructureBatch& structures, const PairList& pairs, MatView<double> out) const {
  const auto species = density_.species_of(structures, pairs);
  const int n_max = density_.n_max(), n_lm = density_.n_lm(), n_pad = density_.n_pad();
  for_each_frame(
      structures,
      [&] {
        Scratch s;
        s.ws = density_.make_workspace(pairs, Density::Purpose::factors);
        s.c = Buffer<double>(size());
        s.row = Buffer<double>(n_features_);
        s.U = Buffer<double>(static_cast<index_t>(density_.l_max() + 1) * n_pad);
        s.V = Buffer<double>(s.U.size());
        return s;
      },
      [&](Scratch& s, index_t f) {
        const index_t first = structures.offsets[f], n_atoms = structures.offsets[f + 1] - first;
        const index_t count = mean(structures, pairs, species, f, s.ws, s.c.data());
        // Derivatives of the mean coefficients by the position of each atom, [atom][xyz][channel][lm][n].
        s.moved = Buffer<double>(3 * n_atoms * size());
        std::fill_n(s.moved.data(), s.moved.size(), 0.0);
        for (index_t i = first; i < first + n_atoms; ++i) {
          if (!is_center(structures.numbers[i])) continue;
          density_.expand(pairs, species, i, s.ws);
          for (int group = 0; group < s.ws.n_groups; ++group) {
            const int owner = s.ws.group_species[group];
            const index_t begin = s.ws.group_begin[group];
            for (index_t k = begin; k < begin + s.ws.group_size[group]; ++k) {
              const index_t j = pairs.neighbors[s.ws.pair[k]];
              if (j == i) continue;  // an image moves with the centre
              const auto factors = density_.pair_factors(s.ws, k, s.U.data(), s.V.data());
              for (int channel = 0; channel < density_.n_channels(); ++channel) {
                const double weight = density_.channels_are_species() ? (channel == owner ? 1.0 : 0.0)
                                                                      : density_.weight(owner, channel);
                if (weight == 0) continue;
                for (int a = 0; a < 3; ++a) {
                  const index_t offset = static_cast<index_t>(channel) * n_lm * n_max;
                  double* neighbor = s.moved.data() + (3 * (j - first) + a) * size() + offset;
                  double* centre = s.moved.data() + (3 * (i - first) + a) * size() + offset;
                  for (int l = 0, lm = 0; l <= density_.l_max(); ++l) {
                    const double *U = s.U.data() + l * n_pad + density_.pad(), *V = s.V.data() + l * n_pad + density_.pad();
                    for (const int end = (l + 1) * (l + 1); lm < end; ++lm) {
                      const double u = weight * factors.direction[a] * factors.harmonics[lm * factors.stride];
                      const double v = weight * factors.gradients[(3 * lm + a) * factors.stride];
                      for (int n = 0; n < n_max; ++n) {
                        const double change = u * U[n] + v * V[n];
                        neighbor[lm * n_max + n] += change;
                        centre[lm * n_max + n] -= change;
                      }
                    }
                  }
                }
              }
            }
          }
        }
        spectrum(s.c.data(), s.c.data(), s.row.data());
        const double norm2 = dot(n_features_, s.row.data(), s.row.data());
        const double scale = 1 / (static_cast<double>(std::max<index_t>(count, 1)) *
                                  (normalize_ && norm2 > 0 ? std::sqrt(norm2) : 1.0));
        for (index_t line = 0; line < 3 * n_atoms; ++line) {
          double* row = out.row(3 * first + line);
          spectrum(s.c.data(), s.moved.data() + line * size(), row);
          const double along = normalize_ && norm2 > 0 ? dot(n_features_, row, s.row.data()) / norm2 : 0;
          for (index_t k = 0; k < n_features_; ++k) row[k] = scale * (row[k] - along * s.row[k]);
        }
      });
}

}  // namespace mercer
