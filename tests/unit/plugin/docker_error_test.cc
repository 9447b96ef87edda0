// Every way a call can fail: the answer says what was wrong, and nothing has changed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/plugin/docker_host.h"

namespace weft::plugin::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

constexpr const char* kPool = "weft-10.32.0.0/12";

TEST(DockerError, AnUnknownCallIsNotFound) {
  DockerHost host;

  EXPECT_EQ(host.call("/NetworkDriver.Teleport", "{}"), (Answer{404, R"({"Err":"unknown call"})"}));
  EXPECT_EQ(host.call("", ""), (Answer{404, R"({"Err":"unknown call"})"}));
  EXPECT_EQ(host.driver().stats().malformed, 2U);
}

TEST(DockerError, BodiesThatDoNotDecodeAreMalformedForEveryCall) {
  DockerHost host;
  const std::vector<std::string> paths = {"/NetworkDriver.CreateNetwork",
                                          "/NetworkDriver.DeleteNetwork",
                                          "/NetworkDriver.AllocateNetwork",
                                          "/NetworkDriver.FreeNetwork",
                                          "/NetworkDriver.CreateEndpoint",
                                          "/NetworkDriver.DeleteEndpoint",
                                          "/NetworkDriver.EndpointOperInfo",
                                          "/NetworkDriver.Join",
                                          "/NetworkDriver.Leave",
                                          "/NetworkDriver.DiscoverNew",
                                          "/NetworkDriver.DiscoverDelete",
                                          "/NetworkDriver.ProgramExternalConnectivity",
                                          "/NetworkDriver.RevokeExternalConnectivity",
                                          "/IpamDriver.RequestPool",
                                          "/IpamDriver.ReleasePool",
                                          "/IpamDriver.RequestAddress",
                                          "/IpamDriver.ReleaseAddress",
                                          "/Plugin.Activate",
                                          "/NetworkDriver.GetCapabilities",
                                          "/IpamDriver.GetCapabilities",
                                          "/IpamDriver.GetDefaultAddressSpaces"};
  const std::vector<std::string> bodies = {
      "{", "[]", "7", "\"text\"", "{\"a\":1}x", "\xff", std::string(40, '[')};
  for (const std::string& path : paths) {
    for (const std::string& body : bodies) {
      const Answer answer = host.call(path, body);
      EXPECT_EQ(answer.status, 400U) << path << ' ' << body;
      EXPECT_THAT(answer.body, HasSubstr("body is not")) << path;
    }
  }
  EXPECT_EQ(host.driver().stats().malformed, paths.size() * bodies.size());
}

TEST(DockerError, AnEmptyBodyIsMalformedWhereTheCallHasContent) {
  DockerHost host;

  EXPECT_EQ(host.call("/NetworkDriver.CreateEndpoint", "").status, 400U);
  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", "").status, 400U);
}

TEST(DockerError, ABodyAboveTheLimitIsRefusedBeforeItIsRead) {
  DockerHost host;
  const std::string body = "{\"Pool\":\"" + std::string(std::size_t{1} << 20U, ' ') + "\"}";

  EXPECT_EQ(host.call("/IpamDriver.RequestPool", body),
            malformed("body of 1048587 bytes exceeds 1048576"));
}

TEST(DockerError, ADeeplyNestedBodyIsRefused) {
  DockerHost host;
  std::string body = R"({"NetworkID":"a","Options":)";
  body += std::string(33, '[') + std::string(33, ']') + "}";

  EXPECT_EQ(host.call("/NetworkDriver.CreateNetwork", body).status, 400U);
}

