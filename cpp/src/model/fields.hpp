/// JSON objects read by name and type.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace mercer {

/// One JSON object, which must outlive this. Every getter throws std::invalid_argument that names the place in the
/// file, the key, what was expected and what came.
class Fields {
 public:
  /// `where`: what to call the object in messages.
  Fields(const nlohmann::json& object, std::string where);

  const std::string& where() const { return where_; }
  /// The key is there and not null.
  bool has(const std::string& key) const;

  double number(const std::string& key) const;
  /// From `least` to 2^31 - 1.
  int integer(const std::string& key, int least) const;
  bool flag(const std::string& key) const;
  std::string text(const std::string& key) const;
  Fields object(const std::string& key) const;
  /// A list of objects.
  std::vector<Fields> objects(const std::string& key) const;
  std::vector<double> numbers(const std::string& key) const;
  std::vector<std::int32_t> integers(const std::string& key) const;
  std::vector<std::vector<std::int32_t>> integer_lists(const std::string& key) const;
  /// A list of lists of numbers, all of one length: row after row.
  std::vector<double> matrix(const std::string& key) const;
  /// Names and numbers; empty where null.
  std::map<std::string, double> named_numbers(const std::string& key) const;
  /// All entries but those of `others`, which must be numbers.
  std::map<std::string, double> named_numbers_except(const std::vector<std::string>& others) const;

  /// Throws for a key that is not among `known`: the file then means something that would be lost.
  void allow_only(const std::vector<std::string>& known) const;

 private:
  const nlohmann::json& get(const std::string& key) const;
  [[noreturn]] void wrong(const std::string& key, const char* expected) const;

  const nlohmann::json* object_;
  std::string where_;
};

}  // namespace mercer
