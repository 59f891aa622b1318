/// The many-body tensor representation (Huo and Rupp, Mach. Learn. Sci. Technol. 3, 045017 (2022)): distributions of
/// geometric quantities of tuples of atoms, one for each tuple of elements,
///   f_k(x, z) = sum_tuples w_k D(x, g_k) prod_t C(z_t, Z_t).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mercer/core/memory.hpp"
#include "mercer/descriptors/structure_descriptor.hpp"

namespace mercer {

namespace mbtr {
class Part;
class Channels;
class Legs;
}  // namespace mbtr

/// One factor of a weight, a function of the distances of a tuple: src/descriptors/mbtr/weights.cpp holds the table.
struct WeightFactor {
  std::string function;
  std::map<std::string, double> parameters;
  bool legs_only = false;  ///< only the distances along the chain of atoms; else all of them
};

/// The cutoff functions of basis/cutoff.hpp by name, on the legs.
WeightFactor weight_of_cutoff(const std::string& name, double r_cut, double width);

/// A tensor of tuples of k = `order` atoms.
struct MbtrPart {
  int order = 2;
  std::string geometry;        ///< src/descriptors/mbtr/geometry.cpp
  double first = 0, last = 1;  ///< grid points x_0 and x_(n - 1)
  index_t n = 100;
  double sigma = 0.1;          ///< standard deviation of the broadening, in the unit of the geometry function
  std::string broadening = "normal";  ///< src/descriptors/mbtr/broadening.cpp
  std::string values = "integral";    ///< of the broadened line: "integral" over a bin, its "average", or at the "point"
  bool centered = true;               ///< bin b is centred on x_b; else it begins there
  bool normalized = true;             ///< lines have unit area; else unit height
  std::vector<WeightFactor> weights;  ///< factors; none: 1
  double threshold = 0;               ///< tuples of a smaller weight are left out
};

/// What rows are divided by at the end.
enum class MbtrNormalization { none, l2, n_atoms, valle_oganov };
MbtrNormalization mbtr_normalization(const std::string& name);

/// Names and orders k of the geometry functions.
std::vector<std::pair<std::string, int>> mbtr_geometries();
/// Names and parameters of the functions that weights are made of.
std::vector<std::pair<std::string, std::vector<std::string>>> mbtr_weights();
std::vector<std::string> mbtr_broadenings();

struct MbtrParameters {
  std::vector<std::int32_t> species;   ///< atomic numbers, ascending
  std::vector<MbtrPart> parts;         ///< columns of the first part come first
  std::vector<double> correlation;     ///< C (n_elements, n_species), row-major; empty: the unit matrix
  std::string normalization = "none";
  bool ignore_unknown = false;         ///< atoms of other elements are left out; else they are an error
  double max_tuples = 1e8;             ///< of a part and a frame; more are an error
};

/// A row per frame. In periodic frames every tuple counts once per cell (once for all its translations), so rows are
/// extensive. Channels (tuples of elements) are slowest, then the grid. Order of the channels, with elements i, j, ... in
/// ascending order: k = 2: (i, j), i <= j, j fastest; k = 3, j the vertex: j slowest, then (i, k), i <= k; k = 4: the inner
/// bond (j, k), j <= k, then the ends (i, l), i <= l where j = k.
class Mbtr final : public StructureDescriptor {
 public:
  explicit Mbtr(MbtrParameters parameters);
  ~Mbtr() override;

  double cutoff() const override { return cutoff_; }
  index_t n_features() const override { return n_features_; }
  index_t n_parts() const { return static_cast<index_t>(parts_.size()); }
  bool differentiable() const override { return not_differentiable_.empty(); }

  void transform(const StructureBatch& structures, const PairList& pairs, MatView<double> out) const override;
  /// Also, where not empty, of every part the weight of all tuples (total) and of those whose g is beside the grid
  /// (outside).
  void transform(const StructureBatch& structures, const PairList& pairs, MatView<double> out, Span<double> total,
                 Span<double> outside) const;
  void gradients(const StructureBatch& structures, const PairList& pairs, MatView<double> out) const override;
  void vjp(const StructureBatch& structures, const PairList& pairs, MatView<const double> dY_dX,
           MatView<double> dY_dpositions, MatView<double> dY_dstrain) const override;

  /// The channels that occur, counted over all parts: those of frame f are channels[frame_offsets[f]] and so on; their
  /// values, those of one channel after those of the other, begin at values[value_offsets[f]].
  struct SparseRows {
    std::vector<index_t> frame_offsets{0}, channels, value_offsets{0};
    Buffer<double> values;
  };
  /// Never makes all columns of more than one frame a thread.
  /// @throws std::invalid_argument where elements are mixed by a correlation.
  SparseRows transform_channels(const StructureBatch& structures, const PairList& pairs, Span<double> total,
                                Span<double> outside) const;