TEST(DockerError, FieldsOfTheWrongTypeAreNamed) {
  const std::vector<std::tuple<std::string, std::string, std::string>> cases = {
      {"/IpamDriver.RequestPool", R"({"Pool":7})", "Pool is not a string"},
      {"/IpamDriver.RequestPool", R"({"SubPool":[]})", "SubPool is not a string"},
      {"/IpamDriver.RequestPool", R"({"V6":"no"})", "V6 is not true or false"},
      {"/IpamDriver.RequestAddress", R"({"PoolID":1})", "PoolID is not a string"},
      {"/IpamDriver.RequestAddress", R"({"Address":1})", "Address is not a string"},
      {"/IpamDriver.RequestAddress", R"({"Options":1})", "Options is not an object"},
      {"/NetworkDriver.CreateNetwork",
       R"({"NetworkID":"a","Options":[]})",
       "Options is not an object"},
      {"/NetworkDriver.CreateNetwork",
       R"({"NetworkID":"a","Options":{"com.docker.network.generic":1}})",
       "com.docker.network.generic is not an object"},
      {"/NetworkDriver.CreateNetwork",
       R"({"NetworkID":"a","IPv4Data":{}})",
       "IPv4Data is not a list"},
      {"/NetworkDriver.CreateNetwork",
       R"({"NetworkID":"a","IPv4Data":[1]})",
       "element of IPv4Data is not an object"},
      {"/NetworkDriver.CreateNetwork",
       R"({"NetworkID":"a","IPv4Data":[{"Gateway":1}]})",
       "address is not a string"},
      {"/NetworkDriver.CreateNetwork",
       R"({"NetworkID":"a","IPv4Data":[{"AuxAddresses":1}]})",
       "AuxAddresses is not an object"},
      {"/NetworkDriver.CreateNetwork",
       R"({"NetworkID":"a","IPv6Data":1})",
       "IPv6Data is not a list"},
      {"/NetworkDriver.CreateEndpoint",
       R"({"NetworkID":"a","EndpointID":"b","Interface":1})",
       "Interface is not an object"},
      {"/NetworkDriver.CreateEndpoint",
       R"({"NetworkID":"a","EndpointID":"b","Interface":{"Address":1}})",
       "Address is not a string"},
      {"/NetworkDriver.CreateEndpoint",
       R"({"NetworkID":"a","EndpointID":"b","Interface":{"MacAddress":{}}})",
       "MacAddress is not a string"},
      {"/NetworkDriver.Join",
       R"({"NetworkID":"a","EndpointID":"b","SandboxKey":1})",
       "SandboxKey is not a string"},
  };
  DockerHost host;
  for (const auto& [path, body, what] : cases) {
    EXPECT_EQ(host.call(path, body), malformed(what));
  }
  EXPECT_THAT(host.performed(), SizeIs(cases.size()));  // Replies only.
}

TEST(DockerError, IdsAreLettersAndDigitsOfBoundedLength) {
  DockerHost host;
  const std::vector<std::string> bad = {
      "", "../../etc", "a b", "a/b", "\\u0000", std::string(129, 'a')};
  for (const std::string& id : bad) {
    EXPECT_EQ(host.call("/NetworkDriver.CreateNetwork", R"({"NetworkID":")" + id + R"("})"),
              malformed("NetworkID is not an id (expected 1 to 128 letters and digits)"));
    EXPECT_EQ(host.call("/NetworkDriver.DeleteEndpoint",
                        R"({"NetworkID":"a","EndpointID":")" + id + R"("})"),
              malformed("EndpointID is not an id (expected 1 to 128 letters and digits)"));
  }
}

TEST(DockerError, ASandboxKeyIsAPathOfBoundedLength) {
  DockerHost host;

  EXPECT_EQ(host.call("/NetworkDriver.Join", join_body("a", "b", std::string(4097, 'x'))),
            malformed("SandboxKey of 4097 bytes exceeds 4096"));
}

TEST(DockerError, OptionsOfANetworkThatCannotBeReadAreRefused) {
  DockerHost host;

  EXPECT_EQ(host.call("/NetworkDriver.CreateNetwork",
                      network_body(kNetwork, R"({"works.weave.multicast":"maybe"})")),
            malformed("option works.weave.multicast=maybe (expected true or false)"));
  EXPECT_EQ(
      host.call("/NetworkDriver.CreateNetwork", network_body(kNetwork, R"({"weft.multicast":7})")),
      malformed("option weft.multicast is not true or false"));
  EXPECT_EQ(
      host.call("/NetworkDriver.CreateNetwork",
                network_body(kNetwork, R"({"weft.multicats":"true"})")),
      malformed(
          "unknown option weft.multicats (expected weft.multicast, weft.mtu or weft.encrypted)"));
  EXPECT_EQ(host.call("/NetworkDriver.CreateNetwork", network_body(kNetwork, "{}", "10.32.0.0/99"))
                .status,
            400U);
  EXPECT_EQ(host.driver().network_count(), 0U);
}

