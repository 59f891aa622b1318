#include "mercer/descriptors/inverse_powers.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "mercer/core/error.hpp"
#include "mercer/core/simd.hpp"

namespace mercer {

/// Two atoms of a tuple.
struct InversePowers::Edge {
  index_t from, to;  ///< global indices
  Vec3 vector;
  double distance;
};

struct InversePowers::Scratch {
  std::vector<double> near, slopes_near;    ///< p_m and p_m' of the pairs of a centre
  std::vector<double> far, slopes_far;      ///< of the distance opposite to the centre
  std::vector<double> values, slopes;       ///< of the columns of a tuple; slopes of every edge
};

namespace {

void check_powers(const char* name, const std::vector<int>& powers) {
  for (std::size_t k = 0; k < powers.size(); ++k) {
    MERCER_REQUIRE(powers[k] >= 1 && powers[k] <= 64 && (k == 0 || powers[k] > powers[k - 1]), "InversePowers: ", name,
                   " has ", powers[k], ", expected rising integers from 1 to 64");
  }
}

}  // namespace

InversePowers::InversePowers(std::vector<std::int32_t> species, std::vector<int> pair_powers,
                             std::vector<int> triple_powers, std::optional<Cutoff> cutoff)
    : n_species_(static_cast<index_t>(species.size())),
      pair_powers_(std::move(pair_powers)),
      triple_powers_(std::move(triple_powers)),
      cutoff_(std::move(cutoff)) {
  check_powers("pair_powers", pair_powers_);
  check_powers("triple_powers", triple_powers_);
  species_index_.fill(-1);
  for (std::size_t k = 0; k < species.size(); ++k) {
    MERCER_REQUIRE(species[k] > 0 && species[k] < 128 && (k == 0 || species[k] > species[k - 1]),
                   "InversePowers: species has ", species[k], ", expected rising atomic numbers");
    species_index_[species[k]] = static_cast<int>(k);
  }
  const index_t n = n_species_;
  pair_columns_.assign(n * n, 0);
  triple_columns_.assign(n * n * n, 0);
  for (index_t a = 0; a < n; ++a) {
    for (index_t b = a; b < n; ++b) {
      pair_columns_[a * n + b] = n_features_;
      n_features_ += static_cast<index_t>(pair_powers_.size());
    }
  }
  for (int likeness = 0; likeness < 4; ++likeness) {
    products_[likeness] = products(static_cast<Likeness>(likeness), static_cast<int>(triple_powers_.size()));
  }
  for (index_t a = 0; a < n; ++a) {
    for (index_t b = a; b < n; ++b) {
      for (index_t c = b; c < n; ++c) {
        triple_columns_[(a * n + b) * n + c] = n_features_;
        n_features_ += products_[(a == b) + 2 * (b == c)].n_columns;
      }
    }
  }
  MERCER_REQUIRE(n_features_ > 0, "InversePowers: no powers and no species, so no features; give some of both");
}

double InversePowers::cutoff() const { return cutoff_ ? cutoff_->r_cut() : std::numeric_limits<double>::infinity(); }

/// Exchanging atoms 1 and 2 exchanges d_13 and d_23; exchanging 2 and 3, d_12 and d_13.
InversePowers::Products InversePowers::products(Likeness likeness, int n_powers) {
  static constexpr int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  std::vector<int> allowed{0};
  if (likeness == first_two) allowed = {0, 1};
  if (likeness == last_two) allowed = {0, 2};
  if (likeness == all_same) allowed = {0, 1, 2, 3, 4, 5};
  Products found;
  std::vector<index_t> columns(static_cast<std::size_t>(n_powers) * n_powers * n_powers);
  const auto place = [&](const std::array<int, 3>& m) { return (m[0] * n_powers + m[1]) * n_powers + m[2]; };
  std::array<int, 3> m;
  for (m[0] = 0; m[0] < n_powers; ++m[0]) {
    for (m[1] = 0; m[1] < n_powers; ++m[1]) {
      for (m[2] = 0; m[2] < n_powers; ++m[2]) {
        std::array<int, 3> least = m;
        double same = 0;
        for (const int k : allowed) {
          const std::array<int, 3> image{m[orders[k][0]], m[orders[k][1]], m[orders[k][2]]};
          least = std::min(least, image);
          same += image == m;
        }
        if (least == m) columns[place(m)] = found.n_columns++;
        found.terms.push_back({m, columns[place(least)], same});
      }
    }
  }
  return found;
}

/// p_m(d) = d^-m f_c(d) and its slope.
void InversePowers::powers(const std::vector<int>& exponents, double d, bool derivatives, double* values,
                           double* slopes) const {
  const double f = cutoff_ ? cutoff_->value(d) : 1, df = cutoff_ && derivatives ? cutoff_->derivative(d) : 0;
  double power = 1;
  int reached = 0;
  for (std::size_t k = 0; k < exponents.size(); ++k) {
    for (; reached < exponents[k]; ++reached) power /= d;
    values[k] = power * f;
    if (derivatives) slopes[k] = power * (df - exponents[k] * f / d);
  }
}

/// Calls use(column, n_columns, values, slopes, edges, n_edges) for every tuple of a frame: its part of the features
/// from `column` on, and where `derivatives`, their derivatives by the length of every edge, edge by edge.
template <class Use>
void InversePowers::visit(const StructureBatch& structures, const PairList& pairs, index_t frame, bool derivatives,
                          Scratch& scratch, const Use& use) const {
  const auto n_powers = static_cast<index_t>(pair_powers_.size());
  scratch.values.resize(n_powers);
  scratch.slopes.resize(n_powers);
  for (index_t i = structures.offsets[frame]; i < structures.offsets[frame + 1]; ++i) {
    const std::int32_t number = structures.numbers[i];
    MERCER_REQUIRE(number >= 0 && number < 128 && species_index_[number] >= 0, "frame ", frame, ": atom ",
                   i - structures.offsets[frame], " is of element ", number,
                   ", which InversePowers does not know; add it to species");
  }
  for (index_t i = structures.offsets[frame]; i < structures.offsets[frame + 1]; ++i) {
    const index_t a = species_index_[structures.numbers[i]];
    for (index_t p = pairs.offsets[i]; n_powers > 0 && p < pairs.offsets[i + 1]; ++p) {
      const index_t j = pairs.neighbors[p], b = species_index_[structures.numbers[j]];
      if (j < i || !(pairs.distances[p] < cutoff())) continue;
      powers(pair_powers_, pairs.distances[p], derivatives, scratch.values.data(), scratch.slopes.data());
      if (j == i) {  // two images of the same pair
        for (double& value : scratch.values) value *= 0.5;
        for (double& slope : scratch.slopes) slope *= 0.5;
      }
      const Edge edge{i, j, pairs.vectors[p], pairs.distances[p]};
      use(pair_columns_[std::min(a, b) * n_species_ + std::max(a, b)], n_powers, scratch.values.data(),
          scratch.slopes.data(), &edge, 1);
    }
  }
  if (triple_powers_.empty()) return;
  for (index_t i = structures.offsets[frame]; i < structures.offsets[frame + 1]; ++i) {
    visit_triples(structures, pairs, i, derivatives, scratch, use);
  }
}

/// The triples whose atom of lowest index is `centre`; those with several images of it are met as many times.
template <class Use>
void InversePowers::visit_triples(const StructureBatch& structures, const PairList& pairs, index_t centre,
                                  bool derivatives, Scratch& scratch, const Use& use) const {
  const double r_cut = cutoff();
  const auto n_powers = static_cast<index_t>(triple_powers_.size());
  index_t begin = pairs.offsets[centre];
  const index_t end = pairs.offsets[centre + 1], n = n_species_;
  while (begin < end && pairs.neighbors[begin] < centre) ++begin;
  scratch.near.resize((end - begin) * n_powers);
  scratch.slopes_near.resize((end - begin) * n_powers);
  scratch.far.resize(n_powers);
  scratch.slopes_far.resize(n_powers);
  for (index_t p = begin; p < end; ++p) {
    powers(triple_powers_, pairs.distances[p], derivatives, scratch.near.data() + (p - begin) * n_powers,
           scratch.slopes_near.data() + (p - begin) * n_powers);
  }
  const auto species = [&](index_t atom) { return static_cast<index_t>(species_index_[structures.numbers[atom]]); };
  for (index_t p = begin; p < end; ++p) {
    if (!(pairs.distances[p] < r_cut)) continue;
    for (index_t q = p + 1; q < end; ++q) {
      if (!(pairs.distances[q] < r_cut)) continue;
      const Vec3 &u = pairs.vectors[p], &v = pairs.vectors[q];
      const Vec3 w{v[0] - u[0], v[1] - u[1], v[2] - u[2]};
      const double distance = std::sqrt(w[0] * w[0] + w[1] * w[1] + w[2] * w[2]);
      if (!(distance < r_cut)) continue;
      powers(triple_powers_, distance, derivatives, scratch.far.data(), scratch.slopes_far.data());
      // Atoms in the order of their elements; edge k is opposite to atom 2 - k: (12), (13), (23).
      const index_t atoms[3] = {centre, pairs.neighbors[p], pairs.neighbors[q]};
      int order[3] = {0, 1, 2};
      const auto sort = [&](int k) {
        if (species(atoms[order[k + 1]]) < species(atoms[order[k]])) std::swap(order[k], order[k + 1]);
      };
      sort(0);
      sort(1);
      sort(0);
      const Edge edges[3] = {{centre, atoms[1], u, pairs.distances[p]},
                             {centre, atoms[2], v, pairs.distances[q]},
                             {atoms[1], atoms[2], w, distance}};
      const index_t place_p = (p - begin) * n_powers, place_q = (q - begin) * n_powers;
      const double* tables[3] = {scratch.near.data() + place_p, scratch.near.data() + place_q, scratch.far.data()};
      const double* slope_tables[3] = {scratch.slopes_near.data() + place_p, scratch.slopes_near.data() + place_q,
                                       scratch.slopes_far.data()};
      const auto edge_of = [&](int x, int y) { return order[x] + order[y] - 1; };  // (01) 0, (02) 1, (12) 2
      const int e[3] = {edge_of(0, 1), edge_of(0, 2), edge_of(1, 2)};
      const index_t a = species(atoms[order[0]]), b = species(atoms[order[1]]), c = species(atoms[order[2]]);
      const Products& products = products_[(a == b) + 2 * (b == c)];
      const double share = 1.0 / (1 + (atoms[1] == centre) + (atoms[2] == centre));
      const index_t n_columns = products.n_columns;
      scratch.values.assign(n_columns, 0.0);
      scratch.slopes.assign(3 * n_columns, 0.0);
      for (const Products::Term& term : products.terms) {
        const double x[3] = {tables[e[0]][term.powers[0]], tables[e[1]][term.powers[1]], tables[e[2]][term.powers[2]]};
        const double weight = share * term.weight;
        scratch.values[term.column] += weight * x[0] * x[1] * x[2];
        if (!derivatives) continue;
        double* slopes = scratch.slopes.data() + term.column;
        slopes[e[0] * n_columns] += weight * slope_tables[e[0]][term.powers[0]] * x[1] * x[2];
        slopes[e[1] * n_columns] += weight * slope_tables[e[1]][term.powers[1]] * x[0] * x[2];
        slopes[e[2] * n_columns] += weight * slope_tables[e[2]][term.powers[2]] * x[0] * x[1];
      }
      use(triple_columns_[(a * n + b) * n + c], n_columns, scratch.values.data(), scratch.slopes.data(), edges, 3);
    }
  }
}

void InversePowers::transform(const StructureBatch& structures, const PairList& pairs, MatView<double> out) const {
  for_each_frame(
      structures, [] { return Scratch(); },
      [&](Scratch& scratch, index_t f) {
        std::fill_n(out.row(f), n_features_, 0.0);
        visit(structures, pairs, f, false, scratch,
              [&](index_t column, index_t n, const double* values, const double*, const Edge*, int) {
                for (index_t c = 0; c < n; ++c) out(f, column + c) += values[c];
              });
      });
}

void InversePowers::vjp(const StructureBatch& structures, const PairList& pairs, MatView<const double> dY_dX,
                        MatView<double> dY_dpositions, MatView<double> dY_dstrain) const {
  for_each_frame(
      structures, [] { return Scratch(); },
      [&](Scratch& scratch, index_t f) {
        const index_t first = structures.offsets[f];
        std::fill_n(dY_dpositions.row(first), 3 * (structures.offsets[f + 1] - first), 0.0);
        double* strain = dY_dstrain.row(f);
        std::fill_n(strain, 9, 0.0);
        visit(structures, pairs, f, true, scratch,
              [&](index_t column, index_t n, const double*, const double* slopes, const Edge* edges, int n_edges) {
                for (int e = 0; e < n_edges; ++e, slopes += n) {
                  const double g = simd::dot(dY_dX.row(f) + column, slopes, n) / edges[e].distance;
                  for (int a = 0; a < 3; ++a) {
                    dY_dpositions(edges[e].to, a) += g * edges[e].vector[a];
                    dY_dpositions(edges[e].from, a) -= g * edges[e].vector[a];
                    for (int b = 0; b < 3; ++b) strain[3 * a + b] += g * edges[e].vector[a] * edges[e].vector[b];
                  }
                }
              });
      });
}

void InversePowers::gradients(const StructureBatch& structures, const PairList& pairs, MatView<double> out) const {
  for_each_frame(
      structures, [] { return Scratch(); },
      [&](Scratch& scratch, index_t f) {
        for (index_t line = 3 * structures.offsets[f]; line < 3 * structures.offsets[f + 1]; ++line) {
          std::fill_n(out.row(line), n_features_, 0.0);
        }
        visit(structures, pairs, f, true, scratch,
              [&](index_t column, index_t n, const double*, const double* slopes, const Edge* edges, int n_edges) {
                for (int e = 0; e < n_edges; ++e, slopes += n) {
                  for (int a = 0; a < 3; ++a) {
                    const double direction = edges[e].vector[a] / edges[e].distance;
                    double *to = out.row(3 * edges[e].to + a) + column, *from = out.row(3 * edges[e].from + a) + column;
                    for (index_t c = 0; c < n; ++c) to[c] += direction * slopes[c];
                    for (index_t c = 0; c < n; ++c) from[c] -= direction * slopes[c];
                  }
                }
              });
      });
}

}  // namespace mercer
