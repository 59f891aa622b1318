/// Rows of K and fitted terms against sums written out, and their gradients against differences, with descriptors simple
/// enough to be checked by eye: rows per atom or per pair, with and without a factor.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <random>

#include "mercer/core/parallel.hpp"
#include "mercer/density/density.hpp"
#include "mercer/kernels/kernel.hpp"
#include "mercer/rows/label_rows.hpp"

using namespace mercer;

namespace {

constexpr double r_cut = 3.0;
constexpr int n_kernel_features = 3;

double phi(int k, double r) { return std::pow(1 - r / r_cut, 3) * (1 + std::cos((k + 1) * r)); }
double dphi(int k, double r) {
  const double x = 1 - r / r_cut;
  return -3 / r_cut * x * x * (1 + std::cos((k + 1) * r)) - x * x * x * (k + 1) * std::sin((k + 1) * r);
}

/// Features phi_k(r) of pairs, or 1/2 + their sums over the neighbours of an atom.
class Toy final : public Descriptor {
 public:
  Toy(bool clusters, bool factor) : clusters_(clusters), factor_(factor) {}
  double cutoff() const override { return r_cut; }
  index_t n_features() const override { return n_kernel_features + (factor_ ? 1 : 0); }
  bool per_atom() const override { return !clusters_; }
  bool has_factor() const override { return factor_; }

  void transform(const StructureBatch& structures, const PairList& pairs, MatView<double> out) const override {
    REQUIRE(out.rows == rows(structures, pairs).n_rows());
    for (index_t i = 0; i < out.rows; ++i) {
      for (index_t k = 0; k < out.cols; ++k) out(i, k) = clusters_ ? 0.0 : 0.5;
    }
    for_pairs(pairs, [&](index_t i, index_t p) {
      for (index_t k = 0; k < out.cols; ++k) out(clusters_ ? p : i, k) += phi(k, pairs.distances[p]);
    });
  }

  RowLayout rows(const StructureBatch& structures, const PairList& pairs) const override {
    if (!clusters_) return Descriptor::rows(structures, pairs);
    RowLayout layout;
    for (index_t atom : structures.offsets) layout.offsets.push_back(pairs.offsets[atom]);
    for_pairs(pairs, [&](index_t i, index_t p) {
      layout.groups.push_back(structures.numbers[i] + structures.numbers[pairs.neighbors[p]]);
    });
    return layout;
  }

  void share(const StructureBatch& structures, const PairList& pairs, Span<const double> row_energies,
             Span<double> atom_energies) const override {
    if (!clusters_) return Descriptor::share(structures, pairs, row_energies, atom_energies);
    for_pairs(pairs, [&](index_t i, index_t p) {
      atom_energies[i] += 0.5 * row_energies[p];
      atom_energies[pairs.neighbors[p]] += 0.5 * row_energies[p];
    });
  }

  std::unique_ptr<GradientContraction> contraction(const StructureBatch&, const PairList& pairs,
                                                   MatView<const double> Q) const override;

  void vjp(const StructureBatch& structures, const PairList& pairs, MatView<const double> dY_dX,
           MatView<double> dY_dpositions, MatView<double> dY_dstrain) const override {
    std::vector<Vec3> g(pairs.n_pairs());
    for_pairs(pairs, [&](index_t i, index_t p) {
      for (int a = 0; a < 3; ++a) {
        g[p][a] = 0;
        for (index_t k = 0; k < dY_dX.cols; ++k) g[p][a] += dY_dX(clusters_ ? p : i, k) * derivative(pairs, p, a, k);
      }
    });
    fill(dY_dpositions, 0.0);
    fill(dY_dstrain, 0.0);
    scatter_pair_gradients(structures, pairs, 0, structures.n_atoms(), g, dY_dpositions, dY_dstrain);
  }

  template <class Body>
  static void for_pairs(const PairList& pairs, const Body& body) {
    for (index_t i = 0; i < pairs.n_atoms(); ++i) {
      for (index_t p = pairs.offsets[i]; p < pairs.offsets[i + 1]; ++p) body(i, p);
    }
  }

  static double derivative(const PairList& pairs, index_t p, int a, int k) {
    return dphi(k, pairs.distances[p]) * pairs.vectors[p][a] / pairs.distances[p];
  }

