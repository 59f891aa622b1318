# Finds the headers of Eigen 3.4 and sets MERCER_EIGEN_INCLUDE_DIR; in this order:
#   1. -DMERCER_EIGEN_INCLUDE_DIR=<folder that holds Eigen/Dense>, 2. the PyPI package cmeel-eigen of the Python that
#   builds (a build requirement in pyproject.toml), 3. the system's package.
if(NOT MERCER_EIGEN_INCLUDE_DIR)
  find_package(Python QUIET COMPONENTS Interpreter OPTIONAL_COMPONENTS Development.Module)
  if(Python_EXECUTABLE)
    execute_process(
      COMMAND ${Python_EXECUTABLE} -c
        "import importlib.metadata as m; print(m.distribution('cmeel-eigen').locate_file('cmeel.prefix/include/eigen3'))"
      OUTPUT_VARIABLE candidate OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    if(candidate AND EXISTS "${candidate}/Eigen/Dense")
      set(MERCER_EIGEN_INCLUDE_DIR "${candidate}")
    endif()
  endif()
endif()
if(NOT MERCER_EIGEN_INCLUDE_DIR)
  find_path(MERCER_EIGEN_INCLUDE_DIR Eigen/Dense PATH_SUFFIXES eigen3)
endif()
if(NOT EXISTS "${MERCER_EIGEN_INCLUDE_DIR}/Eigen/Dense")
  message(FATAL_ERROR "Eigen 3.4 was not found. Install it (Debian: libeigen3-dev; PyPI: cmeel-eigen) or give "
                      "-DMERCER_EIGEN_INCLUDE_DIR=<folder that holds Eigen/Dense>.")
endif()
message(STATUS "Eigen: ${MERCER_EIGEN_INCLUDE_DIR}")
