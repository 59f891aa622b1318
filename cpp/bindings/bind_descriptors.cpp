#include "bindings.hpp"

void bind_descriptors(py::module_&) {}
