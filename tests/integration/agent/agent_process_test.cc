// The real binary on virtual hosts: what operators and init systems rely on.
#include <chrono>
#include <set>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/agent/virtual_host.h"

namespace weft::agent {
namespace {

namespace json = boost::json;
using test::Outcome;
using test::VirtualHost;
using testing::HasSubstr;
using testing::Not;

// A host with an underlay, and without Docker.
class AgentProcess : public testing::Test {
 protected:
  AgentProcess() {
    host_.must({"ip", "link", "set", "lo", "up"});
    host_.must({"ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0-far"});
    host_.must({"ip", "address", "add", "192.0.2.1/24", "dev", "eth0"});
    host_.must({"ip", "link", "set", "eth0", "up"});
    host_.must({"ip", "link", "set", "eth0-far", "up"});
  }

  Outcome launch(std::vector<std::string> words = {}) {
    words.insert(words.begin(), {"launch", "--no-docker"});
    return host_.weft(words);
  }

  json::value self() const {
    const Outcome peers = host_.weft({"status", "peers", "--json"});
    EXPECT_EQ(peers.exit_code, 0) << peers.err;
    return json::parse(peers.out).at(0);
  }

  std::set<std::string> links() const {
    std::set<std::string> names;
    const json::value links = json::parse(host_.run({"ip", "-j", "link"}).out);
    for (const json::value& link : links.as_array()) {
      names.emplace(link.at("ifname").as_string());
    }
    return names;
  }

  VirtualHost host_{"host1"};
};

TEST_F(AgentProcess, LaunchesReportsAndStops) {
  const Outcome launched = launch();
  const Outcome status = host_.weft({"status"});
  const Outcome stopped = host_.weft({"stop"});
  const Outcome gone = host_.weft({"status"});

  EXPECT_EQ(launched.exit_code, 0) << launched.err;
  EXPECT_THAT(launched.out, HasSubstr("weft is ready"));
  EXPECT_EQ(status.exit_code, 0) << status.err;
  EXPECT_THAT(status.out, HasSubstr("(host1)"));
  EXPECT_THAT(status.out, HasSubstr("unauthenticated"));
  EXPECT_THAT(status.out, HasSubstr("Range: 10.32.0.0/12"));
  EXPECT_EQ(stopped.exit_code, 0) << stopped.err;
  EXPECT_EQ(gone.exit_code, 4);
  EXPECT_THAT(gone.err, HasSubstr("no agent is running"));
}

TEST_F(AgentProcess, IsRefusedTwice) {
  ASSERT_EQ(launch().exit_code, 0);

  const Outcome again = launch();
  const Outcome foreground = host_.weft({"agent", "--no-docker"});
  const Outcome same_state =
      host_.weft({"agent", "--no-docker", "--run-dir=/run/other", "--port=7000"});

  EXPECT_EQ(again.exit_code, 3);
  EXPECT_THAT(again.err, HasSubstr("running already"));
  EXPECT_EQ(foreground.exit_code, 3);
  EXPECT_EQ(same_state.exit_code, 3);
  EXPECT_THAT(same_state.err, HasSubstr("in use by another process"));
  EXPECT_EQ(host_.weft({"status"}).exit_code, 0);
}

TEST_F(AgentProcess, RefusesUnknownFlagsBeforeAnythingIsDone) {
  const auto before = links();

  const Outcome refused = launch({"--ipaloc-range=10.0.0.0/8"});

  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("did you mean --ipalloc-range?"));
  EXPECT_EQ(links(), before);
}

TEST_F(AgentProcess, RefusesARangeThatOverlapsARouteAndNamesIt) {
  host_.must({"ip", "route", "add", "10.40.0.0/16", "via", "192.0.2.254"});

  const Outcome refused = launch();
  const Outcome elsewhere = launch({"--ipalloc-range=10.48.0.0/12"});

  EXPECT_EQ(refused.exit_code, 1);  // Routes come and go.
  EXPECT_THAT(refused.err, HasSubstr("overlaps the route 10.40.0.0/16 (via 192.0.2.254 dev eth0)"));
  EXPECT_EQ(elsewhere.exit_code, 0) << elsewhere.err;
}

TEST_F(AgentProcess, EncryptsContainersTrafficWithAPasswordUnlessToldOtherwise) {
  host_.write_file("/run/password", "sesame");

  const Outcome encrypting = launch({"--password-file=/run/password"});
  const std::string encrypted = host_.weft({"status"}).out;
  host_.weft({"stop"});
  const Outcome clear = launch({"--password-file=/run/password", "--plaintext-data"});

  EXPECT_EQ(encrypting.exit_code, 0) << encrypting.err;
  EXPECT_THAT(encrypted, HasSubstr("Encryption: control: enabled; data: enabled"));
  EXPECT_THAT(encrypted, HasSubstr("aes-256-gcm"));
  EXPECT_EQ(clear.exit_code, 0) << clear.err;
  EXPECT_THAT(host_.weft({"status"}).out,
              HasSubstr("Encryption: control: enabled; data: disabled"));
}

TEST_F(AgentProcess, RefusesTrustedSubnetsWithoutAPassword) {
  const Outcome refused = launch({"--trusted-subnets=10.0.0.0/8"});

  EXPECT_EQ(refused.exit_code, 6);
  EXPECT_THAT(refused.err, HasSubstr("--password-file"));
}

TEST_F(AgentProcess, SaysWhyItDidNotStart) {
  const Outcome refused = launch({"--password-file=/run/none", "--plaintext-data"});

  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("password file /run/none"));
}

