#include "mercer/basis/cutoff.hpp"

#include <algorithm>
#include <cmath>

#include "mercer/core/error.hpp"
#include "mercer/math/vector_cos.hpp"

namespace mercer {
namespace {
constexpr double pi = 3.14159265358979323846;
}

std::vector<std::string> Cutoff::names() { return {"shifted_cosine", "cosine", "polynomial", "none"}; }

Cutoff::Cutoff(const std::string& name, double r_cut, double width) : r_cut_(r_cut), width_(width) {
  MERCER_REQUIRE(r_cut > 0 && std::isfinite(r_cut), "Cutoff: expected r_cut > 0 (Angstrom), got ", r_cut);
  if (name == "cosine") {
    kind_ = Kind::shifted_cosine;
    width_ = r_cut;
  } else if (name == "none") {
    kind_ = Kind::none;
    width_ = 0;
  } else {
    MERCER_REQUIRE(name == "shifted_cosine" || name == "polynomial", "Cutoff: unknown name '", name,
                   "', expected shifted_cosine, cosine, polynomial or none");
    kind_ = name == "polynomial" ? Kind::polynomial : Kind::shifted_cosine;
    MERCER_REQUIRE(width > 0 && width <= r_cut, "Cutoff '", name, "': expected a width in (0, r_cut = ", r_cut,
                   "] (Angstrom), got ", width, "; use 'none' for a sharp step");
  }
}

void Cutoff::evaluate(index_t n, const double* __restrict r, double* __restrict values,
                      double* __restrict derivatives) const {
  const double begin = r_cut_ - width_, inverse = kind_ == Kind::none ? 0 : 1 / width_;
  // x = 0 .. 1 over the transition; outside of it f_c is exactly 1 or 0.
  const auto each = [&](const auto& value, const auto& slope) {
    for (index_t i = 0; i < n; ++i) {
      const double f = value(std::clamp((r[i] - begin) * inverse, 0.0, 1.0));
      values[i] = r[i] < r_cut_ ? (r[i] <= begin ? 1.0 : f) : 0.0;
    }
    for (index_t i = 0; derivatives && i < n; ++i) {
      const double d = inverse * slope(std::clamp((r[i] - begin) * inverse, 0.0, 1.0));
      derivatives[i] = r[i] < r_cut_ && r[i] > begin ? d : 0.0;
    }
  };
  switch (kind_) {
    case Kind::shifted_cosine:
      each([](double x) { return 0.5 + 0.5 * vector_cos_pi(x); }, [](double x) { return -0.5 * pi * vector_sin_pi(x); });
      break;
    case Kind::polynomial:  // by powers of y = 1 - x: no cancellation near r_cut
      each(
          [](double x) {
            const double y = 1 - x, y2 = y * y;
            return y2 * y2 * (1 + x * (4 + x * (10 + x * 20)));
          },
          [](double x) {
            const double xy = x * (1 - x);
            return -140 * xy * xy * xy;
          });
      break;
    case Kind::none: each([](double) { return 1.0; }, [](double) { return 0.0; }); break;
  }
}

}  // namespace mercer
