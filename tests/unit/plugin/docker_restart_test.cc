// The agent dies after every single action of a container's life, comes back, and Docker goes on:
// nothing is plugged twice, nothing stays behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/plugin/docker_host.h"

namespace weft::plugin::test {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* kPool = "weft-10.32.0.0/12";

// What libnetwork remembers, and how it reacts: it undoes what it was told of, and retries nothing.
struct Dockerd {
  DockerHost& host;
  std::optional<std::string> address;  // Held by a container that it believes to exist.
  std::optional<std::string> endpoint;
  std::optional<std::string> gateway;
  bool has_network = false;

  bool succeeds(const std::string& path, const std::string& body) {
    return host.call(path, body).status == 200;
  }

  // As {"Address":"10.32.0.1/12", begins.
  static std::string address_in(const Answer& given) {
    return given.body.substr(12, given.body.find('/') - 12);
  }

  void create_network() {
    if (gateway) {
      release_gateway();  // Its retries of that have found the new agent.
    }
    const Answer given = host.call("/IpamDriver.RequestAddress", gateway_body(kPool, ""));
    if (given.status != 200) {
      return;
    }
    gateway = address_in(given);
    has_network =
        succeeds("/NetworkDriver.CreateNetwork", network_body(kNetwork, "{}", *gateway + "/12"));
  }

  void run(const std::string& id, const std::string& wanted) {
    if (!has_network) {
      create_network();
    }
    if (!has_network) {
      return;
    }
    const Answer given = host.call("/IpamDriver.RequestAddress", address_body(kPool, wanted));
    if (given.status != 200) {
      return;
    }
    address = address_in(given);
    if (!succeeds("/NetworkDriver.CreateEndpoint", create_body(kNetwork, id, *address + "/12"))) {
      release();
      return;
    }
    endpoint = id;
    if (!succeeds("/NetworkDriver.Join", join_body(kNetwork, id))) {
      stop();
    }
  }

  void stop() {
    if (endpoint) {
      succeeds("/NetworkDriver.Leave", endpoint_body(kNetwork, *endpoint));
      if (succeeds("/NetworkDriver.DeleteEndpoint", endpoint_body(kNetwork, *endpoint))) {
        endpoint.reset();
      }
    }
    release();
  }

  void release() {
    if (address && !endpoint
        && succeeds("/IpamDriver.ReleaseAddress", address_body(kPool, *address))) {
      address.reset();
    }
  }

  void release_gateway() {
    succeeds("/IpamDriver.ReleaseAddress", address_body(kPool, *gateway));
    gateway.reset();
  }

  // The address first, and whether that succeeds does not matter.
  void remove_network() {
    if (gateway) {
      succeeds("/IpamDriver.ReleaseAddress", address_body(kPool, *gateway));
    }
    if (succeeds("/NetworkDriver.DeleteNetwork", R"({"NetworkID":")" + kNetwork + R"("})")) {
      has_network = false;
      gateway.reset();
    }
  }
};

std::size_t actions_of_a_life(const std::string& wanted) {
  DockerHost host;
  Dockerd dockerd{host, {}, {}, {}, false};
  dockerd.run(kEndpoint, wanted);
  dockerd.stop();
  dockerd.remove_network();
  return host.performed().size();
}

class DockerRestart : public testing::TestWithParam<const char*> {};

TEST_P(DockerRestart, AtEveryActionLeavesNothingBehindAndTheNextContainerRuns) {
  const std::string wanted = GetParam();
  const std::size_t count = actions_of_a_life(wanted);
  ASSERT_GT(count, 15U);
  for (std::size_t crash = 0; crash < count; ++crash) {
    SCOPED_TRACE(crash);
    DockerHost host;
    Dockerd dockerd{host, {}, {}, {}, false};

    host.crash_after(crash);
    dockerd.run(kEndpoint, wanted);
    dockerd.stop();
    dockerd.remove_network();
    ASSERT_TRUE(host.is_crashed());
    host.restart();
    dockerd.stop();
    dockerd.run(docker_id('9', '3'), wanted);

    EXPECT_TRUE(dockerd.endpoint.has_value());
    EXPECT_THAT(host.plugged(), SizeIs(1));
    EXPECT_EQ(host.driver().ports().size(), 1U);

    dockerd.stop();
    dockerd.remove_network();

    EXPECT_THAT(host.plugged(), IsEmpty());
    EXPECT_THAT(host.table("docker_networks"), IsEmpty());
    EXPECT_THAT(host.table("docker_endpoints"), IsEmpty());
    EXPECT_THAT(host.gateways(), IsEmpty());
    // At most the one whose answer was on its way when the agent died.
    EXPECT_LE(host.addresses().size(), 1U);
  }
}

INSTANTIATE_TEST_SUITE_P(ChosenAndClaimed, DockerRestart, testing::Values("", "10.32.0.7"));

TEST(DockerRestarted, AnEndpointDockerWasNeverToldOfGoesWithItsAddress) {
  DockerHost host;
  host.call("/IpamDriver.RequestAddress", address_body(kPool));
  host.crash_after(2);  // Persist and PlugPort are done; Docker was told nothing.
  EXPECT_EQ(
      host.send("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.1/12")),
      std::nullopt);
  host.restart();
  ASSERT_THAT(host.plugged(), SizeIs(1));

