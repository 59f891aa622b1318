/// How a program ends long work that it has started.
#pragma once

namespace mercer {

/// A function that throws if work shall end. It is called from every thread that works, also several at a time.
using InterruptCheck = void (*)();

/// Sets the function for the process; null, as at the start, for none.
void set_interrupt_check(InterruptCheck check);

/// Calls that function, unless the thread did so less than 0.1 s ago. Parallel loops do between chunks; a long serial loop
/// must itself.
void check_interrupt();

}  // namespace mercer
