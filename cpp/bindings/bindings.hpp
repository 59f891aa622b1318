/// Conversion between NumPy arrays and views, nothing else. Each room has a file bind_<room>.cpp.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mercer/core/array.hpp"
#include "mercer/core/error.hpp"
#include "mercer/core/memory.hpp"

namespace py = pybind11;

/// C-ordered array taken without a copy (bind the argument with .noconvert()).
template <class T>
using Array = py::array_t<T, py::array::c_style>;

template <class T>
mercer::MatView<const T> matrix_view(const Array<T>& array, const char* name) {
  MERCER_REQUIRE(array.ndim() == 2, name, ": expected a 2-D array, got ", array.ndim(), "-D");
  return {array.data(), array.shape(0), array.shape(1)};
}

template <class T>
mercer::MatView<T> mutable_matrix_view(Array<T>& array, const char* name) {
  MERCER_REQUIRE(array.ndim() == 2, name, ": expected a 2-D array, got ", array.ndim(), "-D");
  return {array.mutable_data(), array.shape(0), array.shape(1)};
}

template <class T>
mercer::Span<const T> span_view(const Array<T>& array, const char* name) {
  MERCER_REQUIRE(array.ndim() == 1, name, ": expected a 1-D array, got ", array.ndim(), "-D");
  return {array.data(), array.shape(0)};
}

/// An empty view where there is no array.
template <class T>
mercer::Span<const T> optional_view(const std::optional<Array<T>>& array, const char* name) {
  return array ? span_view(*array, name) : mercer::Span<const T>();
}

/// A NumPy array that owns a pooled buffer: its memory goes back to the pool when the array dies.
template <class T, class Element = T>
py::array_t<T> pooled_array(mercer::Buffer<Element>&& buffer, std::vector<py::ssize_t> shape) {
  if (!buffer.data()) return py::array_t<T>(std::move(shape));  // empty: a capsule cannot hold a null pointer
  const py::capsule owner(buffer.data(), [](void* memory) { mercer::pool_release(memory); });
  T* data = reinterpret_cast<T*>(buffer.release());
  return py::array_t<T>(std::move(shape), data, owner);
}

template <class T>
py::array_t<T> pooled_matrix(py::ssize_t rows, py::ssize_t cols) {
  return pooled_array<T>(mercer::Buffer<T>(rows * cols), {rows, cols});
}

/// A NumPy view of memory that lives inside `owner`.
template <class T>
py::array_t<T> borrowed_array(const T* data, std::vector<py::ssize_t> shape, py::handle owner) {
  py::array_t<T> array(std::move(shape), data, owner);
  array.attr("flags").attr("writeable") = false;
  return array;
}

void bind_core(py::module_& m);
void bind_structure(py::module_& m);
void bind_math(py::module_& m);
void bind_neighbors(py::module_& m);
void bind_basis(py::module_& m);
void bind_descriptors(py::module_& m);
void bind_kernels(py::module_& m);
void bind_rows(py::module_& m);
void bind_model(py::module_& m);
