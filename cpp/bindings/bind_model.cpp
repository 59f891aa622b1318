#include "bindings.hpp"

#include "mercer/model/model_contents.hpp"
#include "mercer/model/potential.hpp"

namespace {

using mercer::PairList;
using mercer::Potential;
using mercer::PotentialRequest;
using mercer::StructureBatch;

/// A NumPy array that owns `values`, whose elements are one or more doubles each.
template <class T>
py::array_t<double> owned_array(std::vector<T>&& values, std::vector<py::ssize_t> shape) {
  auto* kept = new std::vector<T>(std::move(values));
  const py::capsule owner(kept, [](void* memory) { delete static_cast<std::vector<T>*>(memory); });
  return py::array_t<double>(std::move(shape), reinterpret_cast<const double*>(kept->data()), owner);
}

py::dict evaluate(const Potential& potential, const StructureBatch& structures, const PairList* pairs, bool forces,
                  bool virial, bool energy_std, bool energies_std) {
  const PotentialRequest request{forces, virial, energy_std, energies_std};
  mercer::PotentialResult result;
  {
    const py::gil_scoped_release release;
    result = pairs ? potential.evaluate(structures, *pairs, request) : potential.evaluate(structures, request);
  }
  const py::ssize_t frames = structures.n_frames(), atoms = structures.n_atoms();
  py::dict arrays;
  arrays["energy"] = owned_array(std::move(result.energy), {frames});
  arrays["energies"] = owned_array(std::move(result.energies), {atoms});
  if (forces) arrays["forces"] = owned_array(std::move(result.forces), {atoms, 3});
  if (virial) arrays["virial"] = owned_array(std::move(result.virial), {frames, 3, 3});
  if (energy_std) arrays["energy_std"] = owned_array(std::move(result.energy_std), {frames});
  if (energies_std) arrays["energies_std"] = owned_array(std::move(result.energies_std), {atoms});
  return arrays;
}

/// Header (JSON), {name: array}, version of the writer.
py::tuple read_model(const std::string& path) {
  mercer::ModelContents contents;
  {
    const py::gil_scoped_release release;
    contents = mercer::read_model(path);
  }
  py::dict arrays;
  for (mercer::ModelArray& array : contents.arrays) {
    arrays[py::str(array.name)] = std::visit(
        [&](auto& values) -> py::object {
          using Value = std::remove_reference_t<decltype(values[0])>;
          return pooled_array<Value>(std::move(values), {array.shape.begin(), array.shape.end()});
        },
        array.values);
  }
  return py::make_tuple(contents.header, arrays, contents.writer);
}

}  // namespace

void bind_model(py::module_& m) {
  m.def("read_model", &read_model, py::arg("path"));
  py::class_<Potential>(m, "Potential")
      .def_static("load", &Potential::load, py::arg("path"), py::arg("variance") = true,
                  py::call_guard<py::gil_scoped_release>())
      .def_property_readonly("cutoff", &Potential::cutoff)
      .def_property_readonly("species", &Potential::species)
      .def_property_readonly("n_terms", &Potential::n_terms)
      .def_property_readonly("n_points", &Potential::n_points)
      .def_property_readonly("has_variance", &Potential::has_variance)
      .def_property_readonly("writer", &Potential::writer)
      .def("evaluate", &evaluate, py::arg("structures"), py::arg("pairs") = py::none(), py::kw_only(),
           py::arg("forces") = true, py::arg("virial") = true, py::arg("energy_std") = false,
           py::arg("energies_std") = false);
}
