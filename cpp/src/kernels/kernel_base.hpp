/// What the files of single kernels share.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>

#include "mercer/core/error.hpp"
#include "mercer/kernels/kernel.hpp"
#include "mercer/math/vector_exp.hpp"

namespace mercer {

/// Writes both precisions of Kernel::value with Derived's `template <class T> void apply(T* u, index_t n) const`.
template <class Derived>
class KernelBase : public Kernel {
 public:
  void value(double* u, index_t n) const final { static_cast<const Derived*>(this)->apply(u, n); }
  void value(float* u, index_t n) const final { static_cast<const Derived*>(this)->apply(u, n); }
};

/// values[i] = exp(values[i])
template <class T>
void exp_in_place(T* values, index_t n) {
  for (index_t i = 0; i < n; ++i) values[i] = vector_exp(values[i]);
}

/// For Kernel::derivatives: calls body(begin, count) for blocks whose intermediate values fit an array on the stack.
constexpr index_t block_size = 256;
template <class Body>
void for_blocks(index_t n, const Body& body) {
  for (index_t begin = 0; begin < n; begin += block_size) body(begin, std::min(block_size, n - begin));
}

/// out[i] = value(i), i < count, unless out is null: loops of their own, which vectorise.
template <class Value>
void write(double* out, index_t begin, index_t count, const Value& value) {
  for (index_t i = 0; out && i < count; ++i) out[begin + i] = value(i);
}

/// The parameter `name` (make_kernel has checked that it is there), which must be positive and finite.
inline double positive_parameter(const KernelParameters& parameters, const char* kernel, const char* name) {
  const double value = parameters.at(name);
  MERCER_REQUIRE(value > 0 && std::isfinite(value), kernel, ": ", name, " = ", value,
                 ", expected a positive finite number");
  return value;
}

/// The parameter "offset", 0 where it is missing.
inline double offset_parameter(const KernelParameters& parameters, const char* kernel) {
  const auto found = parameters.find("offset");
  const double value = found == parameters.end() ? 0 : found->second;
  MERCER_REQUIRE(value >= 0 && std::isfinite(value), kernel, ": offset = ", value, ", expected a finite number >= 0");
  return value;
}

}  // namespace mercer
