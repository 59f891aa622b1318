/// Short vectors of doubles for the hot loops: GCC vector extensions, as wide as the instruction set that the file is
/// compiled for. Everything here is inline and of internal linkage per instruction-set level.
#pragma once

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include <cstdint>
#include <cstring>
#include <utility>

namespace mercer::simd {

#if defined(__AVX512F__)
inline constexpr int width = 8;
#elif defined(__AVX__)
inline constexpr int width = 4;
#else
inline constexpr int width = 2;
#endif

template <int N>
struct VectorOf {
  typedef double type __attribute__((vector_size(N * sizeof(double))));
};
template <int N>
using VectorN = typename VectorOf<N>::type;
using Vector = VectorN<width>;

template <int N = width>
inline VectorN<N> load(const double* p) {
  VectorN<N> v;
  std::memcpy(&v, p, sizeof(v));
  return v;
}

template <int N = width>
inline void store(double* p, VectorN<N> v) {
  std::memcpy(p, &v, sizeof(v));
}

inline double sum(Vector v) {
  double s = v[0];
  for (int i = 1; i < width; ++i) s += v[i];
  return s;
}

/// sum_i x[i] y[i].
inline double dot(const double* x, const double* y, std::int64_t n) {
  Vector sums[4] = {};
  std::int64_t i = 0;
  for (; i + 4 * width <= n; i += 4 * width) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) sums[k] += load(x + i + k * width) * load(y + i + k * width);
  }
  for (; i + width <= n; i += width) sums[0] += load(x + i) * load(y + i);
  double rest = 0;
  for (; i < n; ++i) rest += x[i] * y[i];
  return sum((sums[0] + sums[1]) + (sums[2] + sums[3])) + rest;
}

/// Other threads see what `stream` of this one wrote.
inline void stream_fence() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

/// Copies n doubles past the caches, for results that are too large to stay in them. A thread ends with stream_fence().
inline void stream(const double* from, std::int64_t n, double* to) {
#if defined(__SSE2__)
  while (n > 0 && reinterpret_cast<std::uintptr_t>(to) % (width * sizeof(double)) != 0) {
    *to++ = *from++;
    --n;
  }
  for (; n >= width; n -= width, from += width, to += width) {
#if defined(__AVX512F__)
    _mm512_stream_pd(to, (__m512d)load(from));
#elif defined(__AVX__)
    _mm256_stream_pd(to, (__m256d)load(from));
#else
    _mm_stream_pd(to, (__m128d)load(from));
#endif
  }
  std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(double));
#else
  std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(double));
#endif
}

/// Transposes the N x N matrix in `rows`, N a power of two, in log2(N) steps that exchange off-diagonal blocks.
template <int N, int Step = 1, int... K>
inline void transpose(VectorN<N> (&rows)[N], std::integer_sequence<int, K...> lanes) {
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) {
    if (i & Step) continue;
    const VectorN<N> a = rows[i], b = rows[i + Step];
    rows[i] = __builtin_shufflevector(a, b, ((K & Step) ? N + K - Step : K)...);
    rows[i + Step] = __builtin_shufflevector(a, b, ((K & Step) ? N + K : K + Step)...);
  }
  if constexpr (2 * Step < N) transpose<N, 2 * Step>(rows, lanes);
}
template <int N>
inline void transpose(VectorN<N> (&rows)[N]) {
  transpose<N>(rows, std::make_integer_sequence<int, N>{});
}

/// T consecutive doubles in registers, T a multiple of 4: full vectors and, where T is not a multiple of the width, a
/// half one behind them.
template <int T>
struct Tile {
  static_assert(T % 4 == 0, "tiles are multiples of four");
  static constexpr int n_full = T / width;
  static constexpr int n_rest = T % width;
  Vector full[n_full > 0 ? n_full : 1];
  VectorN<n_rest ? n_rest : 2> rest;

  static inline Tile zero() { return Tile{}; }
  static inline Tile load(const double* p) {
    Tile t{};
#pragma GCC unroll 8
    for (int i = 0; i < n_full; ++i) t.full[i] = simd::load(p + i * width);
    if constexpr (n_rest > 0) t.rest = simd::load<n_rest>(p + n_full * width);
    return t;
  }
  inline void store(double* p) const {
#pragma GCC unroll 8
    for (int i = 0; i < n_full; ++i) simd::store(p + i * width, full[i]);
    if constexpr (n_rest > 0) simd::store<n_rest>(p + n_full * width, rest);
  }
  /// this += factor * t
  inline void add(double factor, const Tile& t) {
#pragma GCC unroll 8
    for (int i = 0; i < n_full; ++i) full[i] += factor * t.full[i];
    if constexpr (n_rest > 0) rest += factor * t.rest;
  }
  /// Multiplies element `lane` < 4 by factor.
  inline void scale_lane(int lane, double factor) {
    if constexpr (n_full > 0 && width >= 4) {
      full[0][lane] *= factor;
    } else if constexpr (n_full > 0) {
      full[lane / width][lane % width] *= factor;
    } else {
      rest[lane] *= factor;
    }
  }
};

/// The widest tile for kernels that keep four or more of them in registers.
#if defined(__AVX512F__)
inline constexpr int max_tile = 16;
#elif defined(__AVX__)
inline constexpr int max_tile = 12;
#else
inline constexpr int max_tile = 4;
#endif

}  // namespace mercer::simd
