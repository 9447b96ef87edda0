// The host as the gateway of its containers: when it is one, and whom it is offered to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/plugin/docker_host.h"

namespace weft::plugin::test {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr const char* kPool = "weft-10.32.0.0/12";
constexpr const char* kOnePort = R"([{"Proto":6,"IP":"","Port":80,"HostIP":"","HostPort":8080}])";

const auto kOffersGateway = HasSubstr(R"("Gateway":"10.32.0.1")");
const auto kOffersNone = Not(HasSubstr("Gateway"));

// As `docker network create` does.
void create_network(DockerHost& host, const std::string& options = "{}") {
  host.call("/IpamDriver.RequestAddress", gateway_body(kPool, ""));
  host.call("/NetworkDriver.CreateNetwork", network_body(kNetwork, options, "10.32.0.1/12"));
}

// As `docker run` does.
std::string join(DockerHost& host, const std::string& ports = "[]") {
  const auto address = host.call("/IpamDriver.RequestAddress", address_body(kPool)).body;
  const std::string given = address.substr(12, address.find('"', 12) - 12);
  host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, given));
  return host.call("/NetworkDriver.Join", join_body(kNetwork, kEndpoint, "/netns/a", ports)).body;
}

std::string internal_body(const std::string& id) {
  return R"({"NetworkID":")" + id
         + R"(","Options":{"com.docker.network.internal":true},"IPv4Data":[{"AddressSpace":)"
           R"("weftlocal","Gateway":"10.32.0.1/12","Pool":"10.32.0.0/12"}],"IPv6Data":[]})";
}

TEST(DockerGateway, ANetworkGetsAnAddressForTheHost) {
  DockerHost host;

  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", gateway_body(kPool, "")),
            ok(R"({"Address":"10.32.0.1/12","Data":{}})"));
  host.call("/NetworkDriver.CreateNetwork", network_body(kNetwork, "{}", "10.32.0.1/12"));

  EXPECT_THAT(host.addresses(), Contains(testing::Key(ip("10.32.0.1"))));
  EXPECT_THAT(host.gateways(), ElementsAre(cidr("10.32.0.1/12")));
}

TEST(DockerGateway, AContainerIsOfferedIt) {
  DockerHost host;
  create_network(host);

  EXPECT_THAT(join(host), kOffersGateway);
}

TEST(DockerGateway, AContainerThatPublishesPortsIsLeftToDockersBridge) {
  DockerHost host;
  create_network(host);

  EXPECT_THAT(join(host, kOnePort), kOffersNone);
}

TEST(DockerGateway, AListOfPortsThatIsNullPublishesNone) {
  DockerHost host;
  create_network(host);

  EXPECT_THAT(join(host, "null"), kOffersGateway);
}

TEST(DockerGateway, AnInternalNetworkHasNone) {
  DockerHost host;
  host.call("/IpamDriver.RequestAddress", gateway_body(kPool, ""));

  host.call("/NetworkDriver.CreateNetwork", internal_body(kNetwork));

  EXPECT_THAT(host.gateways(), IsEmpty());
  EXPECT_THAT(join(host), kOffersNone);
}

TEST(DockerGateway, AnEngineThatAsksIsToldThatInternalNetworksNeedNoAddress) {
  DockerHost host;

  EXPECT_EQ(host.call("/NetworkDriver.GwAllocCheck",
                      R"({"Options":{"com.docker.network.internal":true}})"),
            ok(R"({"SkipIPv4":true,"SkipIPv6":true})"));
  EXPECT_EQ(host.call("/NetworkDriver.GwAllocCheck", R"({"Options":null})"),
            ok(R"({"SkipIPv4":false,"SkipIPv6":false})"));
  EXPECT_EQ(host.call("/NetworkDriver.GwAllocCheck",
                      R"({"Options":{"com.docker.network.internal":"yes"}})")
                .status,
            400U);
}

