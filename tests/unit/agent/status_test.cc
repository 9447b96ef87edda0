// The texts of `weft status`, against tests/golden/agent. A text that changed on purpose is written
// anew with WEFT_GOLDEN_UPDATE=1 and read in review.
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include <boost/json/parse.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/cli/json_text.h"
#include "agent/cli/status_text.h"

namespace weft::agent {
namespace {

using testing::HasSubstr;

const PeerName kSelf(0x7a0102030405);
const PeerName kOther(0x8e1112131415);
const PeerName kGone(0x922122232425);

router::PeerStatus peer_of(PeerName name, const char* nickname, std::vector<PeerName> neighbours) {
  return {.name = name,
          .nickname = nickname,
          .incarnation = Incarnation(2),
          .version = "0.1.0",
          .self = name == kSelf,
          .reachable = name != kGone,
          .next_hop = name == kOther ? std::optional(kOther) : std::nullopt,
          .underlay = {Ip::parse("192.0.2.1").value()},
          .neighbours = std::move(neighbours),
          .latency = name == kOther ? std::optional<Duration>(std::chrono::microseconds(420))
                                    : std::nullopt,
          .reason = name == kGone ? "no heartbeat for 3 s" : ""};
}

std::vector<router::ConnectionStatus> connections() {
  using enum router::ConnectionState;
  return {{.address = "192.0.2.2:6783",
           .outbound = true,
           .state = Established,
           .peer = kOther,
           .nickname = "host2",
           .authenticated = true,
           .old_password = true,
           .rtt = std::chrono::microseconds(420),
           .jitter = std::chrono::microseconds(30),
           .loss_percent = 0.5,
           .queue = {.origins = 3, .unconfirmed_bytes = 400, .merged = 7, .held_back = 1},
           .unsent_bytes = 1500,
           .reason = ""},
          {.address = "192.0.2.3:6783",
           .outbound = true,
           .state = Retrying,
           .peer = std::nullopt,
           .nickname = "",
           .authenticated = false,
           .old_password = false,
           .rtt = std::nullopt,
           .jitter = {},
           .loss_percent = 0,
           .reason = "connection refused, retry in 4 s"},
          {.address = "[fd00::4]:50123",
           .outbound = false,
           .state = Pending,
           .peer = std::nullopt,
           .nickname = "",
           .authenticated = false,
           .old_password = false,
           .rtt = std::nullopt,
           .jitter = {},
           .loss_percent = 0,
           .reason = ""}};
}

ipam::AllocatorStatus ipam_status() {
  ipam::AllocatorStatus status;
  status.state = ipam::AllocatorStatus::State::Ready;
  status.range = Cidr::parse("10.32.0.0/12").value();
  status.default_subnet = status.range;
  status.ranges = {{.owner = kSelf, .address_count = 524288, .used_count = 3, .reachable = true},
                   {.owner = kOther, .address_count = 262144, .used_count = 0, .reachable = true},
                   {.owner = kGone, .address_count = 262144, .used_count = 0, .reachable = false}};
  return status;
}

AgentStatus full_status() {
  AgentStatus status;
  status.version = "0.1.0";
  status.password_set = true;
  status.peers = {peer_of(kSelf, "host1", {kOther}),
                  peer_of(kOther, "host2", {kSelf}),
                  peer_of(kGone, "host3", {})};
  status.connections = connections();
  status.targets = {"192.0.2.2", "192.0.2.3"};
  status.port = 6783;
  status.connections_max = 200;
  status.ipam = ipam_status();
  status.datapath.mode = "bpf";
  status.datapath.bridge = "weft";
  status.datapath.mtu = 1450;
  status.datapath.vni = 0x776566;
  status.datapath.port = 6784;
  status.datapath.underlay = {"eth0", "eth1"};
  status.datapath.offloads = {
      {.device = "eth0", .enabled = true, .verdict = router::ChecksumVerdict::Right},
      {.device = "eth1", .enabled = false, .verdict = router::ChecksumVerdict::TurnedOff}};
  status.datapath.local_count = 2;
  status.datapath.remote_count = 5;
  status.docker =
      DockerStatus{.socket = "/run/docker/plugins/weft.sock", .network_count = 1, .port_count = 2};
  return status;
}

AgentStatus encrypted_status() {
  AgentStatus status = full_status();
  router::SealedStatus sealed;
  sealed.port = 6783;
  sealed.ciphers = {"aes-256-gcm (intel-ipsec-mb) at 10.0 GB/s"};
  sealed.peers = {{.peer = kOther,
                   .endpoint = {Ip::parse("192.0.2.2").value(), 6783},
                   .established = true,
                   .clear = false,
                   .handshaking = false,
                   .cipher = "aes-256-gcm (intel-ipsec-mb)"},
                  {.peer = kGone,
                   .endpoint = {Ip::parse("192.0.2.3").value(), 6783},
                   .established = true,
                   .clear = true,
                   .handshaking = false,
                   .cipher = "aes-256-gcm (intel-ipsec-mb)"}};
  sealed.esp_why = "2.10 µs a datagram where the kernel seals, 0.91 where agents do";
  sealed.worker.drops.at(static_cast<std::size_t>(router::SealedDrop::Replayed)) = 3;
  status.sealed = sealed;
  return status;
}

// One peer, alone, before it has a ring, without Docker, BPF or a password.
AgentStatus lonely_status() {
  AgentStatus status;
  status.version = "0.1.0";
  status.discovery = false;
  status.warnings = {"two hosts share the peer name 7a:01:02:03:04:05: stop weft on the newer one"};
  status.peers = {peer_of(kSelf, "host1", {})};
  status.ipam.state = ipam::AllocatorStatus::State::AwaitingConsensus;
  status.ipam.detail = "quorum: 2, known: 1";
  status.ipam.range = Cidr::parse("10.32.0.0/12").value();
  status.ipam.default_subnet = Cidr::parse("10.32.1.0/24").value();
  status.ipam.conflict = "peer 8e:11:12:13:14:15(host2) uses range 10.40.0.0/16";
  status.datapath.mode = "bridge";
  status.datapath.reason = "--no-bpf";
  status.datapath.bridge = "weft";
  status.datapath.mtu = 8950;
  status.datapath.vni = 0x776566;
  status.datapath.port = 6784;
  status.datapath.warnings = {"path to 192.0.2.3: network is unreachable"};
  return status;
}

std::string golden(const std::string& name, const std::string& actual) {
  const std::string path = std::string(WEFT_GOLDEN_DIR) + "/" + name;
  if (std::getenv("WEFT_GOLDEN_UPDATE") != nullptr) {
    std::ofstream(path) << actual;
  }
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void expect_golden(const AgentStatus& status, StatusPart part, const std::string& name) {
  // Through text and back, as the CLI gets it.
  const std::string body = pretty(part_of(to_json(status), part));
  const auto text = status_text(boost::json::parse(body), part);

  ASSERT_TRUE(text.ok()) << text.error().what;
  EXPECT_EQ(text.value(), golden(name, text.value()));
}

TEST(StatusText, SummarisesAWorkingCluster) {
  expect_golden(full_status(), StatusPart::Summary, "status.txt");
}

TEST(StatusText, SummarisesAPeerThatIsAlone) {
  expect_golden(lonely_status(), StatusPart::Summary, "status_alone.txt");
}

TEST(StatusText, ListsPeersWithTheirNeighbours) {
  expect_golden(full_status(), StatusPart::Peers, "status_peers.txt");
}

TEST(StatusText, ListsConnectionsWithTheirReasons) {
  expect_golden(full_status(), StatusPart::Connections, "status_connections.txt");
}

TEST(StatusText, ShowsHowFramesTravelAndWhatChangedThatTheLatestFirst) {
  AgentStatus status = full_status();
  const TimePoint now{std::chrono::hours(1)};
  router::PathStatus path;
  path.peer = kOther;
  path.path = {router::Way::Relay, kGone};
  path.rtt = std::chrono::microseconds(1500);
  path.switches = 1;
  path.history = {{now - std::chrono::minutes(30), {}, "the peer became known"},
                  {now - std::chrono::seconds(2), path.path, "clear does not answer"}};
  status.datapath.now = now;
  status.datapath.paths = {path};
  status.datapath.path_mtus = {{kOther, 1400}};

  const auto text = status_text(part_of(to_json(status), StatusPart::Paths), StatusPart::Paths);

  ASSERT_TRUE(text.ok()) << text.error().what;
  EXPECT_THAT(text.value(), HasSubstr(", rtt 1.50 ms, mtu 1400, switched 1 times\n"));
  const auto late = text.value().find("2.0 s ago: relay ");
  const auto early = text.value().find("30 min ago: clear (the peer became known)");
  EXPECT_LT(late, early);
  EXPECT_NE(early, std::string::npos);
  EXPECT_EQ(text.value().find("unreachable"), std::string::npos);
}

// Nothing is sent to it, so nothing has found out that the path leads nowhere.
TEST(StatusText, SaysOfAPathThatItsPeerIsUnreachable) {
  AgentStatus status = full_status();
  router::PathStatus path;
  path.peer = kGone;
  status.datapath.paths = {path};

  const auto text = status_text(part_of(to_json(status), StatusPart::Paths), StatusPart::Paths);

  EXPECT_THAT(text.value(), HasSubstr(" clear - unreachable!"));
}

TEST(StatusText, ListsWhoOwnsTheRange) {
  expect_golden(full_status(), StatusPart::Ipam, "status_ipam.txt");
}

TEST(StatusText, ShowsTheRangeOfIpv6BesideThatOfIpv4) {
  AgentStatus status = full_status();
  status.ipam_v6 = status.ipam;
  status.ipam_v6->range = Cidr::parse("fd00:32::/48").value();
  status.ipam_v6->default_subnet = Cidr::parse("fd00:32::/64").value();

  const auto summary = status_text(to_json(status), StatusPart::Summary);
  const auto ranges = status_text(part_of(to_json(status), StatusPart::Ipam), StatusPart::Ipam);

  ASSERT_TRUE(summary.ok() && ranges.ok());
  EXPECT_THAT(summary.value(), HasSubstr("Service: ipam-v6\n"));
  EXPECT_THAT(summary.value(), HasSubstr("DefaultSubnet: fd00:32::/64\n"));
  EXPECT_THAT(ranges.value(), HasSubstr("Range: fd00:32::/48\n7a:01:02:03:04:05(host1)"));
}

TEST(StatusText, ListsTargets) {
  expect_golden(full_status(), StatusPart::Targets, "status_targets.txt");
}

TEST(StatusText, SaysSoWhenTheJsonIsOfAnotherVersion) {
  for (const char* body : {"{}", "[]", "1", R"({"version": 1})", R"([{"name": []}])"}) {
    const auto text = status_text(boost::json::parse(body), StatusPart::Summary);

    EXPECT_FALSE(text.ok()) << body;
  }
}

TEST(StatusJson, HasTheDocumentedShape) {
  const std::string json = pretty(to_json(full_status()));

  EXPECT_EQ(json, golden("status.json", json));
}

TEST(StatusPart, IsNamedAsOnTheCommandLine) {
  EXPECT_EQ(parse_status_part("").value(), StatusPart::Summary);
  EXPECT_EQ(parse_status_part("ipam").value(), StatusPart::Ipam);
  EXPECT_EQ(parse_status_part("dns").value(), StatusPart::Dns);
  EXPECT_EQ(parse_status_part("nothing").error().code, Errc::NotFound);
}

TEST(Status, ShowsNamesAsWeaveDid) {
  AgentStatus status;
  status.dns = dns::DnsStatus{.domain = dns::Name::parse("weft.local").value(), .ttl_seconds = 1};
  status.dns->reason = "there is no docker0 yet";
  status.dns->upstream = {{Ipv4(0xc0000201), 53}};
  status.dns->stats.entries = 1;
  status.dns->names = {
      {.entry = {.name = dns::Name::parse("web.weft.local").value(), .address = Ipv4(0x0a200001)},
       .origin = PeerName(1),
       .owner = std::string(64, 'c'),
       .suspended = true}};
  const auto dns = to_json(status).at("dns");

  EXPECT_EQ(status_text(dns, StatusPart::Dns).value(),
            "web          10.32.0.1       cccccccccccc 00:00:00:00:00:01 - unreachable!\n");
  status.ipam.range = Cidr::parse("10.32.0.0/12").value();
  const std::string summary = status_text(to_json(status), StatusPart::Summary).value();
  EXPECT_NE(summary.find("        Service: dns\n"
                         "         Domain: weft.local.\n"
                         "        Address: none (there is no docker0 yet)\n"
                         "       Upstream: 192.0.2.1\n"
                         "            TTL: 1\n"
                         "        Entries: 1\n"),
            std::string::npos)
      << summary;
}

TEST(Status, SaysHowEachPeersFramesTravelAndWhy) {
  const boost::json::object object = to_json(encrypted_status());

  const auto text = status_text(object, StatusPart::Summary);

  EXPECT_TRUE(object.at("router").at("data_encrypted").as_bool());
  EXPECT_EQ(object.at("encryption").at("drops").at("replayed").to_number<int>(), 3);
  EXPECT_THAT(text.value(), HasSubstr("data: enabled"));
  EXPECT_THAT(text.value(), HasSubstr("ESP: not offered (2.10 µs a datagram where the kernel"));
  EXPECT_THAT(text.value(),
              HasSubstr("(host2) encrypted up, aes-256-gcm (intel-ipsec-mb) (a password is set)"));
  EXPECT_THAT(text.value(), HasSubstr("(host3) fastdp up (both hosts are in trusted subnets)"));
}

TEST(Status, SaysWhoSealsAndWhyNextToThePaths) {
  EXPECT_EQ(sealing_text(to_json(encrypted_status())).value(),
            "            ESP: not offered (2.10 µs a datagram where the kernel seals, 0.91 where "
            "agents do)\n");
  EXPECT_EQ(sealing_text(to_json(lonely_status())).value(), "");
  EXPECT_FALSE(sealing_text(boost::json::parse(R"({"encryption":{}})")).ok());
}

}  // namespace
}  // namespace weft::agent
