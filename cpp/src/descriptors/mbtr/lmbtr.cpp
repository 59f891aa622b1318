#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>

#include "consumers.hpp"
#include "mercer/core/error.hpp"
#include "mercer/core/parallel.hpp"
#include "mercer/descriptors/mbtr.hpp"
#include "setup.hpp"
#include "tuples.hpp"

namespace mercer {

using mbtr::Channels;
using mbtr::Deposit;
using mbtr::Elements;
using mbtr::Legs;
using mbtr::Lines;
using mbtr::padding;
using mbtr::Part;
using mbtr::TupleBatch;

namespace {

constexpr index_t chunk_atoms = 8;

/// The runs of channels of a part; see for_each_local_tuple.
std::vector<mbtr::ChannelBlock> local_blocks(int order) {
  if (order == 2) return {{1, false}};
  if (order == 3) return {{2, true}, {2, false}};
  return {{3, false}, {3, false}};
}

/// No atom of a tuple is further from the centre than this.
double local_reach(const Part& part) {
  return std::min(part.weight().edge_reach(), (part.order() - 1) * part.weight().leg_reach());
}

}  // namespace

struct Lmbtr::Workspace {
  TupleBatch batch;
  Lines lines;
  Legs legs;
  std::vector<Deposit> deposits;
  std::vector<double> padded, raw, row, gradients;

