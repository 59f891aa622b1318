#include "mercer/core/interrupt.hpp"

#include <atomic>
#include <chrono>

namespace mercer {
namespace {

std::atomic<InterruptCheck> interrupt_check{nullptr};

}  // namespace

void set_interrupt_check(InterruptCheck check) { interrupt_check.store(check); }

void check_interrupt() {
  const InterruptCheck check = interrupt_check.load(std::memory_order_relaxed);
  if (!check) return;
  constexpr std::chrono::milliseconds interval(100);
  thread_local std::chrono::steady_clock::time_point last;
  const auto now = std::chrono::steady_clock::now();
  if (now - last < interval) return;
  last = now;
  check();
}

}  // namespace mercer
