#include "sys/firewall.h"

#include <cerrno>
#include <fstream>
#include <utility>

#include <fmt/format.h>

#include "base/netdev.h"
#include "sys/nftables/nftables.h"

namespace weft::sys {
namespace {

// Tells our rule, and a chain or table we had to make, from everybody else's.
constexpr const char* kComment = "weft";

NftChain forward_chain(NftFamily family) {
  return {.family = family, .table = "filter", .name = "FORWARD"};
}

std::string rule_comment(const std::string& bridge) {
  return fmt::format("{} {}", kComment, bridge);
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

Result<Ok> ensure_in(Nftables& nftables, const NftChain& chain, const std::string& bridge) {
  const std::string comment = rule_comment(bridge);
  NftTransaction transaction;
  const std::optional<NftChainState> found = WEFT_TRY(nftables.find_chain(chain));
  if (!found) {
    transaction.add_table(chain, kComment);
    transaction.add_forward_chain(chain, kComment);
  } else {
    const std::vector<NftRuleState> rules = WEFT_TRY(nftables.rules(chain));
    for (const NftRuleState& rule : rules) {
      if (rule.comment == comment) {
        return Ok{};
      }
    }
  }
  transaction.insert_accept_within(chain, bridge, comment);
  return nftables.commit(transaction, "let the firewall pass bridge " + bridge);
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

Result<Ok> remove_from(Nftables& nftables, const NftChain& chain, const std::string& bridge) {
  const std::optional<NftChainState> found = WEFT_TRY(nftables.find_chain(chain));
  if (!found) {
    return Ok{};
  }
  const std::vector<NftRuleState> rules = WEFT_TRY(nftables.rules(chain));
  NftTransaction transaction;
  for (const NftRuleState& rule : rules) {
    if (rule.comment == rule_comment(bridge)) {
      transaction.remove_rule(chain, rule.handle);
    }
  }
  WEFT_TRY(nftables.commit(transaction, "remove the rule for bridge " + bridge));
  return remove_if_ours(nftables, chain, *found);
}

}  // namespace

Result<Ok> ensure_forward_accept(const std::string& bridge) {
  WEFT_TRY(check_bridge_name(bridge));
  WEFT_TRY(refuse_legacy(bridge));
  const std::unique_ptr<Nftables> nftables = WEFT_TRY(Nftables::open());
  WEFT_TRY(ensure_in(*nftables, forward_chain(NftFamily::Ipv4), bridge));
  const Result<Ok> v6 = ensure_in(*nftables, forward_chain(NftFamily::Ipv6), bridge);
  return !v6.ok() && is_missing_family(v6.error()) ? Result<Ok>(Ok{}) : v6;
}

Result<Ok> remove_forward_accept(const std::string& bridge) {
  WEFT_TRY(check_bridge_name(bridge));
  const std::unique_ptr<Nftables> nftables = WEFT_TRY(Nftables::open());
  WEFT_TRY(remove_from(*nftables, forward_chain(NftFamily::Ipv4), bridge));
  const Result<Ok> v6 = remove_from(*nftables, forward_chain(NftFamily::Ipv6), bridge);
  return !v6.ok() && is_missing_family(v6.error()) ? Result<Ok>(Ok{}) : v6;
}

}  // namespace weft::sys
