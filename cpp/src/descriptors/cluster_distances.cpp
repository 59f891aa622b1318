#include "mercer/descriptors/cluster_distances.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "mercer/core/error.hpp"

namespace mercer {
namespace {

constexpr int largest_order = 5;
constexpr int largest_edges = largest_order * (largest_order - 1) / 2;

using Shift = std::array<std::int32_t, 3>;

/// An atom of a cluster; `vector` from the atom that the search began at.
struct Member {
  std::int32_t number, atom;
  Shift shift;
  Vec3 vector;
  bool operator<(const Member& other) const {
    return std::tie(number, atom, shift) < std::tie(other.number, other.atom, other.shift);
  }
};

std::vector<unsigned> connected_graphs(int n) {
  std::vector<unsigned> graphs;
  for (unsigned graph = 0; graph < 1u << (n * (n - 1) / 2); ++graph) {
    unsigned reached = 1, before = 0;
    while (reached != before) {
      before = reached;
      for (int i = 0, edge = 0; i < n; ++i) {
        for (int j = i + 1; j < n; ++j, ++edge) {
          const unsigned ends = 1u << i | 1u << j;
          if ((graph >> edge & 1u) && (reached & ends)) reached |= ends;
        }
      }
    }
    if (reached == (1u << n) - 1) graphs.push_back(graph);
  }
  return graphs;
}

}  // namespace

ClusterDistances::ClusterDistances(std::vector<std::vector<std::int32_t>> kinds, Cutoff cutoff, bool compact,
                                   std::vector<double> scales, std::vector<std::vector<int>> permutations)
    : ClusterDescriptor(ClusterKinds(kinds, 0), cutoff.r_cut(),
                        kinds.empty() ? 0 : static_cast<index_t>(kinds[0].size() * (kinds[0].size() - 1) / 2), true,
                        std::move(scales), std::move(permutations)),
      cutoff_(cutoff),
      compact_(compact) {
  MERCER_REQUIRE(order() <= largest_order, "ClusterDistances: clusters of ", order(), " atoms, expected 2 to ",
                 largest_order);
  if (!compact) graphs_ = connected_graphs(static_cast<int>(order()));
}

void ClusterDistances::find(const StructureBatch& structures, const PairList& pairs, index_t centre,
                            ClusterList& found) const {
  if (kinds().element_class(structures.numbers[centre]) < 0) return;
  compact_ ? find_compact(structures, pairs, centre, found) : find_connected(structures, pairs, centre, found);
}

void ClusterDistances::find_compact(const StructureBatch& structures, const PairList& pairs, index_t centre,
                                    ClusterList& found) const {
  std::vector<index_t> near;  // sorted by element, and by index and shift within one: the order of the pair list
  for (index_t p = pairs.offsets[centre]; p < pairs.offsets[centre + 1]; ++p) {
    if (pairs.distances[p] < r_cut() && kinds().element_class(structures.numbers[pairs.neighbors[p]]) >= 0) {
      near.push_back(p);
    }
  }
  const auto number = [&](index_t p) { return structures.numbers[pairs.neighbors[p]]; };
  std::stable_sort(near.begin(), near.end(), [&](index_t p, index_t q) { return number(p) < number(q); });

  const auto n_near = static_cast<index_t>(near.size()), n_others = order() - 1;
  if (n_near < n_others) return;
  std::array<index_t, largest_order> chosen{};
  for (index_t k = 0; k < n_others; ++k) chosen[k] = k;
  while (true) {
    index_t place = 0;
    for (index_t k = n_others - 1; k >= 0; --k) {
      place = place * kinds().n_classes() + kinds().element_class(number(near[chosen[k]]));
    }
    place = place * kinds().n_classes() + kinds().element_class(structures.numbers[centre]);
    const std::int32_t group = kinds().kind(place);
    if (group >= 0) {
      found.groups.push_back(group);
      found.origins.push_back(static_cast<std::int32_t>(centre));
      for (index_t k = 0; k < n_others; ++k) {
        found.atoms.push_back(pairs.neighbors[near[chosen[k]]]);
        found.vectors.push_back(pairs.vectors[near[chosen[k]]]);
      }
    }
    index_t k = n_others - 1;  // the next increasing choice
    while (k >= 0 && chosen[k] == n_near - n_others + k) --k;
    if (k < 0) return;
    ++chosen[k];
    for (index_t l = k + 1; l < n_others; ++l) chosen[l] = chosen[l - 1] + 1;
  }
}

void ClusterDistances::find_connected(const StructureBatch& structures, const PairList& pairs, index_t centre,
                                      ClusterList& found) const {
  // Clusters in which the centre comes first by (index, shift), grown atom by atom; repetitions are dropped.
  const auto first = static_cast<std::int32_t>(centre);
  std::vector<std::vector<Member>> grown{{{structures.numbers[centre], first, Shift{}, Vec3{}}}};
  for (index_t size = 1; size < order(); ++size) {
    std::vector<std::vector<Member>> larger;
    for (const auto& cluster : grown) {
      for (const Member& member : cluster) {
        for (index_t p = pairs.offsets[member.atom]; p < pairs.offsets[member.atom + 1]; ++p) {
          Member next{structures.numbers[pairs.neighbors[p]], pairs.neighbors[p], member.shift, member.vector};
          for (int a = 0; a < 3; ++a) {
            next.shift[a] += pairs.shifts[p][a];
            next.vector[a] += pairs.vectors[p][a];
          }
          if (!(pairs.distances[p] < r_cut()) || kinds().element_class(next.number) < 0) continue;
          if (std::tie(next.atom, next.shift) <= std::make_tuple(first, Shift{})) continue;
          const auto place = std::lower_bound(cluster.begin(), cluster.end(), next);
          if (place != cluster.end() && !(next < *place)) continue;
          auto with = cluster;
          with.insert(with.begin() + (place - cluster.begin()), next);
          larger.push_back(std::move(with));
        }
      }
    }
    std::sort(larger.begin(), larger.end());
    const auto same = [](const auto& a, const auto& b) { return !(a < b) && !(b < a); };
    larger.erase(std::unique(larger.begin(), larger.end(), same), larger.end());
    grown = std::move(larger);
  }
  for (const auto& cluster : grown) {
    index_t place = 0;
    for (index_t k = order() - 1; k >= 0; --k) {
      place = place * kinds().n_classes() + kinds().element_class(cluster[k].number);
    }
    const std::int32_t group = kinds().kind(place);
    if (group < 0) continue;
    found.groups.push_back(group);
    found.origins.push_back(cluster[0].atom);
    for (index_t k = 1; k < order(); ++k) {
      found.atoms.push_back(cluster[k].atom);
      const Vec3 &v = cluster[k].vector, &origin = cluster[0].vector;
      found.vectors.push_back({v[0] - origin[0], v[1] - origin[1], v[2] - origin[2]});
    }
  }
}

double ClusterDistances::connected_factor(const double* f, double* derivative) const {
  const int n_edges = static_cast<int>(order() * (order() - 1) / 2);
  double sum = 0;
  std::fill_n(derivative, n_edges, 0.0);
  for (const unsigned graph : graphs_) {
    double before[largest_edges + 1] = {1}, after = 1;  // products over the edges before and behind one
    for (int e = 0; e < n_edges; ++e) before[e + 1] = before[e] * (graph >> e & 1u ? f[e] : 1 - f[e]);
    sum += before[n_edges];
    for (int e = n_edges - 1; e >= 0; --e) {
      const bool inside = graph >> e & 1u;
      derivative[e] += (inside ? 1 : -1) * before[e] * after;
      after *= inside ? f[e] : 1 - f[e];
    }
  }
  return sum;
}

void ClusterDistances::measure(const ClusterList& list, index_t begin, index_t end, double* out,
                               double* jacobian) const {
  const int n_atoms = static_cast<int>(order()), n_edges = n_atoms * (n_atoms - 1) / 2, n_first = n_atoms - 1;
  const index_t n = n_edges + 1;
  for (index_t row = begin; row < end; ++row, out += n) {
    const Vec3* vectors = list.vectors.data() + row * n_first;
    Vec3 direction[largest_edges];  // of the edge (i, j), from i to j
    double f[largest_edges] = {}, df[largest_edges] = {}, dF[largest_edges] = {};
    for (int i = 0, edge = 0; i < n_atoms; ++i) {
      for (int j = i + 1; j < n_atoms; ++j, ++edge) {
        Vec3& d = direction[edge];
        for (int a = 0; a < 3; ++a) d[a] = vectors[j - 1][a] - (i > 0 ? vectors[i - 1][a] : 0.0);
        const double r = std::sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);
        out[edge] = r;
        for (int a = 0; a < 3; ++a) d[a] /= r;
        if (compact_ && i > 0) continue;
        f[edge] = cutoff_.value(r);
        df[edge] = cutoff_.derivative(r);
      }
    }
    if (compact_) {  // the first edges are those of atom 1
      double product = 1;
      for (int e = 0; e < n_first; ++e) {
        product *= f[e];
        dF[e] = 1;
        for (int other = 0; other < n_first; ++other) dF[e] *= other == e ? 1 : f[other];
      }
      out[n_edges] = product;
    } else {
      out[n_edges] = connected_factor(f, dF);
    }
    if (!jacobian) continue;
    std::fill_n(jacobian, 3 * n_first * n, 0.0);
    for (int i = 0, edge = 0; i < n_atoms; ++i) {
      for (int j = i + 1; j < n_atoms; ++j, ++edge) {
        const double slope = dF[edge] * df[edge];
        for (int a = 0; a < 3; ++a) {
          double* to_j = jacobian + (3 * (j - 1) + a) * n;
          to_j[edge] += direction[edge][a];
          to_j[n_edges] += slope * direction[edge][a];
          if (i == 0) continue;
          double* to_i = jacobian + (3 * (i - 1) + a) * n;
          to_i[edge] -= direction[edge][a];
          to_i[n_edges] -= slope * direction[edge][a];
        }
      }
    }
    jacobian += 3 * n_first * n;
  }
}

}  // namespace mercer
