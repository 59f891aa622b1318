#include "mercer/descriptors/radial_spectrum.hpp"

#include <algorithm>
#include <cmath>

#include "descriptors/density_jacobian.hpp"
#include "mercer/core/error.hpp"
#include "mercer/core/parallel.hpp"

namespace mercer {
namespace {

/// Of c^a_n00 of every channel: dc / dv = w U(r) u Y_00.
class RadialJacobian final : public DensityJacobian {
 public:
  explicit RadialJacobian(const Density& density) : density_(density) {}

  std::unique_ptr<Scratch> make_scratch() const override {
    auto work = std::make_unique<Work>();
    work->radial = Buffer<double>(2 * density_.n_pad());
    return work;
  }
  index_t most_touched() const override { return plain() ? density_.n_max() : n_features(); }
  index_t n_features() const override { return static_cast<index_t>(density_.n_channels()) * density_.n_max(); }

  void touched(const std::vector<int>& present, int g, std::vector<ColumnRun>& runs) const override {
    const index_t n_max = density_.n_max();
    runs.clear();
    if (plain()) {
      runs.push_back({present[g] * n_max, n_max, true});
    } else {
      runs.push_back({0, n_features(), g == 0});
    }
  }

  void start(const Density::Workspace& ws, double* p) const override {
    std::fill_n(p, n_features(), 0.0);
    for (int k = 0; k < ws.n_present; ++k) {
      std::copy_n(ws.coefficients[k] + density_.pad(), density_.n_max(), p + ws.present[k] * density_.n_max());
    }
  }

  void fill(const Density::Workspace& ws, int g, Scratch& scratch, double* jacobian, index_t stride) const override {
    const index_t first = ws.group_begin[g];
    const auto row = [&](index_t k, int a) { return jacobian + (3 * (k - first) + a) * stride; };
    for_rows(ws, g, scratch, row, [](index_t, int) {});
  }

  void stream(const Density::Workspace& ws, int g, Scratch& scratch, JacobianSink& sink) const override {
    const auto row = [&](index_t, int) { return sink.row; };
    for_rows(ws, g, scratch, row, [&](index_t k, int a) {
      sink.begin(ws.pair[k], a);
      sink.complete(0, plain() ? ws.present[g] * density_.n_max() : 0, most_touched());
      sink.end();
    });
  }

 private:
  struct Work final : Scratch {
    Buffer<double> radial;
  };
  bool plain() const { return density_.channels_are_species(); }

  /// Writes every row of group g to row(k, a), then calls done(k, a).
  template <class Row, class Done>
  void for_rows(const Density::Workspace& ws, int g, Scratch& scratch, const Row& row, const Done& done) const {
    const int n_max = density_.n_max();
    double *U = static_cast<Work&>(scratch).radial.data(), *V = U + density_.n_pad();
    for (index_t k = ws.group_begin[g]; k < ws.group_begin[g + 1] && ws.pair[k] >= 0; ++k) {
      const auto factors = density_.pair_factors(ws, k, U, V);
      for (int a = 0; a < 3; ++a) {
        double* jacobian = row(k, a);
        const double angular = factors.direction[a] * factors.harmonics[0];
        for (int J = 0; J < (plain() ? 1 : density_.n_channels()); ++J) {
          const double weight = plain() ? angular : angular * density_.weight(ws.group_species[g], J);
          for (int n = 0; n < n_max; ++n) jacobian[J * n_max + n] = weight * U[density_.pad() + n];
        }
        done(k, a);
      }
    }
  }

  const Density& density_;
};

}  // namespace

RadialSpectrum::RadialSpectrum(DensityParameters parameters, bool normalize)
    : DensityDescriptor(std::move(parameters)), normalize_(normalize) {
  MERCER_REQUIRE(density_.l_max() == 0, "RadialSpectrum: l_max = ", density_.l_max(), ", expected 0");
}

/// Writes the row, returns the factor that normalises it.
double RadialSpectrum::write_row(const Density::Workspace& ws, double* row) const {
  const int n_max = density_.n_max();
  std::fill(row, row + n_features(), 0.0);
  double squares = 0;
  for (int k = 0; k < ws.n_present; ++k) {
    for (int n = 0; n < n_max; ++n) {
      const double c = ws.coefficients[k][density_.pad() + n];
      row[ws.present[k] * n_max + n] = c;
      squares += c * c;
    }
  }
  if (!normalize_) return 1;
  const double factor = squares > 0 ? 1 / std::sqrt(squares) : 0;
  for (index_t k = 0; k < n_features(); ++k) row[k] *= factor;
  return factor;
}

void RadialSpectrum::write_rows(const PairList& pairs, Span<const std::int16_t> species, index_t begin, index_t end,
                                MatView<double> out) const {
  density_.for_each_centre(
      pairs, species, begin, end, Density::Purpose::values, 0, [] { return 0; },
      [&](Density::Workspace& ws, int&, index_t i) { write_row(ws, out.row(i - begin)); });
}

void RadialSpectrum::reverse_rows(const PairList& pairs, Span<const std::int16_t> species, index_t begin, index_t end,
                                  MatView<const double> dY_dX, Vec3* pair_gradients) const {
  const int n_max = density_.n_max();
  const auto make_row = [&] { return std::vector<double>(n_features()); };
  const auto body = [&](Density::Workspace& ws, std::vector<double>& row, index_t i) {
    const double factor = write_row(ws, row.data());
    const double* g = dY_dX.row(i - begin);
    double dot = 0;
    if (normalize_) {
      for (index_t k = 0; k < n_features(); ++k) dot += g[k] * row[k];
    }
    for (int k = 0; k < ws.n_present; ++k) {
      for (int n = 0; n < n_max; ++n) {
        const index_t feature = static_cast<index_t>(ws.present[k]) * n_max + n;
        ws.adjoints[k][density_.pad() + n] = factor * (g[feature] - dot * (normalize_ ? row[feature] : 0));
      }
    }
    density_.reverse(pairs, i, ws, pair_gradients + pairs.offsets[i] - pairs.offsets[begin]);
  };
  density_.for_each_centre(pairs, species, begin, end, Density::Purpose::reverse, 0, make_row, body);
}

std::unique_ptr<GradientContraction> RadialSpectrum::contraction(const StructureBatch& structures,
                                                                 const PairList& pairs, MatView<const double> Q) const {
  MERCER_REQUIRE(Q.cols == n_features(), "RadialSpectrum: Q has ", Q.cols, " columns, expected ", n_features());
  return make_jacobian_contraction(std::make_unique<RadialJacobian>(density_), density_, normalize_, structures, pairs, Q);
}

std::unique_ptr<GradientContraction> RadialSpectrum::jacobian(const StructureBatch& structures, const PairList& pairs) const {
  return make_full_jacobian(std::make_unique<RadialJacobian>(density_), density_, normalize_, structures, pairs);
}

std::unique_ptr<RawGradients> RadialSpectrum::raw_gradients(const StructureBatch& structures, const PairList& pairs) const {
  std::vector<index_t> columns;
  for (int J = 0; J <= density_.n_channels(); ++J) columns.push_back(static_cast<index_t>(J) * density_.n_max());
  return make_raw_gradients(std::make_unique<RadialJacobian>(density_), density_, normalize_, std::move(columns),
                            structures, pairs);
}

}  // namespace mercer
