# The C++ library to embed: target mercer::mercer.
set(MERCER_LIBRARY_LEVEL "host" CACHE STRING "Instruction-set level of the C++ library: host, v2, v3, v4 or empty")
set(level "${MERCER_LIBRARY_LEVEL}")
if(level STREQUAL "host")
  mercer_host_level(level)
endif()
mercer_add_core(mercer "${level}")
add_library(mercer::mercer ALIAS mercer)
