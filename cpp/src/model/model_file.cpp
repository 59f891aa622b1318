#include "model/model_file.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "mercer/core/checksum.hpp"
#include "mercer/core/error.hpp"
#include "mercer/core/version.hpp"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "model files are little-endian, and are read as they are");

namespace mercer {

using nlohmann::json;

namespace {

constexpr const char* format_name = "mercer-potential";
/// The newest format of the contents that this version reads: FORMAT_VERSION of python/mercer/io.py.
constexpr int format_version = 2;
/// What the safetensors library allows.
constexpr std::uint64_t max_header_bytes = 100'000'000;
/// Lists and objects inside each other; models have less than ten.
constexpr int max_depth = 64;
/// Characters of a version.
constexpr std::size_t max_version = 64;
constexpr const char* checksum_name = "checksum";

const std::map<std::string, std::uint64_t>& bytes_of_dtypes() {
  static const std::map<std::string, std::uint64_t> table{{"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8},
                                                          {"I32", 4}, {"I16", 2}, {"I8", 1},  {"U64", 8},  {"U32", 4},
                                                          {"U16", 2}, {"U8", 1},  {"BOOL", 1}};
  return table;
}

std::string text_of(const std::vector<index_t>& shape) {
  std::string text;
  for (const index_t size : shape) text += (text.empty() ? "" : ", ") + std::to_string(size);
  return "(" + text + ")";
}

[[noreturn]] void truncated(std::uint64_t expected, std::uint64_t found) {
  throw std::invalid_argument(concatenate("the file is truncated: it has ", found, " bytes, its header promises ",
                                          expected, "; copy or save it again"));
}

/// How deep lists and objects lie inside each other.
int depth(const std::string& json_text) {
  int now = 0, deepest = 0;
  bool inside_text = false;
  for (std::size_t i = 0; i < json_text.size(); ++i) {
    const char c = json_text[i];
    if (c == '"') inside_text = !inside_text;
    if (inside_text) {
      if (c == '\\') ++i;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++now);
    } else if (c == ']' || c == '}') {
      --now;
    }
  }
  return deepest;
}

/// `parse` of untrusted text: no exception of the JSON library leaves this file.
json parse_object(const std::string& text, const char* what) {
  MERCER_REQUIRE(depth(text) <= max_depth, "not a mercer model, or a damaged one: ", what, " has more than ", max_depth,
                 " lists and objects inside each other");
  json parsed = json::parse(text, nullptr, false);
  MERCER_REQUIRE(parsed.is_object(), "not a mercer model, or a damaged one: ", what, " is not a JSON object");
  return parsed;
}

}  // namespace

ModelFile::ModelFile(const std::string& path) {
  std::error_code missing;
  MERCER_REQUIRE(std::filesystem::is_regular_file(path, missing), "no such model file");
  file_.open(path, std::ios::binary);
  MERCER_REQUIRE(file_.is_open(), "the model file cannot be read; are you allowed to?");
  file_.seekg(0, std::ios::end);
  const std::streamoff end = file_.tellg();
  MERCER_REQUIRE(file_ && end >= 0, "the model file cannot be read");
  const auto file_bytes = static_cast<std::uint64_t>(end);
  MERCER_REQUIRE(file_bytes >= 8, "not a mercer model, or a truncated one: it has ", file_bytes, " bytes only");
  file_.seekg(0);
  std::uint64_t header_bytes = 0;
  file_.read(reinterpret_cast<char*>(&header_bytes), 8);
  MERCER_REQUIRE(file_, "the model file cannot be read");
  MERCER_REQUIRE(header_bytes <= max_header_bytes, "not a mercer model (a safetensors file starts with the length of "
                 "its header)");
  data_start_ = 8 + header_bytes;
  if (data_start_ > file_bytes) truncated(data_start_, file_bytes);
  std::string text(header_bytes, '\0');
  file_.read(text.data(), static_cast<std::streamsize>(header_bytes));
  MERCER_REQUIRE(file_, "reading the header failed");
  tensors_header_ = std::make_unique<json>(parse_object(text, "its header"));
  read_metadata();
  read_tensors(file_bytes - data_start_);
  verify_checksum();
}

ModelFile::~ModelFile() = default;

void ModelFile::read_metadata() {
  const auto entries = tensors_header_->find("__metadata__");
  MERCER_REQUIRE(entries != tensors_header_->end() && entries->is_object() && entries->contains("mercer") &&
                     (*entries)["mercer"].is_string(),
                 "a safetensors file of another program; give a model that mercer saved");
  metadata_ = std::make_unique<json>(parse_object((*entries)["mercer"].get<std::string>(), "the description"));
  tensors_header_->erase("__metadata__");
  const Fields metadata(*metadata_, "the description of the model is damaged", 0);
  metadata.allow_only({"format", "format_version", "mercer_version", "header"});
  metadata.choice("format", {format_name});
  writer_ = metadata.text("mercer_version");
  if (writer_.empty() || writer_.size() > max_version) metadata.wrong("mercer_version", "a version");
  format_ = metadata.integer("format_version", 1);
  MERCER_REQUIRE(format_ <= format_version, "written by mercer ", writer_, " in format ", format_,
                 "; this is mercer ", version, ", which reads up to format ", format_version,
                 ". Upgrade to mercer ", writer_, " or newer (in Python: pip install 'mercer>=", writer_, "')");
  metadata.object("header");
}

void ModelFile::read_tensors(std::uint64_t data_bytes) {
  for (const auto& item : tensors_header_->items()) {
    const std::string& name = item.key();
    const json& entry = item.value();
    const Fields fields(entry, "array " + name, format_);
    Tensor tensor;
    tensor.dtype = fields.text("dtype");
    const auto bytes = bytes_of_dtypes().find(tensor.dtype);
    MERCER_REQUIRE(bytes != bytes_of_dtypes().end(), "array ", name, ": dtype ", tensor.dtype, " is unknown");
    const auto sizes = [&](const char* key) {
      std::vector<index_t> found;
      const auto list = entry.find(key);
      MERCER_REQUIRE(list != entry.end() && list->is_array(), "array ", name, ": ", key, " is missing or no list");
      for (const json& value : *list) {
        MERCER_REQUIRE(value.is_number_unsigned() && value.get<std::uint64_t>() < (std::uint64_t{1} << 62), "array ",
                       name, ": ", key, " holds something else than sizes");
        found.push_back(value.get<index_t>());
      }
      return found;
    };
    tensor.shape = sizes("shape");
    const std::vector<index_t> span = sizes("data_offsets");
    MERCER_REQUIRE(span.size() == 2 && span[0] <= span[1], "array ", name, ": data_offsets is no pair that rises");
    tensor.begin = span[0];
    tensor.end = span[1];
    std::uint64_t size = bytes->second;
    for (const index_t n : tensor.shape) {
      MERCER_REQUIRE(!__builtin_mul_overflow(size, static_cast<std::uint64_t>(n), &size), "array ", name, ": shape ",
                     text_of(tensor.shape), " is too large");
    }
    MERCER_REQUIRE(size == tensor.end - tensor.begin, "array ", name, " takes ", tensor.end - tensor.begin,
                   " bytes, its shape ", text_of(tensor.shape), " of ", tensor.dtype, " needs ", size);
    if (tensor.end > data_bytes) truncated(data_start_ + tensor.end, data_start_ + data_bytes);
    tensors_.emplace(name, std::move(tensor));
  }
  // Arrays lie one after the other without gaps, and nothing follows them.
  std::vector<std::pair<std::uint64_t, std::uint64_t>> spans;
  for (const auto& [name, tensor] : tensors_) spans.emplace_back(tensor.begin, tensor.end);
  std::sort(spans.begin(), spans.end());
  std::uint64_t end = 0;
  for (const auto& [begin, next] : spans) {
    MERCER_REQUIRE(begin == end, "the file is damaged: arrays overlap or leave a gap at byte ", data_start_ + end);
    end = next;
  }
  MERCER_REQUIRE(end == data_bytes, "the file is damaged: ", data_bytes - end, " bytes follow the last array");
}

void ModelFile::verify_checksum() {
  const auto found = tensors_.find(checksum_name);
  MERCER_REQUIRE(format_ == 1 || found != tensors_.end(), "the file is damaged: its checksum is missing");
  if (found == tensors_.end()) return;
  const Tensor tensor = found->second;
  tensors_.erase(found);
  MERCER_REQUIRE(tensor.dtype == "U8" && tensor.shape == std::vector<index_t>{8} &&
                     std::all_of(tensors_.begin(), tensors_.end(),
                                 [&](const auto& other) { return other.second.begin <= tensor.begin; }),
                 "the file is damaged: its checksum is not 8 bytes at the end");
  constexpr std::uint64_t piece = std::uint64_t{1} << 18;
  std::string bytes(piece, '\0');
  std::uint64_t sum = 0, expected = 0;
  file_.seekg(0);
  for (std::uint64_t left = data_start_ + tensor.begin, n; left > 0; left -= n) {
    n = std::min(left, piece);
    file_.read(bytes.data(), static_cast<std::streamsize>(n));
    MERCER_REQUIRE(file_, "reading the file failed");
    sum = crc64(bytes.data(), n, sum);
  }
  file_.read(bytes.data(), 8);
  MERCER_REQUIRE(file_, "reading the file failed");
  for (int k = 0; k < 8; ++k) expected = expected << 8 | static_cast<unsigned char>(bytes[k]);
  MERCER_REQUIRE(sum == expected, "the file is damaged: its contents do not have the checksum that was saved with them; "
                 "copy or save it again");
}

Fields ModelFile::header() const { return {metadata_->at("header"), "header", format_}; }

std::string ModelFile::header_text() const { return metadata_->at("header").dump(); }

std::vector<std::string> ModelFile::names() const {
  std::vector<std::string> found;
  for (const auto& entry : tensors_) found.push_back(entry.first);
  return found;
}

const ModelFile::Tensor& ModelFile::tensor(const std::string& name) const {
  const auto found = tensors_.find(name);
  MERCER_REQUIRE(found != tensors_.end(), "the array ", name, " is missing");
  return found->second;
}

const std::vector<index_t>& ModelFile::shape(const std::string& name) const { return tensor(name).shape; }

void ModelFile::require_shape(const std::string& name, const std::vector<index_t>& shape) const {
  const Tensor& found = tensor(name);
  MERCER_REQUIRE(found.shape == shape, "array ", name, " has shape ", text_of(found.shape), ", expected ",
                 text_of(shape));
}

template <class T>
Buffer<T> ModelFile::read(const Tensor& tensor) {
  Buffer<T> values(static_cast<index_t>((tensor.end - tensor.begin) / sizeof(T)));
  file_.clear();
  file_.seekg(static_cast<std::streamoff>(data_start_ + tensor.begin));
  file_.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(tensor.end - tensor.begin));
  MERCER_REQUIRE(file_, "reading the arrays failed");
  return values;
}

