#include "sys/firewall.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <functional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/netdev.h"
#include "sys/netlink/sysctl.h"
#include "sys/nftables/nftables.h"

namespace weft::sys {
namespace {

// Tells our rule, and a chain or table we had to make, from everybody else's.
constexpr const char* kComment = "weft";

// Docker's chains, which FORWARD jumps to: DOCKER-USER, DOCKER-FORWARD, DOCKER-ISOLATION-STAGE-1…
constexpr std::string_view kDockerPrefix = "DOCKER";
// Where Docker drops what has come from one of its bridges and goes to another.
constexpr const char* kDockerIsolation = "DOCKER-ISOLATION-STAGE-2";

NftChain forward_chain(NftFamily family) {
  return {.family = family, .table = "filter", .name = "FORWARD"};
}

constexpr std::array<NftFamily, 2> kFamilies = {NftFamily::Ipv4, NftFamily::Ipv6};

// Our own table.
NftChain own_forward(NftFamily family) {
  return {.family = family, .table = "weft", .name = "forward"};
}

NftChain own_postrouting(NftFamily family) {
  return {.family = family,
          .table = "weft",
          .name = "postrouting",
          .hook = NftChain::Hook::PostroutingNat};
}

std::string rule_comment(const std::string& bridge) {
  return fmt::format("{} {}", kComment, bridge);
}

// Frames that the bridge itself forwards.
NftRule within_rule(const std::string& bridge) {
  NftRule rule;
  rule.comment = rule_comment(bridge);
  rule.in = NftRule::Link{bridge};
  rule.out = NftRule::Link{bridge};
  return rule;
}

NftRule outward(const std::string& bridge, const std::string& what) {
  NftRule rule;
  rule.comment = rule_comment(bridge) + " " + what;
  rule.in = NftRule::Link{bridge};
  rule.out = NftRule::Link{bridge, false};
  return rule;
}

NftRule inward(const std::string& bridge, const std::string& what) {
  NftRule rule;
  rule.comment = rule_comment(bridge) + " " + what;
  rule.in = NftRule::Link{bridge, false};
  rule.out = NftRule::Link{bridge};
  return rule;
}

// In FORWARD. That what comes back in are answers the stranger rule sees to: iptables-nft cannot
// read nftables' own way of asking conntrack, and would call the whole chain incompatible.
std::vector<NftRule> crossing_rules(const std::string& bridge) {
  return {outward(bridge, "out"), inward(bridge, "back")};
}

NftRule isolation_rule(const std::string& bridge) {
  NftRule rule = outward(bridge, "isolation");
  rule.verdict = NftRule::Verdict::Jump;
  rule.jump = kDockerIsolation;
  return rule;
}

NftRule stranger_rule(const std::string& bridge) {
  NftRule rule = inward(bridge, "strangers");
  rule.is_answer = false;
  rule.is_redirected = false;
  rule.verdict = NftRule::Verdict::Drop;
  return rule;
}

// The kernel knows the incoming link in this hook since 5.7.
NftRule masquerade_rule(const std::string& bridge) {
  NftRule rule = outward(bridge, "masquerade");
  rule.verdict = NftRule::Verdict::Masquerade;
  return rule;
}

// Of an exposed subnet: anybody may come in.
NftRule guest_rule(const std::string& bridge, const Cidr& subnet) {
  NftRule rule = inward(bridge, "exposed " + subnet.to_string());
  rule.destination = NftRule::Net{subnet};
  return rule;
}

// Docker keeps its networks apart; those of an exposed subnet are kept from its default one, too.
NftRule docker_rule(const std::string& bridge, const std::string& docker_bridge) {
  NftRule rule = inward(bridge, "exposed not to " + docker_bridge);
  rule.in = NftRule::Link{docker_bridge};
  rule.is_answer = false;
  rule.is_redirected = false;
  rule.verdict = NftRule::Verdict::Drop;
  return rule;
}

// Who comes in takes the host's address, so that containers without a way out can answer.
NftRule guest_masquerade_rule(const std::string& bridge, const Cidr& subnet) {
  NftRule rule = inward(bridge, "exposed in " + subnet.to_string());
  rule.source = NftRule::Net{subnet, false};
  rule.destination = NftRule::Net{subnet};
  rule.verdict = NftRule::Verdict::Masquerade;
  return rule;
}

// Who comes in to these addresses keeps its own.
NftRule kept_rule(const std::string& bridge, const AddressRun& run) {
  NftRule rule = inward(
      bridge, fmt::format("exposed kept {}-{}", run.first.to_string(), run.last.to_string()));
  rule.destination_run = NftRule::Run{run.first, run.last};
  return rule;
}

// Without masquerading, in either direction.
NftRule plain_rule(const std::string& bridge, const Cidr& subnet) {
  NftRule rule = outward(bridge, "exposed plain " + subnet.to_string());
  rule.source = NftRule::Net{subnet};
  return rule;
}

std::vector<NftRule> own_forward_rules(const std::string& bridge,
                                       const std::vector<Exposure>& exposed,
                                       const std::string& docker_bridge) {
  std::vector<NftRule> rules;
  if (!exposed.empty()) {
    rules.push_back(docker_rule(bridge, docker_bridge));
  }
  for (const Exposure& exposure : exposed) {
    rules.push_back(guest_rule(bridge, exposure.address.network()));
  }
  rules.push_back(stranger_rule(bridge));
  return rules;
}

std::vector<NftRule> own_postrouting_rules(const std::string& bridge,
                                           const std::vector<Exposure>& exposed,
                                           const std::vector<AddressRun>& kept) {
  std::vector<NftRule> rules;
  if (!exposed.empty()) {
    for (const AddressRun& run : kept) {
      rules.push_back(kept_rule(bridge, run));
    }
  }
  for (const Exposure& exposure : exposed) {
    const Cidr subnet = exposure.address.network();
    rules.push_back(exposure.masquerade ? guest_masquerade_rule(bridge, subnet)
                                        : plain_rule(bridge, subnet));
  }
  rules.push_back(masquerade_rule(bridge));
  return rules;
}

NftChain input_chain(NftFamily family) {
  return {.family = family, .table = "filter", .name = "INPUT", .hook = NftChain::Hook::Input};
}

const NftChain kInput = input_chain(NftFamily::Ipv4);
const NftChain kPostrouting = {.family = NftFamily::Ipv4,
                               .table = "nat",
                               .name = "POSTROUTING",
                               .hook = NftChain::Hook::PostroutingNat};

std::string unchanged_comment(const std::string& bridge) {
  return rule_comment(bridge) + " bridged";
}
constexpr const char* kDnsComment = "weft dns ";

std::vector<NftRule> dns_rules(const DnsDoor& door) {
  constexpr std::uint16_t kDnsPort = 53;
  std::vector<NftRule> rules;
  for (const std::string& link : door.links) {
    for (const auto& [protocol, name] :
         {std::pair(IPPROTO_UDP, "udp"), std::pair(IPPROTO_TCP, "tcp")}) {
      NftRule rule;
      rule.comment =
          fmt::format("{}{} {} {}", kDnsComment, link, Ip(door.address).to_string(), name);
      rule.in = NftRule::Link{link};
      rule.destination = NftRule::Net{Cidr(door.address, 32)};
      rule.port = NftRule::Port{static_cast<std::uint8_t>(protocol), kDnsPort};
      rules.push_back(std::move(rule));
    }
  }
  return rules;
}

// Names and group are Weave's, as its controller has them built in.
constexpr std::array<const char*, 2> kPolicyChains{"WEAVE-NPC-EGRESS", "WEAVE-NPC"};
constexpr std::uint16_t kPolicyLogGroup = 86;

NftRule egress_hook(const std::string& bridge) {
  NftRule rule;
  rule.comment = rule_comment(bridge) + " policy egress";
  rule.in = NftRule::Link{bridge};
  rule.verdict = NftRule::Verdict::Jump;
  rule.jump = kPolicyChains[0];
  return rule;
}

std::vector<NftRule> policy_rules(const std::string& bridge) {
  NftRule ingress;
  ingress.comment = rule_comment(bridge) + " policy ingress";
  ingress.out = NftRule::Link{bridge};
  ingress.verdict = NftRule::Verdict::Jump;
  ingress.jump = kPolicyChains[1];
  NftRule log = ingress;
  log.comment = rule_comment(bridge) + " policy log";
  log.verdict = NftRule::Verdict::Log;
  log.jump.clear();
  log.log_group = kPolicyLogGroup;
  NftRule drop = ingress;
  drop.comment = rule_comment(bridge) + " policy drop";
  drop.verdict = NftRule::Verdict::Drop;
  drop.jump.clear();
  return {egress_hook(bridge), ingress, log, drop};
}

// IPv6 may be compiled out or switched off; what is not there drops nothing.
bool is_missing_family(const Error& error) {
  return error.os == EAFNOSUPPORT || error.os == EOPNOTSUPP;
}

// The tables iptables-legacy has in use in this network namespace, one a line.
bool has_legacy_filter(const char* names_file) {
  std::ifstream names(names_file);
  std::string name;
  while (std::getline(names, name)) {
    if (name == "filter") {
      return true;
    }
  }
  return false;
}

Result<Ok> refuse_legacy(const std::string& bridge) {
  if (!has_legacy_filter("/proc/net/ip_tables_names")
      && !has_legacy_filter("/proc/net/ip6_tables_names")) {
    return Ok{};
  }
  return Error{
      Errc::Unavailable,
      fmt::format("this host uses iptables-legacy, which weft does not change: either run "
                  "'iptables-legacy -I FORWARD -i {0} -o {0} -j ACCEPT' and the same with "
                  "ip6tables-legacy, or change to iptables-nft (update-alternatives --set iptables "
                  "/usr/sbin/iptables-nft) and restart the host",
                  bridge)};
}

Result<Ok> check_bridge_name(const std::string& bridge) {
  if (bridge.empty() || bridge.size() > kInterfaceNameMax) {
    return Error{Errc::Invalid,
                 fmt::format("interface name '{}' of {} bytes (expected 1 to {})",
                             bridge,
                             bridge.size(),
                             kInterfaceNameMax)};
  }
  return Ok{};
}

bool is_among(const std::vector<NftRuleState>& rules, const NftRule& wanted) {
  return std::any_of(rules.begin(), rules.end(), [&](const NftRuleState& rule) {
    return rule.comment == wanted.comment;
  });
}

// The last rule that leads to one of Docker's chains; nothing if there is none.
std::optional<std::uint64_t> last_of_docker(const std::vector<NftRuleState>& rules) {
  std::optional<std::uint64_t> last;
  for (const NftRuleState& rule : rules) {
    if (rule.jump.starts_with(kDockerPrefix)) {
      last = rule.handle;
    }
  }
  return last;
}

enum class Place : std::uint8_t { Head, BehindDocker };

// None of a chain that is not there yet, which the transaction then makes.
Result<std::vector<NftRuleState>> rules_of(Nftables& nftables,
                                           const NftChain& chain,
                                           NftTransaction& transaction) {
  const std::optional<NftChainState> found = WEFT_TRY(nftables.find_chain(chain));
  if (found) {
    return nftables.rules(chain);
  }
  transaction.add_table(chain, kComment);
  transaction.add_chain(chain, kComment);
  return std::vector<NftRuleState>();
}

// Those of `wanted` that the chain lacks.
Result<Ok> ensure_in(Nftables& nftables,
                     const NftChain& chain,
                     const std::vector<NftRule>& wanted,
                     Place place) {
  NftTransaction transaction;
  auto rules = WEFT_TRY(rules_of(nftables, chain, transaction));
  bool is_complete = true;
  const auto behind = place == Place::Head ? std::nullopt : last_of_docker(rules);
  for (const NftRule& rule : wanted) {
    if (!is_among(rules, rule)) {
      transaction.add_rule(chain, rule, behind);
      is_complete = false;
    }
  }
  return is_complete ? Result<Ok>(Ok{})
                     : nftables.commit(transaction, "add firewall rules to chain " + chain.name);
}

bool is_of(const std::string& bridge, const NftRuleState& rule) {
  return rule.comment.starts_with(rule_comment(bridge) + " ");
}

// In a chain of our own table, where order matters and nobody else has a say: these rules of the
// bridge, in this order.
Result<Ok> ensure_exactly(Nftables& nftables,
                          const NftChain& chain,
                          const std::string& bridge,
                          const std::vector<NftRule>& wanted) {
  NftTransaction transaction;
  auto rules = WEFT_TRY(rules_of(nftables, chain, transaction));
  std::erase_if(rules, [&bridge](const NftRuleState& rule) { return !is_of(bridge, rule); });
  const bool is_same = std::equal(
      rules.begin(),
      rules.end(),
      wanted.begin(),
      wanted.end(),
      [](const NftRuleState& is, const NftRule& rule) { return is.comment == rule.comment; });
  if (is_same) {
    return Ok{};
  }
  for (const NftRuleState& rule : rules) {
    transaction.remove_rule(chain, rule.handle);
  }
  // Each goes in front of the ones before it.
  std::for_each(wanted.rbegin(), wanted.rend(), [&](const NftRule& rule) {
    transaction.add_rule(chain, rule);
  });
  return nftables.commit(transaction, "set firewall rules of chain " + chain.name);
}

// Only what we made, and only while nobody has come to use it.
Result<Ok> remove_if_ours(Nftables& nftables, const NftChain& chain, const NftChainState& state) {
  if (state.comment != kComment || !state.accepts) {
    return Ok{};
  }
  // One transaction each: the chain may be ours in a table that is not, or that has got others.
  NftTransaction of_chain;
  of_chain.remove_chain(chain);
  const Result<Ok> chain_gone = nftables.commit(of_chain, "remove chain " + chain.name);
  if (!chain_gone.ok()) {
    return chain_gone.error().os == EBUSY ? Result<Ok>(Ok{}) : chain_gone;
  }
  NftTransaction of_table;
  of_table.remove_table(chain);
  const Result<Ok> table_gone = nftables.commit(of_table, "remove table " + chain.table);
  return !table_gone.ok() && table_gone.error().os == EBUSY ? Result<Ok>(Ok{}) : table_gone;
}

Result<Ok> remove_if(Nftables& nftables,
                     const NftChain& chain,
                     const std::function<bool(const NftRuleState& rule)>& is_unwanted) {
  const std::optional<NftChainState> found = WEFT_TRY(nftables.find_chain(chain));
  if (!found) {
    return Ok{};
  }
  const std::vector<NftRuleState> rules = WEFT_TRY(nftables.rules(chain));
  NftTransaction transaction;
  std::size_t removed = 0;
  for (const NftRuleState& rule : rules) {
    if (is_unwanted(rule)) {
      transaction.remove_rule(chain, rule.handle);
      ++removed;
    }
  }
  if (removed != 0) {
    WEFT_TRY(nftables.commit(transaction, "remove firewall rules from chain " + chain.name));
  }
  // A chain with rules cannot go. To be told so costs 14 ms: the kernel waits for its readers when
  // it gives a transaction up.
  return removed == rules.size() ? remove_if_ours(nftables, chain, *found) : Result<Ok>(Ok{});
}

Result<Ok> remove_from(Nftables& nftables,
                       const NftChain& chain,
                       const std::vector<NftRule>& unwanted) {
  return remove_if(nftables, chain, [&unwanted](const NftRuleState& rule) {
    return std::any_of(unwanted.begin(), unwanted.end(), [&rule](const NftRule& one) {
      return one.comment == rule.comment;
    });
  });
}

Result<Ok> remove_own(Nftables& nftables, const NftChain& chain, const std::string& bridge) {
  return remove_if(
      nftables, chain, [&bridge](const NftRuleState& rule) { return is_of(bridge, rule); });
}

// Runs `change` for both families.
Result<Ok> for_both(const std::function<Result<Ok>(NftFamily family)>& change) {
  WEFT_TRY(change(NftFamily::Ipv4));
  const Result<Ok> v6 = change(NftFamily::Ipv6);
  return !v6.ok() && is_missing_family(v6.error()) ? Result<Ok>(Ok{}) : v6;
}

Result<Ok> ensure_policy_chains(Nftables& nftables, NftFamily family) {
  for (const char* const name : kPolicyChains) {
    const NftChain chain{
        .family = family, .table = "filter", .name = name, .hook = NftChain::Hook::None};
    const auto found = WEFT_TRY(nftables.find_chain(chain));
    if (!found) {
      NftTransaction transaction;
      transaction.add_table(chain, kComment);
      transaction.add_chain(chain, kComment);
      WEFT_TRY(nftables.commit(transaction, fmt::format("make chain {}", name)));
    }
  }
  return Ok{};
}

// In this order at the very head: whatever is in front of them could let in what no policy allows,
// as KUBE-FORWARD would.
Result<Ok> ensure_at_head(Nftables& nftables,
                          const NftChain& chain,
                          const std::vector<NftRule>& wanted) {
  NftTransaction transaction;
  auto rules = WEFT_TRY(rules_of(nftables, chain, transaction));
  const auto is_same = [](const NftRule& rule, const NftRuleState& is) {
    return is.comment == rule.comment;
  };
  if (rules.size() >= wanted.size()
      && std::equal(wanted.begin(), wanted.end(), rules.begin(), is_same)) {
    return Ok{};
  }
  for (const NftRuleState& rule : rules) {
    if (std::any_of(
            wanted.begin(), wanted.end(), [&](const NftRule& one) { return is_same(one, rule); })) {
      transaction.remove_rule(chain, rule.handle);
    }
  }
  // Each goes in front of the ones before it.
  std::for_each(wanted.rbegin(), wanted.rend(), [&](const NftRule& rule) {
    transaction.add_rule(chain, rule);
  });
  return nftables.commit(transaction, "add policy hooks to chain " + chain.name);
}

// Those that a controller has filled are its own.
Result<Ok> remove_policy_chains(Nftables& nftables, NftFamily family) {
  for (const char* const name : kPolicyChains) {
    const NftChain chain{
        .family = family, .table = "filter", .name = name, .hook = NftChain::Hook::None};
    const std::optional<NftChainState> found = WEFT_TRY(nftables.find_chain(chain));
    if (found) {
      const Result<Ok> removed = remove_if_ours(nftables, chain, *found);
      if (!removed.ok()
          && removed.error().os != EBUSY) {  // Then another bridge's hooks lead there.
        return removed;
      }
    }
  }
  return Ok{};
}

// Per network namespace, so that other bridges of the host's are asked, too, as by Docker.
Result<Ok> pass_bridged_frames_on() {
  for (const char* const name : {"bridge-nf-call-iptables", "bridge-nf-call-ip6tables"}) {
    const std::string setting = fmt::format("net/bridge/{}", name);
    if (!has_sysctl(setting)) {
      return Error{Errc::Unavailable,
                   "the kernel lacks br_netfilter, without which policies are not asked about "
                   "frames within a bridge (modprobe br_netfilter)"};
    }
    WEFT_TRY(ensure_sysctl(setting, "1"));
  }
  return Ok{};
}

Result<Ok> ensure_gateway_of(Nftables& nftables,
                             NftFamily family,
                             const std::string& bridge,
                             const GatewayRules& wanted) {
  // Nothing leaves before it is masqueraded, and no stranger comes in before he is refused.
  WEFT_TRY(ensure_exactly(nftables,
                          own_forward(family),
                          bridge,
                          own_forward_rules(bridge, wanted.exposed, wanted.docker_bridge)));
  WEFT_TRY(ensure_exactly(nftables,
                          own_postrouting(family),
                          bridge,
                          own_postrouting_rules(bridge, wanted.exposed, wanted.kept)));
  const NftChain forward = forward_chain(family);
  std::vector<NftRule> rules = crossing_rules(bridge);
  const auto isolating = WEFT_TRY(
      nftables.find_chain({.family = family, .table = forward.table, .name = kDockerIsolation}));
  if (isolating) {
    rules.push_back(isolation_rule(bridge));  // Each goes in front of the ones before it.
  }
  return ensure_in(nftables, forward, rules, Place::BehindDocker);
}

Result<Ok> remove_gateway_of(Nftables& nftables, NftFamily family, const std::string& bridge) {
  std::vector<NftRule> rules = crossing_rules(bridge);
  rules.push_back(isolation_rule(bridge));
  WEFT_TRY(remove_from(nftables, forward_chain(family), rules));
  WEFT_TRY(remove_own(nftables, own_postrouting(family), bridge));
  return remove_own(nftables, own_forward(family), bridge);
}

NftFamily family_of(const Cidr& block) {
  return block.is_v4() ? NftFamily::Ipv4 : NftFamily::Ipv6;
}

}  // namespace

Result<Ok> ensure_forward_accept(const std::string& bridge) {
  WEFT_TRY(check_bridge_name(bridge));
  WEFT_TRY(refuse_legacy(bridge));
  const std::unique_ptr<Nftables> nftables = WEFT_TRY(Nftables::open());
  const std::vector<NftRule> rules{within_rule(bridge)};
  return for_both([&](NftFamily family) {
    return ensure_in(*nftables, forward_chain(family), rules, Place::Head);
  });
}

Result<Ok> remove_forward_accept(const std::string& bridge) {
  WEFT_TRY(check_bridge_name(bridge));
  const std::unique_ptr<Nftables> nftables = WEFT_TRY(Nftables::open());
  const std::vector<NftRule> rules{within_rule(bridge)};
  return for_both(
      [&](NftFamily family) { return remove_from(*nftables, forward_chain(family), rules); });
}

Result<Ok> ensure_policy_hooks(const std::string& bridge) {
  WEFT_TRY(check_bridge_name(bridge));
  WEFT_TRY(refuse_legacy(bridge));
  WEFT_TRY(pass_bridged_frames_on());
  const std::unique_ptr<Nftables> nftables = WEFT_TRY(Nftables::open());
  return for_both([&](NftFamily family) -> Result<Ok> {
    WEFT_TRY(ensure_policy_chains(*nftables, family));
    WEFT_TRY(ensure_at_head(*nftables, forward_chain(family), policy_rules(bridge)));
    WEFT_TRY(ensure_at_head(*nftables, input_chain(family), {egress_hook(bridge)}));
    // Behind the drop it would do nothing, and it must not be there when that goes.
    return remove_from(*nftables, forward_chain(family), {within_rule(bridge)});
  });
}

Result<Ok> remove_policy_hooks(const std::string& bridge) {
  WEFT_TRY(check_bridge_name(bridge));
  const std::unique_ptr<Nftables> nftables = WEFT_TRY(Nftables::open());
  return for_both([&](NftFamily family) -> Result<Ok> {
    WEFT_TRY(remove_from(*nftables, input_chain(family), {egress_hook(bridge)}));
    WEFT_TRY(remove_from(*nftables, forward_chain(family), policy_rules(bridge)));
    return remove_policy_chains(*nftables, family);
  });
}

Result<Ok> ensure_gateway_rules(const std::string& bridge,
                                const std::vector<Cidr>& addresses,
                                const GatewayRules& rules) {
  WEFT_TRY(check_bridge_name(bridge));
  WEFT_TRY(check_bridge_name(rules.docker_bridge));
  if (rules.kept.size() > kKeptRunsMax) {
    return Error{
        Errc::Exhausted,
        fmt::format("{} runs of addresses (expected at most {})", rules.kept.size(), kKeptRunsMax)};
  }
  WEFT_TRY(refuse_legacy(bridge));
  const std::unique_ptr<Nftables> nftables = WEFT_TRY(Nftables::open());
  for (const NftFamily family : kFamilies) {
    GatewayRules of_family = rules;
    std::erase_if(of_family.exposed, [family](const Exposure& exposure) {
      return family_of(exposure.address) != family;
    });
    std::erase_if(of_family.kept, [family](const AddressRun& run) {
      return run.first.is_v4() != (family == NftFamily::Ipv4);
    });
    if (std::any_of(addresses.begin(), addresses.end(), [family](const Cidr& address) {
          return family_of(address) == family;
        })) {
      WEFT_TRY(ensure_gateway_of(*nftables, family, bridge, of_family));
      continue;
    }
    const Result<Ok> removed = remove_gateway_of(*nftables, family, bridge);
    if (!removed.ok() && !is_missing_family(removed.error())) {
      return removed;
    }
  }
  return Ok{};
}

Result<Ok> remove_gateway_rules(const std::string& bridge) {
  WEFT_TRY(check_bridge_name(bridge));
  const std::unique_ptr<Nftables> nftables = WEFT_TRY(Nftables::open());
  return for_both([&](NftFamily family) { return remove_gateway_of(*nftables, family, bridge); });
}

Result<Ok> ensure_dns_accept(const DnsDoor& door) {
  for (const std::string& link : door.links) {
    WEFT_TRY(check_bridge_name(link));
  }
  const std::unique_ptr<Nftables> nftables = WEFT_TRY(Nftables::open());
  const std::optional<NftChainState> found = WEFT_TRY(nftables->find_chain(kInput));
  return found ? ensure_in(*nftables, kInput, dns_rules(door), Place::Head) : Result<Ok>(Ok{});
}

Result<Ok> ensure_bridged_unchanged(const std::string& bridge) {
  WEFT_TRY(check_bridge_name(bridge));
  const std::unique_ptr<Nftables> nftables = WEFT_TRY(Nftables::open());
  const std::optional<NftChainState> found = WEFT_TRY(nftables->find_chain(kPostrouting));
  NftRule rule;
  rule.comment = unchanged_comment(bridge);
  rule.out = NftRule::Link{bridge};
  return found ? ensure_in(*nftables, kPostrouting, {rule}, Place::Head) : Result<Ok>(Ok{});
}

Result<Ok> remove_bridged_unchanged(const std::string& bridge) {
  const std::unique_ptr<Nftables> nftables = WEFT_TRY(Nftables::open());
  return remove_if(*nftables, kPostrouting, [&bridge](const NftRuleState& rule) {
    return rule.comment == unchanged_comment(bridge);
  });
}

Result<Ok> remove_dns_accept() {
  const std::unique_ptr<Nftables> nftables = WEFT_TRY(Nftables::open());
  return remove_if(*nftables, kInput, [](const NftRuleState& rule) {
    return rule.comment.starts_with(kDnsComment);
  });
}

}  // namespace weft::sys
