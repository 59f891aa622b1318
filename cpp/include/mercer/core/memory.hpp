/// Buffers that come from a pool. Fresh 4-kB pages are written an order of magnitude slower than warm memory, so large
/// buffers are kept for the next call, and new ones ask for huge pages.
#pragma once

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

#include "mercer/core/array.hpp"

namespace mercer {

/// Memory of at least `bytes`, aligned to 64 bytes (2 MB for large ones), not initialised.
void* pool_allocate(std::size_t bytes);
/// Gives memory of pool_allocate back to the pool.
void pool_release(void* memory) noexcept;
/// Frees what the pool keeps but nobody uses.
void pool_trim() noexcept;
/// The pool keeps at most this many unused bytes (default 1 GiB).
void set_pool_limit(std::size_t bytes);
/// What the pool keeps now, in bytes.
std::size_t pool_unused_bytes();

/// An uninitialised array of `size` values from the pool; movable, not copyable.
template <class T>
class Buffer {
  static_assert(std::is_trivially_destructible_v<T> && std::is_trivially_copyable_v<T>,
                "a buffer neither constructs nor destroys its values");

 public:
  Buffer() = default;
  explicit Buffer(index_t size) : data_(static_cast<T*>(allocate(size))), size_(size) {}
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Buffer() {
    if (data_) pool_release(data_);
  }

  T* data() const { return data_; }
  index_t size() const { return size_; }
  T& operator[](index_t i) const { return data_[i]; }
  Span<T> span() const { return {data_, size_}; }
  /// Hands the memory over; the caller calls pool_release.
  T* release() {
    size_ = 0;
    return std::exchange(data_, nullptr);
  }

 private:
  static void* allocate(index_t size) {
    if (size < 0 || static_cast<std::size_t>(size) > static_cast<std::size_t>(-1) / sizeof(T)) throw std::bad_alloc();
    return size > 0 ? pool_allocate(sizeof(T) * static_cast<std::size_t>(size)) : nullptr;
  }

  T* data_ = nullptr;
  index_t size_ = 0;
};

}  // namespace mercer
