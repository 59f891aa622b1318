#include "bindings.hpp"

#include <cstring>

#include "mercer/structure/structure_batch.hpp"

using mercer::index_t;
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
      .def_static(
          "from_arrays",
          [](const Array<double>& positions, const Array<std::int32_t>& numbers, const Array<index_t>& offsets,
             const Array<double>& cells, const Array<bool>& pbc) {
            const auto position_rows = matrix_view(positions, "positions");
            const auto number_span = span_view(numbers, "numbers");
            const auto offset_span = span_view(offsets, "offsets");
            const auto pbc_rows = matrix_view(pbc, "pbc");
            MERCER_REQUIRE(position_rows.cols == 3, "positions: expected shape (n_atoms, 3)");
            MERCER_REQUIRE(pbc_rows.cols == 3, "pbc: expected shape (n_frames, 3)");
            MERCER_REQUIRE(cells.ndim() == 3 && cells.shape(0) == pbc_rows.rows && cells.shape(1) == 3 &&
                               cells.shape(2) == 3,
                           "cells: expected shape (", pbc_rows.rows, ", 3, 3)");
            StructureBatch batch;
            batch.offsets.assign(offset_span.begin(), offset_span.end());
            batch.positions.resize(position_rows.rows);
            std::memcpy(batch.positions.data(), position_rows.data, sizeof(mercer::Vec3) * batch.positions.size());
            batch.numbers.assign(number_span.begin(), number_span.end());
            batch.cells.resize(pbc_rows.rows);
            std::memcpy(batch.cells.data(), cells.data(), sizeof(mercer::Mat3) * batch.cells.size());
            for (index_t f = 0; f < pbc_rows.rows; ++f) {
              batch.pbc.push_back({pbc_rows(f, 0), pbc_rows(f, 1), pbc_rows(f, 2)});
            }
            batch.validate();
            return batch;
          },
          "A validated batch from arrays of all frames at once.", py::arg("positions").noconvert(),
          py::arg("numbers").noconvert(), py::arg("offsets").noconvert(), py::arg("cells").noconvert(),
          py::arg("pbc").noconvert())
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
      })
      .def_property_readonly("cells", [](py::object self) {
        const auto& batch = self.cast<const StructureBatch&>();
        return borrowed_array<double>(reinterpret_cast<const double*>(batch.cells.data()), {batch.n_frames(), 3, 3},
                                      self);
      })
      .def_property_readonly("pbc", [](py::object self) {
        const auto& batch = self.cast<const StructureBatch&>();
        return borrowed_array<bool>(reinterpret_cast<const bool*>(batch.pbc.data()), {batch.n_frames(), 3}, self);
      });
}
