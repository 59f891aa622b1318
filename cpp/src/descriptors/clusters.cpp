#include "mercer/descriptors/clusters.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "mercer/core/error.hpp"
#include "mercer/core/parallel.hpp"

namespace mercer {
namespace {

constexpr std::int32_t n_elements = 118;
constexpr index_t chunk_rows = 64;
constexpr index_t most_permuted = 10;  ///< coordinates: the distances of five atoms

/// Whether the elements `kind`, 0 standing for any, can be given to the atoms: the first n_fixed in their places.
bool fits(const std::vector<std::int32_t>& kind, const std::vector<std::int32_t>& atoms, int n_fixed) {
  std::vector<std::int32_t> wanted, left(atoms.begin() + n_fixed, atoms.end());
  for (int k = 0; k < n_fixed; ++k) {
    if (kind[k] != 0 && kind[k] != atoms[k]) return false;
  }
  for (std::size_t k = n_fixed; k < kind.size(); ++k) {
    if (kind[k] == 0) continue;
    const auto found = std::find(left.begin(), left.end(), kind[k]);
    if (found == left.end()) return false;
    left.erase(found);
  }
  return true;
}

void append(ClusterList& to, const ClusterList& from) {
  to.groups.insert(to.groups.end(), from.groups.begin(), from.groups.end());
  to.origins.insert(to.origins.end(), from.origins.begin(), from.origins.end());
  to.atoms.insert(to.atoms.end(), from.atoms.begin(), from.atoms.end());
  to.vectors.insert(to.vectors.end(), from.vectors.begin(), from.vectors.end());
}

/// Every cluster `n` times.
ClusterList repeated(const ClusterList& list, index_t n) {
  ClusterList copies;
  copies.n_entries = list.n_entries;
  for (index_t r = 0; r < list.size(); ++r) {
    for (index_t copy = 0; copy < n; ++copy) {
      copies.groups.push_back(list.groups[r]);
      copies.origins.push_back(list.origins[r]);
      for (index_t e = r * list.n_entries; e < (r + 1) * list.n_entries; ++e) {
        copies.atoms.push_back(list.atoms[e]);
        copies.vectors.push_back(list.vectors[e]);
      }
    }
  }
  return copies;
}

class ClusterContraction final : public GradientContraction {
 public:
  ClusterContraction(const ClusterDescriptor& descriptor, std::shared_ptr<const ClusterList> list,
                     MatView<const double> Q)
      : descriptor_(descriptor), list_(std::move(list)), Q_(Q) {
    entries_.offsets.resize(list_->size() + 1);
    for (index_t r = 0; r <= list_->size(); ++r) entries_.offsets[r] = r * list_->n_entries;
    entries_.origins = list_->origins;
    entries_.atoms = list_->atoms;
    entries_.vectors = list_->vectors;
    entries_.storage = list_;
  }

  const RowEntries& entries() const override { return entries_; }

  struct Rows final : Scratch {
    std::vector<double> row, jacobian;
  };
  std::unique_ptr<Scratch> make_scratch() const override {
    auto scratch = std::make_unique<Rows>();
    scratch->row.resize(descriptor_.n_features());
    scratch->jacobian.resize(3 * list_->n_entries * descriptor_.n_features());
    return scratch;
  }

  void apply(index_t begin, index_t end, Scratch& scratch, double* out, index_t out_stride,
             double* self) const override {
    auto& rows = static_cast<Rows&>(scratch);
    const index_t n = descriptor_.n_features(), n_components = 3 * list_->n_entries;
    for (index_t r = begin; r < end; ++r) {
      descriptor_.evaluate(*list_, r, r + 1, rows.row.data(), rows.jacobian.data());
      for (index_t k = 0; k < n_components; ++k, out += out_stride) {
        const double* derivative = rows.jacobian.data() + k * n;
        for (index_t q = 0; q < Q_.rows; ++q) {
          const double* vector = Q_.row(q);
          double sum = 0;
          for (index_t f = 0; f < n; ++f) sum += derivative[f] * vector[f];
          out[q] = sum;
        }
        if (!self) continue;
        double sum = 0;
        for (index_t f = 0; f < n; ++f) sum += derivative[f] * rows.row[f];
        *self++ = sum;
      }
    }
  }

