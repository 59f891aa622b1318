#include "descriptors/density_jacobian.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace mercer {
namespace {

/// With p = |p| x and J = dp / dr: dx / dr . q = (J q - (J . x) (x . q)) / |p|.
class JacobianContraction final : public DensityContraction {
 public:
  JacobianContraction(std::unique_ptr<DensityJacobian> jacobian, const Density& density, bool normalize,
                      const StructureBatch& structures, const PairList& pairs, MatView<const double> Q)
      : DensityContraction(density, normalize, structures, pairs), jacobian_(std::move(jacobian)), Q_(Q) {}

  std::unique_ptr<GradientContraction::Scratch> make_scratch() const override {
    auto scratch = std::make_unique<Work>();
    scratch->workspace = density_.make_workspace(pairs_, Density::Purpose::factors);
    scratch->jacobian = jacobian_->make_scratch();
    const index_t most = pairs_.most_neighbors();
    scratch->rows = Buffer<double>((3 * most + 8) * stride());
    scratch->p = Buffer<double>(jacobian_->n_features());
    scratch->p_touched = Buffer<double>(stride());
    scratch->along = Buffer<double>(3 * most);
    scratch->products = Buffer<double>(2 * Q_.n_vectors());
    return scratch;
  }

  void apply(index_t begin, index_t end, GradientContraction::Scratch& scratch, double* out, index_t out_stride,
             double* self) const override {
    for (index_t i = begin; i < end; ++i) {
      const index_t first = 3 * (pairs_.offsets[i] - pairs_.offsets[begin]);
      contract(i, static_cast<Work&>(scratch), out + first * out_stride, out_stride, self ? self + first : nullptr);
    }
  }

 private:
  struct Work final : GradientContraction::Scratch {
    Density::Workspace workspace;
    std::unique_ptr<DensityJacobian::Scratch> jacobian;
    std::vector<ColumnRun> runs;
    std::vector<double*> to;
    Buffer<double> rows;                  ///< Jacobian of one group, and the row itself behind
    Buffer<double> p, p_touched;          ///< the row, and its columns that a group touches
    Buffer<double> along;                 ///< J . p of every entry
    Buffer<double> products;              ///< p . q, and the part of one group
  };

  index_t stride() const { return (jacobian_->most_touched() + 7) / 8 * 8 + 8; }

  void contract(index_t centre, Work& work, double* out, index_t out_stride, double* self) const {
    Density::Workspace& ws = work.workspace;
    density_.expand(pairs_, species_, centre, ws);
    const index_t n_q = Q_.n_vectors(), first = pairs_.offsets[centre];
    clear(centre, out, out_stride, n_q, self);
    double *p = work.p.data(), *p_q = work.products.data(), *part = p_q + n_q;
    jacobian_->start(ws, p);
    double norm2 = 0;
    if (normalize_) {
      norm2 = simd::dot(p, p, jacobian_->n_features());
      std::fill_n(p_q, n_q, 0.0);
    }
    for (int g = 0; g < ws.n_groups; ++g) {
      jacobian_->touched(ws.present, g, work.runs);
      jacobian_->fill(ws, g, *work.jacobian, work.rows.data(), stride());
      index_t n_touched = 0;
      for (const ColumnRun& run : work.runs) {
        std::copy_n(p + run.begin, run.size, work.p_touched.data() + n_touched);
        n_touched += run.size;
      }
      work.to.clear();
      double* row = work.rows.data();
      for (index_t k = ws.group_begin[g]; k < ws.group_begin[g + 1] && ws.pair[k] >= 0; ++k) {
        for (int a = 0; a < 3; ++a, row += stride()) {
          const index_t e = 3 * (ws.pair[k] - first) + a;
          work.to.push_back(out + e * out_stride);
          work.along[e] = simd::dot(row, work.p_touched.data(), n_touched);
        }
      }
      if (normalize_) {  // the row itself, columns that several groups touch once
        double* column = row;
        for (const ColumnRun& run : work.runs) {
          if (run.first) {
            std::copy_n(p + run.begin, run.size, column);
          } else {
            std::fill_n(column, run.size, 0.0);
          }
          column += run.size;
        }
        work.to.push_back(part);
      }
      Q_.multiply(work.rows.data(), static_cast<index_t>(work.to.size()), stride(), work.runs, work.to.data());
      if (normalize_) {
        for (index_t q = 0; q < n_q; ++q) p_q[q] += part[q];
      }
    }
    finish(ws, centre, norm2, work.along.data(), p_q, out, out_stride, n_q, self);
  }

  std::unique_ptr<DensityJacobian> jacobian_;
  PackedVectors Q_;
};

class FullJacobian final : public DensityContraction {
 public:
  FullJacobian(std::unique_ptr<DensityJacobian> jacobian, const Density& density, bool normalize,
               const StructureBatch& structures, const PairList& pairs)
      : DensityContraction(density, normalize, structures, pairs), jacobian_(std::move(jacobian)) {}

  std::unique_ptr<GradientContraction::Scratch> make_scratch() const override {
    auto scratch = std::make_unique<Work>();
    scratch->workspace = density_.make_workspace(pairs_, Density::Purpose::factors);
    scratch->jacobian = jacobian_->make_scratch();
    const index_t most = pairs_.most_neighbors();
    scratch->rows = Buffer<double>((3 * most + 1) * stride());
    scratch->p = Buffer<double>(jacobian_->n_features());
    return scratch;
  }

