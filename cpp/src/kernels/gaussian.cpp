#include "kernels/kernel_base.hpp"

namespace mercer {
namespace {

/// k(u) = exp(-u / (2 l^2)) + c, u = |x - y|^2.
class Gaussian final : public KernelBase<Gaussian> {
 public:
  Gaussian(double length_scale, double offset) : rate_(-0.5 / (length_scale * length_scale)), offset_(offset) {}

  KernelArgument argument() const override { return KernelArgument::squared_distance; }
  bool differentiable() const override { return true; }

  template <class T>
  void apply(T* u, index_t n) const {
    const T rate = static_cast<T>(rate_);
    for (index_t i = 0; i < n; ++i) u[i] *= rate;
    exp_in_place(u, n);
    if (offset_ == 0) return;
    for (index_t i = 0; i < n; ++i) u[i] += static_cast<T>(offset_);
  }

  void derivatives(const double* u, index_t n, double* k, double* dk, double* d2k) const override {
    for_blocks(n, [&](index_t begin, index_t count) {
      double values[block_size];
      for (index_t i = 0; i < count; ++i) values[i] = rate_ * u[begin + i];
      exp_in_place(values, count);
      write(k, begin, count, [&](index_t i) { return values[i] + offset_; });
      write(dk, begin, count, [&](index_t i) { return rate_ * values[i]; });
      write(d2k, begin, count, [&](index_t i) { return rate_ * rate_ * values[i]; });
    });
  }

 private:
  double rate_, offset_;
};

}  // namespace

std::unique_ptr<Kernel> make_gaussian(const KernelParameters& parameters) {
  return std::make_unique<Gaussian>(positive_parameter(parameters, "gaussian", "length_scale"),
                                    offset_parameter(parameters, "gaussian"));
}

}  // namespace mercer
