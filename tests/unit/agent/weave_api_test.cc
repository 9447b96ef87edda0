// Weave's control API: its texts, its codes, and that docs/openapi.yaml says what there is.
#include "agent/http/weave_api.h"

#include <gmock/gmock.h>

#include "agent/http/weave_text.h"
#include "agent/ipam/call.h"
#include "agent/report.h"
#include "tests/unit/openapi.h"

namespace weft::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const PeerName kSelf(0x7a0102030405);
const PeerName kOther(0x8e1112131415);

AgentStatus status() {
  AgentStatus status;
  status.version = "9.9";
  status.password_set = true;
  status.targets = {"host2"};
  status.datapath.mtu = 1376;
  router::PeerStatus self;
  self.name = kSelf;
  self.nickname = "host1";
  self.self = true;
  self.neighbours = {kOther};
  router::PeerStatus other;
  other.name = kOther;
  other.nickname = "host2";
  other.neighbours = {kSelf};
  status.peers = {self, other};
  router::ConnectionStatus established;
  established.address = "192.0.2.2:6783";
  established.outbound = true;
  established.state = router::ConnectionState::Established;
  established.peer = kOther;
  established.nickname = "host2";
  established.authenticated = true;
  status.sealed.emplace();
  router::ConnectionStatus failed;
  failed.address = "192.0.2.3:6783";
  failed.outbound = true;
  failed.state = router::ConnectionState::Failed;
  failed.reason = "this is ourselves";
  status.connections = {established, failed};
  status.ipam.state = ipam::AllocatorStatus::State::AwaitingConsensus;
  status.ipam.detail = "quorum: 2, known: 1";
  status.ipam.range = Cidr::parse("10.32.0.0/12").value();
  status.ipam.default_subnet = status.ipam.range;
  status.ipam.election = {.is_elector = true, .known_count = 1, .quorum = 2};
  status.ipam.ranges = {{.owner = kOther, .address_count = 4096, .reachable = true}};
  status.ipam.pieces = {{.first = Ip::parse("10.32.0.0").value(),
                         .address_count = 4096,
                         .owner = kOther,
                         .version = 7}};
  status.ipam.pending = {{"c1", status.ipam.range, false},
                         {"c2", Cidr::parse("10.32.0.9/12").value(), true}};
  status.docker = DockerStatus{.socket = "/run/docker/plugins/weavemesh.sock",
                               .driver = "weavemesh",
                               .swarm_driver = "weave"};
  return status;
}

class WeaveApi : public ::testing::Test {
 protected:
  sys::HttpResponse call(const std::string& method,
                         const std::string& target,
                         const std::string& body = "") {
    return handle_weave({.id = {}, .method = method, .target = target, .body = body}, hooks_, {});
  }

  TargetsCall connected_;
  Result<Ok> outcome_ = Ok{};
  ControlHooks hooks_{.status = [] { return status(); },
                      .peers_reachable = [] { return std::size_t{0}; },
                      .metrics = [] { return std::string("# a page\n"); },
                      .connect =
                          [this](const TargetsCall& call) {
                            connected_ = call;
                            return outcome_;
                          },
                      .forget = [this](const TargetsCall&) { return outcome_; },
                      .reload = [] { return Ok{}; },
                      .stop = [] {},
                      .dns = {}};
};

TEST_F(WeaveApi, SummarisesAsWeaveDid) {
  EXPECT_EQ(call("GET", "/status").body,
            "        Version: 9.9 (version check update disabled)\n"
            "\n"
            "        Service: router\n"
            "       Protocol: weft 1\n"
            "           Name: 7a:01:02:03:04:05(host1)\n"
            "     Encryption: enabled\n"
            "  PeerDiscovery: enabled\n"
            "        Targets: 1\n"
            "    Connections: 2 (1 established, 1 failed)\n"
            "          Peers: 2 (with 2 established connections)\n"
            " TrustedSubnets: none\n"
            "\n"
            "        Service: ipam\n"
            "         Status: awaiting consensus (quorum: 2, known: 1)\n"
            "          Range: 10.32.0.0/12\n"
            "  DefaultSubnet: 10.32.0.0/12\n"
            "\n"
            "        Service: plugin (legacy)\n"
            "     DriverName: weave\n");
}