 private:
  const ClusterDescriptor& descriptor_;
  std::shared_ptr<const ClusterList> list_;
  MatView<const double> Q_;
  RowEntries entries_;
};

}  // namespace

ClusterKinds::ClusterKinds(std::vector<std::vector<std::int32_t>> kinds, int n_fixed) : kinds_(std::move(kinds)) {
  MERCER_REQUIRE(!kinds_.empty(), "clusters: no kinds are given, expected at least one list of atomic numbers");
  order_ = static_cast<int>(kinds_.front().size());
  MERCER_REQUIRE(order_ >= 2 && n_fixed <= order_, "clusters: expected at least two elements in a kind, got ", order_);
  std::vector<std::int32_t> elements{0};  // class 0: in no kind
  bool any = false;
  for (const auto& kind : kinds_) {
    MERCER_REQUIRE(static_cast<int>(kind.size()) == order_, "clusters: kinds of ", order_, " and of ", kind.size(),
                   " elements; expected the same number in all");
    for (const std::int32_t z : kind) {
      MERCER_REQUIRE(z >= 0 && z <= n_elements, "clusters: atomic number ", z, ", expected 1 to ", n_elements,
                     ", or 0 for any element");
      any |= z == 0;
      if (z != 0 && std::find(elements.begin(), elements.end(), z) == elements.end()) elements.push_back(z);
    }
  }
  n_classes_ = static_cast<int>(elements.size());
  class_of_.assign(n_elements + 1, any ? 0 : -1);
  for (int c = 1; c < n_classes_; ++c) class_of_[elements[c]] = c;

  const double size = std::pow(n_classes_, order_);
  MERCER_REQUIRE(size <= 1 << 24, "clusters of ", order_, " atoms out of ", n_classes_ - 1,
                 " elements are too many kinds; use fewer elements in one descriptor");
  table_.assign(static_cast<std::size_t>(size), -1);
  std::vector<std::int32_t> atoms(order_);
  for (std::size_t place = 0; place < table_.size(); ++place) {
    std::size_t rest = place;
    for (int k = 0; k < order_; ++k, rest /= n_classes_) atoms[k] = elements[rest % n_classes_];
    for (std::size_t g = 0; g < kinds_.size() && table_[place] < 0; ++g) {
      if (fits(kinds_[g], atoms, n_fixed)) table_[place] = static_cast<std::int32_t>(g);
    }
  }
}

ClusterDescriptor::ClusterDescriptor(ClusterKinds kinds, double r_cut, index_t n_coordinates, bool shared,
                                     std::vector<double> scales, std::vector<std::vector<int>> permutations)
    : kinds_(std::move(kinds)),
      r_cut_(r_cut),
      n_coordinates_(n_coordinates),
      shared_(shared),
      permutations_(std::move(permutations)) {
  MERCER_REQUIRE(scales.empty() || static_cast<index_t>(scales.size()) == n_coordinates, "clusters: ", scales.size(),
                 " scales for ", n_coordinates, " coordinates");
  for (const double scale : scales) {
    MERCER_REQUIRE(scale > 0 && std::isfinite(scale), "clusters: a scale of ", scale, ", expected a positive number");
    inverse_scales_.push_back(1 / scale);
  }
  MERCER_REQUIRE(permutations_.empty() || n_coordinates <= most_permuted, "clusters: permutations of ", n_coordinates,
                 " coordinates, expected at most ", most_permuted);
  for (const auto& permutation : permutations_) {
    std::vector<int> sorted = permutation;
    std::sort(sorted.begin(), sorted.end());
    bool complete = static_cast<index_t>(sorted.size()) == n_coordinates;
    for (std::size_t d = 0; complete && d < sorted.size(); ++d) complete = sorted[d] == static_cast<int>(d);
    MERCER_REQUIRE(complete, "clusters: a permutation does not hold each of 0 .. ", n_coordinates - 1, " once");
  }
}

ClusterList ClusterDescriptor::clusters(const StructureBatch& structures, const PairList& pairs,
                                        const BatchPart& part) const {
  MERCER_REQUIRE(pairs.n_atoms() == structures.n_atoms(), "clusters: a pair list of ", pairs.n_atoms(), " atoms for ",
                 structures.n_atoms());
  MERCER_REQUIRE(pairs.cutoff >= r_cut_, "clusters: a pair list of cutoff ", pairs.cutoff,
                 ", expected at least r_cut = ", r_cut_);
  const index_t n_atoms = part.end - part.begin, n_chunks = (n_atoms + chunk_rows - 1) / chunk_rows;
  for (const std::int32_t z : structures.numbers) {
    MERCER_REQUIRE(z <= n_elements, "clusters: atomic number ", z, ", expected at most ", n_elements);
  }
  std::vector<ClusterList> found(n_chunks);
  std::vector<index_t> counts(n_atoms);
  parallel_for(n_chunks, [&](index_t chunk) {
    ClusterList& some = found[chunk];
    some.n_entries = order() - 1;
    for (index_t i = chunk * chunk_rows; i < std::min(n_atoms, (chunk + 1) * chunk_rows); ++i) {
      const index_t before = some.size();
      find(structures, pairs, part.begin + i, some);
      counts[i] = (some.size() - before) * n_copies();
    }
    if (n_copies() > 1) some = repeated(some, n_copies());
  });
  ClusterList list;
  if (n_chunks == 1) {
    list = std::move(found[0]);
  } else {
    list.n_entries = order() - 1;
    std::size_t total = 0;
    for (const ClusterList& some : found) total += some.groups.size();
    list.groups.reserve(total);
    list.origins.reserve(total);
    list.atoms.reserve(total * list.n_entries);
    list.vectors.reserve(total * list.n_entries);
    for (ClusterList& some : found) {
      append(list, some);
      some = {};
    }
  }
  list.offsets.push_back(0);
  for (index_t f = part.first_frame; f < part.last_frame; ++f) {
    index_t sum = list.offsets.back();
    for (index_t i = std::max(part.begin, structures.offsets[f]); i < std::min(part.end, structures.offsets[f + 1]); ++i) {
      sum += counts[i - part.begin];
    }
    list.offsets.push_back(sum);
  }
  return list;
}

void ClusterDescriptor::evaluate(const ClusterList& list, index_t begin, index_t end, double* out,
                                 double* jacobian) const {
  measure(list, begin, end, out, jacobian);
  const index_t n = n_features(), n_components = 3 * list.n_entries;
  if (!inverse_scales_.empty()) {
    const auto scale = [&](double* rows, index_t n_rows) {
      for (index_t r = 0; r < n_rows; ++r, rows += n) {
        for (index_t d = 0; d < n_coordinates_; ++d) rows[d] *= inverse_scales_[d];
      }
    };
    scale(out, end - begin);
    if (jacobian) scale(jacobian, (end - begin) * n_components);
  }
  if (permutations_.empty()) return;
  for (index_t r = begin; r < end; ++r) {
    permute(permutations_[r % n_copies()], out + (r - begin) * n,
            jacobian ? jacobian + (r - begin) * n_components * n : nullptr, n_components);
  }
}

void ClusterDescriptor::permute(const std::vector<int>& permutation, double* row, double* jacobian,
                                index_t n_components) const {
  const index_t D = n_coordinates_;
  std::array<double, most_permuted> x, slope{}, difference;  // slope: d kappa / dx
  std::copy_n(row, D, x.begin());
  double kappa = 0;
  for (const auto& pi : permutations_) {
    double square = 0;
    for (index_t d = 0; d < D; ++d) {
      difference[d] = x[pi[d]] - x[d];
      square += difference[d] * difference[d];
    }
    const double value = std::exp(-0.5 * square);
    kappa += value;
    for (index_t d = 0; d < D; ++d) {
      slope[pi[d]] -= value * difference[d];
      slope[d] += value * difference[d];
    }
  }
  const double norm = 1 / std::sqrt(static_cast<double>(permutations_.size()) * kappa), factor = norm * row[D];
  for (index_t d = 0; d < D; ++d) row[d] = x[permutation[d]];
  row[D] = factor;
  if (!jacobian) return;
  std::array<double, most_permuted> dx;
  for (index_t k = 0; k < n_components; ++k, jacobian += D + 1) {
    std::copy_n(jacobian, D, dx.begin());
    double d_kappa = 0;
    for (index_t d = 0; d < D; ++d) {
      d_kappa += slope[d] * dx[d];
      jacobian[d] = dx[permutation[d]];
    }
    jacobian[D] = norm * jacobian[D] - 0.5 * factor * d_kappa / kappa;
  }
}

/// The clusters of a part of a batch, found once.
class BoundClusters final : public BoundDescriptor {
 public:
  BoundClusters(const ClusterDescriptor& descriptor, const StructureBatch& structures, const PairList& pairs,
                const BatchPart& part)
      : descriptor_(descriptor),
        part_(part),
        list_(std::make_shared<const ClusterList>(descriptor.clusters(structures, pairs, part))) {
    layout_ = {list_->offsets, list_->groups};
  }

