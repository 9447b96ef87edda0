// The contract of sys/netdev.h, kept by the kernel in a namespace of its own and by the twin in
// memory.
#include "sys/netdev.h"

#include <gmock/gmock.h>

#include "sys/fake/fake_netdev.h"
#include "tests/integration/sys/command.h"
#include "tests/integration/sys/netdev_world.h"

namespace weft::sys {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

const Mac kBridgeMac({0x02, 0, 0, 0, 0, 0x01});
const Mac kGuestMac({0x02, 0, 0, 0, 0, 0x02});
const Mac kRemoteMac({0x02, 0, 0, 0, 0, 0x03});
const Ip kRemote(Ipv4(0xc0000201));
const Ip kOtherRemote(Ipv4(0xc0000202));

const BridgeSpec kBridge = {.name = "br0", .mac = kBridgeMac, .mtu = 1450};
const VxlanSpec kExternal = {.name = "vx0", .external = true, .vni = 0, .port = 6784, .mtu = 1450};
const VxlanSpec kTunnel = {.name = "vx0", .external = false, .vni = 77, .port = 6784, .mtu = 1450};
const VethSpec kVeth = {.name = "host", .peer = "guest", .peer_mac = kGuestMac, .mtu = 1450};
const PortSpec kQuietPort = {.link = "host",
                             .bridge = "br0",
                             .learning = false,
                             .flood_unknown = false,
                             .flood_multicast = false,
                             .flood_broadcast = false,
                             .isolated = true,
                             .hairpin = true};
const PortSpec kOpenPort = {.link = "host", .bridge = "br0"};

void expect_port(const std::optional<PortSpec>& port, const PortSpec& wanted) {
  ASSERT_TRUE(port.has_value());
  EXPECT_EQ(port->link, wanted.link);
  EXPECT_EQ(port->bridge, wanted.bridge);
  EXPECT_EQ(port->learning, wanted.learning);
  EXPECT_EQ(port->flood_unknown, wanted.flood_unknown);
  EXPECT_EQ(port->flood_multicast, wanted.flood_multicast);
  EXPECT_EQ(port->flood_broadcast, wanted.flood_broadcast);
  EXPECT_EQ(port->isolated, wanted.isolated);
  EXPECT_EQ(port->hairpin, wanted.hairpin);
}

enum class Kind { Kernel, Memory };

class NetdevContract : public ::testing::TestWithParam<Kind> {
 protected:
  NetdevContract()
      : world_(GetParam() == Kind::Kernel ? make_real_world() : make_fake_world()),
        netdev_(world_->netdev()) {}

  LinkInfo link(const std::string& name) {
    const auto found = netdev_.find_link(name);
    EXPECT_TRUE(found.ok() && found.value()) << name;
    return found.value().value_or(LinkInfo());
  }
  template <class T>
  T must(Result<T> result) {
    if (!result.ok()) {
      ADD_FAILURE() << result.error().what;
      return T{};
    }
    return std::move(result).value();
  }

  std::unique_ptr<NetdevWorld> world_;
  Netdev& netdev_;
};

INSTANTIATE_TEST_SUITE_P(Both,
                         NetdevContract,
                         ::testing::Values(Kind::Kernel, Kind::Memory),
                         [](const auto& suite) {
                           return suite.param == Kind::Kernel ? "Kernel" : "Memory";
                         });

TEST_P(NetdevContract, MakesABridgeUpWithItsMacMtuAndOurAlias) {
  const std::uint32_t index = must(netdev_.ensure_bridge(kBridge));

  const LinkInfo made = link("br0");
  EXPECT_EQ(made.index, index);
  EXPECT_EQ(made.kind, "bridge");
  EXPECT_EQ(made.mac, kBridgeMac);
  EXPECT_EQ(made.mtu, 1450U);
  EXPECT_EQ(made.alias, kLinkAlias);
  EXPECT_TRUE(made.up);
  EXPECT_EQ(made.master, 0U);
}

TEST_P(NetdevContract, EnsuringTwiceKeepsTheLink) {
  const std::uint32_t bridge = must(netdev_.ensure_bridge(kBridge));
  const std::uint32_t vxlan = must(netdev_.ensure_vxlan(kExternal));
  const std::uint32_t veth = must(netdev_.ensure_veth(kVeth));

  EXPECT_EQ(must(netdev_.ensure_bridge(kBridge)), bridge);
  EXPECT_EQ(must(netdev_.ensure_vxlan(kExternal)), vxlan);
  EXPECT_EQ(must(netdev_.ensure_veth(kVeth)), veth);
}

TEST_P(NetdevContract, RepairsABridgeThatDrifted) {
  must(netdev_.ensure_bridge(kBridge));
  world_->take_down("br0");
  world_->clear_alias("br0");
  must(netdev_.set_mtu("br0", 1300));
  BridgeSpec other_mac = kBridge;
  other_mac.mac = kRemoteMac;

  must(netdev_.ensure_bridge(other_mac));

  const LinkInfo repaired = link("br0");
  EXPECT_TRUE(repaired.up);
  EXPECT_EQ(repaired.alias, kLinkAlias);
  EXPECT_EQ(repaired.mtu, 1450U);
  EXPECT_EQ(repaired.mac, kRemoteMac);
}

TEST_P(NetdevContract, ABridgeOfSomebodyElseIsLeftAsItIs) {
  BridgeSpec others = kBridge;
  others.mac = kRemoteMac;
  others.mtu = 1400;
  must(netdev_.ensure_bridge(others));
  world_->clear_alias("br0");
  world_->add_address("br0", "192.0.2.1/24");

  const auto refused = netdev_.ensure_bridge(kBridge);

  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Errc::Conflict);
  EXPECT_THAT(refused.error().what, HasSubstr("br0"));
  EXPECT_EQ(link("br0").alias, "");
  EXPECT_EQ(link("br0").mac, kRemoteMac);
  EXPECT_EQ(link("br0").mtu, 1400U);

