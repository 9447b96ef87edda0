// The Netdev that speaks to the kernel. Internal to sys; others use sys/netdev.h.
//
//   netdev_links.cc   links and bridge ports      link_message.h   what the kernel says of a link
//   netdev_routes.cc  routes, addresses, paths    netdev_fdb.cc    forwarding entries
//   netdev_gateway.cc the host as a gateway
#pragma once

#include <cerrno>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sys/netdev.h"
#include "sys/netlink/link_message.h"
#include "sys/netlink/netlink.h"

namespace weft::sys {

class KernelNetdev final : public Netdev {
 public:
  explicit KernelNetdev(std::unique_ptr<Netlink> netlink) : netlink_(std::move(netlink)) {}

  Result<std::uint32_t> ensure_bridge(const BridgeSpec& spec) override;
  Result<std::uint32_t> ensure_vxlan(const VxlanSpec& spec) override;
  Result<std::uint32_t> ensure_veth(const VethSpec& spec) override;
  Result<Ok> ensure_port(const PortSpec& spec) override;
  Result<Ok> set_mtu(const std::string& link, std::uint32_t mtu) override;
  Result<Ok> rename_link(const std::string& from, const std::string& to) override;
  Result<Ok> remove_link(const std::string& name) override;
  Result<Ok> remove_links(const std::vector<std::string>& names) override;

  Result<std::optional<LinkInfo>> find_link(const std::string& name) override;
  Result<std::optional<PortSpec>> find_port(const std::string& link) override;
  Result<std::vector<LinkInfo>> links() override;
  Result<std::vector<RouteInfo>> routes() override;
  Result<std::vector<Cidr>> addresses(const std::string& link) override;
  Result<PathInfo> path_to(const Ip& destination) override;
  void forget_paths() override { path_links_.clear(); }
  Result<Ok> ensure_gateway(const GatewaySpec& spec) override;

  Result<Ok> add_fdb(const FdbEntry& entry) override;
  Result<Ok> remove_fdb(const FdbEntry& entry) override;
  Result<std::vector<FdbEntry>> fdb(const std::string& link) override;

  // Gives an existing link its MTU and our alias and brings it up; returns its index.
  Result<std::uint32_t> ensure_up(const std::string& link, std::uint32_t mtu);

 private:
  struct Wanted {
    std::uint32_t mtu = 0;
    std::optional<Mac> mac;  // Left as it is if nothing.
  };

  Result<std::optional<LinkState>> find_state(const std::string& name);
  Result<std::optional<LinkState>> find_state(std::uint32_t index);
  Result<std::optional<LinkState>> ask_for_link(NetlinkMessage& message, const std::string& doing);
  // The link, or NotFound.
  Result<LinkState> state(const std::string& name);
  Result<std::vector<LinkState>> link_states();
  Result<std::map<std::uint32_t, std::string>> link_names();

  Result<LinkState> create(NetlinkMessage& message, const std::string& name);
  // Makes MTU, MAC, alias and the up flag what they should be. The link exists.
  Result<Ok> settle(const LinkState& link, const Wanted& wanted);
  // Has ports, or addresses beside a link-local one.
  Result<bool> is_in_use(const LinkInfo& bridge);
  Result<Ok> settle_bridge_options(const LinkState& link);
  Result<Ok> create_veth(const VethSpec& spec);

  struct Gateway;  // What makes the host one, as the kernel has it or should have it.
  Result<Gateway> find_gateway(const std::string& link, std::uint32_t index);
  Result<Ok> find_gateway_of(std::uint8_t family, Gateway& found);
  Result<Ok> add_to_gateway(const Gateway& wanted, const Gateway& present);
  Result<Ok> take_from_gateway(const Gateway& wanted, const Gateway& present);

  std::unique_ptr<Netlink> netlink_;
  std::map<std::uint32_t, LinkInfo> path_links_;  // By index; as few as the host has uplinks.
};

// A dump that raced with a change starts over; more often than this means that something churns,
// and the caller should come back later.
inline constexpr int kDumpAttempts = 4;

// Runs `dump` until it gives a consistent answer or fails for another reason.
template <class Dump>
auto consistent(Dump dump) {
  auto result = dump();
  for (int attempt = 1; attempt < kDumpAttempts && !result.ok() && result.error().os == EINTR;
       ++attempt) {
    result = dump();
  }
  return result;
}

}  // namespace weft::sys
