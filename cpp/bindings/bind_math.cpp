#include "bindings.hpp"

#include "mercer/math/bessel.hpp"
#include "mercer/math/quadrature.hpp"
#include "mercer/math/spherical_harmonics.hpp"
#include "mercer/math/vector_exp.hpp"

namespace {

std::vector<double> to_double(const std::vector<long double>& values) { return {values.begin(), values.end()}; }

/// Components of unit vectors as three contiguous rows, the layout of the core.
std::vector<double> transposed(const mercer::MatView<const double>& vectors) {
  std::vector<double> rows(static_cast<std::size_t>(3 * vectors.rows));
  for (mercer::index_t p = 0; p < vectors.rows; ++p) {
    for (int a = 0; a < 3; ++a) rows[a * vectors.rows + p] = vectors(p, a);
  }
  return rows;
}

template <class T>
py::array_t<T> exponential(const Array<T>& x) {
  const auto view = span_view(x, "x");
  py::array_t<T> out(view.size);
  T* result = out.mutable_data();
  for (mercer::index_t i = 0; i < view.size; ++i) result[i] = mercer::vector_exp(view[i]);
  return out;
}

}  // namespace

void bind_math(py::module_& m) {
  m.def("spherical_harmonics",
        [](int l_max, const Array<double>& vectors, bool gradients) -> py::object {
          const mercer::SphericalHarmonics harmonics(l_max);
          const auto view = matrix_view(vectors, "vectors");
          MERCER_REQUIRE(view.cols == 3, "vectors: expected shape (n, 3), got (", view.rows, ", ", view.cols, ")");
          const mercer::index_t n = view.rows, n_lm = harmonics.n_lm();
          const std::vector<double> rows = transposed(view);
          mercer::Buffer<double> values(n_lm * n), slopes(gradients ? 3 * n_lm * n : 0);
          {
            py::gil_scoped_release release;
            const double* x = rows.data();
            if (gradients) {
              harmonics.evaluate(n, x, x + n, x + 2 * n, values.data(), slopes.data(), n);
            } else {
              harmonics.evaluate(n, x, x + n, x + 2 * n, values.data(), n);
            }
          }
          py::object result = pooled_array<double>(std::move(values), {n_lm, n});
          if (!gradients) return result;
          return py::make_tuple(result, pooled_array<double>(std::move(slopes), {n_lm, 3, n}));
        },
        py::arg("l_max"), py::arg("vectors").noconvert(), py::arg("gradients") = false,
        "Real spherical harmonics [lm][vector] of unit vectors (n, 3), and their gradients on the sphere [lm][3][vector].");
  m.def("gauss_legendre",
        [](int n, double a, double b) {
          const mercer::Quadrature rule = mercer::gauss_legendre(n, a, b);
          return py::make_tuple(to_double(rule.nodes), to_double(rule.weights));
        },
        py::arg("n"), py::arg("a"), py::arg("b"));
  m.def("scaled_spherical_bessel_i",
        [](int l_max, double x) {
          std::vector<long double> values(l_max + 1);
          mercer::scaled_spherical_bessel_i(l_max, x, values.data());
          return to_double(values);
        },
        py::arg("l_max"), py::arg("x"));
  m.def("spherical_bessel_j",
        [](int l_max, double x) {
          std::vector<long double> values(l_max + 1);
          mercer::spherical_bessel_j(l_max, x, values.data());
          return to_double(values);
        },
        py::arg("l_max"), py::arg("x"));
  m.def("spherical_bessel_zeros",
        [](int l_max, int n_max) {
          std::vector<std::vector<double>> zeros;
          for (const auto& row : mercer::spherical_bessel_zeros(l_max, n_max)) zeros.push_back(to_double(row));
          return zeros;
        },
        py::arg("l_max"), py::arg("n_max"));
  m.def("vector_exp", &exponential<double>, py::arg("x").noconvert());
  m.def("vector_exp_float32", &exponential<float>, py::arg("x").noconvert());
}
