// What the value of an option may be.
#pragma once

#include <string>

#include "agent/cli/options.h"
#include "base/result.h"

namespace weft::agent {

// The value in its canonical form, or what was expected.
Result<std::string> checked_value(ValueKind kind, const std::string& text);

}  // namespace weft::agent
