#include "probe/engine_json.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::probe {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

const std::string kId(64, 'b');

TEST(EngineJson, ReadsARunningContainer) {
  const auto list = parse_container_list(R"([{
    "Id": "bb", "Names": ["/web"], "Image": "nginx:1.25", "ImageID": "sha256:1", "Command": "nginx --token abc",
    "Created": 1700000000, "State": "running", "Status": "Up 2 minutes",
    "Ports": [{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}, {"PrivatePort": 443, "Type": "tcp"}],
    "Labels": {"tier": "front", "api.token": "abc"}, "HostConfig": {"NetworkMode": "weft-net"},
    "NetworkSettings": {"Networks": {"weft-net": {"IPAddress": "10.32.0.5", "GlobalIPv6Address": ""}}}}])");

  ASSERT_TRUE(list.ok()) << list.error().what;
  ASSERT_THAT(list.value(), SizeIs(1));
  const ContainerFacts& web = list.value().front();
  EXPECT_EQ(web.name, "web");
  EXPECT_EQ(web.state, ContainerState::Running);
  EXPECT_EQ(web.command, "nginx --token ***");
  EXPECT_EQ(web.labels.at("api.token"), "***");
  EXPECT_THAT(web.networks, ElementsAre("weft-net"));
  EXPECT_THAT(web.addresses, ElementsAre(Ip(Ipv4(0x0a200005))));
  ASSERT_THAT(web.ports, SizeIs(2));
  EXPECT_EQ(web.ports.back().outside.port, 8080);
  EXPECT_EQ(web.ports.back().inside, 80);
}

TEST(EngineJson, LeavesOutWhatIsOdd) {
  const auto list =
      parse_container_list(R"([1, {}, {"Id": 5}, {"Id": "a", "Names": 3, "State": "flying",
    "Ports": [7, {"PrivatePort": 99999, "Type": "tcp"}], "NetworkSettings": {"Networks": {"n": 4}}}])");

  ASSERT_TRUE(list.ok());
  ASSERT_THAT(list.value(), SizeIs(1));
  EXPECT_EQ(list.value().front().state, ContainerState::Dead);
  EXPECT_EQ(list.value().front().ports.front().inside, 0);
}

TEST(EngineJson, RefusesWhatIsNoList) {
  EXPECT_EQ(parse_container_list("{}").error().code, Errc::Invalid);
  EXPECT_EQ(parse_container_list("[").error().code, Errc::Invalid);
  EXPECT_EQ(parse_container_hostname("[]").error().code, Errc::Invalid);
}

TEST(EngineJson, ReadsAHostName) {
  EXPECT_EQ(parse_container_hostname(R"({"Config": {"Hostname": "web1"}})").value(), "web1");
}

TEST(ContainerOfCgroup, FindsTheIdWhateverTheRuntimeCallsItsGroup) {
  EXPECT_EQ(container_of_cgroup("/docker/" + kId), kId);
  EXPECT_EQ(container_of_cgroup("/system.slice/docker-" + kId + ".scope"), kId);
  EXPECT_EQ(container_of_cgroup("/kubepods/pod1/cri-containerd-" + kId + ".scope"), kId);
  EXPECT_EQ(container_of_cgroup("/docker/" + kId + "/docker/" + std::string(64, 'c')),
            std::string(64, 'c'));
}

TEST(ContainerOfCgroup, FindsNoneInOtherGroups) {
  EXPECT_THAT(container_of_cgroup("/user.slice/session-1.scope"), IsEmpty());
  EXPECT_THAT(container_of_cgroup("/docker/" + std::string(65, 'a')), IsEmpty());
  EXPECT_THAT(container_of_cgroup(""), IsEmpty());
}

}  // namespace
}  // namespace weft::probe