  EXPECT_EQ(host.call("/IpamDriver.ReleaseAddress", address_body(kPool, "10.32.0.1")).status, 200U);

  EXPECT_THAT(host.plugged(), IsEmpty());
  EXPECT_THAT(host.addresses(), IsEmpty());
  EXPECT_THAT(host.table("docker_endpoints"), IsEmpty());
}

TEST(DockerRestarted, AnEndpointDockerWasToldOfCanStillBeJoined) {
  DockerHost host;
  host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.1/12"));

  host.restart();

  EXPECT_EQ(host.call("/NetworkDriver.Join", join_body(kNetwork, kEndpoint)).status, 200U);
}

TEST(DockerRestarted, AnEndpointWhoseRemovalWasCutShortIsRemoved) {
  DockerHost host;
  host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.1/12"));
  host.crash_after(1);  // It is marked; the port is still there.
  EXPECT_EQ(host.send("/NetworkDriver.DeleteEndpoint", endpoint_body(kNetwork, kEndpoint)),
            std::nullopt);
  ASSERT_THAT(host.plugged(), SizeIs(1));

  host.restart();

  EXPECT_THAT(host.plugged(), IsEmpty());
  EXPECT_THAT(host.table("docker_endpoints"), IsEmpty());
}

// The agent died between its store and dockerd's ear: dockerd asks again and gets another one.
TEST(DockerLostAddress, WhatNobodyHeardOfIsGivenBack) {
  DockerHost host;
  host.call("/NetworkDriver.CreateNetwork", network_body(kNetwork));
  host.crash_after(1);
  EXPECT_EQ(host.send("/IpamDriver.RequestAddress", address_body(kPool)), std::nullopt);
  ASSERT_THAT(host.addresses(), SizeIs(1));
  host.restart();

  host.look_through_addresses();
  EXPECT_THAT(host.addresses(), SizeIs(1)) << "dockerd may still be about to use it";
  host.look_through_addresses();

  EXPECT_THAT(host.addresses(), IsEmpty());
}

TEST(DockerLostAddress, WhatSomebodyAccountsForIsKept) {
  DockerHost host;
  host.call("/IpamDriver.RequestAddress", gateway_body(kPool, ""));
  host.call("/NetworkDriver.CreateNetwork", network_body(kNetwork, "{}", "10.32.0.1/12"));
  host.call("/IpamDriver.RequestAddress", address_body(kPool));
  host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.2/12"));
  host.restart();
  host.call("/IpamDriver.RequestAddress", address_body(kPool, "10.32.0.9"));
  host.take_address(ip("10.32.0.77"), "a container of somebody else's");

  for (int times = 0; times < 3; ++times) {
    host.look_through_addresses();
  }

  EXPECT_THAT(host.addresses(), SizeIs(4));
}

// The agent cannot know what became of it: another network driver may use our IpamDriver.
TEST(DockerLostAddress, WhatIsOfNoNetworkOfOursIsKept) {
  DockerHost host;
  host.call("/IpamDriver.RequestAddress", address_body(kPool));
  host.restart();

  for (int times = 0; times < 3; ++times) {
    host.look_through_addresses();
  }

  EXPECT_THAT(host.addresses(), SizeIs(1));
}

TEST(DockerLostAddress, AnEndpointWhoseInterfaceWasNeverMadeLeavesItsAddressToDocker) {
  DockerHost host;
  host.call("/NetworkDriver.CreateNetwork", network_body(kNetwork));
  host.call("/IpamDriver.RequestAddress", address_body(kPool));
  host.crash_after(1);
  EXPECT_EQ(
      host.send("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.1/12")),
      std::nullopt);
  host.restart();

  host.port_missing(kEndpoint);

  EXPECT_THAT(host.table("docker_endpoints"), IsEmpty());
  EXPECT_THAT(host.addresses(), SizeIs(1));
  EXPECT_EQ(
      host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.1/12"))
          .status,
      200U);
  for (int times = 0; times < 3; ++times) {
    host.look_through_addresses();
  }
  EXPECT_THAT(host.addresses(), SizeIs(1));
}

}  // namespace
}  // namespace weft::plugin::test