ModelArray ModelFile::array(const std::string& name) {
  const Tensor& found = tensor(name);
  if (found.dtype == "F64") return {name, found.shape, doubles(name, found.shape)};
  if (found.dtype == "I64") return {name, found.shape, read<std::int64_t>(found)};
  MERCER_REQUIRE(found.dtype == "I32", "array ", name, " is of ", found.dtype, ", expected F64, I64 or I32");
  return {name, found.shape, read<std::int32_t>(found)};
}

Buffer<double> ModelFile::doubles(const std::string& name, const std::vector<index_t>& shape) {
  require_shape(name, shape);
  const Tensor& found = tensor(name);
  MERCER_REQUIRE(found.dtype == "F64", "array ", name, " is of ", found.dtype, ", expected F64");
  Buffer<double> values = read<double>(found);
  for (const double value : values.span()) {
    MERCER_REQUIRE(std::isfinite(value), "array ", name, " holds numbers that are not finite");
  }
  return values;
}

Buffer<index_t> ModelFile::integers(const std::string& name, const std::vector<index_t>& shape) {
  require_shape(name, shape);
  const Tensor& found = tensor(name);
  if (found.dtype == "I64") return read<index_t>(found);
  MERCER_REQUIRE(found.dtype == "I32", "array ", name, " is of ", found.dtype, ", expected I64 or I32");
  const Buffer<std::int32_t> narrow = read<std::int32_t>(found);
  Buffer<index_t> values(narrow.size());
  std::copy(narrow.span().begin(), narrow.span().end(), values.data());
  return values;
}

}  // namespace mercer
