#include "bindings.hpp"

void bind_basis(py::module_&) {}