  explicit Workspace(const Lmbtr& lmbtr)
      : lines(lmbtr.parts_), deposits(lmbtr.parts_.size()), raw(lmbtr.n_raw_), row(lmbtr.n_features_) {
    index_t n = 0;
    for (const auto& part : lmbtr.parts_) n = std::max(n, part->n());
    padded.resize(n + 2 * padding);
  }
};

Lmbtr::Lmbtr(MbtrParameters parameters)
    : parameters_(std::move(parameters)),
      normalization_(mbtr_normalization(parameters_.normalization)),
      element_of_(mbtr::element_table(parameters_.species)) {
  mbtr::check(parameters_);
  MERCER_REQUIRE(normalization_ == MbtrNormalization::none || normalization_ == MbtrNormalization::l2,
                 "normalization='", parameters_.normalization, "': expected none or l2 for rows of atoms");
  raw_offsets_ = offsets_ = {0};
  for (const MbtrPart& p : parameters_.parts) {
    MERCER_REQUIRE(p.order > 1, "k1 says nothing of the neighbours of an atom; give k2, k3 or k4");
    parts_.push_back(std::make_unique<Part>(p));
    channels_.push_back(std::make_unique<Channels>(
        local_blocks(p.order), static_cast<int>(parameters_.species.size()), parameters_.correlation));
    raw_offsets_.push_back(raw_offsets_.back() + channels_.back()->n_raw() * p.n);
    offsets_.push_back(offsets_.back() + channels_.back()->n_out() * p.n);
    cutoff_ = std::max(cutoff_, mbtr::list_cutoff(local_reach(*parts_.back())));
    if (parts_.back()->broadening().jumps()) not_differentiable_ = mbtr::why_it_jumps(p);
  }
  n_raw_ = raw_offsets_.back();
  n_features_ = offsets_.back();
}

Lmbtr::~Lmbtr() = default;

void Lmbtr::check(const StructureBatch& structures, const PairList& pairs) const {
  mbtr::check_input("LMBTR", structures, pairs, cutoff_, element_of_, parameters_.ignore_unknown);
  for (const auto& part : parts_) {
    for (index_t f = 0; f < structures.n_frames(); ++f) {
      double n = 0;  // about so many; neighbours on legs only where the reach is that of legs
      const double leg = part->weight().leg_reach();
      for (index_t i = structures.offsets[f]; i < structures.offsets[f + 1]; ++i) {
        const auto near = static_cast<double>(
            std::count_if(pairs.distances.data() + pairs.offsets[i], pairs.distances.data() + pairs.offsets[i + 1],
                          [&](double d) { return d <= leg; }));
        n += part->order() == 2 ? near : part->order() == 3 ? 1.5 * near * near : 2 * near * near * near;
      }
      mbtr::require_tuples(f, part->order(), n, parameters_.max_tuples);
    }
  }
}

namespace {

/// Calls body(part, p, channel, first column) for the channels of centre i whose elements are around it.
template <class Body>
void for_each_local_channel(const std::vector<std::unique_ptr<Part>>& parts,
                            const std::vector<std::unique_ptr<Channels>>& channels,
                            const std::vector<index_t>& offsets, const PairList& pairs,
                            const std::vector<std::int32_t>& elements, int n_elements, index_t i, Legs& legs,
                            const Body& body) {
  for (std::size_t p = 0; p < parts.size(); ++p) {
    const Part& part = *parts[p];
    legs.build(pairs, elements, n_elements, i, i + 1, local_reach(part));
    index_t offset = offsets[p];
    for (const auto& channel : channels[p]->raw()) {
      bool there = true;
      for (int t = 0; t < part.order() - 1; ++t) there = there && legs.of(i, channel.z[t]).size > 0;
      if (there) body(part, p, channel, offset);
      offset += part.n();
    }
  }
}

}  // namespace

void Lmbtr::fill(const PairList& pairs, const std::vector<std::int32_t>& elements, index_t i, Workspace& w) const {
  std::fill(w.raw.begin(), w.raw.end(), 0.0);
  for_each_local_channel(
      parts_, channels_, raw_offsets_, pairs, elements, static_cast<int>(parameters_.species.size()), i, w.legs,
      [&](const Part& part, std::size_t p, const Channels::Channel& channel, index_t column) {
        std::fill_n(w.padded.data(), part.n() + 2 * padding, 0.0);
        for_each_local_tuple(pairs, w.legs, part.order(), channel.block, channel.z, i, part.weight().leg_reach(),
                             w.batch,
                             [&](TupleBatch& batch) { w.deposits[p](part, batch, w.lines, w.padded.data()); });
        std::copy_n(w.padded.data() + padding, part.n(), w.raw.data() + column);
      });
}

double Lmbtr::finish(Workspace& w, double* row) const {
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    channels_[p]->forward(w.raw.data() + raw_offsets_[p], parts_[p]->n(), row + offsets_[p]);
  }
  if (normalization_ == MbtrNormalization::none) return 1;
  const double norm = std::sqrt(simd::dot(row, row, n_features_));
  for (index_t c = 0; norm > 0 && c < n_features_; ++c) row[c] /= norm;
  return norm;
}

void Lmbtr::transform(const StructureBatch& structures, const PairList& pairs, MatView<double> out) const {
  transform(structures, pairs, out, {}, {});
}

void Lmbtr::transform(const StructureBatch& structures, const PairList& pairs, MatView<double> out, Span<double> total,
                      Span<double> outside) const {
  check(structures, pairs);
  const index_t n_atoms = structures.n_atoms(), n_parts = this->n_parts();
  MERCER_REQUIRE(out.rows == n_atoms && out.cols == n_features_, "LMBTR: out has shape (", out.rows, ", ", out.cols,
                 "), expected (", n_atoms, ", ", n_features_, ")");
  const auto elements = mbtr::elements_of_atoms(structures, element_of_);
  const index_t n_chunks = (n_atoms + chunk_atoms - 1) / chunk_atoms;
  std::vector<Deposit> weights(n_chunks * n_parts);
  parallel_for(n_chunks, [&] { return Workspace(*this); }, [&](Workspace& w, index_t chunk) {
    std::fill(w.deposits.begin(), w.deposits.end(), Deposit());
    for (index_t i = chunk * chunk_atoms; i < std::min(n_atoms, (chunk + 1) * chunk_atoms); ++i) {
      fill(pairs, elements, i, w);
      finish(w, out.row(i));
    }
    std::copy(w.deposits.begin(), w.deposits.end(), weights.begin() + chunk * n_parts);
  });
  for (index_t p = 0; p < n_parts; ++p) {
    double sum = 0, beside = 0;
    for (index_t chunk = 0; chunk < n_chunks; ++chunk) {
      sum += weights[chunk * n_parts + p].total;
      beside += weights[chunk * n_parts + p].outside;
    }
    if (!total.empty()) total[p] = sum;
    if (!outside.empty()) outside[p] = beside;
  }
}