TEST(DockerError, ANetworkHasABoundedNumberOfReservedAddresses) {
  DockerHost host;
  std::string names;
  for (int i = 0; i < 1025; ++i) {
    names += (i == 0 ? "\"" : ",\"") + std::to_string(i) + R"(":"10.32.0.9/12")";
  }

  EXPECT_EQ(host.call("/NetworkDriver.CreateNetwork",
                      R"({"NetworkID":"a","IPv4Data":[{"AuxAddresses":{)" + names + "}}]}"),
            malformed("more than 1024 gateways and auxiliary addresses"));
}

TEST(DockerError, ADefaultPoolAskedForEndlesslyIsRefusedWithTheCure) {
  DockerHost host;
  for (int i = 0; i < 8; ++i) {
    ASSERT_EQ(host.call("/IpamDriver.RequestPool", pool_body("")).status, 200U);
  }

  EXPECT_EQ(host.call("/IpamDriver.RequestPool", pool_body("")),
            failed("the default subnet 10.32.0.0/12 overlaps a route or name server of this host: "
                   "to use it all the same, name it with --subnet 10.32.0.0/12"));

  host.call("/IpamDriver.ReleasePool", R"({"PoolID":"weft-10.32.0.0/12"})");
  EXPECT_EQ(host.call("/IpamDriver.RequestPool", pool_body("")).status, 200U);
}

TEST(DockerError, APoolOutsideTheRangeHasNoAddressesButThoseThatAreNamed) {
  DockerHost host;
  const std::string pool = "weft-192.168.7.0/24";

  EXPECT_EQ(host.call("/IpamDriver.RequestPool", pool_body("192.168.7.0/24")).status, 200U);
  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", address_body(pool)),
            failed("192.168.7.0/24 lies outside the allocation range 10.32.0.0/12: give each "
                   "container its address with --ip, or choose a subnet inside the range"));
  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", address_body(pool, "192.168.7.5")),
            ok(R"({"Address":"192.168.7.5/24","Data":{}})"));
}

TEST(DockerError, WithoutARangeThereAreNoAddressesButThoseThatAreNamed) {
  DockerDriver::Options options;
  options.range = std::nullopt;
  DockerHost host(options);
  const std::string pool = "weft-192.168.7.0/24";

  EXPECT_THAT(host.call("/IpamDriver.RequestPool", pool_body("")).body,
              testing::HasSubstr("this agent has no address range (--ipalloc-range)"));
  EXPECT_EQ(host.call("/IpamDriver.RequestPool", pool_body("192.168.7.0/24")).status, 200U);
  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", address_body(pool)),
            failed("192.168.7.0/24 lies outside the allocation range, as this agent has none: give "
                   "each container its address with --ip, or choose a subnet inside the range"));
  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", address_body(pool, "192.168.7.5")),
            ok(R"({"Address":"192.168.7.5/24","Data":{}})"));
}

TEST(DockerError, AddressesThatDoNotFitTheirPoolAreRefused) {
  DockerHost host;
  const std::string pool = "weft-10.40.0.0/16";

  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", address_body(pool, "10.41.0.1")),
            malformed("address 10.41.0.1 is not in subnet 10.40.0.0/16"));
  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", address_body(pool, "fd00::1")),
            malformed("address fd00::1 is not in subnet 10.40.0.0/16"));
  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", address_body(pool, "10.40.0.0")),
            malformed("10.40.0.0/16 is the network or broadcast address of its subnet"));
  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", address_body(pool, "10.40.255.255")),
            malformed("10.40.255.255/16 is the network or broadcast address of its subnet"));
  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", address_body(pool, "here")).status, 400U);
  EXPECT_EQ(host.call("/IpamDriver.ReleaseAddress", address_body(pool, "")).status, 400U);
  EXPECT_EQ(host.call("/IpamDriver.ReleaseAddress", address_body(pool, "10.41.0.1")).status, 400U);
  EXPECT_THAT(host.addresses(), IsEmpty());
}

