// The dialogues dockerd 20.10 leads, call by call, as captured from one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/plugin/docker_host.h"

namespace weft::plugin::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

constexpr const char* kPool = "weft-10.32.0.0/12";

TEST(DockerDialogue, ActivationNamesBothDriversAndTheirCapabilities) {
  DockerHost host;

  EXPECT_EQ(host.call("/Plugin.Activate", ""),
            ok(R"({"Implements":["NetworkDriver","IpamDriver"]})"));
  EXPECT_EQ(host.call("/NetworkDriver.GetCapabilities", ""),
            ok(R"({"Scope":"local","ConnectivityScope":"global","GwAllocChecker":true})"));
  EXPECT_EQ(host.call("/IpamDriver.GetCapabilities", ""),
            ok(R"({"RequiresMACAddress":false,"RequiresRequestReplay":false})"));
  EXPECT_EQ(
      host.call("/IpamDriver.GetDefaultAddressSpaces", ""),
      ok(R"({"LocalDefaultAddressSpace":"weftlocal","GlobalDefaultAddressSpace":"weftglobal"})"));
}

TEST(DockerDialogue, ANetworkWithoutOptionsGetsTheDefaultSubnet) {
  DockerHost host;

  EXPECT_EQ(host.call("/IpamDriver.RequestPool", pool_body("")),
            ok(R"({"PoolID":"weft-10.32.0.0/12","Pool":"10.32.0.0/12","Data":{}})"));
  EXPECT_EQ(host.call("/NetworkDriver.CreateNetwork", network_body(kNetwork)), ok());

  EXPECT_THAT(host.addresses(), IsEmpty());
  EXPECT_EQ(host.driver().network_count(), 1U);
}

TEST(DockerDialogue, ANetworkWithEveryOptionClaimsItsGatewayAndAuxiliaryAddresses) {
  DockerHost host;
  const std::string pool = "weft-10.40.0.0/16-10.40.1.0/24";

  EXPECT_EQ(host.call("/IpamDriver.RequestPool", pool_body("10.40.0.0/16", "10.40.1.0/24")),
            ok(R"({"PoolID":"weft-10.40.0.0/16-10.40.1.0/24","Pool":"10.40.0.0/16","Data":{}})"));
  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", gateway_body(pool, "10.40.0.1")),
            ok(R"({"Address":"10.40.0.1/16","Data":{}})"));
  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", address_body(pool, "10.40.1.9")),
            ok(R"({"Address":"10.40.1.9/16","Data":{}})"));
  EXPECT_EQ(
      host.call(
          "/NetworkDriver.CreateNetwork",
          R"({"NetworkID":")" + kNetwork
              + R"(","Options":{"com.docker.network.enable_ipv6":false,)"
                R"("com.docker.network.generic":{"foo":"bar","works.weave.multicast":"false"}},)"
                R"("IPv4Data":[{"AddressSpace":"weftlocal","AuxAddresses":{"a":"10.40.1.9/16"},)"
                R"("Gateway":"10.40.0.1/16","Pool":"10.40.0.0/16"}],"IPv6Data":[]})"),
      ok());

  EXPECT_THAT(host.addresses(),
              ElementsAre(Pair(ip("10.40.0.1"), "docker/" + pool + "/10.40.0.1"),
                          Pair(ip("10.40.1.9"), "docker/" + pool + "/10.40.1.9")));

  EXPECT_EQ(host.call("/IpamDriver.ReleaseAddress", address_body(pool, "10.40.0.1")), ok());
  EXPECT_EQ(host.call("/IpamDriver.ReleaseAddress", address_body(pool, "10.40.1.9")), ok());
  EXPECT_EQ(host.call("/IpamDriver.ReleasePool", R"({"PoolID":")" + pool + R"("})"), ok());
  EXPECT_EQ(host.call("/NetworkDriver.DeleteNetwork", R"({"NetworkID":")" + kNetwork + R"("})"),
            ok());

  EXPECT_THAT(host.addresses(), IsEmpty());
  EXPECT_THAT(host.table("docker_networks"), IsEmpty());
}

