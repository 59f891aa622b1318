#include "mercer/density/density.hpp"

#include <algorithm>
#include <cmath>

#include "mercer/core/error.hpp"
#include "mercer/core/parallel.hpp"
#include "mercer/core/simd.hpp"

namespace mercer {
namespace {

using simd::Tile;
using simd::Vector;
constexpr int W = simd::width;

constexpr index_t round_up(index_t n, index_t multiple) { return (n + multiple - 1) / multiple * multiple; }

/// Doubles between the coefficient arrays of two channels: full cache lines, and room for the overhang of a store.
index_t slot_size(index_t channel_size) { return round_up(channel_size, 8) + 16; }

/// How many rows of T accumulators fit the register file beside the operands.
template <int T>
constexpr int max_rows() {
  constexpr int registers = (W == 8 ? 28 : 12) / ((T + W - 1) / W);
  return registers < 7 ? registers : 7;
}

/// c[m][n] = sum_p Y[m][p] R[p][n] for M values of m and T values of n, in registers.
template <int T, int M>
void contract(const double* R, index_t R_stride, const double* Y, index_t Y_stride, index_t n_pairs, double* c,
              index_t c_stride) {
  Tile<T> sum[M] = {};
  for (index_t p = 0; p < n_pairs; ++p) {
    const Tile<T> r = Tile<T>::load(R + p * R_stride);
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) sum[m].add(Y[m * Y_stride + p], r);
  }
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) sum[m].store(c + m * c_stride);
}

/// All l of one group of neighbours, for T values of n.
template <int T>
void contract_all(int l_max, index_t n_pad, const double* R, index_t R_stride, const double* Y, index_t Y_stride, index_t n_pairs,
                  double* c) {
  for (int l = 0; l <= l_max; ++l) {
    const int end = (l + 1) * (l + 1);
    const int n_parts = (2 * l + max_rows<T>()) / max_rows<T>();
    for (int part = 0, lm = l * l; lm < end; ++part) {
      const int rows = (end - lm + n_parts - part - 1) / (n_parts - part);
      const double* r = R + l * n_pad;
      const double* y = Y + lm * Y_stride;
      double* out = c + lm * n_pad;
      switch (rows) {
        case 1: contract<T, 1>(r, R_stride, y, Y_stride, n_pairs, out, n_pad); break;
        case 2: contract<T, 2>(r, R_stride, y, Y_stride, n_pairs, out, n_pad); break;
        case 3: contract<T, 3>(r, R_stride, y, Y_stride, n_pairs, out, n_pad); break;
        case 4: contract<T, (max_rows<T>() >= 4 ? 4 : 1)>(r, R_stride, y, Y_stride, n_pairs, out, n_pad); break;
        case 5: contract<T, (max_rows<T>() >= 5 ? 5 : 1)>(r, R_stride, y, Y_stride, n_pairs, out, n_pad); break;
        case 6: contract<T, (max_rows<T>() >= 6 ? 6 : 1)>(r, R_stride, y, Y_stride, n_pairs, out, n_pad); break;
        default: contract<T, (max_rows<T>() >= 7 ? 7 : 1)>(r, R_stride, y, Y_stride, n_pairs, out, n_pad); break;
      }
      lm += rows;
    }
  }
}

/// The sums over n of the reverse pass for M values of m and W neighbours (lanes):
/// B_m = sum_n dc[m][n] R_n is stored, A_m = sum_n dc[m][n] R'_n summed times Y_m.
template <int M>
void reverse_rows(const double* dc, index_t dc_stride, int n_max, const double* R, const double* dR, const double* Y,
                  index_t stride, double* B_out, Vector& radial) {
  Vector A[M] = {}, B[M] = {};
  for (int n = 0; n < n_max; ++n) {
    const Vector r = simd::load(R + n * W), dr = simd::load(dR + n * W);
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
      const double factor = dc[m * dc_stride + n];
      A[m] += factor * dr;
      B[m] += factor * r;
    }
  }
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
    radial += A[m] * simd::load(Y + m * stride);
    simd::store(B_out + m * W, B[m]);
  }
}

