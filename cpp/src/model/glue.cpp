#include "model/glue.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <vector>

#include "mercer/core/error.hpp"
#include "mercer/core/memory.hpp"
#include "mercer/core/parallel.hpp"

namespace mercer {
namespace {

struct Value {
  double value, slope;
};

/// A cubic spline through knots, straight lines beyond them; or p (x_last - x)^3, zero beyond the last knot.
class Table {
 public:
  explicit Table(const Fields& fields) : x_(fields.numbers("x")), y_(fields.numbers("y")) {
    fields.allow_only({"species", "x", "y", "slope_first", "slope_last", "spline"});
    bool rising = x_.size() >= 2 && x_.size() == y_.size();
    for (std::size_t k = 1; rising && k < x_.size(); ++k) rising = x_[k] > x_[k - 1];
    MERCER_REQUIRE(rising, fields.where(), ": ", x_.size(), " knots and ", y_.size(), " values, expected rising knots");
    if (fields.flag("spline")) {
      const auto slope = [&](const char* key) {
        return fields.has(key) ? std::optional<double>(fields.number(key)) : std::nullopt;
      };
      find_slopes(slope("slope_first"), slope("slope_last"));
      return;
    }
    double above = 0, below = 0;  // the p of least squares
    for (std::size_t k = 0; k < x_.size(); ++k) {
      const double d = end() - x_[k], cube = d * d * d;
      above += y_[k] * cube;
      below += cube * cube;
    }
    cubic_ = above / below;
  }

  double end() const { return x_.back(); }

  Value operator()(double x) const {
    if (slopes_.empty()) {
      const double rest = std::max(end() - x, 0.0);
      return {cubic_ * rest * rest * rest, -3 * cubic_ * rest * rest};
    }
    if (x <= x_.front()) return {y_.front() + slopes_.front() * (x - x_.front()), slopes_.front()};
    if (x >= end()) return {y_.back() + slopes_.back() * (x - end()), slopes_.back()};
    const auto k = static_cast<std::size_t>(std::upper_bound(x_.begin(), x_.end(), x) - x_.begin()) - 1;
    const double h = x_[k + 1] - x_[k], t = x - x_[k], rise = (y_[k + 1] - y_[k]) / h;
    const double c = (3 * rise - 2 * slopes_[k] - slopes_[k + 1]) / h;
    const double d = (slopes_[k] + slopes_[k + 1] - 2 * rise) / (h * h);
    return {y_[k] + t * (slopes_[k] + t * (c + t * d)), slopes_[k] + t * (2 * c + t * 3 * d)};
  }

 private:
  /// Slopes at the knots that make second derivatives continuous: a tridiagonal system. Without a slope given, the
  /// second derivative is zero at that end.
  void find_slopes(std::optional<double> first, std::optional<double> last) {
    const std::size_t n = x_.size();
    std::vector<double> lower(n, 0.0), diagonal(n, 1.0), upper(n, 0.0);
    slopes_.assign(n, 0.0);
    const auto h = [&](std::size_t k) { return x_[k + 1] - x_[k]; };
    const auto rise = [&](std::size_t k) { return (y_[k + 1] - y_[k]) / h(k); };
    for (std::size_t k = 1; k + 1 < n; ++k) {
      lower[k] = h(k);
      diagonal[k] = 2 * (h(k - 1) + h(k));
      upper[k] = h(k - 1);
      slopes_[k] = 3 * (h(k) * rise(k - 1) + h(k - 1) * rise(k));
    }
    diagonal[0] = first ? 1 : 2;
    upper[0] = first ? 0 : 1;
    slopes_[0] = first ? *first : 3 * rise(0);
    diagonal[n - 1] = last ? 1 : 2;
    lower[n - 1] = last ? 0 : 1;
    slopes_[n - 1] = last ? *last : 3 * rise(n - 2);
    for (std::size_t k = 1; k < n; ++k) {
      const double factor = lower[k] / diagonal[k - 1];
      diagonal[k] -= factor * upper[k - 1];
      slopes_[k] -= factor * slopes_[k - 1];
    }
    slopes_[n - 1] /= diagonal[n - 1];
    for (std::size_t k = n - 1; k-- > 0;) slopes_[k] = (slopes_[k] - upper[k] * slopes_[k + 1]) / diagonal[k];
  }