 private:
  bool clusters_, factor_;
};

class ToyContraction final : public GradientContraction {
 public:
  ToyContraction(const PairList& pairs, MatView<const double> Q, bool clusters)
      : pairs_(pairs), Q_(Q), sums_(pairs.n_pairs() * Q.cols) {
    std::fill(sums_.begin(), sums_.end(), 0.0);
    entries_.offsets = {0};
    Toy::for_pairs(pairs, [&](index_t i, index_t p) {
      if (clusters) {
        entries_.offsets.push_back(p + 1);
        entries_.origins.push_back(static_cast<std::int32_t>(i));
      }
      for (index_t k = 0; k < Q.cols; ++k) {
        if (clusters) sums_[p * Q.cols + k] = phi(k, pairs.distances[p]);
      }
    });
    for (index_t i = 0; !clusters && i < pairs.n_atoms(); ++i) {
      entries_.offsets.push_back(pairs.offsets[i + 1]);
      entries_.origins.push_back(static_cast<std::int32_t>(i));
      for (index_t k = 0; k < Q.cols; ++k) {
        sums_[i * Q.cols + k] = 0.5;
        for (index_t p = pairs.offsets[i]; p < pairs.offsets[i + 1]; ++p) {
          sums_[i * Q.cols + k] += phi(k, pairs.distances[p]);
        }
      }
    }
    entries_.atoms = {pairs.neighbors.data(), pairs.n_pairs()};
    entries_.vectors = {pairs.vectors.data(), pairs.n_pairs()};
  }
  const RowEntries& entries() const override { return entries_; }
  std::unique_ptr<Scratch> make_scratch() const override { return std::make_unique<Scratch>(); }
  void apply(index_t begin, index_t end, Scratch&, double* out, index_t stride, double* self) const override {
    const index_t first = entries_.offsets[begin];
    for (index_t row = begin; row < end; ++row) {
      for (index_t p = entries_.offsets[row]; p < entries_.offsets[row + 1]; ++p) {
        for (int a = 0; a < 3; ++a) {
          const index_t place = 3 * (p - first) + a;
          for (index_t q = 0; q < Q_.rows; ++q) out[place * stride + q] = 0;
          if (self) self[place] = 0;
          for (index_t k = 0; k < Q_.cols; ++k) {
            const double d = Toy::derivative(pairs_, p, a, k);
            for (index_t q = 0; q < Q_.rows; ++q) out[place * stride + q] += d * Q_(q, k);
            if (self) self[place] += d * sums_[row * Q_.cols + k];
          }
        }
      }
    }
  }

