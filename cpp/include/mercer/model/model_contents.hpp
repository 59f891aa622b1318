/// A model file as plain data, for programs that evaluate models by themselves (as Python does).
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "mercer/core/array.hpp"
#include "mercer/core/memory.hpp"

namespace mercer {

struct ModelArray {
  std::string name;
  std::vector<index_t> shape;
  std::variant<Buffer<double>, Buffer<std::int64_t>, Buffer<std::int32_t>> values;  ///< row-major
};

struct ModelContents {
  std::string header;  ///< JSON
  std::vector<ModelArray> arrays;
  std::string writer;  ///< the version of mercer that wrote the file
};

/// Reads a model of any kind. What `Potential::load` demands of potentials is demanded here too, but that the baseline
/// may be a calculator of Python.
/// @throws std::invalid_argument without the name of the file.
ModelContents read_model(const std::string& path);

}  // namespace mercer