TEST_F(AgentProcess, KeepsItsNameAndRaisesItsIncarnationOverARestart) {
  ASSERT_EQ(launch().exit_code, 0);
  const json::value before = self();
  ASSERT_EQ(host_.weft({"stop"}).exit_code, 0);

  ASSERT_EQ(launch().exit_code, 0);
  const json::value after = self();

  EXPECT_EQ(after.at("name"), before.at("name"));
  EXPECT_EQ(after.at("incarnation").as_int64(), before.at("incarnation").as_int64() + 1);
}

TEST_F(AgentProcess, RemembersTargetsOverARestart) {
  ASSERT_EQ(launch({"192.0.2.7"}).exit_code, 0);
  ASSERT_EQ(host_.weft({"connect", "192.0.2.8", "host9:7000"}).exit_code, 0);
  ASSERT_EQ(host_.weft({"forget", "192.0.2.7"}).exit_code, 0);
  ASSERT_EQ(host_.weft({"stop"}).exit_code, 0);

  ASSERT_EQ(launch().exit_code, 0);

  EXPECT_EQ(host_.weft({"status", "targets"}).out, "192.0.2.8\nhost9:7000\n");
}

TEST_F(AgentProcess, ReplacesAllTargetsWhenTold) {
  ASSERT_EQ(launch({"192.0.2.7", "192.0.2.8"}).exit_code, 0);

  ASSERT_EQ(host_.weft({"connect", "--replace", "host9", "192.0.2.8:6783"}).exit_code, 0);

  EXPECT_EQ(host_.weft({"status", "targets"}).out, "192.0.2.8:6783\nhost9\n");
}

TEST_F(AgentProcess, ForgetsATargetHoweverItIsSpelt) {
  ASSERT_EQ(launch({"192.0.2.7"}).exit_code, 0);
  ASSERT_EQ(host_.weft({"forget", "192.0.2.7:6783"}).exit_code, 0);
  ASSERT_EQ(host_.weft({"stop"}).exit_code, 0);

  ASSERT_EQ(launch().exit_code, 0);

  EXPECT_EQ(host_.weft({"status", "targets"}).out, "");
}

TEST_F(AgentProcess, ResumesWithThePeersOfTheLastRun) {
  ASSERT_EQ(launch({"192.0.2.7"}).exit_code, 0);
  ASSERT_EQ(host_.weft({"connect", "192.0.2.8"}).exit_code, 0);
  ASSERT_EQ(host_.weft({"stop"}).exit_code, 0);

  const Outcome both = launch({"--resume", "192.0.2.9"});
  ASSERT_EQ(launch({"--resume"}).exit_code, 0);

  EXPECT_EQ(both.exit_code, 2);
  EXPECT_THAT(both.err, HasSubstr("--resume"));
  EXPECT_EQ(host_.weft({"status", "targets"}).out, "192.0.2.7\n192.0.2.8\n");
}

TEST_F(AgentProcess, KeepsWhatAnOperatorSaidWhenAServiceManagerStartsItAfterACrash) {
  ASSERT_EQ(launch({"192.0.2.7"}).exit_code, 0);
  ASSERT_EQ(host_.weft({"connect", "--replace", "192.0.2.8"}).exit_code, 0);
  host_.must({"sh", "-c", "kill -9 $(pidof weft); while pidof weft; do :; done"});

  host_.must({"sh",
              "-c",
              "\"$1\" agent --no-docker 192.0.2.7 >/run/log 2>&1 & "
              "for i in $(seq 500); do \"$1\" status targets > /run/targets 2>/dev/null && break; "
              "done",
              "sh",
              WEFT_BINARY});

  EXPECT_EQ(host_.read_file("/run/targets"), "192.0.2.8\n");
}

