// Keeps the host's firewall from dropping frames between ports of our bridge.
//
// Where br_netfilter is on (bridge-nf-call-iptables), the kernel sends IP frames that a bridge
// forwards through the FORWARD chains of IPv4 and IPv6 as well, and Docker sets the policy of those
// chains to DROP. So one rule `iifname BRIDGE oifname BRIDGE accept` goes to the head of FORWARD in
// `ip filter` and `ip6 filter`, the tables that iptables-nft and Docker use: a table of our own
// could not help, since a drop in any table is final. Where table or chain are missing they are
// made the way iptables-nft makes them.
#pragma once

#include <string>

#include "base/result.h"

namespace weft::sys {

// Ok if the rules are there already. To be called again now and then: a reload of the host's
// firewall flushes them. Errc::Unavailable, with the cure, where the host uses iptables-legacy.
Result<Ok> ensure_forward_accept(const std::string& bridge);

// Removes the rules, and the table and chain if we made them and nothing else is in them.
Result<Ok> remove_forward_accept(const std::string& bridge);

}  // namespace weft::sys
