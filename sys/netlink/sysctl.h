// Kernel settings under /proc/sys, of the network namespace of the calling process.
// Internal to sys.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace weft::sys {

bool has_sysctl(const std::string& name);

// `name` with slashes: "net/ipv6/conf/weft/accept_ra". Ok if the kernel has no such setting.
Result<Ok> set_sysctl(const std::string& name, std::string_view value);

// The same, writing only what differs: /proc/sys may be read-only, and some settings reset others
// when they are written.
Result<Ok> ensure_sysctl(const std::string& name, std::string_view value);

// A bridge port is a piece of wire: with IPv6 it would speak on its own, and its reports of the
// groups it has joined would be flooded to all hosts even if it had no address. To be called before
// the link is up.
Result<Ok> silence_ipv6(const std::string& link);

// Turns forwarding of IPv6 on. A host that has its own way out from router advertisements goes on
// listening to them, which a router by default does not.
Result<Ok> ensure_ipv6_forwarding();

}  // namespace weft::sys
