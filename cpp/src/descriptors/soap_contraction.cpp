#include "descriptors/soap_contraction.hpp"

#include <algorithm>
#include <cmath>

#include "descriptors/density_jacobian.hpp"
#include "descriptors/power_block.hpp"

namespace mercer {
namespace {

/// Rows (atoms) at a time: they share one pass over the vectors.
constexpr int n_together = 4;

class CoefficientContraction final : public DensityContraction {
 public:
  CoefficientContraction(const Soap& soap, bool normalize, const StructureBatch& structures, const PairList& pairs,
                         MatView<const double> Q)
      : DensityContraction(soap.density(), normalize, structures, pairs),
        soap_(soap),
        n_max_(density_.n_max()),
        n_l_(density_.l_max() + 1),
        size_(static_cast<index_t>(density_.n_lm()) * n_max_),
        all_(static_cast<index_t>(density_.n_channels()) * n_max_),
        n_vectors_(Q.rows) {
    unpack(Q);
  }

  index_t rows_together() const override { return n_together; }

  std::unique_ptr<Scratch> make_scratch() const override {
    auto work = std::make_unique<Work>();
    work->most = pairs_.most_neighbors();
    for (Atom& atom : work->atoms) {
      atom.workspace = density_.make_workspace(pairs_, Density::Purpose::factors);
      atom.derivatives = Buffer<double>((3 * work->most + 4) * stride());
      atom.along = Buffer<double>(3 * work->most);
      atom.p_q = Buffer<double>(n_panels() * panel_width);
      atom.adjoints = Buffer<double>(density_.n_channels() * size_);
    }
    work->radial = Buffer<double>(2 * n_l_ * density_.n_pad());
    work->coefficients = Buffer<double>(all_ * n_together * density_.n_lm());
    work->gram = Buffer<double>((2 * n_l_ - 1) * (2 * n_l_ - 1));
    work->slopes = Buffer<double>(density_.n_channels() * n_together * size_ * panel_width);
    work->mixed = Buffer<double>(density_.channels_are_species() ? 0 : size_ * panel_width);
    return work;
  }

  void apply(index_t begin, index_t end, Scratch& scratch, double* out, index_t out_stride, double* self) const override {
    for (index_t i = begin; i < end; i += n_together) {
      const index_t first = 3 * (pairs_.offsets[i] - pairs_.offsets[begin]);
      contract(i, static_cast<int>(std::min<index_t>(n_together, end - i)), static_cast<Work&>(scratch),
               out + first * out_stride, out_stride, self ? self + first : nullptr);
    }
  }

 private:
  /// One row and what belongs to it.
  struct Atom {
    Density::Workspace workspace;
    std::vector<index_t> first_row;  ///< of every group in `derivatives` and `to`, and their number
    std::vector<double*> to;
    Buffer<double> derivatives;  ///< [3 neighbour + a][lm][n] of the coefficients of its species
    Buffer<double> adjoints;     ///< [present][lm][n] d(|p|^2 / 2) / dc
    Buffer<double> along, p_q;   ///< J . p, p . q
    double norm2;
  };
  struct Work final : Scratch {
    Atom atoms[n_together];
    index_t most = 0;
    std::vector<int> channels;  ///< present around any of the atoms
    std::vector<ColumnRun> runs;
    std::vector<double*> columns;
    Buffer<double> radial, gram;
    Buffer<double> coefficients;  ///< [l][channel, n][atom, m], zeros for absent channels
    Buffer<double> slopes;        ///< [channel][atom][lm][n][vector of a panel] dY_q / dc
    Buffer<double> mixed;         ///< the same of one species, for a channel matrix
  };

  index_t n_panels() const { return (n_vectors_ + panel_width - 1) / panel_width; }
  index_t stride() const { return (size_ + 7) / 8 * 8 + 8; }
  index_t panel_size() const { return n_l_ * all_ * all_ * panel_width; }

