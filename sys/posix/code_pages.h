// Program code that has been used once and is not used any more.
#pragma once

#include <cstddef>

namespace weft::sys {

// Takes the pages of the program's and its libraries' code out of this process's memory. They stay
// in the kernel's page cache, and what is run again is back with a minor fault: of an agent's
// memory more than half is code that only its start has run. Returns the bytes of code looked at;
// 0 if /proc does not tell.
std::size_t release_code_pages();

}  // namespace weft::sys
