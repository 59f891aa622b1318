#include "model/fields.hpp"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "mercer/core/error.hpp"

namespace mercer {

using nlohmann::json;

namespace {

bool is_index(const json& value, std::int64_t least) {
  if (value.is_number_unsigned()) {
    return value.get<std::uint64_t>() <= static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max()) &&
           value.get<std::int64_t>() >= least;
  }
  return value.is_number_integer() && value.get<std::int64_t>() >= least;
}

bool is_int32(const json& value) { return is_index(value, std::numeric_limits<std::int32_t>::min()); }

bool all_int32(const json& list) { return list.is_array() && std::all_of(list.begin(), list.end(), is_int32); }

bool all(const json& list, bool (json::*is)() const noexcept) {
  return list.is_array() && std::all_of(list.begin(), list.end(), [&](const json& value) { return (value.*is)(); });
}

}  // namespace

Fields::Fields(const json& object, std::string where, int format)
    : object_(&object), where_(std::move(where)), format_(format) {
  MERCER_REQUIRE(object.is_object(), where_, " is ", object.type_name(), ", expected an object");
}

void Fields::wrong(const std::string& key, const std::string& expected) const {
  std::string text = object_->at(key).dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  throw std::invalid_argument(concatenate(where_, ": ", key, " = ", text, ", expected ", expected));
}

const json& Fields::get(const std::string& key) const {
  const auto found = object_->find(key);
  MERCER_REQUIRE(found != object_->end(), where_, ": ", key, " is missing");
  return *found;
}

bool Fields::has(const std::string& key) const {
  const auto found = object_->find(key);
  return found != object_->end() && !found->is_null();
}

bool Fields::given(const std::string& key) const { return !get(key).is_null(); }

double Fields::number(const std::string& key) const {
  const json& value = get(key);
  if (!value.is_number()) wrong(key, "a number");
  return value.get<double>();
}

double Fields::within(const std::string& key, double least, double most) const {
  const double value = number(key);
  if (!(value >= least && value <= most)) wrong(key, concatenate("a number from ", least, " to ", most));
  return value;
}

double Fields::positive(const std::string& key) const {
  const double value = number(key);
  if (!(value > 0)) wrong(key, "a positive number");
  return value;
}

int Fields::integer(const std::string& key, int least) const {
  const json& value = get(key);
  if (!is_index(value, least)) wrong(key, concatenate("an integer, ", least, " or more"));
  return value.get<int>();
}

std::uint64_t Fields::count(const std::string& key, std::uint64_t least) const {
  const json& value = get(key);
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() < least) {
    wrong(key, concatenate("an integer, ", least, " or more"));
  }
  return value.get<std::uint64_t>();
}

bool Fields::flag(const std::string& key) const {
  const json& value = get(key);
  if (!value.is_boolean()) wrong(key, "true or false");
  return value.get<bool>();
}

std::string Fields::text(const std::string& key) const {
  const json& value = get(key);
  if (!value.is_string()) wrong(key, "a text");
  return value.get<std::string>();
}

std::string Fields::choice(const std::string& key, const std::vector<std::string>& choices) const {
  const json& value = get(key);
  std::string known;
  for (const std::string& name : choices) {
    if (value.is_string() && value.get_ref<const std::string&>() == name) return name;
    known += (known.empty() ? "" : ", ") + name;
  }
  wrong(key, "one of " + known);
}

Fields Fields::object(const std::string& key) const { return {get(key), where_ + ", " + key, format_}; }

std::vector<Fields> Fields::objects(const std::string& key) const {
  const json& list = get(key);
  if (!list.is_array()) wrong(key, "a list");
  std::vector<Fields> found;
  for (const json& item : list) {
    found.emplace_back(item, concatenate(where_, ", ", key, "[", found.size(), "]"), format_);
  }
  return found;
}

std::vector<Fields> Fields::objects_by_name() const {
  std::vector<Fields> found;
  for (const auto& item : object_->items()) {
    if (!item.value().is_null()) found.push_back(object(item.key()));
  }
  return found;
}

std::vector<double> Fields::numbers(const std::string& key) const {
  const json& list = get(key);
  if (!all(list, &json::is_number)) wrong(key, "a list of numbers");
  return list.get<std::vector<double>>();
}

std::vector<std::int32_t> Fields::integers(const std::string& key) const {
  const json& list = get(key);
  if (!all_int32(list)) wrong(key, "a list of integers");
  return list.get<std::vector<std::int32_t>>();
}

std::vector<std::string> Fields::texts(const std::string& key) const {
  const json& list = get(key);
  if (!all(list, &json::is_string)) wrong(key, "a list of texts");
  return list.get<std::vector<std::string>>();
}

std::vector<std::vector<std::int32_t>> Fields::integer_lists(const std::string& key) const {
  const json& lists = get(key);
  if (!lists.is_array() || !std::all_of(lists.begin(), lists.end(), all_int32)) {
    wrong(key, "a list of lists of integers");
  }
  return lists.get<std::vector<std::vector<std::int32_t>>>();
}

std::vector<double> Fields::matrix(const std::string& key) const {
  const json& rows = get(key);
  if (!all(rows, &json::is_array)) wrong(key, "a list of lists of numbers");
  std::vector<double> values;
  for (const json& row : rows) {
    if (!all(row, &json::is_number) || row.size() != rows[0].size()) {
      wrong(key, "a list of lists of numbers, all of one length");
    }
    for (const json& value : row) values.push_back(value.get<double>());
  }
  return values;
}

std::map<std::string, double> Fields::named_numbers(const std::string& key) const {
  return get(key).is_null() ? std::map<std::string, double>() : object(key).named_numbers_except({});
}

std::map<std::string, double> Fields::named_numbers_except(const std::vector<std::string>& others) const {
  std::map<std::string, double> found;
  for (const std::string& key : keys()) {
    if (std::count(others.begin(), others.end(), key)) continue;
    found[key] = number(key);
  }
  return found;
}

std::vector<std::string> Fields::keys() const {
  std::vector<std::string> found;
  for (const auto& item : object_->items()) found.push_back(item.key());
  return found;
}

bool Fields::is_text(const std::string& key) const { return get(key).is_string(); }
bool Fields::is_number(const std::string& key) const { return get(key).is_number(); }
bool Fields::is_object(const std::string& key) const { return get(key).is_object(); }

void Fields::allow_only(const std::vector<std::string>& known) const {
  for (const std::string& key : keys()) {
    MERCER_REQUIRE(std::count(known.begin(), known.end(), key), where_, ": ", key, " is unknown to this version");
  }
}

}  // namespace mercer
