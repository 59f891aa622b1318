#include "mercer/descriptors/atom_matrix.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "mercer/core/error.hpp"

namespace mercer {

double length_unit(const std::string& unit) {
  if (unit == "angstrom") return 1.0;
  MERCER_REQUIRE(unit == "bohr", "unit '", unit, "' is unknown; choose one of angstrom, bohr");
  return 0.529177210903;  // CODATA 2018
}

double coulomb_diagonal(std::int32_t Z) { return 0.5 * std::pow(static_cast<double>(Z), 2.4); }

AtomMatrix::AtomMatrix(const char* name, index_t n_atoms_max, Form form)
    : name_(name), n_max_(n_atoms_max), form_(form) {
  MERCER_REQUIRE(n_atoms_max > 0 && n_atoms_max <= 1000000, name, ": n_atoms_max = ", n_atoms_max,
                 ", expected 1 to 1000000");
}

AtomMatrix::Form AtomMatrix::form(const std::string& permutation) {
  if (permutation == "none") return Form::none;
  if (permutation == "sorted_l2") return Form::sorted_l2;
  MERCER_REQUIRE(permutation == "eigenspectrum", "permutation '", permutation,
                 "' is unknown; choose one of none, sorted_l2, eigenspectrum");
  return Form::eigenspectrum;
}

index_t AtomMatrix::n_features() const {
  if (form_ == Form::eigenspectrum) return n_max_;
  return form_ == Form::pairs ? n_max_ * (n_max_ - 1) / 2 : n_max_ * n_max_;
}

void AtomMatrix::diagonal(const std::int32_t* Z, Elements& out) {
  for (index_t i = 0; i < out.n; ++i) {
    out.values[i * (out.n + 1)] = coulomb_diagonal(Z[i]);
    if (!out.derivatives) continue;
    out.positions[i * (out.n + 1)] = {};
    out.strain[i * (out.n + 1)] = {};
  }
}

void AtomMatrix::compute(const StructureBatch& structures, const PairList& pairs, index_t frame, Elements& out) const {
  out.n = structures.offsets[frame + 1] - structures.offsets[frame];
  MERCER_REQUIRE(out.n <= n_max_, "frame ", frame, ": has ", out.n, " atoms, but ", name_, " has room for ", n_max_,
                 "; set n_atoms_max to the size of the largest structure, at least ", out.n);
  const auto size = static_cast<std::size_t>(out.n * out.n);
  out.values.resize(size);
  if (out.derivatives) {
    out.positions.resize(size);
    out.strain.resize(size);
  }
  elements(structures, pairs, frame, out);
}

void AtomMatrix::write_row(const Elements& m, double* row) const {
  const index_t n = m.n;
  const auto at = [&](index_t i, index_t j) { return m.values[std::min(i, j) * n + std::max(i, j)]; };
  std::fill_n(row, n_features(), 0.0);
  if (form_ == Form::pairs) {
    for (index_t i = 0; i < n; ++i) {
      for (index_t j = i + 1; j < n; ++j) row[i * n_max_ - i * (i + 1) / 2 + j - i - 1] = at(i, j);
    }
    return;
  }
  if (form_ == Form::eigenspectrum) {
    if (n == 0) return;
    Eigen::MatrixXd full(n, n);
    for (index_t i = 0; i < n; ++i) {
      for (index_t j = 0; j < n; ++j) full(i, j) = at(i, j);
    }
    const Eigen::VectorXd values = full.selfadjointView<Eigen::Lower>().eigenvalues();
    std::copy_n(values.data(), n, row);
    std::stable_sort(row, row + n, [](double a, double b) { return std::abs(a) > std::abs(b); });
    return;
  }
  std::vector<index_t> order(n);
  std::iota(order.begin(), order.end(), index_t{0});
  if (form_ == Form::sorted_l2) {
    std::vector<double> norms(n, 0.0);
    for (index_t i = 0; i < n; ++i) {
      for (index_t j = 0; j < n; ++j) norms[i] += at(i, j) * at(i, j);
    }
    std::stable_sort(order.begin(), order.end(), [&](index_t a, index_t b) { return norms[a] > norms[b]; });
  }
  for (index_t i = 0; i < n; ++i) {
    for (index_t j = 0; j < n; ++j) row[i * n_max_ + j] = at(order[i], order[j]);
  }
}

void AtomMatrix::transform(const StructureBatch& structures, const PairList& pairs, MatView<double> out) const {
  for_each_frame(
      structures, [] { return Elements(false); },
      [&](Elements& m, index_t f) {
        compute(structures, pairs, f, m);
        write_row(m, out.row(f));
      });
}

/// Calls use(i, j, column) for every feature that is an element, i <= j.
template <class Use>
void AtomMatrix::for_each_column(const Elements& m, const Use& use) const {
  for (index_t i = 0; i < m.n; ++i) {
    if (form_ == Form::pairs) {
      for (index_t j = i + 1; j < m.n; ++j) use(i, j, i * n_max_ - i * (i + 1) / 2 + j - i - 1);
    } else {
      for (index_t j = 0; j < m.n; ++j) use(std::min(i, j), std::max(i, j), i * n_max_ + j);
    }
  }
}

void AtomMatrix::vjp(const StructureBatch& structures, const PairList& pairs, MatView<const double> dY_dX,
                     MatView<double> dY_dpositions, MatView<double> dY_dstrain) const {
  require_differentiable(name_);
  for_each_frame(structures, [] { return Elements(true); }, [&](Elements& m, index_t f) {
    compute(structures, pairs, f, m);
    const index_t first = structures.offsets[f];
    const double* weights = dY_dX.row(f);
    double* strain = dY_dstrain.row(f);
    std::fill_n(strain, 9, 0.0);
    for (index_t i = 0; i < m.n; ++i) std::fill_n(dY_dpositions.row(first + i), 3, 0.0);
    for_each_column(m, [&](index_t i, index_t j, index_t column) {
      const double w = weights[column];
      const Vec3& d = m.positions[i * m.n + j];
      for (int a = 0; a < 3; ++a) {
        dY_dpositions(first + j, a) += w * d[a];
        dY_dpositions(first + i, a) -= w * d[a];
        for (int b = 0; b < 3; ++b) strain[3 * a + b] += w * m.strain[i * m.n + j][a][b];
      }
    });
  });
}

void AtomMatrix::gradients(const StructureBatch& structures, const PairList& pairs, MatView<double> out) const {
  require_differentiable(name_);
  for_each_frame(structures, [] { return Elements(true); }, [&](Elements& m, index_t f) {
    compute(structures, pairs, f, m);
    const index_t first = structures.offsets[f];
    for (index_t line = 3 * first; line < 3 * (first + m.n); ++line) std::fill_n(out.row(line), out.cols, 0.0);
    for_each_column(m, [&](index_t i, index_t j, index_t column) {
      for (int a = 0; a < 3; ++a) {
        out(3 * (first + j) + a, column) += m.positions[i * m.n + j][a];
        out(3 * (first + i) + a, column) -= m.positions[i * m.n + j][a];
      }
    });
  });
}

namespace {

/// Writes element (i, j), i < j, of all pairs of a frame: c / r of a list of all pairs, c = scale(i, j).
template <class Scale, class Elements>
void inverse_distances(const StructureBatch& structures, const PairList& pairs, index_t frame, const Scale& scale,
                       Elements& out) {
  const index_t first = structures.offsets[frame], n = out.n;
  for (index_t i = 0; i < n; ++i) {
    for (index_t p = pairs.offsets[first + i]; p < pairs.offsets[first + i + 1]; ++p) {
      const index_t j = pairs.neighbors[p] - first;
      if (j <= i) continue;
      const double value = scale(i, j) / pairs.distances[p];
      out.values[i * n + j] = value;
      if (!out.derivatives) continue;
      const Vec3& r = pairs.vectors[p];
      const double slope = -value / (pairs.distances[p] * pairs.distances[p]);
      for (int a = 0; a < 3; ++a) {
        out.positions[i * n + j][a] = slope * r[a];
        for (int b = 0; b < 3; ++b) out.strain[i * n + j][a][b] = slope * r[a] * r[b];
      }
    }
  }
}

}  // namespace

CoulombMatrix::CoulombMatrix(index_t n_atoms_max, const std::string& permutation, const std::string& unit)
    : AtomMatrix("CoulombMatrix", n_atoms_max, form(permutation)), length_(length_unit(unit)) {}

double CoulombMatrix::cutoff() const { return std::numeric_limits<double>::infinity(); }

void CoulombMatrix::elements(const StructureBatch& structures, const PairList& pairs, index_t frame,
                             Elements& out) const {
  const std::int32_t* Z = structures.numbers.data() + structures.offsets[frame];
  inverse_distances(structures, pairs, frame, [&](index_t i, index_t j) { return length_ * Z[i] * Z[j]; }, out);
  diagonal(Z, out);
}

InverseDistances::InverseDistances(index_t n_atoms_max) : AtomMatrix("InverseDistances", n_atoms_max, Form::pairs) {}

double InverseDistances::cutoff() const { return std::numeric_limits<double>::infinity(); }

void InverseDistances::elements(const StructureBatch& structures, const PairList& pairs, index_t frame,
                                Elements& out) const {
  inverse_distances(structures, pairs, frame, [](index_t, index_t) { return 1.0; }, out);
}

}  // namespace mercer