void Lmbtr::vjp(const StructureBatch& structures, const PairList& pairs, MatView<const double> dY_dX,
                MatView<double> dY_dpositions, MatView<double> dY_dstrain) const {
  MERCER_REQUIRE(not_differentiable_.empty(), "LMBTR: ", not_differentiable_);
  check(structures, pairs);
  const index_t n_atoms = structures.n_atoms();
  MERCER_REQUIRE(dY_dX.rows == n_atoms && dY_dX.cols == n_features_, "LMBTR: dY_dX has shape (", dY_dX.rows, ", ",
                 dY_dX.cols, "), expected (", n_atoms, ", ", n_features_, ")");
  const auto elements = mbtr::elements_of_atoms(structures, element_of_);
  const bool l2 = normalization_ == MbtrNormalization::l2;
  Buffer<Vec3> gradients(pairs.n_pairs());  // by the vector of every pair
  const index_t n_chunks = (n_atoms + chunk_atoms - 1) / chunk_atoms;
  parallel_for(n_chunks, [&] { return Workspace(*this); }, [&](Workspace& w, index_t chunk) {
    std::vector<double> dY(n_features_);
    double strain[9] = {};
    for (index_t i = chunk * chunk_atoms; i < std::min(n_atoms, (chunk + 1) * chunk_atoms); ++i) {
      std::copy_n(dY_dX.row(i), n_features_, dY.data());
      if (l2) {
        fill(pairs, elements, i, w);
        const double norm = finish(w, w.row.data()), inverse = norm > 0 ? 1 / norm : 0;
        const double along = simd::dot(w.row.data(), dY.data(), n_features_);
        for (index_t c = 0; c < n_features_; ++c) dY[c] = (dY[c] - along * w.row[c]) * inverse;
      }
      for (std::size_t p = 0; p < parts_.size(); ++p) {
        channels_[p]->backward(dY.data() + offsets_[p], parts_[p]->n(), w.raw.data() + raw_offsets_[p]);
      }
      const index_t first = pairs.offsets[i], n = pairs.offsets[i + 1] - first;
      w.gradients.assign(3 * (n + 1), 0.0);
      for_each_local_channel(
          parts_, channels_, raw_offsets_, pairs, elements, static_cast<int>(parameters_.species.size()), i, w.legs,
          [&](const Part& part, std::size_t, const Channels::Channel& channel, index_t column) {
            const double* from = w.raw.data() + column;
            if (std::all_of(from, from + part.n(), [](double x) { return x == 0; })) return;
            std::fill_n(w.padded.data(), part.n() + 2 * padding, 0.0);
            std::copy_n(from, part.n(), w.padded.data() + padding);
            for_each_local_tuple(pairs, w.legs, part.order(), channel.block, channel.z, i, part.weight().leg_reach(),
                                 w.batch, [&](TupleBatch& batch) {
                                   mbtr::reverse(part, batch, w.lines, w.padded.data(), w.gradients.data(), strain);
                                 });
          });
      for (index_t e = 0; e < n; ++e) std::copy_n(w.gradients.data() + 3 * (e + 1), 3, gradients[first + e].data());
    }
  });
  parallel_for(structures.n_frames(), [&](index_t f) {
    const index_t begin = structures.offsets[f], end = structures.offsets[f + 1];
    for (index_t i = begin; i < end; ++i) std::fill_n(dY_dpositions.row(i), 3, 0.0);
    double strain[9] = {};
    for (index_t i = begin; i < end; ++i) {
      for (index_t p = pairs.offsets[i]; p < pairs.offsets[i + 1]; ++p) {
        double* atom = dY_dpositions.row(pairs.neighbors[p]);
        for (int a = 0; a < 3; ++a) {
          atom[a] += gradients[p][a];
          dY_dpositions(i, a) -= gradients[p][a];
          for (int b = 0; b < 3; ++b) strain[3 * a + b] += gradients[p][a] * pairs.vectors[p][b];
        }
      }
    }
    std::copy_n(strain, 9, dY_dstrain.row(f));
  });
}