TEST_F(WeaveApi, ListsConnectionsAndPeersInWeavesColumns) {
  EXPECT_EQ(call("GET", "/status/connections").body,
            "-> 192.0.2.2:6783        established encrypted   fastdp 8e:11:12:13:14:15(host2) "
            "encrypted=true mtu=1376\n"
            "-> 192.0.2.3:6783        failed      this is ourselves, retry: never\n");
  EXPECT_EQ(call("GET", "/status/peers").body,
            "7a:01:02:03:04:05(host1)\n"
            "   -> 192.0.2.2:6783        8e:11:12:13:14:15(host2)              established\n"
            "8e:11:12:13:14:15(host2)\n"
            "   ->                       7a:01:02:03:04:05(host1)              established\n");
  EXPECT_EQ(call("GET", "/status/targets").body, "host2\n");
}

TEST(WeaveWordsOfConnections, CallUnencryptedWhatBothSidesTrust) {
  AgentStatus trusting = status();
  const router::ConnectionStatus& established = trusting.connections.front();
  trusting.sealed->peers.emplace_back().peer = kOther;
  EXPECT_THAT(weave_info(trusting, established), HasSubstr("encrypted   fastdp"));

  trusting.sealed->peers[0].clear = true;
  EXPECT_THAT(weave_info(trusting, established), HasSubstr("unencrypted fastdp"));

  trusting.sealed->peers[0].clear = false;
  EXPECT_TRUE(is_encrypted(trusting, established));
  trusting.sealed.reset();  // --plaintext-data
  EXPECT_FALSE(is_encrypted(trusting, established));
}

// Its "retrying" was an attempt under way; who waits for the next one had "failed".
TEST(WeaveWordsOfConnections, CallFailedWhatWaitsForTheNextAttempt) {
  using enum router::ConnectionState;
  EXPECT_EQ(weave_state(Retrying), "failed");
  EXPECT_EQ(weave_state(Failed), "failed");
  EXPECT_EQ(weave_state(Connecting), "connecting");

  router::ConnectionStatus waiting;
  waiting.outbound = true;
  waiting.state = Retrying;
  waiting.reason = "connection refused; next attempt in 4 s";
  EXPECT_EQ(weave_info(status(), waiting), "connection refused; next attempt in 4 s");
}

TEST_F(WeaveApi, ReportsAsJsonOrByATemplate) {
  EXPECT_THAT(call("GET", "/report").body, HasSubstr("\"NickName\": \"host1\""));
  EXPECT_EQ(call("GET", "/report?format=%7B%7B.Router.Name%7D%7D").body, "7a:01:02:03:04:05");
  EXPECT_EQ(call("GET", "/report?format=%7B%7B").status, 400U);
  EXPECT_EQ(call("GET", "/report?format=a&format=b").status, 400U);
  EXPECT_EQ(call("GET", "/report?frmt=a").status, 400U);
  EXPECT_EQ(call("GET", "/report?format=%7B%7Blen+.Ready%7D%7D").status, 500U);
  EXPECT_EQ(call("GET", "/report?format=" + std::string(20000, 'x')).status, 400U);
}

TEST_F(WeaveApi, ReportsTheFieldsOfWeave) {
  const auto value_of = [this](const std::string& path) {
    return call("GET", "/report?format=%7B%7Bjson+" + path + "%7D%7D").body;
  };
  EXPECT_EQ(
      value_of(".VersionCheck"),
      R"({"Enabled":false,"Success":false,"NewVersion":"","NextCheckAt":"0001-01-01T00:00:00Z"})");
  EXPECT_EQ(value_of(".IPAM.Entries"),
            R"([{"Token":"10.32.0.0","Size":4096,"Peer":"8e:11:12:13:14:15","Nickname":"host2",)"
            R"("IsKnownPeer":true,"Version":7}])");
  EXPECT_EQ(value_of(".IPAM.Paxos"), R"({"Elector":true,"KnownNodes":1,"Quorum":2})");
  EXPECT_EQ(value_of(".IPAM.PendingAllocates"), R"(["c1 10.32.0.0/12"])");
  EXPECT_EQ(value_of(".IPAM.PendingClaims"), R"([{"Ident":"c2","CIDR":"10.32.0.9/12"}])");
  EXPECT_EQ(value_of("(index .Router.Connections 0).Attrs"),
            R"({"name":"fastdp","mtu":1376,"encrypted":true})");
}

