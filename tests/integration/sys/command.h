// Runs what an administrator would type (ip, iptables, ping), so that a test sees the kernel
// through other eyes than ours.
#pragma once

#include <string>

namespace weft::sys {

// Through /bin/sh. Expects the command to succeed; returns what it printed, errors included.
std::string run(const std::string& command);

bool succeeds(const std::string& command);

}  // namespace weft::sys