  EXPECT_TRUE(netdev_.ensure_bridge(others).ok()) << "by its address it is ours";
}

TEST_P(NetdevContract, ABridgeWithoutAliasThatNobodyUsesIsOneWeCouldNotFinish) {
  BridgeSpec others = kBridge;
  others.mac = kRemoteMac;
  must(netdev_.ensure_bridge(others));
  world_->clear_alias("br0");

  must(netdev_.ensure_bridge(kBridge));

  EXPECT_EQ(link("br0").alias, kLinkAlias);
}

TEST_P(NetdevContract, ABridgeKeepsItsMtuWhateverItsPortsHave) {
  BridgeSpec bridge = kBridge;
  for (const std::uint32_t mtu : {1280U, 1500U, 8950U}) {
    bridge.mtu = mtu;
    must(netdev_.remove_link("br0"));
    must(netdev_.ensure_bridge(bridge));
    must(netdev_.ensure_veth(kVeth));

    must(netdev_.ensure_port(kOpenPort));

    EXPECT_EQ(link("br0").mtu, mtu);
  }
}

TEST_P(NetdevContract, ALinkOfAnotherKindIsNeverTakenForABridgeOrAVeth) {
  world_->add_device("br0", 1500);
  BridgeSpec squatter = kBridge;
  squatter.name = "host";
  must(netdev_.ensure_bridge(squatter));

  const auto bridge = netdev_.ensure_bridge(kBridge);
  const auto veth = netdev_.ensure_veth(kVeth);

  ASSERT_FALSE(bridge.ok());
  EXPECT_EQ(bridge.error().code, Errc::Conflict);
  EXPECT_THAT(bridge.error().what, HasSubstr("br0"));
  ASSERT_FALSE(veth.ok());
  EXPECT_EQ(veth.error().code, Errc::Conflict);
  EXPECT_EQ(link("br0").kind, "veth");
  EXPECT_EQ(link("br0").alias, "");
}

TEST_P(NetdevContract, RepairsAVxlanDeviceThatDrifted) {
  const std::uint32_t index = must(netdev_.ensure_vxlan(kExternal));
  world_->take_down("vx0");
  must(netdev_.set_mtu("vx0", 1300));
  VxlanSpec spec = kExternal;
  spec.vni = 5;  // Ignored in external mode.

  EXPECT_EQ(must(netdev_.ensure_vxlan(spec)), index);

  EXPECT_EQ(link("vx0").kind, "vxlan");
  EXPECT_EQ(link("vx0").mtu, 1450U);
  EXPECT_TRUE(link("vx0").up);
}

TEST_P(NetdevContract, ReplacesAVxlanDeviceOfAnotherModeVniPortOrKind) {
  VxlanSpec other_vni = kTunnel;
  other_vni.vni = 78;
  VxlanSpec other_port = other_vni;
  other_port.port = 6785;
  world_->add_device("vx0", 1500);
  std::uint32_t before = link("vx0").index;

  for (const VxlanSpec& spec : {kExternal, kTunnel, other_vni, other_port}) {
    const std::uint32_t index = must(netdev_.ensure_vxlan(spec));

    EXPECT_NE(index, before);
    EXPECT_EQ(link("vx0").index, index);
    EXPECT_EQ(link("vx0").kind, "vxlan");
    EXPECT_EQ(link("vx0").alias, kLinkAlias);
    before = index;
  }
}

