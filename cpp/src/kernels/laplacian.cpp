#include "kernels/kernel_base.hpp"

namespace mercer {
namespace {

/// k(u) = exp(-u / l), u = sum_d |x_d - y_d|. Smooth in u, but u has a kink wherever x_d = y_d.
class Laplacian final : public KernelBase<Laplacian> {
 public:
  explicit Laplacian(double length_scale) : rate_(-1 / length_scale) {}

  KernelArgument argument() const override { return KernelArgument::l1_distance; }
  bool differentiable() const override { return false; }

  template <class T>
  void apply(T* u, index_t n) const {
    const T rate = static_cast<T>(rate_);
    for (index_t i = 0; i < n; ++i) u[i] *= rate;
    exp_in_place(u, n);
  }

  void derivatives(const double* u, index_t n, double* k, double* dk, double* d2k) const override {
    for (index_t i = 0; i < n; ++i) {
      const double value = std::exp(rate_ * u[i]);
      if (k) k[i] = value;
      if (dk) dk[i] = rate_ * value;
      if (d2k) d2k[i] = rate_ * rate_ * value;
    }
  }

 private:
  double rate_;
};

}  // namespace

std::unique_ptr<Kernel> make_laplacian(const KernelParameters& parameters) {
  return std::make_unique<Laplacian>(positive_parameter(parameters, "laplacian", "length_scale"));
}

}  // namespace mercer
