// What weft asks of the host's firewall: that Docker's does not drop containers' packets, and,
// where the host is their gateway, that they leave under the host's address.
//
// Where br_netfilter is on (bridge-nf-call-iptables), the kernel sends IP frames that a bridge
// forwards through the FORWARD chains of IPv4 and IPv6 as well, and Docker sets the policy of those
// chains to DROP. So one rule `iifname BRIDGE oifname BRIDGE accept` goes to the head of FORWARD in
// `ip filter` and `ip6 filter`, the tables that iptables-nft and Docker use: a table of our own
// could not help, since a drop in any table is final. Where table or chain are missing they are
// made the way iptables-nft makes them.
//
// For a gateway more rules follow there, behind Docker's own, so that what an administrator says in
// DOCKER-USER holds: not to Docker's other bridges, which Docker keeps apart from each other as
// well, else out of the bridge, and back in. The rest is in tables of weft's own, `ip weft` and
// `ip6 weft`: masquerading of what leaves the bridge, and no way into it but for answers, for what
// the host's rules redirect there, and for subnets that are exposed (but to Docker's default
// bridge).
#pragma once

#include <string>
#include <vector>

#include "base/address.h"
#include "base/netdev.h"
#include "base/result.h"

namespace weft::sys {

// Ok if the rules are there already. To be called again now and then: a reload of the host's
// firewall flushes them. Errc::Unavailable, with the cure, where the host uses iptables-legacy.
Result<Ok> ensure_forward_accept(const std::string& bridge);

// Removes the rules, and the table and chain if we made them and nothing else is in them.
Result<Ok> remove_forward_accept(const std::string& bridge);

// Instead of the above, where a policy controller is to say who may talk: Weave's own, weave-npc,
// or one that fills the same chains. At the head of FORWARD, in `ip filter` and `ip6 filter`:
//
//   iifname BRIDGE jump WEAVE-NPC-EGRESS
//   oifname BRIDGE jump WEAVE-NPC
//   oifname BRIDGE log group 86             what is dropped, for the controller to count
//   oifname BRIDGE drop
//
// and WEAVE-NPC-EGRESS at the head of INPUT, too. The chains are made empty where they are missing,
// and left to the controller: while it has said nothing, nobody gets to a container. Frames within
// the bridge are made to pass FORWARD. Errc::Unavailable where the kernel cannot do that, or as
// above.
Result<Ok> ensure_policy_hooks(const std::string& bridge);

// Removes the rules, and the chains unless there is something in them.
Result<Ok> remove_policy_hooks(const std::string& bridge);

// Addresses of one family, both ends included.
struct AddressRun {
  Ip first;
  Ip last;

  friend bool operator==(const AddressRun&, const AddressRun&) = default;
};

// The runs that a host's rules are made for; more are refused with Errc::Exhausted, since each new
// conversation from outside is compared with them one after the other.
inline constexpr std::size_t kKeptRunsMax = 32;

struct GatewayRules {
  std::vector<Exposure> exposed{};  // Among the gateway's addresses.
  // Who comes in from outside to one of these keeps its own address, also where its subnet is
  // exposed with masquerading.
  std::vector<AddressRun> kept{};
  // Whose containers stay out of exposed subnets.
  std::string docker_bridge = "docker0";
};

// The same for what the host needs as the bridge's gateway with these addresses, in their families
// alone.
Result<Ok> ensure_gateway_rules(const std::string& bridge,
                                const std::vector<Cidr>& addresses,
                                const GatewayRules& rules = {});
Result<Ok> remove_gateway_rules(const std::string& bridge);

// That containers may ask the DNS at an address of this host: rules at the head of INPUT in
// `ip filter`, for what comes in by one of the links. Where there is no such chain nothing drops.
struct DnsDoor {
  Ipv4 address;
  std::vector<std::string> links;
};
Result<Ok> ensure_dns_accept(const DnsDoor& door);
Result<Ok> remove_dns_accept();

// That frames which the bridge forwards to other stations keep their addresses, where br_netfilter
// shows them to the host's rules: a rule at the head of POSTROUTING in `ip nat`. Where there is no
// such chain nothing changes them.
Result<Ok> ensure_bridged_unchanged(const std::string& bridge);
Result<Ok> remove_bridged_unchanged(const std::string& bridge);

}  // namespace weft::sys