TEST_F(AgentProcess, TakesTheCommandLineAfterACrashWhenAnOperatorLaunchesIt) {
  ASSERT_EQ(launch({"192.0.2.7"}).exit_code, 0);
  host_.must({"sh", "-c", "kill -9 $(pidof weft); while pidof weft; do :; done"});

  ASSERT_EQ(launch({"192.0.2.9"}).exit_code, 0);

  EXPECT_EQ(host_.weft({"status", "targets"}).out, "192.0.2.9\n");
}

TEST_F(AgentProcess, ServesMetricsWhereToldAndNothingElseThere) {
  ASSERT_EQ(launch({"--metrics-addr=127.0.0.1:6782"}).exit_code, 0);

  const Outcome metrics = host_.run({"curl", "-s", "http://127.0.0.1:6782/metrics"});
  const Outcome status = host_.run(
      {"curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1:6782/status"});
  const Outcome local =
      host_.run({"curl", "-s", "--unix-socket", "/run/weft/weft.sock", "http://weft/metrics"});

  EXPECT_THAT(metrics.out, HasSubstr("weave_connection_terminations_total 0"));
  EXPECT_EQ(status.out, "404");
  EXPECT_THAT(local.out, HasSubstr("weft_info{version="));
}

TEST_F(AgentProcess, ReportsUnderTheNamesOfWeave) {
  ASSERT_EQ(launch({"192.0.2.7"}).exit_code, 0);

  const json::value report = json::parse(host_.weft({"report"}).out);

  EXPECT_EQ(report.at("Router").at("Targets"), (json::array{"192.0.2.7"}));
  EXPECT_EQ(report.at("Router").at("Name"), self().at("name"));
  EXPECT_EQ(report.at("IPAM").at("Range").as_string(), "10.32.0.0/12");
  EXPECT_EQ(report.at("Weft").at("router").at("port"), json::value(6783));
}

TEST_F(AgentProcess, RefusesToConnectToNonsense) {
  ASSERT_EQ(launch().exit_code, 0);

  const Outcome refused = host_.weft({"connect", "host:port"});

  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("expected HOST or HOST:PORT"));
  EXPECT_EQ(host_.weft({"status", "targets"}).out, "");
}

TEST_F(AgentProcess, LeavesTheKernelForwardingWhenItStops) {
  ASSERT_EQ(launch().exit_code, 0);
  const auto running = links();

  ASSERT_EQ(host_.weft({"stop"}).exit_code, 0);

  EXPECT_TRUE(running.contains("weft"));
  EXPECT_TRUE(links().contains("weft"));
}

TEST_F(AgentProcess, EndsInOrderOnSigterm) {
  const Outcome outcome =
      host_.run({"sh",
                 "-c",
                 "\"$1\" agent --no-docker & pid=$!; "
                 "for i in $(seq 500); do \"$1\" status > /run/status 2>/dev/null && break; "
                 "kill -0 $pid || break; done; "
                 "kill -TERM $pid; wait $pid",
                 "sh",
                 WEFT_BINARY});

  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("ended; containers' traffic goes on"));
  EXPECT_THAT(host_.run({"test", "-e", "/run/weft/weft.sock"}).exit_code, 1);
}

TEST_F(AgentProcess, StartsAgainAfterItWasKilled) {
  ASSERT_EQ(launch().exit_code, 0);
  const json::value ready = self();
  const Outcome pid = host_.run({"sh", "-c", "kill -9 $(pidof weft)"});
  ASSERT_EQ(pid.exit_code, 0);

  const Outcome again = launch();

  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(self().at("name"), ready.at("name"));
}

TEST_F(AgentProcess, ResetRemovesWhatItMadeAndNothingElse) {
  host_.must({"ip", "link", "add", "other0", "type", "bridge"});
  host_.write_file("/run/keep", "mine");
  const auto before = links();
  ASSERT_EQ(launch({"--bridge=weft7"}).exit_code, 0);
  ASSERT_TRUE(links().contains("weft7"));

  const Outcome reset = host_.weft({"reset"});

  EXPECT_EQ(reset.exit_code, 0) << reset.err;
  EXPECT_EQ(links(), before);
  EXPECT_EQ(host_.weft({"status"}).exit_code, 4);
  EXPECT_NE(host_.run({"test", "-e", "/var/lib/weft"}).exit_code, 0);
  EXPECT_NE(host_.run({"test", "-e", "/run/weft"}).exit_code, 0);
  EXPECT_THAT(host_.run({"tc", "qdisc", "show", "dev", "eth0"}).out, Not(HasSubstr("weft")));
  EXPECT_EQ(host_.read_file("/run/keep"), "mine");
}