  void apply(index_t begin, index_t end, GradientContraction::Scratch& scratch, double* out, index_t out_stride,
             double* self) const override {
    for (index_t i = begin; i < end; ++i) {
      const index_t first = 3 * (pairs_.offsets[i] - pairs_.offsets[begin]);
      write(i, static_cast<Work&>(scratch), out + first * out_stride, out_stride, self ? self + first : nullptr);
    }
  }

 private:
  struct Work final : GradientContraction::Scratch {
    Density::Workspace workspace;
    std::unique_ptr<DensityJacobian::Scratch> jacobian;
    std::vector<ColumnRun> runs;
    Buffer<double> rows, p;
  };

  index_t stride() const { return (jacobian_->most_touched() + 7) / 8 * 8 + 8; }

  void write(index_t centre, Work& work, double* out, index_t out_stride, double* self) const {
    Density::Workspace& ws = work.workspace;
    density_.expand(pairs_, species_, centre, ws);
    const index_t n = jacobian_->n_features();
    clear(centre, out, out_stride, n, self);
    double* p = work.p.data();
    jacobian_->start(ws, p);
    double inverse = 1;
    if (normalize_) {
      const double norm2 = simd::dot(p, p, n);
      inverse = norm2 > 0 ? 1 / std::sqrt(norm2) : 0;
      for (index_t k = 0; k < n; ++k) p[k] *= inverse;
    }
    for (int g = 0; g < ws.n_groups; ++g) {
      jacobian_->touched(ws.present, g, work.runs);
      jacobian_->fill(ws, g, *work.jacobian, work.rows.data(), stride());
      const double* row = work.rows.data();
      for (index_t k = ws.group_begin[g]; k < ws.group_begin[g + 1] && ws.pair[k] >= 0; ++k) {
        for (int a = 0; a < 3; ++a, row += stride()) {
          const index_t e = 3 * (ws.pair[k] - pairs_.offsets[centre]) + a;
          double along = 0;
          const double* from = row;
          for (const ColumnRun& run : work.runs) {
            along += simd::dot(from, p + run.begin, run.size);
            from += run.size;
          }
          if (self && !normalize_) self[e] = along;
          write_row(row, work.runs, p, normalize_ ? -inverse * along : 0.0, inverse, out + e * out_stride, n);
        }
      }
    }
  }

  /// to = factor row + projection p, where `row` has the columns of the runs.
  static void write_row(const double* row, const std::vector<ColumnRun>& runs, const double* p, double projection,
                        double factor, double* to, index_t n) {
    index_t done = 0;
    for (const ColumnRun& run : runs) {
      for (; done < run.begin; ++done) to[done] = projection * p[done];
      for (index_t k = 0; k < run.size; ++k) to[run.begin + k] = factor * row[k] + projection * p[run.begin + k];
      row += run.size;
      done = run.begin + run.size;
    }
    for (; done < n; ++done) to[done] = projection * p[done];
  }

  std::unique_ptr<DensityJacobian> jacobian_;
};

}  // namespace

RowEntries pair_entries(const PairList& pairs) {
  RowEntries entries;
  entries.offsets.assign(pairs.offsets.data(), pairs.offsets.data() + pairs.offsets.size());
  entries.origins.resize(pairs.n_atoms());
  std::iota(entries.origins.begin(), entries.origins.end(), 0);
  entries.atoms = pairs.neighbors.span();
  entries.vectors = pairs.vectors.span();
  return entries;
}

void DensityContraction::clear(index_t centre, double* out, index_t stride, index_t n_vectors, double* self) const {
  const double r_cut = density_.parameters().radial.r_cut;
  const index_t first = pairs_.offsets[centre];
  for (index_t p = first; p < pairs_.offsets[centre + 1]; ++p) {
    if (self) std::fill_n(self + 3 * (p - first), 3, 0.0);
    if (pairs_.distances[p] < r_cut && species_[pairs_.neighbors[p]] >= 0) continue;
    for (int a = 0; a < 3; ++a) std::fill_n(out + (3 * (p - first) + a) * stride, n_vectors, 0.0);
  }
}

void DensityContraction::finish(const Density::Workspace& ws, index_t centre, double norm2, const double* along,
                                const double* p_q, double* out, index_t stride, index_t n_vectors, double* self) const {
  const double inverse = norm2 > 0 ? 1 / std::sqrt(norm2) : 0, inverse3 = inverse * inverse * inverse;
  for (int g = 0; g < ws.n_groups; ++g) {
    for (index_t k = ws.group_begin[g]; k < ws.group_begin[g + 1] && ws.pair[k] >= 0; ++k) {
      for (int a = 0; a < 3; ++a) {
        const index_t e = 3 * (ws.pair[k] - pairs_.offsets[centre]) + a;
        if (normalize_) {
          double* row = out + e * stride;
          const double factor = inverse3 * along[e];
          for (index_t q = 0; q < n_vectors; ++q) row[q] = inverse * row[q] - factor * p_q[q];
        } else if (self) {
          self[e] = along[e];
        }
      }
    }
  }
}

std::unique_ptr<GradientContraction> make_full_jacobian(std::unique_ptr<DensityJacobian> jacobian,
                                                        const Density& density, bool normalize,
                                                        const StructureBatch& structures, const PairList& pairs) {
  return std::make_unique<FullJacobian>(std::move(jacobian), density, normalize, structures, pairs);
}

std::unique_ptr<GradientContraction> make_jacobian_contraction(std::unique_ptr<DensityJacobian> jacobian,
                                                               const Density& density, bool normalize,
                                                               const StructureBatch& structures, const PairList& pairs,
                                                               MatView<const double> Q) {
  return std::make_unique<JacobianContraction>(std::move(jacobian), density, normalize, structures, pairs, Q);
}

}  // namespace mercer
