#include "agent/cli/json_text.h"

#include <string_view>

#include <boost/json/serialize.hpp>

namespace weft::agent {

namespace json = boost::json;

namespace {

void append(const json::value& value, std::size_t depth, std::string& out) {
  const std::string indent(2 * depth, ' ');
  auto separate = [&, first = true]() mutable {
    out += first ? "\n" : ",\n";
    out += indent + "  ";
    first = false;
  };
  if (const json::array* array = value.if_array(); array != nullptr && !array->empty()) {
    out += '[';
    for (const json::value& element : *array) {
      separate();
      append(element, depth + 1, out);
    }
    out += "\n" + indent + "]";
  } else if (const json::object* object = value.if_object();
             object != nullptr && !object->empty()) {
    out += '{';
    for (const json::key_value_pair& member : *object) {
      separate();
      out += json::serialize(json::string(member.key())) + ": ";
      append(member.value(), depth + 1, out);
    }
    out += "\n" + indent + "}";
  } else {
    out += json::serialize(value);
  }
}

}  // namespace

std::string pretty(const json::value& value) {
  std::string text;
  append(value, 0, text);
  return text + "\n";
}

std::string text_of(const json::value& value) {
  return std::string(std::string_view(value.as_string()));
}

}  // namespace weft::agent
