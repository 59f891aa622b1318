#include "kernels/kernel_base.hpp"
#include "kernels/power.hpp"

namespace mercer {
namespace {

/// k(u) = (u + c)^zeta, u = x . y, for an integer zeta by repeated squaring.
class PolynomialInteger final : public KernelBase<PolynomialInteger> {
 public:
  PolynomialInteger(int zeta, double offset) : zeta_(zeta), offset_(offset) {}

  KernelArgument argument() const override { return KernelArgument::dot; }
  bool differentiable() const override { return true; }

  template <class T>
  void apply(T* u, index_t n) const {
    if (offset_ != 0) {
      for (index_t i = 0; i < n; ++i) u[i] += static_cast<T>(offset_);
    }
    if (zeta_ > 1) integer_power_in_place(u, n, zeta_);
  }

  void derivatives(const double* u, index_t n, double* k, double* dk, double* d2k) const override {
    for_blocks(n, [&](index_t begin, index_t count) {
      // x, x^(zeta - 2) (whatever where zeta = 1) and x^(zeta - 1)
      double x[block_size], low[block_size], mid[block_size];
      for (index_t i = 0; i < count; ++i) low[i] = x[i] = u[begin + i] + offset_;
      integer_power_in_place(low, count, std::max(zeta_ - 2, 0));
      for (index_t i = 0; i < count; ++i) mid[i] = zeta_ > 1 ? low[i] * x[i] : 1;
      write(k, begin, count, [&](index_t i) { return mid[i] * x[i]; });
      write(dk, begin, count, [&](index_t i) { return zeta_ * mid[i]; });
      write(d2k, begin, count, [&](index_t i) { return zeta_ * (zeta_ - 1) * low[i]; });
    });
  }

 private:
  int zeta_;
  double offset_;
};

/// k(u) = (u + c)^zeta for any other zeta > 0, on u + c >= 0 only. Dot products of rows that are non-negative by construction
/// (power spectra) may come out as -1e-17; these count as 0.
class PolynomialReal final : public KernelBase<PolynomialReal> {
 public:
  PolynomialReal(double zeta, double offset) : zeta_(zeta), offset_(offset) {}

  KernelArgument argument() const override { return KernelArgument::dot; }
  bool differentiable() const override { return zeta_ > 1; }

  template <class T>
  void apply(T* u, index_t n) const {
    for (index_t i = 0; i < n; ++i) u[i] = static_cast<T>(std::pow(checked(u[i] + offset_, rounding<T>), zeta_));
  }

  void derivatives(const double* u, index_t n, double* k, double* dk, double* d2k) const override {
    for (index_t i = 0; i < n; ++i) {
      const double x = checked(u[i] + offset_, rounding<double>);
      if (k) k[i] = std::pow(x, zeta_);
      if (dk) dk[i] = zeta_ * std::pow(x, zeta_ - 1);
      if (d2k) d2k[i] = zeta_ * (zeta_ - 1) * std::pow(x, zeta_ - 2);
    }
  }

 private:
  template <class T>
  static constexpr double rounding = sizeof(T) == 8 ? 1e-10 : 1e-4;

  double checked(double u, double tolerance) const {
    MERCER_REQUIRE(!(u < -tolerance), "polynomial: a dot product of ", u, " has no power ", zeta_,
                   "; use an integer zeta, or rows with non-negative dot products (SOAP power spectra)");
    return u < 0 ? 0 : u;
  }

  double zeta_, offset_;
};

}  // namespace

std::unique_ptr<Kernel> make_polynomial(const KernelParameters& parameters) {
  const double zeta = positive_parameter(parameters, "polynomial", "zeta");
  const double offset = offset_parameter(parameters, "polynomial");
  if (zeta <= 1024 && zeta == std::floor(zeta)) {
    return std::make_unique<PolynomialInteger>(static_cast<int>(zeta), offset);
  }
  return std::make_unique<PolynomialReal>(zeta, offset);
}

}  // namespace mercer