  /// Vectors as symmetric matrices Q_AB over A = (channel, n), so that dY/dc_A = sum_B Q_AB c_B, in panels
  /// [panel][channel][l][n][B][panel_width].
  void unpack(MatView<const double> Q) {
    packed_ = Buffer<double>(n_panels() * panel_size());
    const int n_channels = density_.n_channels();
    const auto offsets = soap_.block_offsets();
    std::vector<char> present(n_channels, 0);  // around any atom: the rest is never read
    for (index_t i = 0; i < pairs_.n_atoms(); ++i) {
      for (const int channel : density_.present_channels(pairs_, species_, i)) present[channel] = 1;
    }
    parallel_for(n_panels(), [&](index_t p) {
      double* panel = packed_.data() + p * panel_size();
      for (int v = 0; v < panel_width; ++v) {
        const index_t q = p * panel_width + v;
        const auto put = [&](int a, int n, int b, int n2, int l, double value) {
          panel[((((a * n_l_ + l) * n_max_ + n) * all_) + b * n_max_ + n2) * panel_width + v] = value;
        };
        index_t block = 0;
        for (int a = 0; a < n_channels; ++a) {
          for (int b = a; b < n_channels; ++b, ++block) {
            if (!present[a] || !present[b]) continue;
            index_t feature = offsets[block];
            for (int l = 0; l < n_l_; ++l) {
              for (int n = 0; n < n_max_; ++n) {
                for (int n2 = a == b ? n : 0; n2 < n_max_; ++n2, ++feature) {
                  const double value = q < n_vectors_ ? Q(q, feature) : 0.0;
                  if (a == b && n == n2) {
                    put(a, n, b, n2, l, sqrt_2 * value);
                  } else {
                    put(a, n, b, n2, l, value);
                    put(b, n2, a, n, l, value);
                  }
                }
              }
            }
          }
        }
      }
    });
  }

  void contract(index_t begin, int n_atoms, Work& work, double* out, index_t out_stride, double* self) const {
    work.channels.clear();
    for (int t = 0; t < n_atoms; ++t) {
      const index_t first = 3 * (pairs_.offsets[begin + t] - pairs_.offsets[begin]);
      Atom& atom = work.atoms[t];
      density_.expand(pairs_, species_, begin + t, atom.workspace);
      clear(begin + t, out + first * out_stride, out_stride, n_vectors_, self ? self + first : nullptr);
      norm_adjoints(atom, work.gram.data());
      derivatives(atom, begin + t, work.radial.data(), out + first * out_stride, out_stride);
      const std::vector<int>& present = atom.workspace.present;
      std::vector<int> all;
      std::set_union(work.channels.begin(), work.channels.end(), present.begin(), present.end(), std::back_inserter(all));
      work.channels.swap(all);
    }
    work.runs.clear();
    for (const int channel : work.channels) {
      const index_t column = static_cast<index_t>(channel) * n_max_;
      if (!work.runs.empty() && work.runs.back().begin + work.runs.back().size == column) {
        work.runs.back().size += n_max_;
      } else {
        work.runs.push_back({column, n_max_, true});
      }
    }
    gather_coefficients(work, n_atoms);
    for (index_t p = 0; p < n_panels(); ++p) {
      for (const int channel : work.channels) slopes(p, channel, work, n_atoms);
      for (int t = 0; t < n_atoms; ++t) multiply(p, work, t);
    }
    for (int t = 0; t < n_atoms; ++t) {
      const index_t first = 3 * (pairs_.offsets[begin + t] - pairs_.offsets[begin]);
      Atom& atom = work.atoms[t];
      finish(atom.workspace, begin + t, atom.norm2, atom.along.data(), atom.p_q.data(), out + first * out_stride,
             out_stride, n_vectors_, self ? self + first : nullptr);
    }
  }

  const double* coefficients(const Density::Workspace& ws, int k, int lm) const {
    return ws.coefficients[k] + lm * density_.n_pad() + density_.pad();
  }

  /// |p|^2 = sum_l |Gram_l|^2 / (2l + 1) with Gram_mm' = sum_A c_Am c_Am', and half its derivative, 2 Gram c / (2l + 1).
  void norm_adjoints(Atom& atom, double* gram) const {
    const Density::Workspace& ws = atom.workspace;
    atom.norm2 = 0;
    for (int l = 0; l < n_l_; ++l) {
      const int n_m = 2 * l + 1;
      std::fill_n(gram, n_m * n_m, 0.0);
      for (int k = 0; k < ws.n_present; ++k) {
        for (int m = 0; m < n_m; ++m) {
          for (int m2 = 0; m2 <= m; ++m2) {
            const double *x = coefficients(ws, k, l * l + m), *y = coefficients(ws, k, l * l + m2);
            double sum = 0;
            for (int n = 0; n < n_max_; ++n) sum += x[n] * y[n];
            gram[m * n_m + m2] += sum;
          }
        }
      }
      for (int m = 0; m < n_m; ++m) {
        for (int m2 = 0; m2 <= m; ++m2) {
          const double g = gram[m * n_m + m2];
          gram[m2 * n_m + m] = g;
          atom.norm2 += (m == m2 ? 1 : 2) * g * g / n_m;
        }
      }
      for (int k = 0; k < ws.n_present; ++k) {
        for (int m = 0; m < n_m; ++m) {
          double* to = atom.adjoints.data() + k * size_ + (l * l + m) * n_max_;
          std::fill_n(to, n_max_, 0.0);
          for (int m2 = 0; m2 < n_m; ++m2) {
            const double g = 2 * gram[m * n_m + m2] / n_m;
            const double* c = coefficients(ws, k, l * l + m2);
            for (int n = 0; n < n_max_; ++n) to[n] += g * c[n];
          }
        }
      }
    }
  }

