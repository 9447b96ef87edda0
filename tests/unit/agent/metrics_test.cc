#include "agent/metrics.h"

#include <chrono>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/metrics.h"

namespace weft::agent {
namespace {

using testing::HasSubstr;
using testing::Not;

AgentStatus busy_status() {
  AgentStatus status;
  status.version = "0.1.0";
  status.peers.resize(3);
  status.peers[0].self = status.peers[0].reachable = status.peers[1].reachable = true;
  router::ConnectionStatus up;
  up.state = router::ConnectionState::Established;
  up.authenticated = true;
  up.old_password = true;
  up.peer = PeerName(2);
  up.rtt = std::chrono::milliseconds(2);
  router::ConnectionStatus down;
  down.state = router::ConnectionState::Retrying;
  status.connections = {up, up, down};
  status.mesh.bytes_in = 5000;
  status.mesh.handshakes.password = 7;
  status.mesh.handshakes.terminated = 2;
  status.ipam.range = Cidr::parse("10.32.0.0/24").value();
  status.ipam.ranges = {
      {.owner = PeerName(1), .address_count = 192, .used_count = 5, .reachable = true},
      {.owner = PeerName(2), .address_count = 64, .used_count = 0, .reachable = false}};
  status.ipam_v6 = status.ipam;
  status.ipam_v6->range = Cidr::parse("fd00:32::/112").value();
  router::PathStatus path;
  path.peer = PeerName(2);
  path.path = {router::Way::Relay, PeerName(3)};
  path.switches = 2;
  path.encrypted = true;
  status.datapath.paths = {path};
  status.datapath.traffic[PeerName(2)].bytes_out = 4711;
  status.sealed.emplace();
  status.dns = dns::DnsStatus{};
  status.dns->stats.own_entries = 3;
  status.dns->queries.absent = 4;
  status.http = {{"control", {.connections = 3, .evicted = 2, .late = 1}}};
  return status;
}

TEST(Metrics, TellWhatTheProcessTakesAsPrometheusClientsDo) {
  AgentStatus status = busy_status();
  status.process.emplace();
  status.process->cpu_seconds = 1.5;

  const std::string text = metrics_text(status);

  EXPECT_THAT(text,
              HasSubstr("# TYPE process_cpu_seconds_total counter\n"
                        "process_cpu_seconds_total 1.5\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE process_resident_memory_bytes gauge"));
}

TEST(Metrics, CountConnectionsAsWeaveDid) {
  const std::string text = metrics_text(busy_status());

  EXPECT_THAT(text, HasSubstr("# TYPE weave_connections gauge"));
  EXPECT_THAT(
      text,
      HasSubstr(R"(weave_connections{encryption="yes",state="established",type="fastdp"} 2)"));
  EXPECT_THAT(text,
              HasSubstr(R"(weave_connections{encryption="",state="established",type="fastdp"} 0)"));
  EXPECT_THAT(text,
              HasSubstr(R"(weave_connections{encryption="",state="failed",type="unknown"} 1)"));
  EXPECT_THAT(text, HasSubstr("weave_connection_terminations_total 2"));
}

TEST(Metrics, CountNamesAndQuestions) {
  const std::string text = metrics_text(busy_status());

  EXPECT_THAT(text, HasSubstr("weave_dns_entries 3"));
  EXPECT_THAT(text, HasSubstr(R"(weft_dns_answers_total{fate="absent"} 4)"));
}

TEST(Metrics, TellWhichWayFramesToEachPeerTake) {
  const std::string text = metrics_text(busy_status());

  EXPECT_THAT(text,
              HasSubstr("weft_path{peer=\"00:00:00:00:00:02\","
                        "path=\"relay 00:00:00:00:00:03\",encrypted=\"yes\"} 1"));
  EXPECT_THAT(text, HasSubstr(R"(weft_path_switches_total{peer="00:00:00:00:00:02"} 2)"));
  EXPECT_THAT(text,
              HasSubstr(R"(weft_path_bytes_total{peer="00:00:00:00:00:02",direction="out"} 4711)"));
}

TEST(Metrics, TellHowFarPeersAre) {
  EXPECT_THAT(metrics_text(busy_status()),
              HasSubstr(R"(weft_connection_rtt_seconds{peer="00:00:00:00:00:02"} 0.002)"));
}

TEST(Metrics, TellWhyHandshakesWereRefused) {
  const std::string text = metrics_text(busy_status());

  EXPECT_THAT(text, HasSubstr(R"(weft_mesh_handshakes_refused_total{reason="password"} 7)"));
  EXPECT_THAT(text, HasSubstr(R"(weft_mesh_handshakes_refused_total{reason="clone"} 0)"));
  EXPECT_THAT(text, HasSubstr(R"(weft_mesh_bytes_total{direction="in"} 5000)"));
  EXPECT_THAT(text, HasSubstr("weft_connections_old_password 2"));
}

TEST(Metrics, TellWhatOfTheRangeIsOutOfReach) {
  const std::string text = metrics_text(busy_status());

  EXPECT_THAT(text, HasSubstr(R"(weave_ips{state="local-used"} 5)"));
  EXPECT_THAT(text, HasSubstr("weave_max_ips 256"));
  EXPECT_THAT(text, HasSubstr("weave_ipam_unreachable_count 1"));
  EXPECT_THAT(text, HasSubstr("weave_ipam_unreachable_percentage 25"));
  EXPECT_THAT(text, HasSubstr("weft_ipam_v6_max 65536"));
  EXPECT_THAT(text, HasSubstr("weft_ipam_v6_used 5"));
  EXPECT_THAT(text, HasSubstr("weft_ipam_v6_unreachable_count 1"));
  EXPECT_THAT(text, HasSubstr(R"(weft_peers{state="unreachable"} 1)"));
}

TEST(Metrics, TellWhatTheAddressManagerRefused) {
  AgentStatus status = busy_status();
  status.ipam.stats.misfit_count = 3;
  status.ipam_v6->stats.granted_count = 2;

  const std::string text = metrics_text(status);

  EXPECT_THAT(text, HasSubstr(R"(weft_ipam_refused_total{family="ipv4",reason="misfit"} 3)"));
  EXPECT_THAT(text, HasSubstr(R"(weft_ipam_space_requests_total{family="ipv6",fate="granted"} 2)"));
  EXPECT_THAT(text, HasSubstr(R"(weft_ipam_decrees_total{family="ipv4"} 0)"));
}

TEST(Metrics, TellOfClientsThatHoldPlacesInVain) {
  const std::string text = metrics_text(busy_status());

  EXPECT_THAT(text, HasSubstr(R"(weft_http_connections{api="control"} 3)"));
  EXPECT_THAT(text, HasSubstr(R"(weft_http_evicted_total{api="control"} 2)"));
  EXPECT_THAT(text, HasSubstr(R"(weft_http_late_total{api="control"} 1)"));
}

TEST(Metrics, OfAnAgentWithoutRingOrPeersAreWhole) {
  const std::string text = metrics_text(AgentStatus{});

  EXPECT_THAT(text, HasSubstr("weave_ipam_unreachable_percentage 0"));
  EXPECT_THAT(text, Not(HasSubstr("Nan")));
}

TEST(Metrics, AreAllInTheDocumentationAndNothingElseIs) {
  std::ifstream file(std::string(WEFT_DOCS_DIR) + "/METRICS.md");
  const std::string document((std::istreambuf_iterator<char>(file)),
                             std::istreambuf_iterator<char>());
  probe::HostReport host;
  host.flows[{}] = {.count = 1};
  const std::string text = metrics_text(busy_status()) + app::metrics_text(host);
  const auto names_in = [](const std::string& where, const char* pattern) {
    const std::regex expression(pattern);
    std::set<std::string> names;
    for (std::sregex_iterator at(where.begin(), where.end(), expression), end; at != end; ++at) {
      names.insert((*at)[1]);
    }
    return names;
  };

  EXPECT_EQ(names_in(text, "# TYPE (\\w+) "),
            names_in(document, "\\| `((?:we(?:av|f)[et]|traces)_\\w+)"));
}

}  // namespace
}  // namespace weft::agent