/// out[k][p] = in[p][k] for W rows p that are `in_stride` apart and k = 0 .. n - 1, n a multiple of W.
void transpose(const double* in, index_t in_stride, index_t n, double* out) {
  for (index_t k = 0; k < n; k += W) {
    Vector rows[W];
#pragma GCC unroll 8
    for (int p = 0; p < W; ++p) rows[p] = simd::load(in + p * in_stride + k);
    simd::transpose<W>(rows);
#pragma GCC unroll 8
    for (int p = 0; p < W; ++p) simd::store(out + (k + p) * W, rows[p]);
  }
}

/// The radial basis knows the width that the cutoff function really has.
DensityParameters with_cutoff_width(DensityParameters p) {
  p.radial.width = Cutoff(p.cutoff, p.radial.r_cut, p.radial.width).width();
  return p;
}

}  // namespace

Density::Density(DensityParameters parameters)
    : parameters_(with_cutoff_width(std::move(parameters))),
      n_channels_(static_cast<int>(parameters_.species.size())),
      cutoff_(parameters_.cutoff, parameters_.radial.r_cut, parameters_.radial.width),
      table_(*make_radial_basis(parameters_.radial_basis, parameters_.radial)),
      harmonics_(parameters_.radial.l_max) {
  const auto& p = parameters_;
  MERCER_REQUIRE(!p.species.empty(), "density: no species given, expected at least one atomic number");
  MERCER_REQUIRE(std::isfinite(p.central_weight), "density: central_weight = ", p.central_weight,
                 ", expected a finite number");
  p.scaling.validate();
  for (std::size_t s = 0; s < p.species.size(); ++s) {
    const std::int32_t z = p.species[s];
    MERCER_REQUIRE(z >= 0 && z < 1024, "density: species ", z, ", expected an atomic number");
    MERCER_REQUIRE(s == 0 || p.species[s - 1] < z, "density: species must be ascending and different");
    index_of_.resize(std::max<std::size_t>(index_of_.size(), z + 1), -1);
    index_of_[z] = static_cast<std::int16_t>(s);
  }
  if (!p.channels.empty()) {
    MERCER_REQUIRE(p.channels.size() % p.species.size() == 0, "density: channels has ", p.channels.size(),
                   " elements, expected a row for each of the ", p.species.size(), " species");
    n_channels_ = static_cast<int>(p.channels.size() / p.species.size());
    for (double w : p.channels) MERCER_REQUIRE(std::isfinite(w), "density: channels must be finite");
  }
  std::vector<double> values((l_max() + 1) * n_max());
  make_radial_basis(p.radial_basis, p.radial)->evaluate(0.0, values.data());
  central_.assign(values.begin(), values.begin() + n_max());
  for (double& value : central_) value *= p.central_weight * 0.28209479177387814347;  // 1 / sqrt(4 pi)
}

std::vector<std::int16_t> Density::species_of(const StructureBatch& structures, const PairList& pairs) const {
  MERCER_REQUIRE(pairs.n_atoms() == structures.n_atoms(), "density: the pair list has ", pairs.n_atoms(),
                 " atoms, the structures ", structures.n_atoms(), "; build it from the same structures");
  MERCER_REQUIRE(pairs.cutoff >= cutoff_.r_cut(), "density: the pair list has cutoff ", pairs.cutoff,
                 ", expected at least r_cut = ", cutoff_.r_cut());
  std::vector<std::int16_t> species(structures.n_atoms());
  for (index_t f = 0; f < structures.n_frames(); ++f) {
    for (index_t i = structures.offsets[f]; i < structures.offsets[f + 1]; ++i) {
      const std::int32_t z = structures.numbers[i];
      species[i] = z >= 0 && z < static_cast<std::int32_t>(index_of_.size()) ? index_of_[z] : std::int16_t{-1};
      MERCER_REQUIRE(species[i] >= 0 || parameters_.ignore_unknown, "frame ", f, ": atom ", i - structures.offsets[f],
                     " has atomic number ", z, ", which is not among the species of the descriptor");
    }
  }
  return species;
}

