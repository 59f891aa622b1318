# The C++ library to embed: target mercer::mercer, here and, once installed, by find_package(mercer).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(MERCER_LIBRARY_LEVEL "host" CACHE STRING
    "Instruction-set level of the C++ library: host, v2, v3, v4, or empty for the compiler's default")
set(level "${MERCER_LIBRARY_LEVEL}")
if(level STREQUAL "host")
  mercer_host_level(level)
endif()
mercer_add_core(mercer "${level}")
add_library(mercer::mercer ALIAS mercer)

if(MERCER_INSTALL)
  set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/mercer)
  install(TARGETS mercer EXPORT mercerTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/cpp/include/ ${PROJECT_BINARY_DIR}/generated/
          DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp")
  install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/third_party/LICENSES.md
          DESTINATION ${CMAKE_INSTALL_DATADIR}/licenses/mercer)
  install(EXPORT mercerTargets NAMESPACE mercer:: DESTINATION ${package_dir})
  configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/mercerConfig.cmake.in
                                ${PROJECT_BINARY_DIR}/mercerConfig.cmake INSTALL_DESTINATION ${package_dir})
  write_basic_package_version_file(${PROJECT_BINARY_DIR}/mercerConfigVersion.cmake COMPATIBILITY SameMinorVersion)
  install(FILES ${PROJECT_BINARY_DIR}/mercerConfig.cmake ${PROJECT_BINARY_DIR}/mercerConfigVersion.cmake
          DESTINATION ${package_dir})
endif()
