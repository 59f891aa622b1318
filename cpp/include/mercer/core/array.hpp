/// Views of memory that somebody else owns. All matrices of the library are row-major: element (i, j) is
/// data[i * stride + j].
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace mercer {

/// Index of rows, pairs and anything that multiplies two counts of atoms.
using index_t = std::int64_t;

/// A contiguous run of `size` values.
template <class T>
struct Span {
  T* data = nullptr;
  index_t size = 0;

  Span() = default;
  Span(T* data_, index_t size_) : data(data_), size(size_) {}
  template <class U, class = std::enable_if_t<std::is_same_v<std::remove_const_t<T>, U>>>
  Span(std::vector<U>& v) : data(v.data()), size(static_cast<index_t>(v.size())) {}
  template <class U, class = std::enable_if_t<std::is_same_v<T, const U>>>
  Span(const std::vector<U>& v) : data(v.data()), size(static_cast<index_t>(v.size())) {}
  template <class U, class = std::enable_if_t<std::is_same_v<T, const U>>>
  Span(Span<U> other) : data(other.data), size(other.size) {}

  T& operator[](index_t i) const { return data[i]; }
  T* begin() const { return data; }
  T* end() const { return data + size; }
  bool empty() const { return size == 0; }
};

/// A row-major matrix of shape (rows, cols) whose rows start `stride` values apart.
template <class T>
struct MatView {
  T* data = nullptr;
  index_t rows = 0;
  index_t cols = 0;
  index_t stride = 0;

  MatView() = default;
  MatView(T* data_, index_t rows_, index_t cols_) : MatView(data_, rows_, cols_, cols_) {}
  MatView(T* data_, index_t rows_, index_t cols_, index_t stride_)
      : data(data_), rows(rows_), cols(cols_), stride(stride_) {}
  template <class U, class = std::enable_if_t<std::is_same_v<T, const U>>>
  MatView(MatView<U> other) : data(other.data), rows(other.rows), cols(other.cols), stride(other.stride) {}

  T* row(index_t i) const { return data + i * stride; }
  T& operator()(index_t i, index_t j) const { return data[i * stride + j]; }
};

/// Sets every element of a matrix.
template <class T>
void fill(MatView<T> matrix, T value) {
  for (index_t i = 0; i < matrix.rows; ++i) std::fill_n(matrix.row(i), matrix.cols, value);
}

}  // namespace mercer
