/// How the library reports a caller's mistake: std::invalid_argument with a message that says what was expected,
/// what came and what to do. Internal faults throw std::logic_error.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace mercer {

template <class... Parts>
std::string concatenate(const Parts&... parts) {
  std::ostringstream stream;
  (stream << ... << parts);
  return stream.str();
}

}  // namespace mercer

/// Throws std::invalid_argument with the concatenated message parts unless `condition` holds (NaN fails).
#define MERCER_REQUIRE(condition, ...)                                  \
  do {                                                                  \
    if (!(condition)) {                                                 \
      throw std::invalid_argument(::mercer::concatenate(__VA_ARGS__));  \
    }                                                                   \
  } while (false)
