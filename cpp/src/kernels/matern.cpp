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
    const T scale = static_cast<T>(scale_);
    for_blocks(n, [&](index_t begin, index_t count) {
      T decay[block_size], *t = u + begin;
      for (index_t i = 0; i < count; ++i) {
        t[i] = std::sqrt(scale * t[i]);
        decay[i] = -t[i];
      }
      exp_in_place(decay, count);
      for (index_t i = 0; i < count; ++i) t[i] = decay[i] * factor(t[i]);
    });
  }

  // With dt/du = scale / (2 t): nu = 3/2 has k' = -scale/2 exp(-t), k'' = scale^2 exp(-t) / (4 t);
  // nu = 5/2 has k' = -scale/6 (1 + t) exp(-t), k'' = scale^2/12 exp(-t).
  void derivatives(const double* u, index_t n, double* k, double* dk, double* d2k) const override {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    for_blocks(n, [&](index_t begin, index_t count) {
      double t[block_size], decay[block_size];
      for (index_t i = 0; i < count; ++i) {
        t[i] = std::sqrt(scale_ * u[begin + i]);
        decay[i] = -t[i];
      }
      exp_in_place(decay, count);
      write(k, begin, count, [&](index_t i) { return decay[i] * factor(t[i]); });
      if constexpr (twice_nu == 1) {
        write(dk, begin, count, [&](index_t i) { return t[i] == 0 ? -infinity : -0.5 * scale_ * decay[i] / t[i]; });
        write(d2k, begin, count, [&](index_t i) {
          return t[i] == 0 ? infinity : 0.25 * scale_ * scale_ * decay[i] * (1 + t[i]) / (t[i] * t[i] * t[i]);
        });
      } else if constexpr (twice_nu == 3) {
        write(dk, begin, count, [&](index_t i) { return -0.5 * scale_ * decay[i]; });
        write(d2k, begin, count,
              [&](index_t i) { return t[i] == 0 ? infinity : 0.25 * scale_ * scale_ * decay[i] / t[i]; });
      } else {
        write(dk, begin, count, [&](index_t i) { return -scale_ / 6 * (1 + t[i]) * decay[i]; });
        write(d2k, begin, count, [&](index_t i) { return scale_ * scale_ / 12 * decay[i]; });
      }
    });
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