  void transform(MatView<double> out) const override {
    require_shape("out", out.rows, out.cols, out.stride);
    const auto body = [&](int, index_t chunk) {
      const index_t begin = chunk * chunk_rows;
      descriptor_.evaluate(*list_, begin, std::min(list_->size(), begin + chunk_rows), out.row(begin), nullptr);
    };
    parallel_tasks(n_chunks(), work(1), [] { return 0; }, body);
  }

  void share(Span<const double> row_energies, Span<double> atom_energies) const override {
    MERCER_REQUIRE(row_energies.size == list_->size(), "clusters: ", row_energies.size, " energies for ", list_->size(),
                   " rows");
    const double part = descriptor_.shared_ ? 1.0 / static_cast<double>(descriptor_.order()) : 1.0;
    for (index_t r = 0; r < list_->size(); ++r) {
      const double energy = part * row_energies[r];
      atom_energies[list_->origins[r]] += energy;
      if (!descriptor_.shared_) continue;
      for (index_t e = 0; e < list_->n_entries; ++e) atom_energies[list_->atoms[r * list_->n_entries + e]] += energy;
    }
  }

  std::unique_ptr<GradientContraction> contraction(MatView<const double> Q) const override {
    MERCER_REQUIRE(Q.cols == descriptor_.n_features(), "clusters: Q has ", Q.cols, " columns, expected ",
                   descriptor_.n_features());
    return std::make_unique<ClusterContraction>(descriptor_, list_, Q);
  }

