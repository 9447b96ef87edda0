// sys/netdev.h in memory, for tests: one imaginary network namespace with the same semantics (the
// contract tests run against both), that can be told to fail.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sys/netdev.h"

namespace weft::sys {

class FakeNetdev final : public Netdev {
 public:
  // Begins with lo, up.
  FakeNetdev();

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
  void forget_paths() override {}
  Result<Ok> ensure_gateway(const GatewaySpec& spec) override;
  Result<Ok> add_fdb(const FdbEntry& entry) override;
  Result<Ok> remove_fdb(const FdbEntry& entry) override;
  Result<std::vector<FdbEntry>> fdb(const std::string& link) override;

  // The `nth` call from now (1 is the next) fails with Errc::Os, EIO, and changes nothing.
  void fail_call(std::size_t nth) { fail_in_ = nth; }
  std::size_t calls() const { return calls_; }

  // What an administrator would do behind our back. The link must exist where one is named.
  std::uint32_t add_device(const std::string& name, const std::string& kind, std::uint32_t mtu);
  void set_up(const std::string& link, bool up);
  void set_alias(const std::string& link, const std::string& alias);
  void set_port(const PortSpec& spec);
  void add_address(const std::string& link, const Cidr& address);  // With its connected route.
  void add_route(const RouteInfo& route) { routes_.push_back(route); }
  // Into another namespace: the link is gone from here, and its veth peer stays.
  void move_away(const std::string& link);

 private:
  struct Link {
    LinkInfo info;
    std::optional<VxlanSpec> vxlan;
    std::optional<PortSpec> port;
    std::string veth_peer;  // While both ends are here.
    std::vector<Cidr> addresses;
    std::vector<FdbEntry> fdb;
  };

  Result<Ok> enter(const std::string& doing);  // Counts the call, and fails it when told to.
  Result<Link*> get(const std::string& name);
  Link& make(const std::string& name, const std::string& kind, std::uint32_t mtu);
  void settle(Link& link, std::uint32_t mtu);
  // Has ports or addresses.
  bool is_in_use(const Link& bridge) const;
  void erase(const std::string& name);

  std::map<std::string, Link> links_;
  std::vector<RouteInfo> routes_;
  GatewaySpec gateway_;
  std::uint32_t last_index_ = 0;
  std::size_t calls_ = 0;
  std::optional<std::size_t> fail_in_;
};

}  // namespace weft::sys
