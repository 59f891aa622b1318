#include "bindings.hpp"

#include "mercer/structure/structure_batch.hpp"

using mercer::StructureBatch;

void bind_structure(py::module_& m) {
  py::class_<StructureBatch>(m, "StructureBatch")
      .def(py::init<>())
      .def("append",
           [](StructureBatch& batch, const Array<double>& positions, const Array<std::int32_t>& numbers,
              const Array<double>& cell, const std::array<bool, 3>& pbc) {
             const auto rows = matrix_view(cell, "cell");
             MERCER_REQUIRE(rows.rows == 3 && rows.cols == 3, "cell: expected shape (3, 3)");
             mercer::Mat3 matrix;
             for (int a = 0; a < 3; ++a) matrix[a] = {rows(a, 0), rows(a, 1), rows(a, 2)};
             batch.append(matrix_view(positions, "positions"), span_view(numbers, "numbers"), matrix, pbc);
           },
           py::arg("positions").noconvert(), py::arg("numbers").noconvert(), py::arg("cell").noconvert(),
           py::arg("pbc"))
      .def("validate", &StructureBatch::validate)
      .def_property_readonly("n_frames", &StructureBatch::n_frames)
      .def_property_readonly("n_atoms", &StructureBatch::n_atoms)
      .def_property_readonly("offsets", [](py::object self) {
        const auto& batch = self.cast<const StructureBatch&>();
        return borrowed_array<mercer::index_t>(batch.offsets.data(), {batch.n_frames() + 1}, self);
      })
      .def_property_readonly("numbers", [](py::object self) {
        const auto& batch = self.cast<const StructureBatch&>();
        return borrowed_array<std::int32_t>(batch.numbers.data(), {batch.n_atoms()}, self);
      })
      .def_property_readonly("positions", [](py::object self) {
        const auto& batch = self.cast<const StructureBatch&>();
        return borrowed_array<double>(batch.positions.empty() ? nullptr : batch.positions[0].data(),
                                      {batch.n_atoms(), 3}, self);
      });
}
