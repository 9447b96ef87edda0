#include "sys/nftables/policy_table.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <linux/if.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/x_tables.h>
#include <linux/netfilter/xt_physdev.h>

#include "base/assert.h"
#include "sys/nftables/objects.h"
#include "sys/nftables/policy_batch.h"

namespace weft::sys {
namespace {

// In front of `filter`, where the hooks are (NF_IP_PRI_FILTER is 0).
constexpr int kEgressPriority = -6;
constexpr int kIngressPriority = -5;

constexpr std::array kDirections{PolicyDirection::Ingress, PolicyDirection::Egress};

constexpr const char* kUnknown = "unknown";
constexpr const char* kHookedChain = "FORWARD";
constexpr const char* kIngressChain = "WEAVE-NPC";
constexpr const char* kEgressChain = "WEAVE-NPC-EGRESS";
constexpr std::uint16_t kLogGroup = 86;
constexpr const char* kCommentPrefix = "weft npc";

// Names in the tables. Sets and maps have one namespace of their own, chains another.
const char* name_of(PolicyDirection direction) {
  return direction == PolicyDirection::Ingress ? "ingress" : "egress";
}
std::string allow_chain(PolicyDirection direction) {
  return fmt::format("allow-{}", name_of(direction));
}
std::string group_set(std::uint32_t number) {
  return fmt::format("group-{}", number);
}
std::string service_set(std::uint32_t number) {
  return fmt::format("services-{}", number);
}
std::string block_set(std::uint32_t number) {
  return fmt::format("blocks-{}", number);
}
std::string policy_chain(std::uint32_t number) {
  return fmt::format("policy-{}", number);
}
std::string profile_name(std::uint32_t number) {
  return fmt::format("pod-{}", number);
}

NftSet set_named(NftFamily family, std::string name, NftSet::Kind kind) {
  return {.family = family, .name = std::move(name), .kind = kind};
}
NftSet profile_map(NftFamily family, PolicyDirection direction) {
  return set_named(family, name_of(direction), NftSet::Kind::Profiles);
}

NftFamily family_of(const Ip& address) {
  return address.is_v4() ? NftFamily::Ipv4 : NftFamily::Ipv6;
}

std::vector<NftElement> elements_of(NftFamily family, const std::vector<Ip>& addresses) {
  std::vector<NftElement> elements;
  for (const Ip& address : addresses) {
    if (family_of(address) == family) {
      elements.push_back({.key = address.bytes()});
    }
  }
  return elements;
}

std::vector<NftElement> elements_of(NftFamily family, const std::vector<PolicyService>& services) {
  std::vector<NftElement> elements;
  for (const PolicyService& service : services) {
    if (family_of(service.address) == family) {
      elements.push_back({.key = key_of(service)});
    }
  }
  return elements;
}

// The kernel keeps a range as where it begins and the first address behind it.
std::vector<NftElement> elements_of(const std::vector<PolicyRange>& ranges) {
  std::vector<NftElement> elements;
  for (const PolicyRange& range : ranges) {
    elements.push_back({.key = range.first.bytes()});
    if (const auto end = address_after(range.last)) {
      elements.push_back({.key = end->bytes(), .is_range_end = true});
    }
  }
  return elements;
}

// --- rules ---------------------------------------------------------------------------------------

nft::Rule rule_in(NftFamily family, const std::string& chain, std::string comment = "") {
  nft::Rule rule = nft::rule_of(
      {.family = family, .table = kPolicyTable, .name = chain, .hook = NftChain::Hook::None});
  if (!comment.empty()) {
    constexpr std::size_t kCommentMax = 120;  // nft(8) prints no more than 128 octets.
    comment.resize(std::min(comment.size(), kCommentMax));
    const nft::Comment tag(comment);
    nftnl_rule_set_data(rule.get(), NFTNL_RULE_USERDATA, tag.data(), tag.size());
  }
  return rule;
}

void add_verdict(nftnl_rule* rule, int verdict, const std::string& chain = "") {
  nftnl_expr* const immediate = nft::add_expression(rule, "immediate");
  nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
  nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_VERDICT, static_cast<std::uint32_t>(verdict));
  if (!chain.empty()) {
    nftnl_expr_set_str(immediate, NFTNL_EXPR_IMM_CHAIN, chain.c_str());
  }
}

// mark = (mark & ~bits) ^ set.
void change_mark(nftnl_rule* rule, std::uint32_t bits, std::uint32_t set) {
  const std::uint32_t mask = ~bits;
  nft::load_meta(rule, NFT_META_MARK);
  nft::mask_with(rule, &mask, &set, sizeof mask);
  nftnl_expr* const write = nft::add_expression(rule, "meta");
  nftnl_expr_set_u32(write, NFTNL_EXPR_META_KEY, NFT_META_MARK);
  nftnl_expr_set_u32(write, NFTNL_EXPR_META_SREG, NFT_REG_1);
}

void load_address(nftnl_rule* rule, NftFamily family, nft::Direction end) {
  nft::load_payload(rule,
                    NFT_PAYLOAD_NETWORK_HEADER,
                    nft::offset_of(family, end),
                    family == NftFamily::Ipv4 ? 4 : 16);
}

nftnl_expr* look_up(nftnl_rule* rule, const std::string& set) {
  nftnl_expr* const lookup = nft::add_expression(rule, "lookup");
  nftnl_expr_set_u32(lookup, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
  nftnl_expr_set_str(lookup, NFTNL_EXPR_LOOKUP_SET, set.c_str());
  return lookup;
}

void match_protocol(nftnl_rule* rule, std::uint8_t protocol) {
  nft::load_meta(rule, NFT_META_L4PROTO);
  nft::compare(rule, NFT_CMP_EQ, &protocol, sizeof protocol);
}

constexpr std::uint32_t kPortOffset = 2;  // Of the destination, in TCP, UDP and SCTP.

void match_ports(nftnl_rule* rule, const PolicyPorts& ports) {
  match_protocol(rule, static_cast<std::uint8_t>(ports.protocol));
  if (ports.first == 0 && ports.last == UINT16_MAX) {
    return;
  }
  const std::uint16_t first = htons(ports.first);
  const std::uint16_t last = htons(ports.last);
  nft::load_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, kPortOffset, sizeof first);
  if (first == last) {
    nft::compare(rule, NFT_CMP_EQ, &first, sizeof first);
    return;
  }
  nft::compare(rule, NFT_CMP_GTE, &first, sizeof first);
  nft::compare(rule, NFT_CMP_LTE, &last, sizeof last);
}

// Destination, protocol and port, in registers one behind the other.
void match_service(nftnl_rule* rule, NftFamily family, const std::string& set) {
  const std::uint32_t behind =
      family == NftFamily::Ipv4 ? NFT_REG32_01 : NFT_REG32_04;  // The address.
  load_address(rule, family, nft::Direction::Destination);
  nftnl_expr* const protocol = nft::add_expression(rule, "meta");
  nftnl_expr_set_u32(protocol, NFTNL_EXPR_META_KEY, NFT_META_L4PROTO);
  nftnl_expr_set_u32(protocol, NFTNL_EXPR_META_DREG, behind);
  nft::load_payload_into(
      rule, NFT_PAYLOAD_TRANSPORT_HEADER, kPortOffset, sizeof(std::uint16_t), behind + 1);
  look_up(rule, set);
}

// iptables' physdev: which port of a bridge a frame came in by, or leaves by. nf_tables knows it in
// the family `bridge` alone.
void match_port_of_bridge(nftnl_rule* rule, PolicyDirection direction, const std::string& port) {
  constexpr std::size_t kSize = XT_ALIGN(sizeof(xt_physdev_info));
  auto* const info = static_cast<xt_physdev_info*>(std::calloc(1, kSize));  // The rule frees it.
  WEFT_ASSERT(info != nullptr);
  WEFT_ASSERT(port.size() < IFNAMSIZ);
  const bool is_in = direction == PolicyDirection::Egress;
  char* const name = is_in ? info->physindev : info->physoutdev;
  char* const mask = is_in ? info->in_mask : info->out_mask;
  std::memcpy(name, port.c_str(), port.size());
  std::memset(mask, UINT8_MAX, port.size() + 1);
  info->bitmask = is_in ? XT_PHYSDEV_OP_IN : XT_PHYSDEV_OP_OUT | XT_PHYSDEV_OP_BRIDGED;
  nftnl_expr* const match = nft::add_expression(rule, "match");
  nftnl_expr_set_str(match, NFTNL_EXPR_MT_NAME, "physdev");
  nftnl_expr_set_u32(match, NFTNL_EXPR_MT_REV, 0);
  nftnl_expr_set(match, NFTNL_EXPR_MT_INFO, info, kSize);
}

void match_multicast(nftnl_rule* rule, NftFamily family) {
  // 224.0.0.0/4 (RFC 5771) and ff00::/8 (RFC 4291).
  const std::uint8_t mask = family == NftFamily::Ipv4 ? 0xf0 : 0xff;
  const std::uint8_t wanted = family == NftFamily::Ipv4 ? 0xe0 : 0xff;
  const std::uint8_t none = 0;
  nft::load_payload(rule,
                    NFT_PAYLOAD_NETWORK_HEADER,
                    nft::offset_of(family, nft::Direction::Destination),
                    sizeof mask);
  nft::mask_with(rule, &mask, &none, sizeof mask);
  nft::compare(rule, NFT_CMP_EQ, &wanted, sizeof wanted);
}

// Router and neighbour solicitations and advertisements, and redirects (RFC 4861): what ARP is to
// IPv4, which no policy is asked about.
void match_neighbour_discovery(nftnl_rule* rule) {
  constexpr std::uint8_t kIcmpv6 = 58;
  constexpr std::uint8_t kFirst = 133;
  constexpr std::uint8_t kLast = 137;
  match_protocol(rule, kIcmpv6);
  nft::load_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, 0, sizeof kFirst);
  nft::compare(rule, NFT_CMP_GTE, &kFirst, sizeof kFirst);
  nft::compare(rule, NFT_CMP_LTE, &kLast, sizeof kLast);
}

