#include <algorithm>
#include <limits>

#include "kernels/kernel_base.hpp"

namespace mercer {
namespace {

/// Matern kernels with t = sqrt(2 nu u) / l, u = |x - y|^2 (Rasmussen and Williams 2006, eq. 4.17):
/// nu = 1/2: exp(-t);  3/2: (1 + t) exp(-t);  5/2: (1 + t + t^2 / 3) exp(-t).  twice_nu = 2 nu.
template <int twice_nu>
class Matern final : public KernelBase<Matern<twice_nu>> {
 public:
  explicit Matern(double length_scale) : scale_(twice_nu / (length_scale * length_scale)) {}

  KernelArgument argument() const override { return KernelArgument::squared_distance; }
  bool differentiable() const override { return twice_nu > 1; }

  template <class T>
  void apply(T* u, index_t n) const {
    constexpr index_t width = 256;
    const T scale = static_cast<T>(scale_);
    T decay[width];
    for (index_t begin = 0; begin < n; begin += width) {
      const index_t count = std::min(width, n - begin);
      T* t = u + begin;
      for (index_t i = 0; i < count; ++i) {
        t[i] = std::sqrt(scale * t[i]);
        decay[i] = -t[i];
      }
      exp_in_place(decay, count);
      for (index_t i = 0; i < count; ++i) t[i] = decay[i] * factor(t[i]);
    }
  }

  // With dt/du = scale / (2 t): nu = 3/2 has k' = -scale/2 exp(-t), k'' = scale^2 exp(-t) / (4 t);
  // nu = 5/2 has k' = -scale/6 (1 + t) exp(-t), k'' = scale^2/12 exp(-t).
  void derivatives(const double* u, index_t n, double* k, double* dk, double* d2k) const override {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    for (index_t i = 0; i < n; ++i) {
      const double t = std::sqrt(scale_ * u[i]);
      const double decay = std::exp(-t);
      if (k) k[i] = decay * factor(t);
      if constexpr (twice_nu == 1) {
        if (dk) dk[i] = t == 0 ? -infinity : -0.5 * scale_ * decay / t;
        if (d2k) d2k[i] = t == 0 ? infinity : 0.25 * scale_ * scale_ * decay * (1 + t) / (t * t * t);
      } else if constexpr (twice_nu == 3) {
        if (dk) dk[i] = -0.5 * scale_ * decay;
        if (d2k) d2k[i] = t == 0 ? infinity : 0.25 * scale_ * scale_ * decay / t;
      } else {
        if (dk) dk[i] = -scale_ / 6 * (1 + t) * decay;
        if (d2k) d2k[i] = scale_ * scale_ / 12 * decay;
      }
    }
  }

 private:
  template <class T>
  static T factor(T t) {
    if constexpr (twice_nu == 1) return 1;
    if constexpr (twice_nu == 3) return 1 + t;
    return 1 + t + t * t / 3;
  }

  double scale_;
};

}  // namespace

std::unique_ptr<Kernel> make_matern(const KernelParameters& parameters) {
  const double nu = parameters.at("nu");
  const double length_scale = positive_parameter(parameters, "matern", "length_scale");
  if (nu == 0.5) return std::make_unique<Matern<1>>(length_scale);
  if (nu == 1.5) return std::make_unique<Matern<3>>(length_scale);
  if (nu == 2.5) return std::make_unique<Matern<5>>(length_scale);
  throw std::invalid_argument(concatenate("matern: nu = ", nu, ", expected 0.5, 1.5 or 2.5 (use gaussian for infinity)"));
}

}  // namespace mercer
