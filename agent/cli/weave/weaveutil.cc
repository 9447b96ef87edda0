#include "agent/cli/weave/weaveutil.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <string_view>

#include <fmt/format.h>

#include "agent/cni/plugin.h"
#include "base/bytes.h"
#include "base/result.h"
#include "sys/netdev.h"
#include "sys/netlink/guests.h"
#include "sys/store.h"

namespace weft::agent {
namespace {

using Words = std::span<const std::string>;

struct SubCommand {
  std::string_view name;
  std::string_view arguments;
  std::size_t count_min;
  std::size_t count_max;
  Result<Ok> (*run)(Words words);
};

constexpr std::size_t kMany = 1000;
constexpr const char* kFlagTable = "weave_flags";

// Of a network none of its addresses may be routed, of an address only it: that is how Weave knew
// a free range from one that would hide hosts.
Result<Ok> check_free(Words words) {
  const Cidr wanted = WEFT_TRY(Cidr::parse(words[0]));
  const bool is_network = wanted.address() == wanted.network().address();
  const auto netdev = WEFT_TRY(sys::open_netdev());
  const std::vector<RouteInfo> routes = WEFT_TRY(netdev->routes());
  for (const RouteInfo& route : routes) {
    const bool is_ignored = std::find(words.begin() + 1, words.end(), route.link) != words.end();
    const bool is_default = route.destination.prefix() == 0;
    if (is_ignored || is_default) {
      continue;
    }
    if (is_network ? route.destination.overlaps(wanted)
                   : route.destination.contains(wanted.address())) {
      return Error{Errc::Conflict,
                   fmt::format("{} overlaps with existing route {} on host",
                               is_network ? "Network " + wanted.to_string()
                                          : "Address " + wanted.address().to_string(),
                               route.destination.to_string())};
    }
  }
  return Ok{};
}

// Nothing if there is no such bridge. Of processes that share a namespace one is printed.
Result<Ok> print_process_addresses(Words words) {
  const std::vector<sys::Guest> guests = WEFT_TRY(sys::find_guests(words[0]));
  for (const sys::Guest& guest : guests) {
    if (guest.pid == 0) {
      continue;
    }
    fmt::print("{:>12} {} {}", guest.pid, guest.name, guest.mac.to_string());
    for (const Cidr& address : guest.addresses) {
      fmt::print(" {}", address.to_string());
    }
    fmt::print("\n");
  }
  return Ok{};
}

Result<Ok> print_bridge_address(Words words) {
  const auto netdev = WEFT_TRY(sys::open_netdev());
  const std::vector<Cidr> addresses = WEFT_TRY(netdev->addresses(words[0]));
  if (addresses.empty()) {
    return Error{Errc::NotFound, fmt::format("bridge {} has no IP address", words[0])};
  }
  fmt::print("{}", addresses.front().address().to_string());
  return Ok{};
}

// Beside the agent's own tables, in the store that --db-prefix means; not while an agent has it.
std::string store_of(const std::string& prefix) {
  return prefix + "weft.db";
}

Result<Ok> print_flag(Words words) {
  const std::string path = store_of(words[0]);
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return Error{Errc::NotFound, fmt::format("there is no {}", path)};
  }
  const auto store = WEFT_TRY(sys::open_store(path));
  const StoreTable flags = WEFT_TRY(store->load(kFlagTable));
  const auto found = flags.find(to_bytes(words[1]));
  if (found == flags.end()) {
    return Error{Errc::NotFound, ""};  // Scripts ask for the exit code alone.
  }
  fmt::print("{}", as_text(found->second));
  return Ok{};
}

Result<Ok> set_flag(Words words) {
  const auto store = WEFT_TRY(sys::open_store(store_of(words[0])));
  return store->apply(
      {StoreWrite{.table = kFlagTable, .key = to_bytes(words[1]), .value = to_bytes(words[2])}});
}

constexpr std::array kSubCommands{
    SubCommand{"netcheck", "<cidr> [<interface-to-ignore> ...]", 1, kMany, check_free},
    SubCommand{"process-addrs", "<bridgeName>", 1, 1, print_process_addresses},
    SubCommand{"bridge-ip", "<bridgeName>", 1, 1, print_bridge_address},
    SubCommand{"get-db-flag", "<db-prefix> <flag-name>", 2, 2, print_flag},
    SubCommand{"set-db-flag", "<db-prefix> <flag-name> <flag-value>", 3, 3, set_flag},
};

void print_usage() {
  fmt::print(stderr, "usage: weaveutil <command> <arg>...\n\nwhere <command> is one of:\n\n");
  for (const SubCommand& command : kSubCommands) {
    fmt::print(stderr, "{} {}\n", command.name, command.arguments);
  }
  fmt::print(stderr, "cni-net\ncni-ipam\n");
}

}  // namespace

int run_weaveutil(Words words) {
  if (words.empty() || words.front() == "help") {
    print_usage();
    return words.empty() ? 1 : 0;
  }
  const std::string& name = words.front();
  const Words rest = words.subspan(1);
  if (name == "cni-net" || name == "cni-ipam") {
    return run_cni(name == "cni-net" ? CniRole::Interface : CniRole::Addresses);
  }
  const auto* const command =
      std::find_if(kSubCommands.begin(), kSubCommands.end(), [&name](const SubCommand& one) {
        return one.name == name;
      });
  if (command == kSubCommands.end()) {
    fmt::print(stderr, "\"{}\" cmd is not found\n", name);
    print_usage();
    return 1;
  }
  if (rest.size() < command->count_min || rest.size() > command->count_max) {
    fmt::print(stderr, "usage: weaveutil {} {}\n", command->name, command->arguments);
    return 1;
  }
  const auto done = command->run(rest);
  if (!done.ok() && !done.error().what.empty()) {
    fmt::print(stderr, "{}\n", done.error().what);
  }
  return done.ok() ? 0 : 1;
}

}  // namespace weft::agent