// --- the chains in `filter` ----------------------------------------------------------------------

NftChain filter_chain(NftFamily family, const char* name) {
  return {.family = family, .table = "filter", .name = name, .hook = NftChain::Hook::None};
}

std::vector<NftRule> verdicts_of(const char* chain) {
  NftRule marked;
  if (chain == std::string_view(kIngressChain)) {
    marked.comment = fmt::format("{} allowed to enter", kCommentPrefix);
    marked.mark = kMayEnter;
    return {marked};  // The hooks log and drop the rest.
  }
  // It may still have to pass what the destination's policies say.
  marked.comment = fmt::format("{} allowed to leave", kCommentPrefix);
  marked.mark = kMayLeave;
  marked.verdict = NftRule::Verdict::Return;
  NftRule log;
  log.comment = fmt::format("{} log", kCommentPrefix);
  log.verdict = NftRule::Verdict::Log;
  log.log_group = kLogGroup;
  NftRule drop;
  drop.comment = fmt::format("{} drop", kCommentPrefix);
  drop.verdict = NftRule::Verdict::Drop;
  return {marked, log, drop};
}

Result<Ok> ensure_chain(Nftables& nftables, const NftChain& chain) {
  const std::vector<NftRule> wanted = verdicts_of(chain.name.c_str());
  NftTransaction transaction;
  const std::optional<NftChainState> found = WEFT_TRY(nftables.find_chain(chain));
  if (found) {
    const std::vector<NftRuleState> rules = WEFT_TRY(nftables.rules(chain));
    if (std::equal(rules.begin(),
                   rules.end(),
                   wanted.begin(),
                   wanted.end(),
                   [](const NftRuleState& is, const NftRule& rule) {
                     return is.comment == rule.comment;
                   })) {
      return Ok{};
    }
    // Of another controller, Weave's for one: its rules would let in what ours do not.
    transaction.flush_chain(chain);
  } else {
    transaction.add_table(chain, "weft");
    transaction.add_chain(chain, "weft");
  }
  // Each goes in front of the ones before it.
  std::for_each(wanted.rbegin(), wanted.rend(), [&](const NftRule& rule) {
    transaction.add_rule(chain, rule);
  });
  return nftables.commit(transaction, "fill chain " + chain.name);
}