  /// Derivatives of the coefficients of its species with respect to every neighbour, and J . p.
  void derivatives(Atom& atom, index_t centre, double* radial, double* out, index_t out_stride) const {
    const Density::Workspace& ws = atom.workspace;
    double *U = radial, *V = radial + n_l_ * density_.n_pad();
    atom.first_row.clear();
    atom.to.clear();
    std::vector<double> adjoint(size_);
    for (int g = 0; g < ws.n_groups; ++g) {
      atom.first_row.push_back(atom.to.size());
      for (index_t i = 0; i < size_; ++i) {
        if (density_.channels_are_species()) {
          adjoint[i] = atom.adjoints[g * size_ + i];
        } else {
          adjoint[i] = 0;
          for (int k = 0; k < ws.n_present; ++k) {
            adjoint[i] += density_.weight(ws.group_species[g], ws.present[k]) * atom.adjoints[k * size_ + i];
          }
        }
      }
      for (index_t k = ws.group_begin[g]; k < ws.group_begin[g + 1] && ws.pair[k] >= 0; ++k) {
        const Density::PairFactors pair = density_.pair_factors(ws, k, U, V);
        for (int a = 0; a < 3; ++a) {
          double* row = atom.derivatives.data() + static_cast<index_t>(atom.to.size()) * stride();
          const index_t e = 3 * (ws.pair[k] - pairs_.offsets[centre]) + a;
          double along = 0;
          for (int l = 0, lm = 0; l < n_l_; ++l) {
            const double *u = U + l * density_.n_pad() + density_.pad(), *v = V + l * density_.n_pad() + density_.pad();
            for (int m = 0; m < 2 * l + 1; ++m, ++lm) {
              const double x = pair.direction[a] * pair.harmonics[lm * pair.stride];
              const double y = pair.gradients[(3 * lm + a) * pair.stride];
              double* to = row + lm * n_max_;
              const double* h = adjoint.data() + lm * n_max_;
              for (int n = 0; n < n_max_; ++n) {
                to[n] = x * u[n] + y * v[n];
                along += to[n] * h[n];
              }
            }
          }
          atom.along[e] = along;
          atom.to.push_back(out + e * out_stride);
        }
      }
    }
    atom.first_row.push_back(atom.to.size());
  }

  /// Columns (atom, m) of every l, padded to full tiles of rows.
  index_t n_columns(int l, int n_atoms) const { return (n_atoms * (2 * l + 1) + tile_rows - 1) / tile_rows * tile_rows; }

  void gather_coefficients(Work& work, int n_atoms) const {
    double* to = work.coefficients.data();
    for (int l = 0; l < n_l_; ++l) {
      const index_t columns = n_columns(l, n_atoms);
      const double factor = sqrt_2 / std::sqrt(2.0 * l + 1.0);
      std::fill_n(to, all_ * columns, 0.0);
      for (int t = 0; t < n_atoms; ++t) {
        const Density::Workspace& ws = work.atoms[t].workspace;
        for (int k = 0; k < ws.n_present; ++k) {
          for (int m = 0; m < 2 * l + 1; ++m) {
            const double* c = coefficients(ws, k, l * l + m);
            double* column = to + ws.present[k] * n_max_ * columns + t * (2 * l + 1) + m;
            for (int n = 0; n < n_max_; ++n) column[n * columns] = factor * c[n];
          }
        }
      }
      to += all_ * columns;
    }
  }

