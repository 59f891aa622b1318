#include "bindings.hpp"

PYBIND11_MODULE(MERCER_MODULE, m) {
  bind_core(m);
  bind_structure(m);
  bind_math(m);
  bind_neighbors(m);
  bind_basis(m);
  bind_descriptors(m);
  bind_kernels(m);
  bind_rows(m);
  bind_model(m);
}
