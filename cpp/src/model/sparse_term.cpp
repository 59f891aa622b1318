#include "model/sparse_term.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <limits>

#include "mercer/core/error.hpp"
#include "mercer/core/parallel.hpp"
#include "mercer/kernels/gram.hpp"
#include "mercer/rows/energy_rows.hpp"
#include "model/descriptor_table.hpp"
#include "rows/sparse_side.hpp"

namespace mercer {
namespace {

/// Rows of kernel values held at once.
constexpr index_t block_rows = 1024;
/// Eigenvalues of K_MM below this part of the largest are rounding errors.
constexpr double smallest_eigenvalue = 1e-10;

std::vector<double> last_column(MatView<const double> rows, bool wanted) {
  std::vector<double> column;
  for (index_t i = 0; wanted && i < rows.rows; ++i) column.push_back(rows(i, rows.cols - 1));
  return column;
}

/// With all its parameters: only early files of format 1 had no offset.
std::unique_ptr<Kernel> kernel(const Fields& fields) {
  const std::string name = fields.text("name");
  const auto parameters = fields.named_numbers_except({"name"});
  for (const KernelEntry& entry : kernel_table()) {
    for (const std::string& key : entry.parameters) {
      const bool offset = key == "offset", early = fields.format() == 1 && offset && !fields.has(key);
      if (entry.name != name || early) continue;
      fields.within(key, offset ? 0 : key == "zeta" ? 1e-6 : 1e-20, key == "zeta" ? 1e4 : 1e20);
    }
  }
  return make_kernel(name, parameters);
}

/// How many sparse points were asked for, and how they were chosen.
void check_choice_of_points(const Fields& term) {
  term.choice("selection", {"random", "fps", "cur", "leverage", "pivoted_cholesky"});
  if (term.is_text("n_sparse")) {
    term.choice("n_sparse", {"all"});
  } else if (term.is_object("n_sparse")) {
    const Fields numbers = term.object("n_sparse");
    for (const std::string& element : numbers.keys()) numbers.integer(element, 1);
    if (!term.flag("match_species")) term.wrong("n_sparse", "one number, as match_species is false");
  } else {
    term.integer("n_sparse", 1);
  }
}

}  // namespace

SparseTerm::SparseTerm(ModelFile& file, const Fields& fields, index_t number, bool variance) {
  fields.allow_only({"descriptor", "kernel", "delta", "n_sparse", "selection", "match_species", "n_points",
                     "n_features"});
  kernel_ = kernel(fields.object("kernel"));
  const double delta = fields.within("delta", 1e-120, 1e120);
  variance_ = delta * delta;
  match_species_ = fields.flag("match_species");
  check_choice_of_points(fields);
  // Sizes first: tables of a descriptor take time and memory that grow with them.
  const index_t n_points = fields.integer("n_points", 1), n_features = fields.integer("n_features", 1);
  const std::string prefix = concatenate("terms.", number, ".");
  file.require_shape(prefix + "features", {n_points, n_features});
  file.require_shape(prefix + "species", {n_points});
  file.require_shape(prefix + "weights", {n_points});
  descriptor_ = make_descriptor(fields.object("descriptor"), n_features);
  features_ = file.doubles(prefix + "features", {n_points, n_features});
  const Buffer<index_t> groups = file.integers(prefix + "species", {n_points});
  for (const index_t group : groups.span()) {
    MERCER_REQUIRE(group >= 0 && group <= std::numeric_limits<std::int32_t>::max(), "array ", prefix, "species: ", group,
                   " is neither an element nor a kind of clusters");
    groups_.push_back(static_cast<std::int32_t>(group));
  }
  file.integers(prefix + "origin", {n_points, 2});
  factors_ = last_column(points(), descriptor_->has_factor());
  const Buffer<double> weights = file.doubles(prefix + "weights", {n_points});
  for (const double weight : weights.span()) {
    MERCER_REQUIRE(std::isfinite(variance_ * weight), "array ", prefix, "weights: ", weight, " is too large");
    weights_.push_back(variance_ * weight);
  }
  if (variance && descriptor_->has_factor()) make_inverse_root();
}

void SparseTerm::evaluate(const StructureBatch& structures, const PairList& pairs, Span<double> energies,
                          MatView<double> dE_dpositions, MatView<double> dE_dstrain) const {
  evaluate_term(*kernel_, *descriptor_, structures, pairs, {points(), groups_, match_species_}, weights_, energies,
                dE_dpositions, dE_dstrain);
}

SparseTerm::Rows SparseTerm::rows(const StructureBatch& structures, const PairList& pairs) const {
  Rows found;
  found.layout = descriptor_->rows(structures, pairs);
  found.values = Buffer<double>(found.layout.n_rows() * n_features());
  const MatView<double> X(found.values.data(), found.layout.n_rows(), n_features());
  descriptor_->transform(structures, pairs, X);
  found.factors = last_column(X, descriptor_->has_factor());
  return found;
}

void SparseTerm::covariance(const Rows& rows, index_t begin, index_t end, index_t begin_point, index_t end_point,
                            MatView<double> K) const {
  const index_t n = end - begin, m = end_point - begin_point;
  GramOptions options;
  if (match_species_) {
    options.x_groups = {rows.layout.groups.data() + begin, n};
    options.y_groups = {groups_.data() + begin_point, m};
  }
  if (descriptor_->has_factor()) {
    options.x_factors = {rows.factors.data() + begin, n};
    options.y_factors = {factors_.data() + begin_point, m};
  }
  const index_t width = n_features();
  gram(*kernel_, kernel_view(*descriptor_, {rows.values.data() + begin * width, n, width}),
       kernel_view(*descriptor_, {features_.data() + begin_point * width, m, width}), K, options);
  for (index_t i = 0; i < n; ++i) {
    for (index_t j = 0; j < m; ++j) K(i, j) *= variance_;
  }
}

void SparseTerm::frame_rows(const StructureBatch& structures, const PairList& pairs, MatView<double> K) const {
  LabelRows out;
  out.energy = K;
  label_rows(*kernel_, *descriptor_, structures, pairs, {points(), groups_, match_species_}, out);
  for (index_t f = 0; f < K.rows; ++f) {
    for (index_t m = 0; m < K.cols; ++m) K(f, m) *= variance_;
  }
}

void SparseTerm::atom_rows(const StructureBatch& structures, const PairList& pairs, MatView<double> K) const {
  const Rows found = rows(structures, pairs);
  const index_t n_rows = found.layout.n_rows();
  if (descriptor_->per_atom()) {
    covariance(found, 0, n_rows, 0, n_points(), K);
    return;
  }
  // Rows are shared by atoms: few points at a time, and one after the other.
  constexpr index_t points_at_once = 16;
  const Buffer<double> block(n_rows * points_at_once), column(n_rows), shared(structures.n_atoms());
  for (index_t first = 0; first < n_points(); first += points_at_once) {
    const index_t last = std::min(first + points_at_once, n_points());
    const MatView<double> part(block.data(), n_rows, last - first);
    covariance(found, 0, n_rows, first, last, part);
    for (index_t m = first; m < last; ++m) {
      for (index_t i = 0; i < n_rows; ++i) column[i] = part(i, m - first);
      std::fill_n(shared.data(), shared.size(), 0.0);
      descriptor_->share(structures, pairs, column.span(), shared.span());
      for (index_t i = 0; i < shared.size(); ++i) K(i, m) = shared[i];
    }
  }
}

void SparseTerm::frame_variance(const StructureBatch& structures, const PairList& pairs, Span<double> out) const {
  const Rows found = rows(structures, pairs);
  const index_t width = n_features();
  const MatView<const double> X = kernel_view(*descriptor_, {found.values.data(), found.layout.n_rows(), width});
  if (!descriptor_->has_factor()) {
    const Buffer<double> sums(out.size);
    self_kernel_sums(*kernel_, X, found.layout.offsets, matched(found.layout.groups, match_species_), sums.span());
    for (index_t f = 0; f < out.size; ++f) out[f] += variance_ * sums[f];
    return;
  }
  for (index_t f = 0; f < out.size; ++f) {
    const index_t begin = found.layout.offsets[f], n = found.layout.offsets[f + 1] - begin;
    const auto part = [&](const auto& values, index_t from, index_t count) {
      return Span(values.data() + from, count);
    };
    for (index_t first = begin; first < begin + n; first += block_rows) {
      const index_t count = std::min(block_rows, begin + n - first);
      GramOptions options;
      options.x_factors = part(found.factors, first, count);
      options.y_factors = part(found.factors, begin, n);
      if (match_species_) {
        options.x_groups = part(found.layout.groups, first, count);
        options.y_groups = part(found.layout.groups, begin, n);
      }
      const Buffer<double> K(count * n);
      gram(*kernel_, {X.row(first), count, X.cols, X.stride}, {X.row(begin), n, X.cols, X.stride},
           {K.data(), count, n}, options);
      double sum = 0;
      for (const double value : K.span()) sum += value;
      out[f] += variance_ * sum;
    }
  }
}

void SparseTerm::atom_variance(const StructureBatch& structures, const PairList& pairs, Span<double> out) const {
  if (!descriptor_->has_factor()) {
    const Rows found = rows(structures, pairs);
    const Buffer<double> diagonal(found.layout.n_rows());
    gram_diagonal(*kernel_, {found.values.data(), diagonal.size(), n_features()}, diagonal.span());
    // Rows of atoms, or of frames whose atoms have equal shares.
    std::vector<double> deviations(out.size, 0.0);
    for (double& value : diagonal.span()) value = std::sqrt(value);
    descriptor_->share(structures, pairs, diagonal.span(), deviations);
    for (index_t i = 0; i < out.size; ++i) out[i] += variance_ * deviations[i] * deviations[i];
    return;
  }
  const Buffer<double> K(out.size * n_points());
  atom_rows(structures, pairs, {K.data(), out.size, n_points()});
  using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const Eigen::Map<const RowMajor> R(inverse_root_.data(), n_points(), rank_);
  parallel_chunks(out.size, 256, [&](index_t begin, index_t end) {
    const Eigen::Map<const RowMajor> rows_of_K(K.data() + begin * n_points(), end - begin, n_points());
    const RowMajor half = rows_of_K * R;
    for (index_t i = begin; i < end; ++i) out[i] += half.row(i - begin).squaredNorm();
  });
}

void SparseTerm::make_inverse_root() {
  Rows own;
  own.layout.groups = groups_;
  own.values = Buffer<double>(features_.size());
  std::copy_n(features_.data(), features_.size(), own.values.data());
  own.factors = factors_;
  Eigen::MatrixXd K(n_points(), n_points());
  covariance(own, 0, n_points(), 0, n_points(), {K.data(), n_points(), n_points()});
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(K);
  const Eigen::VectorXd& lambda = solver.eigenvalues();  // ascending
  index_t first = 0;
  while (first < n_points() && !(lambda[first] > smallest_eigenvalue * lambda[n_points() - 1])) ++first;
  rank_ = n_points() - first;
  inverse_root_ = Buffer<double>(n_points() * rank_);
  for (index_t m = 0; m < n_points(); ++m) {
    for (index_t k = 0; k < rank_; ++k) {
      inverse_root_[m * rank_ + k] = solver.eigenvectors()(m, first + k) / std::sqrt(lambda[first + k]);
    }
  }
}

}  // namespace mercer