TEST_P(NetdevContract, CarriesAJumboMtu) {
  VxlanSpec vxlan = kExternal;
  vxlan.mtu = 8950;
  VethSpec veth = kVeth;
  veth.mtu = 8950;

  must(netdev_.ensure_vxlan(vxlan));
  must(netdev_.ensure_veth(veth));

  EXPECT_EQ(link("vx0").mtu, 8950U);
  EXPECT_EQ(link("host").mtu, 8950U);
  EXPECT_EQ(link("guest").mtu, 8950U);
}

TEST_P(NetdevContract, MakesBothEndsOfAVeth) {
  const std::uint32_t index = must(netdev_.ensure_veth(kVeth));

  EXPECT_EQ(link("host").index, index);
  for (const char* name : {"host", "guest"}) {
    EXPECT_EQ(link(name).kind, "veth");
    EXPECT_EQ(link(name).mtu, 1450U);
    EXPECT_EQ(link(name).alias, kLinkAlias);
    EXPECT_TRUE(link(name).up);
  }
  EXPECT_EQ(link("guest").mac, kGuestMac);
}

TEST_P(NetdevContract, RepairsBothEndsOfAVeth) {
  must(netdev_.ensure_veth(kVeth));
  world_->take_down("host");
  must(netdev_.set_mtu("guest", 1400));
  VethSpec other_mac = kVeth;
  other_mac.peer_mac = kRemoteMac;

  must(netdev_.ensure_veth(other_mac));

  EXPECT_TRUE(link("host").up);
  EXPECT_EQ(link("guest").mtu, 1450U);
  EXPECT_EQ(link("guest").mac, kRemoteMac);
}

TEST_P(NetdevContract, KeepsTheHostEndOfAVethWhosePeerMovedAway) {
  const std::uint32_t index = must(netdev_.ensure_veth(kVeth));
  world_->move_away("guest");

  EXPECT_EQ(must(netdev_.ensure_veth(kVeth)), index);

  EXPECT_FALSE(must(netdev_.find_link("guest")).has_value());
}

TEST_P(NetdevContract, LeavesALinkAloneThatOnlyHasTheNameOfAPeerThatMovedAway) {
  must(netdev_.ensure_veth(kVeth));
  world_->move_away("guest");
  world_->add_device("guest", 1500);

  must(netdev_.ensure_veth(kVeth));

  EXPECT_EQ(link("guest").mtu, 1500U);
  EXPECT_EQ(link("guest").alias, "");
}

TEST_P(NetdevContract, NeverTakesAnotherLinkForTheGuestEnd) {
  world_->add_device("guest", 1500);

  const auto made = netdev_.ensure_veth(kVeth);

  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code, Errc::Conflict);
  EXPECT_FALSE(must(netdev_.find_link("host")).has_value());
  EXPECT_EQ(link("guest").mtu, 1500U);
}

TEST_P(NetdevContract, RemovingOneEndOfAVethRemovesTheOther) {
  must(netdev_.ensure_veth(kVeth));

  must(netdev_.remove_link("host"));

  EXPECT_FALSE(must(netdev_.find_link("host")).has_value());
  EXPECT_FALSE(must(netdev_.find_link("guest")).has_value());
  EXPECT_TRUE(netdev_.remove_link("host").ok()) << "removing what is gone is fine";
}

TEST_P(NetdevContract, MakesALinkAPortWithItsFlags) {
  const std::uint32_t bridge = must(netdev_.ensure_bridge(kBridge));
  must(netdev_.ensure_veth(kVeth));
  EXPECT_FALSE(must(netdev_.find_port("host")).has_value());

  must(netdev_.ensure_port(kQuietPort));

  EXPECT_EQ(link("host").master, bridge);
  expect_port(must(netdev_.find_port("host")), kQuietPort);
  must(netdev_.ensure_port(kOpenPort));
  expect_port(must(netdev_.find_port("host")), kOpenPort);
}

TEST_P(NetdevContract, RepairsPortFlagsAndMovesAPortToItsBridge) {
  must(netdev_.ensure_bridge(kBridge));
  BridgeSpec other_bridge = kBridge;
  other_bridge.name = "br1";
  const std::uint32_t second = must(netdev_.ensure_bridge(other_bridge));
  must(netdev_.ensure_veth(kVeth));
  must(netdev_.ensure_port(kQuietPort));
  world_->reset_port_flags("host");
  PortSpec moved = kQuietPort;
  moved.bridge = "br1";

  must(netdev_.ensure_port(moved));

  EXPECT_EQ(link("host").master, second);
  expect_port(must(netdev_.find_port("host")), moved);
}

TEST_P(NetdevContract, RemovingABridgeFreesItsPorts) {
  must(netdev_.ensure_bridge(kBridge));
  must(netdev_.ensure_veth(kVeth));
  must(netdev_.ensure_port(kOpenPort));

  must(netdev_.remove_link("br0"));

  EXPECT_EQ(link("host").master, 0U);
  EXPECT_FALSE(must(netdev_.find_port("host")).has_value());
}

