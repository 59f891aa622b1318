#include "bindings.hpp"

#include "mercer/neighbors/pair_list.hpp"

using mercer::index_t;
using mercer::PairList;

void bind_neighbors(py::module_& m) {
  py::class_<PairList>(m, "PairList")
      .def_readonly("cutoff", &PairList::cutoff)
      .def_property_readonly("n_atoms", &PairList::n_atoms)
      .def_property_readonly("n_pairs", &PairList::n_pairs)
      .def_property_readonly("offsets", [](py::object self) {
        const auto& list = self.cast<const PairList&>();
        return borrowed_array<index_t>(list.offsets.data(), {list.offsets.size()}, self);
      })
      .def_property_readonly("neighbors", [](py::object self) {
        const auto& list = self.cast<const PairList&>();
        return borrowed_array<std::int32_t>(list.neighbors.data(), {list.n_pairs()}, self);
      })
      .def_property_readonly("shifts", [](py::object self) {
        const auto& list = self.cast<const PairList&>();
        return borrowed_array<std::int32_t>(reinterpret_cast<const std::int32_t*>(list.shifts.data()),
                                            {list.n_pairs(), 3}, self);
      })
      .def_property_readonly("vectors", [](py::object self) {
        const auto& list = self.cast<const PairList&>();
        return borrowed_array<double>(reinterpret_cast<const double*>(list.vectors.data()), {list.n_pairs(), 3}, self);
      })
      .def_property_readonly("distances", [](py::object self) {
        const auto& list = self.cast<const PairList&>();
        return borrowed_array<double>(list.distances.data(), {list.n_pairs()}, self);
      });
  m.def("build_pair_list", &mercer::build_pair_list, py::arg("structures"), py::arg("cutoff"),
        py::arg("min_distance") = 0.0, py::call_guard<py::gil_scoped_release>());
}