TEST(DockerDialogue, AContainerRunsAndIsRemovedAndNothingIsLeft) {
  DockerHost host;
  host.call("/NetworkDriver.CreateNetwork", network_body(kNetwork));

  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", address_body(kPool)),
            ok(R"({"Address":"10.32.0.1/12","Data":{}})"));
  EXPECT_EQ(
      host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.1/12")),
      ok(R"({"Interface":{"MacAddress":"02:57:0a:20:00:01"}})"));
  EXPECT_EQ(host.call("/NetworkDriver.Join", join_body(kNetwork, kEndpoint)),
            ok(R"({"InterfaceName":{"SrcName":"vethwg822222222","DstPrefix":"ethwe"},)"
               R"("StaticRoutes":[{"Destination":"224.0.0.0/4","RouteType":1}]})"));
  EXPECT_EQ(host.call("/NetworkDriver.EndpointOperInfo", endpoint_body(kNetwork, kEndpoint)),
            ok(R"({"Value":{}})"));
  const Port port{.id = kEndpoint,
                  .host = "vethwl822222222",
                  .guest = "vethwg822222222",
                  .mac = Mac({0x02, 0x57, 10, 32, 0, 1}),
                  .addresses = {cidr("10.32.0.1/12")}};
  EXPECT_THAT(host.plugged(), ElementsAre(Pair(kEndpoint, port)));
  EXPECT_THAT(host.driver().ports(), ElementsAre(port));

  EXPECT_EQ(host.call("/NetworkDriver.Leave", endpoint_body(kNetwork, kEndpoint)), ok());
  EXPECT_EQ(host.call("/NetworkDriver.DeleteEndpoint", endpoint_body(kNetwork, kEndpoint)), ok());
  EXPECT_EQ(host.call("/IpamDriver.ReleaseAddress", address_body(kPool, "10.32.0.1")), ok());

  EXPECT_THAT(host.plugged(), IsEmpty());
  EXPECT_THAT(host.addresses(), IsEmpty());
  EXPECT_THAT(host.table("docker_endpoints"), IsEmpty());
  EXPECT_THAT(host.driver().ports(), IsEmpty());
}

// Engines later than 26, whose own words are in docker_engine26_test.cc, make the same calls
// (libnetwork's drivers/remote and ipams/remote); what they say in them has grown.
TEST(DockerDialogue, EnginesThatSayMoreAreUnderstood) {
  DockerHost host;

  EXPECT_EQ(
      host.call("/NetworkDriver.CreateNetwork",
                R"({"NetworkID":")" + kNetwork
                    + R"(","Options":{"com.docker.network.enable_ipv4":true,)"
                      R"("com.docker.network.enable_ipv6":false,)"
                      R"("com.docker.network.generic":{"com.docker.network.driver.mtu":"1400"}},)"
                      R"("IPv4Data":[{"AddressSpace":"weftlocal","Pool":"10.32.0.0/12",)"
                      R"("Gateway":"10.32.0.0/12","AuxAddresses":null}],"IPv6Data":null})"),
      ok());
  EXPECT_EQ(host.call("/IpamDriver.RequestAddress",
                      R"({"PoolID":")" + std::string(kPool)
                          + R"(","Address":"","Options":{"com.docker.network.endpoint.macaddress":)"
                            R"("02:42:0a:20:00:01","com.docker.network.ipam.serial":"true"}})"),
            ok(R"({"Address":"10.32.0.1/12","Data":{}})"));
  EXPECT_EQ(host.call("/NetworkDriver.CreateEndpoint",
                      R"({"NetworkID":")" + kNetwork + R"(","EndpointID":")" + kEndpoint
                          + R"(","Interface":{"Address":"10.32.0.1/12","AddressIPv6":"",)"
                            R"("MacAddress":""},"Options":{"com.docker.network.endpoint.ifname":)"
                            R"("eth7","com.docker.network.endpoint.sysctls":"net.ipv4.x=1",)"
                            R"("com.docker.network.endpoint.exposedports":null,)"
                            R"("com.docker.network.portmap":null}})"),
            ok(R"({"Interface":{"MacAddress":"02:57:0a:20:00:01"}})"));
  EXPECT_EQ(host.call("/NetworkDriver.Join",
                      R"({"NetworkID":")" + kNetwork + R"(","EndpointID":")" + kEndpoint
                          + R"(","SandboxKey":"/var/run/docker/netns/b5279d6b79e5","Options":)"
                            R"({"com.docker.network.endpoint.exposedports":null,)"
                            R"("com.docker.network.portmap":null}})"),
            ok(R"({"InterfaceName":{"SrcName":"vethwg822222222","DstPrefix":"ethwe"},)"
               R"("StaticRoutes":[{"Destination":"224.0.0.0/4","RouteType":1}]})"));

  EXPECT_EQ(host.driver().ports().size(), 1U);
}