TEST_P(NetdevContract, ABridgeUnderAnotherNameKeepsItsPorts) {
  const std::uint32_t index = must(netdev_.ensure_bridge(kBridge));
  (void)must(netdev_.ensure_veth(kVeth));
  must(netdev_.ensure_port(kOpenPort));
  EXPECT_EQ(netdev_.rename_link("br0", "host").error().os, EEXIST);
  must(netdev_.rename_link("br0", "br1"));
  EXPECT_EQ(netdev_.rename_link("br0", "br1").error().code, Errc::NotFound);
  EXPECT_EQ(link("br1").index, index);
  EXPECT_TRUE(link("br1").up);
  EXPECT_EQ(must(netdev_.find_port("host"))->bridge, "br1");
}

TEST_P(NetdevContract, NamesWhatIsMissing) {
  must(netdev_.ensure_veth(kVeth));
  PortSpec no_link = kOpenPort;
  no_link.link = "gone";
  PortSpec no_bridge = kOpenPort;
  no_bridge.bridge = "gone";
  PortSpec not_a_bridge = kOpenPort;
  not_a_bridge.bridge = "guest";
  const FdbEntry entry = {.mac = kRemoteMac, .link = "gone", .remote = std::nullopt};

  for (const Error& error : {netdev_.ensure_port(no_link).error(),
                             netdev_.ensure_port(no_bridge).error(),
                             netdev_.set_mtu("gone", 1400).error(),
                             netdev_.find_port("gone").error(),
                             netdev_.addresses("gone").error(),
                             netdev_.fdb("gone").error(),
                             netdev_.add_fdb(entry).error(),
                             netdev_.remove_fdb(entry).error()}) {
    EXPECT_EQ(error.code, Errc::NotFound) << error.what;
    EXPECT_EQ(error.os, ENODEV) << error.what;
    EXPECT_THAT(error.what, HasSubstr("gone"));
  }
  EXPECT_EQ(netdev_.ensure_port(not_a_bridge).error().code, Errc::Conflict);
  EXPECT_FALSE(must(netdev_.find_link("gone")).has_value());
}

TEST_P(NetdevContract, RefusesNamesNoInterfaceCanHave) {
  for (const std::string name : {"", "sixteen-letters!", "a/b", "a b"}) {
    BridgeSpec bridge = kBridge;
    bridge.name = name;
    VxlanSpec vxlan = kExternal;
    vxlan.name = name;
    VethSpec host = kVeth;
    host.name = name;
    VethSpec guest = kVeth;
    guest.peer = name;

    EXPECT_EQ(netdev_.ensure_bridge(bridge).error().code, Errc::Invalid) << name;
    EXPECT_EQ(netdev_.ensure_vxlan(vxlan).error().code, Errc::Invalid) << name;
    EXPECT_EQ(netdev_.ensure_veth(host).error().code, Errc::Invalid) << name;
    EXPECT_EQ(netdev_.ensure_veth(guest).error().code, Errc::Invalid) << name;
    EXPECT_EQ(netdev_.remove_link(name).error().code, Errc::Invalid) << name;
  }
  EXPECT_FALSE(must(netdev_.find_link("host")).has_value());
}

TEST_P(NetdevContract, ChangesAnMtu) {
  world_->add_device("lan", 1500);

  must(netdev_.set_mtu("lan", 9000));

  EXPECT_EQ(link("lan").mtu, 9000U);
}

TEST_P(NetdevContract, ListsAllLinks) {
  world_->add_device("lan", 1500);
  must(netdev_.ensure_bridge(kBridge));

  const std::vector<LinkInfo> all = must(netdev_.links());

  EXPECT_THAT(all, Contains(Field(&LinkInfo::name, "lo")));
  EXPECT_THAT(all, Contains(link("br0")));
  EXPECT_THAT(all, Contains(link("lan")));
}

TEST_P(NetdevContract, KeepsForwardingEntriesOfABridgePort) {
  must(netdev_.ensure_bridge(kBridge));
  must(netdev_.ensure_veth(kVeth));
  must(netdev_.ensure_port(kOpenPort));
  const FdbEntry first = {.mac = kGuestMac, .link = "host", .remote = std::nullopt};
  const FdbEntry second = {.mac = kRemoteMac, .link = "host", .remote = std::nullopt};
  EXPECT_THAT(must(netdev_.fdb("host")), IsEmpty()) << "its own address does not count";

  must(netdev_.add_fdb(first));
  must(netdev_.add_fdb(second));
  must(netdev_.add_fdb(first));
  EXPECT_THAT(must(netdev_.fdb("host")), UnorderedElementsAre(first, second));

  must(netdev_.remove_fdb(first));
  EXPECT_TRUE(netdev_.remove_fdb(first).ok()) << "removing what is gone is fine";
  EXPECT_THAT(must(netdev_.fdb("host")), ElementsAre(second));
}

