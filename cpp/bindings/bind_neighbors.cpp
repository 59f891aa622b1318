#include "bindings.hpp"

#include "mercer/core/parallel.hpp"
#include "mercer/neighbors/pair_list.hpp"
#include "mercer/neighbors/verlet_list.hpp"

using mercer::Buffer;
using mercer::index_t;
using mercer::PairList;
using mercer::VerletList;

namespace {

/// `write(i, pair)` for the pairs of every centre i.
template <class Write>
void for_each_pair(const PairList& list, const Write& write) {
  constexpr index_t centres_per_chunk = 512;
  mercer::parallel_chunks(list.n_atoms(), centres_per_chunk, [&](index_t begin, index_t end) {
    for (index_t i = begin; i < end; ++i) {
      for (index_t pair = list.offsets[i]; pair < list.offsets[i + 1]; ++pair) write(i, pair);
    }
  });
}

/// The arrays that ASE's neighbour list returns, by letter, with its types (integers of 64 bits).
py::dict neighbor_arrays(const mercer::StructureBatch& structures, double cutoff, const std::string& quantities) {
  const auto wanted = [&](char letter) { return quantities.find(letter) != std::string::npos; };
  PairList list;
  Buffer<index_t> i, j, shifts;
  {
    py::gil_scoped_release release;
    list = mercer::build_pair_list(structures, cutoff);
    if (wanted('i')) {
      i = Buffer<index_t>(list.n_pairs());
      for_each_pair(list, [&](index_t centre, index_t pair) { i[pair] = centre; });
    }
    if (wanted('j')) {
      j = Buffer<index_t>(list.n_pairs());
      for_each_pair(list, [&](index_t, index_t pair) { j[pair] = list.neighbors[pair]; });
    }
    if (wanted('S')) {
      shifts = Buffer<index_t>(3 * list.n_pairs());
      for_each_pair(list, [&](index_t, index_t pair) {
        for (int k = 0; k < 3; ++k) shifts[3 * pair + k] = list.shifts[pair][k];
      });
    }
  }
  const index_t n = list.n_pairs();
  py::dict arrays;
  if (wanted('i')) arrays["i"] = pooled_array<index_t>(std::move(i), {n});
  if (wanted('j')) arrays["j"] = pooled_array<index_t>(std::move(j), {n});
  if (wanted('S')) arrays["S"] = pooled_array<index_t>(std::move(shifts), {n, 3});
  if (wanted('d')) arrays["d"] = pooled_array<double>(std::move(list.distances), {n});
  if (wanted('D')) arrays["D"] = pooled_array<double>(std::move(list.vectors), {n, 3});
  return arrays;
}

}  // namespace

void bind_neighbors(py::module_& m) {
  const auto shared = [](auto make) {  // a read-only view of the list's memory
    return [make](py::object self) { return make(self.cast<const PairList&>(), self); };
  };
  py::class_<PairList>(m, "PairList")
      .def_readonly("cutoff", &PairList::cutoff)
      .def_property_readonly("n_atoms", &PairList::n_atoms)
      .def_property_readonly("n_pairs", &PairList::n_pairs)
      .def_property_readonly("offsets", shared([](const PairList& list, py::handle self) {
        return borrowed_array<index_t>(list.offsets.data(), {list.n_atoms() + 1}, self);
      }))
      .def_property_readonly("neighbors", shared([](const PairList& list, py::handle self) {
        return borrowed_array<std::int32_t>(list.neighbors.data(), {list.n_pairs()}, self);
      }))
      .def_property_readonly("shifts", shared([](const PairList& list, py::handle self) {
        const auto* data = reinterpret_cast<const std::int32_t*>(list.shifts.data());
        return borrowed_array<std::int32_t>(data, {list.n_pairs(), 3}, self);
      }))
      .def_property_readonly("vectors", shared([](const PairList& list, py::handle self) {
        const auto* data = reinterpret_cast<const double*>(list.vectors.data());
        return borrowed_array<double>(data, {list.n_pairs(), 3}, self);
      }))
      .def_property_readonly("distances", shared([](const PairList& list, py::handle self) {
        return borrowed_array<double>(list.distances.data(), {list.n_pairs()}, self);
      }));
  m.def("build_pair_list", &mercer::build_pair_list, py::arg("structures"), py::arg("cutoff"),
        py::arg("min_distance") = 0.0, py::call_guard<py::gil_scoped_release>());
  m.def("neighbor_arrays", &neighbor_arrays, py::arg("structures"), py::arg("cutoff"), py::arg("quantities"));

  py::class_<VerletList>(m, "VerletList")
      .def(py::init<double, double, double>(), py::arg("cutoff"), py::arg("skin"), py::arg("min_distance") = 0.0)
      .def_property_readonly("cutoff", &VerletList::cutoff)
      .def_property_readonly("skin", &VerletList::skin)
      .def_property_readonly("n_builds", &VerletList::n_builds)
      .def("update", &VerletList::update, py::arg("structures"), py::call_guard<py::gil_scoped_release>());
}
