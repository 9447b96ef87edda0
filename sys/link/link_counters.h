// How many packets the kernel has handed to links: /proc/net/dev of the caller's network namespace.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace weft::sys {

// The sum over the links of these names; those that do not exist count nothing. For looking a few
// times a second: the kernel writes a line for every link of the namespace.
std::uint64_t packets_sent(const std::vector<std::string>& links);

}  // namespace weft::sys