TEST_P(NetdevContract, KeepsForwardingEntriesOfATunnel) {
  must(netdev_.ensure_vxlan(kTunnel));
  FdbEntry entry = {.mac = kRemoteMac, .link = "vx0", .remote = kRemote};
  must(netdev_.add_fdb(entry));

  entry.remote = kOtherRemote;
  must(netdev_.add_fdb(entry));
  EXPECT_THAT(must(netdev_.fdb("vx0")), ElementsAre(entry)) << "a MAC is behind one remote";

  must(netdev_.remove_fdb(entry));
  EXPECT_TRUE(netdev_.remove_fdb(entry).ok());
  EXPECT_THAT(must(netdev_.fdb("vx0")), IsEmpty());
}

TEST_P(NetdevContract, KeepsTheTwoTablesOfATunnelThatIsAPortApart) {
  must(netdev_.ensure_bridge(kBridge));
  must(netdev_.ensure_vxlan(kTunnel));
  must(netdev_.ensure_port({.link = "vx0", .bridge = "br0"}));
  const FdbEntry tunnel = {.mac = kRemoteMac, .link = "vx0", .remote = kRemote};
  const FdbEntry port = {.mac = kRemoteMac, .link = "vx0", .remote = std::nullopt};

  must(netdev_.add_fdb(tunnel));
  must(netdev_.add_fdb(port));
  EXPECT_THAT(must(netdev_.fdb("vx0")), UnorderedElementsAre(tunnel, port));

  must(netdev_.remove_fdb(port));
  EXPECT_THAT(must(netdev_.fdb("vx0")), ElementsAre(tunnel));
}

TEST_P(NetdevContract, ATunnelFloodsToSeveralRemotes) {
  must(netdev_.ensure_vxlan(kTunnel));
  const FdbEntry first = {.mac = Mac(), .link = "vx0", .remote = kRemote};
  const FdbEntry second = {.mac = Mac(), .link = "vx0", .remote = kOtherRemote};

  must(netdev_.add_fdb(first));
  must(netdev_.add_fdb(second));
  must(netdev_.add_fdb(first));
  EXPECT_THAT(must(netdev_.fdb("vx0")), UnorderedElementsAre(first, second));

  must(netdev_.remove_fdb(first));
  EXPECT_THAT(must(netdev_.fdb("vx0")), ElementsAre(second));
}

TEST_P(NetdevContract, ALinkThatIsNoPortTakesNoForwardingEntry) {
  world_->add_device("lan", 1500);

  const auto added = netdev_.add_fdb({.mac = kRemoteMac, .link = "lan", .remote = std::nullopt});

  ASSERT_FALSE(added.ok());
  EXPECT_EQ(added.error().os, EOPNOTSUPP);
}

TEST_P(NetdevContract, ListsAddressesOfOneLink) {
  world_->add_device("lan", 1500);
  world_->add_device("wan", 1500);
  world_->add_address("lan", "192.0.2.1/24");
  world_->add_address("lan", "2001:db8::1/64");
  world_->add_address("wan", "198.51.100.1/24");

  const auto all = must(netdev_.addresses("lan"));

  EXPECT_THAT(all, Contains(Cidr::parse("192.0.2.1/24").value()));
  EXPECT_THAT(all, Contains(Cidr::parse("2001:db8::1/64").value()));
  EXPECT_THAT(all, Not(Contains(Cidr::parse("198.51.100.1/24").value())));
}

TEST_P(NetdevContract, ListsUnicastRoutesOfBothFamilies) {
  world_->add_device("lan", 1500);
  world_->add_address("lan", "192.0.2.1/24");
  world_->add_address("lan", "2001:db8::1/64");
  world_->add_gateway_route("10.0.0.0/8", "192.0.2.254", "lan");
  world_->add_gateway_route("0.0.0.0/0", "192.0.2.254", "lan");

  const auto all = must(netdev_.routes());

  const auto route = [](const char* to, std::optional<Ip> gateway) {
    return RouteInfo{.destination = Cidr::parse(to).value(), .link = "lan", .gateway = gateway};
  };
  const Ip gateway = Ip::parse("192.0.2.254").value();
  EXPECT_THAT(all, Contains(route("192.0.2.0/24", std::nullopt)));
  EXPECT_THAT(all, Contains(route("2001:db8::/64", std::nullopt)));
  EXPECT_THAT(all, Contains(route("10.0.0.0/8", gateway)));
  EXPECT_THAT(all, Contains(route("0.0.0.0/0", gateway)));
}

