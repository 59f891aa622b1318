# mercer_find_headers(<variable> <header> <PyPI package> <folder within it> <Debian package> [folder suffixes...]): sets
# <variable> to the folder from which <header> can be included, out of
#   1. -D<variable>=<folder>, 2. the PyPI package in the Python that builds (a build requirement in pyproject.toml),
#   3. the system.
function(mercer_find_headers variable header package folder debian)
  if(NOT ${variable})
    find_package(Python QUIET COMPONENTS Interpreter OPTIONAL_COMPONENTS Development.Module)
    if(Python_EXECUTABLE)
      execute_process(
        COMMAND ${Python_EXECUTABLE} -c
          "import importlib.metadata as m; print(m.distribution('${package}').locate_file('${folder}'))"
        OUTPUT_VARIABLE candidate OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
      if(candidate AND EXISTS "${candidate}/${header}")
        set(${variable} "${candidate}")
      endif()
    endif()
  endif()
  if(NOT ${variable})
    find_path(${variable} ${header} PATH_SUFFIXES ${ARGN})
  endif()
  if(NOT EXISTS "${${variable}}/${header}")
    message(FATAL_ERROR "${header} was not found. Install it (Debian: ${debian}; PyPI: ${package}) or give "
                        "-D${variable}=<folder that holds ${header}>.")
  endif()
  message(STATUS "${header}: ${${variable}}")
  set(${variable} "${${variable}}" PARENT_SCOPE)
endfunction()

# Eigen 3.4
mercer_find_headers(MERCER_EIGEN_INCLUDE_DIR Eigen/Dense cmeel-eigen cmeel.prefix/include/eigen3 libeigen3-dev eigen3)
# JSON for Modern C++ 3
mercer_find_headers(MERCER_JSON_INCLUDE_DIR nlohmann/json.hpp nlohmann-json nlohmann_json/include nlohmann-json3-dev)
