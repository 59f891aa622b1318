#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <random>
#include <vector>

#include "mercer/core/parallel.hpp"
#include "mercer/kernels/gram.hpp"
#include "mercer/kernels/kernel.hpp"
#include "mercer/rows/energy_rows.hpp"

using namespace mercer;

namespace {

/// Rows inside a wider array, so that strides differ from the number of columns.
struct Rows {
  index_t rows, cols, stride;
  std::vector<double> data;

  Rows(index_t rows_, index_t cols_, unsigned seed)
      : rows(rows_), cols(cols_), stride(cols_ + 3), data(static_cast<std::size_t>(rows_ * stride)) {
    std::mt19937 engine(seed);
    std::uniform_real_distribution<double> uniform(0.0, 1.0);
    for (double& x : data) x = uniform(engine);
  }
  MatView<const double> view() const { return {data.data(), rows, cols, stride}; }
};

KernelParameters defaults(const KernelEntry& entry) {
  KernelParameters parameters;
  for (const auto& name : entry.parameters) parameters[name] = name == "zeta" ? 3.0 : name == "nu" ? 1.5 : 0.9;
  return parameters;
}

double one_pair(const Kernel& kernel, MatView<const double> X, index_t i, MatView<const double> Y, index_t j) {
  double u = 0;
  for (index_t d = 0; d < X.cols; ++d) {
    const double x = X(i, d), y = Y(j, d);
    switch (kernel.argument()) {
      case KernelArgument::dot:
        u += x * y;
        break;
      case KernelArgument::squared_distance:
        u += (x - y) * (x - y);
        break;
      case KernelArgument::l1_distance:
        u += std::abs(x - y);
        break;
    }
  }
  double k = 0;
  kernel.derivatives(&u, 1, &k, nullptr, nullptr);
  return k;
}

bool close(double a, double b) { return std::abs(a - b) <= 1e-11 * (1 + std::abs(b)); }

/// A view into an array with room around it, which must stay as it was.
struct Output {
  index_t rows, cols;
  std::vector<double> data;

  Output(index_t rows_, index_t cols_)
      : rows(rows_), cols(cols_), data(static_cast<std::size_t>((rows_ + 2) * (cols_ + 5)), -7.0) {}
  MatView<double> view() { return {data.data() + cols + 5 + 2, rows, cols, cols + 5}; }
  bool margin_untouched() {
    double inside = 0, all = 0;
    for (index_t i = 0; i < rows; ++i) {
      for (index_t j = 0; j < cols; ++j) inside += view()(i, j) + 7;
    }
    for (const double x : data) all += x + 7;
    return std::abs(all - inside) <= 1e-9 * (1 + std::abs(all));
  }
};

}  // namespace

TEST_CASE("every kernel of the table: gram and energy_rows equal single pairs, for strided views, groups and factors") {
  for (const KernelEntry& entry : kernel_table()) {
    CAPTURE(entry.name);
    const auto kernel = make_kernel(entry.name, defaults(entry));
    for (const auto& [n, m, d] : {std::array<index_t, 3>{1, 1, 1}, {70, 5, 4}, {131, 200, 7}, {600, 300, 3}}) {
      const Rows X(n, d, 1), Y(m, d, 2);
      std::vector<std::int32_t> gx, gy;
      std::vector<double> fx, fy;
      std::mt19937 engine(3);
      for (index_t i = 0; i < n; ++i) gx.push_back(static_cast<std::int32_t>(engine() % 3)), fx.push_back(0.1 + i % 7);
      for (index_t j = 0; j < m; ++j) gy.push_back(static_cast<std::int32_t>(engine() % 4)), fy.push_back(0.2 + j % 5);
      for (const bool grouped : {false, true}) {
        GramOptions options;
        if (grouped) {
          options.x_groups = gx, options.y_groups = gy;
          options.x_factors = fx, options.y_factors = fy;
        }
        const auto expected = [&](index_t i, index_t j) {
          if (!grouped) return one_pair(*kernel, X.view(), i, Y.view(), j);
          return gx[i] == gy[j] ? fx[i] * fy[j] * one_pair(*kernel, X.view(), i, Y.view(), j) : 0.0;
        };
        Output K(n, m);
        gram(*kernel, X.view(), Y.view(), K.view(), options);
        bool good = true;
        for (index_t i = 0; i < n; ++i) {
          for (index_t j = 0; j < m; ++j) good = good && close(K.view()(i, j), expected(i, j));
        }
        CHECK(good);
        CHECK(K.margin_untouched());

        const std::vector<index_t> offsets{0, n / 3, n / 3, n};
        Output sums(3, m);
        energy_rows(*kernel, X.view(), offsets, Y.view(), sums.view(), options);
        good = true;
        for (index_t f = 0; f < 3; ++f) {
          for (index_t j = 0; j < m; ++j) {
            double sum = 0;
            for (index_t i = offsets[f]; i < offsets[f + 1]; ++i) sum += expected(i, j);
            good = good && close(sums.view()(f, j), sum);
          }
        }
        CHECK(good);
        CHECK(sums.margin_untouched());
      }
    }
  }
}

