// The driver for networks of a swarm, and what users ask of a network with --opt.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/plugin/docker_host.h"

namespace weft::plugin::test {
namespace {

using testing::HasSubstr;

// As a worker of a swarm makes a network: its addresses are the swarm's.
std::string swarm_network_body(const std::string& subnet = "10.0.1.0/24") {
  return R"({"NetworkID":")" + kNetwork
         + R"(","Options":{"com.docker.network.enable_ipv6":false,)"
           R"("com.docker.network.generic":{"weft.mtu":"1300"}},"IPv4Data":[{"AddressSpace":)"
           R"("GlobalDefault","Gateway":"10.0.1.1/24","Pool":")"
         + subnet + R"("}],"IPv6Data":[]})";
}

const Port& only_port(const DockerHost& host) {
  EXPECT_EQ(host.plugged().size(), 1U);
  return host.plugged().begin()->second;
}

TEST(DockerSwarm, ItsDriverIsOfGlobalScopeAndLeavesAddressesToTheSwarm) {
  DockerHost host;

  EXPECT_EQ(host.call_global("/Plugin.Activate", ""), ok(R"({"Implements":["NetworkDriver"]})"));
  EXPECT_THAT(host.call_global("/NetworkDriver.GetCapabilities", "").body,
              HasSubstr(R"("Scope":"global")"));
  // A managed plugin has one socket, where Docker asks for both drivers.
  EXPECT_EQ(host.call_global("/IpamDriver.GetDefaultAddressSpaces", "").status, 200U);
  EXPECT_THAT(host.call_global("/IpamDriver.RequestPool", pool_body("")).body,
              HasSubstr("leave out --ipam-driver"));

  EXPECT_THAT(host.call("/Plugin.Activate", "").body, HasSubstr("IpamDriver"));
  EXPECT_THAT(host.call("/NetworkDriver.GetCapabilities", "").body,
              HasSubstr(R"("Scope":"local")"));
}

TEST(DockerSwarm, AManagerHearsOfMistakesInOptionsWhenItAllocatesANetwork) {
  DockerHost host;
  const auto allocate = [&host](const std::string& options) {
    return host.call_global("/NetworkDriver.AllocateNetwork",
                            R"({"NetworkID":")" + kNetwork + R"(","Options":)" + options
                                + R"(,"IPv4Data":[],"IPv6Data":[]})");
  };

  EXPECT_EQ(allocate(R"({"weft.mtu":"1300"})"), ok(R"({"Options":{"weft.mtu":"1300"}})"));
  EXPECT_THAT(allocate(R"({"weft.mtu":"12"})").body, HasSubstr("expected 576 to 65535"));
  EXPECT_THAT(allocate(R"({"weft.speed":"1"})").body, HasSubstr("unknown option weft.speed"));
  EXPECT_EQ(host.call_global("/NetworkDriver.FreeNetwork", R"({"NetworkID":")" + kNetwork + "\"}"),
            ok());
}

TEST(DockerSwarm, ATaskGetsTheAddressTheSwarmChose) {
  DockerHost host;

  ASSERT_EQ(host.call_global("/NetworkDriver.CreateNetwork", swarm_network_body()), ok());
  ASSERT_EQ(host.call_global("/NetworkDriver.CreateEndpoint",
                             create_body(kNetwork, kEndpoint, "10.0.1.7/24"))
                .status,
            200U);

  EXPECT_EQ(only_port(host).addresses.front().to_string(), "10.0.1.7/24");
  EXPECT_EQ(only_port(host).mtu_bytes, 1300U);
  // Docker's own gateway bridge leads out.
  EXPECT_EQ(
      host.call_global("/NetworkDriver.Join", join_body(kNetwork, kEndpoint)).body.find("Gateway"),
      std::string::npos);
}

TEST(DockerSwarm, ASubnetThatWeftGivesAddressesOfIsRefused) {
  DockerHost host;

  const Answer answer =
      host.call_global("/NetworkDriver.CreateNetwork", swarm_network_body("10.40.0.0/16"));

  EXPECT_EQ(answer.status, 500U);
  EXPECT_THAT(answer.body, HasSubstr("subnet 10.40.0.0/16 overlaps 10.32.0.0/12"));
  EXPECT_EQ(host.driver().network_count(), 0U);
}

