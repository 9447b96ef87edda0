// The policy controller's flags, weave-npc's among them, and its metrics.
#include "agent/npc/npc.h"

#include <fstream>
#include <iterator>
#include <regex>
#include <set>

#include <gmock/gmock.h>

#include "agent/npc/npc_metrics.h"

namespace weft::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Result<NpcConfig> config_of(std::vector<std::string> words,
                            const std::map<std::string, std::string>& variables = {}) {
  const Environment environment = [&variables](const std::string& name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
  const auto settings = parse_settings(Command::Npc, npc_words(words), environment);
  if (!settings.ok()) {
    return settings.error();
  }
  return make_npc_config(settings.value(), environment);
}

const std::map<std::string, std::string> kPod{{"KUBERNETES_SERVICE_HOST", "10.96.0.1"},
                                              {"KUBERNETES_SERVICE_PORT", "443"},
                                              {"HOSTNAME", "n1"}};

TEST(Npc, InAPodTakesWhatKubernetesTellsPods) {
  const auto config = config_of({}, kPod);

  ASSERT_TRUE(config.ok()) << config.error().what;
  EXPECT_EQ(config.value().server.to_string(), "https://10.96.0.1:443");
  EXPECT_EQ(config.value().server.token_file,
            "/var/run/secrets/kubernetes.io/serviceaccount/token");
  EXPECT_EQ(config.value().server.authorities,
            "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt");
  EXPECT_EQ(config.value().metrics.to_string(), "0.0.0.0:6781");
  EXPECT_EQ(config.value().node, "n1");
  EXPECT_TRUE(config.value().allow_multicast);
  EXPECT_THAT(config.value().overlay_ports, ElementsAre("weft-vx", "weft-sp", "weft-tap"));
}

TEST(Npc, TakesTheFlagsOfWeavesController) {
  const auto config = config_of({"--metrics-addr=:7781",
                                 "--log-level=debug",
                                 "--allow-mcast=false",
                                 "--node-name",
                                 "n2",
                                 "--max-list-size=4096",
                                 "--bridge-port-name=vethwe-bridge"},
                                kPod);

  ASSERT_TRUE(config.ok()) << config.error().what;
  EXPECT_EQ(config.value().metrics.to_string(), "0.0.0.0:7781");
  EXPECT_EQ(config.value().log_level, "debug");
  EXPECT_FALSE(config.value().allow_multicast);
  EXPECT_EQ(config.value().node, "n2");
  EXPECT_EQ(config.value().overlay_ports.back(), "vethwe-bridge");
  EXPECT_TRUE(config_of({"--allow-mcast", "--metrics-addr", ":1"}, kPod).value().allow_multicast);
  EXPECT_FALSE(config_of({"--allow-mcast=perhaps"}, kPod).ok());
}

TEST(Npc, OutsideAPodWantsToKnowTheServer) {
  EXPECT_FALSE(config_of({}).ok());
  const auto config = config_of({"--api-server=https://[fd00::1]:6443/", "--token-file=/t"});
  ASSERT_TRUE(config.ok()) << config.error().what;
  EXPECT_EQ(config.value().server.host, "fd00::1");
  EXPECT_EQ(config.value().server.to_string(), "https://[fd00::1]:6443");
  EXPECT_EQ(config.value().server.token_file, "/t");
  EXPECT_EQ(config.value().server.authorities, "");
  EXPECT_EQ(config_of({"--api-server=http://localhost"}).value().server.port, "80");
  for (const std::string wrong :
       {"localhost:6443", "https://", "https://:1", "https://a:b", "https://a/b"}) {
    EXPECT_FALSE(config_of({"--api-server=" + wrong}).ok()) << wrong;
  }
}

std::set<std::string> names_in(const std::string& where, const char* pattern) {
  const std::regex expression(pattern);
  std::set<std::string> names;
  for (std::sregex_iterator at(where.begin(), where.end(), expression), end; at != end; ++at) {
    names.insert((*at)[1]);
  }
  return names;
}

TEST(NpcMetrics, AreThoseOfWeavesControllerAndOurOwnAndAllAreInTheDocumentation) {
  policy::BlockedCounts blocked;
  const Endpoint place{Ip::parse("10.0.0.1").value(), 80};
  blocked.count(TimePoint{}, {policy::BlockedConnection::Protocol::Tcp, place, place});
  NpcState state;
  state.applier.is_in_place = true;
  state.applier.is_hooked = true;
  state.problems = 2;
  const std::string text = npc_metrics(state, blocked);

  EXPECT_THAT(text,
              HasSubstr(R"(weavenpc_blocked_connections_total{dport="80",protocol="tcp"} 1)"));
  EXPECT_THAT(text, HasSubstr("weavenpc_policy_enforcement_errors 2"));
  EXPECT_THAT(text, HasSubstr("weftnpc_enforcing 1"));
  std::ifstream file(std::string(WEFT_DOCS_DIR) + "/METRICS.md");
  const std::string document((std::istreambuf_iterator<char>(file)),
                             std::istreambuf_iterator<char>());
  EXPECT_EQ(names_in(text, "# TYPE (\\w+) "), names_in(document, "\\| `(we(?:ave|ft)npc_\\w+)"));
}

}  // namespace
}  // namespace weft::agent