  void add_vjp(MatView<const double> dY_dX, MatView<double> dY_dpositions, MatView<double> dY_dstrain) const override {
    require_shape("dY_dX", dY_dX.rows, dY_dX.cols, dY_dX.cols);
    const ClusterList& list = *list_;
    const index_t n = descriptor_.n_features(), n_components = 3 * list.n_entries;
    const Buffer<Vec3> gradients(list.size() * list.n_entries);
    struct Scratch {
      std::vector<double> rows, jacobian;
    };
    const auto make_scratch = [&] {
      return Scratch{std::vector<double>(chunk_rows * n), std::vector<double>(chunk_rows * n_components * n)};
    };
    parallel_tasks(n_chunks(), work(n_components), make_scratch, [&](Scratch& scratch, index_t chunk) {
      const index_t begin = chunk * chunk_rows, end = std::min(list.size(), begin + chunk_rows);
      descriptor_.evaluate(list, begin, end, scratch.rows.data(), scratch.jacobian.data());
      const double* derivative = scratch.jacobian.data();
      for (index_t r = begin; r < end; ++r) {
        const double* g = dY_dX.row(r);
        for (index_t k = 0; k < n_components; ++k, derivative += n) {
          double sum = 0;
          for (index_t f = 0; f < n; ++f) sum += derivative[f] * g[f];
          gradients[r * list.n_entries + k / 3][k % 3] = sum;
        }
      }
    });
    const index_t n_frames = part_.last_frame - part_.first_frame;
    parallel_tasks(n_frames, 10.0 * gradients.size(), [] { return 0; }, [&](int, index_t f) {
      double* strain = dY_dstrain.row(part_.first_frame + f);
      for (index_t r = list.offsets[f]; r < list.offsets[f + 1]; ++r) {
        double* origin = dY_dpositions.row(list.origins[r]);
        for (index_t e = r * list.n_entries; e < (r + 1) * list.n_entries; ++e) {
          double* atom = dY_dpositions.row(list.atoms[e]);
          for (int a = 0; a < 3; ++a) {
            origin[a] -= gradients[e][a];
            atom[a] += gradients[e][a];
            for (int b = 0; b < 3; ++b) strain[3 * a + b] += gradients[e][a] * list.vectors[e][b];
          }
        }
      }
    });
  }

