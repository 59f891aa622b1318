/// The container of a model: safetensors, that is 8 bytes with the length of the header (little-endian), the header in
/// JSON, and the arrays (https://github.com/huggingface/safetensors, section "Format"). In files of format 2 the last
/// array, `checksum`, holds the CRC-64 of all bytes before it, the most significant byte first.
#pragma once

#include <cstdint>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mercer/core/array.hpp"
#include "mercer/core/memory.hpp"
#include "mercer/model/model_contents.hpp"
#include "model/fields.hpp"

namespace mercer {

/// A file whose header and checksum have been read and checked. Arrays are read when they are asked for, and must then
/// hold finite numbers. All faults are std::invalid_argument without the name of the file.
class ModelFile {
 public:
  explicit ModelFile(const std::string& path);
  ~ModelFile();

  /// The model without its arrays.
  Fields header() const;
  std::string header_text() const;
  /// The version of mercer that wrote the file.
  const std::string& writer() const { return writer_; }

  /// Arrays of the model, in alphabetical order.
  std::vector<std::string> names() const;
  bool has(const std::string& name) const { return tensors_.count(name) > 0; }
  /// Sizes of an array.
  const std::vector<index_t>& shape(const std::string& name) const;
  void require_shape(const std::string& name, const std::vector<index_t>& shape) const;
  ModelArray array(const std::string& name);
  /// Arrays of the shape given; integers of 32 or 64 bits.
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
  template <class T>
  Buffer<T> read(const Tensor& tensor);
  void verify_checksum();

  std::ifstream file_;
  std::uint64_t data_start_ = 0;
  std::unique_ptr<nlohmann::json> tensors_header_, metadata_;
  std::string writer_;
  int format_ = 0;
  std::map<std::string, Tensor> tensors_;
};

}  // namespace mercer
