// Percent-encoding (RFC 3986, section 2.1) and forms, as the control API's paths, queries and
// bodies have them. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace weft::agent {

// Errc::Invalid for an escape that is none.
Result<std::string> decode_percent(std::string_view text);
// Everything but unreserved characters is escaped, so that the result is one segment of a path.
std::string encode_percent(std::string_view text);

// "a=1&b=x%20y&a=2" as a query or a body; '+' is a space. A parameter may be there more than once.
using Form = std::multimap<std::string, std::string, std::less<>>;
Result<Form> parse_form(std::string_view text);
// The form of a request: its body's parameters, then its query's.
Result<Form> parse_request_form(std::string_view target, std::string_view body);

// The first value of that name; empty if there is none.
std::string value_of(const Form& form, std::string_view name);
std::vector<std::string> values_of(const Form& form, std::string_view name);
// "true" and what else Go's ParseBool took, as Weave's handlers did.
bool flag_of(const Form& form, std::string_view name);

// "/a/b%20c?d" as {"a", "b c"}.
Result<std::vector<std::string>> path_segments(std::string_view target);

}  // namespace weft::agent
