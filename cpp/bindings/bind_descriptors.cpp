#include <algorithm>
#include <memory>

#include "bindings.hpp"

#include "mercer/core/parallel.hpp"
#include "mercer/descriptors/atom_matrix.hpp"
#include "mercer/descriptors/average_soap.hpp"
#include "mercer/descriptors/bag_of_bonds.hpp"
#include "mercer/descriptors/cluster_distances.hpp"
#include "mercer/descriptors/ewald_matrix.hpp"
#include "mercer/descriptors/inverse_powers.hpp"
#include "mercer/descriptors/mbtr.hpp"
#include "mercer/descriptors/pair_distance.hpp"
#include "mercer/descriptors/radial_spectrum.hpp"
#include "mercer/descriptors/sine_matrix.hpp"
#include "mercer/descriptors/soap.hpp"
#include "mercer/descriptors/triplet.hpp"

namespace {

using mercer::DensityParameters;
using mercer::Descriptor;
using mercer::index_t;
using mercer::PairList;
using mercer::RadialSpectrum;
using mercer::Soap;
using mercer::StructureBatch;

/// A descriptor on a whole batch.
class Bound {
 public:
  Bound(const Descriptor& descriptor, const StructureBatch& structures, const PairList& pairs)
      : n_atoms_(structures.n_atoms()), n_frames_(structures.n_frames()) {
    const py::gil_scoped_release release;
    bound_ = descriptor.bind(structures, pairs, mercer::BatchPart::all(structures));
  }

  /// First row of each frame (n_frames + 1) and group of each row.
  py::tuple layout() const {
    const auto array = [](const auto& values) {
      return py::array_t<typename std::decay_t<decltype(values)>::value_type>(static_cast<py::ssize_t>(values.size()),
                                                                               values.data());
    };
    return py::make_tuple(array(bound_->layout().offsets), array(bound_->layout().groups));
  }

  void transform(Array<double>& out) const {
    const auto view = mutable_matrix_view(out, "out");
    const py::gil_scoped_release release;
    bound_->transform(view);
  }

  /// Energies of atoms from energies of rows.
  py::array_t<double> share(const Array<double>& row_energies) const {
    const auto energies = span_view(row_energies, "row_energies");
    auto atoms = zeros(n_atoms_);
    {
      const py::gil_scoped_release release;
      bound_->share(energies, atoms.span());
    }
    return pooled_array<double>(std::move(atoms), {n_atoms_});
  }

  /// Gradients with respect to positions (n_atoms, 3) and strain (n_frames, 3, 3).
  std::pair<py::array_t<double>, py::array_t<double>> vjp(const Array<double>& dY_dX) const {
    const auto view = matrix_view(dY_dX, "dY_dX");
    auto positions = zeros(3 * n_atoms_), strain = zeros(9 * n_frames_);
    {
      const py::gil_scoped_release release;
      bound_->add_vjp(view, {positions.data(), n_atoms_, 3}, {strain.data(), n_frames_, 9});
    }
    return {pooled_array<double>(std::move(positions), {n_atoms_, 3}),
            pooled_array<double>(std::move(strain), {n_frames_, 3, 3})};
  }

 private:
  static mercer::Buffer<double> zeros(index_t n) {
    mercer::Buffer<double> buffer(n);
    std::fill_n(buffer.data(), n, 0.0);
    return buffer;
  }

  index_t n_atoms_, n_frames_;
  std::unique_ptr<mercer::BoundDescriptor> bound_;
};

/// The derivatives of rows with respect to positions, for every row and every atom that moves it, the origin included:
/// the pairs (row, atom), each once, in order.
struct GradientEntries {
  std::vector<index_t> offsets{0};  ///< of every row
  std::vector<index_t> rows, atoms;
  std::vector<index_t> slot;  ///< which of them an entry of the contraction belongs to
  std::vector<index_t> own;   ///< which of them is the origin, for every row