// Of what we put there; another controller's is its own.
Result<Ok> empty_chain(Nftables& nftables, const NftChain& chain) {
  const std::optional<NftChainState> found = WEFT_TRY(nftables.find_chain(chain));
  if (!found) {
    return Ok{};
  }
  NftTransaction transaction;
  const std::vector<NftRuleState> rules = WEFT_TRY(nftables.rules(chain));
  for (const NftRuleState& rule : rules) {
    if (rule.comment.starts_with(kCommentPrefix)) {
      transaction.remove_rule(chain, rule.handle);
    }
  }
  return nftables.commit(transaction, "empty chain " + chain.name);
}

bool is_missing_family(const Error& error) {
  return error.os == EAFNOSUPPORT || error.os == EOPNOTSUPP;
}

}  // namespace

struct PolicyTable::Leftovers {
  std::vector<std::uint32_t> groups;
  std::vector<std::uint32_t> services;
  std::vector<Block> blocks;
  std::vector<std::uint32_t> chains;
  std::vector<std::uint32_t> profiles;
};

PolicyTable::PolicyTable(Options options, std::unique_ptr<Nftables> nftables)
    : options_(std::move(options)),
      nftables_(std::move(nftables)) {}

PolicyTable::~PolicyTable() = default;

Result<std::unique_ptr<PolicyTable>> PolicyTable::open(Options options) {
  for (const std::string& port : options.overlay_ports) {
    if (port.empty() || port.size() >= IFNAMSIZ) {
      return Error{Errc::Invalid, fmt::format("port of a bridge '{}'", port)};
    }
  }
  std::unique_ptr<Nftables> nftables = WEFT_TRY(Nftables::open());
  return std::unique_ptr<PolicyTable>(new PolicyTable(std::move(options), std::move(nftables)));
}

