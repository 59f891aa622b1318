/// What descriptors of clusters of atoms share: pairs, triplets, and larger ones, a row of features for each cluster.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "mercer/core/memory.hpp"
#include "mercer/descriptors/descriptor.hpp"

namespace mercer {

/// Which elements the atoms of a cluster may have: a list of kinds, each a list of atomic numbers in which 0 stands for
/// any element. The number of the first kind that fits is the group of a cluster.
class ClusterKinds {
 public:
  /// The first `n_fixed` atoms of a cluster must have the elements in their places; the others in any order.
  /// @throws std::invalid_argument for no kinds, kinds of different lengths, or atomic numbers outside 0 .. 118.
  ClusterKinds(std::vector<std::vector<std::int32_t>> kinds, int n_fixed);

  int order() const { return order_; }
  index_t n_kinds() const { return static_cast<index_t>(kinds_.size()); }
  /// A small number for an element, the same for all elements that are in no kind; -1 for those that no kind takes.
  int element_class(std::int32_t number) const { return class_of_[number]; }
  int n_classes() const { return n_classes_; }
  /// Where `place` is the sum over the atoms k of class_k n_classes^k: the kind, or -1.
  std::int32_t kind(index_t place) const { return table_[place]; }

 private:
  std::vector<std::vector<std::int32_t>> kinds_;
  int order_, n_classes_;
  std::vector<int> class_of_;
  std::vector<std::int32_t> table_;
};

/// Clusters of a part of a batch, ordered by their origin atom. Every atom but the origin is an entry.
struct ClusterList {
  index_t n_entries = 1;                 ///< entries of a cluster: its atoms less one
  std::vector<index_t> offsets;          ///< of the frames of the part of a batch, and of its end
  std::vector<std::int32_t> groups;      ///< n_clusters
  std::vector<std::int32_t> origins;     ///< n_clusters, global atom index
  std::vector<std::int32_t> atoms;       ///< (n_clusters, n_entries)
  std::vector<Vec3> vectors;             ///< (n_clusters, n_entries), from the origin, Angstrom

  index_t size() const { return static_cast<index_t>(groups.size()); }
};

/// A row per cluster: coordinates x, divided by their scales, and as last column the factor F that takes the cluster
/// smoothly out of the sum where it leaves the cutoff. Subclasses find the clusters and give x, F and their derivatives.
///
/// With P > 1 permutations of the coordinates a cluster has a row for each, pi x, with the factor F / sqrt(P kappa(x, x)),
/// kappa(x, x') = sum_pi exp(-|pi x - x'|^2 / 2): with a Gaussian kernel of unit length and a sparse point x', F' the sum
/// over the rows is F F' kappa(x, x') / sqrt(kappa(x, x) kappa(x', x')), if its factor is F' sqrt(P / kappa(x', x')).
class ClusterDescriptor : public Descriptor {
 public:
  double cutoff() const final { return r_cut_; }
  index_t n_features() const final { return n_coordinates_ + 1; }
  bool per_atom() const final { return false; }
  bool has_factor() const final { return true; }
  const ClusterKinds& kinds() const { return kinds_; }

  /// The clusters whose origins are in a part of a batch.
  ClusterList clusters(const StructureBatch& structures, const PairList& pairs, const BatchPart& part) const;

  std::unique_ptr<BoundDescriptor> bind(const StructureBatch& structures, const PairList& pairs,
                                        const BatchPart& part) const final;
  bool divides_frames() const final { return true; }
  index_t estimate_rows(const PairList& pairs, index_t begin, index_t end) const final;
  RowLayout rows(const StructureBatch& structures, const PairList& pairs) const final;
  void transform(const StructureBatch& structures, const PairList& pairs, MatView<double> out) const final;
  void share(const StructureBatch& structures, const PairList& pairs, Span<const double> row_energies,
             Span<double> atom_energies) const final;
  std::unique_ptr<GradientContraction> contraction(const StructureBatch& structures, const PairList& pairs,
                                                   MatView<const double> Q) const final;
  void vjp(const StructureBatch& structures, const PairList& pairs, MatView<const double> dY_dX,
           MatView<double> dY_dpositions, MatView<double> dY_dstrain) const final;

  /// Rows begin .. end - 1 of `list` (out: n_features apart), and where `jacobian` is not null, the derivatives
  /// jacobian[((row - begin) * n_entries + e) * 3 + a][feature] with respect to component a of vector e.
  void evaluate(const ClusterList& list, index_t begin, index_t end, double* out, double* jacobian) const;

 protected:
  /// @param shared  the energy of a cluster belongs to all its atoms alike; else to its origin
  /// @param scales  what coordinates are divided by; empty: 1
  /// @param permutations  of the coordinates: component d of pi x is x[pi[d]]; empty: none but the identity
  ClusterDescriptor(ClusterKinds kinds, double r_cut, index_t n_coordinates, bool shared, std::vector<double> scales,
                    std::vector<std::vector<int>> permutations = {});

  /// Appends the clusters whose origin is `centre` to groups, origins, atoms and vectors.
  virtual void find(const StructureBatch& structures, const PairList& pairs, index_t centre,
                    ClusterList& found) const = 0;
  /// As `evaluate`, before the division by scales.
  virtual void measure(const ClusterList& list, index_t begin, index_t end, double* out, double* jacobian) const = 0;

  index_t order() const { return kinds_.order(); }
  double r_cut() const { return r_cut_; }

 private:
  friend class BoundClusters;

  ClusterKinds kinds_;
  double r_cut_;
  index_t n_coordinates_;
  bool shared_;
  std::vector<double> inverse_scales_;
  std::vector<std::vector<int>> permutations_;

  index_t n_copies() const { return std::max<index_t>(1, static_cast<index_t>(permutations_.size())); }
  void permute(const std::vector<int>& permutation, double* row, double* jacobian, index_t n_components) const;
};

}  // namespace mercer
