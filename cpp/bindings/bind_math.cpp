#include "bindings.hpp"

void bind_math(py::module_&) {}