// Docker's own IPAM driver gives every host the same address; on one wire that would be a conflict.
TEST(DockerGateway, AnAddressOfAnotherIpamDriverIsNotTheHosts) {
  DockerHost host;

  host.call("/NetworkDriver.CreateNetwork",
            R"({"NetworkID":")" + kNetwork
                + R"(","Options":{},"IPv4Data":[{"AddressSpace":"LocalDefault","Gateway":)"
                  R"("10.32.0.1/12","Pool":"10.32.0.0/12"}],"IPv6Data":[]})");

  EXPECT_THAT(host.gateways(), IsEmpty());
  EXPECT_THAT(join(host), kOffersNone);
}

TEST(DockerGateway, ASubnetOutsideTheRangeHasNone) {
  DockerHost host;

  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", gateway_body("weft-192.168.7.0/24", "")),
            ok(R"({"Address":"192.168.7.0/24","Data":{}})"));
  EXPECT_EQ(
      host.call("/IpamDriver.ReleaseAddress", address_body("weft-192.168.7.0/24", "192.168.7.0")),
      ok());
  EXPECT_THAT(host.addresses(), IsEmpty());
}

TEST(DockerGateway, AFullSubnetHasNone) {
  DockerHost host;
  host.fail_addresses("no address left");

  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", gateway_body(kPool, "")),
            ok(R"({"Address":"10.32.0.0/12","Data":{}})"));

  host.call("/NetworkDriver.CreateNetwork", network_body(kNetwork, "{}", "10.32.0.0/12"));
  EXPECT_THAT(host.gateways(), IsEmpty());
}

TEST(DockerGateway, ItIsNotOfferedWhileTheKernelRefusesIt) {
  DockerHost host;
  host.fail_gateways("this host uses iptables-legacy");
  create_network(host);

  EXPECT_THAT(join(host), kOffersNone);

  host.fail_gateways("");
  host.restart();
  EXPECT_THAT(host.call("/NetworkDriver.Join", join_body(kNetwork, kEndpoint, "/netns/a")).body,
              kOffersGateway);
}

TEST(DockerGateway, ItIsTheHostsAgainAfterARestart) {
  DockerHost host;
  create_network(host);

  host.restart();

  EXPECT_THAT(host.gateways(), ElementsAre(cidr("10.32.0.1/12")));
  EXPECT_THAT(join(host), kOffersGateway);
}

TEST(DockerGateway, ItEndsWhenItsAddressIsGivenBackBeforeTheNetworkIsDeleted) {
  DockerHost host;
  create_network(host);

  EXPECT_EQ(host.call("/IpamDriver.ReleaseAddress", address_body(kPool, "10.32.0.1")), ok());

  EXPECT_THAT(host.gateways(), IsEmpty());
  EXPECT_THAT(host.addresses(), IsEmpty());
  EXPECT_EQ(host.call("/NetworkDriver.DeleteNetwork", R"({"NetworkID":")" + kNetwork + R"("})"),
            ok());
  host.restart();
  EXPECT_THAT(host.gateways(), IsEmpty());
}

TEST(DockerGateway, ItEndsWithItsNetworkAndOthersStay) {
  DockerHost host;
  create_network(host);
  const std::string other = docker_id('a', '4');
  host.call("/NetworkDriver.CreateNetwork", network_body(other, "{}", "10.32.0.9/12"));

  host.call("/NetworkDriver.DeleteNetwork", R"({"NetworkID":")" + kNetwork + R"("})");

  EXPECT_THAT(host.gateways(), ElementsAre(cidr("10.32.0.9/12")));
}

TEST(DockerGateway, RowsOfAgentsThatHadNoneAreRead) {
  DockerHost host;
  host.write_row("docker_networks", kNetwork, R"({"multicast":true,"reserved":[]})");

  host.restart();

  EXPECT_THAT(host.gateways(), IsEmpty());
  EXPECT_EQ(host.driver().network_count(), 1U);
}

}  // namespace
}  // namespace weft::plugin::test