  /// dY_q / dc of one channel for all atoms and the vectors of a panel.
  void slopes(index_t p, int channel, Work& work, int n_atoms) const {
    const double* panel = packed_.data() + p * panel_size() + channel * n_l_ * n_max_ * all_ * panel_width;
    double* slopes = work.slopes.data() + channel * n_together * size_ * panel_width;
    const double* c = work.coefficients.data();
    for (int l = 0; l < n_l_; ++l) {
      const index_t columns = n_columns(l, n_atoms);
      for (int n = 0; n < n_max_; ++n, panel += all_ * panel_width) {
        const auto some_columns = [&](auto& sum, index_t j) {
          constexpr int R = sizeof(sum) / sizeof(sum[0]);
          for (const ColumnRun& run : work.runs) {
            add_tile_product(c + run.begin * columns + j, 1, columns, panel + run.begin * panel_width, panel_width,
                             run.size, sum);
          }
          for (int r = 0; r < R && j + r < n_atoms * (2 * l + 1); ++r) {
            const index_t t = (j + r) / (2 * l + 1), lm = l * l + (j + r) % (2 * l + 1);
            sum[r].store(slopes + (t * size_ + lm * n_max_ + n) * panel_width);
          }
        };
        index_t j = 0;
        for (; j + panel_rows <= columns; j += panel_rows) {
          simd::Tile<panel_width> sum[panel_rows] = {};
          some_columns(sum, j);
        }
        for (; j < columns; j += tile_rows) {
          simd::Tile<panel_width> sum[tile_rows] = {};
          some_columns(sum, j);
        }
      }
      c += all_ * columns;
    }
  }

  /// Derivatives of coefficients times slopes; p . q = 1/2 sum c dY_q/dc, since p is homogeneous of degree two in c.
  void multiply(index_t p, Work& work, int t) const {
    Atom& atom = work.atoms[t];
    const Density::Workspace& ws = atom.workspace;
    const std::vector<ColumnRun> run{{0, size_, true}};
    const auto slopes_of = [&](int channel) {
      return work.slopes.data() + (channel * n_together + t) * size_ * panel_width;
    };
    if (normalize_) {
      simd::Tile<panel_width> sum{};
      for (int k = 0; k < ws.n_present; ++k) {
        const double* slopes = slopes_of(ws.present[k]);
        for (int lm = 0; lm < density_.n_lm(); ++lm) {
          const double* c = coefficients(ws, k, lm);
          for (int n = 0; n < n_max_; ++n, slopes += panel_width) {
            sum.add(0.5 * c[n], simd::Tile<panel_width>::load(slopes));
          }
        }
      }
      sum.store(atom.p_q.data() + p * panel_width);
    }
    for (int g = 0; g < ws.n_groups; ++g) {
      const double* slopes = nullptr;
      if (density_.channels_are_species()) {
        slopes = slopes_of(ws.present[g]);
      } else {
        std::fill_n(work.mixed.data(), size_ * panel_width, 0.0);
        for (const int J : ws.present) {
          const double weight = density_.weight(ws.group_species[g], J);
          const double* from = slopes_of(J);
          for (index_t i = 0; i < size_ * panel_width; ++i) work.mixed[i] += weight * from[i];
        }
        slopes = work.mixed.data();
      }
      panel_product(atom.derivatives.data() + atom.first_row[g] * stride(), atom.first_row[g + 1] - atom.first_row[g],
                    stride(), run, slopes, p * panel_width, n_vectors_, atom.to.data() + atom.first_row[g]);
    }
  }

  const Soap& soap_;
  int n_max_, n_l_;
  index_t size_;  ///< coefficients of a channel, [lm][n]
  index_t all_;   ///< (channel, n)
  index_t n_vectors_;
  Buffer<double> packed_;
};

}  // namespace

std::unique_ptr<GradientContraction> make_coefficient_contraction(const Soap& soap, bool normalize,
                                                                  const StructureBatch& structures,
                                                                  const PairList& pairs, MatView<const double> Q) {
  return std::make_unique<CoefficientContraction>(soap, normalize, structures, pairs, Q);
}

bool prefers_coefficients(const Density& density, const StructureBatch& structures, const PairList& pairs) {
  const auto species = density.species_of(structures, pairs);
  const double n = density.n_max(), n_l = density.l_max() + 1, n_lm = density.n_lm();
  const double r_cut = density.parameters().radial.r_cut;
  double by_rows = 0, by_coefficients = 0;
  for (index_t i = 0; i < pairs.n_atoms(); ++i) {
    const double n_present = static_cast<double>(density.present_channels(pairs, species, i).size());
    double n_pairs = 0;  // those that count, so that a longer list changes nothing
    for (index_t p = pairs.offsets[i]; p < pairs.offsets[i + 1]; ++p) n_pairs += pairs.distances[p] < r_cut;
    const double mixed_blocks = density.channels_are_species() ? n_present - 1 : n_present * (n_present - 1) / 2;
    const double same_blocks = density.channels_are_species() ? 1 : n_present;
    by_rows += 3 * n_pairs * n_l * (same_blocks * n * (n + 1) / 2 + mixed_blocks * n * n);
    by_coefficients += 3 * n_pairs * n_lm * n + n_present * n_present * n * n * n_lm;
  }
  return by_coefficients < by_rows;
}

}  // namespace mercer
