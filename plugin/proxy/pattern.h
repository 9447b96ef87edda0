// The regular expression that makes a host name of a container's name, and what is put in its
// place: both as Go has them, which Weave's proxy is written in. `(?P<name>…)` is a group with a
// name; of the replacement, `$1`, `$name`, `${1}` and `${name}` stand for what a group matches (of
// `$` the longest word counts: `$1x` is a group called 1x, and so is nothing), `$$` for a dollar
// sign. Pure.
#pragma once

#include <string>

#include "base/result.h"

namespace weft::plugin::proxy {

// Errc::Invalid if it is no regular expression.
Result<Ok> check_pattern(const std::string& pattern);

// Every match is replaced. Errc::Invalid if it is no regular expression, Errc::Exhausted if this
// text takes too long.
Result<std::string> replace_matches(const std::string& text,
                                    const std::string& pattern,
                                    const std::string& replacement);

}  // namespace weft::plugin::proxy
