#include <optional>

#include "bindings.hpp"

#include "mercer/kernels/gram.hpp"
#include "mercer/kernels/kernel.hpp"
#include "mercer/rows/energy_rows.hpp"

namespace {

using mercer::Kernel;
using Groups = std::optional<Array<std::int32_t>>;
using Factors = std::optional<Array<double>>;

template <class T>
mercer::Span<const T> optional_view(const std::optional<Array<T>>& array, const char* name) {
  return array ? span_view(*array, name) : mercer::Span<const T>();
}

mercer::GramOptions gram_options(const Groups& x_groups, const Groups& y_groups, const Factors& x_factors,
                                 const Factors& y_factors) {
  return {optional_view(x_groups, "x_groups"), optional_view(y_groups, "y_groups"),
          optional_view(x_factors, "x_factors"), optional_view(y_factors, "y_factors")};
}

template <class T>
py::array_t<T> pooled_matrix(py::ssize_t rows, py::ssize_t cols) {
  return pooled_array<T>(mercer::Buffer<T>(rows * cols), {rows, cols});
}

template <class T>
Array<T> gram(const Kernel& kernel, const Array<T>& X, const Array<T>& Y, std::optional<Array<T>> out,
              const Groups& x_groups, const Groups& y_groups, const Factors& x_factors, const Factors& y_factors) {
  const auto x = matrix_view(X, "X"), y = matrix_view(Y, "Y");
  Array<T> result = out ? *out : Array<T>(pooled_matrix<T>(x.rows, y.rows));
  const auto k = mutable_matrix_view(result, "out");
  const auto options = gram_options(x_groups, y_groups, x_factors, y_factors);
  {
    py::gil_scoped_release release;
    mercer::gram(kernel, x, y, k, options);
  }
  return result;
}

template <class T>
void bind_gram(py::module_& m) {
  m.def("gram", &gram<T>, py::arg("kernel"), py::arg("X").noconvert(), py::arg("Y").noconvert(),
        py::arg("out").noconvert() = py::none(), py::arg("x_groups").noconvert() = py::none(),
        py::arg("y_groups").noconvert() = py::none(), py::arg("x_factors").noconvert() = py::none(),
        py::arg("y_factors").noconvert() = py::none());
}

void bind_rows(py::module_& m) {
  m.def(
      "energy_rows",
      [](const Kernel& kernel, const Array<double>& X, const Array<mercer::index_t>& offsets, const Array<double>& Y,
         std::optional<Array<double>> out, const Groups& x_groups, const Groups& y_groups, const Factors& x_factors,
         const Factors& y_factors) {
        const auto x = matrix_view(X, "X"), y = matrix_view(Y, "Y");
        const auto frames = span_view(offsets, "offsets");
        MERCER_REQUIRE(frames.size >= 1, "energy_rows: offsets is empty, expected one more entry than frames");
        Array<double> result = out ? *out : Array<double>(pooled_matrix<double>(frames.size - 1, y.rows));
        const auto rows = mutable_matrix_view(result, "out");
        const auto options = gram_options(x_groups, y_groups, x_factors, y_factors);
        {
          py::gil_scoped_release release;
          mercer::energy_rows(kernel, x, frames, y, rows, options);
        }
        return result;
      },
      py::arg("kernel"), py::arg("X").noconvert(), py::arg("offsets").noconvert(), py::arg("Y").noconvert(),
      py::arg("out").noconvert() = py::none(), py::arg("x_groups").noconvert() = py::none(),
      py::arg("y_groups").noconvert() = py::none(), py::arg("x_factors").noconvert() = py::none(),
      py::arg("y_factors").noconvert() = py::none());
  m.def(
      "self_kernel_sums",
      [](const Kernel& kernel, const Array<double>& X, const Array<mercer::index_t>& offsets, const Groups& groups) {
        const auto x = matrix_view(X, "X");
        const auto frames = span_view(offsets, "offsets");
        MERCER_REQUIRE(frames.size >= 1, "self_kernel_sums: offsets is empty, expected one more entry than frames");
        const auto group_view = optional_view(groups, "groups");
        Array<double> result(frames.size - 1);
        const mercer::Span<double> sums(result.mutable_data(), result.size());
        {
          py::gil_scoped_release release;
          mercer::self_kernel_sums(kernel, x, frames, group_view, sums);
        }
        return result;
      },
      py::arg("kernel"), py::arg("X").noconvert(), py::arg("offsets").noconvert(),
      py::arg("groups").noconvert() = py::none());
}

}  // namespace

void bind_kernels(py::module_& m) {
  py::class_<Kernel>(m, "Kernel")
      .def(py::init([](const std::string& name, const mercer::KernelParameters& parameters) {
             return mercer::make_kernel(name, parameters);
           }),
           py::arg("name"), py::arg("parameters"))
      .def_property_readonly("argument",
                             [](const Kernel& kernel) {
                               switch (kernel.argument()) {
                                 case mercer::KernelArgument::dot:
                                   return "dot";
                                 case mercer::KernelArgument::squared_distance:
                                   return "squared_distance";
                                 default:
                                   return "l1_distance";
                               }
                             })
      .def_property_readonly("differentiable", &Kernel::differentiable)
      .def(
          "derivatives",
          [](const Kernel& kernel, const Array<double>& u) {
            const auto values = span_view(u, "u");
            Array<double> k(values.size), dk(values.size), d2k(values.size);
            kernel.derivatives(values.data, values.size, k.mutable_data(), dk.mutable_data(), d2k.mutable_data());
            return py::make_tuple(k, dk, d2k);
          },
          py::arg("u").noconvert());
  m.def("kernel_table", [] {
    py::dict table;
    for (const auto& entry : mercer::kernel_table()) table[py::str(entry.name)] = entry.parameters;
    return table;
  });
  bind_gram<double>(m);
  bind_gram<float>(m);
  m.def(
      "gram_diagonal",
      [](const Kernel& kernel, const Array<double>& X) {
        const auto x = matrix_view(X, "X");
        Array<double> result(x.rows);
        const mercer::Span<double> k(result.mutable_data(), result.size());
        {
          py::gil_scoped_release release;
          mercer::gram_diagonal(kernel, x, k);
        }
        return result;
      },
      py::arg("kernel"), py::arg("X").noconvert());
  bind_rows(m);
}