TEST(DockerError, PoolsWeDidNotMakeAreRefused) {
  DockerHost host;

  EXPECT_EQ(
      host.call("/IpamDriver.RequestAddress", address_body("LocalDefault/172.18.0.0/16")),
      failed(R"(unknown pool \"LocalDefault/172.18.0.0/16\" (expected weft-SUBNET[-RANGE]))"));
  EXPECT_EQ(host.call("/IpamDriver.ReleaseAddress", address_body("", "10.32.0.1")).status, 500U);
  EXPECT_EQ(host.call("/IpamDriver.ReleasePool", R"({"PoolID":"weft-x"})").status, 400U);
}

TEST(DockerError, AFullPoolIsReportedInIpamsWords) {
  DockerHost host;
  host.fail_addresses("no address left in 10.32.0.0/12");

  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", address_body(kPool)),
            failed("no address left in 10.32.0.0/12"));
  EXPECT_EQ(host.driver().stats().failed, 1U);
}

TEST(DockerError, AGatewayThatIsTakenIsReportedWithTheCure) {
  DockerHost host;
  host.take_address(ip("10.32.0.1"), "docker/elsewhere");

  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", gateway_body(kPool, "10.32.0.1")),
            failed("held by docker/elsewhere (leave out --gateway: each host has an address of its "
                   "own there)"));
}

TEST(DockerError, TheSameAddressIsNeverGivenToTwoContainers) {
  DockerHost host;
  host.call("/IpamDriver.RequestAddress", address_body(kPool, "10.32.0.7"));

  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", address_body(kPool, "10.32.0.7")),
            failed("address 10.32.0.7 was given out just before"));

  host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.7/12"));
  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", address_body(kPool, "10.32.0.7")),
            failed("address 10.32.0.7 is used by endpoint " + kEndpoint));
  EXPECT_EQ(host.call("/NetworkDriver.CreateEndpoint",
                      create_body(kNetwork, docker_id('9', '3'), "10.32.0.7/12")),
            failed("address 10.32.0.7 is used by endpoint " + kEndpoint));
}

TEST(DockerError, TwoClaimsOfOneAddressAtOnceGiveItToOneOfThem) {
  DockerHost host;
  host.hold_answers();
  EXPECT_EQ(host.send("/IpamDriver.RequestAddress", address_body(kPool, "10.32.0.7")),
            std::nullopt);
  const RequestId first = host.last_call();

  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", address_body(kPool, "10.32.0.7")),
            failed("address 10.32.0.7 was given out just before"));

  host.answer_all();
  EXPECT_EQ(host.answer_of(first), ok(R"({"Address":"10.32.0.7/12","Data":{}})"));
}

TEST(DockerError, ANetworksGatewayIsNotGivenToAContainer) {
  DockerHost host;
  host.call("/IpamDriver.RequestAddress", gateway_body(kPool, "10.32.0.1"));
  host.call("/NetworkDriver.CreateNetwork", network_body(kNetwork, "{}", "10.32.0.1/12"));

  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", address_body(kPool, "10.32.0.1")),
            failed("address 10.32.0.1 is used by network " + kNetwork));
}

TEST(DockerError, AnAddressAnEndpointHasIsSkippedAndNotReleased) {
  DockerHost host;
  // Its address came from another IPAM driver, so ours believes it free.
  host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.1/12"));

  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", address_body(kPool)),
            ok(R"({"Address":"10.32.0.2/12","Data":{}})"));
  host.call("/NetworkDriver.Join", join_body(kNetwork, kEndpoint));
  EXPECT_EQ(host.call("/IpamDriver.ReleaseAddress", address_body(kPool, "10.32.0.1")),
            failed("address 10.32.0.1 is used by endpoint " + kEndpoint));
}