std::vector<int> Density::present_channels(const PairList& pairs, Span<const std::int16_t> species,
                                           index_t centre) const {
  std::vector<char> found(n_species(), 0);
  for (int s = 0; s < n_species(); ++s) found[s] = has_centre(species[centre], s);
  for (index_t p = pairs.offsets[centre]; p < pairs.offsets[centre + 1]; ++p) {
    const int s = species[pairs.neighbors[p]];
    if (s >= 0 && pairs.distances[p] < cutoff_.r_cut()) found[s] = 1;
  }
  std::vector<int> channels;
  if (parameters_.channels.empty()) {
    for (int s = 0; s < n_species(); ++s) {
      if (found[s]) channels.push_back(s);
    }
  } else if (std::find(found.begin(), found.end(), 1) != found.end()) {
    for (int J = 0; J < n_channels(); ++J) channels.push_back(J);
  }
  return channels;
}

Density::Workspace Density::make_workspace(const PairList& pairs, Purpose purpose) const {
  const bool reverse = purpose != Purpose::values;
  Workspace ws;
  ws.purpose = purpose;
  ws.stride = round_up(pairs.most_neighbors() + (reverse ? n_species() * (W - 1) : 0), 8) + 8;
  const index_t slot = slot_size(channel_size());
  const auto zeros = [](index_t size) {
    Buffer<double> buffer(size);
    std::fill(buffer.data(), buffer.data() + size, 0.0);
    return buffer;
  };
  ws.species_begin.resize(n_species() + 1);
  ws.species_coefficients.resize(n_species());
  ws.pair.resize(ws.stride);
  ws.geometry = zeros(6 * ws.stride);
  ws.radial = zeros(ws.stride * radial_stride());
  ws.harmonics = zeros(ws.stride * n_lm());
  ws.species_memory = zeros(n_species() * slot);
  for (int s = 0; s < n_species(); ++s) ws.species_coefficients[s] = ws.species_memory.data() + s * slot;
  if (!parameters_.channels.empty()) ws.channel_memory = zeros(n_channels() * slot);
  if (reverse) {
    ws.radial_derivative = zeros(ws.stride * radial_stride());
    if (purpose == Purpose::factors) ws.harmonics_gradient = zeros(3 * ws.stride * n_lm());
    ws.lanes = zeros((2 * radial_stride() + n_lm()) * W);
    ws.species_adjoints.resize(n_species());
    ws.species_adjoint_memory = zeros(n_species() * slot);
    for (int s = 0; s < n_species(); ++s) ws.species_adjoints[s] = ws.species_adjoint_memory.data() + s * slot;
    if (!parameters_.channels.empty()) ws.channel_adjoint_memory = zeros(n_channels() * slot);
  }
  return ws;
}