TEST_P(NetdevContract, SaysHowTheHostReachesAnAddress) {
  world_->add_device("lan", 1400);
  world_->add_device("wan", 9000);
  world_->add_address("lan", "192.0.2.1/24");
  world_->add_address("wan", "198.51.100.1/24");
  world_->add_address("wan", "2001:db8::1/64");
  world_->add_gateway_route("10.0.0.0/8", "198.51.100.254", "wan");

  const PathInfo near = must(netdev_.path_to(Ip::parse("192.0.2.9").value()));
  const PathInfo far = must(netdev_.path_to(Ip::parse("10.1.2.3").value()));
  const PathInfo v6 = must(netdev_.path_to(Ip::parse("2001:db8::9").value()));

  EXPECT_EQ(near.link, "lan");
  EXPECT_EQ(near.ifindex, link("lan").index);
  EXPECT_EQ(near.source, Ip::parse("192.0.2.1").value());
  EXPECT_EQ(near.mtu, 1400U);
  EXPECT_TRUE(near.on_link);
  EXPECT_EQ(far.link, "wan");
  EXPECT_EQ(far.source, Ip::parse("198.51.100.1").value());
  EXPECT_EQ(far.mtu, 9000U);
  EXPECT_FALSE(far.on_link);
  EXPECT_EQ(v6.link, "wan");
  EXPECT_EQ(v6.source, Ip::parse("2001:db8::1").value());
}

TEST_P(NetdevContract, SaysThatAnAddressCannotBeReached) {
  for (const char* address : {"203.0.113.1", "2001:db8:ffff::1"}) {
    const auto path = netdev_.path_to(Ip::parse(address).value());

    ASSERT_FALSE(path.ok());
    EXPECT_EQ(path.error().code, Errc::Unavailable);
    EXPECT_EQ(path.error().os, ENETUNREACH);
    EXPECT_THAT(path.error().what, HasSubstr(address));
  }
}

TEST_P(NetdevContract, NamesTheOtherEndOfAPairWhileItIsHere) {
  must(netdev_.ensure_veth(kVeth));
  EXPECT_EQ(link("host").peer, link("guest").index);
  EXPECT_EQ(link("guest").peer, link("host").index);

  world_->move_away("guest");

  EXPECT_EQ(link("host").peer, 0U);
}

TEST_P(NetdevContract, RemovesSeveralLinksAndNoOthers) {
  for (const std::string number : {"1", "2", "3"}) {
    VethSpec veth = kVeth;
    veth.name += number;
    veth.peer += number;
    must(netdev_.ensure_veth(veth));
  }

  must(netdev_.remove_links({"host1", "nowhere", "host3"}));
  must(netdev_.remove_links({"host1"}));
  must(netdev_.remove_links({"host1", "host3"}));
  must(netdev_.remove_links({}));

  EXPECT_FALSE(must(netdev_.find_link("host1")).has_value());
  EXPECT_FALSE(must(netdev_.find_link("guest3")).has_value());
  EXPECT_TRUE(must(netdev_.find_link("host2")).has_value());
}

// --- the host as a gateway -----------------------------------------------------------------------

const Cidr kGateway(Ipv4(0x0a200001), 12);
const Cidr kOtherGateway(Ipv4(0x0a280001), 16);
const Cidr kGatewayAsHost(Ipv4(0x0a200001), 32);
const Cidr kOtherAsHost(Ipv4(0x0a280001), 32);

TEST_P(NetdevContract, AGatewayReachesItsSubnetsWithoutARouteThatOthersSee) {
  must(netdev_.ensure_bridge(kBridge));
  const std::vector<RouteInfo> before = must(netdev_.routes());

  must(netdev_.ensure_gateway({.link = "br0", .addresses = {kGateway, kOtherGateway}}));
  must(netdev_.ensure_gateway({.link = "br0", .addresses = {kGateway, kOtherGateway}}));

  const PathInfo path = must(netdev_.path_to(Ipv4(0x0a210203)));
  EXPECT_EQ(path.link, "br0");
  EXPECT_EQ(path.source, kGateway.address());
  EXPECT_THAT(must(netdev_.addresses("br0")), Contains(kGatewayAsHost));
  EXPECT_THAT(must(netdev_.addresses("br0")), Contains(kOtherAsHost));
  EXPECT_EQ(must(netdev_.routes()), before);
}

TEST_P(NetdevContract, PathsFollowTheirLinkOnceToldThatItHasChanged) {
  must(netdev_.ensure_bridge(kBridge));
  must(netdev_.ensure_gateway({.link = "br0", .addresses = {kGateway}}));
  const std::uint32_t before = must(netdev_.path_to(Ipv4(0x0a210203))).mtu;

  must(netdev_.set_mtu("br0", before - 100));
  netdev_.forget_paths();
  EXPECT_EQ(must(netdev_.path_to(Ipv4(0x0a210203))).mtu, before - 100);
}

