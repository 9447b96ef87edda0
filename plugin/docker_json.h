// Fields of JSON objects: those of Docker's calls, and those of the rows in our store.
//
// Each reader names the field that is not what it should be. A field that is absent or null is the
// empty string, false, or a null pointer; require() is for those that must be there.
// Internal to plugin.
#pragma once

#include <string>
#include <string_view>

#include <boost/json.hpp>

#include "base/result.h"

namespace weft::plugin::fields {

boost::json::string_view view(std::string_view text);

// Null where the field is absent or null.
const boost::json::value* find(const boost::json::object& object, std::string_view name);
Result<Ok> require(const boost::json::object& object, std::string_view name);

Result<std::string> text(const boost::json::object& object, std::string_view name);
Result<bool> flag(const boost::json::object& object, std::string_view name);
Result<const boost::json::object*> child(const boost::json::object& object, std::string_view name);
Result<const boost::json::array*> list(const boost::json::object& object, std::string_view name);

Error wrong_type(std::string_view name, std::string_view expected);

}  // namespace weft::plugin::fields
