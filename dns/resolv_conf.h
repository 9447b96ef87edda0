// The servers that resolv.conf(5) names. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"

namespace weft::dns {

// The C library asks three (MAXNS); a few more do no harm.
inline constexpr std::size_t kServersMax = 8;

// In their order, each once, at port 53. Lines that name none, or one with an interface
// ("fe80::1%eth0"), are left out.
std::vector<Endpoint> parse_resolv_conf(std::string_view text);

}  // namespace weft::dns
