// `weft completion SHELL`: what a shell needs to complete weft's commands and flags, made from
// their tables. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace weft::agent {

// For bash, zsh or fish; Errc::Invalid for another.
Result<std::string> completion_script(std::string_view shell);

}  // namespace weft::agent