 private:
  const PairList& pairs_;
  MatView<const double> Q_;
  std::vector<double> sums_;
  RowEntries entries_;
};

std::unique_ptr<GradientContraction> Toy::contraction(const StructureBatch&, const PairList& pairs,
                                                      MatView<const double> Q) const {
  return std::make_unique<ToyContraction>(pairs, Q, clusters_);
}

/// Frames of different sizes (one empty) in small triclinic cells of all kinds of periodicity.
StructureBatch structures() {
  std::mt19937_64 random(3);
  std::uniform_real_distribution<double> uniform(0, 1);
  StructureBatch batch;
  const int sizes[] = {3, 0, 1, 50, 2, 40};
  for (int f = 0; f < 6; ++f) {
    std::vector<double> positions;
    std::vector<std::int32_t> numbers;
    for (int i = 0; i < sizes[f]; ++i) {
      positions.insert(positions.end(), {1.6 * i + 0.5 * uniform(random), uniform(random), uniform(random)});
      numbers.push_back(1 + static_cast<int>(random() % 2));
    }
    const Mat3 cell{{{1.6 * std::max(1, sizes[f]), 0, 0}, {0.4, 2.3, 0}, {0.2, 0.3, 2.6}}};
    batch.append({positions.data(), sizes[f], 3}, numbers, cell, {f != 4, f % 2 == 1, f == 5});
  }
  return batch;
}

struct Points {
  std::vector<double> values;
  std::vector<std::int32_t> groups;
  SparseRows rows;
};

/// Near actual rows, groups in disorder, one of them (9) without rows.
Points points(const Descriptor& descriptor, index_t n) {
  std::mt19937_64 random(11);
  std::uniform_real_distribution<double> uniform(0, 1);
  Points p;
  for (index_t m = 0; m < n; ++m) {
    for (index_t k = 0; k < descriptor.n_features(); ++k) p.values.push_back(0.3 + uniform(random));
    const std::int32_t groups[] = {2, 1, 9, 3, 4};
    p.groups.push_back(groups[random() % 5]);
  }
  p.rows = {{p.values.data(), n, descriptor.n_features()}, p.groups, true};
  return p;
}

double kernel_value(const Kernel& kernel, const double* x, const double* y) {
  double u = 0;
  for (int k = 0; k < n_kernel_features; ++k) {
    u += kernel.argument() == KernelArgument::dot ? x[k] * y[k] : (x[k] - y[k]) * (x[k] - y[k]);
  }
  kernel.value(&u, 1);
  return u;
}

/// Energies of all atoms for every sparse point, by the definition: (n_atoms, M).
std::vector<double> atom_rows(const Kernel& kernel, const Descriptor& descriptor, const StructureBatch& batch,
                              const SparseRows& sparse) {
  const auto pairs = build_pair_list(batch, r_cut);
  const auto layout = descriptor.rows(batch, pairs);
  const index_t n = layout.n_rows(), n_features = descriptor.n_features(), m = sparse.features.rows;
  std::vector<double> X(n * n_features), result(batch.n_atoms() * m), energies(batch.n_atoms()), column(n);
  descriptor.transform(batch, pairs, {X.data(), n, n_features});
  for (index_t j = 0; j < m; ++j) {
    const double* y = sparse.features.row(j);
    for (index_t i = 0; i < n; ++i) {
      const double* x = X.data() + i * n_features;
      column[i] = !sparse.match_groups || layout.groups[i] == sparse.groups[j] ? kernel_value(kernel, x, y) : 0.0;
      if (descriptor.has_factor()) column[i] *= x[n_features - 1] * y[n_features - 1];
    }
    std::fill(energies.begin(), energies.end(), 0.0);
    descriptor.share(batch, pairs, column, energies);
    for (index_t i = 0; i < batch.n_atoms(); ++i) result[i * m + j] = energies[i];
  }
  return result;
}

std::vector<double> frame_sums(const StructureBatch& batch, const std::vector<double>& rows, index_t m) {
  std::vector<double> sums(batch.n_frames() * m, 0.0);
  for (index_t i = 0; i < batch.n_atoms(); ++i) {
    for (index_t j = 0; j < m; ++j) sums[batch.frame_of(i) * m + j] += rows[i * m + j];
  }
  return sums;
}

struct Rows {
  std::vector<double> energy, forces, virial;
};

Rows rows_of(const Kernel& kernel, const Descriptor& descriptor, const StructureBatch& batch,
             const SparseRows& sparse) {
  const auto pairs = build_pair_list(batch, r_cut);
  const index_t m = sparse.features.rows;
  const double nan = std::nan("");
  Rows rows{std::vector<double>(batch.n_frames() * m, nan), std::vector<double>(3 * batch.n_atoms() * m, nan),
            std::vector<double>(9 * batch.n_frames() * m, nan)};
  label_rows(kernel, descriptor, batch, pairs, sparse,
             {{rows.energy.data(), batch.n_frames(), m},
              {rows.forces.data(), 3 * batch.n_atoms(), m},
              {rows.virial.data(), 9 * batch.n_frames(), m}});
  return rows;
}

void check_close(const std::vector<double>& a, const std::vector<double>& b, double tolerance) {
  REQUIRE(a.size() == b.size());
  double scale = 0, error = 0;
  bool finite = true;
  for (std::size_t i = 0; i < a.size(); ++i) {
    finite = finite && std::isfinite(a[i]) && std::isfinite(b[i]);
    scale = std::max(scale, std::abs(b[i]));
    error = std::max(error, std::abs(a[i] - b[i]));
  }
  CHECK(finite);
  CHECK(scale > 1e-5);
  CHECK(error <= tolerance * scale);
}

/// Fourth-order central difference of rows with respect to a change of the structures.
std::vector<double> difference(const std::function<std::vector<double>(double)>& rows, double h = 1e-3) {
  const auto a = rows(-2 * h), b = rows(-h), c = rows(h), d = rows(2 * h);
  std::vector<double> result(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) result[i] = (8 * (c[i] - b[i]) - (d[i] - a[i])) / (12 * h);
  return result;
}

StructureBatch strained(StructureBatch batch, int a, int b, double h) {
  for (Vec3& r : batch.positions) r[a] += h * r[b];
  for (Mat3& cell : batch.cells) {
    for (Vec3& r : cell) r[a] += h * r[b];
  }
  return batch;
}

std::vector<std::pair<std::string, KernelParameters>> kernels() {
  return {{"linear", {}},
          {"polynomial", {{"zeta", 1}}},
          {"polynomial", {{"zeta", 4}}},
          {"polynomial", {{"zeta", 2.5}}},
          {"gaussian", {{"length_scale", 0.7}}},
          {"matern", {{"nu", 1.5}, {"length_scale", 0.7}}},
          {"matern", {{"nu", 2.5}, {"length_scale", 0.7}}},
          {"rational_quadratic", {{"alpha", 1.5}, {"length_scale", 0.7}}}};
}

}  // namespace