TEST(DockerError, AnEndpointNeedsAHostAddressAndAUnicastMac) {
  DockerHost host;
  const auto create = [&host](const std::string& address, const std::string& mac) {
    return host.call("/NetworkDriver.CreateEndpoint",
                     create_body(kNetwork, kEndpoint, address, mac));
  };

  EXPECT_THAT(create("", "").body, HasSubstr("endpoint without an IPv4 address"));
  EXPECT_EQ(create("10.32.0.1", "").status, 400U);
  EXPECT_EQ(create("10.32.0.0/12", ""),
            malformed("address 10.32.0.0/12 (expected an IPv4 host address and its mask)"));
  EXPECT_EQ(create("fd00::2/64", ""),
            malformed("address fd00::2/64 (expected an IPv4 host address and its mask)"));
  EXPECT_EQ(create("10.32.0.1/12", "mac").status, 400U);
  EXPECT_EQ(create("10.32.0.1/12", "ff:ff:ff:ff:ff:ff"),
            malformed("MAC ff:ff:ff:ff:ff:ff (expected that of a single interface)"));
  EXPECT_EQ(create("10.32.0.1/12", "00:00:00:00:00:00").status, 400U);
  EXPECT_EQ(
      host.call("/NetworkDriver.CreateEndpoint", R"({"NetworkID":"a","EndpointID":"b"})").status,
      400U);
  EXPECT_THAT(host.plugged(), IsEmpty());
  EXPECT_THAT(host.table("docker_endpoints"), IsEmpty());
}

TEST(DockerError, EndpointsThatWouldClashOnTheBridgeAreRefused) {
  DockerHost host;
  host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.1/12"));

  EXPECT_EQ(
      host.call("/NetworkDriver.CreateEndpoint",
                create_body(kNetwork, docker_id('9', '3'), "10.32.0.2/12", "02:57:0a:20:00:01")),
      failed("MAC 02:57:0a:20:00:01 is used by endpoint " + kEndpoint));
  EXPECT_EQ(host.call("/NetworkDriver.CreateEndpoint",
                      create_body(kNetwork, kEndpoint.substr(0, 9), "10.32.0.2/12")),
            failed("interface name vethwl822222222 is used by endpoint " + kEndpoint));
  EXPECT_EQ(
      host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.2/12")),
      failed("endpoint " + kEndpoint
             + " exists with address 10.32.0.1/12 and MAC 02:57:0a:20:00:01"));
  EXPECT_THAT(host.plugged(), SizeIs(1));
}

TEST(DockerError, ANetworkIsNotCreatedTwiceWithDifferentOptions) {
  DockerHost host;
  host.call("/NetworkDriver.CreateNetwork", network_body(kNetwork));

  EXPECT_EQ(host.call("/NetworkDriver.CreateNetwork",
                      network_body(kNetwork, R"({"weft.multicast":"no"})"))
                .status,
            400U);
  EXPECT_EQ(host.call("/NetworkDriver.CreateNetwork",
                      network_body(kNetwork, R"({"weft.multicast":"false"})")),
            failed("network " + kNetwork + " exists with other options"));
}

TEST(DockerError, APortThatCannotBePluggedLeavesNothingBehind) {
  DockerHost host;
  host.call("/IpamDriver.RequestAddress", address_body(kPool));
  host.fail_plugs("create vethwl822222222: no buffer space available");

  EXPECT_EQ(
      host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.1/12")),
      failed("create vethwl822222222: no buffer space available"));
  EXPECT_EQ(host.call("/IpamDriver.ReleaseAddress", address_body(kPool, "10.32.0.1")), ok());

  EXPECT_THAT(host.driver().ports(), IsEmpty());
  EXPECT_THAT(host.table("docker_endpoints"), IsEmpty());
  EXPECT_THAT(host.addresses(), IsEmpty());
}

TEST(DockerError, APortThatCannotBeUnpluggedIsGoneForDockerAllTheSame) {
  DockerHost host;
  host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.1/12"));
  host.fail_unplugs("delete vethwl822222222: operation not permitted");

  EXPECT_EQ(host.call("/NetworkDriver.DeleteEndpoint", endpoint_body(kNetwork, kEndpoint)), ok());
  EXPECT_THAT(host.driver().ports(), IsEmpty());
  EXPECT_THAT(host.table("docker_endpoints"), IsEmpty());
}

TEST(DockerError, JoiningAnEndpointNobodyCreatedFailsWithTheCure) {
  DockerHost host;

  EXPECT_EQ(host.call("/NetworkDriver.Join", join_body(kNetwork, kEndpoint)),
            failed("unknown endpoint " + kEndpoint + " (restart the container to make a new one)"));
}