Result<Ok> PolicyTable::commit(PolicyBatch& batch, const std::string& doing) {
  const ByteView bytes = batch.finish();
  last_bytes_ = bytes.size();
  return nftables_->commit(bytes, doing);
}

Result<Ok> PolicyTable::replace(const PolicyChanges& everything) {
  names_ = {};
  PolicyBatch batch;
  for (const NftFamily family : families_) {
    batch.add_table(family);  // So that there is one to remove.
    batch.remove_table(family);
    put_frame(family, batch);
  }
  put_changes(everything, batch);
  // Before, so that who comes in between is not taken for us.
  others_generation_ = WEFT_TRY(nftables_->generation()) - nftables_->commit_count();
  const Result<Ok> done = commit(batch, "replace the tables of policies");
  if (!done.ok() && is_missing_family(done.error()) && families_.size() > 1) {
    families_ = {NftFamily::Ipv4};
    return replace(everything);
  }
  return done;
}

Result<Ok> PolicyTable::apply(const PolicyChanges& changes) {
  PolicyBatch batch;
  put_changes(changes, batch);
  return commit(batch, "change the tables of policies");
}

Result<Ok> PolicyTable::ensure_verdicts() {
  for (const NftFamily family : families_) {
    for (const char* const name : {kIngressChain, kEgressChain}) {
      WEFT_TRY(ensure_chain(*nftables_, filter_chain(family, name)));
    }
  }
  return Ok{};
}

Result<bool> PolicyTable::is_alone() {
  const std::uint32_t generation = WEFT_TRY(nftables_->generation());
  return generation - nftables_->commit_count() == others_generation_;
}

Result<bool> PolicyTable::has_hooks() {
  const std::vector<NftRuleState> rules =
      WEFT_TRY(nftables_->rules(filter_chain(NftFamily::Ipv4, kHookedChain)));
  return std::any_of(rules.begin(), rules.end(), [](const NftRuleState& rule) {
    return rule.jump == kIngressChain;
  });
}

// --- what is always there ------------------------------------------------------------------------