 private:
  index_t n_chunks() const { return (list_->size() + chunk_rows - 1) / chunk_rows; }
  /// Of the rows with so many values each for a feature, in multiplications.
  double work(index_t n_values) const {
    constexpr double square_roots_and_cutoffs = 50;
    return static_cast<double>(list_->size()) *
           (square_roots_and_cutoffs + 4.0 * static_cast<double>(n_values * descriptor_.n_features()));
  }
  void require_shape(const char* name, index_t rows, index_t cols, index_t stride) const {
    const index_t n = descriptor_.n_features();
    MERCER_REQUIRE(rows == list_->size() && cols == n && stride == n, "clusters: ", name, " has shape (", rows, ", ",
                   cols, "), expected (", list_->size(), ", ", n, ")");
  }

  const ClusterDescriptor& descriptor_;
  BatchPart part_;
  std::shared_ptr<const ClusterList> list_;
};

std::unique_ptr<BoundDescriptor> ClusterDescriptor::bind(const StructureBatch& structures, const PairList& pairs,
                                                         const BatchPart& part) const {
  return std::make_unique<BoundClusters>(*this, structures, pairs, part);
}

/// As if every choice of neighbours were a cluster.
index_t ClusterDescriptor::estimate_rows(const PairList& pairs, index_t begin, index_t end) const {
  double sum = 0;
  for (index_t i = begin; i < end; ++i) {
    double choices = 1;
    const auto n = static_cast<double>(std::count_if(pairs.distances.data() + pairs.offsets[i],
                                                     pairs.distances.data() + pairs.offsets[i + 1],
                                                     [&](double distance) { return distance < r_cut_; }));
    for (int k = 0; k < order() - 1; ++k) choices *= std::max(0.0, n - k) / (k + 1);
    sum += choices * static_cast<double>(n_copies());
  }
  return static_cast<index_t>(std::min(sum, 1e15));
}

RowLayout ClusterDescriptor::rows(const StructureBatch& structures, const PairList& pairs) const {
  return bind(structures, pairs, BatchPart::all(structures))->layout();
}

void ClusterDescriptor::transform(const StructureBatch& structures, const PairList& pairs, MatView<double> out) const {
  bind(structures, pairs, BatchPart::all(structures))->transform(out);
}

void ClusterDescriptor::share(const StructureBatch& structures, const PairList& pairs, Span<const double> row_energies,
                              Span<double> atom_energies) const {
  bind(structures, pairs, BatchPart::all(structures))->share(row_energies, atom_energies);
}

std::unique_ptr<GradientContraction> ClusterDescriptor::contraction(const StructureBatch& structures,
                                                                    const PairList& pairs,
                                                                    MatView<const double> Q) const {
  return bind(structures, pairs, BatchPart::all(structures))->contraction(Q);
}

void ClusterDescriptor::vjp(const StructureBatch& structures, const PairList& pairs, MatView<const double> dY_dX,
                            MatView<double> dY_dpositions, MatView<double> dY_dstrain) const {
  fill(dY_dpositions, 0.0);
  fill(dY_dstrain, 0.0);
  bind(structures, pairs, BatchPart::all(structures))->add_vjp(dY_dX, dY_dpositions, dY_dstrain);
}

}  // namespace mercer
