#include "mercer/basis/cutoff.hpp"

#include <cmath>

#include "mercer/core/error.hpp"

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

double Cutoff::value(double r) const {
  if (!(r < r_cut_)) return 0;
  if (kind_ == Kind::none || r <= r_cut_ - width_) return 1;
  const double x = (r - (r_cut_ - width_)) / width_;
  if (kind_ == Kind::shifted_cosine) return 0.5 * (1 + std::cos(pi * x));
  const double y = 1 - x;  // the same polynomial by powers of 1 - x: no cancellation near r_cut
  return y * y * y * y * (1 + x * (4 + x * (10 + x * 20)));
}

double Cutoff::derivative(double r) const {
  if (!(r < r_cut_) || kind_ == Kind::none || r <= r_cut_ - width_) return 0;
  const double x = (r - (r_cut_ - width_)) / width_;
  if (kind_ == Kind::shifted_cosine) return -0.5 * pi / width_ * std::sin(pi * x);
  const double xy = x * (1 - x);
  return -140 * xy * xy * xy / width_;
}

}  // namespace mercer
