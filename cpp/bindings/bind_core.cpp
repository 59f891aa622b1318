#include "bindings.hpp"

#include "mercer/core/parallel.hpp"
#include "mercer/core/version.hpp"

void bind_core(py::module_& m) {
  m.attr("version") = mercer::version;
  m.attr("level") = MERCER_LEVEL;
  m.attr("compiler") = __VERSION__;
  m.def("set_num_threads", &mercer::set_num_threads, py::arg("n"));
  m.def("fixed_num_threads", &mercer::fixed_num_threads);
  m.def("num_threads", &mercer::num_threads);
  m.def("empty", [](py::ssize_t rows, py::ssize_t cols) {
    return pooled_array<double>(mercer::Buffer<double>(rows * cols), {rows, cols});
  }, py::arg("rows"), py::arg("cols"), "An uninitialised float64 array from the buffer pool.");
  m.def("trim_pool", &mercer::pool_trim);
  m.def("pool_unused_bytes", &mercer::pool_unused_bytes);
  m.def("set_pool_limit", &mercer::set_pool_limit, py::arg("bytes"));
}