TEST(DockerError, CallsAboutAnEndpointInTheMakingAreRefusedUntilItIsMade) {
  DockerHost host;
  host.hold_answers();
  host.send("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.1/12"));
  const RequestId first = host.last_call();

  EXPECT_EQ(
      host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.1/12")),
      failed("endpoint " + kEndpoint + " is being created"));
  EXPECT_EQ(host.call("/NetworkDriver.DeleteEndpoint", endpoint_body(kNetwork, kEndpoint)),
            failed("endpoint " + kEndpoint + " is being created"));
  EXPECT_EQ(host.call("/NetworkDriver.Join", join_body(kNetwork, kEndpoint)).status, 500U);
  host.port_gone(kEndpoint);

  host.answer_all();
  EXPECT_EQ(host.answer_of(first)->status, 200U);
  EXPECT_THAT(host.driver().ports(), SizeIs(1));
}

TEST(DockerError, ARepeatedCreationOvertakenByARemovalFails) {
  DockerHost host;
  host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.1/12"));
  host.hold_answers();
  host.send("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.1/12"));
  const RequestId again = host.last_call();
  host.send("/NetworkDriver.DeleteEndpoint", endpoint_body(kNetwork, kEndpoint));
  const RequestId removal = host.last_call();
  EXPECT_EQ(
      host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.1/12")),
      failed("endpoint " + kEndpoint + " is being removed"));

  host.answer_all();

  EXPECT_EQ(host.answer_of(again), failed("endpoint " + kEndpoint + " was removed meanwhile"));
  EXPECT_EQ(host.answer_of(removal), ok());
  EXPECT_THAT(host.plugged(), IsEmpty());
}

TEST(DockerError, RemovingTwiceAtOnceAnswersBoth) {
  DockerHost host;
  host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.1/12"));
  host.hold_answers();
  host.send("/NetworkDriver.DeleteEndpoint", endpoint_body(kNetwork, kEndpoint));
  const RequestId first = host.last_call();
  host.send("/NetworkDriver.DeleteEndpoint", endpoint_body(kNetwork, kEndpoint));
  const RequestId second = host.last_call();

  host.answer_all();

  EXPECT_EQ(host.answer_of(first), ok());
  EXPECT_EQ(host.answer_of(second), ok());
}

TEST(DockerError, AQuestionOfACallerWhoHungUpIsCancelled) {
  for (const char* wanted : {"", "10.32.0.7"}) {
    DockerHost host;
    host.hold_answers();
    host.send("/IpamDriver.RequestAddress", address_body(kPool, wanted));
    const RequestId call = host.last_call();

    host.hang_up(call);
    EXPECT_THAT(host.performed(), ElementsAre(DockerAction(CancelAddress{call})));
    host.answer_all();

    EXPECT_EQ(host.answer_of(call), std::nullopt);
    EXPECT_THAT(host.addresses(), IsEmpty());
    EXPECT_EQ(host.call("/IpamDriver.RequestAddress", address_body(kPool, wanted)).status, 200U);
  }
}

TEST(DockerError, AnAddressForACallerWhoHungUpIsGivenBack) {
  for (const char* wanted : {"", "10.32.0.7"}) {
    DockerHost host;
    host.hold_answers();
    host.cancel_too_late();
    host.send("/IpamDriver.RequestAddress", address_body(kPool, wanted));
    const RequestId call = host.last_call();

    host.hang_up(call);
    host.answer_all();

    EXPECT_EQ(host.answer_of(call), std::nullopt);
    EXPECT_THAT(host.addresses(), IsEmpty());
    EXPECT_EQ(host.driver().stats().hung_up, 1U);
  }
}

TEST(DockerError, AFailedAddressForACallerWhoHungUpIsNobodysBusiness) {
  DockerHost host;
  host.cancel_too_late();
  host.fail_addresses("no address left");
  host.hold_answers();
  host.send("/IpamDriver.RequestAddress", address_body(kPool));

  host.hang_up(host.last_call());
  host.answer_all();

  EXPECT_EQ(host.answer_of(host.last_call()), std::nullopt);
}

TEST(DockerError, AnEndpointForACallerWhoHungUpIsUndone) {
  DockerHost host;
  host.hold_answers();
  host.send("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.1/12"));
  const RequestId call = host.last_call();

  host.hang_up(call);
  host.answer_all();

  EXPECT_EQ(host.answer_of(call), std::nullopt);
  EXPECT_THAT(host.plugged(), IsEmpty());
  EXPECT_THAT(host.table("docker_endpoints"), IsEmpty());
}

