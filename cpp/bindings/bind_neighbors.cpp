#include "bindings.hpp"

void bind_neighbors(py::module_&) {}
