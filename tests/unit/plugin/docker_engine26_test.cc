// The dialogues dockerd 26.1.5 leads, word by word as captured from one.
#include <initializer_list>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/plugin/docker_host.h"

namespace weft::plugin::test {
namespace {

using testing::IsEmpty;

// Each call with the answer it must get.
struct Turn {
  const char* path;
  const char* body;
  const char* answer;
};

void lead(DockerHost& host, std::initializer_list<Turn> turns) {
  for (const Turn& turn : turns) {
    EXPECT_EQ(host.call(turn.path, std::string(turn.body) + "\n"), ok(turn.answer)) << turn.path;
  }
}

TEST(DockerEngine26, RunsAContainerThatPublishesAPortAndRemovesItAndItsNetwork) {
  DockerHost host;

  lead(
      host,
      {{"/IpamDriver.RequestPool",
        R"({"AddressSpace":"weftlocal","Pool":"","SubPool":"","Options":{},"V6":false})",
        R"({"PoolID":"weft-10.32.0.0/12","Pool":"10.32.0.0/12","Data":{}})"},
       {"/IpamDriver.RequestAddress",
        R"({"PoolID":"weft-10.32.0.0/12","Address":"","Options":{"RequestAddressType":"com.docker.network.gateway"}})",
        R"({"Address":"10.32.0.1/12","Data":{}})"},
       {"/NetworkDriver.CreateNetwork",
        R"({"NetworkID":"69f282ad0b9ad3303fde24b1a3fdc30231880ab9ca696944b2744eb3f92b0ff0","Options":{"com.docker.network.enable_ipv6":false,"com.docker.network.generic":{}},"IPv4Data":[{"AddressSpace":"weftlocal","Gateway":"10.32.0.1/12","Pool":"10.32.0.0/12"}],"IPv6Data":[]})",
        "{}"},
       {"/IpamDriver.RequestAddress",
        R"({"PoolID":"weft-10.32.0.0/12","Address":"","Options":null})",
        R"({"Address":"10.32.0.2/12","Data":{}})"},
       {"/NetworkDriver.CreateEndpoint",
        R"({"NetworkID":"69f282ad0b9ad3303fde24b1a3fdc30231880ab9ca696944b2744eb3f92b0ff0","EndpointID":"7f453edc38b8d135a389bc1a7e4e90f14970470f366f0b40f73923500cf906b1","Interface":{"Address":"10.32.0.2/12","AddressIPv6":"","MacAddress":""},"Options":{"com.docker.network.endpoint.exposedports":[{"Proto":6,"Port":80}],"com.docker.network.portmap":[{"Proto":6,"IP":"","Port":80,"HostIP":"","HostPort":8080,"HostPortEnd":8080}]}})",
        R"({"Interface":{"MacAddress":"02:57:0a:20:00:02"}})"},
       {"/NetworkDriver.Join",
        R"({"NetworkID":"69f282ad0b9ad3303fde24b1a3fdc30231880ab9ca696944b2744eb3f92b0ff0","EndpointID":"7f453edc38b8d135a389bc1a7e4e90f14970470f366f0b40f73923500cf906b1","SandboxKey":"/run/docker/netns/4d934aea6d0f","Options":{"com.docker.network.endpoint.exposedports":[{"Proto":6,"Port":80}],"com.docker.network.portmap":[{"Proto":6,"IP":"","Port":80,"HostIP":"","HostPort":8080,"HostPortEnd":8080}]}})",
        R"({"InterfaceName":{"SrcName":"vethwg7f453edc3","DstPrefix":"ethwe"},"StaticRoutes":[{"Destination":"224.0.0.0/4","RouteType":1}]})"},
       {"/NetworkDriver.Leave",
        R"({"NetworkID":"69f282ad0b9ad3303fde24b1a3fdc30231880ab9ca696944b2744eb3f92b0ff0","EndpointID":"7f453edc38b8d135a389bc1a7e4e90f14970470f366f0b40f73923500cf906b1"})",
        "{}"},
       {"/NetworkDriver.DeleteEndpoint",
        R"({"NetworkID":"69f282ad0b9ad3303fde24b1a3fdc30231880ab9ca696944b2744eb3f92b0ff0","EndpointID":"7f453edc38b8d135a389bc1a7e4e90f14970470f366f0b40f73923500cf906b1"})",
        "{}"},
       {"/IpamDriver.ReleaseAddress",
        R"({"PoolID":"weft-10.32.0.0/12","Address":"10.32.0.2"})",
        "{}"},
       {"/IpamDriver.ReleaseAddress",
        R"({"PoolID":"weft-10.32.0.0/12","Address":"10.32.0.1"})",
        "{}"},
       {"/IpamDriver.ReleasePool", R"({"PoolID":"weft-10.32.0.0/12"})", "{}"},
       {"/NetworkDriver.DeleteNetwork",
        R"({"NetworkID":"69f282ad0b9ad3303fde24b1a3fdc30231880ab9ca696944b2744eb3f92b0ff0"})",
        "{}"}});

  EXPECT_THAT(host.plugged(), IsEmpty());
  EXPECT_THAT(host.addresses(), IsEmpty());
  EXPECT_THAT(host.table("docker_endpoints"), IsEmpty());
  EXPECT_THAT(host.table("docker_networks"), IsEmpty());
}

TEST(DockerEngine26, KeepsAMacThatWasAskedForWhichItSaysTwice) {
  DockerHost host;

  lead(
      host,
      {{"/NetworkDriver.CreateNetwork",
        R"({"NetworkID":"af9011ce8315281d86ee56a75d6aeba9b13c650781afb4f5c1702bd9c7fdd387","Options":{"com.docker.network.enable_ipv6":false,"com.docker.network.generic":{"weft.mtu":"1400"},"com.docker.network.internal":true},"IPv4Data":[{"AddressSpace":"weftlocal","AuxAddresses":{"a":"10.40.1.9/16"},"Gateway":"10.40.0.1/16","Pool":"10.40.0.0/16"}],"IPv6Data":[]})",
        "{}"},
       {"/NetworkDriver.CreateEndpoint",
        R"({"NetworkID":"af9011ce8315281d86ee56a75d6aeba9b13c650781afb4f5c1702bd9c7fdd387","EndpointID":"c93845c129199267304dd3e249d05133557e66e13a99b771ce3ea3dbee6a840b","Interface":{"Address":"10.40.1.77/16","AddressIPv6":"","MacAddress":"02:42:aa:bb:cc:dd"},"Options":{"com.docker.network.endpoint.macaddress":"AkKqu8zd"}})",
        R"({"Interface":{}})"},
       {"/NetworkDriver.Join",
        R"({"NetworkID":"af9011ce8315281d86ee56a75d6aeba9b13c650781afb4f5c1702bd9c7fdd387","EndpointID":"c93845c129199267304dd3e249d05133557e66e13a99b771ce3ea3dbee6a840b","SandboxKey":"/run/docker/netns/b87646b58d0e","Options":{"com.docker.network.endpoint.exposedports":[],"com.docker.network.portmap":[]}})",
        R"({"InterfaceName":{"SrcName":"vethwgc93845c12","DstPrefix":"ethwe"},"StaticRoutes":[{"Destination":"224.0.0.0/4","RouteType":1}]})"},
       {"/NetworkDriver.EndpointOperInfo",
        R"({"NetworkID":"af9011ce8315281d86ee56a75d6aeba9b13c650781afb4f5c1702bd9c7fdd387","EndpointID":"c93845c129199267304dd3e249d05133557e66e13a99b771ce3ea3dbee6a840b"})",
        R"({"Value":{}})"}});

  ASSERT_EQ(host.driver().ports().size(), 1U);
  EXPECT_EQ(host.driver().ports().front().mac, Mac({0x02, 0x42, 0xaa, 0xbb, 0xcc, 0xdd}));
}

TEST(DockerEngine26, RunsAContainerOfBothFamiliesBehindTheHostsAddresses) {
  DockerDriver::Options options = DockerHost::default_options();
  options.default_subnet_v6 = cidr("fd00:57::/64");
  options.range_v6 = cidr("fd00:57::/48");
  DockerHost host(options);

  lead(
      host,
      {{"/IpamDriver.RequestPool",
        R"({"AddressSpace":"weftlocal","Pool":"","SubPool":"","Options":{},"V6":false})",
        R"({"PoolID":"weft-10.32.0.0/12","Pool":"10.32.0.0/12","Data":{}})"},
       {"/IpamDriver.RequestAddress",
        R"({"PoolID":"weft-10.32.0.0/12","Address":"","Options":{"RequestAddressType":"com.docker.network.gateway"}})",
        R"({"Address":"10.32.0.1/12","Data":{}})"},
       {"/IpamDriver.RequestPool",
        R"({"AddressSpace":"weftlocal","Pool":"","SubPool":"","Options":{},"V6":true})",
        R"({"PoolID":"weft-fd00:57::/64","Pool":"fd00:57::/64","Data":{}})"},
       {"/IpamDriver.RequestAddress",
        R"({"PoolID":"weft-fd00:57::/64","Address":"","Options":{"RequestAddressType":"com.docker.network.gateway"}})",
        R"({"Address":"fd00:57::1/64","Data":{}})"},
       {"/NetworkDriver.CreateNetwork",
        R"({"NetworkID":"d8a2fc543da98a1c4bdbf441e7c95f3f129544d77a87b812d05b8e39df7ef224","Options":{"com.docker.network.enable_ipv6":true,"com.docker.network.generic":{}},"IPv4Data":[{"AddressSpace":"weftlocal","Gateway":"10.32.0.1/12","Pool":"10.32.0.0/12"}],"IPv6Data":[{"AddressSpace":"weftlocal","Gateway":"fd00:57::1/64","Pool":"fd00:57::/64"}]})",
        "{}"},
       {"/IpamDriver.RequestAddress",
        R"({"PoolID":"weft-10.32.0.0/12","Address":"","Options":null})",
        R"({"Address":"10.32.0.2/12","Data":{}})"},
       {"/IpamDriver.RequestAddress",
        R"({"PoolID":"weft-fd00:57::/64","Address":"","Options":null})",
        R"({"Address":"fd00:57::2/64","Data":{}})"},
       {"/NetworkDriver.CreateEndpoint",
        R"({"NetworkID":"d8a2fc543da98a1c4bdbf441e7c95f3f129544d77a87b812d05b8e39df7ef224","EndpointID":"c1281c3e52329020c58da8e71979b2ab87721f9ba3f7e82ff82a147332142723","Interface":{"Address":"10.32.0.2/12","AddressIPv6":"fd00:57::2/64","MacAddress":""},"Options":{"com.docker.network.endpoint.exposedports":[],"com.docker.network.portmap":[]}})",
        R"({"Interface":{"MacAddress":"02:57:0a:20:00:02"}})"},
       {"/NetworkDriver.Join",
        R"({"NetworkID":"d8a2fc543da98a1c4bdbf441e7c95f3f129544d77a87b812d05b8e39df7ef224","EndpointID":"c1281c3e52329020c58da8e71979b2ab87721f9ba3f7e82ff82a147332142723","SandboxKey":"/run/docker/netns/c6750cd8b5ef","Options":{"com.docker.network.endpoint.exposedports":[],"com.docker.network.portmap":[]}})",
        R"({"InterfaceName":{"SrcName":"vethwgc1281c3e5","DstPrefix":"ethwe"},"StaticRoutes":[{"Destination":"224.0.0.0/4","RouteType":1}],"Gateway":"10.32.0.1","GatewayIPv6":"fd00:57::1"})"},
       {"/NetworkDriver.ProgramExternalConnectivity",
        R"({"NetworkID":"d8a2fc543da98a1c4bdbf441e7c95f3f129544d77a87b812d05b8e39df7ef224","EndpointID":"c1281c3e52329020c58da8e71979b2ab87721f9ba3f7e82ff82a147332142723","Options":{"com.docker.network.endpoint.exposedports":[],"com.docker.network.portmap":[]}})",
        "{}"},
       {"/NetworkDriver.EndpointOperInfo",
        R"({"NetworkID":"d8a2fc543da98a1c4bdbf441e7c95f3f129544d77a87b812d05b8e39df7ef224","EndpointID":"c1281c3e52329020c58da8e71979b2ab87721f9ba3f7e82ff82a147332142723"})",
        R"({"Value":{}})"},
       {"/NetworkDriver.RevokeExternalConnectivity",
        R"({"NetworkID":"d8a2fc543da98a1c4bdbf441e7c95f3f129544d77a87b812d05b8e39df7ef224","EndpointID":"c1281c3e52329020c58da8e71979b2ab87721f9ba3f7e82ff82a147332142723"})",
        "{}"}});

  ASSERT_EQ(host.driver().ports().size(), 1U);
  EXPECT_EQ(host.driver().ports().front().addresses.size(), 2U);
}

}  // namespace
}  // namespace weft::plugin::test
