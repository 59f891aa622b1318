/// The container of a model: safetensors, that is 8 bytes with the length of the header (little-endian), the header in
/// JSON, and the arrays (https://github.com/huggingface/safetensors, section "Format").
#pragma once

#include <cstdint>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mercer/core/array.hpp"
#include "mercer/core/memory.hpp"
#include "model/fields.hpp"

namespace mercer {

/// A file whose header has been read and checked. Arrays are read when they are asked for. All faults are
/// std::invalid_argument without the name of the file.
class ModelFile {
 public:
  explicit ModelFile(const std::string& path);
  ~ModelFile();

  /// The model without its arrays.
  Fields header() const;
  /// The version of mercer that wrote the file.
  const std::string& writer() const { return writer_; }

  bool has(const std::string& name) const { return tensors_.count(name) > 0; }
  /// Sizes of an array.
  const std::vector<index_t>& shape(const std::string& name) const;
  /// Arrays of the shape given, of finite numbers; integers of 32 or 64 bits.
  Buffer<double> doubles(const std::string& name, const std::vector<index_t>& shape);
  Buffer<index_t> integers(const std::string& name, const std::vector<index_t>& shape);

 private:
  struct Tensor {
    std::string dtype;
    std::vector<index_t> shape;
    std::uint64_t begin, end;  ///< bytes, from the start of the data
  };

  void read_tensors(std::uint64_t data_bytes);
  void read_metadata();
  const Tensor& tensor(const std::string& name) const;
  const Tensor& tensor(const std::string& name, const std::vector<index_t>& shape) const;
  void read(const Tensor& tensor, void* to);

  std::ifstream file_;
  std::uint64_t data_start_ = 0;
  std::unique_ptr<nlohmann::json> tensors_header_, metadata_;
  std::string writer_;
  std::map<std::string, Tensor> tensors_;
};

}  // namespace mercer