TEST_F(AgentProcess, ResetOfACleanHostIsFine) {
  EXPECT_EQ(host_.weft({"reset"}).exit_code, 0);
}

TEST_F(AgentProcess, NeedsRoot) {
  ASSERT_EQ(launch().exit_code, 0);
  const std::vector<std::string> as_nobody{
      "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", WEFT_BINARY};
  std::vector<std::string> launch_words = as_nobody;
  launch_words.emplace_back("launch");
  std::vector<std::string> status_words = as_nobody;
  status_words.emplace_back("status");

  const Outcome launched = host_.run(launch_words);
  const Outcome status = host_.run(status_words);

  EXPECT_EQ(launched.exit_code, 5);
  EXPECT_THAT(launched.err, HasSubstr("must be run as root"));
  EXPECT_EQ(status.exit_code, 5) << status.err;
}

// Two hosts ------------------------------------------------------------------------------------

bool wait_for(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) {
      return false;
    }
  }
  return true;
}

bool is_established(const VirtualHost& host) {
  return host.weft({"status", "connections"}).out.find("established") != std::string::npos;
}

TEST(TwoAgents, ConnectKnowingOneAnother) {
  VirtualHost left("left");
  VirtualHost right("right");
  test::join(left, "192.0.2.1/24", right, "192.0.2.2/24");

  ASSERT_EQ(left.weft({"launch", "--no-docker"}).exit_code, 0);
  const Outcome launched = right.weft({"launch", "--no-docker", "192.0.2.1"});

  ASSERT_EQ(launched.exit_code, 0) << launched.err;
  EXPECT_TRUE(wait_for([&] { return is_established(left) && is_established(right); }))
      << right.weft({"status", "connections"}).out << right.read_file("/var/log/weft.log");
  EXPECT_THAT(left.weft({"status", "peers"}).out, HasSubstr("(right)"));
}

TEST(TwoAgents, FindOneAnotherAgainWithoutTargets) {
  VirtualHost left("left");
  VirtualHost right("right");
  test::join(left, "192.0.2.1/24", right, "192.0.2.2/24");
  ASSERT_EQ(left.weft({"launch", "--no-docker"}).exit_code, 0);
  ASSERT_EQ(right.weft({"launch", "--no-docker", "192.0.2.1"}).exit_code, 0);
  ASSERT_TRUE(wait_for([&] { return is_established(left) && is_established(right); }));
  ASSERT_EQ(right.weft({"forget", "192.0.2.1"}).exit_code, 0);
  ASSERT_EQ(left.weft({"stop"}).exit_code, 0);
  ASSERT_EQ(right.weft({"stop"}).exit_code, 0);

  ASSERT_EQ(right.weft({"launch", "--no-docker"}).exit_code, 0);
  ASSERT_EQ(left.weft({"launch", "--no-docker"}).exit_code, 0);

  EXPECT_TRUE(wait_for([&] { return is_established(left) && is_established(right); }));
  EXPECT_EQ(left.weft({"status", "targets"}).out, "");
}

TEST(TwoAgents, DoNotConnectWithDifferentPasswords) {
  VirtualHost left("left");
  VirtualHost right("right");
  test::join(left, "192.0.2.1/24", right, "192.0.2.2/24");
  left.write_file("/run/password", "sesame");
  right.write_file("/run/password", "open");
  const std::vector<std::string> flags{
      "launch", "--no-docker", "--plaintext-data", "--password-file=/run/password"};
  std::vector<std::string> joining = flags;
  joining.emplace_back("192.0.2.1");

  ASSERT_EQ(left.weft(flags).exit_code, 0);
  ASSERT_EQ(right.weft(joining).exit_code, 0);

  EXPECT_TRUE(wait_for([&] {
    const std::string text = right.weft({"status", "connections"}).out;
    return text.find("retrying") != std::string::npos || text.find("failed") != std::string::npos;
  })) << right.weft({"status", "connections"}).out;
  EXPECT_FALSE(is_established(left));
}

}  // namespace
}  // namespace weft::agent
