// The packet filter of a policy controller (base/ruleset/policy_rules.h) in the kernel: in tables
// of weft's own, `ip weft-npc` and `ip6 weft-npc`, and in the chains WEAVE-NPC and WEAVE-NPC-EGRESS
// that the agent's hooks lead to (sys/firewall.h, ensure_policy_hooks).
//
// The tables have base chains in FORWARD in front of `filter`, which decide and say so by two bits
// of the packet's mark; the chains in `filter` hold only what iptables can read as well: accept (or
// return) what is marked, and of the egress' rest log and drop. So whoever flushes the tables
// closes everything, and nothing opens.
//
//   egress (-6)   iifname BRIDGE: answers, what came in by an overlay port, neighbour discovery,
//                 multicast; then the source's profile in the map `egress`; then unknown sources
//   ingress (-5)  oifname BRIDGE: the same, what leaves by an overlay port; then the destination's
//                 profile in the map `ingress`; nothing else
//   input (-6)    what containers send to the host itself is no policy's matter
//
// A profile is a chain of jumps to policies' chains; an address without policies goes straight to
// the chain that marks. Every change is one transaction of both families.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/ruleset/policy_rules.h"
#include "sys/nftables/nftables.h"

namespace weft::sys {

class PolicyBatch;

class PolicyTable {
 public:
  struct Options {
    std::string bridge;
    // Ports of the bridge that lead to other hosts, where those see to their own containers.
    std::vector<std::string> overlay_ports;
    bool allow_multicast = true;
  };

  static Result<std::unique_ptr<PolicyTable>> open(Options options);
  PolicyTable(const PolicyTable&) = delete;
  PolicyTable& operator=(const PolicyTable&) = delete;
  ~PolicyTable();

  // This alone, in the place of whatever there is.
  Result<Ok> replace(const PolicyChanges& everything);
  // One step on. After a failure only replace() makes sense.
  Result<Ok> apply(const PolicyChanges& changes);
  // What the hooks lead to. To be called behind replace(), and again when somebody changed it.
  Result<Ok> ensure_verdicts();
  // Whether there is somebody to lead packets there: the agent, with --expect-npc.
  Result<bool> has_hooks();

  // Whether nobody else has changed any rules of this network namespace since replace(), be it
  // those of other tables.
  Result<bool> is_alone();

  std::uint32_t port() const { return nftables_->port(); }
  // Messages of the last transaction, in octets.
  std::size_t last_bytes() const { return last_bytes_; }

 private:
  struct Profile {
    std::uint32_t number = 0;
    std::size_t addresses = 0;
  };
  using ProfileKey = std::pair<PolicyDirection, PolicyProfile>;
  struct Block {
    std::uint32_t number = 0;
    std::optional<NftFamily> family{};  // Nothing where it is empty.
  };
  // The numbers behind names, as the kernel has them.
  struct Names {
    std::uint32_t last = 0;
    std::map<std::string, std::uint32_t> groups;
    std::map<std::string, std::uint32_t> services;
    std::map<std::string, Block> blocks;
    std::map<std::string, std::uint32_t> chains;
    std::map<ProfileKey, Profile> profiles;
    std::map<std::pair<PolicyDirection, Ip>, PolicyProfile> addresses;
  };
  // What is to go once nothing leads there any more.
  struct Leftovers;

  PolicyTable(Options options, std::unique_ptr<Nftables> nftables);

  Result<Ok> commit(PolicyBatch& batch, const std::string& doing);
  void put_frame(NftFamily family, PolicyBatch& batch) const;
  void put_base_rules(NftFamily family, PolicyDirection direction, PolicyBatch& batch) const;
  void put_changes(const PolicyChanges& changes, PolicyBatch& batch);
  Leftovers forget(const PolicyChanges& changes);
  void put_sets(const PolicyChanges& changes, PolicyBatch& batch);
  void put_blocks(const PolicyChanges& changes, PolicyBatch& batch);
  void put_chains(const PolicyChanges& changes, PolicyBatch& batch);
  void put_rule(NftFamily family,
                const std::string& chain,
                PolicyDirection direction,
                const PolicyRule& rule,
                PolicyBatch& batch) const;
  void put_profiles(PolicyDirection direction,
                    const std::map<Ip, std::optional<PolicyProfile>>& changes,
                    Leftovers& leftovers,
                    PolicyBatch& batch);
  std::string profile_chain(PolicyDirection direction,
                            const PolicyProfile& profile,
                            PolicyBatch& batch);
  void put_unknown(bool closed, PolicyBatch& batch) const;
  void put_removals(const Leftovers& leftovers, PolicyBatch& batch) const;

  const Options options_;
  const std::unique_ptr<Nftables> nftables_;
  std::vector<NftFamily> families_{NftFamily::Ipv4, NftFamily::Ipv6};
  Names names_;
  std::size_t last_bytes_ = 0;
  // Of the rules, less the transactions that were ours: stays as it is while nobody else has any.
  std::uint32_t others_generation_ = 0;
};

// All of it, for a host that is to have no policies any more.
Result<Ok> remove_policy_table();

}  // namespace weft::sys