/// The Jacobian of every row by the vectors to its neighbours, times Q; or without Q, itself.
class Lmbtr::Jacobian final : public GradientContraction {
 public:
  Jacobian(const Lmbtr& lmbtr, const StructureBatch& structures, const PairList& pairs, MatView<const double> Q)
      : lmbtr_(lmbtr), pairs_(pairs), Q_(Q), elements_(mbtr::elements_of_atoms(structures, lmbtr.element_of_)) {
    // The pair list may be that of a larger cutoff; results must not depend on it.
    struct Kept {
      std::vector<std::int32_t> atoms;
      std::vector<Vec3> vectors;
    };
    const auto kept = std::make_shared<Kept>();
    entries_.offsets.assign(1, 0);
    for (index_t i = 0; i < structures.n_atoms(); ++i) {
      for (index_t p = pairs.offsets[i]; p < pairs.offsets[i + 1]; ++p) {
        if (!(pairs.distances[p] < lmbtr.cutoff_)) continue;
        kept->atoms.push_back(pairs.neighbors[p]);
        kept->vectors.push_back(pairs.vectors[p]);
      }
      entries_.offsets.push_back(static_cast<index_t>(kept->atoms.size()));
      entries_.origins.push_back(static_cast<std::int32_t>(i));
    }
    entries_.atoms = kept->atoms;
    entries_.vectors = kept->vectors;
    entries_.storage = kept;
  }
  const RowEntries& entries() const override { return entries_; }
  std::unique_ptr<GradientContraction::Scratch> make_scratch() const override {
    return std::make_unique<JacobianScratch>(lmbtr_);
  }
  void apply(index_t begin, index_t end, GradientContraction::Scratch& scratch, double* out, index_t out_stride,
             double* self) const override {
    Workspace& w = static_cast<JacobianScratch&>(scratch).workspace;
    auto& [raw, lines] = static_cast<JacobianScratch&>(scratch).buffers;
    using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const index_t F = lmbtr_.n_features_;
    for (index_t i = begin; i < end; ++i) {
      const index_t n = 3 * (entries_.offsets[i + 1] - entries_.offsets[i]);
      differentiate(i, n, w, raw, lines, self != nullptr);
      if (Q_.data) {
        const Eigen::Map<const Matrix> J(lines.data(), n, F);
        const Eigen::Map<const Matrix, 0, Eigen::OuterStride<>> Q(Q_.data, Q_.rows, F, Eigen::OuterStride<>(Q_.stride));
        Eigen::Map<Matrix, 0, Eigen::OuterStride<>> product(out, n, Q_.rows, Eigen::OuterStride<>(out_stride));
        product.noalias() = J * Q.transpose();
      } else {
        for (index_t k = 0; k < n; ++k) std::copy_n(lines.data() + k * F, F, out + k * out_stride);
      }
      out += n * out_stride;
      if (!self) continue;
      for (index_t k = 0; k < n; ++k) self[k] = simd::dot(lines.data() + k * F, w.row.data(), F);
      self += n;
    }
  }

 private:
  struct JacobianScratch final : GradientContraction::Scratch {
    Workspace workspace;
    struct {
      std::vector<double> raw, lines;
    } buffers;
    explicit JacobianScratch(const Lmbtr& lmbtr) : workspace(lmbtr) {}
  };

