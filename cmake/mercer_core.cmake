# mercer_add_core(<target> <level>): the whole C++ core compiled once for one instruction-set level
# (v2, v3 or v4 of x86-64, or empty for the compiler's default). Objects of different levels must never meet in one
# binary: inline functions of Eigen would be merged across levels.
include(${PROJECT_SOURCE_DIR}/third_party/headers.cmake)
find_package(OpenMP REQUIRED COMPONENTS CXX)

file(GLOB_RECURSE MERCER_CORE_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/cpp/src/*.cpp)
configure_file(${PROJECT_SOURCE_DIR}/cpp/include/mercer/core/version.hpp.in
               ${PROJECT_BINARY_DIR}/generated/mercer/core/version.hpp @ONLY)

# The level of the machine that builds, by the flags in /proc/cpuinfo (the ones that tell v4, v3 and v2 apart; the
# loader in python/mercer/_core checks them all). Never -march=native: the nodes of a cluster differ.
function(mercer_host_level result)
  set(${result} "" PARENT_SCOPE)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    set(${result} "v2" PARENT_SCOPE)
    if(EXISTS /proc/cpuinfo)
      file(READ /proc/cpuinfo cpuinfo)
      if(cpuinfo MATCHES " avx2 " AND cpuinfo MATCHES " fma " AND cpuinfo MATCHES " bmi2 ")
        set(${result} "v3" PARENT_SCOPE)
        if(cpuinfo MATCHES " avx512f " AND cpuinfo MATCHES " avx512bw " AND cpuinfo MATCHES " avx512cd "
           AND cpuinfo MATCHES " avx512dq " AND cpuinfo MATCHES " avx512vl ")
          set(${result} "v4" PARENT_SCOPE)
        endif()
      endif()
    endif()
  endif()
endfunction()

function(mercer_add_core target level)
  add_library(${target} STATIC ${MERCER_CORE_SOURCES})
  target_compile_features(${target} PUBLIC cxx_std_17)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF POSITION_INDEPENDENT_CODE ON
                        CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  target_include_directories(${target} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/cpp/include>
    $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/generated>
    $<INSTALL_INTERFACE:include>)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/cpp/src)
  target_include_directories(${target} SYSTEM PRIVATE ${MERCER_EIGEN_INCLUDE_DIR} ${MERCER_JSON_INCLUDE_DIR})
  target_link_libraries(${target} PUBLIC OpenMP::OpenMP_CXX)
  # No -ffast-math: loading such a library would make NumPy flush subnormal numbers.
  target_compile_options(${target} PRIVATE -Wall -Wextra -fno-math-errno -fno-trapping-math)
  # Eigen and the JSON reader get namespaces of their own: a program that links the static library and uses them too,
  # compiled for another level, would otherwise share inline functions with it that assume another alignment.
  target_compile_definitions(${target} PRIVATE EIGEN_DONT_PARALLELIZE Eigen=mercer_eigen nlohmann=mercer_nlohmann)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")  # false alarms inside GCC's own avx512fintrin.h (GCC bug 105593)
    target_compile_options(${target} PRIVATE -Wno-maybe-uninitialized)
  endif()
  if(MERCER_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(level)
    target_compile_options(${target} PUBLIC $<BUILD_INTERFACE:-march=x86-64-${level}>)
    if(level STREQUAL "v4")
      target_compile_options(${target} PRIVATE -mprefer-vector-width=512)
    endif()
  endif()
  if(MERCER_SANITIZE)
    if(MERCER_SANITIZE STREQUAL "address")
      set(sanitizers address,undefined)
    elseif(MERCER_SANITIZE STREQUAL "thread")
      set(sanitizers thread)
    else()
      message(FATAL_ERROR "MERCER_SANITIZE=${MERCER_SANITIZE}: expected 'address', 'thread', or nothing")
    endif()
    target_compile_options(${target} PUBLIC -fsanitize=${sanitizers} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=${sanitizers})
  endif()
endfunction()
