#include "kernels/kernel_base.hpp"

namespace mercer {
namespace {

/// k(u) = u, u = x . y.
class Linear final : public KernelBase<Linear> {
 public:
  KernelArgument argument() const override { return KernelArgument::dot; }
  bool differentiable() const override { return true; }

  template <class T>
  void apply(T*, index_t) const {}

  void derivatives(const double* u, index_t n, double* k, double* dk, double* d2k) const override {
    for (index_t i = 0; i < n; ++i) {
      if (k) k[i] = u[i];
      if (dk) dk[i] = 1;
      if (d2k) d2k[i] = 0;
    }
  }
};

}  // namespace

std::unique_ptr<Kernel> make_linear(const KernelParameters&) { return std::make_unique<Linear>(); }

}  // namespace mercer