  explicit GradientEntries(const mercer::RowEntries& entries) : slot(entries.offsets.back()) {
    std::vector<index_t> found;
    for (std::size_t r = 0; r + 1 < entries.offsets.size(); ++r) {
      found.assign(1, entries.origins[r]);
      for (index_t e = entries.offsets[r]; e < entries.offsets[r + 1]; ++e) found.push_back(entries.atoms[e]);
      std::sort(found.begin(), found.end());
      found.erase(std::unique(found.begin(), found.end()), found.end());
      const auto place = [&](index_t atom) {
        return offsets.back() + (std::lower_bound(found.begin(), found.end(), atom) - found.begin());
      };
      for (index_t e = entries.offsets[r]; e < entries.offsets[r + 1]; ++e) slot[e] = place(entries.atoms[e]);
      own.push_back(place(entries.origins[r]));
      rows.insert(rows.end(), found.size(), static_cast<index_t>(r));
      atoms.insert(atoms.end(), found.begin(), found.end());
      offsets.push_back(offsets.back() + static_cast<index_t>(found.size()));
    }
  }
};

template <class T>
py::array_t<T> pooled(mercer::Buffer<T>& buffer) {
  const index_t size = buffer.size();
  return pooled_array<T>(std::move(buffer), {size});
}

/// (values (n, 3, n_features), rows, atoms): d row / d position. `out` takes the values.
py::tuple gradients(const Descriptor& descriptor, const StructureBatch& structures, const PairList& pairs,
                    std::optional<Array<double>> out) {
  std::unique_ptr<mercer::GradientContraction> jacobian;
  std::unique_ptr<GradientEntries> merged;
  {
    const py::gil_scoped_release release;
    jacobian = descriptor.jacobian(structures, pairs);
    merged = std::make_unique<GradientEntries>(jacobian->entries());
  }
  const index_t n_slots = merged->offsets.back(), width = 3 * descriptor.n_features();
  const std::vector<py::ssize_t> shape{n_slots, 3, descriptor.n_features()};
  if (!out) {
    out = pooled_array<double>(mercer::Buffer<double>(n_slots * width), shape);
  }
  MERCER_REQUIRE(out->ndim() == 3 && std::equal(shape.begin(), shape.end(), out->shape()),
                 "out: expected an array of shape (", n_slots, ", 3, ", shape[2], ")");
  double* values = out->mutable_data();
  {
    const py::gil_scoped_release release;
    const auto& entries = jacobian->entries();
    const index_t n_rows = static_cast<index_t>(entries.offsets.size()) - 1;
    struct Scratch {
      std::unique_ptr<mercer::GradientContraction::Scratch> contraction;
      mercer::Buffer<double> values;
      std::vector<char> written;
    };
    index_t most = 0, most_slots = 0;
    for (index_t r = 0; r < n_rows; ++r) {
      most = std::max(most, entries.offsets[r + 1] - entries.offsets[r]);
      most_slots = std::max(most_slots, merged->offsets[r + 1] - merged->offsets[r]);
    }
    mercer::parallel_for(
        n_rows,
        [&] {
          return Scratch{jacobian->make_scratch(), mercer::Buffer<double>(most * width), std::vector<char>(most_slots)};
        },
        [&](Scratch& scratch, index_t r) {
          jacobian->apply(r, r + 1, *scratch.contraction, scratch.values.data(), descriptor.n_features(), nullptr);
          std::fill(scratch.written.begin(), scratch.written.end(), 0);
          double* own = values + merged->own[r] * width;
          std::fill_n(own, width, 0.0);
          scratch.written[merged->own[r] - merged->offsets[r]] = 1;
          for (index_t e = entries.offsets[r]; e < entries.offsets[r + 1]; ++e) {
            const double* from = scratch.values.data() + (e - entries.offsets[r]) * width;
            if (merged->slot[e] == merged->own[r]) continue;  // an image moves with the origin
            double* to = values + merged->slot[e] * width;
            for (index_t k = 0; k < width; ++k) own[k] -= from[k];
            char& written = scratch.written[merged->slot[e] - merged->offsets[r]];
            if (written) {
              for (index_t k = 0; k < width; ++k) to[k] += from[k];
            } else {
              std::copy_n(from, width, to);
            }
            written = 1;
          }
        });
  }
  const auto array = [](const std::vector<index_t>& v) { return py::array_t<index_t>(v.size(), v.data()); };
  return py::make_tuple(*out, array(merged->rows), array(merged->atoms));
}

/// The same of rows per frame, with an entry for every atom: (values (n_atoms, 3, n_features), frames, atoms).
py::tuple structure_gradients(const mercer::StructureDescriptor& descriptor, const StructureBatch& structures,
                              const PairList& pairs, std::optional<Array<double>> out) {
  const index_t n = structures.n_atoms(), n_features = descriptor.n_features();
  if (!out) out = pooled_array<double>(mercer::Buffer<double>(3 * n * n_features), {n, 3, n_features});
  MERCER_REQUIRE(out->ndim() == 3 && out->shape(0) == n && out->shape(1) == 3 && out->shape(2) == n_features,
                 "out: expected an array of shape (", n, ", 3, ", n_features, ")");
  double* values = out->mutable_data();
  {
    const py::gil_scoped_release release;
    descriptor.gradients(structures, pairs, {values, 3 * n, n_features});
  }
  py::array_t<index_t> frames(n), atoms(n);
  for (index_t f = 0; f < structures.n_frames(); ++f) {
    for (index_t i = structures.offsets[f]; i < structures.offsets[f + 1]; ++i) {
      frames.mutable_at(i) = f;
      atoms.mutable_at(i) = i;
    }
  }
  return py::make_tuple(*out, frames, atoms);
}

/// (values, value_offsets, block_offsets, blocks, columns, rows, norms, dots). The values are the beginning of `out`.
template <class Kind>
py::tuple raw_gradients(const Kind& descriptor, const StructureBatch& structures, const PairList& pairs,
                        std::optional<Array<double>> out) {
  std::unique_ptr<mercer::RawGradients> raw;
  {
    const py::gil_scoped_release release;
    raw = descriptor.raw_gradients(structures, pairs);
  }
  const index_t n_pairs = pairs.n_pairs(), n_atoms = structures.n_atoms(), n_values = raw->value_offsets[n_pairs];
  if (!out) out = pooled_array<double>(mercer::Buffer<double>(n_values), {n_values});
  MERCER_REQUIRE(out->ndim() == 1 && out->size() >= n_values, "out: expected an array of one dimension with at least ",
                 n_values, " elements");
  double* values = out->mutable_data();
  mercer::Buffer<double> rows(n_atoms * descriptor.n_features()), norms(n_atoms), dots(3 * n_pairs);
  {
    const py::gil_scoped_release release;
    raw->write(values, {rows.data(), n_atoms, descriptor.n_features()}, norms.data(), dots.data());
  }
  const auto columns = raw->columns();
  return py::make_tuple(out->attr("__getitem__")(py::slice(0, n_values, 1)), pooled(raw->value_offsets),
                        pooled(raw->block_offsets), pooled(raw->blocks),
                        py::array_t<index_t>(columns.size, columns.data),
                        pooled_array<double>(std::move(rows), {n_atoms, descriptor.n_features()}), pooled(norms),
                        pooled_array<double>(std::move(dots), {n_pairs, 3}));
}

/// (n_atoms, n_channels, n_lm, n_max): the expansion of the density of every atom.
template <class Kind>
py::array_t<double> coefficients(const Kind& descriptor, const StructureBatch& structures, const PairList& pairs) {
  const auto& density = descriptor.density();
  const index_t width = static_cast<index_t>(density.n_channels()) * density.n_lm() * density.n_max();
  mercer::Buffer<double> values(structures.n_atoms() * width);
  {
    const py::gil_scoped_release release;
    density.coefficients(structures, pairs, {values.data(), structures.n_atoms(), width});
  }
  return pooled_array<double>(std::move(values),
                              {structures.n_atoms(), density.n_channels(), density.n_lm(), density.n_max()});
}

/// The Jacobian of every row times the vectors Q, entry by entry: (n_entries, 3, n_vectors), J . row (n_entries, 3), and
/// row, origin, atom and vector of every entry. make(view of Q) is the contraction.
template <class Make>
py::tuple contract(const Array<double>& Q, const Make& make) {
  const auto view = matrix_view(Q, "Q");
  mercer::Buffer<double> values, self, vectors;
  mercer::Buffer<index_t> rows, origins, atoms;
  index_t n_entries = 0;
  {
    const py::gil_scoped_release release;
    const auto contraction = make(view);
    const auto& entries = contraction->entries();
    const index_t n_rows = static_cast<index_t>(entries.offsets.size()) - 1;
    n_entries = entries.offsets.back();
    values = mercer::Buffer<double>(3 * n_entries * view.rows);
    self = mercer::Buffer<double>(3 * n_entries);
    vectors = mercer::Buffer<double>(3 * n_entries);
    for (auto* buffer : {&rows, &origins, &atoms}) *buffer = mercer::Buffer<index_t>(n_entries);
    for (index_t r = 0; r < n_rows; ++r) {
      for (index_t e = entries.offsets[r]; e < entries.offsets[r + 1]; ++e) {
        rows[e] = r;
        origins[e] = entries.origins[r];
        atoms[e] = entries.atoms[e];
        std::copy_n(entries.vectors[e].data(), 3, vectors.data() + 3 * e);
      }
    }
    mercer::parallel_for(
        (n_rows + 15) / 16, [&] { return contraction->make_scratch(); },
        [&](auto& scratch, index_t chunk) {
          const index_t begin = 16 * chunk, first = entries.offsets[begin];
          contraction->apply(begin, std::min(begin + 16, n_rows), *scratch, values.data() + 3 * first * view.rows,
                             view.rows, self.data() + 3 * first);
        });
  }
  return py::make_tuple(pooled_array<double>(std::move(values), {n_entries, 3, view.rows}),
                        pooled_array<double>(std::move(self), {n_entries, 3}),
                        py::make_tuple(pooled_array<index_t>(std::move(rows), {n_entries}),
                                       pooled_array<index_t>(std::move(origins), {n_entries}),
                                       pooled_array<index_t>(std::move(atoms), {n_entries}),
                                       pooled_array<double>(std::move(vectors), {n_entries, 3})));
}

/// Writes rows; of every part, the weight of all tuples and of those beside the grid.
template <class Kind>
std::pair<std::vector<double>, std::vector<double>> transform_weighed(const Kind& descriptor,
                                                                      const StructureBatch& structures,
                                                                      const PairList& pairs, Array<double>& out) {
  const auto view = mutable_matrix_view(out, "out");
  std::vector<double> total(descriptor.n_parts()), outside(descriptor.n_parts());
  const py::gil_scoped_release release;
  descriptor.transform(structures, pairs, view, total, outside);
  return {total, outside};
}

void bind_mbtr(py::module_& m) {
  using mercer::Mbtr;
  using mercer::MbtrParameters;
  using mercer::MbtrPart;
  using mercer::WeightFactor;
  py::class_<MbtrPart>(m, "MbtrPart")
      .def(py::init([](int order, const std::string& geometry, double first, double last, index_t n, double sigma,
                       const std::string& broadening, const std::string& values, bool centered, bool normalized,
                       const std::vector<std::tuple<std::string, std::map<std::string, double>, bool>>& weights,
                       double threshold) {
             MbtrPart p{order, geometry, first, last, n, sigma, broadening, values, centered, normalized, {}, threshold};
             for (const auto& [function, parameters, legs_only] : weights) {
               p.weights.push_back(WeightFactor{function, parameters, legs_only});
             }
             return p;
           }),
           py::kw_only(), py::arg("order"), py::arg("geometry"), py::arg("first"), py::arg("last"), py::arg("n"),
           py::arg("sigma"), py::arg("broadening"), py::arg("values"), py::arg("centered"), py::arg("normalized"),
           py::arg("weights"), py::arg("threshold"));
  py::class_<MbtrParameters>(m, "MbtrParameters")
      .def(py::init([](std::vector<std::int32_t> species, std::vector<MbtrPart> parts, std::vector<double> correlation,
                       const std::string& normalization, bool ignore_unknown, double max_tuples) {
             return MbtrParameters{std::move(species), std::move(parts), std::move(correlation),
                                   normalization,      ignore_unknown,   max_tuples};
           }),
           py::kw_only(), py::arg("species"), py::arg("parts"), py::arg("correlation"), py::arg("normalization"),
           py::arg("ignore_unknown"), py::arg("max_tuples"));
  m.def("weight_of_cutoff", [](const std::string& name, double r_cut, double width) {
    const auto factor = mercer::weight_of_cutoff(name, r_cut, width);
    return std::make_tuple(factor.function, factor.parameters, factor.legs_only);
  });
  m.def("mbtr_geometries", &mercer::mbtr_geometries);
  m.def("mbtr_weights", &mercer::mbtr_weights);
  m.def("mbtr_broadenings", &mercer::mbtr_broadenings);

  py::class_<mercer::Lmbtr, Descriptor>(m, "Lmbtr")
      .def(py::init<MbtrParameters>(), py::arg("parameters"))
      .def("transform_weighed", &transform_weighed<mercer::Lmbtr>, py::arg("structures"), py::arg("pairs"),
           py::arg("out").noconvert());
  py::class_<Mbtr, mercer::StructureDescriptor>(m, "Mbtr")
      .def(py::init<MbtrParameters>(), py::arg("parameters"))
      .def("transform_weighed", &transform_weighed<Mbtr>, py::arg("structures"), py::arg("pairs"),
           py::arg("out").noconvert())
      .def(
          "transform_channels",
          [](const Mbtr& mbtr, const StructureBatch& structures, const PairList& pairs) {
            std::vector<double> total(mbtr.n_parts()), outside(mbtr.n_parts());
            Mbtr::SparseRows rows;
            {
              const py::gil_scoped_release release;
              rows = mbtr.transform_channels(structures, pairs, total, outside);
            }
            const auto array = [](const std::vector<index_t>& v) { return py::array_t<index_t>(v.size(), v.data()); };
            return py::make_tuple(array(rows.frame_offsets), array(rows.channels), pooled(rows.values), total, outside);
          },
          py::arg("structures"), py::arg("pairs"));
}

}  // namespace

