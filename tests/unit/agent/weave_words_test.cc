// Weave's command lines, as scripts have them, in the words of weft.
#include <map>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "agent/cli/weave/words.h"
#include "agent/config.h"

namespace weft::agent {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

class WeaveWords : public ::testing::Test {
 protected:
  Result<WeaveLaunch> launch(const std::vector<std::string>& words) {
    return translate_launch(words, [this](const std::string& name) {
      const auto found = environment_.find(name);
      return found == environment_.end() ? std::nullopt : std::optional(found->second);
    });
  }

  std::map<std::string, std::string> environment_;
};

TEST_F(WeaveWords, HaveWeavesDefaults) {
  const auto words = launch({"h1", "h2:6000"}).value().words;

  for (const char* word : {"--dns-domain=weave.local.",
                           "--bridge=weave",
                           "--status-addr=127.0.0.1:6782",
                           "h1",
                           "h2:6000"}) {
    EXPECT_THAT(words, Contains(word));
  }
  const auto settings =
      parse_settings(Command::Launch, words, [](const std::string&) { return std::nullopt; });
  ASSERT_TRUE(settings.ok()) << settings.error().what;
  EXPECT_EQ(settings.value().text("http-addr"), "127.0.0.1:6784");
  EXPECT_EQ(make_config(settings.value(), "h1").value().default_subnet.to_string(), "10.32.0.0/12");
}

TEST_F(WeaveWords, TakeFlagsInEitherSpelling) {
  const auto words = launch({"--ipalloc-range",
                             "10.2.0.0/16",
                             "--ipalloc-default-subnet=10.2.1.0/24",
                             "--nickname=a b",
                             "--no-dns",
                             "--no-fastdp",
                             "--iprange=10.3.0.0/16"})
                         .value()
                         .words;

  for (const char* word : {"--ipalloc-range=10.2.0.0/16",
                           "--ipalloc-default-subnet=10.2.1.0/24",
                           "--nickname=a b",
                           "--no-dns=true",
                           "--no-bpf=true",
                           "--ipalloc-range=10.3.0.0/16"}) {
    EXPECT_THAT(words, Contains(word));
  }
}

TEST_F(WeaveWords, PassEveryFlagOnThatScriptsDependOn) {
  const std::vector<std::pair<std::string, std::string>> flags{
      {"--host=198.18.0.1", "--host=198.18.0.1"},
      {"--port=7000", "--port=7000"},
      {"--resume", "--resume=true"},
      {"--trusted-subnets=10.0.0.0/8", "--trusted-subnets=10.0.0.0/8"},
      {"--conn-limit=30", "--conn-limit=30"},
      {"--no-discovery", "--no-discovery=true"},
      {"--weave-bridge=br0", "--bridge=br0"},
      {"--mtu=1400", "--mtu=1400"},
      {"--http-addr=127.0.0.1:7784", "--http-addr=127.0.0.1:7784"},
      {"--status-addr=", "--status-addr=off"},
      {"--status-addr=:6782", "--status-addr=0.0.0.0:6782"},
      {"--metrics-addr=", "--metrics-addr=off"},
      {"--metrics-addr=0.0.0.0:6782", "--metrics-addr=0.0.0.0:6782"},
      {"--ipalloc-init=observer", "--ipalloc-init=observer"},
      {"--docker-api=unix:///run/other.sock", "--docker-socket=/run/other.sock"},
      {"--docker-api=", "--no-docker=true"},
      {"--docker-api=tcp://127.0.0.1:2376", "--docker-tcp=127.0.0.1:2376"},
      {"--docker-api=tcp://localhost", "--docker-tcp=127.0.0.1:2375"},
      {"--docker-api=tcp://[::1]:2375", "--docker-tcp=[::1]:2375"},
      {"--ipalloc-range=", "--ipalloc-range=off"},
      {"--iprange=", "--ipalloc-range=off"},
      {"--plugin=false", "--no-docker-plugin=true"},
      {"--dns-listen-address=10.0.0.1:53", "--dns-listen-address=10.0.0.1:53"},
      {"--dns-ttl=3", "--dns-ttl=3"},
      {"--dns-fallback-timeout=2s", "--dns-fallback-timeout=2s"},
      {"--resolv-conf=/etc/other.conf", "--resolv-conf=/etc/other.conf"},
      {"--log-level=debug", "--log-level=debug"}};

  for (const auto& [weave, weft] : flags) {
    const auto words = launch({weave});
    ASSERT_TRUE(words.ok()) << weave;
    EXPECT_THAT(words.value().words, Contains(weft));
    const auto settings = parse_settings(
        Command::Launch, words.value().words, [](const std::string&) { return std::nullopt; });
    EXPECT_TRUE(settings.ok()) << weave << ": " << settings.error().what;
  }
}

TEST_F(WeaveWords, LeaveOutWhatWeftHasNot) {
  const auto words =
      launch({"--no-restart", "--bufsz", "8", "--rewrite-inspect", "h1"}).value().words;

  EXPECT_THAT(words, Contains("h1"));
  EXPECT_THAT(words, Not(Contains(HasSubstr("restart"))));
  EXPECT_THAT(words, Not(Contains("--keep-running")));
  EXPECT_THAT(launch({}).value().words, Contains("--keep-running"));
  EXPECT_THAT(words, Not(Contains(HasSubstr("bufsz"))));
  EXPECT_THAT(words, Not(Contains("8")));
  EXPECT_THAT(words, Not(Contains(HasSubstr("inspect"))));
}

TEST_F(WeaveWords, LaunchTheDockerProxyWhereWeaveHadIt) {
  EXPECT_THAT(launch({}).value().words, Contains("--docker-proxy=/var/run/weave/weave.sock"));
  EXPECT_THAT(launch({"-H", "unix:///run/a.sock", "-H=tcp://127.0.0.1:12375"}).value().words,
              Contains("--docker-proxy=unix:///run/a.sock,tcp://127.0.0.1:12375"));
  for (const char* off : {"--proxy=false", "--docker-api="}) {
    EXPECT_THAT(launch({off}).value().words, Not(Contains(HasSubstr("docker-proxy")))) << off;
  }
  EXPECT_THAT(launch({"--plugin=false"}).value().words, Contains(HasSubstr("docker-proxy")));
}

TEST_F(WeaveWords, AskClientsOfTheProxyForCertificates) {
  const auto words = launch({"--tlsverify",
                             "--tlscacert=/a/ca.pem",
                             "--tlscert=/a/cert.pem",
                             "--tlskey",
                             "/a/key.pem",
                             "-H=tcp://0.0.0.0:12375"})
                         .value()
                         .words;
  EXPECT_THAT(words, Contains("--proxy-client-ca=/a/ca.pem"));
  EXPECT_THAT(words, Contains("--proxy-cert=/a/cert.pem"));
  EXPECT_THAT(words, Contains("--proxy-key=/a/key.pem"));
  const auto none = [](const std::string& /*name*/) { return std::nullopt; };
  EXPECT_TRUE(make_config(parse_settings(Command::Launch, words, none).value(), "h1").ok());

  EXPECT_FALSE(launch({"--tls"}).ok());
  EXPECT_FALSE(launch({"--tlsverify"}).ok());
  EXPECT_TRUE(launch({"--tlsverify", "--proxy=false"}).ok());
  EXPECT_THAT(launch({"--tlscacert=/a/ca.pem"}).value().words, Not(Contains(HasSubstr("ca.pem"))));
}

TEST_F(WeaveWords, SayWhereAProxyAtAllAddressesIs) {
  const auto all = [](const std::string& proxy, const std::string& docker) {
    return reachable_address("tcp://0.0.0.0:12375", proxy, docker);
  };
  EXPECT_EQ(all("", ""), "tcp://127.0.0.1:12375");
  EXPECT_EQ(all("", "unix:///run/docker.sock"), "tcp://127.0.0.1:12375");
  EXPECT_EQ(all("", "tcp://192.0.2.1:2376"), "tcp://192.0.2.1:12375");
  EXPECT_EQ(all("h1", "tcp://192.0.2.1:2376"), "tcp://h1:12375");
  EXPECT_EQ(reachable_address("tcp://[::]:1", "", ""), "tcp://127.0.0.1:1");
  for (const char* place :
       {"tcp://127.0.0.2:1", "unix:///run/a.sock", "", "tcp://", "tcp://0.0.0.0"}) {
    EXPECT_EQ(reachable_address(place, "h", ""), place);
  }
}

TEST_F(WeaveWords, TakeARangeThatSomebodyChoseThoughItOverlaps) {
  EXPECT_THAT(launch({"--ipalloc-range=10.0.0.0/16"}).value().words,
              Contains("--range-may-overlap=true"));
  EXPECT_THAT(launch({}).value().words, Not(Contains(HasSubstr("overlap"))));
}

TEST_F(WeaveWords, SayWhatTheProxyDoes) {
  const auto words = launch({"--hostname-from-label=host",
                             "--hostname-match",
                             "web-(.*)",
                             "--hostname-replacement=$1",
                             "--no-default-ipalloc",
                             "--no-rewrite-hosts",
                             "--without-dns",
                             "--no-multicast-route"})
                         .value()
                         .words;

  for (const char* word : {"--proxy-hostname-from-label=host",
                           "--proxy-hostname-match=web-(.*)",
                           "--proxy-hostname-replacement=$1",
                           "--proxy-no-default-ipalloc=true",
                           "--proxy-no-rewrite-hosts=true",
                           "--proxy-without-dns=true",
                           "--proxy-no-multicast-route=true"}) {
    EXPECT_THAT(words, Contains(word));
  }
}

TEST_F(WeaveWords, KeepThePasswordOutOfTheCommandLine) {
  environment_["WEAVE_PASSWORD"] = "from the environment";
  EXPECT_EQ(launch({}).value().password, "from the environment");

  const auto launched = launch({"--password", "of the flag"}).value();
  EXPECT_EQ(launched.password, "of the flag");
  EXPECT_THAT(launched.words, Not(Contains(HasSubstr("of the flag"))));
}

TEST_F(WeaveWords, SpeakTlsWithTheEngineAsDockersCommandLineIsTold) {
  environment_ = {{"DOCKER_TLS_VERIFY", "1"}, {"HOME", "/h"}};
  EXPECT_THAT(launch({"--docker-api=tcp://localhost"}).value().words,
              AllOf(Contains("--docker-tcp=127.0.0.1:2376"),
                    Contains("--docker-tls-ca=/h/.docker/ca.pem"),
                    Contains("--docker-tls-name=localhost")));
  environment_["DOCKER_CERT_PATH"] = "/certs";
  const auto words = launch({"--docker-api=tcp://192.0.2.1:2376"}).value().words;
  EXPECT_THAT(words,
              AllOf(Contains("--docker-tls-ca=/certs/ca.pem"),
                    Contains("--docker-tls-cert=/certs/cert.pem"),
                    Contains("--docker-tls-key=/certs/key.pem"),
                    Not(Contains(HasSubstr("--docker-tls-name")))));
  EXPECT_THAT(launch({"--docker-api=unix:///run/other.sock"}).value().words,
              Not(Contains(HasSubstr("--docker-tls"))));
  environment_["DOCKER_TLS_VERIFY"] = "";
  EXPECT_THAT(launch({"--docker-api=tcp://192.0.2.1:2375"}).value().words,
              Not(Contains(HasSubstr("--docker-tls"))));
}

TEST_F(WeaveWords, ReadTheEnvironmentBeforeFlags) {
  environment_ = {{"WEAVE_PORT", "7000"},
                  {"WEAVE_MTU", "1400"},
                  {"WEAVE_NO_FASTDP", "1"},
                  {"DOCKER_BRIDGE", "br7"}};

  const auto words = launch({"--port=7001"}).value().words;

  EXPECT_THAT(words, Contains("--mtu=1400"));
  EXPECT_THAT(words, Contains("--docker-bridge=br7"));
  EXPECT_THAT(words, Contains("--no-bpf=true"));
  EXPECT_LT(std::find(words.begin(), words.end(), "--port=7000"),
            std::find(words.begin(), words.end(), "--port=7001"));
}

TEST_F(WeaveWords, SayWhereTheStateIsAndAskForTheName) {
  const auto words = launch({"--db-prefix", "/weavedb/weave", "--print-peer-name"}).value().words;

  EXPECT_THAT(words, Contains("--db-prefix=/weavedb/weave"));
  EXPECT_THAT(words, Contains("--print-peer-name=true"));
}

TEST_F(WeaveWords, FindTheHostFromInsideAContainer) {
  const auto words = launch({"--host-root=/outer", "--proc-path", "/outer-proc"}).value().words;
  environment_["HOST_ROOT"] = "/host";

  EXPECT_THAT(words, Contains("--host-root=/outer"));
  EXPECT_THAT(words, Contains("--proc-path=/outer-proc"));
  EXPECT_THAT(words, Contains("--docker-swarm-socket=/outer/run/docker/plugins/weave.sock"));
  EXPECT_THAT(launch({}).value().words,
              Contains("--docker-plugin-socket=/host/run/docker/plugins/weavemesh.sock"));
}

TEST_F(WeaveWords, LeaveWhoMayTalkToAPolicyController) {
  EXPECT_THAT(launch({"--expect-npc"}).value().words, Contains("--expect-npc=true"));
}

TEST_F(WeaveWords, LetClientsKeepTheirAddress) {
  EXPECT_THAT(launch({"--no-masq-local"}).value().words, Contains("--no-masq-local=true"));
}

TEST_F(WeaveWords, NameDockersSocketsAsWeaveDid) {
  const auto words = launch({"--plugin-socket=/run/a.sock", "--plugin-mesh-socket", "/run/b.sock"});

  EXPECT_THAT(words.value().words,
              Contains("--docker-swarm-socket=/run/docker/plugins/weave.sock"));
  EXPECT_THAT(words.value().words,
              Contains("--docker-plugin-socket=/run/docker/plugins/weavemesh.sock"));
  EXPECT_THAT(words.value().words, Contains("--docker-swarm-socket=/run/a.sock"));
  EXPECT_THAT(words.value().words, Contains("--docker-plugin-socket=/run/b.sock"));
}

TEST_F(WeaveWords, SwitchTheDockerPluginOff) {
  EXPECT_THAT(launch({"--plugin=false"}).value().words, Contains("--no-docker-plugin=true"));
  EXPECT_THAT(launch({"--docker-api="}).value().words, Contains("--no-docker=true"));
  EXPECT_THAT(launch({"--docker-api=unix:///x/docker.sock"}).value().words,
              Contains("--docker-socket=/x/docker.sock"));
  EXPECT_THAT(launch({"--plugin"}).value().words, Not(Contains("--no-docker=true")));
}

TEST_F(WeaveWords, RefuseWhatWouldChangeTheCluster) {
  for (const char* word : {"--awsvpc",
                           "--xyzzy",
                           "--name",
                           "--docker-api=tcp://x",
                           "--docker-api=ssh://x",
                           "--docker-api=x"}) {
    EXPECT_FALSE(launch({word}).ok()) << word;
  }
}

TEST_F(WeaveWords, ExpandShortPeerNames) {
  EXPECT_EQ(expand_peer_name("::1"), "00:00:00:00:00:01");
  EXPECT_EQ(expand_peer_name("::a:1"), "00:00:00:00:0a:01");
  EXPECT_EQ(expand_peer_name("7a:01:02:03:04:05"), "7a:01:02:03:04:05");
  EXPECT_THAT(launch({"--name", "::3", "--ipalloc-init=seed=::1,::2"}).value().words,
              Contains("--ipalloc-init=seed=00:00:00:00:00:01,00:00:00:00:00:02"));
}

TEST(WeaveExitCodes, AreThoseOfTheScript) {
  EXPECT_EQ(weave_exit_code(0), 0);
  EXPECT_EQ(weave_exit_code(2), 1);
  EXPECT_EQ(weave_exit_code(3), 3);
  EXPECT_EQ(weave_exit_code(4), 1);
}

}  // namespace
}  // namespace weft::agent