/// Neighbours within r_cut sorted by species, as structure of arrays. For the reverse pass the groups begin at
/// multiples of the vector width.
void Density::gather(const PairList& pairs, Span<const std::int16_t> species, index_t centre, Workspace& ws) const {
  const bool reverse = ws.purpose != Purpose::values;
  const double r_cut = cutoff_.r_cut();
  const index_t begin = pairs.offsets[centre], end = pairs.offsets[centre + 1];
  auto& next = ws.species_begin;
  std::fill(next.begin(), next.end(), 0);
  const auto counted = [&](index_t p) { return pairs.distances[p] < r_cut && species[pairs.neighbors[p]] >= 0; };
  for (index_t p = begin; p < end; ++p) {
    if (counted(p)) ++next[species[pairs.neighbors[p]]];
  }
  ws.group_species.clear();
  ws.group_begin.clear();
  ws.group_size.clear();
  ws.n = 0;
  for (int s = 0; s < n_species(); ++s) {
    const index_t count = next[s];
    next[s] = ws.n;
    if (count == 0 && !has_centre(species[centre], s)) continue;
    ws.group_species.push_back(s);
    ws.group_begin.push_back(ws.n);
    ws.group_size.push_back(count);
    if (reverse) {
      const index_t last = ws.n + round_up(count, W);
      std::fill(ws.pair.begin() + ws.n + count, ws.pair.begin() + last, index_t{-1});
      ws.n = last;
    } else {
      ws.n += count;
    }
  }
  ws.group_begin.push_back(ws.n);
  ws.n_groups = static_cast<int>(ws.group_species.size());
  for (index_t p = begin; p < end; ++p) {
    if (counted(p)) ws.pair[next[species[pairs.neighbors[p]]]++] = p;
  }

  // Full vectors for the harmonics.
  ws.n_padded = round_up(ws.n, 8);
  std::fill(ws.pair.begin() + ws.n, ws.pair.begin() + ws.n_padded, index_t{-1});

  double* x = ws.geometry.data();
  double *y = x + ws.stride, *z = y + ws.stride, *r = z + ws.stride, *w = r + ws.stride, *dw = w + ws.stride;
  for (index_t k = 0; k < ws.n_padded; ++k) {
    const index_t p = ws.pair[k];
    const Vec3 vector = p < 0 ? Vec3{0, 0, 1} : pairs.vectors[p];
    r[k] = p < 0 ? 1 : pairs.distances[p];
    x[k] = vector[0];
    y[k] = vector[1];
    z[k] = vector[2];
  }
  for (index_t k = 0; k < ws.n_padded; ++k) {
    const double inverse = 1.0 / r[k];
    x[k] *= inverse;
    y[k] *= inverse;
    z[k] *= inverse;
  }
  cutoff_.evaluate(ws.n_padded, r, w, reverse ? dw : nullptr);
  if (!parameters_.scaling.off()) {
    for (index_t k = 0; k < ws.n_padded; ++k) {
      const double u = parameters_.scaling.value(r[k]);
      if (reverse) dw[k] = dw[k] * u + w[k] * parameters_.scaling.derivative(r[k]);
      w[k] *= u;
    }
  }
  for (int g = 0; g < ws.n_groups; ++g) {
    const index_t k = ws.group_begin[g], first = k * table_.stride();
    table_.evaluate(ws.group_size[g], r + k, w + k, dw + k, ws.radial.data() + first,
                    reverse ? ws.radial_derivative.data() + first : nullptr);
  }
}

/// The sums over neighbours, species by species.
void Density::accumulate(Workspace& ws) const {
  const double* Y = ws.harmonics.data();
  for (int g = 0; g < ws.n_groups; ++g) {
    const index_t begin = ws.group_begin[g], n = ws.group_size[g];
    double* c = ws.species_coefficients[ws.group_species[g]] + pad();
    const double* R = ws.radial.data() + begin * radial_stride();
    for (int n0 = 0; n0 < n_pad();) {
      const int tile = std::min(n_pad() - n0, simd::max_tile);
      const auto run = [&](auto kernel) { kernel(l_max(), n_pad(), R + n0, radial_stride(), Y + begin, ws.stride, n, c + n0); };
      switch (tile) {
        case 4: run(contract_all<4>); break;
        case 8: run(contract_all<std::min(8, simd::max_tile)>); break;
        case 12: run(contract_all<std::min(12, simd::max_tile)>); break;
        default: run(contract_all<simd::max_tile>); break;
      }
      n0 += tile;
    }
  }
}

