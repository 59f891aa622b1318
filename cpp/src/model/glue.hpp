/// Tabulated potentials of the embedded-atom kind: python/mercer/glue.py.
#pragma once

#include <memory>

#include "model/baselines.hpp"

namespace mercer {

/// E = sum_i [U_i(rho_i) + 1/2 sum_j V_ij(r_ij)], rho_i = sum_j rho_j(r_ij), with splines; atoms of elements without
/// tables are ignored. F. Ercolessi, M. Parrinello & E. Tosatti, Philos. Mag. A 58 (1988) 213.
std::unique_ptr<Baseline> make_glue(const Fields& fields);

}  // namespace mercer
