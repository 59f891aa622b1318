/// Powers without std::pow where the exponent is an integer.
#pragma once

#include "mercer/core/array.hpp"

namespace mercer {

/// x^n, n >= 0, by repeated squaring.
template <class T>
T integer_power(T x, int n) {
  T result = 1;
  for (; n > 0; n >>= 1, x *= x) {
    if (n & 1) result *= x;
  }
  return result;
}

/// values[i] = values[i]^n, n >= 0, by repeated squaring of blocks that stay in registers.
template <class T>
void integer_power_in_place(T* values, index_t count, int n) {
  constexpr int width = 32;
  index_t i = 0;
  for (; i + width <= count; i += width) {
    T x[width], result[width];
    for (int v = 0; v < width; ++v) {
      x[v] = values[i + v];
      result[v] = 1;
    }
    for (int bits = n; bits > 0; bits >>= 1) {
      if (bits & 1) {
        for (int v = 0; v < width; ++v) result[v] *= x[v];
      }
      for (int v = 0; v < width; ++v) x[v] *= x[v];
    }
    for (int v = 0; v < width; ++v) values[i + v] = result[v];
  }
  for (; i < count; ++i) values[i] = integer_power(values[i], n);
}

}  // namespace mercer
