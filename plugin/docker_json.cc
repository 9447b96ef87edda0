#include "plugin/docker_json.h"

#include <fmt/format.h>

namespace weft::plugin::fields {

namespace json = boost::json;

json::string_view view(std::string_view text) {
  return {text.data(), text.size()};
}

const json::value* find(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(view(name));
  return value != nullptr && !value->is_null() ? value : nullptr;
}

Result<Ok> require(const json::object& object, std::string_view name) {
  if (find(object, name) == nullptr) {
    return Error{Errc::Invalid, fmt::format("{} is missing", name)};
  }
  return Ok{};
}

Error wrong_type(std::string_view name, std::string_view expected) {
  return Error{Errc::Invalid, fmt::format("{} is not {}", name, expected)};
}

Result<std::string> text(const json::object& object, std::string_view name) {
  const json::value* value = find(object, name);
  if (value == nullptr) {
    return std::string();
  }
  if (!value->is_string()) {
    return wrong_type(name, "a string");
  }
  return std::string(value->as_string().data(), value->as_string().size());
}

Result<bool> flag(const json::object& object, std::string_view name) {
  const json::value* value = find(object, name);
  if (value == nullptr) {
    return false;
  }
  if (!value->is_bool()) {
    return wrong_type(name, "true or false");
  }
  return value->as_bool();
}

Result<const json::object*> child(const json::object& object, std::string_view name) {
  const json::value* value = find(object, name);
  if (value != nullptr && !value->is_object()) {
    return wrong_type(name, "an object");
  }
  return value != nullptr ? &value->as_object() : static_cast<const json::object*>(nullptr);
}

Result<const json::array*> list(const json::object& object, std::string_view name) {
  const json::value* value = find(object, name);
  if (value != nullptr && !value->is_array()) {
    return wrong_type(name, "a list");
  }
  return value != nullptr ? &value->as_array() : static_cast<const json::array*>(nullptr);
}

}  // namespace weft::plugin::fields