void bind_descriptors(py::module_& m) {
  py::class_<DensityParameters>(m, "DensityParameters")
      .def(py::init([](std::vector<std::int32_t> species, int n_max, int l_max, double r_cut, double sigma,
                       const std::string& radial_basis, std::map<std::string, double> radial_options,
                       const std::string& cutoff, double width, const mercer::RadialScaling& scaling, double central_weight, bool central_in_all_species, std::vector<double> channels,
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
             p.central_in_all_species = central_in_all_species;
             p.channels = std::move(channels);
             p.ignore_unknown = ignore_unknown;
             return p;
           }),
           py::kw_only(), py::arg("species"), py::arg("n_max"), py::arg("l_max"), py::arg("r_cut"), py::arg("sigma"),
           py::arg("radial_basis"), py::arg("radial_options"), py::arg("cutoff"), py::arg("width"), py::arg("scaling"), py::arg("central_weight"), py::arg("central_in_all_species"),
           py::arg("channels"), py::arg("ignore_unknown"));

  py::class_<Bound>(m, "BoundDescriptor")
      .def_property_readonly("layout", &Bound::layout)
      .def("transform", &Bound::transform, py::arg("out").noconvert())
      .def("share", &Bound::share, py::arg("row_energies").noconvert())
      .def("vjp", &Bound::vjp, py::arg("dY_dX").noconvert());
  py::class_<Descriptor>(m, "Descriptor")
      .def_property_readonly("cutoff", &Descriptor::cutoff)
      .def_property_readonly("n_features", &Descriptor::n_features)
      .def_property_readonly("per_atom", &Descriptor::per_atom)
      .def_property_readonly("has_factor", &Descriptor::has_factor)
      .def_property_readonly("differentiable", &Descriptor::differentiable)
      .def(
          "bind",
          [](const Descriptor& descriptor, const StructureBatch& structures, const PairList& pairs) {
            return std::make_unique<Bound>(descriptor, structures, pairs);
          },
          py::arg("structures"), py::arg("pairs"), py::keep_alive<0, 1>(), py::keep_alive<0, 2>(),
          py::keep_alive<0, 3>())
      .def("gradients", &gradients, py::arg("structures"), py::arg("pairs"), py::arg("out").noconvert() = py::none())
      .def(
          "contract",
          [](const Descriptor& descriptor, const StructureBatch& structures, const PairList& pairs,
             const Array<double>& Q) {
            return contract(Q, [&](auto view) { return descriptor.contraction(structures, pairs, view); });
          },
          py::arg("structures"), py::arg("pairs"), py::arg("Q").noconvert());

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
          "contract",
          [](const Soap& soap, const StructureBatch& structures, const PairList& pairs, const Array<double>& Q,
             std::optional<bool> coefficients_first) {
            return contract(Q, [&](auto view) {
              if (!coefficients_first) return soap.contraction(structures, pairs, view);
              const auto order = *coefficients_first ? Soap::Order::coefficients_first : Soap::Order::rows_first;
              return soap.contraction(structures, pairs, view, order);
            });
          },
          py::arg("structures"), py::arg("pairs"), py::arg("Q").noconvert(), py::kw_only(),
          py::arg("coefficients_first") = py::none())
      .def("coefficients", &coefficients<Soap>, py::arg("structures"), py::arg("pairs"))
      .def("raw_gradients", &raw_gradients<Soap>, py::arg("structures"), py::arg("pairs"),
           py::arg("out").noconvert() = py::none())
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
      .def(py::init<DensityParameters, bool>(), py::arg("parameters"), py::arg("normalize"))
      .def("coefficients", &coefficients<RadialSpectrum>, py::arg("structures"), py::arg("pairs"))
      .def("raw_gradients", &raw_gradients<RadialSpectrum>, py::arg("structures"), py::arg("pairs"),
           py::arg("out").noconvert() = py::none());

  using Kinds = std::vector<std::vector<std::int32_t>>;
  const auto cutoff = [](const std::string& name, double r_cut, double width) {
    return mercer::Cutoff(name, r_cut, width);
  };
  py::class_<mercer::PairDistance, Descriptor>(m, "PairDistance")
      .def(py::init([cutoff](Kinds kinds, double r_cut, const std::string& name, double width,
                             std::vector<int> exponents, double tail_exponent, double tail_range,
                             std::vector<double> scales) {
             return mercer::PairDistance(std::move(kinds), cutoff(name, r_cut, width), std::move(exponents),
                                         tail_exponent, tail_range, std::move(scales));
           }),
           py::kw_only(), py::arg("kinds"), py::arg("r_cut"), py::arg("cutoff"), py::arg("width"),
           py::arg("exponents"), py::arg("tail_exponent"), py::arg("tail_range"), py::arg("scales"));
  py::class_<mercer::Triplet, Descriptor>(m, "Triplet")
      .def(py::init([cutoff](Kinds kinds, double r_cut, const std::string& name, double width,
                             std::vector<double> scales) {
             return mercer::Triplet(std::move(kinds), cutoff(name, r_cut, width), std::move(scales));
           }),
           py::kw_only(), py::arg("kinds"), py::arg("r_cut"), py::arg("cutoff"), py::arg("width"), py::arg("scales"));
  py::class_<mercer::ClusterDistances, Descriptor>(m, "ClusterDistances")
      .def(py::init([cutoff](Kinds kinds, double r_cut, const std::string& name, double width, bool compact,
                             std::vector<double> scales, std::vector<std::vector<int>> permutations) {
             return mercer::ClusterDistances(std::move(kinds), cutoff(name, r_cut, width), compact, std::move(scales),
                                             std::move(permutations));
           }),
           py::kw_only(), py::arg("kinds"), py::arg("r_cut"), py::arg("cutoff"), py::arg("width"), py::arg("compact"),
           py::arg("scales"), py::arg("permutations"));

  py::class_<mercer::StructureDescriptor, Descriptor>(m, "StructureDescriptor")
      .def("gradients", &structure_gradients, py::arg("structures"), py::arg("pairs"),
           py::arg("out").noconvert() = py::none());
  py::class_<mercer::CoulombMatrix, mercer::StructureDescriptor>(m, "CoulombMatrix")
      .def(py::init<index_t, const std::string&, const std::string&>(), py::arg("n_atoms_max"),
           py::arg("permutation"), py::arg("unit"));
  py::class_<mercer::InverseDistances, mercer::StructureDescriptor>(m, "InverseDistances")
      .def(py::init<index_t>(), py::arg("n_atoms_max"));
  py::class_<mercer::SineMatrix, mercer::StructureDescriptor>(m, "SineMatrix")
      .def(py::init<index_t, const std::string&, const std::string&>(), py::arg("n_atoms_max"),
           py::arg("permutation"), py::arg("unit"));
  py::class_<mercer::EwaldMatrix, mercer::StructureDescriptor>(m, "EwaldMatrix")
      .def(py::init([](index_t n_atoms_max, const std::string& permutation, double accuracy, double weight,
                       std::optional<double> alpha, std::optional<double> real_cutoff,
                       std::optional<double> reciprocal_cutoff) {
             return mercer::EwaldMatrix(n_atoms_max, permutation,
                                        {accuracy, weight, alpha, real_cutoff, reciprocal_cutoff});
           }),
           py::arg("n_atoms_max"), py::arg("permutation"), py::kw_only(), py::arg("accuracy"), py::arg("weight"),
           py::arg("alpha"), py::arg("real_cutoff"), py::arg("reciprocal_cutoff"));
  py::class_<mercer::AverageSoap, mercer::StructureDescriptor>(m, "AverageSoap")
      .def(py::init<DensityParameters, bool, std::vector<std::int32_t>>(), py::arg("parameters"), py::arg("normalize"),
           py::arg("centers"))
      .def("coefficients", &coefficients<mercer::AverageSoap>, py::arg("structures"), py::arg("pairs"));
  py::class_<mercer::BagOfBonds, mercer::StructureDescriptor>(m, "BagOfBonds")
      .def(py::init<std::vector<std::int32_t>, std::vector<int>, bool, const std::string&>(), py::arg("species"),
           py::arg("max_atoms"), py::arg("diagonal"), py::arg("unit"));
  py::class_<mercer::InversePowers, mercer::StructureDescriptor>(m, "InversePowers")
      .def(py::init([](std::vector<std::int32_t> species, std::vector<int> pair_powers, std::vector<int> triple_powers,
                       std::optional<double> r_cut, const std::string& name, double width) {
             std::optional<mercer::Cutoff> cutoff;
             if (r_cut) cutoff.emplace(name, *r_cut, width);
             return mercer::InversePowers(std::move(species), std::move(pair_powers), std::move(triple_powers), cutoff);
           }),
           py::kw_only(), py::arg("species"), py::arg("pair_powers"), py::arg("triple_powers"), py::arg("r_cut"),
           py::arg("cutoff"), py::arg("width"));

  bind_mbtr(m);
}
