#include "geometry.hpp"

#include <algorithm>
#include <cmath>

#include "mercer/core/error.hpp"

namespace mercer::mbtr {
namespace {

constexpr double two_pi = 6.283185307179586477;
/// sin(angle) in the derivative of an angle, which is singular where three atoms are in a line.
constexpr double least_sine = 1e-6;
/// Square of the sine of an angle of a chain below which its dihedral is not defined.
constexpr double least_square_sine = 1e-12;

void atomic_number(TupleBatch& b, bool) { std::copy_n(b.number, b.padded(), b.g); }

void count(TupleBatch& b, bool) { std::copy_n(b.count, b.padded(), b.g); }

/// g = function(d^2), derivative = 2 dg/d(d^2) times the vector; function(square, slope) sets both.
template <class Function>
void of_distance(TupleBatch& b, bool derivatives, const Function& function) {
  const int n = b.padded();
  const double *x = b.vectors[0][0], *y = b.vectors[0][1], *z = b.vectors[0][2];
  for (int t = 0; t < n; ++t) {
    const double square = x[t] * x[t] + y[t] * y[t] + z[t] * z[t];
    double factor;
    b.g[t] = function(square, factor);
    if (derivatives) {
      b.dg[0][0][t] = factor * x[t];
      b.dg[0][1][t] = factor * y[t];
      b.dg[0][2][t] = factor * z[t];
    }
  }
}

void distance(TupleBatch& b, bool derivatives) {
  of_distance(b, derivatives, [](double square, double& factor) {
    const double d = std::sqrt(square);
    factor = 1 / d;
    return d;
  });
}

void inverse_distance(TupleBatch& b, bool derivatives) {
  of_distance(b, derivatives, [](double square, double& factor) {
    const double inverse = 1 / std::sqrt(square);
    factor = -inverse * inverse * inverse;
    return inverse;
  });
}

void inverse_square(TupleBatch& b, bool derivatives) {
  of_distance(b, derivatives, [](double square, double& factor) {
    const double inverse = 1 / square;
    factor = -2 * inverse * inverse;
    return inverse;
  });
}

/// d cos / du = (v_hat - cos u_hat) / |u|, and likewise with u and v exchanged.
void cosine(TupleBatch& b, bool derivatives) {
  const int n = b.padded();
  const auto &u = b.vectors[0], &v = b.vectors[1];
  for (int t = 0; t < n; ++t) {
    const double inverse_u = 1 / std::sqrt(u[0][t] * u[0][t] + u[1][t] * u[1][t] + u[2][t] * u[2][t]);
    const double inverse_v = 1 / std::sqrt(v[0][t] * v[0][t] + v[1][t] * v[1][t] + v[2][t] * v[2][t]);
    const double dot = u[0][t] * v[0][t] + u[1][t] * v[1][t] + u[2][t] * v[2][t];
    const double inverse_uv = inverse_u * inverse_v, c = dot * inverse_uv;
    b.g[t] = std::min(1.0, std::max(-1.0, c));
    if (derivatives) {
      const double along_u = -c * inverse_u * inverse_u, along_v = -c * inverse_v * inverse_v;
      for (int a = 0; a < 3; ++a) {
        b.dg[0][a][t] = inverse_uv * v[a][t] + along_u * u[a][t];
        b.dg[1][a][t] = inverse_uv * u[a][t] + along_v * v[a][t];
      }
    }
  }
}

/// The angle as atan2(|u x v|, u . v), which is exact near 0 and pi; its derivative is that of the cosine / -sin.
void angle(TupleBatch& b, bool derivatives) {
  cosine(b, derivatives);
  const auto &u = b.vectors[0], &v = b.vectors[1];
  for (int t = 0; t < b.size; ++t) {
    const double x = u[1][t] * v[2][t] - u[2][t] * v[1][t];
    const double y = u[2][t] * v[0][t] - u[0][t] * v[2][t];
    const double z = u[0][t] * v[1][t] - u[1][t] * v[0][t];
    const double dot = u[0][t] * v[0][t] + u[1][t] * v[1][t] + u[2][t] * v[2][t];
    b.g[t] = std::atan2(std::sqrt(x * x + y * y + z * z), dot);
    if (derivatives) {
      const double factor = -1 / std::max(std::sin(b.g[t]), least_sine);
      for (int a = 0; a < 3; ++a) {
        b.dg[0][a][t] *= factor;
        b.dg[1][a][t] *= factor;
      }
    }
  }
}

Vec3 cross(const Vec3& a, const Vec3& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}
double dot(const Vec3& a, const Vec3& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

/// The angle of the planes 1-2-3 and 2-3-4 about the axis 2-3, in (-pi, pi], 0 for cis; and its derivatives
/// (Blondel and Karplus, J. Comput. Chem. 17, 1132 (1996)). Chains with three atoms in a line have no dihedral: their
/// weight becomes 0.
void dihedral(TupleBatch& b, bool derivatives) {
  for (int t = 0; t < b.size; ++t) {
    Vec3 b1, b2, b3;  // from atom 1 to 2, 2 to 3, 3 to 4
    for (int a = 0; a < 3; ++a) {
      b1[a] = -b.vectors[0][a][t];
      b2[a] = b.vectors[1][a][t];
      b3[a] = b.vectors[2][a][t] - b.vectors[1][a][t];
    }
    const Vec3 n1 = cross(b1, b2), n2 = cross(b2, b3);
    const double square = dot(b2, b2), length = std::sqrt(square);
    const double square1 = dot(n1, n1), square2 = dot(n2, n2), least = least_square_sine * square;
    if (!(square1 > least * dot(b1, b1) && square2 > least * dot(b3, b3))) {
      b.w[t] = 0;
      continue;
    }
    b.g[t] = std::atan2(length * dot(b1, n2), dot(n1, n2));
    if (!derivatives) continue;
    const double f1 = -length / square1, f4 = length / square2;
    const double s1 = dot(b1, b2) / square, s3 = dot(b3, b2) / square;
    for (int a = 0; a < 3; ++a) {
      const double d1 = f1 * n1[a], d4 = f4 * n2[a];
      b.dg[0][a][t] = d1;
      b.dg[1][a][t] = s1 * d1 - (1 + s3) * d4;
      b.dg[2][a][t] = d4;
    }
  }
}

void cosine_dihedral(TupleBatch& b, bool derivatives) {
  dihedral(b, derivatives);
  for (int t = 0; t < b.size; ++t) {
    const double slope = -std::sin(b.g[t]);
    b.g[t] = std::cos(b.g[t]);
    if (!derivatives) continue;
    for (auto& vector : b.dg) {
      for (auto& component : vector) component[t] *= slope;
    }
  }
}

}  // namespace

const std::vector<Geometry>& geometries() {
  static const std::vector<Geometry> table = {
      {"count", 1, 0, count},
      {"atomic_number", 1, 0, atomic_number},
      {"distance", 2, 0, distance},
      {"inverse_distance", 2, 0, inverse_distance},
      {"inverse_square", 2, 0, inverse_square},
      {"angle", 3, 0, angle},
      {"cosine", 3, 0, cosine},
      {"dihedral", 4, two_pi, dihedral},
      {"cosine_dihedral", 4, 0, cosine_dihedral},
  };
  return table;
}

const Geometry& find_geometry(const std::string& name, int order) {
  std::string known;
  for (const Geometry& geometry : geometries()) {
    if (geometry.order != order) continue;
    if (name == geometry.name) return geometry;
    known += (known.empty() ? "" : ", ") + std::string(geometry.name);
  }
  throw std::invalid_argument(
      concatenate("geometry='", name, "' is no function of ", order, " atoms; choose one of ", known));
}

}  // namespace mercer::mbtr