void Density::expand(const PairList& pairs, Span<const std::int16_t> species, index_t centre, Workspace& ws) const {
  gather(pairs, species, centre, ws);
  const double* x = ws.geometry.data();
  const bool reverse = ws.purpose != Purpose::values;
  if (ws.purpose == Purpose::factors) {
    harmonics_.evaluate(ws.n_padded, x, x + ws.stride, x + 2 * ws.stride, ws.harmonics.data(), ws.harmonics_gradient.data(),
                        ws.stride);
  } else {
    harmonics_.evaluate(ws.n_padded, x, x + ws.stride, x + 2 * ws.stride, ws.harmonics.data(), ws.stride);
  }
  accumulate(ws);
  for (const int s : ws.group_species) {
    if (!has_centre(species[centre], s)) continue;
    double* c = ws.species_coefficients[s] + pad();
    for (int n = 0; n < n_max(); ++n) c[n] += central_[n];
  }

  ws.present.clear();
  ws.coefficients.clear();
  ws.adjoints.clear();
  const index_t slot = slot_size(channel_size());
  if (parameters_.channels.empty()) {
    for (int g = 0; g < ws.n_groups; ++g) {
      const int s = ws.group_species[g];
      ws.present.push_back(s);
      ws.coefficients.push_back(ws.species_coefficients[s]);
      if (reverse) ws.adjoints.push_back(ws.species_adjoints[s]);
    }
  } else if (ws.n_groups > 0) {
    for (int J = 0; J < n_channels(); ++J) {
      double* c = ws.channel_memory.data() + J * slot;
      std::fill(c, c + channel_size(), 0.0);
      for (int g = 0; g < ws.n_groups; ++g) {
        const int s = ws.group_species[g];
        const double weight = parameters_.channels[s * n_channels() + J];
        const double* from = ws.species_coefficients[s];
        for (index_t k = 0; k < channel_size(); ++k) c[k] += weight * from[k];
      }
      ws.present.push_back(J);
      ws.coefficients.push_back(c);
      if (reverse) ws.adjoints.push_back(ws.channel_adjoint_memory.data() + J * slot);
    }
  }
  ws.n_present = static_cast<int>(ws.present.size());
}

void Density::coefficients(const StructureBatch& structures, const PairList& pairs, MatView<double> out) const {
  const index_t width = static_cast<index_t>(n_lm()) * n_max();
  MERCER_REQUIRE(out.rows == structures.n_atoms() && out.cols == n_channels() * width, "density: expected (",
                 structures.n_atoms(), ", ", n_channels() * width, ") coefficients, got (", out.rows, ", ", out.cols, ")");
  const auto species = species_of(structures, pairs);
  for_each_centre(
      pairs, {species.data(), static_cast<index_t>(species.size())}, Purpose::values, 0, [] { return 0; },
      [&](Workspace& ws, int, index_t i) {
        std::fill(out.row(i), out.row(i) + out.cols, 0.0);
        for (int k = 0; k < ws.n_present; ++k) {
          double* to = out.row(i) + ws.present[k] * width;
          const double* from = ws.coefficients[k] + pad();
          for (int lm = 0; lm < n_lm(); ++lm) std::copy_n(from + lm * n_pad(), n_max(), to + lm * n_max());
        }
      });
}

