// Networks with an IPv6 subnet: both addresses of an endpoint, and what Docker says of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/plugin/docker_host.h"

namespace weft::plugin::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Key;
using testing::Not;
using testing::UnorderedElementsAre;

constexpr const char* kPool = "weft-10.32.0.0/12";
constexpr const char* kPoolV6 = "weft-fd00:32::/64";
constexpr const char* kCreated = R"({"Interface":{"MacAddress":"02:57:0a:20:00:02"}})";

DockerDriver::Options dual_stack() {
  DockerDriver::Options options = DockerHost::default_options();
  options.default_subnet_v6 = cidr("fd00:32::/64");
  options.range_v6 = cidr("fd00:32::/48");
  return options;
}

std::string network_v6_body(const std::string& gateway_v6) {
  return R"({"NetworkID":")" + kNetwork
         + R"(","Options":{"com.docker.network.enable_ipv6":true},"IPv4Data":[{"AddressSpace":)"
           R"("weftlocal","Gateway":"10.32.0.1/12","Pool":"10.32.0.0/12"}],"IPv6Data":[)"
           R"({"AddressSpace":"weftlocal","Gateway":")"
         + gateway_v6 + R"(","Pool":"fd00:32::/64"}]})";
}

std::string create_v6_body(const std::string& v4, const std::string& v6) {
  return R"({"NetworkID":")" + kNetwork + R"(","EndpointID":")" + kEndpoint
         + R"(","Interface":{"Address":")" + v4 + R"(","AddressIPv6":")" + v6 + R"("}})";
}

// As `docker network create --ipv6` does.
void create_network(DockerHost& host) {
  host.call("/IpamDriver.RequestAddress", gateway_body(kPool, ""));
  EXPECT_EQ(host.call("/IpamDriver.RequestPool", pool_body("", "", "true")),
            ok(R"({"PoolID":"weft-fd00:32::/64","Pool":"fd00:32::/64","Data":{}})"));
  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", gateway_body(kPoolV6, "")),
            ok(R"({"Address":"fd00:32::1/64","Data":{}})"));
  EXPECT_EQ(host.call("/NetworkDriver.CreateNetwork", network_v6_body("fd00:32::1/64")), ok());
}

// As `docker run` does.
void create_endpoint(DockerHost& host) {
  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", address_body(kPool)),
            ok(R"({"Address":"10.32.0.2/12","Data":{}})"));
  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", address_body(kPoolV6)),
            ok(R"({"Address":"fd00:32::2/64","Data":{}})"));
  EXPECT_EQ(
      host.call("/NetworkDriver.CreateEndpoint", create_v6_body("10.32.0.2/12", "fd00:32::2/64")),
      ok(kCreated));
}

TEST(DockerIpv6, AnEndpointHasBothAddressesAndTheHostIsTheGatewayOfBoth) {
  DockerHost host(dual_stack());

  create_network(host);
  create_endpoint(host);
  const Answer joined = host.call("/NetworkDriver.Join", join_body(kNetwork, kEndpoint));

  EXPECT_THAT(host.gateways(), ElementsAre(cidr("10.32.0.1/12"), cidr("fd00:32::1/64")));
  ASSERT_THAT(host.plugged(), ElementsAre(Key(kEndpoint)));
  EXPECT_THAT(host.plugged().at(kEndpoint).addresses,
              ElementsAre(cidr("10.32.0.2/12"), cidr("fd00:32::2/64")));
  EXPECT_THAT(
      joined.body,
      AllOf(HasSubstr(R"("Gateway":"10.32.0.1")"), HasSubstr(R"("GatewayIPv6":"fd00:32::1")")));
}

TEST(DockerIpv6, ARestartForgetsNeitherAddress) {
  DockerHost host(dual_stack());
  create_network(host);
  create_endpoint(host);

  host.restart();

  EXPECT_THAT(host.gateways(), ElementsAre(cidr("10.32.0.1/12"), cidr("fd00:32::1/64")));
  EXPECT_THAT(host.plugged().at(kEndpoint).addresses,
              ElementsAre(cidr("10.32.0.2/12"), cidr("fd00:32::2/64")));
  EXPECT_EQ(
      host.call("/NetworkDriver.CreateEndpoint", create_v6_body("10.32.0.2/12", "fd00:32::3/64"))
          .status,
      500U)
      << "the endpoint has another address";
  host.look_through_addresses();
  host.look_through_addresses();
  EXPECT_EQ(host.addresses().size(), 4U);
}