// dockerd activates a driver when it first uses it, which may be long after the other.
TEST(DockerSwarm, ActivatingOneDriverSaysNothingOfEndpointsOfTheOther) {
  DockerHost host;
  const std::string local_network = docker_id('c', '3');
  const std::string local_endpoint = docker_id('d', '4');
  host.call("/NetworkDriver.CreateNetwork", network_body(local_network));
  host.call("/NetworkDriver.CreateEndpoint",
            create_body(local_network, local_endpoint, "10.32.0.1/12"));
  host.call_global("/NetworkDriver.CreateNetwork", swarm_network_body());
  host.call_global("/NetworkDriver.CreateEndpoint",
                   create_body(kNetwork, kEndpoint, "10.0.1.7/24"));
  host.restart();  // Which of the networks is the swarm's outlives the agent.

  host.call_global("/Plugin.Activate", "");
  EXPECT_TRUE(host.driver().has_port(local_endpoint));
  EXPECT_FALSE(host.driver().has_port(kEndpoint));  // It never joined.
  host.call("/Plugin.Activate", "");
  EXPECT_FALSE(host.driver().has_port(local_endpoint));
}

TEST(DockerOptions, TheMtuOfANetworkIsThatOfItsPorts) {
  const std::vector<std::pair<std::string, std::uint32_t>> spellings = {
      {R"({})", 0},
      {R"({"weft.mtu":"1300"})", 1300},
      {R"({"com.docker.network.driver.mtu":"1200"})", 1200},
      {R"({"com.docker.network.driver.mtu":"1200","weft.mtu":"1300"})", 1300},
  };
  for (const auto& [options, expected] : spellings) {
    DockerHost host;
    ASSERT_EQ(host.call("/NetworkDriver.CreateNetwork", network_body(kNetwork, options)), ok());
    host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.1/12"));
    EXPECT_EQ(only_port(host).mtu_bytes, expected) << options;

    host.restart();
    EXPECT_EQ(host.driver().ports().front().mtu_bytes, expected) << options;
  }
}

TEST(DockerOptions, AnMtuThatIsNoneIsRefused) {
  for (const std::string mtu : {"\"575\"", "\"65536\"", "\"\"", "\"1400 \"", "\"-1\"", "1400"}) {
    DockerHost host;
    const Answer answer = host.call("/NetworkDriver.CreateNetwork",
                                    network_body(kNetwork, R"({"weft.mtu":)" + mtu + "}"));
    EXPECT_EQ(answer.status, 400U) << mtu;
    EXPECT_THAT(answer.body, HasSubstr("option weft.mtu")) << mtu;
  }
}

TEST(DockerOptions, ANetworkThatIsToBeEncryptedIsRefusedByAnAgentThatDoesNot) {
  DockerHost host;
  for (const std::string options : {R"({"encrypted":""})", R"({"weft.encrypted":"true"})"}) {
    const Answer answer =
        host.call("/NetworkDriver.CreateNetwork", network_body(kNetwork, options));
    EXPECT_EQ(answer.status, 500U);
    EXPECT_THAT(answer.body, HasSubstr("in clear"));
  }
  EXPECT_EQ(host.call("/NetworkDriver.CreateNetwork",
                      network_body(kNetwork, R"({"weft.encrypted":"false"})")),
            ok());
}

TEST(DockerOptions, AContainerOfAnEncryptedNetworkDoesNotStartOnceTheAgentSendsInClear) {
  auto options = DockerHost::default_options();
  options.encrypts = true;
  DockerHost host(options);
  ASSERT_EQ(
      host.call("/NetworkDriver.CreateNetwork", network_body(kNetwork, R"({"encrypted":""})")),
      ok());
  ASSERT_EQ(
      host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.1/12"))
          .status,
      200U);
  host.set_encrypts(false);
  host.restart();

  const Answer answer = host.call("/NetworkDriver.CreateEndpoint",
                                  create_body(kNetwork, docker_id('9', '9'), "10.32.0.2/12"));

  EXPECT_EQ(answer.status, 500U);
  EXPECT_THAT(answer.body, HasSubstr("in clear"));
}

TEST(DockerOptions, IsolationIsRefusedWithWhatThereIsInstead) {
  DockerHost host;

  const Answer answer = host.call("/NetworkDriver.CreateNetwork",
                                  network_body(kNetwork, R"({"weft.isolated":"true"})"));

  EXPECT_EQ(answer.status, 400U);
  EXPECT_THAT(answer.body, HasSubstr("--internal"));
}

}  // namespace
}  // namespace weft::plugin::test