TEST_CASE("every kernel of the table: symmetric, diagonal, sums over all pairs") {
  const Rows X(300, 6, 4);
  for (const KernelEntry& entry : kernel_table()) {
    CAPTURE(entry.name);
    const auto kernel = make_kernel(entry.name, defaults(entry));
    Output K(300, 300);
    gram(*kernel, X.view(), X.view(), K.view());
    std::vector<double> diagonal(300), sum(1);
    gram_diagonal(*kernel, X.view(), {diagonal.data(), 300});
    self_kernel_sums(*kernel, X.view(), std::vector<index_t>{0, 300}, {}, {sum.data(), 1});
    bool symmetric = true, good = true;
    double total = 0;
    for (index_t i = 0; i < 300; ++i) {
      good = good && close(K.view()(i, i), diagonal[i]);
      for (index_t j = 0; j < 300; ++j) {
        symmetric = symmetric && K.view()(i, j) == K.view()(j, i);
        total += K.view()(i, j);
      }
    }
    CHECK(symmetric);
    CHECK(good);
    CHECK(close(sum[0], total));
  }
}

TEST_CASE("every kernel of the table: derivatives are those of the value, and any output may be left out") {
  const double h = 1e-5;
  for (const KernelEntry& entry : kernel_table()) {
    CAPTURE(entry.name);
    const auto kernel = make_kernel(entry.name, defaults(entry));
    for (const double u : {0.05, 0.4, 1.0, 3.0}) {
      const double points[3] = {u - h, u, u + h};
      double k[3], dk[3], d2k[3];
      kernel->derivatives(points, 3, k, dk, d2k);
      CHECK(std::abs((k[2] - k[0]) / (2 * h) - dk[1]) <= 1e-7 * (1 + std::abs(dk[1])));
      CHECK(std::abs((dk[2] - dk[0]) / (2 * h) - d2k[1]) <= 1e-6 * (1 + std::abs(d2k[1])));
      double value = u;
      kernel->value(&value, 1);
      CHECK(close(value, k[1]));
      float single = static_cast<float>(u);
      kernel->value(&single, 1);
      CHECK(std::abs(single - k[1]) <= 1e-5 * (1 + std::abs(k[1])));
      double only = 0;
      kernel->derivatives(&u, 1, nullptr, &only, nullptr);
      CHECK(only == dk[1]);
      kernel->derivatives(&u, 1, nullptr, nullptr, nullptr);
    }
  }
}

TEST_CASE("kernels say what is wrong") {
  CHECK_THROWS_WITH_AS(make_kernel("cubic", {}), doctest::Contains("linear, polynomial"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(make_kernel("gaussian", {}), doctest::Contains("length_scale is missing"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(make_kernel("linear", {{"zeta", 1}}), doctest::Contains("unknown parameter zeta"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(make_kernel("matern", {{"nu", 1.0}, {"length_scale", 1}}), doctest::Contains("0.5, 1.5 or 2.5"),
                       std::invalid_argument);

  const auto kernel = make_kernel("linear", {});
  const Rows X(4, 3, 1), Y(2, 2, 2);
  Output K(4, 4);
  const std::vector<std::int32_t> groups{1, 2, 3};
  GramOptions options;
  options.x_groups = options.y_groups = groups;
  CHECK_THROWS_WITH_AS(gram(*kernel, X.view(), Y.view(), K.view()), doctest::Contains("3 features, rows of Y 2"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(gram(*kernel, X.view(), X.view(), K.view(), options), doctest::Contains("x_groups has 3 entries"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(energy_rows(*kernel, X.view(), std::vector<index_t>{0, 2, 4, 3, 4}, X.view(), K.view()),
                       doctest::Contains("decrease after frame 2"), std::invalid_argument);
  Output small(3, 4);
  CHECK_THROWS_WITH_AS(gram(*kernel, X.view(), X.view(), small.view()), doctest::Contains("expected (4, 4)"),
                       std::invalid_argument);
}