TEST(DockerIpv6, WhatDockerGivesBackIsFreeAndTheOtherAddressIsLeftToItsNextWord) {
  DockerHost host(dual_stack());
  create_network(host);
  create_endpoint(host);

  // Docker never heard of the endpoint: it gives back what it asked for, one after the other.
  EXPECT_EQ(host.call("/IpamDriver.ReleaseAddress", address_body(kPool, "10.32.0.2")), ok());
  EXPECT_TRUE(host.addresses().contains(ip("fd00:32::2")));
  EXPECT_THAT(host.plugged(), IsEmpty());
  EXPECT_EQ(host.call("/IpamDriver.ReleaseAddress", address_body(kPoolV6, "fd00:32::2")), ok());

  EXPECT_THAT(host.addresses(), UnorderedElementsAre(Key(ip("10.32.0.1")), Key(ip("fd00:32::1"))));
}

TEST(DockerIpv6, AnAddressThatDockerForgetsToGiveBackIsFoundLater) {
  DockerHost host(dual_stack());
  create_network(host);
  create_endpoint(host);
  host.call("/IpamDriver.ReleaseAddress", address_body(kPool, "10.32.0.2"));

  host.look_through_addresses();
  host.look_through_addresses();

  EXPECT_FALSE(host.addresses().contains(ip("fd00:32::2")));
}

TEST(DockerIpv6, ANetworkTakesItsGatewaysAlong) {
  DockerHost host(dual_stack());
  create_network(host);

  host.call("/IpamDriver.ReleaseAddress", address_body(kPool, "10.32.0.1"));
  host.call("/IpamDriver.ReleaseAddress", address_body(kPoolV6, "fd00:32::1"));
  host.call("/NetworkDriver.DeleteNetwork", R"({"NetworkID":")" + kNetwork + "\"}");

  EXPECT_THAT(host.gateways(), IsEmpty());
  EXPECT_THAT(host.addresses(), IsEmpty());
}

TEST(DockerIpv6, WithoutARangeAnAddressIsTheOneThatIsNamed) {
  DockerHost host;

  EXPECT_THAT(host.call("/IpamDriver.RequestPool", pool_body("", "", "true")).body,
              HasSubstr("this agent has no IPv6 range"));
  EXPECT_EQ(host.call("/IpamDriver.RequestPool", pool_body("fd00:32::/64", "", "true")).status,
            200U);
  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", gateway_body(kPoolV6, "")),
            ok(R"({"Address":"fd00:32::/64","Data":{}})"))
      << "a gateway that is none";
  EXPECT_EQ(host.call("/NetworkDriver.CreateNetwork", network_v6_body("fd00:32::/64")), ok());
  EXPECT_THAT(host.call("/IpamDriver.RequestAddress", address_body(kPoolV6)).body,
              HasSubstr("which has no IPv6: give each container its address with --ip6"));
  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", address_body(kPoolV6, "fd00:32::9")),
            ok(R"({"Address":"fd00:32::9/64","Data":{}})"));
  EXPECT_THAT(host.gateways(), Not(testing::Contains(cidr("fd00:32::/64"))));
}

TEST(DockerIpv6, ASubnetOfTheOtherFamilyIsRefused) {
  DockerHost host(dual_stack());

  EXPECT_EQ(host.call("/IpamDriver.RequestPool", pool_body("10.40.0.0/16", "", "true")),
            malformed("subnet 10.40.0.0/16 is not of IPv6"));
  EXPECT_EQ(host.call("/NetworkDriver.CreateEndpoint", create_v6_body("fd00::1/64", "")),
            malformed("address fd00::1/64 (expected an IPv4 host address and its mask)"));
  EXPECT_EQ(host.call("/NetworkDriver.CreateEndpoint", create_v6_body("10.32.0.9/12", "fd00::/64")),
            malformed("address fd00::/64 (expected an IPv6 host address and its mask)"));
}

}  // namespace
}  // namespace weft::plugin::test
