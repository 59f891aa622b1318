/// exp without branches or calls, so that loops over arrays vectorise.
#pragma once

#include <cstdint>
#include <cstring>

namespace mercer {

/// exp(x) to 2 units in the last place, subnormal results included; 0 below -746, infinity above 710, NaN for NaN.
/// x = k ln 2 + r, |r| <= ln 2 / 2: the Taylor series of exp(r), scaled by 2^k in two steps so that neither overflows.
inline double vector_exp(double x) {
  constexpr double shifter = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to an integer
  x = x < -746.0 ? -746.0 : x;
  x = x > 710.0 ? 710.0 : x;
  const double k = (x * 1.4426950408889634 + shifter) - shifter;
  const double r = (x - k * 6.93147180369123816490e-01) - k * 1.90821492927058770002e-10;
  double p = 1.0 / 6227020800.0;
  p = p * r + 1.0 / 479001600.0;
  p = p * r + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  p = p * r * r + r;
  const double k1 = (k * 0.5 + shifter) - shifter;
  // The low bits of shifter + 1023 + k hold the biased exponent; shifting by 52 drops the rest.
  const double low = k1 + (shifter + 1023.0), high = (k - k1) + (shifter + 1023.0);
  std::uint64_t low_bits, high_bits;
  std::memcpy(&low_bits, &low, sizeof low);
  std::memcpy(&high_bits, &high, sizeof high);
  low_bits <<= 52;
  high_bits <<= 52;
  double low_scale, high_scale;
  std::memcpy(&low_scale, &low_bits, sizeof low);
  std::memcpy(&high_scale, &high_bits, sizeof high);
  return (1.0 + p) * low_scale * high_scale;
}

/// The same in single precision: 0 below -104, infinity above 89.
inline float vector_exp(float x) {
  constexpr float shifter = 12582912.0f;  // 1.5 * 2^23
  x = x < -104.0f ? -104.0f : x;
  x = x > 89.0f ? 89.0f : x;
  const float k = (x * 1.44269504f + shifter) - shifter;
  const float r = (x - k * 0.693359375f) + k * 2.12194440e-4f;
  float p = 1.0f / 5040.0f;
  p = p * r + 1.0f / 720.0f;
  p = p * r + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  p = p * r * r + r;
  const float k1 = (k * 0.5f + shifter) - shifter;
  const float low = k1 + (shifter + 127.0f), high = (k - k1) + (shifter + 127.0f);
  std::uint32_t low_bits, high_bits;
  std::memcpy(&low_bits, &low, sizeof low);
  std::memcpy(&high_bits, &high, sizeof high);
  low_bits <<= 23;
  high_bits <<= 23;
  float low_scale, high_scale;
  std::memcpy(&low_scale, &low_bits, sizeof low);
  std::memcpy(&high_scale, &high_bits, sizeof high);
  return (1.0f + p) * low_scale * high_scale;
}

}  // namespace mercer
