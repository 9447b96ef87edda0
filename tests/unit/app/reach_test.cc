#include "app/reach/reach.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/app/cluster.h"

namespace weft::app {
namespace {

namespace json = boost::json;

using testing::HasSubstr;

class ReachTest : public testing::Test {
 protected:
  Result<json::object> ask(const std::string& from, const std::string& to) const {
    const Edges edges = resolve_edges(report_);
    return reach_json({{"from", from}, {"to", to}}, {report_, edges}, [](PeerName) { return 0; });
  }
  std::string summary(const std::string& from, const std::string& to) const {
    return std::string(ask(from, to).value().at("summary").as_string());
  }
  template <class Change>
  void change(PeerName name, Change change) {
    probe::HostReport host = *report_.find(name);
    ++host.sequence;
    change(host);
    report_.merge(host);
  }
  void add_path(PeerName from, probe::PathFacts path) {
    change(from, [&](probe::HostReport& host) { host.overlay.paths = {std::move(path)}; });
  }

  probe::Report report_ = cluster();
};

const probe::PathFacts kSealed{
    .peer = kHost2, .way = "sealed", .via = {}, .encrypted = true, .rtt_us = 420, .mtu = 1500};

// WEFT_GOLDEN_UPDATE=1 writes what is answered; look at the difference before you commit it.
TEST_F(ReachTest, TellsConnectionsAddressesProcessesAndPathsAsBefore) {
  const std::string path = WEFT_GOLDEN "/reach.json";
  add_path(kHost1, kSealed);

  const std::string answer = json::serialize(ask("web", "db").value()) + "\n";

  if (std::getenv("WEFT_GOLDEN_UPDATE") != nullptr) {
    std::ofstream(path) << answer;
  }
  std::ifstream file(path);
  std::ostringstream golden;
  golden << file.rdbuf();
  EXPECT_EQ(answer, golden.str());
}

TEST_F(ReachTest, AnswersTheSameWhicheverWayANodeIsNamed) {
  const json::object expected = ask("web", "db").value();

  for (const std::string& name :
       {kWeb + ";<container>", kWeb, kWeb.substr(0, 12), std::string("10.32.0.1")}) {
    EXPECT_EQ(ask(name, "db").value(), expected) << name;
  }
  const json::value host = ask("h1", "h2").value().at("from").at("id");
  for (const std::string& name :
       {kHost1.to_string() + ";<host>", kHost1.to_string(), std::string("h1.example.org")}) {
    EXPECT_EQ(ask(name, "h2").value().at("from").at("id"), host) << name;
  }
  const json::value process = ask("webd", "dbd").value().at("from").at("id");
  EXPECT_EQ(process, json::value(kHost1.to_string() + ";100"));
  EXPECT_EQ(ask(kHost1.to_string() + ";100", "dbd").value().at("from").at("id"), process);
}

TEST_F(ReachTest, FindsTheSameConnectionsBetweenProcessesContainersAndHosts) {
  for (const auto& [from, to] : {std::pair("webd", "dbd"), {"web", "db"}, {"h1", "h2"}}) {
    const json::object answer = ask(from, to).value();
    ASSERT_EQ(answer.at("connections").as_array().size(), 1U) << from;
    EXPECT_EQ(answer.at("connections").at(0).at("direction"), "forth");
    const json::object back = ask(to, from).value();
    ASSERT_EQ(back.at("connections").as_array().size(), 1U) << from;
    EXPECT_EQ(back.at("connections").at(0).at("direction"), "back");
  }
}

TEST_F(ReachTest, SaysByWhichWayFramesGoAndWhetherEncrypted) {
  add_path(kHost1, kSealed);
  EXPECT_THAT(summary("web", "db"),
              HasSubstr("from h1.example.org to h2.example.org go sealed, encrypted."));
  EXPECT_EQ(ask("web", "db").value().at("connections").at(0).at("encrypted"), true);

  probe::PathFacts relayed = kSealed;
  relayed.way = "relay";
  relayed.via = kHost2;
  relayed.lost = true;
  add_path(kHost1, relayed);
  EXPECT_THAT(summary("web", "db"),
              HasSubstr("go relayed by h2.example.org, encrypted, and nothing answers."));

  add_path(kHost1, {.peer = kHost2, .way = "clear", .via = {}});
  EXPECT_EQ(ask("web", "db").value().at("connections").at(0).at("encrypted"), false);
}

TEST_F(ReachTest, SaysWhereNoPathIsKnown) {
  const json::object answer = ask("web", "db").value();

  EXPECT_THAT(summary("web", "db"),
              HasSubstr("No path of the overlay from h1.example.org to h2.example.org is known."));
  EXPECT_TRUE(answer.at("paths").as_array().empty());
  EXPECT_TRUE(answer.at("connections").at(0).at("encrypted").is_null());
}

TEST_F(ReachTest, DoesNotCallAConnectionEncryptedThatGoesPastTheOverlay) {
  add_path(kHost2, {.peer = kHost1, .way = "sealed", .via = {}, .encrypted = true});
  change(kHost2, [](probe::HostReport& host) {
    host.flows.clear();
    host.flows[flow(probe::Direction::Outbound, kDb, 100, "172.17.0.2", "192.0.2.1", 8080)] = {
        .count = 1};
  });

  const json::object answer = ask("db", "web").value();

  ASSERT_EQ(answer.at("connections").as_array().size(), 2U);
  for (const json::value& connection : answer.at("connections").as_array()) {
    const bool is_published = connection.at("port") == "8080/tcp";
    EXPECT_EQ(connection.at("carrier"), is_published ? "underlay" : "overlay");
    EXPECT_EQ(connection.at("encrypted"), is_published ? json::value(false) : json::value());
  }
  EXPECT_THAT(summary("db", "web"), HasSubstr("past the overlay"));
}

TEST_F(ReachTest, SaysThatNothingLeavesAHostThatHasBoth) {
  change(kHost1, [](probe::HostReport& host) {
    add_container(host, std::string(64, 'c'), "cache", "redis:7", "10.32.0.2");
  });

  EXPECT_EQ(summary("web", "cache"),
            "web and cache have not talked while they were looked at. Both are on h1.example.org: "
            "nothing leaves it.");
  EXPECT_EQ(ask("web", "cache").value().at("same_host"), true);
}

TEST_F(ReachTest, RefusesWhatIsMissingOrNobodysNameAndRepeatsNothingOfIt) {
  EXPECT_EQ(ask("", "db").error().code, Errc::Invalid);
  EXPECT_EQ(reach_json({}, {report_, {}}, [](PeerName) { return 0; }).error().code, Errc::Invalid);
  for (const std::string& name : {std::string("nobody"),
                                  std::string(";"),
                                  std::string(";<container>"),
                                  kHost1.to_string() + ";99999999999999999999",
                                  kHost1.to_string() + ";-1",
                                  std::string("<script>\xff\0", 10),
                                  std::string(4000, 'x')}) {
    const auto answer = ask("web", name);
    ASSERT_FALSE(answer.ok()) << name;
    EXPECT_EQ(answer.error().code, Errc::NotFound) << name;
    EXPECT_EQ(answer.error().what, "to: no host, container or process has this name or address");
  }
}

TEST_F(ReachTest, NamesAFewOfThoseThatShareAName) {
  change(kHost2, [](probe::HostReport& host) {
    for (int i = 0; i < 20; ++i) {
      add_container(host, fmt::format("{:064x}", i + 1), "twin", "nginx", "10.40.1.1");
    }
  });

  for (const char* name : {"twin", "10.40.1.1", "twind"}) {
    const auto answer = ask(name, "db");
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().code, Errc::Conflict);
    EXPECT_THAT(answer.error().what, HasSubstr("from: 20 nodes have this name: twin"));
    EXPECT_THAT(answer.error().what, HasSubstr("on h2.example.org ("));
    EXPECT_THAT(answer.error().what, HasSubstr(", and 10 more"));
  }
}

TEST_F(ReachTest, MeansTheContainerThatRunsWhereAStoppedOneHasItsName) {
  change(kHost2, [](probe::HostReport& host) {
    add_container(host, std::string(64, 'c'), "web", "nginx", "10.40.1.1");
    host.containers.back().state = probe::ContainerState::Exited;
  });

  EXPECT_EQ(ask("web", "db").value().at("from").at("id"), json::value(kWeb + ";<container>"));
}

TEST_F(ReachTest, CountsTheConnectionsThatAreTooManyToTell) {
  change(kHost1, [](probe::HostReport& host) {
    for (std::uint16_t port = 1; port <= 300; ++port) {
      host.flows[flow(probe::Direction::Outbound, kWeb, 100, "10.32.0.1", "10.40.0.1", port)] = {
          .count = 1, .sent = port};
    }
  });

  const json::object answer = ask("web", "db").value();

  EXPECT_EQ(answer.at("connections").as_array().size(), 256U);
  EXPECT_EQ(answer.at("connections_left_out"), 45);
  EXPECT_EQ(answer.at("connections").at(0).at("port"), "300/tcp");
}

}  // namespace
}  // namespace weft::app
