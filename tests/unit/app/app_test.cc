#include "app/app.h"

#include <algorithm>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "probe/report/codec.h"
#include "tests/unit/app/cluster.h"

namespace weft::app {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""ns;
namespace json = boost::json;

constexpr TimePoint kStart(1000s);

class AppTest : public testing::Test {
 protected:
  template <class Action>
  std::vector<Action> take() {
    std::vector<Action> taken;
    AppActions rest;
    for (AppAction& action : out_) {
      if (auto* wanted = std::get_if<Action>(&action)) {
        taken.push_back(std::move(*wanted));
      } else {
        rest.push_back(std::move(action));
      }
    }
    out_ = std::move(rest);
    return taken;
  }

  void tell_peers() { app_.on_peers(now_, {{kHost1, "h1", true}, {kHost2, "h2", true}}, out_); }

  void report(PeerName from) {
    app_.on_report(now_, from, probe::encode_report(*cluster_.find(from)), out_);
  }

  // A second later, the same but newer.
  void report_again(PeerName from) {
    probe::HostReport newer = *cluster_.find(from);
    ++newer.sequence;
    cluster_.merge(newer);
    report(from);
  }

  void let_host2_fall_silent() {
    for (int second = 0; second < 8; ++second) {
      report_again(kHost1);
      pass(1s);
      tell_peers();
    }
  }

  void warm_up() {
    app_.on_request(now_, RequestId(999), "/api", out_);
    tell_peers();
    report(kHost1);
    report(kHost2);
    out_.clear();
  }

  Respond ask(const std::string& target) {
    app_.on_request(now_, RequestId(7), target, out_);
    const auto answers = take<Respond>();
    EXPECT_THAT(answers, SizeIs(1));
    return answers.empty() ? Respond{} : answers.front();
  }

  void pass(Duration duration) {
    for (const TimePoint end = now_ + duration; now_ < end;) {
      now_ = std::min(end, std::max(now_ + 1ns, app_.next_deadline()));
      app_.on_deadline(now_, out_);
      app_.check_invariants();
    }
  }

