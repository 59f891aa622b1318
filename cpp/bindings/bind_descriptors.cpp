#include "bindings.hpp"

#include "mercer/descriptors/radial_spectrum.hpp"
#include "mercer/descriptors/soap.hpp"

namespace {

using mercer::DensityParameters;
using mercer::Descriptor;
using mercer::index_t;
using mercer::PairList;
using mercer::RadialSpectrum;
using mercer::Soap;
using mercer::StructureBatch;

index_t n_rows(const Descriptor& descriptor, const StructureBatch& structures) {
  return descriptor.per_atom() ? structures.n_atoms() : structures.n_frames();
}

void transform(const Descriptor& descriptor, const StructureBatch& structures, const PairList& pairs,
               Array<double>& out) {
  const auto view = mutable_matrix_view(out, "out");
  const py::gil_scoped_release release;
  descriptor.transform(structures, pairs, view);
}

/// Gradients with respect to positions (n_atoms, 3) and strain (n_frames, 3, 3).
std::pair<py::array_t<double>, py::array_t<double>> vjp(const Descriptor& descriptor, const StructureBatch& structures,
                                                        const PairList& pairs, const Array<double>& dY_dX) {
  const auto view = matrix_view(dY_dX, "dY_dX");
  mercer::Buffer<double> positions(3 * structures.n_atoms()), strain(9 * structures.n_frames());
  {
    const py::gil_scoped_release release;
    descriptor.vjp(structures, pairs, view, {positions.data(), structures.n_atoms(), 3},
                   {strain.data(), structures.n_frames(), 9});
  }
  return {pooled_array<double>(std::move(positions), {structures.n_atoms(), 3}),
          pooled_array<double>(std::move(strain), {structures.n_frames(), 3, 3})};
}

template <class T>
py::array_t<T> pooled(mercer::Buffer<T>& buffer) {
  const index_t size = buffer.size();
  return pooled_array<T>(std::move(buffer), {size});
}

}  // namespace

void bind_descriptors(py::module_& m) {
  py::class_<DensityParameters>(m, "DensityParameters")
      .def(py::init([](std::vector<std::int32_t> species, int n_max, int l_max, double r_cut, double sigma,
                       const std::string& radial_basis, std::map<std::string, double> radial_options,
                       const std::string& cutoff, double width, const mercer::RadialScaling& scaling, double central_weight, std::vector<double> channels,
                       bool ignore_unknown) {
             DensityParameters p;
             p.species = std::move(species);
             p.radial.n_max = n_max;
             p.radial.l_max = l_max;
             p.radial.r_cut = r_cut;
             p.radial.sigma = sigma;
             p.radial.width = width;
             p.radial.extra = std::move(radial_options);
             p.radial_basis = radial_basis;
             p.cutoff = cutoff;
             p.scaling = scaling;
             p.central_weight = central_weight;
             p.channels = std::move(channels);
             p.ignore_unknown = ignore_unknown;
             return p;
           }),
           py::kw_only(), py::arg("species"), py::arg("n_max"), py::arg("l_max"), py::arg("r_cut"), py::arg("sigma"),
           py::arg("radial_basis"), py::arg("radial_options"), py::arg("cutoff"), py::arg("width"), py::arg("scaling"), py::arg("central_weight"),
           py::arg("channels"), py::arg("ignore_unknown"));

  py::class_<Descriptor>(m, "Descriptor")
      .def_property_readonly("cutoff", &Descriptor::cutoff)
      .def_property_readonly("n_features", &Descriptor::n_features)
      .def_property_readonly("per_atom", &Descriptor::per_atom)
      .def("n_rows", &n_rows, py::arg("structures"))
      .def("transform", &transform, py::arg("structures"), py::arg("pairs"), py::arg("out").noconvert())
      .def("vjp", &vjp, py::arg("structures"), py::arg("pairs"), py::arg("dY_dX").noconvert());

  py::class_<Soap, Descriptor>(m, "Soap")
      .def(py::init<DensityParameters, bool>(), py::arg("parameters"), py::arg("normalize"))
      .def_property_readonly("blocks",
                             [](const Soap& soap) {
                               std::vector<std::pair<int, int>> blocks;
                               for (index_t k = 0; k < soap.n_blocks(); ++k) blocks.push_back(soap.block(k));
                               return blocks;
                             })
      .def_property_readonly("block_offsets",
                             [](const Soap& soap) {
                               const auto offsets = soap.block_offsets();
                               return std::vector<index_t>(offsets.begin(), offsets.end());
                             })
      .def(
          "transform_blocks",
          [](const Soap& soap, const StructureBatch& structures, const PairList& pairs) {
            Soap::SparseRows rows;
            {
              const py::gil_scoped_release release;
              rows = soap.transform_blocks(structures, pairs);
            }
            return py::make_tuple(pooled(rows.atom_offsets), pooled(rows.blocks), pooled(rows.value_offsets),
                                  pooled(rows.values));
          },
          py::arg("structures"), py::arg("pairs"));

  py::class_<RadialSpectrum, Descriptor>(m, "RadialSpectrum")
      .def(py::init<DensityParameters, bool>(), py::arg("parameters"), py::arg("normalize"));
}
