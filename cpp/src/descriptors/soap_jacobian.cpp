#include "descriptors/soap_jacobian.hpp"

#include <algorithm>
#include <cmath>

#include "descriptors/power_block.hpp"

namespace mercer {
namespace {

constexpr int W = simd::width;

}  // namespace

struct SoapJacobian::Work final : DensityJacobian::Scratch {
  struct Block {
    int k, k2;       ///< present channels
    index_t column;  ///< of the Jacobian
    index_t index;
  };
  std::vector<Block> blocks;
  Buffer<double> radial;      ///< [lane][U, V][size]
  Buffer<double> angular;     ///< [present][lane][sums with Y, grad_x Y, grad_y Y, grad_z Y][size]
  Buffer<double> factors;     ///< [present][w U u_a, w V, A, B, w U u_a, w V][size]
};

SoapJacobian::SoapJacobian(const Soap& soap)
    : soap_(soap),
      density_(soap.density()),
      size_(static_cast<index_t>(density_.l_max() + 1) * density_.n_pad()),
      most_touched_(soap.n_features()) {
  if (density_.channels_are_species()) {
    const index_t n = density_.n_max();
    most_touched_ = (density_.l_max() + 1) * (n * (n + 1) / 2 + (density_.n_channels() - 1) * n * n);
  }
}

std::unique_ptr<DensityJacobian::Scratch> SoapJacobian::make_scratch() const {
  auto work = std::make_unique<Work>();
  work->radial = Buffer<double>(W * 2 * size_);
  work->angular = Buffer<double>(density_.n_channels() * W * 4 * size_);
  work->factors = Buffer<double>(density_.n_channels() * 6 * size_);
  return work;
}

/// Calls body(k, k2, block) for the touched blocks of the present channels k <= k2, in order.
template <class Body>
void SoapJacobian::for_touched_blocks(const std::vector<int>& present, int g, const Body& body) const {
  const bool all = !density_.channels_are_species();
  const int n_present = static_cast<int>(present.size());
  for (int k = 0; k < n_present; ++k) {
    for (int k2 = k; k2 < n_present; ++k2) {
      if (all || k == g || k2 == g) body(k, k2, soap_.block_index(present[k], present[k2]));
    }
  }
}

void SoapJacobian::touched(const std::vector<int>& present, int g, std::vector<ColumnRun>& runs) const {
  const bool all = !density_.channels_are_species();
  runs.clear();
  const auto offsets = soap_.block_offsets();
  for_touched_blocks(present, g, [&](int k, int, index_t block) {
    const bool first = all ? g == 0 : k == g;
    if (!runs.empty() && runs.back().begin + runs.back().size == offsets[block] && runs.back().first == first) {
      runs.back().size += offsets[block + 1] - offsets[block];
    } else {
      runs.push_back({offsets[block], offsets[block + 1] - offsets[block], first});
    }
  });
}

void SoapJacobian::start(const Density::Workspace& ws, double* p) const {
  soap_.scale_coefficients(ws, 1.0);
  soap_.write_blocks(ws, p);
}

/// A and the three B of every present channel for some neighbours.
template <int Lanes>
void SoapJacobian::sums_over_m(const Density::Workspace& ws, const Density::PairFactors& factors, Work& work) const {
  const int n_pad = density_.n_pad();
  const index_t stride = factors.stride;
  for (int k = 0; k < ws.n_present; ++k) {
    double* angular = work.angular.data() + k * W * 4 * size_;
    for (int l = 0; l <= density_.l_max(); ++l) {
      const double factor = fourth_root_2 * soap_.l_factor_[l];  // the other one is in c
      const double* c = ws.coefficients[k] + l * l * n_pad;
      const auto add = [&](const double* Y, index_t step, int which) {
        for_tiles(0, n_pad, [&](auto tile, int column) {
          using TileType = decltype(tile);
          TileType sum[Lanes];
          tile_product(Y, 1, step, c + column, n_pad, 2 * l + 1, sum);
          for (int lane = 0; lane < Lanes; ++lane) {
            TileType scaled{};
            scaled.add(factor, sum[lane]);
            scaled.store(angular + (4 * lane + which) * size_ + l * n_pad + column);
          }
        });
      };
      add(factors.harmonics + l * l * stride, stride, 0);
      for (int a = 0; a < 3; ++a) add(factors.gradients + (3 * l * l + a) * stride, 3 * stride, 1 + a);
    }
  }
}

template <class Row, class BlockDone, class RowDone>
void SoapJacobian::for_rows(const Density::Workspace& ws, int g, Work& work, const Row& row, const BlockDone& block_done,
                            const RowDone& row_done) const {
  const int n_max = density_.n_max(), n_pad = density_.n_pad(), l_max = density_.l_max();
  const bool plain = density_.channels_are_species();
  const auto offsets = soap_.block_offsets();
  index_t n_touched = 0;
  work.blocks.clear();
  for_touched_blocks(ws.present, g, [&](int k, int k2, index_t block) {
    work.blocks.push_back({k, k2, n_touched, block});
    n_touched += offsets[block + 1] - offsets[block];
  });
  const auto angular = [&](int k, index_t lane) { return work.angular.data() + (k * W + lane) * 4 * size_; };
  const auto factors = [&](int k) { return work.factors.data() + 6 * k * size_; };
  const index_t end = ws.group_begin[g] + ws.group_size[g];
  for (index_t k0 = ws.group_begin[g]; k0 < end; k0 += W) {
    const index_t n_lanes = std::min<index_t>(W, end - k0);
    Density::PairFactors pairs[W];
    for (index_t lane = 0; lane < n_lanes; ++lane) {
      double* U = work.radial.data() + 2 * lane * size_;
      pairs[lane] = density_.pair_factors(ws, k0 + lane, U, U + size_);
    }
    if (n_lanes == 1) {
      sums_over_m<1>(ws, pairs[0], work);
    } else if (n_lanes == 2) {
      sums_over_m<2>(ws, pairs[0], work);
    } else if (n_lanes <= 4) {
      sums_over_m<std::min(4, W)>(ws, pairs[0], work);
    } else {
      sums_over_m<W>(ws, pairs[0], work);
    }
    for (index_t lane = 0; lane < n_lanes; ++lane) {
      const double *U = work.radial.data() + 2 * lane * size_, *V = U + size_;
      for (int a = 0; a < 3; ++a) {
        double* jacobian = row(k0 + lane, a);
        const double direction = pairs[lane].direction[a];
        // Where channels are species, only the one of the neighbour depends on it.
        for (int k = plain ? g : 0; k < (plain ? g + 1 : ws.n_present); ++k) {
          const double weight = plain ? 1.0 : density_.weight(ws.group_species[g], ws.present[k]);
          double* to = factors(k);
          for (index_t i = 0; i < size_; ++i) to[i] = to[4 * size_ + i] = weight * direction * U[i];
          for (index_t i = 0; i < size_; ++i) to[size_ + i] = to[5 * size_ + i] = weight * V[i];
          std::copy_n(angular(k, lane), size_, to + 2 * size_);
          std::copy_n(angular(k, lane) + (1 + a) * size_, size_, to + 3 * size_);
        }
        // From the last block to the first, as power_block wants it.
        const index_t step = (1 + a) * size_;  // from A to B_a
        for (auto block = work.blocks.rbegin(); block != work.blocks.rend(); ++block) {
          const int k = block->k, k2 = block->k2;
          double* out = jacobian + block->column;
          if (!plain || k == k2) {
            power_block(SumOfProducts<4>{n_pad, size_, size_}, factors(k), factors(k2) + 2 * size_, k == k2, l_max, n_max,
                        n_pad, out, jacobian);
          } else if (k == g) {
            power_block(SumOfProducts<2>{n_pad, size_, step}, factors(g), angular(k2, lane), false, l_max, n_max, n_pad, out,
                        jacobian);
          } else {
            power_block(SumOfProducts<2>{n_pad, step, size_}, angular(k, lane), factors(g), false, l_max, n_max, n_pad, out,
                        jacobian);
          }
          block_done(block->column, block->index);
        }
        row_done();
      }
    }
  }
}

void SoapJacobian::fill(const Density::Workspace& ws, int g, Scratch& scratch, double* jacobian, index_t stride) const {
  const index_t first = ws.group_begin[g];
  const auto row = [&](index_t k, int a) { return jacobian + (3 * (k - first) + a) * stride; };
  for_rows(ws, g, static_cast<Work&>(scratch), row, [](index_t, index_t) {}, [] {});
}

void SoapJacobian::stream(const Density::Workspace& ws, int g, Scratch& scratch, JacobianSink& sink) const {
  const auto offsets = soap_.block_offsets();
  const auto row = [&](index_t k, int a) {
    sink.begin(ws.pair[k], a);
    return sink.row;
  };
  const auto block_done = [&](index_t column, index_t block) {
    sink.complete(column, offsets[block], offsets[block + 1] - offsets[block]);
  };
  for_rows(ws, g, static_cast<Work&>(scratch), row, block_done, [&] { sink.end(); });
}

}  // namespace mercer