TEST_F(WeaveApi, ConnectsToThePeersThatParse) {
  EXPECT_EQ(call("POST", "/connect?replace=true", "peer=h1&peer=h2%3A7000").status, 200U);
  EXPECT_EQ(connected_, (TargetsCall{.peers = {"h1", "h2:7000"}, .replace = true}));

  const auto response = call("POST", "/connect", "peer=h3&peer=h:x&peer=");
  EXPECT_EQ(response.status, 400U);
  EXPECT_EQ(std::count(response.body.begin(), response.body.end(), '\n'), 2);
  EXPECT_THAT(connected_.peers, ElementsAre("h3"));

  outcome_ = Error{Errc::Os, "disk full"};
  EXPECT_EQ(call("POST", "/forget", "peer=h1").body, "disk full\n");
}

TEST_F(WeaveApi, RefusesWhatIsNoCall) {
  EXPECT_EQ(call("GET", "/status/xyzzy").status, 404U);
  EXPECT_EQ(call("GET", "/").status, 404U);
  EXPECT_EQ(call("GET", "").status, 404U);
  EXPECT_EQ(call("POST", "/status").status, 405U);
  EXPECT_EQ(call("GET", "/connect").status, 405U);
  EXPECT_EQ(call("POST", "/connect", "peer=%zz").status, 400U);
  EXPECT_EQ(call("GET", "/proxyaddrs").status, 404U);
  EXPECT_EQ(call("GET", "/domain").status, 404U);  // DNS is off.
}

TEST_F(WeaveApi, ShowsNoMoreThanStatusAtTheReadOnlyPlace) {
  const auto ask = [](const std::string& method, const std::string& target) {
    return handle_status_only(
               {.id = {}, .method = method, .target = target, .body = {}},
               [] { return status(); },
               [] { return std::string("# a page\n"); })
        .status;
  };
  EXPECT_EQ(ask("GET", "/status"), 200U);
  EXPECT_EQ(ask("GET", "/report"), 200U);
  EXPECT_EQ(ask("GET", "/metrics"), 200U);
  for (const char* target : {"/ip", "/name", "/connect", "/peer", "/ring", "/expose/10.0.0.1/8"}) {
    EXPECT_EQ(ask("POST", target), 404U) << target;
  }
}

TEST_F(WeaveApi, IsNotForWebPages) {
  const auto is_refused = [](const std::string& host, const std::string& origin) {
    return refuse_browser(
               {.id = {}, .method = {}, .target = {}, .body = {}, .host = host, .origin = origin})
        .has_value();
  };
  for (const char* host :
       {"", "127.0.0.1:6784", "localhost", "127.8.0.1", "[::1]:6784", "localhost:6784"}) {
    EXPECT_FALSE(is_refused(host, "")) << host;
  }
  for (const char* host :
       {"evil.example", "127.0.0.1.evil.example", "10.0.0.1:6784", "[::2]", "localhost.evil"}) {
    EXPECT_TRUE(is_refused(host, "")) << host;
  }
  EXPECT_TRUE(is_refused("127.0.0.1:6784", "http://127.0.0.1:6784"));
}

TEST(OpenApi, HasTheCallsOfTheProgramAndNoOthers) {
  EXPECT_EQ(documented_calls(WEFT_DOCS_DIR "/openapi.yaml"), served_calls(weave_routes()));
}

// Each of them is a call of one of the parts.
TEST_F(WeaveApi, KnowsEveryRouteItNames) {
  for (const WeaveRoute& route : weave_routes()) {
    std::string target(route.path);
    for (const auto& [parameter, value] : {std::pair("{id}", "c1"),
                                           std::pair("{ip}", "10.32.0.0"),
                                           std::pair("{len}", "12"),
                                           std::pair("{name}", "host2")}) {
      if (const std::size_t at = target.find(parameter); at != std::string::npos) {
        target.replace(at, std::string(parameter).size(), value);
      }
    }
    if (is_ipam_path(target)) {
      EXPECT_TRUE(parse_ipam_call(route.method, target, Cidr::parse("10.32.0.0/12").value()).ok())
          << route.method << " " << route.path;
    } else if (!is_attach_path(target) && !is_dns_path(target)) {
      EXPECT_NE(call(std::string(route.method), target).status, 405U) << route.path;
    }
  }
}

}  // namespace
}  // namespace weft::agent