  TimePoint now_ = kStart;
  probe::Report cluster_ = cluster();
  App app_{{.self = kHost1, .version = "0.1.0", .hostname = "h1"}};
  AppActions out_;
};

TEST_F(AppTest, AsksNobodyWhileNobodyLooks) {
  EXPECT_EQ(app_.next_deadline(), kNever);
  app_.on_deadline(now_, out_);
  tell_peers();
  EXPECT_THAT(out_, IsEmpty());
}

TEST_F(AppTest, AnswersTheFirstRequestWhenAllHostsHaveAnswered) {
  app_.on_request(now_, RequestId(1), "/api/topology/hosts", out_);
  EXPECT_THAT(take<AskPeers>(), SizeIs(1));
  tell_peers();
  EXPECT_THAT(take<SendWatch>(), SizeIs(2));
  report(kHost1);
  EXPECT_THAT(take<Respond>(), IsEmpty());

  report(kHost2);

  const auto answers = take<Respond>();
  ASSERT_THAT(answers, SizeIs(1));
  EXPECT_EQ(answers.front().status, 200U);
  const json::value nodes = json::parse(answers.front().body).at("nodes");
  EXPECT_TRUE(nodes.as_object().contains(host_id(kHost1)));
  EXPECT_TRUE(nodes.as_object().contains(host_id(kHost2)));
}

TEST_F(AppTest, DoesNotWaitForAHostThatDoesNotAnswer) {
  app_.on_request(now_, RequestId(1), "/api", out_);
  tell_peers();
  report(kHost1);

  pass(2s);

  const auto answers = take<Respond>();
  ASSERT_THAT(answers, SizeIs(1));
  EXPECT_THAT(answers.front().body, HasSubstr("\"age\":null"));
}

TEST_F(AppTest, StopsAskingSomeTimeAfterTheLastRequest) {
  warm_up();
  pass(20s);

  EXPECT_FALSE(app_.is_looking());
  EXPECT_EQ(app_.next_deadline(), kNever);
  const auto watches = take<SendWatch>();
  ASSERT_THAT(watches, testing::Not(IsEmpty()));
  const auto last = std::get<probe::Watch>(probe::decode_message(watches.back().message).value());
  EXPECT_EQ(last.lease, 0s);
}

TEST_F(AppTest, AnswersAsScopeDoes) {
  warm_up();
  EXPECT_EQ(json::parse(ask("/api").body).at("version"), "0.1.0");
  const json::value menu = json::parse(ask("/api/topology").body);
  ASSERT_TRUE(menu.is_array());
  EXPECT_EQ(menu.at(1).at("name"), "Containers");
  EXPECT_EQ(menu.at(1).at("url"), "/api/topology/containers");
  EXPECT_EQ(menu.at(1).at("stats").at("nonpseudo_node_count"), 2);
  EXPECT_EQ(menu.at(1).at("sub_topologies").as_array().size(), 3U);
  const json::value containers = json::parse(ask("/api/topology/containers").body);
  const json::value& web = containers.at("nodes").at(kWeb + ";<container>");
  EXPECT_EQ(web.at("label"), "web");
  EXPECT_EQ(web.at("adjacency").at(0).as_string(), kDb + ";<container>");
  EXPECT_EQ(web.at("edges").at(kDb + ";<container>").at("ports").at(0), "5432/tcp");
}

TEST_F(AppTest, DescribesANodeWithItsConnectionsChildrenAndParents) {
  warm_up();

  const json::value node =
      json::parse(ask("/api/topology/containers/" + kDb + "%3B%3Ccontainer%3E").body).at("node");

  EXPECT_EQ(node.at("label"), "db");
  EXPECT_EQ(node.at("connections").at(0).at("connections").at(0).at("label"), "web");
  EXPECT_EQ(node.at("children").at(0).at("nodes").at(0).at("label"), "dbd");
  EXPECT_EQ(node.at("parents").at(1).at("topologyId"), "hosts");
}

TEST_F(AppTest, TellsHowOneNodeReachesAnother) {
  warm_up();

  const Respond answer = ask("/api/reach?from=web&to=10.40.0.1");

  EXPECT_EQ(answer.status, 200U);
  EXPECT_EQ(json::parse(answer.body).at("to").at("label"), "db");
  EXPECT_EQ(ask("/api/reach?from=web").status, 400U);
  EXPECT_EQ(ask("/api/reach?from=web&to=nobody").status, 404U);
  EXPECT_EQ(ask("/api/reach?from=172.17.0.1&to=web").status, 400U);  // Of both hosts.
  EXPECT_EQ(app_.stats().requests_refused, 3U);
}

TEST_F(AppTest, RefusesWhatDoesNotExist) {
  warm_up();
  EXPECT_EQ(ask("/api/nonsense").status, 404U);
  EXPECT_EQ(ask("/api/topology/nonsense").status, 404U);
  EXPECT_EQ(ask("/api/topology/hosts/nobody").status, 404U);
  EXPECT_EQ(ask("/api/topology/hosts/a/b").status, 404U);
  EXPECT_EQ(ask("/api/%").status, 400U);
  EXPECT_EQ(app_.stats().requests_refused, 5U);
}

TEST_F(AppTest, FillsInTheOptionsThatAQueryDoesNotName) {
  probe::HostReport host = *cluster_.find(kHost1);
  host.containers[0].state = probe::ContainerState::Exited;
  ++host.sequence;
  cluster_.merge(host);
  warm_up();

  EXPECT_THAT(ask("/api/topology/containers").body, HasSubstr("\"label\":\"web\""));
  EXPECT_THAT(ask("/api/topology/containers?t=1s").body,
              testing::Not(HasSubstr("\"label\":\"web\"")));
  EXPECT_THAT(ask("/api/topology/containers?stopped=both").body, HasSubstr("\"label\":\"web\""));
  EXPECT_THAT(ask("/api/topology/containers?stopped=nonsense").body,
              HasSubstr("\"label\":\"web\""));
}

TEST_F(AppTest, StreamsWhatChangesToAllClientsAlike) {
  warm_up();
  ASSERT_TRUE(app_.on_client(now_, ClientId(1), "/api/topology/hosts/ws?t=5s", out_).ok());
  ASSERT_TRUE(app_.on_client(now_, ClientId(2), "/api/topology/hosts/ws?t=5s", out_).ok());
  for (const SendFrame& first : take<SendFrame>()) {
    EXPECT_THAT(*first.frame, HasSubstr("\"reset\":true"));
  }
  probe::HostReport host = *cluster_.find(kHost1);
  host.host.load1 = 7;
  ++host.sequence;
  cluster_.merge(host);

  report(kHost1);
  pass(300ms);

  const auto frames = take<SendFrame>();
  ASSERT_THAT(frames, SizeIs(2));
  EXPECT_EQ(frames[0].frame, frames[1].frame) << "rendered once, shared";
  EXPECT_THAT(*frames[0].frame, HasSubstr("\"add\":null,\"update\":["));
}

TEST_F(AppTest, SendsASignOfLifeWhileNothingChanges) {
  warm_up();
  ASSERT_TRUE(app_.on_client(now_, ClientId(1), "/api/topology/weave/ws", out_).ok());
  (void)take<SendFrame>();
  for (int second = 0; second < 12; ++second) {
    report_again(kHost1);
    report_again(kHost2);
    pass(1s);
  }

  const auto frames = take<SendFrame>();

  ASSERT_THAT(frames, SizeIs(testing::AllOf(testing::Ge(1U), testing::Le(3U))));
  EXPECT_EQ(*frames.front().frame, R"({"add":null,"update":null,"remove":null})");
}

TEST_F(AppTest, ShowsHowOldTheDataOfASilentHostIs) {
  warm_up();
  ASSERT_TRUE(app_.on_client(now_, ClientId(1), "/api/topology/hosts/ws", out_).ok());
  (void)take<SendFrame>();
  let_host2_fall_silent();

  std::string all;
  for (const SendFrame& frame : take<SendFrame>()) {
    all += *frame.frame;
  }

  EXPECT_THAT(all, HasSubstr("\"stale\":5"));
}

TEST_F(AppTest, ShowsNoAgeOfAHostThatIsHeardOfAgainWithNothingNew) {
  warm_up();
  ASSERT_TRUE(app_.on_client(now_, ClientId(1), "/api/topology/hosts/ws", out_).ok());
  let_host2_fall_silent();
  (void)take<SendFrame>();

  report_again(kHost2);
  pass(1s);

  std::string all;
  for (const SendFrame& frame : take<SendFrame>()) {
    all += *frame.frame;
  }
  EXPECT_THAT(all, HasSubstr("\"label\":\"h2\""));
  EXPECT_THAT(all, Not(HasSubstr("\"stale\"")));
}

TEST_F(AppTest, StreamsOfOneViewDifferByTheirOptionsAlone) {
  warm_up();
  const std::string target = "/api/topology/processes/ws?unconnected=";
  ASSERT_TRUE(app_.on_client(now_, ClientId(1), target + "hide", out_).ok());
  ASSERT_TRUE(app_.on_client(now_, ClientId(2), target + "show", out_).ok());
  ASSERT_TRUE(app_.on_client(now_, ClientId(3), "/api/topology/hosts/ws", out_).ok());
  (void)take<SendFrame>();
  for (int turn = 1; turn <= 2; ++turn) {
    probe::HostReport host = *cluster_.find(kHost1);
    ++host.sequence;
    host.host.load1 = turn;
    for (probe::ProcessFacts& process : host.processes) {
      process.usage.cpu_percent = 30 + turn;
    }
    cluster_.merge(host);

    report(kHost1);
    pass(300ms);

    const auto frames = take<SendFrame>();
    ASSERT_THAT(frames, SizeIs(3)) << turn;
    for (const SendFrame& frame : frames) {
      EXPECT_THAT(*frame.frame, HasSubstr("\"add\":null,\"update\":[")) << turn;
    }
  }
}

TEST_F(AppTest, ForgetsAHostThatLeftTheMeshAMinuteAgo) {
  warm_up();
  ASSERT_TRUE(app_.on_client(now_, ClientId(1), "/api/topology/hosts/ws", out_).ok());
  for (int second = 0; second < 65; ++second) {
    report_again(kHost1);
    pass(1s);
    app_.on_peers(now_, {{kHost1, "h1", true}, {kHost2, "h2", false}}, out_);
  }
  (void)take<SendFrame>();

  const json::value nodes = json::parse(ask("/api/topology/hosts").body).at("nodes");
  EXPECT_TRUE(nodes.as_object().contains(host_id(kHost1)));
  EXPECT_FALSE(nodes.as_object().contains(host_id(kHost2)));
}

TEST_F(AppTest, RefusesReportsInAnothersName) {
  warm_up();

  app_.on_report(now_, kHost2, probe::encode_report(*cluster_.find(kHost1)), out_);
  app_.on_report(now_, kHost2, to_bytes("nonsense"), out_);

  EXPECT_EQ(app_.stats().reports_refused, 2U);
}

TEST_F(AppTest, RefusesStreamsThatDoNotExistAndClientsTooMany) {
  App small({.self = kHost1, .version = "", .hostname = "", .clients_max = 1});

  EXPECT_EQ(small.on_client(now_, ClientId(1), "/api/topology/nonsense/ws", out_).error().code,
            Errc::NotFound);
  EXPECT_EQ(small.on_client(now_, ClientId(1), "/api/topology/hosts", out_).error().code,
            Errc::NotFound);
  EXPECT_EQ(small.on_client(now_, ClientId(1), "/%", out_).error().code, Errc::Invalid);
  EXPECT_TRUE(small.on_client(now_, ClientId(1), "/api/topology/hosts/ws", out_).ok());
  EXPECT_EQ(small.on_client(now_, ClientId(2), "/api/topology/hosts/ws", out_).error().code,
            Errc::Exhausted);
  EXPECT_EQ(small.stats().clients_refused, 4U);
  small.check_invariants();
}

TEST_F(AppTest, AsksLessOftenWhenHostsHaveMuchToSay) {
  App busy({.self = kHost1, .version = "", .hostname = "", .intake_bytes_max = 100});
  busy.on_request(now_, RequestId(1), "/api", out_);
  busy.on_peers(now_, {{kHost1, "h1", true}}, out_);
  busy.on_report(now_, kHost1, probe::encode_report(*cluster_.find(kHost1)), out_);
  out_.clear();

  busy.on_peers(now_, {{kHost1, "h1", true}}, out_);

  const auto watch =
      std::get<probe::Watch>(probe::decode_message(take<SendWatch>().front().message).value());
  EXPECT_GT(watch.interval, 1s);
}

}  // namespace
}  // namespace weft::app
