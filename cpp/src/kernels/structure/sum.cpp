#include "mercer/core/simd.hpp"
#include "mercer/kernels/structure_kernel.hpp"

namespace mercer {
namespace {

/// K = sum_ij w_i w_j k_ij.
class Sum final : public Matching {
 public:
  index_t scratch_size(index_t, index_t) const override { return 0; }
  double cost() const override { return 4; }

  double value(const PairBlock& block, double*, MatchStatus&) const override {
    double sum = 0;
    for (index_t i = 0; i < block.k.rows; ++i) {
      sum += block.x_weights[i] * simd::dot(block.k.row(i), block.y_weights, block.k.cols);
    }
    return sum;
  }

  double gradient(const PairBlock& block, MatView<double> dk, double* scratch, MatchStatus& status) const override {
    for (index_t i = 0; i < dk.rows; ++i) {
      for (index_t j = 0; j < dk.cols; ++j) dk(i, j) = block.x_weights[i] * block.y_weights[j];
    }
    return value(block, scratch, status);
  }
};

}  // namespace

std::unique_ptr<Matching> make_sum(const KernelParameters&) { return std::make_unique<Sum>(); }

}  // namespace mercer
