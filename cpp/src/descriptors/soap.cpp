#include "mercer/descriptors/soap.hpp"

#include <algorithm>
#include <cmath>

#include "descriptors/power_block.hpp"
#include "descriptors/soap_contraction.hpp"
#include "descriptors/soap_jacobian.hpp"
#include "mercer/core/error.hpp"
#include "mercer/core/parallel.hpp"

namespace mercer {
namespace {

constexpr int W = simd::width;
constexpr index_t largest_streamed_row = 40000;       // 320 kB
constexpr index_t smallest_streamed_result = 2000000;  // 16 MB

int padded_m(int l) { return (2 * l + 1 + 3) / 4 * 4; }

/// out[j][i] = factor * in[i][j] in square blocks, i < rows, j < columns; columns of
/// `out` are zero-padded to a multiple of four.
void transpose(const double* in, int rows, int columns, index_t in_stride, double factor, double* out,
               index_t out_stride) {
  constexpr int B = std::min(4, W);
  using Row = simd::VectorN<B>;
  for (int i = 0; i < (rows + 3) / 4 * 4; i += B) {
    for (int j = 0; j < columns; j += B) {
      Row block[B];
#pragma GCC unroll 4
      for (int r = 0; r < B; ++r) block[r] = i + r < rows ? factor * simd::load<B>(in + (i + r) * in_stride + j) : Row{};
      simd::transpose<B>(block);
#pragma GCC unroll 4
      for (int r = 0; r < B; ++r) {
        if (j + r < columns) simd::store<B>(out + (j + r) * out_stride + i, block[r]);
      }
    }
  }
}

double squared_norm(const double* x, index_t n) {
  simd::Vector sums[4] = {};
  index_t i = 0;
  for (; i + 4 * W <= n; i += 4 * W) {
    for (int k = 0; k < 4; ++k) {
      const simd::Vector v = simd::load(x + i + k * W);
      sums[k] += v * v;
    }
  }
  double rest = 0;
  for (; i < n; ++i) rest += x[i] * x[i];
  return simd::sum((sums[0] + sums[1]) + (sums[2] + sums[3])) + rest;
}

void scale(double factor, double* x, index_t n) {
  for (index_t i = 0; i < n; ++i) x[i] *= factor;
}

void normalize_row(double* row, index_t n) {
  const double norm = std::sqrt(squared_norm(row, n));
  scale(norm > 0 ? 1 / norm : 0.0, row, n);
}

/// The symmetric n x n matrix G of a packed triangle, with sqrt(2) on the diagonal.
void unpack(const double* triangle, int n, double* G) {
  constexpr int B = std::min(4, W);
  if (n % B == 0) {  // in square blocks; those on the diagonal are symmetrised in place
    const auto row = [&](int i) { return triangle + i * (2 * n - i - 1) / 2; };  // element (i, j) is row(i)[j]
    for (int i = 0; i < n; i += B) {
      for (int j = i; j < n; j += B) {
        simd::VectorN<B> block[B], transposed[B];
#pragma GCC unroll 4
        for (int r = 0; r < B; ++r) transposed[r] = block[r] = simd::load<B>(row(i + r) + j);
        simd::transpose<B>(transposed);
#pragma GCC unroll 4
        for (int r = 0; r < B; ++r) {
          if (i == j) {
            for (int c = 0; c < r; ++c) block[r][c] = transposed[r][c];
            block[r][r] *= sqrt_2;
          } else {
            simd::store<B>(G + (j + r) * n + i, transposed[r]);
          }
          simd::store<B>(G + (i + r) * n + j, block[r]);
        }
      }
    }
    return;
  }
  for (int i = 0; i < n; ++i) {
    G[i * n + i] = sqrt_2 * *triangle++;
    for (int j = i + 1; j < n; ++j) G[i * n + j] = G[j * n + i] = *triangle++;
  }
}

}  // namespace

/// Scratch of one thread.
struct Soap::Scratch {
  Buffer<double> transposed;  ///< coefficients as [present][l][n_pad][m padded]
  Buffer<double> adjoint;     ///< dY/dc in the same layout
  Buffer<double> gram;        ///< [l][m][m'] sum over channels and n
  Buffer<double> row;         ///< of the result, before it is streamed
  Buffer<double> square;      ///< one l of a block a = a of dY/dX, unpacked
  struct Factor {
    const double* data;
    index_t row, column;  ///< strides
  };
  std::vector<Factor> factors;  ///< one l of the blocks of dY/dX with one channel and each present one
};

Soap::Soap(DensityParameters parameters, bool normalize)
    : DensityDescriptor(std::move(parameters)), normalize_(normalize) {
  const index_t n = density_.n_max(), n_l = density_.l_max() + 1;
  offsets_.push_back(0);
  for (int a = 0; a < density_.n_channels(); ++a) {
    for (int b = a; b < density_.n_channels(); ++b) {
      blocks_.emplace_back(a, b);
      offsets_.push_back(offsets_.back() + n_l * (a == b ? n * (n + 1) / 2 : n * n));
    }
  }
  l_offsets_.push_back(0);
  for (int l = 0; l < n_l; ++l) {
    l_factor_.push_back(1 / std::sqrt(std::sqrt(2.0 * l + 1.0)));
    l_offsets_.push_back(l_offsets_.back() + density_.n_pad() * padded_m(l));
  }
}

Soap::Scratch Soap::make_scratch(bool reverse) const {
  Scratch scratch;
  const index_t size = density_.n_channels() * l_offsets_.back();
  if (reverse || norm_first()) {
    scratch.transposed = Buffer<double>(size);
    scratch.gram = Buffer<double>(l_offsets_.size() * padded_m(density_.l_max()) * padded_m(density_.l_max()));
  }
  if (reverse) {
    scratch.adjoint = Buffer<double>(size);
    scratch.square = Buffer<double>(density_.n_max() * density_.n_max());
    scratch.factors.resize(density_.n_channels());
  }
  return scratch;
}

/// Transposed coefficients times (2l + 1)^(-1/4), so that p_AB = sum_m c_A c_B with A = (channel, n); the Gram matrices
/// sum_A c_Am c_Am' of every l; returns |p|^2 = sum_l |Gram_l|^2.
double Soap::transpose_coefficients(const Density::Workspace& ws, Scratch& scratch) const {
  const int n_pad = density_.n_pad();
  const index_t channel = l_offsets_.back();
  double norm = 0;
  double* gram = scratch.gram.data();
  for (int l = 0; l <= density_.l_max(); ++l) {
    const int n_m = 2 * l + 1, m_pad = padded_m(l);
    for (int k = 0; k < ws.n_present; ++k) {
      const double* c = ws.coefficients[k] + l * l * n_pad;
      double* t = scratch.transposed.data() + k * channel + l_offsets_[l];
      transpose(c, n_m, n_pad, n_pad, l_factor_[l], t, m_pad);
    }
    for (int m0 = 0; m0 < m_pad; m0 += tile_rows) {
      for_tiles(0, m_pad, [&](auto tile, int column) {
        using TileType = decltype(tile);
        TileType sum[tile_rows] = {};
        for (int k = 0; k < ws.n_present; ++k) {
          const double* t = scratch.transposed.data() + k * channel + l_offsets_[l];
          add_tile_product(t + m0, 1, m_pad, t + column, m_pad, n_pad, sum);
        }
        for (int r = 0; r < tile_rows; ++r) sum[r].store(gram + (m0 + r) * m_pad + column);
      });
    }
    norm += squared_norm(gram, static_cast<index_t>(m_pad) * m_pad);
    gram += m_pad * m_pad;
  }
  return norm;
}

/// Scales the coefficients by `factor` and so that products of two are entries of the packed row with a < b.
void Soap::scale_coefficients(const Density::Workspace& ws, double factor) const {
  for (int k = 0; k < ws.n_present; ++k) {
    for (int l = 0; l <= density_.l_max(); ++l) {
      scale(factor * fourth_root_2 * l_factor_[l], ws.coefficients[k] + l * l * density_.n_pad(),
            (2 * l + 1) * density_.n_pad());
    }
  }
}

/// Normalised where there are several channels: then large rows are written once.
void Soap::prepare(const Density::Workspace& ws, Scratch& scratch) const {
  double factor = 1;
  if (norm_first()) {
    const double norm = std::sqrt(transpose_coefficients(ws, scratch));
    factor = norm > 0 ? 1 / std::sqrt(norm) : 0;
  }
  scale_coefficients(ws, factor);
}

/// Products of the scaled coefficients, all blocks.
void Soap::write_blocks(const Density::Workspace& ws, double* out) const {
  double* written = out + n_features();
  for (int k = ws.n_present - 1; k >= 0; --k) {
    for (int k2 = ws.n_present - 1; k2 >= k; --k2) {
      const index_t block = block_index(ws.present[k], ws.present[k2]);
      std::fill(out + offsets_[block + 1], written, 0.0);
      written = out + offsets_[block];
      power_block(SumOverM{density_.n_pad()}, ws.coefficients[k], ws.coefficients[k2], k == k2, density_.l_max(),
                  density_.n_max(), density_.n_pad(), written, out);
    }
  }
  std::fill(out, written, 0.0);
}

void Soap::write_row(const Density::Workspace& ws, double* out) const {
  write_blocks(ws, out);
  if (normalize_ && !norm_first()) normalize_row(out, n_features());
}

void Soap::write_rows(const PairList& pairs, Span<const std::int16_t> species, index_t begin, index_t end,
                      MatView<double> out) const {
  // A result that no cache holds is written past them, row by row from a copy in the L2 cache.
  const bool past_caches = norm_first() && n_features() <= largest_streamed_row &&
                           out.rows * n_features() >= smallest_streamed_result;
  density_.for_each_centre(
      pairs, species, begin, end, Density::Purpose::values, flops(),
      [&] {
        Scratch scratch = make_scratch(false);
        if (past_caches) scratch.row = Buffer<double>(n_features());
        return scratch;
      },
      [&](Density::Workspace& ws, Scratch& scratch, index_t i) {
        prepare(ws, scratch);
        if (past_caches) {
          write_row(ws, scratch.row.data());
          simd::stream(scratch.row.data(), n_features(), out.row(i - begin));
          simd::stream_fence();
        } else {
          write_row(ws, out.row(i - begin));
        }
      });
}

Soap::SparseRows Soap::transform_blocks(const StructureBatch& structures, const PairList& pairs) const {
  const auto species = density_.species_of(structures, pairs);
  const index_t n_atoms = structures.n_atoms();
  const auto for_present_blocks = [&](Span<const int> present, const auto& body) {
    for (index_t k = 0; k < present.size; ++k) {
      for (index_t k2 = k; k2 < present.size; ++k2) body(k, k2, block_index(present[k], present[k2]));
    }
  };
  // Count first: which channels an atom has follows from its neighbours alone.
  SparseRows rows;
  rows.atom_offsets = Buffer<index_t>(n_atoms + 1);
  rows.atom_offsets[0] = 0;
  std::vector<std::vector<int>> present(n_atoms);
  parallel_chunks(n_atoms, 256, [&](index_t begin, index_t end) {
    for (index_t i = begin; i < end; ++i) present[i] = density_.present_channels(pairs, species, i);
  });
  index_t n_values = 0;
  for (index_t i = 0; i < n_atoms; ++i) {
    const index_t n = present[i].size();
    rows.atom_offsets[i + 1] = rows.atom_offsets[i] + n * (n + 1) / 2;
  }
  const index_t n_blocks = rows.atom_offsets[n_atoms];
  rows.blocks = Buffer<std::int32_t>(n_blocks);
  rows.value_offsets = Buffer<index_t>(n_blocks + 1);
  for (index_t i = 0, next = 0; i < n_atoms; ++i) {
    for_present_blocks(present[i], [&](index_t, index_t, index_t block) {
      rows.blocks[next] = static_cast<std::int32_t>(block);
      rows.value_offsets[next++] = n_values;
      n_values += offsets_[block + 1] - offsets_[block];
    });
  }
  rows.value_offsets[n_blocks] = n_values;
  rows.values = Buffer<double>(n_values);
  density_.for_each_centre(
      pairs, species, Density::Purpose::values, flops(), [&] { return make_scratch(false); },
      [&](Density::Workspace& ws, Scratch& scratch, index_t i) {
        prepare(ws, scratch);
        const index_t first = rows.atom_offsets[i], last = rows.atom_offsets[i + 1];
        double* begin = rows.values.data() + rows.value_offsets[first];
        index_t next = last;
        for (int k = ws.n_present - 1; k >= 0; --k) {
          for (int k2 = ws.n_present - 1; k2 >= k; --k2) {
            power_block(SumOverM{density_.n_pad()}, ws.coefficients[k], ws.coefficients[k2], k == k2, density_.l_max(),
                        density_.n_max(), density_.n_pad(), rows.values.data() + rows.value_offsets[--next], begin);
          }
        }
        if (normalize_ && !norm_first()) normalize_row(begin, rows.value_offsets[last] - rows.value_offsets[first]);
      });
  return rows;
}

/// dY/dc of the present channels from a row of dY/dX. With G_AB = g_AB (A = B), g_AB / sqrt(2) (else),
/// dY/dc_A = 2 sum_B G_AB c_B; for normalised rows g is first projected: (g - p^ (p^ . g)) / |p|.
void Soap::adjoints(const Density::Workspace& ws, Scratch& scratch, const double* dY_dX) const {
  const int n_max = density_.n_max(), n_pad = density_.n_pad(), pad = density_.pad();
  const index_t channel = l_offsets_.back();
  const double norm2 = transpose_coefficients(ws, scratch);
  double* adjoint = scratch.adjoint.data();
  // adjoint[k][l][n][m] = sum_k2 sum_n2 G[n][n2] c[k2][l][n2][m], in registers.
  for (int l = 0; l <= density_.l_max(); ++l) {
    const int m_pad = padded_m(l);
    for (int k = 0; k < ws.n_present; ++k) {
      for (int k2 = 0; k2 < ws.n_present; ++k2) {
        const double* g = dY_dX + offsets_[block_index(ws.present[std::min(k, k2)], ws.present[std::max(k, k2)])];
        if (k == k2) {
          unpack(g + l * n_max * (n_max + 1) / 2, n_max, scratch.square.data());
          scratch.factors[k2] = {scratch.square.data(), n_max, 1};
        } else {
          g += l * n_max * n_max;
          scratch.factors[k2] = k < k2 ? Scratch::Factor{g, n_max, 1} : Scratch::Factor{g, 1, n_max};
        }
      }
      double* d = adjoint + k * channel + l_offsets_[l];
      std::fill_n(d, pad * m_pad, 0.0);
      for_tiles(0, m_pad, [&](auto tile, int column) {
        using TileType = decltype(tile);
        for_row_groups(n_max, [&](auto rows, int n) {
          TileType sum[rows.value] = {};
          for (int k2 = 0; k2 < ws.n_present; ++k2) {
            const Scratch::Factor& g = scratch.factors[k2];
            const double* c = scratch.transposed.data() + k2 * channel + l_offsets_[l] + pad * m_pad;
            add_tile_product(g.data + n * g.row, g.row, g.column, c + column, m_pad, n_max, sum);
          }
          for (int r = 0; r < rows.value; ++r) sum[r].store(d + (pad + n + r) * m_pad + column);
        });
      });
    }
  }

  double factor = sqrt_2, projection = 0;
  if (normalize_) {
    // p . g = 1/2 sum c dY/dc, since p is homogeneous of degree two in c.
    const double dot = 0.5 * sqrt_2 * simd::dot(adjoint, scratch.transposed.data(), ws.n_present * channel);
    const double inverse = norm2 > 0 ? 1 / std::sqrt(norm2) : 0;
    factor = sqrt_2 * inverse;
    projection = -2 * dot * inverse * inverse * inverse;
  }
  const double* gram = scratch.gram.data();
  for (int l = 0; l <= density_.l_max(); ++l) {
    const int n_m = 2 * l + 1, m_pad = padded_m(l);
    for (int k = 0; k < ws.n_present; ++k) {
      const double* t = scratch.transposed.data() + k * channel + l_offsets_[l];
      double* d = adjoint + k * channel + l_offsets_[l];
      double* out = ws.adjoints[k] + l * l * n_pad;
      if (normalize_) {
        for (int n = 0; n < n_pad; n += tile_rows) {
          for_tiles(0, m_pad, [&](auto tile, int column) {
            using TileType = decltype(tile);
            TileType sum[tile_rows];
            tile_product(t + n * m_pad, m_pad, 1, gram + column, m_pad, n_m, sum);
            for (int r = 0; r < tile_rows; ++r) {
              double* row = d + (n + r) * m_pad + column;
              TileType total{};
              total.add(factor, TileType::load(row));
              total.add(projection, sum[r]);
              total.store(row);
            }
          });
        }
      } else {
        scale(factor, d, n_pad * m_pad);
      }
      transpose(d, n_pad, n_m, m_pad, l_factor_[l], out, n_pad);
    }
    gram += m_pad * m_pad;
  }
}

void Soap::reverse_rows(const PairList& pairs, Span<const std::int16_t> species, index_t begin, index_t end,
                        MatView<const double> dY_dX, Vec3* pair_gradients) const {
  density_.for_each_centre(
      pairs, species, begin, end, Density::Purpose::reverse, 3 * flops(), [&] { return make_scratch(true); },
      [&](Density::Workspace& ws, Scratch& scratch, index_t i) {
        adjoints(ws, scratch, dY_dX.row(i - begin));
        density_.reverse(pairs, i, ws, pair_gradients + pairs.offsets[i] - pairs.offsets[begin]);
      });
}

std::unique_ptr<GradientContraction> Soap::contraction(const StructureBatch& structures, const PairList& pairs,
                                                       MatView<const double> Q) const {
  const bool coefficients = prefers_coefficients(density_, structures, pairs);
  return contraction(structures, pairs, Q, coefficients ? Order::coefficients_first : Order::rows_first);
}

std::unique_ptr<GradientContraction> Soap::contraction(const StructureBatch& structures, const PairList& pairs,
                                                       MatView<const double> Q, Order order) const {
  MERCER_REQUIRE(Q.cols == n_features(), "SOAP: Q has ", Q.cols, " columns, expected ", n_features());
  if (order == Order::coefficients_first) {
    return make_coefficient_contraction(*this, normalize_, structures, pairs, Q);
  }
  return make_jacobian_contraction(std::make_unique<SoapJacobian>(*this), density_, normalize_, structures, pairs, Q);
}

std::unique_ptr<GradientContraction> Soap::jacobian(const StructureBatch& structures, const PairList& pairs) const {
  return make_full_jacobian(std::make_unique<SoapJacobian>(*this), density_, normalize_, structures, pairs);
}

std::unique_ptr<RawGradients> Soap::raw_gradients(const StructureBatch& structures, const PairList& pairs) const {
  return make_raw_gradients(std::make_unique<SoapJacobian>(*this), density_, normalize_, offsets_, structures, pairs);
}

}  // namespace mercer