TEST_CASE("rows of K are sums of kernel values and their derivatives") {
  const auto batch = structures();
  for (bool clusters : {false, true}) {
    for (bool factor : {false, true}) {
      const Toy toy(clusters, factor);
      for (const auto& kernel_case : kernels()) {
        const std::string& name = kernel_case.first;  // a name of its own, which CAPTURE can take into a lambda
        CAPTURE(name);
        CAPTURE(clusters);
        CAPTURE(factor);
        const auto kernel = make_kernel(name, kernel_case.second);
        auto sparse = points(toy, 70);  // more than one block
        for (bool match : {true, false}) {
          sparse.rows.match_groups = match;
          const auto energy = [&](const StructureBatch& moved) {
            return frame_sums(moved, atom_rows(*kernel, toy, moved, sparse.rows), 70);
          };
          const Rows rows = rows_of(*kernel, toy, batch, sparse.rows);
          check_close(rows.energy, energy(batch), 1e-13);
          for (index_t atom : {0, 10, 55}) {  // of frames of 3, 50 and 2 atoms
            const int a = static_cast<int>(atom) % 3;
            const auto moved = [&](double h) {
              StructureBatch copy = batch;
              copy.positions[atom][a] -= h;
              return energy(copy);
            };
            std::vector<double> numeric(70, 0.0), row(rows.forces.begin() + (3 * atom + a) * 70,
                                                      rows.forces.begin() + (3 * atom + a + 1) * 70);
            const auto all = difference(moved);
            for (std::size_t i = 0; i < all.size(); ++i) numeric[i % 70] += all[i];
            check_close(row, numeric, 1e-8);
          }
          for (const auto& component : std::vector<std::pair<int, int>>{{0, 0}, {0, 2}, {1, 0}}) {
            const int a = component.first, b = component.second;
            const auto numeric = difference([&](double h) { return energy(strained(batch, a, b, -h)); });
            std::vector<double> analytic;
            for (index_t f = 0; f < batch.n_frames(); ++f) {
              const auto begin = rows.virial.begin() + (9 * f + 3 * a + b) * 70;
              analytic.insert(analytic.end(), begin, begin + 70);
            }
            check_close(analytic, numeric, 1e-8);
          }
        }
      }
    }
  }
}

TEST_CASE("a fitted term is the rows of K times the weights") {
  const auto batch = structures();
  const auto pairs = build_pair_list(batch, r_cut);
  constexpr index_t m = 700;  // more than a tile, and than a block
  std::vector<double> weights(m);
  for (index_t j = 0; j < m; ++j) weights[j] = std::sin(j + 1.0);
  for (bool clusters : {false, true}) {
    for (bool factor : {false, true}) {
      const Toy toy(clusters, factor);
      auto sparse = points(toy, m);
      for (const auto& kernel_case :
           {std::pair<std::string, KernelParameters>{"polynomial", {{"zeta", 4}}}, {"matern", {{"nu", 2.5}, {"length_scale", 0.7}}}}) {
        const std::string& name = kernel_case.first;
        CAPTURE(name);
        CAPTURE(clusters);
        CAPTURE(factor);
        const auto kernel = make_kernel(name, kernel_case.second);
        for (bool match : {true, false}) {
          sparse.rows.match_groups = match;
          const auto atoms = atom_rows(*kernel, toy, batch, sparse.rows);
          const Rows rows = rows_of(*kernel, toy, batch, sparse.rows);
          const auto times_weights = [&](const std::vector<double>& matrix, double sign) {
            std::vector<double> result(matrix.size() / m, 1.0);  // 1: what was there before
            for (std::size_t i = 0; i < matrix.size(); ++i) result[i / m] += sign * matrix[i] * weights[i % m];
            return result;
          };
          std::vector<double> energies(batch.n_atoms(), 1.0), alone = energies, positions(3 * batch.n_atoms(), 1.0),
                              strain(9 * batch.n_frames(), 1.0);
          evaluate_term(*kernel, toy, batch, pairs, sparse.rows, weights, energies,
                        {positions.data(), batch.n_atoms(), 3}, {strain.data(), batch.n_frames(), 9});
          check_close(energies, times_weights(atoms, 1), 1e-12);
          check_close(positions, times_weights(rows.forces, -1), 1e-10);
          check_close(strain, times_weights(rows.virial, -1), 1e-10);
          evaluate_term(*kernel, toy, batch, pairs, sparse.rows, weights, alone, {}, {});
          check_close(alone, energies, 1e-13);
        }
      }
    }
  }
}