void PolicyTable::put_frame(NftFamily family, PolicyBatch& batch) const {
  batch.add_table(family);
  batch.add_chain(family, kUnknown);
  for (const PolicyDirection direction : kDirections) {
    const std::string allow = allow_chain(direction);
    batch.add_chain(family, allow);
    const nft::Rule marks = rule_in(family, allow);
    change_mark(marks.get(), mark_of(direction), mark_of(direction));
    add_verdict(marks.get(), NF_ACCEPT);
    batch.add_rule(family, marks.get());
    batch.add_set(profile_map(family, direction));
    const bool is_ingress = direction == PolicyDirection::Ingress;
    batch.add_base_chain(family,
                         name_of(direction),
                         NftChain::Hook::Forward,
                         is_ingress ? kIngressPriority : kEgressPriority);
    put_base_rules(family, direction, batch);
  }
  batch.add_base_chain(family, "input", NftChain::Hook::Input, kEgressPriority);
  const nft::Rule to_host = rule_in(family, "input");
  nft::match_name(to_host.get(), NFT_META_IIFNAME, {options_.bridge});
  add_verdict(to_host.get(), NFT_GOTO, allow_chain(PolicyDirection::Egress));
  batch.add_rule(family, to_host.get());
}

void PolicyTable::put_base_rules(NftFamily family,
                                 PolicyDirection direction,
                                 PolicyBatch& batch) const {
  const std::string chain = name_of(direction);
  const bool is_ingress = direction == PolicyDirection::Ingress;
  const auto put = [&](const nft::Rule& rule) { batch.add_rule(family, rule.get()); };
  const auto allow = [&](const nft::Rule& rule) {
    add_verdict(rule.get(), NFT_GOTO, allow_chain(direction));
    put(rule);
  };
  const nft::Rule others = rule_in(family, chain);
  nft::match_name(others.get(),
                  is_ingress ? NFT_META_OIFNAME : NFT_META_IIFNAME,
                  {.name = options_.bridge, .is_it = false});
  add_verdict(others.get(), NF_ACCEPT);
  put(others);
  // Nobody else marks for us.
  const nft::Rule unmark = rule_in(family, chain);
  change_mark(unmark.get(), mark_of(direction), 0);
  put(unmark);
  const nft::Rule answers = rule_in(family, chain);
  nft::match_conntrack(answers.get(),
                       NFT_CT_STATE,
                       NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED),
                       true);
  allow(answers);
  for (const std::string& port : options_.overlay_ports) {
    const nft::Rule elsewhere = rule_in(family, chain, "what " + port + " leads to");
    match_port_of_bridge(elsewhere.get(), direction, port);
    allow(elsewhere);
  }
  if (family == NftFamily::Ipv6) {
    const nft::Rule discovery = rule_in(family, chain, "neighbour discovery");
    match_neighbour_discovery(discovery.get());
    allow(discovery);
  }
  if (options_.allow_multicast) {
    const nft::Rule multicast = rule_in(family, chain, "multicast");
    match_multicast(multicast.get(), family);
    allow(multicast);
  }
  const nft::Rule known = rule_in(family, chain);
  load_address(
      known.get(), family, is_ingress ? nft::Direction::Destination : nft::Direction::Source);
  nftnl_expr_set_u32(
      look_up(known.get(), name_of(direction)), NFTNL_EXPR_LOOKUP_DREG, NFT_REG_VERDICT);
  put(known);
  if (!is_ingress) {
    const nft::Rule unknown = rule_in(family, chain);
    add_verdict(unknown.get(), NFT_GOTO, kUnknown);
    put(unknown);
  }
}

// --- changes -------------------------------------------------------------------------------------

void PolicyTable::put_changes(const PolicyChanges& changes, PolicyBatch& batch) {
  Leftovers leftovers = forget(changes);
  put_sets(changes, batch);
  put_blocks(changes, batch);
  put_chains(changes, batch);
  put_profiles(PolicyDirection::Ingress, changes.ingress, leftovers, batch);
  put_profiles(PolicyDirection::Egress, changes.egress, leftovers, batch);
  if (changes.closes_egress) {
    put_unknown(*changes.closes_egress, batch);
  }
  put_removals(leftovers, batch);
}

// First of all, so that a name can be made anew in the same step.
PolicyTable::Leftovers PolicyTable::forget(const PolicyChanges& changes) {
  const auto take = [](auto& map, const std::string& name) {
    const auto node = map.extract(name);
    WEFT_ASSERT(!node.empty());
    return node.mapped();
  };
  Leftovers leftovers;
  for (const std::string& name : changes.groups_removed) {
    leftovers.groups.push_back(take(names_.groups, name));
  }
  for (const std::string& name : changes.services_removed) {
    leftovers.services.push_back(take(names_.services, name));
  }
  for (const std::string& name : changes.blocks_removed) {
    leftovers.blocks.push_back(take(names_.blocks, name));
  }
  for (const std::string& name : changes.chains_removed) {
    leftovers.chains.push_back(take(names_.chains, name));
  }
  return leftovers;
}

