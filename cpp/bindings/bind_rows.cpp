#include "bindings.hpp"

#include "mercer/rows/energy_rows.hpp"
#include "mercer/rows/label_rows.hpp"

namespace {

using mercer::Descriptor;
using mercer::index_t;
using mercer::Kernel;
using mercer::PairList;
using mercer::StructureBatch;
using Groups = std::optional<Array<std::int32_t>>;
using Factors = std::optional<Array<double>>;
using Output = std::optional<Array<double>>;

mercer::MatView<double> optional_matrix(Output& array, const char* name) {
  return array ? mutable_matrix_view(*array, name) : mercer::MatView<double>();
}

void evaluate_term(const Kernel& kernel, const Descriptor& descriptor, const StructureBatch& structures,
                   const PairList& pairs, const Array<double>& sparse, const Array<std::int32_t>& groups,
                   bool match_groups, const Array<double>& weights, Array<double>& energies, Output positions,
                   Output strain) {
  const mercer::SparseRows rows{matrix_view(sparse, "sparse"), span_view(groups, "groups"), match_groups};
  const auto w = span_view(weights, "weights");
  MERCER_REQUIRE(energies.ndim() == 1, "energies: expected a 1-D array, got ", energies.ndim(), "-D");
  const mercer::Span<double> e(energies.mutable_data(), energies.shape(0));
  const auto dr = optional_matrix(positions, "positions"), de = optional_matrix(strain, "strain");
  const py::gil_scoped_release release;
  mercer::evaluate_term(kernel, descriptor, structures, pairs, rows, w, e, dr, de);
}

void label_rows(const Kernel& kernel, const Descriptor& descriptor, const StructureBatch& structures,
                const PairList& pairs, const Array<double>& sparse, const Array<std::int32_t>& groups,
                bool match_groups, Output energy, Output forces, Output virial) {
  const mercer::SparseRows rows{matrix_view(sparse, "sparse"), span_view(groups, "groups"), match_groups};
  const mercer::LabelRows out{optional_matrix(energy, "energy"), optional_matrix(forces, "forces"),
                              optional_matrix(virial, "virial")};
  const py::gil_scoped_release release;
  mercer::label_rows(kernel, descriptor, structures, pairs, rows, out);
}

}  // namespace

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
        const mercer::GramOptions options{optional_view(x_groups, "x_groups"), optional_view(y_groups, "y_groups"),
                                          optional_view(x_factors, "x_factors"), optional_view(y_factors, "y_factors")};
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
  m.def("evaluate_term", &evaluate_term, py::arg("kernel"), py::arg("descriptor"), py::arg("structures"),
        py::arg("pairs"), py::arg("sparse").noconvert(), py::arg("groups").noconvert(), py::arg("match_groups"),
        py::arg("weights").noconvert(), py::arg("energies").noconvert(), py::arg("positions").noconvert(),
        py::arg("strain").noconvert());
  m.def("label_rows", &label_rows, py::arg("kernel"), py::arg("descriptor"), py::arg("structures"), py::arg("pairs"),
        py::arg("sparse").noconvert(), py::arg("groups").noconvert(), py::arg("match_groups"),
        py::arg("energy").noconvert() = py::none(), py::arg("forces").noconvert() = py::none(),
        py::arg("virial").noconvert() = py::none());
}