TEST_P(NetdevContract, AGatewayThatChangesKeepsWhatIsStillWanted) {
  must(netdev_.ensure_bridge(kBridge));
  const Cidr second(Ipv4(0x0a200002), 12);
  must(netdev_.ensure_gateway({.link = "br0", .addresses = {kGateway, second, kOtherGateway}}));

  must(netdev_.ensure_gateway({.link = "br0", .addresses = {second}}));

  EXPECT_EQ(must(netdev_.path_to(Ipv4(0x0a210203))).source, second.address());
  EXPECT_THAT(must(netdev_.addresses("br0")), Not(Contains(kGatewayAsHost)));
  EXPECT_THAT(must(netdev_.addresses("br0")), Not(Contains(kOtherAsHost)));
}

TEST_P(NetdevContract, AGatewayOfBothFamiliesIsOneOfTheOtherWhenThatIsLeft) {
  must(netdev_.ensure_bridge(kBridge));
  const Cidr v6 = Cidr::parse("fd00:32::1/64").value();
  const Cidr as_host = Cidr::parse("fd00:32::1/128").value();
  const Ip guest = Ip::parse("fd00:32::77").value();
  const std::vector<RouteInfo> before = must(netdev_.routes());

  must(netdev_.ensure_gateway({.link = "br0", .addresses = {kGateway, v6}}));
  must(netdev_.ensure_gateway({.link = "br0", .addresses = {kGateway, v6}}));

  EXPECT_EQ(must(netdev_.path_to(guest)).source, v6.address());
  EXPECT_THAT(must(netdev_.addresses("br0")), Contains(as_host));
  EXPECT_EQ(must(netdev_.routes()), before);

  must(netdev_.ensure_gateway({.link = "br0", .addresses = {kGateway}}));

  EXPECT_FALSE(netdev_.path_to(guest).ok());
  EXPECT_THAT(must(netdev_.addresses("br0")), Not(Contains(as_host)));
  EXPECT_EQ(must(netdev_.path_to(Ipv4(0x0a210203))).source, kGateway.address());
}

TEST_P(NetdevContract, AGatewayWithoutAddressesIsNone) {
  must(netdev_.ensure_bridge(kBridge));
  must(netdev_.ensure_gateway({.link = "br0", .addresses = {kGateway}}));

  must(netdev_.ensure_gateway({.link = "br0", .addresses = {}}));

  EXPECT_FALSE(netdev_.path_to(Ipv4(0x0a210203)).ok());
  EXPECT_THAT(must(netdev_.addresses("br0")), Not(Contains(kGatewayAsHost)));
  must(netdev_.remove_link("br0"));
  must(netdev_.ensure_gateway({.link = "br0", .addresses = {}}));
}

TEST_P(NetdevContract, AGatewayNeedsItsLink) {
  const auto made = netdev_.ensure_gateway({.link = "br0", .addresses = {kGateway}});

  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code, Errc::NotFound);
}

// --- what only one of the two can show -----------------------------------------------------------

TEST(FakeNetdev, FailsTheCallItWasToldToFailAndChangesNothing) {
  FakeNetdev netdev;
  netdev.fail_call(2);

  EXPECT_TRUE(netdev.ensure_bridge(kBridge).ok());
  const auto failed = netdev.ensure_veth(kVeth);

  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code, Errc::Os);
  EXPECT_EQ(failed.error().os, EIO);
  EXPECT_FALSE(netdev.find_link("host").value().has_value());
  EXPECT_TRUE(netdev.ensure_veth(kVeth).ok());
}

TEST(KernelNetdev, SpeaksOfABridgeAsIproute2Does) {
  const auto world = make_real_world();
  ASSERT_TRUE(world->netdev().ensure_bridge(kBridge).ok());
  run("ip link set dev br0 type bridge stp_state 1 ageing_time 100 mcast_snooping 1");
  run("sysctl -qw net.ipv6.conf.br0.accept_ra=2 net.ipv6.conf.br0.autoconf=1");

  ASSERT_TRUE(world->netdev().ensure_bridge(kBridge).ok());

  const std::string details = run("ip -d link show dev br0");
  EXPECT_THAT(details, HasSubstr("stp_state 0 "));
  EXPECT_THAT(details, HasSubstr("ageing_time 30000 "));
  EXPECT_THAT(details, HasSubstr("vlan_filtering 0 "));
  EXPECT_THAT(details, HasSubstr("mcast_snooping 0 "));
  EXPECT_EQ(run("cat /proc/sys/net/ipv6/conf/br0/accept_ra"), "0\n");
  EXPECT_EQ(run("cat /proc/sys/net/ipv6/conf/br0/autoconf"), "0\n");
}