void PolicyTable::put_sets(const PolicyChanges& changes, PolicyBatch& batch) {
  const auto put = [this, &batch](auto& numbers,
                                  const auto& made,
                                  const auto& elements,
                                  NftSet::Kind kind,
                                  const auto& set_name) {
    for (const std::string& name : made) {
      const std::uint32_t number = ++names_.last;
      numbers.emplace(name, number);
      for (const NftFamily family : families_) {
        batch.add_set(set_named(family, set_name(number), kind));
      }
    }
    for (const auto& [name, change] : elements) {
      const std::string set = set_name(numbers.at(name));
      for (const NftFamily family : families_) {
        batch.remove_elements(set_named(family, set, kind), elements_of(family, change.removed));
        batch.add_elements(set_named(family, set, kind), elements_of(family, change.added));
      }
    }
  };
  put(names_.groups, changes.groups_made, changes.groups, NftSet::Kind::Addresses, group_set);
  put(names_.services,
      changes.services_made,
      changes.services,
      NftSet::Kind::Services,
      service_set);
}

void PolicyTable::put_blocks(const PolicyChanges& changes, PolicyBatch& batch) {
  for (const auto& [name, ranges] : changes.blocks_made) {
    Block block{.number = ++names_.last};
    if (!ranges.empty()) {
      const NftFamily family = family_of(ranges.front().first);
      if (std::find(families_.begin(), families_.end(), family) != families_.end()) {
        block.family = family;
        const NftSet set = set_named(family, block_set(block.number), NftSet::Kind::Ranges);
        batch.add_set(set);
        batch.add_elements(set, elements_of(ranges));
      }
    }
    names_.blocks.emplace(name, block);
  }
}

void PolicyTable::put_chains(const PolicyChanges& changes, PolicyBatch& batch) {
  for (const auto& [name, chain] : changes.chains) {
    const auto [found, is_new] = names_.chains.try_emplace(name, 0);
    if (is_new) {
      found->second = ++names_.last;
    }
    const std::string kernel_name = policy_chain(found->second);
    for (const NftFamily family : families_) {
      is_new ? batch.add_chain(family, kernel_name) : batch.flush_chain(family, kernel_name);
      for (const PolicyRule& rule : chain.rules) {
        put_rule(family, kernel_name, chain.direction, rule, batch);
      }
    }
  }
}

void PolicyTable::put_rule(NftFamily family,
                           const std::string& chain,
                           PolicyDirection direction,
                           const PolicyRule& wanted,
                           PolicyBatch& batch) const {
  const nft::Rule rule = rule_in(family, chain, wanted.comment);
  const nft::Direction peer =
      direction == PolicyDirection::Ingress ? nft::Direction::Source : nft::Direction::Destination;
  if (wanted.group) {
    load_address(rule.get(), family, peer);
    look_up(rule.get(), group_set(names_.groups.at(*wanted.group)));
  }
  if (wanted.blocks) {
    const Block& block = names_.blocks.at(*wanted.blocks);
    if (block.family != family) {
      return;  // None of this family's addresses is in it.
    }
    load_address(rule.get(), family, peer);
    look_up(rule.get(), block_set(block.number));
  }
  if (wanted.ports) {
    match_ports(rule.get(), *wanted.ports);
  }
  if (wanted.services) {
    match_service(rule.get(), family, service_set(names_.services.at(*wanted.services)));
  }
  nft::add_expression(rule.get(), "counter");
  add_verdict(rule.get(), NFT_GOTO, allow_chain(direction));
  batch.add_rule(family, rule.get());
}

