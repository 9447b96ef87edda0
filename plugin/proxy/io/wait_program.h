// The program that containers made through the proxy begin with (wait.c), as a file to be mounted.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace weft::plugin::proxy {

std::string_view wait_program();

// Puts it into the folder, under the names that containers call it by. Containers that run keep the
// file that they began with.
Result<Ok> install_wait_program(const std::string& folder);
void remove_wait_program(const std::string& folder);

}  // namespace weft::plugin::proxy