  std::vector<double> x_, y_, slopes_;
  double cubic_ = 0;
};

class Glue final : public Baseline {
 public:
  explicit Glue(const Fields& fields) {
    fields.allow_only({"type", "density", "embedding", "pair"});
    for (const Fields& entry : fields.objects("density")) density_.emplace(species(entry, 1)[0], entry);
    for (const Fields& entry : fields.objects("embedding")) embedding_.emplace(species(entry, 1)[0], entry);
    for (const Fields& entry : fields.objects("pair")) {
      const auto z = species(entry, 2);
      pair_.emplace(std::minmax({z[0], z[1]}), entry);
    }
    for (const auto& [z, table] : density_) {
      MERCER_REQUIRE(embedding_.count(z), fields.where(), ": no embedding of element ", z);
      cutoff_ = std::max(cutoff_, table.end());
    }
    for (const auto& entry : pair_) cutoff_ = std::max(cutoff_, entry.second.end());
  }

  double cutoff() const override { return cutoff_; }

  void add(const StructureBatch& structures, const PairList& pairs, Span<double> energies, MatView<double> dE_dpositions,
           MatView<double> dE_dstrain) const override {
    constexpr index_t atoms_per_chunk = 64;
    const index_t n_atoms = structures.n_atoms();
    const bool gradients = dE_dpositions.data || dE_dstrain.data;
    Buffer<double> embedding_slopes(n_atoms);
    std::vector<std::array<double, 9>> strain(dE_dstrain.data ? n_atoms : 0);
    const auto number = [&](index_t i) { return structures.numbers[i]; };
    parallel_chunks(n_atoms, atoms_per_chunk, [&](index_t begin, index_t end) {
      for (index_t i = begin; i < end; ++i) {
        double rho = 0, energy = 0;
        for (index_t p = pairs.offsets[i]; p < pairs.offsets[i + 1]; ++p) {
          const std::int32_t j = pairs.neighbors[p];
          rho += density(number(j), pairs.distances[p]).value;
          energy += 0.5 * bond(number(i), number(j), pairs.distances[p]).value;
        }
        const auto found = embedding_.find(number(i));
        const Value embedded = found == embedding_.end() ? Value{0, 0} : found->second(rho);
        embedding_slopes[i] = embedded.slope;
        energies[i] += energy + embedded.value;
      }
    });
    if (!gradients) return;
    parallel_chunks(n_atoms, atoms_per_chunk, [&](index_t begin, index_t end) {
      for (index_t i = begin; i < end; ++i) {
        Vec3 gradient{};
        std::array<double, 9> sum{};
        for (index_t p = pairs.offsets[i]; p < pairs.offsets[i + 1]; ++p) {
          const std::int32_t j = pairs.neighbors[p];
          const double r = pairs.distances[p];
          const Vec3& v = pairs.vectors[p];
          const double slope = bond(number(i), number(j), r).slope + embedding_slopes[i] * density(number(j), r).slope +
                               embedding_slopes[j] * density(number(i), r).slope;
          for (int a = 0; a < 3; ++a) {
            gradient[a] -= slope / r * v[a];
            for (int b = 0; b < 3; ++b) sum[3 * a + b] += 0.5 * slope / r * v[a] * v[b];
          }
        }
        for (int a = 0; dE_dpositions.data && a < 3; ++a) dE_dpositions(i, a) += gradient[a];
        if (dE_dstrain.data) strain[i] = sum;
      }
    });
    for (index_t f = 0; dE_dstrain.data && f < structures.n_frames(); ++f) {
      for (index_t i = structures.offsets[f]; i < structures.offsets[f + 1]; ++i) {
        for (int a = 0; a < 9; ++a) dE_dstrain(f, a) += strain[i][a];
      }
    }
  }

 private:
  static std::vector<std::int32_t> species(const Fields& fields, std::size_t n) {
    auto numbers = fields.integers("species");
    MERCER_REQUIRE(numbers.size() == n, fields.where(), ": ", numbers.size(), " species, expected ", n);
    return numbers;
  }

  Value density(std::int32_t z, double r) const {
    const auto found = density_.find(z);
    return found == density_.end() || !(r < found->second.end()) ? Value{0, 0} : found->second(r);
  }

  Value bond(std::int32_t z1, std::int32_t z2, double r) const {
    const auto found = pair_.find(std::minmax({z1, z2}));
    return found == pair_.end() || !(r < found->second.end()) ? Value{0, 0} : found->second(r);
  }

  std::map<std::int32_t, Table> density_, embedding_;
  std::map<std::pair<std::int32_t, std::int32_t>, Table> pair_;
  double cutoff_ = 0;
};

}  // namespace

std::unique_ptr<Baseline> make_glue(const Fields& fields) { return std::make_unique<Glue>(fields); }

}  // namespace mercer