TEST(DockerDialogue, AChosenAddressAndMacAreKept) {
  DockerHost host;

  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", address_body(kPool, "10.40.3.3")),
            ok(R"({"Address":"10.40.3.3/12","Data":{}})"));
  EXPECT_EQ(host.call("/NetworkDriver.CreateEndpoint",
                      create_body(kNetwork, kEndpoint, "10.40.3.3/12", "02:11:22:33:44:55")),
            ok(R"({"Interface":{}})"));

  EXPECT_EQ(host.plugged().at(kEndpoint).mac, Mac({0x02, 0x11, 0x22, 0x33, 0x44, 0x55}));
}

TEST(DockerDialogue, TheStateIsDurableBeforeEachThingThatDependsOnIt) {
  DockerHost host;
  host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.1/12"));
  host.call("/NetworkDriver.DeleteEndpoint", endpoint_body(kNetwork, kEndpoint));

  std::vector<std::size_t> kinds;
  for (const DockerAction& action : host.performed()) {
    kinds.push_back(action.index());
  }

  constexpr std::size_t kReply = 0;
  constexpr std::size_t kPlug = 5;
  constexpr std::size_t kUnplug = 6;
  constexpr std::size_t kPersist = 8;
  EXPECT_THAT(kinds, ElementsAre(kPersist, kPlug, kReply, kPersist, kUnplug, kPersist, kReply));
}

TEST(DockerDialogue, TwoContainersGetTwoAddressesAndAnAddressIsFreeAgainAfterwards) {
  DockerHost host;
  const std::string other = docker_id('9', '3');

  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", address_body(kPool)),
            ok(R"({"Address":"10.32.0.1/12","Data":{}})"));
  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", address_body(kPool)),
            ok(R"({"Address":"10.32.0.2/12","Data":{}})"));
  host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.1/12"));
  host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, other, "10.32.0.2/12"));
  EXPECT_THAT(host.plugged(), SizeIs(2));

  host.call("/NetworkDriver.DeleteEndpoint", endpoint_body(kNetwork, kEndpoint));
  host.call("/IpamDriver.ReleaseAddress", address_body(kPool, "10.32.0.1"));

  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", address_body(kPool, "10.32.0.1")),
            ok(R"({"Address":"10.32.0.1/12","Data":{}})"));
}

TEST(DockerDialogue, OnlyTheFirstOfAContainersNetworksGetsTheMulticastRoute) {
  DockerHost host;
  const std::string other = docker_id('9', '3');
  const std::string third = docker_id('a', '4');
  host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.1/12"));
  host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, other, "10.32.0.2/12"));
  host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, third, "10.32.0.3/12"));
  host.call("/NetworkDriver.Join", join_body(kNetwork, kEndpoint, "/netns/a"));
  host.restart();

  EXPECT_EQ(host.call("/NetworkDriver.Join", join_body(kNetwork, other, "/netns/a")),
            ok(R"({"InterfaceName":{"SrcName":"vethwg933333333","DstPrefix":"ethwe"},)"
               R"("StaticRoutes":[]})"));
  EXPECT_EQ(host.call("/NetworkDriver.Join", join_body(kNetwork, third, "/netns/b")),
            ok(R"({"InterfaceName":{"SrcName":"vethwga44444444","DstPrefix":"ethwe"},)"
               R"("StaticRoutes":[{"Destination":"224.0.0.0/4","RouteType":1}]})"));

  host.call("/NetworkDriver.Leave", endpoint_body(kNetwork, kEndpoint));
  EXPECT_EQ(host.call("/NetworkDriver.Join", join_body(kNetwork, other, "/netns/a")),
            ok(R"({"InterfaceName":{"SrcName":"vethwg933333333","DstPrefix":"ethwe"},)"
               R"("StaticRoutes":[{"Destination":"224.0.0.0/4","RouteType":1}]})"));
}

