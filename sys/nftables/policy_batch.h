// One transaction on the tables of policies, in nftables' own terms: sets, maps, chains, rules, as
// messages one behind the other. Internal to sys/nftables.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <libnftnl/rule.h>

#include "base/bytes.h"
#include "base/ruleset/policy_rules.h"
#include "sys/nftables/nftables.h"

namespace weft::sys {

// Bits of a packet's mark that say what was allowed, for the chains WEAVE-NPC and WEAVE-NPC-EGRESS,
// where packets without them are dropped. The first is Weave's own.
inline constexpr std::uint32_t kMayLeave = 0x40000;
inline constexpr std::uint32_t kMayEnter = 0x80000;

inline constexpr const char* kPolicyTable = "weft-npc";

std::uint32_t mark_of(PolicyDirection direction);

// What the elements of a set are.
struct NftSet {
  enum class Kind : std::uint8_t {
    Addresses,
    Ranges,    // Of addresses.
    Services,  // Address, protocol and port.
    Profiles,  // Addresses, each with a chain to go to.
  };
  NftFamily family = NftFamily::Ipv4;
  std::string name;
  Kind kind = Kind::Addresses;
};

struct NftElement {
  Bytes key;
  std::string chain{};        // Of Profiles.
  bool is_range_end = false;  // Of Ranges: the first address that is not in it.
};

Bytes key_of(const PolicyService& service);

class PolicyBatch {
 public:
  PolicyBatch();

  void add_table(NftFamily family);
  void remove_table(NftFamily family);  // With all that is in it.
  void add_set(const NftSet& set);
  void remove_set(const NftSet& set);
  void add_elements(const NftSet& set, const std::vector<NftElement>& elements);
  void remove_elements(const NftSet& set, const std::vector<NftElement>& elements);
  void add_chain(NftFamily family, const std::string& name);
  // Asked before `filter`, egress before ingress.
  void add_base_chain(NftFamily family, const std::string& name, NftChain::Hook hook, int priority);
  void flush_chain(NftFamily family, const std::string& name);
  void remove_chain(NftFamily family, const std::string& name);
  // Behind the others of its chain.
  void add_rule(NftFamily family, nftnl_rule* rule);

  // Closes it.
  ByteView finish();

 private:
  class Message;
  void put_elements(std::uint16_t type,
                    std::uint16_t flags,
                    const NftSet& set,
                    const std::vector<NftElement>& elements);

  std::vector<std::uint8_t> bytes_;
  std::vector<char> message_;  // The one being made.
  std::uint32_t sequence_ = 0;
  std::uint32_t set_id_ = 0;
};

}  // namespace weft::sys