TEST_CASE("neither threads nor the views that are asked for change a bit") {
  const auto batch = structures();
  const auto pairs = build_pair_list(batch, r_cut);
  const Toy toy(false, true);
  const auto sparse = points(toy, 300);
  const auto kernel = make_kernel("gaussian", {{"length_scale", 0.7}});
  const std::vector<double> weights(300, 0.5);
  const auto results = [&] {
    const Rows rows = rows_of(*kernel, toy, batch, sparse.rows);
    std::vector<double> all(rows.energy), positions(3 * batch.n_atoms()), strain(9 * batch.n_frames());
    all.insert(all.end(), rows.forces.begin(), rows.forces.end());
    all.insert(all.end(), rows.virial.begin(), rows.virial.end());
    std::vector<double> energies(batch.n_atoms());
    evaluate_term(*kernel, toy, batch, pairs, sparse.rows, weights, energies, {positions.data(), batch.n_atoms(), 3},
                  {strain.data(), batch.n_frames(), 9});
    for (const auto& part : {energies, positions, strain}) all.insert(all.end(), part.begin(), part.end());
    return all;
  };
  set_num_threads(1);
  const auto one = results();
  for (int n : {2, 3}) {
    set_num_threads(n);
    const auto other = results();
    CHECK(std::memcmp(one.data(), other.data(), sizeof(double) * one.size()) == 0);
  }
  set_num_threads(0);
  const Rows rows = rows_of(*kernel, toy, batch, sparse.rows);
  std::vector<double> forces(rows.forces.size()), virial(rows.virial.size());
  label_rows(*kernel, toy, batch, pairs, sparse.rows, {{}, {forces.data(), 3 * batch.n_atoms(), 300}, {}});
  label_rows(*kernel, toy, batch, pairs, sparse.rows, {{}, {}, {virial.data(), 9 * batch.n_frames(), 300}});
  CHECK(forces == rows.forces);
  CHECK(virial == rows.virial);
}

TEST_CASE("what cannot be is refused") {
  const auto batch = structures();
  const auto pairs = build_pair_list(batch, r_cut);
  const Toy toy(false, false);
  auto sparse = points(toy, 3);
  std::vector<double> weights(3), energies(batch.n_atoms()), positions(3 * batch.n_atoms()), forces(9 * batch.n_atoms());
  const MatView<double> gradient(positions.data(), batch.n_atoms(), 3);
  const LabelRows out{{}, {forces.data(), 3 * batch.n_atoms(), 3}, {}};
  const auto evaluate = [&](const Kernel& kernel, const SparseRows& rows, Span<const double> w, MatView<double> dr) {
    evaluate_term(kernel, toy, batch, pairs, rows, w, energies, dr, {});
  };
  const auto linear = make_kernel("linear", {});
  for (const auto& [name, parameters] :
       {std::pair<std::string, KernelParameters>{"laplacian", {{"length_scale", 1}}},
        {"matern", {{"nu", 0.5}, {"length_scale", 1}}},
        {"polynomial", {{"zeta", 0.5}}}}) {
    const auto kernel = make_kernel(name, parameters);
    CHECK_THROWS_AS(evaluate(*kernel, sparse.rows, weights, gradient), std::invalid_argument);
    CHECK_THROWS_AS(label_rows(*kernel, toy, batch, pairs, sparse.rows, out), std::invalid_argument);
    CHECK_NOTHROW(evaluate(*kernel, sparse.rows, weights, {}));
  }
  CHECK_THROWS_AS(evaluate(*linear, sparse.rows, {weights.data(), 2}, {}), std::invalid_argument);
  CHECK_THROWS_AS(evaluate(*linear, sparse.rows, weights, {positions.data(), batch.n_atoms(), 2}),
                  std::invalid_argument);
  SparseRows wrong = sparse.rows;
  wrong.features.cols = 2;
  CHECK_THROWS_AS(evaluate(*linear, wrong, weights, {}), std::invalid_argument);
  wrong = sparse.rows;
  wrong.groups.size = 2;
  CHECK_THROWS_AS(evaluate(*linear, wrong, weights, {}), std::invalid_argument);
  CHECK_THROWS_AS(label_rows(*linear, toy, batch, pairs, wrong, out), std::invalid_argument);
  CHECK_THROWS_AS(label_rows(*linear, toy, batch, pairs, sparse.rows, {out.forces, {}, {}}), std::invalid_argument);
}