void Density::reverse(const PairList& pairs, index_t centre, Workspace& ws, Vec3* gradients) const {
  const index_t first_pair = pairs.offsets[centre];
  std::fill_n(gradients, pairs.offsets[centre + 1] - first_pair, Vec3{0, 0, 0});
  if (!parameters_.channels.empty()) {
    for (int g = 0; g < ws.n_groups; ++g) {
      const int s = ws.group_species[g];
      double* to = ws.species_adjoints[s];
      std::fill(to, to + channel_size(), 0.0);
      for (int J = 0; J < n_channels(); ++J) {
        const double weight = parameters_.channels[s * n_channels() + J];
        const double* from = ws.adjoints[J];
        for (index_t k = 0; k < channel_size(); ++k) to[k] += weight * from[k];
      }
    }
  }
  const index_t stride = ws.stride, size = radial_stride();
  const double* x = ws.geometry.data();
  double *R = ws.lanes.data(), *dR = R + size * W, *B = dR + size * W;
  for (int g = 0; g < ws.n_groups; ++g) {
    const double* dc = ws.species_adjoints[ws.group_species[g]] + pad();
    for (index_t k = ws.group_begin[g]; k < ws.group_begin[g + 1]; k += W) {
      transpose(ws.radial.data() + k * size, size, size, R);
      transpose(ws.radial_derivative.data() + k * size, size, size, dR);
      Vector radial{};
      for (int l = 0; l <= l_max(); ++l) {
        const int end = (l + 1) * (l + 1);
        constexpr int most = W == 8 ? 7 : 5;
        const int n_parts = (2 * l + most) / most;
        for (int part = 0, lm = l * l; lm < end; ++part) {
          const int rows = (end - lm + n_parts - part - 1) / (n_parts - part);
          const auto run = [&](auto kernel) {
            kernel(dc + lm * n_pad(), n_pad(), n_max(), R + l * n_pad() * W, dR + l * n_pad() * W,
                   ws.harmonics.data() + lm * stride + k, stride, B + lm * W, radial);
          };
          switch (rows) {
            case 1: run(reverse_rows<1>); break;
            case 2: run(reverse_rows<2>); break;
            case 3: run(reverse_rows<3>); break;
            case 4: run(reverse_rows<4>); break;
            case 5: run(reverse_rows<5>); break;
            case 6: run(reverse_rows<most < 6 ? 1 : 6>); break;
            default: run(reverse_rows<most < 7 ? 1 : 7>); break;
          }
          lm += rows;
        }
      }
      double gradient[3 * W];
      harmonics_.gradient_of_sum(x + k, x + stride + k, x + 2 * stride + k, B, gradient);
      const Vector inverse_r = 1.0 / simd::load(x + 3 * stride + k);
      for (int a = 0; a < 3; ++a) {
        const Vector g_a = radial * simd::load(x + a * stride + k) + inverse_r * simd::load(gradient + a * W);
        for (int lane = 0; lane < W; ++lane) {
          if (ws.pair[k + lane] >= 0) gradients[ws.pair[k + lane] - first_pair][a] = g_a[lane];
        }
      }
    }
  }
}

Density::PairFactors Density::pair_factors(const Workspace& ws, index_t k, double* __restrict U,
                                           double* __restrict V) const {
  const double* x = ws.geometry.data() + k;
  const double inverse_r = 1 / x[3 * ws.stride];
  const double* R = ws.radial.data() + k * radial_stride();
  const double* dR = ws.radial_derivative.data() + k * radial_stride();
  // The table has the zeros behind n.
  for (int n = 0; n < pad(); ++n) U[n] = V[n] = 0;
  for (index_t i = pad(); i < table_.size(); ++i) {
    U[i] = dR[i - pad()];
    V[i] = inverse_r * R[i - pad()];
  }
  return {{x[0], x[ws.stride], x[2 * ws.stride]}, ws.harmonics.data() + k, ws.harmonics_gradient.data() + k, ws.stride};
}

void scatter_pair_gradients(const StructureBatch& structures, const PairList& pairs, index_t begin, index_t end,
                            Span<const Vec3> pair_gradients, MatView<double> dY_dpositions, MatView<double> dY_dstrain) {
  if (begin == end) return;
  const index_t first_pair = pairs.offsets[begin];
  const auto scatter = [&](index_t f) {
    double* strain = dY_dstrain.row(f);
    for (index_t i = std::max(begin, structures.offsets[f]); i < std::min(end, structures.offsets[f + 1]); ++i) {
      for (index_t p = pairs.offsets[i]; p < pairs.offsets[i + 1]; ++p) {
        const Vec3 &g = pair_gradients[p - first_pair], &r = pairs.vectors[p];
        double* neighbor = dY_dpositions.row(pairs.neighbors[p]);
        double* centre = dY_dpositions.row(i);
        for (int a = 0; a < 3; ++a) {
          neighbor[a] += g[a];
          centre[a] -= g[a];
          for (int b = 0; b < 3; ++b) strain[3 * a + b] += g[a] * r[b];
        }
      }
    }
  };
  const index_t first = structures.frame_of(begin), n_frames = structures.frame_of(end - 1) + 1 - first;
  const index_t frames_per_chunk = 1 + 20000 * n_frames / std::max<index_t>(1, pairs.offsets[end] - first_pair);
  parallel_chunks(n_frames, frames_per_chunk, [&](index_t from, index_t to) {
    for (index_t f = first + from; f < first + to; ++f) scatter(f);
  });
}

}  // namespace mercer