// The chain of a profile, made if it is new.
std::string PolicyTable::profile_chain(PolicyDirection direction,
                                       const PolicyProfile& profile,
                                       PolicyBatch& batch) {
  if (profile.empty()) {
    return allow_chain(direction);
  }
  const auto [found, is_new] = names_.profiles.try_emplace({direction, profile});
  ++found->second.addresses;
  if (is_new) {
    found->second.number = ++names_.last;
    const std::string name = profile_name(found->second.number);
    for (const NftFamily family : families_) {
      batch.add_chain(family, name);
      for (const std::string& policy : profile) {
        const nft::Rule rule = rule_in(family, name, policy);
        add_verdict(rule.get(), NFT_JUMP, policy_chain(names_.chains.at(policy)));
        batch.add_rule(family, rule.get());
      }
    }
  }
  return profile_name(found->second.number);
}

void PolicyTable::put_profiles(PolicyDirection direction,
                               const std::map<Ip, std::optional<PolicyProfile>>& changes,
                               Leftovers& leftovers,
                               PolicyBatch& batch) {
  std::map<NftFamily, std::vector<NftElement>> removed;
  std::map<NftFamily, std::vector<NftElement>> added;
  std::vector<ProfileKey> left;
  for (const auto& [address, profile] : changes) {
    const NftFamily family = family_of(address);
    if (std::find(families_.begin(), families_.end(), family) == families_.end()) {
      continue;
    }
    if (const auto known = names_.addresses.extract({direction, address})) {
      removed[family].push_back({.key = address.bytes()});
      left.emplace_back(direction, known.mapped());
    }
    if (profile) {
      added[family].push_back(
          {.key = address.bytes(), .chain = profile_chain(direction, *profile, batch)});
      names_.addresses.emplace(std::pair(direction, address), *profile);
    }
  }
  for (const NftFamily family : families_) {
    batch.remove_elements(profile_map(family, direction), removed[family]);
    batch.add_elements(profile_map(family, direction), added[family]);
  }
  // Only now, so that a profile that another address takes over stays.
  for (const ProfileKey& key : left) {
    const auto found = names_.profiles.find(key);
    if (found != names_.profiles.end() && --found->second.addresses == 0) {
      leftovers.profiles.push_back(found->second.number);
      names_.profiles.erase(found);
    }
  }
}

void PolicyTable::put_unknown(bool closed, PolicyBatch& batch) const {
  for (const NftFamily family : families_) {
    batch.flush_chain(family, kUnknown);
    if (!closed) {
      const nft::Rule open = rule_in(family, kUnknown, "no policy is about egress");
      add_verdict(open.get(), NFT_GOTO, allow_chain(PolicyDirection::Egress));
      batch.add_rule(family, open.get());
    }
  }
}

void PolicyTable::put_removals(const Leftovers& leftovers, PolicyBatch& batch) const {
  for (const NftFamily family : families_) {
    const auto remove_chain = [&](const std::string& name) {
      batch.flush_chain(family, name);
      batch.remove_chain(family, name);
    };
    for (const std::uint32_t number : leftovers.profiles) {
      remove_chain(profile_name(number));
    }
    for (const std::uint32_t number : leftovers.chains) {
      remove_chain(policy_chain(number));
    }
    for (const std::uint32_t number : leftovers.groups) {
      batch.remove_set(set_named(family, group_set(number), NftSet::Kind::Addresses));
    }
    for (const std::uint32_t number : leftovers.services) {
      batch.remove_set(set_named(family, service_set(number), NftSet::Kind::Services));
    }
    for (const Block& block : leftovers.blocks) {
      if (block.family == family) {
        batch.remove_set(set_named(family, block_set(block.number), NftSet::Kind::Ranges));
      }
    }
  }
}

Result<Ok> remove_policy_table() {
  const std::unique_ptr<Nftables> nftables = WEFT_TRY(Nftables::open());
  for (const NftFamily family : {NftFamily::Ipv4, NftFamily::Ipv6}) {
    PolicyBatch batch;
    batch.add_table(family);  // So that there is one to remove.
    batch.remove_table(family);
    const Result<Ok> gone = nftables->commit(batch.finish(), "remove the table of policies");
    if (!gone.ok() && !is_missing_family(gone.error())) {
      return gone;
    }
    for (const char* const name : {kIngressChain, kEgressChain}) {
      WEFT_TRY(empty_chain(*nftables, filter_chain(family, name)));
    }
  }
  return Ok{};
}

}  // namespace weft::sys
