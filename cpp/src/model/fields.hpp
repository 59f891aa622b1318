/// JSON objects read by name and type.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace mercer {

/// One JSON object, which must outlive this. Every getter throws std::invalid_argument that names the place in the
/// file, the key, what was expected and what came. Numbers are finite: JSON has no others.
class Fields {
 public:
  /// `where`: what to call the object in messages. `format`: that of the file, inherited by the objects inside.
  Fields(const nlohmann::json& object, std::string where, int format);

  const std::string& where() const { return where_; }
  int format() const { return format_; }
  /// Of what may be missing: the key is there and not null.
  bool has(const std::string& key) const;
  /// Of what may be null, but must be there: it is not null.
  bool given(const std::string& key) const;
  /// The same of a key that early files of format 1 did not have: there alone it may be missing.
  bool given_or_early(const std::string& key) const { return format_ == 1 ? has(key) : given(key); }

  double number(const std::string& key) const;
  double within(const std::string& key, double least, double most) const;
  double positive(const std::string& key) const;
  /// In Angstrom; beyond these bounds, those of python/mercer/_validation.py, it has another unit.
  double length(const std::string& key) const { return within(key, 1e-6, 1e6); }
  /// From `least` to 2^31 - 1.
  int integer(const std::string& key, int least) const;
  /// From `least` to 2^64 - 1.
  std::uint64_t count(const std::string& key, std::uint64_t least) const;
  bool flag(const std::string& key) const;
  std::string text(const std::string& key) const;
  /// One of `choices`.
  std::string choice(const std::string& key, const std::vector<std::string>& choices) const;
  Fields object(const std::string& key) const;
  /// A list of objects.
  std::vector<Fields> objects(const std::string& key) const;
  /// All entries, which are objects or null; those that are null are left out.
  std::vector<Fields> objects_by_name() const;
  std::vector<double> numbers(const std::string& key) const;
  std::vector<std::int32_t> integers(const std::string& key) const;
  std::vector<std::string> texts(const std::string& key) const;
  std::vector<std::vector<std::int32_t>> integer_lists(const std::string& key) const;
  /// A list of lists of numbers, all of one length: row after row.
  std::vector<double> matrix(const std::string& key) const;
  /// Names and numbers; empty where null.
  std::map<std::string, double> named_numbers(const std::string& key) const;
  /// All entries but those of `others`, which must be numbers.
  std::map<std::string, double> named_numbers_except(const std::vector<std::string>& others) const;
  std::vector<std::string> keys() const;

  bool is_text(const std::string& key) const;
  bool is_number(const std::string& key) const;
  bool is_object(const std::string& key) const;

  /// Throws for a key that is not among `known`: the file then means something that would be lost.
  void allow_only(const std::vector<std::string>& known) const;
  [[noreturn]] void wrong(const std::string& key, const std::string& expected) const;

 private:
  const nlohmann::json& get(const std::string& key) const;

  const nlohmann::json* object_;
  std::string where_;
  int format_;
};

}  // namespace mercer
