#include <doctest/doctest.h>

#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "mercer/basis/cutoff.hpp"
#include "mercer/basis/radial_basis.hpp"
#include "mercer/basis/radial_scaling.hpp"
#include "mercer/basis/radial_table.hpp"

using mercer::RadialBasisParameters;
using mercer::RadialTable;

TEST_CASE("every radial basis: the table follows the basis to its ends, padded with zeros") {
  for (const auto& entry : mercer::radial_basis_table()) {
    CAPTURE(entry.name);
    RadialBasisParameters p;
    p.n_max = 5;
    p.l_max = 3;
    p.r_cut = 4;
    const auto basis = mercer::make_radial_basis(entry.name, p);
    const RadialTable table(*basis);
    CHECK(table.n_max() == 5);
    CHECK(table.n_pad() == 8);
    CHECK(table.size() == 4 * 8);
    CHECK(table.error() <= 1e-11);
    CHECK(table.r_cut() == 4);
    std::vector<double> values(table.stride()), same(table.stride()), derivatives(table.stride()), exact(4 * 5);
    for (double r : {0.0, 1e-9, 1.234, 3.999999, 4.0}) {
      table.evaluate(r, values.data());
      table.evaluate(r, same.data(), derivatives.data());
      basis->evaluate(r, exact.data());
      for (int l = 0; l <= 3; ++l) {
        for (int n = 0; n < 8; ++n) {
          const double value = values[l * 8 + n];
          CHECK(std::fabs(value - same[l * 8 + n]) <= 1e-15);
          if (n < 5) {
            CHECK(std::fabs(value - exact[l * 5 + n]) <= 1e-10);
          } else {
            CHECK(value == 0);
            CHECK(derivatives[l * 8 + n] == 0);
          }
        }
      }
    }
    RadialTable moved = RadialTable(*basis, 1e-4);
    CHECK(moved.n_knots() <= table.n_knots());
  }
}

TEST_CASE("a table refuses an accuracy that double precision cannot hold") {
  const auto basis = mercer::make_radial_basis("gto", {});
  CHECK_THROWS_AS(RadialTable(*basis, 1e-15), std::invalid_argument);
  CHECK_THROWS_AS(RadialTable(*basis, std::nan("")), std::invalid_argument);
}

TEST_CASE("radial bases refuse what they do not know") {
  CHECK_THROWS_AS(mercer::make_radial_basis("sto", {}), std::invalid_argument);
  RadialBasisParameters p;
  p.extra["radius"] = 9;
  CHECK_NOTHROW(mercer::make_radial_basis("laplacian", p));
  CHECK_THROWS_AS(mercer::make_radial_basis("gto", p), std::invalid_argument);
  p.extra.clear();
  p.sigma = std::nan("");
  CHECK_THROWS_AS(mercer::make_radial_basis("gto", p), std::invalid_argument);
}

TEST_CASE("cutoff functions fall from 1 to 0") {
  for (const std::string& name : mercer::Cutoff::names()) {
    CAPTURE(name);
    const mercer::Cutoff cutoff(name, 5, 0.7);
    CHECK(cutoff.value(0) == 1);
    CHECK(cutoff.value(5) == 0);
    CHECK(cutoff.derivative(5) == 0);
    CHECK(cutoff.value(std::nan("")) == 0);
    CHECK(cutoff.smooth() == (name != "none"));
    CHECK(cutoff.width() == (name == "cosine" ? 5 : name == "none" ? 0 : 0.7));
  }
  CHECK_THROWS_AS(mercer::Cutoff("shifted_cosine", 5, 0), std::invalid_argument);
  CHECK_THROWS_AS(mercer::Cutoff("polynomial", 5, 5.1), std::invalid_argument);
  CHECK_THROWS_AS(mercer::Cutoff("cosine", -1, 1), std::invalid_argument);
  CHECK_THROWS_AS(mercer::Cutoff("tanh", 5, 1), std::invalid_argument);
}

TEST_CASE("radial scaling") {
  const mercer::RadialScaling scaling{1, 2, 7};
  CHECK(scaling.value(2) == 0.5);
  CHECK(scaling.value(0) == 1);
  CHECK(std::fabs(scaling.derivative(2) + 7.0 / 8) <= 1e-15);
  CHECK_NOTHROW(scaling.validate());
  CHECK_THROWS_AS((mercer::RadialScaling{-1, 2, 7}.validate()), std::invalid_argument);
  CHECK_THROWS_AS((mercer::RadialScaling{1, 0, 7}.validate()), std::invalid_argument);
  CHECK_THROWS_AS((mercer::RadialScaling{1, 2, std::nan("")}.validate()), std::invalid_argument);
  const mercer::RadialScaling polynomial{1, 2, 1, mercer::RadialScaling::kind_of("polynomial")};
  CHECK(polynomial.value(1) == 0.5);
  CHECK(polynomial.value(2) == 0);
  CHECK(polynomial.derivative(1) == -0.75);
  const mercer::RadialScaling exponential{1, 2, 0, mercer::RadialScaling::kind_of("exponential")};
  CHECK(exponential.value(0) == 0.5);
  CHECK_THROWS_AS(mercer::RadialScaling::kind_of("gaussian"), std::invalid_argument);
  for (const auto& [name, parameters] : mercer::RadialScaling::table()) CHECK_NOTHROW(mercer::RadialScaling::kind_of(name));
}
