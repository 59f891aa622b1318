#include "model/baselines.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <vector>

#include "mercer/core/error.hpp"
#include "mercer/core/parallel.hpp"
#include "model/glue.hpp"

namespace mercer {
namespace {

/// Pairs with energies of their elements and distance; half of an energy belongs to each atom.
class PairBaseline : public Baseline {
 public:
  void add(const StructureBatch& structures, const PairList& pairs, Span<double> energies,
           MatView<double> dE_dpositions, MatView<double> dE_dstrain) const final {
    constexpr index_t atoms_per_chunk = 64;
    const index_t n_atoms = structures.n_atoms();
    std::vector<std::array<double, 9>> strain(dE_dstrain.data ? n_atoms : 0);
    parallel_chunks(n_atoms, atoms_per_chunk, [&](index_t begin, index_t end) {
      for (index_t i = begin; i < end; ++i) {
        double energy = 0;
        Vec3 gradient{};                // of the energies of all pairs of i, by the position of i
        std::array<double, 9> sum{};
        for (index_t p = pairs.offsets[i]; p < pairs.offsets[i + 1]; ++p) {
          const double r = pairs.distances[p];
          if (!(r < cutoff())) continue;
          const auto [e, slope] = pair(structures.numbers[i], structures.numbers[pairs.neighbors[p]], r);
          const Vec3& v = pairs.vectors[p];
          energy += 0.5 * e;
          for (int a = 0; a < 3; ++a) {
            gradient[a] -= slope / r * v[a];
            for (int b = 0; b < 3; ++b) sum[3 * a + b] += 0.5 * slope / r * v[a] * v[b];
          }
        }
        energies[i] += energy;
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

 protected:
  struct Value {
    double energy, slope;
  };
  virtual Value pair(int z1, int z2, double r) const = 0;
};

/// J. F. Ziegler, J. P. Biersack & U. Littmark, The Stopping and Range of Ions in Matter, vol. 1 (Pergamon, 1985):
/// E(r) = s(r) k Z1 Z2 / r sum_q c_q exp(-d_q r / a), a = 0.46850 / (Z1^0.23 + Z2^0.23) Angstrom, with
/// s = 1 - x^3 (10 - 15 x + 6 x^2), x = (r - r_inner) / (r_outer - r_inner) cut to [0, 1]. Pairs of elements may have
/// their own two distances.
class ZBL final : public PairBaseline {
 public:
  explicit ZBL(const Fields& fields) : usual_(range(fields, fields.number("r_inner"), fields.number("r_outer"))) {
    fields.allow_only({"type", "r_inner", "r_outer", "pairs"});
    cutoff_ = usual_.outer;
    if (fields.has("pairs")) {
      const std::vector<double> rows = fields.matrix("pairs");
      MERCER_REQUIRE(rows.size() % 4 == 0, fields.where(), ": pairs, expected rows of Z1, Z2, r_inner, r_outer");
      for (std::size_t k = 0; k < rows.size(); k += 4) {
        const double a = rows[k], b = rows[k + 1];
        const bool elements = a > 0 && a < n_elements && b > 0 && b < n_elements && std::floor(a) == a && std::floor(b) == b;
        MERCER_REQUIRE(elements, fields.where(), ": a pair of ", a, " and ", b, ", expected atomic numbers");
        const Range own = range(fields, rows[k + 2], rows[k + 3]);
        own_[key(static_cast<int>(a), static_cast<int>(b))] = own_[key(static_cast<int>(b), static_cast<int>(a))] = own;
        cutoff_ = std::max(cutoff_, own.outer);
      }
    }
    for (int z = 0; z < n_elements; ++z) power_[z] = std::pow(static_cast<double>(z), 0.23);
  }

  double cutoff() const override { return cutoff_; }

 private:
  static constexpr int n_elements = 128;

  struct Range {
    double inner, outer;
  };

  static Range range(const Fields& fields, double inner, double outer) {
    MERCER_REQUIRE(inner > 0 && inner < outer && std::isfinite(outer), fields.where(), ": r_inner = ", inner,
                   " and r_outer = ", outer, ", expected 0 < r_inner < r_outer");
    return {inner, outer};
  }

  static int key(int z1, int z2) { return n_elements * z1 + z2; }

  Value pair(int z1, int z2, double r) const override {
    constexpr double c[] = {0.18175, 0.50986, 0.28022, 0.02817}, d[] = {3.19980, 0.94229, 0.40290, 0.20162};
    const double scaled = (power_[z1] + power_[z2]) / 0.46850;
    double screen = 0, screen_slope = 0;
    for (int q = 0; q < 4; ++q) {
      const double part = c[q] * std::exp(-d[q] * scaled * r);
      screen += part;
      screen_slope -= d[q] * scaled * part;
    }
    const double charge = 14.399645 * z1 * z2 / r;
    const double energy = charge * screen, slope = charge * (screen_slope - screen / r);
    const auto found = own_.find(key(z1, z2));
    const Range& ends = found == own_.end() ? usual_ : found->second;
    const double width = ends.outer - ends.inner, x = std::clamp((r - ends.inner) / width, 0.0, 1.0), y = x * (1 - x);
    const double s = 1 - x * x * x * (10 - 15 * x + 6 * x * x), s_slope = -30 * y * y / width;
    return {s * energy, s * slope + s_slope * energy};
  }

  Range usual_;
  std::map<int, Range> own_;
  double cutoff_;
  std::array<double, n_elements> power_;
};

using Made = std::unique_ptr<Baseline>;

struct Entry {
  const char* type;
  Made (*make)(const Fields&);
};

const Entry table[] = {
    {"glue", make_glue},
    {"zbl", [](const Fields& fields) -> Made { return std::make_unique<ZBL>(fields); }},
};

}  // namespace

Made make_baseline(const Fields& fields) {
  const std::string type = fields.text("type");
  MERCER_REQUIRE(type != "calculator", fields.where(), ": the calculator ", fields.text("label"),
                 ", which only Python can give");
  std::string known;
  for (const Entry& entry : table) {
    if (type == entry.type) return entry.make(fields);
    known += (known.empty() ? "" : ", ") + std::string(entry.type);
  }
  throw std::invalid_argument(
      concatenate(fields.where(), ": '", type, "' is a baseline that this version does not know; known are ", known));
}

}  // namespace mercer