TEST(DockerError, ARemovalForACallerWhoHungUpIsFinished) {
  DockerHost host;
  host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.1/12"));
  host.hold_answers();
  host.send("/NetworkDriver.DeleteEndpoint", endpoint_body(kNetwork, kEndpoint));

  host.hang_up(host.last_call());
  host.answer_all();

  EXPECT_THAT(host.driver().ports(), IsEmpty());
  EXPECT_THAT(host.table("docker_endpoints"), IsEmpty());
}

TEST(DockerError, HangupsAndAnswersNobodyWaitsForChangeNothing) {
  DockerHost host;
  DockerActions out;

  host.driver().on_hangup(RequestId(7), out);
  host.driver().on_address(RequestId(7), cidr("10.32.0.1/12"), out);
  host.driver().on_plugged(RequestId(7), Ok{}, out);
  host.driver().on_port_gone("nobody", out);

  EXPECT_THAT(out, IsEmpty());
}

TEST(DockerError, NetworksEndpointsCallsAndUnusedAddressesAreBounded) {
  DockerDriver::Options options = DockerHost::default_options();
  options.networks_max = 1;
  options.endpoints_max = 1;
  options.calls_max = 2;
  options.unbound_max = 2;
  DockerHost host(options);
  host.call("/NetworkDriver.CreateNetwork", network_body(kNetwork));
  host.call("/NetworkDriver.CreateEndpoint", create_body(kNetwork, kEndpoint, "10.32.0.200/12"));

  EXPECT_EQ(host.call("/NetworkDriver.CreateNetwork", network_body(docker_id('e', '1'))),
            failed("there are 1 networks already"));
  EXPECT_EQ(host.call("/NetworkDriver.CreateEndpoint",
                      create_body(kNetwork, docker_id('9', '3'), "10.32.0.2/12")),
            failed("there are 1 endpoints already, as many as the bridge has ports for"));
  host.call("/IpamDriver.RequestAddress", address_body(kPool));
  host.call("/IpamDriver.RequestAddress", address_body(kPool));
  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", address_body(kPool)),
            failed("2 addresses were asked for and not used"));
  host.hold_answers();
  host.send("/NetworkDriver.DeleteEndpoint", endpoint_body(kNetwork, kEndpoint));
  host.send("/NetworkDriver.DeleteEndpoint", endpoint_body(kNetwork, kEndpoint));
  EXPECT_EQ(host.call("/IpamDriver.RequestAddress", address_body(kPool)),
            failed("2 calls are waiting already"));
  EXPECT_EQ(host.driver().stats().over_limit, 4U);
  EXPECT_EQ(host.call("/Plugin.Activate", "").status, 200U);  // Only what asks is refused.
}

TEST(DockerError, RowsThatDoNotDecodeAreNamed) {
  const std::vector<std::tuple<std::string, std::string, std::string>> cases = {
      {"docker_networks", "{", "row is not a JSON object"},
      {"docker_networks", "{}", "multicast is missing"},
      {"docker_networks", R"({"multicast":true})", "reserved is missing"},
      {"docker_networks",
       R"({"multicast":true,"reserved":[1]})",
       "element of reserved is not a string"},
      {"docker_endpoints", "{}", "state is missing"},
      {"docker_endpoints", R"({"state":"odd"})", "network is missing"},
      {"docker_endpoints",
       R"({"state":"odd","network":"n","address":"10.32.0.1/12","mac":"02:00:00:00:00:01",)"
       R"("is_mac_ours":true,"pool":"","multicast_sandbox":""})",
       "unknown state odd"},
  };
  for (const auto& [table, row, what] : cases) {
    DockerDriver::Stored stored;
    (table == "docker_networks" ? stored.networks
                                : stored.endpoints)[to_bytes(std::string_view("abc"))] =
        to_bytes(std::string_view(row));

    const auto driver = DockerDriver::create(DockerHost::default_options(), stored);

    ASSERT_FALSE(driver.ok());
    EXPECT_EQ(driver.error().what, table + ": abc: " + what);
  }
}

}  // namespace
}  // namespace weft::plugin::test
