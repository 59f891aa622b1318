#include "bindings.hpp"

#include "mercer/kernels/gram.hpp"
#include "mercer/kernels/kernel.hpp"
#include "mercer/kernels/structure_kernel.hpp"

namespace {

using mercer::Kernel;
using Groups = std::optional<Array<std::int32_t>>;
using Factors = std::optional<Array<double>>;

mercer::GramOptions gram_options(const Groups& x_groups, const Groups& y_groups, const Factors& x_factors,
                                 const Factors& y_factors) {
  return {optional_view(x_groups, "x_groups"), optional_view(y_groups, "y_groups"),
          optional_view(x_factors, "x_factors"), optional_view(y_factors, "y_factors")};
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

using mercer::Matching;
/// (features, offsets, groups or None, weights or None)
using Rows = std::tuple<Array<double>, Array<mercer::index_t>, Groups, Factors>;

mercer::StructureRows rows_view(const Rows& rows) {
  return {matrix_view(std::get<0>(rows), "features"), span_view(std::get<1>(rows), "offsets"),
          optional_view(std::get<2>(rows), "groups"), optional_view(std::get<3>(rows), "weights")};
}

template <class T>
mercer::Span<T> mutable_span(py::array_t<T, py::array::c_style>& array) {
  return {array.mutable_data(), array.size()};
}

/// (number of pairs that did not converge, their largest error, sweeps)
template <class Work>
py::tuple without_gil(const Work& work) {
  mercer::MatchStatus status;
  {
    py::gil_scoped_release release;
    status = work();
  }
  return py::make_tuple(status.unconverged, status.error, status.sweeps);
}

void bind_structure_kernels(py::module_& m) {
  py::class_<Matching>(m, "Matching").def(py::init(&mercer::make_matching), py::arg("name"), py::arg("parameters"));
  m.def("matching_table", [] {
    py::dict table;
    for (const auto& entry : mercer::matching_table()) table[py::str(entry.name)] = entry.parameters;
    return table;
  });
  m.def("structure_gram", [](const Kernel& kernel, const Matching& matching, const Rows& X, const Rows& Y,
                             const Factors& x_factors, const Factors& y_factors, Array<double> out) {
    const auto x = rows_view(X), y = rows_view(Y);
    const auto a = optional_view(x_factors, "x_factors"), b = optional_view(y_factors, "y_factors");
    const auto k = mutable_matrix_view(out, "out");
    return without_gil([&] { return mercer::structure_gram(kernel, matching, x, y, a, b, k); });
  });
  m.def("structure_diagonal", [](const Kernel& kernel, const Matching& matching, const Rows& X, Array<double> out) {
    const auto x = rows_view(X);
    const auto k = mutable_span(out);
    return without_gil([&] { return mercer::structure_diagonal(kernel, matching, x, k); });
  });
  m.def("structure_vjp", [](const Kernel& kernel, const Matching& matching, const Rows& X, const Rows& Y,
                            const Array<double>& dK, Array<double> dX, Array<double> sums) {
    const auto x = rows_view(X), y = rows_view(Y);
    const auto weights = matrix_view(dK, "dK");
    const auto gradient = mutable_matrix_view(dX, "dX");
    const auto s = mutable_span(sums);
    return without_gil([&] { return mercer::structure_vjp(kernel, matching, x, y, weights, gradient, s); });
  });
  m.def("structure_diagonal_vjp", [](const Kernel& kernel, const Matching& matching, const Rows& X,
                                     const Array<double>& weights, Array<double> dX) {
    const auto x = rows_view(X);
    const auto w = span_view(weights, "weights");
    const auto gradient = mutable_matrix_view(dX, "dX");
    return without_gil([&] { return mercer::structure_diagonal_vjp(kernel, matching, x, w, gradient); });
  });
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
  bind_structure_kernels(m);
}