 private:
  struct Workspace;
  struct Task;
  struct SparseRow {
    std::vector<index_t> channels;
    std::vector<double> values;
  };

  void check(const StructureBatch& structures, const PairList& pairs) const;
  void require_gradients() const;
  std::vector<Task> tasks(const StructureBatch& structures, const PairList& pairs) const;
  std::vector<index_t> count_pieces(const StructureBatch& structures, const std::vector<Task>& work) const;
  void build_legs(const mbtr::Part& part, const PairList& pairs, const std::vector<std::int32_t>& elements,
                  index_t first, index_t last, index_t begin, index_t end, mbtr::Legs& legs) const;
  void compute(const StructureBatch& structures, const PairList& pairs, MatView<double> out, Span<double> total,
               Span<double> outside, Span<double> norms, std::vector<SparseRow>* sparse) const;
  void pick_channels(const StructureBatch& structures, const std::vector<std::int32_t>& elements, index_t frame,
                     const double* row, SparseRow& out) const;
  double finish(const StructureBatch& structures, index_t frame, const double* raw, double* row) const;
  void scales(const StructureBatch& structures, index_t frame, std::vector<double>& out) const;

  MbtrParameters parameters_;
  MbtrNormalization normalization_;
  std::vector<std::unique_ptr<mbtr::Part>> parts_;
  std::vector<std::unique_ptr<mbtr::Channels>> channels_;
  std::vector<index_t> raw_offsets_, offsets_;  ///< columns of every part, before and after the correlation
  std::vector<int> element_of_;                 ///< index of an element in species, -1
  double cutoff_ = 0;
  index_t n_features_ = 0, n_raw_ = 0;
  std::string not_differentiable_;  ///< why
};

/// A row per atom: tuples of two to four atoms that the atom belongs to, by the elements of the others. Channels of k = 2:
/// the element of the neighbour; of k = 3: the neighbours i <= j with the atom as vertex, j fastest, then the vertex and
/// the other end with the atom at an end; of k = 4: the others along the chain with the atom at its end, then with the
/// atom in second place.
class Lmbtr final : public Descriptor {
 public:
  /// No part of k = 1; normalization none or l2.
  explicit Lmbtr(MbtrParameters parameters);
  ~Lmbtr() override;

  double cutoff() const override { return cutoff_; }
  index_t n_features() const override { return n_features_; }
  index_t n_parts() const { return static_cast<index_t>(parts_.size()); }
  bool per_atom() const override { return true; }
  bool differentiable() const override { return not_differentiable_.empty(); }

  void transform(const StructureBatch& structures, const PairList& pairs, MatView<double> out) const override;
  /// As Mbtr::transform.
  void transform(const StructureBatch& structures, const PairList& pairs, MatView<double> out, Span<double> total,
                 Span<double> outside) const;
  std::unique_ptr<GradientContraction> contraction(const StructureBatch& structures, const PairList& pairs,
                                                   MatView<const double> Q) const override;
  std::unique_ptr<GradientContraction> jacobian(const StructureBatch& structures, const PairList& pairs) const override;
  void vjp(const StructureBatch& structures, const PairList& pairs, MatView<const double> dY_dX,
           MatView<double> dY_dpositions, MatView<double> dY_dstrain) const override;

 private:
  struct Workspace;
  class Jacobian;

  void check(const StructureBatch& structures, const PairList& pairs) const;
  std::unique_ptr<GradientContraction> make_jacobian(const StructureBatch& structures, const PairList& pairs,
                                                     MatView<const double> Q) const;
  /// Row i before the correlation into workspace.raw; adds to the weights of every part.
  void fill(const PairList& pairs, const std::vector<std::int32_t>& elements, index_t i, Workspace& workspace) const;
  /// Correlation and normalization of workspace.raw; the norm.
  double finish(Workspace& workspace, double* row) const;

  MbtrParameters parameters_;
  MbtrNormalization normalization_;
  std::vector<std::unique_ptr<mbtr::Part>> parts_;
  std::vector<std::unique_ptr<mbtr::Channels>> channels_;
  std::vector<index_t> raw_offsets_, offsets_;
  std::vector<int> element_of_;
  double cutoff_ = 0;
  index_t n_features_ = 0, n_raw_ = 0;
  std::string not_differentiable_;
};

}  // namespace mercer
