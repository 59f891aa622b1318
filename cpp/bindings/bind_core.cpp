#include <atomic>
#include <limits>
#include <new>
#include <string_view>

#include "bindings.hpp"
#include "mercer/core/checksum.hpp"
#include "mercer/core/interrupt.hpp"
#include "mercer/core/parallel.hpp"
#include "mercer/core/version.hpp"

namespace {

/// An uninitialised float64 array from the pool.
py::array_t<double> empty(py::ssize_t rows, py::ssize_t cols) {
  if (rows < 0 || cols < 0 || (cols > 0 && rows > std::numeric_limits<py::ssize_t>::max() / cols)) {
    throw std::bad_alloc();
  }
  return pooled_array<double>(mercer::Buffer<double>(rows * cols), {rows, cols});
}

/// How many threads a loop over as many chunks as there may be threads has; each makes one workspace.
int threads_of_a_loop() {
  std::atomic<int> count{0};
  mercer::parallel_for(mercer::num_threads(), [&] { return ++count; }, [](int&, mercer::index_t) {});
  return count;
}

/// Python runs handlers of signals on its main thread alone; there, what a handler raises ends the work.
unsigned long main_thread = 0;

void check_signals() {
  if (PyThread_get_thread_ident() != main_thread) return;
  const py::gil_scoped_acquire gil;
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

}  // namespace

void bind_core(py::module_& m) {
  main_thread = py::module_::import("threading").attr("main_thread")().attr("ident").cast<unsigned long>();
  mercer::set_interrupt_check(&check_signals);
  m.attr("version") = mercer::version;
  m.attr("level") = MERCER_LEVEL;
  m.attr("compiler") = __VERSION__;
  m.def("set_num_threads", &mercer::set_num_threads, py::arg("n"));
  m.def("fixed_num_threads", &mercer::fixed_num_threads);
  m.def("num_threads", &mercer::num_threads);
  m.def("threads_of_a_loop", &threads_of_a_loop, py::call_guard<py::gil_scoped_release>());
  m.def("crc64", [](const py::bytes& bytes) {
    const std::string_view view = bytes;
    return mercer::crc64(view.data(), view.size());
  }, py::arg("bytes"));
  m.def("empty", &empty, py::arg("rows"), py::arg("cols"));
  m.def("trim_pool", &mercer::pool_trim);
  m.def("pool_unused_bytes", &mercer::pool_unused_bytes);
  m.def("set_pool_limit", &mercer::set_pool_limit, py::arg("bytes"));
}