TEST(DockerDialogue, TheMulticastOptionIsReadAsDockerUsersWriteIt) {
  const std::vector<std::pair<std::string, bool>> spellings = {
      {R"({})", true},
      {R"({"works.weave.multicast":""})", true},
      {R"({"works.weave.multicast":"true"})", true},
      {R"({"works.weave.multicast":"0"})", false},
      {R"({"weft.multicast":"false"})", false},
      {R"({"weft.multicast":false})", false},
      {R"({"weft.multicast":"T","works.weave.multicast":"F"})", true},
      {R"(null)", true},
  };
  for (const auto& [options, expected] : spellings) {
    DockerHost host;
    ASSERT_EQ(host.call("/NetworkDriver.CreateNetwork", network_body(kNetwork, options)), ok());
    host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.1/12"));

    const Answer joined = host.call("/NetworkDriver.Join", join_body(kNetwork, kEndpoint));

    EXPECT_EQ(joined.body.find("224.0.0.0/4") != std::string::npos, expected) << options;
  }
}

TEST(DockerDialogue, CallsThatOnlyInformAreAcknowledged) {
  DockerHost host;
  const std::string node =
      R"({"DiscoveryType":1,"DiscoveryData":{"Address":"10.0.0.2","self":true}})";

  EXPECT_EQ(host.call("/NetworkDriver.DiscoverNew", node), ok());
  EXPECT_EQ(host.call("/NetworkDriver.DiscoverDelete", node), ok());
  EXPECT_EQ(host.call("/NetworkDriver.ProgramExternalConnectivity",
                      R"({"NetworkID":"a","EndpointID":"b","Options":{}})"),
            ok());
  EXPECT_EQ(host.call("/NetworkDriver.RevokeExternalConnectivity",
                      R"({"NetworkID":"a","EndpointID":"b"})"),
            ok());
  EXPECT_EQ(host.call("/NetworkDriver.FreeNetwork", R"({"NetworkID":"a"})"), ok());
  EXPECT_EQ(host.call("/NetworkDriver.AllocateNetwork",
                      R"({"NetworkID":"a","Options":{"k":"v"},"IPv4Data":[],"IPv6Data":[]})"),
            ok(R"({"Options":{"k":"v"}})"));
}

TEST(DockerDialogue, DockerdKilledAndStartedAgainCleansUpAndStartsItsContainers) {
  DockerHost host;
  host.call("/IpamDriver.RequestAddress", address_body(kPool, "10.32.0.7"));
  host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.7/12"));
  host.call("/NetworkDriver.Join", join_body(kNetwork, kEndpoint));

  host.call("/Plugin.Activate", "");
  EXPECT_EQ(host.call("/NetworkDriver.Leave", endpoint_body(kNetwork, kEndpoint)), ok());
  EXPECT_EQ(host.call("/NetworkDriver.DeleteEndpoint", endpoint_body(kNetwork, kEndpoint)), ok());
  EXPECT_EQ(host.call("/IpamDriver.ReleaseAddress", address_body(kPool, "10.32.0.7")), ok());

  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", address_body(kPool, "10.32.0.7")),
            ok(R"({"Address":"10.32.0.7/12","Data":{}})"));
  EXPECT_EQ(host.call("/NetworkDriver.CreateEndpoint",
                      create_body(kNetwork, docker_id('9', '3'), "10.32.0.7/12")),
            ok(R"({"Interface":{"MacAddress":"02:57:0a:20:00:07"}})"));
}

TEST(DockerDialogue, AnAddressClaimedByAnEngineThatDiedBeforeUsingItCanBeClaimedAgain) {
  DockerHost host;
  host.call("/IpamDriver.RequestAddress", address_body(kPool, "10.32.0.7"));

  host.call("/Plugin.Activate", "");

  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", address_body(kPool, "10.32.0.7")),
            ok(R"({"Address":"10.32.0.7/12","Data":{}})"));
}

TEST(DockerDialogue, ANewEngineFindsNoEndpointThatNeverJoinedAndKeepsThoseThatDid) {
  DockerHost host;
  const std::string other = docker_id('9', '3');
  host.call("/IpamDriver.RequestAddress", address_body(kPool));
  host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.1/12"));
  host.call("/NetworkDriver.Join", join_body(kNetwork, kEndpoint));
  host.call("/IpamDriver.RequestAddress", address_body(kPool));
  host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, other, "10.32.0.2/12"));

  host.call("/Plugin.Activate", "");

  EXPECT_EQ(host.plugged().count(kEndpoint), 1U);
  EXPECT_EQ(host.plugged().count(other), 0U);
  EXPECT_THAT(host.addresses(), ElementsAre(Pair(ip("10.32.0.1"), testing::_)));
}

