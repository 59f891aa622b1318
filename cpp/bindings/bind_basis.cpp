#include <algorithm>

#include "bindings.hpp"

#include "mercer/basis/cutoff.hpp"
#include "mercer/basis/radial_basis.hpp"
#include "mercer/basis/radial_scaling.hpp"
#include "mercer/basis/radial_table.hpp"

namespace {

using mercer::index_t;

/// value(r) or derivative(r) of a function of the distance for an array of distances.
template <class Function, double (Function::*Method)(double) const>
py::array_t<double> map_distances(const Function& function, const Array<double>& r) {
  const auto view = span_view(r, "r");
  py::array_t<double> out(view.size);
  double* result = out.mutable_data();
  for (index_t i = 0; i < view.size; ++i) result[i] = (function.*Method)(view[i]);
  return out;
}

py::array_t<double> rounded(const std::vector<long double>& values) {
  py::array_t<double> out(static_cast<py::ssize_t>(values.size()));
  std::copy(values.begin(), values.end(), out.mutable_data());
  return out;
}

void require_inside(const mercer::Span<const double>& r, double r_cut) {
  for (index_t i = 0; i < r.size; ++i) {
    MERCER_REQUIRE(r[i] >= 0 && r[i] <= r_cut, "r: expected distances in [0, r_cut = ", r_cut, "], got ", r[i], " at ",
                   i);
  }
}

}  // namespace

void bind_basis(py::module_& m) {
  using mercer::Cutoff;
  using mercer::RadialBasis;
  using mercer::RadialBasisParameters;
  using mercer::RadialScaling;
  using mercer::RadialTable;

  py::class_<Cutoff>(m, "Cutoff")
      .def(py::init<const std::string&, double, double>(), py::arg("name"), py::arg("r_cut"), py::arg("width"))
      .def_property_readonly("r_cut", &Cutoff::r_cut)
      .def_property_readonly("width", &Cutoff::width)
      .def_property_readonly("smooth", &Cutoff::smooth)
      .def("value", &map_distances<Cutoff, &Cutoff::value>, py::arg("r").noconvert())
      .def("derivative", &map_distances<Cutoff, &Cutoff::derivative>, py::arg("r").noconvert());
  m.def("cutoff_names", &Cutoff::names);

  py::class_<RadialScaling>(m, "RadialScaling")
      .def(py::init([](double rate, double scale, double exponent, const std::string& name) {
             const RadialScaling scaling{rate, scale, exponent, RadialScaling::kind_of(name)};
             scaling.validate();
             return scaling;
           }),
           py::arg("rate") = 1.0, py::arg("scale") = 2.0, py::arg("exponent") = 0.0, py::arg("name") = "willatt")
      .def("value", &map_distances<RadialScaling, &RadialScaling::value>, py::arg("r").noconvert())
      .def("derivative", &map_distances<RadialScaling, &RadialScaling::derivative>, py::arg("r").noconvert());

  m.def("radial_scaling_parameters", &RadialScaling::table,
        "The radial scalings by name, each with the parameters that it takes.");

  py::class_<RadialBasis>(m, "RadialBasis")
      .def(py::init([](const std::string& name, int n_max, int l_max, double r_cut, double sigma, double width,
                       const std::map<std::string, double>& extra) {
             return mercer::make_radial_basis(name, RadialBasisParameters{n_max, l_max, r_cut, sigma, width, extra});
           }),
           py::arg("name"), py::arg("n_max"), py::arg("l_max"), py::arg("r_cut"), py::arg("sigma"), py::arg("width"),
           py::arg("extra") = std::map<std::string, double>{}, py::call_guard<py::gil_scoped_release>())
      .def_property_readonly("nodes", [](const RadialBasis& basis) { return rounded(basis.nodes()); })
      .def_property_readonly("matrix",
                             [](const RadialBasis& basis) {
                               const auto n_nodes = static_cast<py::ssize_t>(basis.nodes().size());
                               return rounded(basis.matrix()).reshape({py::ssize_t{-1}, n_nodes,
                                                                       py::ssize_t{basis.parameters().n_max}});
                             },
                             "[l][node][n], or [1][node][n] for all l alike.")
      .def("integrals",
           [](const RadialBasis& basis, const Array<double>& r) {
             const auto& p = basis.parameters();
             const auto view = span_view(r, "r");
             require_inside(view, p.r_cut);
             const index_t size = static_cast<index_t>(p.l_max + 1) * p.n_max;
             mercer::Buffer<double> values(view.size * size);
             {
               py::gil_scoped_release release;
               for (index_t i = 0; i < view.size; ++i) basis.evaluate(view[i], values.data() + i * size);
             }
             return pooled_array<double>(std::move(values), {view.size, p.l_max + 1, p.n_max});
           },
           py::arg("r").noconvert(), "I_nl(r) from the basis itself, [r][l][n].");
  m.def("radial_basis_parameters", [] {
    std::map<std::string, std::vector<std::string>> table;
    for (const auto& entry : mercer::radial_basis_table()) table[entry.name] = entry.extra;
    return table;
  }, "The radial bases by name, each with the parameters that it alone takes.");

  py::class_<RadialTable>(m, "RadialTable")
      .def(py::init<const RadialBasis&, double>(), py::arg("basis"), py::arg("accuracy") = 1e-11,
           py::call_guard<py::gil_scoped_release>())
      .def_property_readonly("n_max", &RadialTable::n_max)
      .def_property_readonly("n_pad", &RadialTable::n_pad)
      .def_property_readonly("l_max", &RadialTable::l_max)
      .def_property_readonly("r_cut", &RadialTable::r_cut)
      .def_property_readonly("n_knots", &RadialTable::n_knots)
      .def_property_readonly("error", &RadialTable::error)
      .def_property_readonly("step", &RadialTable::step)
      .def("evaluate",
           [](const RadialTable& table, const Array<double>& r) {
             const auto view = span_view(r, "r");
             require_inside(view, table.r_cut());
             mercer::Buffer<double> values(view.size * table.size()), derivatives(view.size * table.size());
             {
               py::gil_scoped_release release;
               std::vector<double> value(table.stride()), derivative(table.stride());
               for (index_t i = 0; i < view.size; ++i) {
                 table.evaluate(view[i], value.data(), derivative.data());
                 std::copy_n(value.begin(), table.size(), values.data() + i * table.size());
                 std::copy_n(derivative.begin(), table.size(), derivatives.data() + i * table.size());
               }
             }
             const std::vector<py::ssize_t> shape{view.size, table.l_max() + 1, table.n_pad()};
             return py::make_tuple(pooled_array<double>(std::move(values), shape),
                                   pooled_array<double>(std::move(derivatives), shape));
           },
           py::arg("r").noconvert(), "Values and derivatives of the spline, [r][l][n_pad].");
}
