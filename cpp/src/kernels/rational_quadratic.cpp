#include "kernels/kernel_base.hpp"
#include "kernels/power.hpp"

namespace mercer {
namespace {

/// k(u) = (1 + u / (2 alpha l^2))^-alpha, u = |x - y|^2 (Rasmussen and Williams 2006, eq. 4.19).
class RationalQuadratic final : public KernelBase<RationalQuadratic> {
 public:
  RationalQuadratic(double alpha, double length_scale)
      : alpha_(alpha),
        scale_(0.5 / (alpha * length_scale * length_scale)),
        integer_alpha_(alpha <= 1024 && alpha == std::floor(alpha) ? static_cast<int>(alpha) : 0) {}

  KernelArgument argument() const override { return KernelArgument::squared_distance; }
  bool differentiable() const override { return true; }

  template <class T>
  void apply(T* u, index_t n) const {
    const T scale = static_cast<T>(scale_);
    if (integer_alpha_ > 0) {
      for (index_t i = 0; i < n; ++i) u[i] = 1 / (1 + scale * u[i]);
      integer_power_in_place(u, n, integer_alpha_);
    } else {
      for (index_t i = 0; i < n; ++i) u[i] = -static_cast<T>(alpha_) * std::log1p(scale * u[i]);
      exp_in_place(u, n);
    }
  }

  void derivatives(const double* u, index_t n, double* k, double* dk, double* d2k) const override {
    for_blocks(n, [&](index_t begin, index_t count) {
      double value[block_size], inverse[block_size];
      std::copy_n(u + begin, count, value);
      apply(value, count);
      for (index_t i = 0; i < count; ++i) inverse[i] = scale_ / (1 + scale_ * u[begin + i]);
      write(k, begin, count, [&](index_t i) { return value[i]; });
      write(dk, begin, count, [&](index_t i) { return -alpha_ * value[i] * inverse[i]; });
      write(d2k, begin, count, [&](index_t i) { return alpha_ * (alpha_ + 1) * value[i] * inverse[i] * inverse[i]; });
    });
  }

 private:
  double alpha_;
  double scale_;
  int integer_alpha_;
};

}  // namespace

std::unique_ptr<Kernel> make_rational_quadratic(const KernelParameters& parameters) {
  return std::make_unique<RationalQuadratic>(positive_parameter(parameters, "rational_quadratic", "alpha"),
                                             positive_parameter(parameters, "rational_quadratic", "length_scale"));
}

}  // namespace mercer