TEST(DockerDialogue, AnAgentRestartKeepsNetworksAndPlugsEveryEndpointAgain) {
  DockerHost host;
  host.call("/NetworkDriver.CreateNetwork", network_body(kNetwork));
  host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.1/12"));
  const auto before = host.driver().ports();
  host.lose_ports();

  host.restart();

  EXPECT_EQ(host.driver().network_count(), 1U);
  EXPECT_EQ(host.driver().ports(), before);
  EXPECT_THAT(host.plugged(), ElementsAre(Pair(kEndpoint, before.front())));
  EXPECT_EQ(host.call("/NetworkDriver.DeleteEndpoint", endpoint_body(kNetwork, kEndpoint)), ok());
  EXPECT_THAT(host.plugged(), IsEmpty());
}

TEST(DockerDialogue, AnEndpointOfALostNetworkIsServedAllTheSame) {
  DockerHost host;

  EXPECT_EQ(
      host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.1/12")),
      ok(R"({"Interface":{"MacAddress":"02:57:0a:20:00:01"}})"));
  EXPECT_EQ(host.call("/NetworkDriver.Join", join_body(kNetwork, kEndpoint)).status, 200U);
}

TEST(DockerDialogue, RemovingWhatIsNotThereSucceeds) {
  DockerHost host;

  EXPECT_EQ(host.call("/NetworkDriver.Leave", endpoint_body(kNetwork, kEndpoint)), ok());
  EXPECT_EQ(host.call("/NetworkDriver.DeleteEndpoint", endpoint_body(kNetwork, kEndpoint)), ok());
  EXPECT_EQ(host.call("/NetworkDriver.DeleteNetwork", R"({"NetworkID":")" + kNetwork + R"("})"),
            ok());
  EXPECT_EQ(host.call("/IpamDriver.ReleaseAddress", address_body(kPool, "10.32.0.9")), ok());
  EXPECT_EQ(host.call("/IpamDriver.ReleaseAddress", address_body(kPool, "10.32.0.0")), ok());
}

TEST(DockerDialogue, RepeatedCreationsAnswerAsTheFirstOneDid) {
  DockerHost host;
  const std::string endpoint = create_body(kNetwork, kEndpoint, "10.32.0.1/12");

  EXPECT_EQ(host.call("/NetworkDriver.CreateNetwork", network_body(kNetwork)), ok());
  EXPECT_EQ(host.call("/NetworkDriver.CreateNetwork", network_body(kNetwork)), ok());
  const Answer first = host.call("/NetworkDriver.CreateEndpoint", endpoint);
  EXPECT_EQ(host.call("/NetworkDriver.CreateEndpoint", endpoint), first);

  EXPECT_EQ(host.driver().network_count(), 1U);
  EXPECT_THAT(host.driver().ports(), SizeIs(1));
}

TEST(DockerDialogue, DeletingANetworkRemovesEndpointsDockerHasForgotten) {
  DockerHost host;
  host.call("/NetworkDriver.CreateNetwork", network_body(kNetwork));
  host.call("/IpamDriver.RequestAddress", address_body(kPool));
  host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.1/12"));

  EXPECT_EQ(host.call("/NetworkDriver.DeleteNetwork", R"({"NetworkID":")" + kNetwork + R"("})"),
            ok());

  EXPECT_THAT(host.plugged(), IsEmpty());
  EXPECT_THAT(host.addresses(), IsEmpty());
  EXPECT_THAT(host.table("docker_endpoints"), IsEmpty());
}

TEST(DockerDialogue, AnEndpointThatTheKernelLostIsForgottenWithItsAddress) {
  DockerHost host;
  host.call("/IpamDriver.RequestAddress", address_body(kPool, "10.32.0.7"));
  host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.7/12"));
  host.restart();

  host.port_gone(kEndpoint);
  host.port_gone(kEndpoint);

  EXPECT_THAT(host.driver().ports(), IsEmpty());
  EXPECT_THAT(host.table("docker_endpoints"), IsEmpty());
  EXPECT_THAT(host.addresses(), IsEmpty());
}

}  // namespace
}  // namespace weft::plugin::test