  /// lines (n, n_features): the derivatives of row i; its values in w.row where they are needed.
  void differentiate(index_t i, index_t n, Workspace& w, std::vector<double>& raw, std::vector<double>& lines,
                     bool values) const {
    const Lmbtr& l = lmbtr_;
    const auto n_elements = static_cast<int>(l.parameters_.species.size());
    const bool l2 = l.normalization_ == MbtrNormalization::l2;
    double norm = 1;
    if (l2 || values) {
      l.fill(pairs_, elements_, i, w);
      norm = l.finish(w, w.row.data());
    }
    const bool direct = std::none_of(l.channels_.begin(), l.channels_.end(), [](const auto& c) { return c->mixes(); });
    std::vector<double>& target = direct ? lines : raw;
    target.assign(n * l.n_raw_, 0.0);
    for_each_local_channel(
        l.parts_, l.channels_, l.raw_offsets_, pairs_, elements_, n_elements, i, w.legs,
        [&](const Part& part, std::size_t, const Channels::Channel& channel, index_t column) {
          const index_t stride = part.n() + 2 * padding;
          const index_t first = pairs_.offsets[i], n_pairs = pairs_.offsets[i + 1] - first;
          w.gradients.assign(3 * (n_pairs + 1) * stride, 0.0);  // the centre, then all pairs
          for_each_local_tuple(pairs_, w.legs, part.order(), channel.block, channel.z, i, part.weight().leg_reach(),
                               w.batch, [&](TupleBatch& batch) {
                                 mbtr::differentiate(part, batch, w.lines, w.gradients.data(), stride);
                               });
          double* line = target.data() + column;
          for (index_t e = 0; e < n_pairs; ++e) {
            if (!(pairs_.distances[first + e] < l.cutoff_)) continue;
            for (int a = 0; a < 3; ++a, line += l.n_raw_) {
              std::copy_n(w.gradients.data() + (3 * (e + 1) + a) * stride + padding, part.n(), line);
            }
          }
        });
    if (!direct) {
      lines.resize(n * l.n_features_);
      for (index_t k = 0; k < n; ++k) {
        for (std::size_t p = 0; p < l.parts_.size(); ++p) {
          l.channels_[p]->forward(raw.data() + k * l.n_raw_ + l.raw_offsets_[p], l.parts_[p]->n(),
                                  lines.data() + k * l.n_features_ + l.offsets_[p]);
        }
      }
    }
    if (!l2) return;
    const double inverse = norm > 0 ? 1 / norm : 0;
    for (index_t k = 0; k < n; ++k) {
      double* line = lines.data() + k * l.n_features_;
      const double along = simd::dot(line, w.row.data(), l.n_features_);
      for (index_t c = 0; c < l.n_features_; ++c) line[c] = (line[c] - along * w.row[c]) * inverse;
    }
  }

  const Lmbtr& lmbtr_;
  const PairList& pairs_;
  MatView<const double> Q_;
  std::vector<std::int32_t> elements_;
  RowEntries entries_;
};

std::unique_ptr<GradientContraction> Lmbtr::make_jacobian(const StructureBatch& structures, const PairList& pairs,
                                                          MatView<const double> Q) const {
  MERCER_REQUIRE(not_differentiable_.empty(), "LMBTR: ", not_differentiable_);
  check(structures, pairs);
  return std::make_unique<Jacobian>(*this, structures, pairs, Q);
}

std::unique_ptr<GradientContraction> Lmbtr::contraction(const StructureBatch& structures, const PairList& pairs,
                                                        MatView<const double> Q) const {
  MERCER_REQUIRE(Q.cols == n_features_, "LMBTR: Q has ", Q.cols, " columns, expected ", n_features_);
  return make_jacobian(structures, pairs, Q);
}

std::unique_ptr<GradientContraction> Lmbtr::jacobian(const StructureBatch& structures, const PairList& pairs) const {
  return make_jacobian(structures, pairs, {});
}

}  // namespace mercer