TEST(KernelNetdev, SpeaksOfAVxlanDeviceAsIproute2Does) {
  const auto world = make_real_world();

  ASSERT_TRUE(world->netdev().ensure_vxlan(kExternal).ok());
  const std::string external = run("ip -d link show dev vx0");
  ASSERT_TRUE(world->netdev().ensure_vxlan(kTunnel).ok());
  const std::string tunnel = run("ip -d link show dev vx0");

  EXPECT_THAT(external, HasSubstr("vxlan external "));
  EXPECT_THAT(external, HasSubstr("dstport 6784 "));
  EXPECT_THAT(external, HasSubstr("nolearning"));
  EXPECT_THAT(tunnel, HasSubstr("vxlan id 77 "));
  EXPECT_THAT(tunnel, HasSubstr("dstport 6784 "));
}

TEST(KernelNetdev, HostEndsDoNotSpeakIpv6OnTheirOwn) {
  const auto world = make_real_world();

  ASSERT_TRUE(world->netdev().ensure_veth(kVeth).ok());
  ASSERT_TRUE(world->netdev().ensure_vxlan(kExternal).ok());

  EXPECT_THAT(world->netdev().addresses("vx0").value(), IsEmpty());
  EXPECT_EQ(run("cat /proc/sys/net/ipv6/conf/host/disable_ipv6"), "1\n");
}

TEST(KernelNetdev, ReadsEveryNextHopOfARoute) {
  const auto world = make_real_world();
  world->add_device("lan", 1500);
  world->add_device("wan", 1500);
  world->add_address("lan", "192.0.2.1/24");
  world->add_address("wan", "198.51.100.1/24");
  run("ip route add 10.0.0.0/8 nexthop via 192.0.2.254 nexthop via 198.51.100.254");

  const auto all = world->netdev().routes().value();

  const Cidr to = Cidr::parse("10.0.0.0/8").value();
  EXPECT_THAT(all, Contains(RouteInfo{to, "lan", Ip::parse("192.0.2.254").value()}));
  EXPECT_THAT(all, Contains(RouteInfo{to, "wan", Ip::parse("198.51.100.254").value()}));
}

TEST(KernelNetdev, TakesThePathMtuOfTheRouteWhereItIsLower) {
  const auto world = make_real_world();
  world->add_device("lan", 1500);
  world->add_address("lan", "192.0.2.1/24");
  run("ip route add 10.0.0.0/8 via 192.0.2.254 mtu 1400");

  const auto path = world->netdev().path_to(Ip::parse("10.0.0.1").value());

  ASSERT_TRUE(path.ok());
  EXPECT_EQ(path.value().mtu, 1400U);
}

TEST(KernelNetdev, LeavesNothingOfAGatewayAndTakesNothingOfOthers) {
  const auto world = make_real_world();
  ASSERT_TRUE(world->netdev().ensure_bridge(kBridge).ok());
  run("ip address add 192.0.2.1/24 dev br0");
  run("ip rule add pref 776 to 203.0.113.0/24 prohibit");
  const std::string before = run("ip address; ip rule; ip route show table all | sort");

  ASSERT_TRUE(world->netdev().ensure_gateway({.link = "br0", .addresses = {kGateway}}).ok());
  EXPECT_EQ(run("sysctl -n net.ipv4.ip_forward"), "1\n");
  EXPECT_THAT(run("ip rule"), HasSubstr("to 10.32.0.0/12 iif br0 prohibit"));
  ASSERT_TRUE(world->netdev().ensure_gateway({.link = "br0", .addresses = {}}).ok());

  EXPECT_EQ(run("ip address; ip rule; ip route show table all | sort"), before);
}

TEST(KernelNetdev, RepairsAGatewayThatSomebodyTook) {
  const auto world = make_real_world();
  ASSERT_TRUE(world->netdev().ensure_bridge(kBridge).ok());
  const GatewaySpec gateway{.link = "br0", .addresses = {kGateway}};
  ASSERT_TRUE(world->netdev().ensure_gateway(gateway).ok());
  run("ip address flush dev br0 scope global; ip rule del pref 776; ip rule del pref 777");

  ASSERT_TRUE(world->netdev().ensure_gateway(gateway).ok());

  EXPECT_EQ(world->netdev().path_to(Ipv4(0x0a210203)).value().source, kGateway.address());
  EXPECT_THAT(run("ip rule"), HasSubstr("to 10.32.0.0/12 iif br0 prohibit"));
}

TEST(KernelNetdev, PassesOnWhyTheKernelRefused) {
  const auto world = make_real_world();
  VxlanSpec bad_vni = kTunnel;
  bad_vni.vni = 1U << 24U;

  const auto made = world->netdev().ensure_vxlan(bad_vni);

  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().os, ERANGE);
  EXPECT_THAT(made.error().what, HasSubstr("create link vx0"));
}

}  // namespace
}  // namespace weft::sys
