#include "plugin/docker_events.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::plugin {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

const std::string kWeb(64, 'a');
const std::string kDb(64, 'b');

Ip ip(const char* text) {
  return Ip::parse(text).value();
}

std::string inspected(const std::string& id, const std::string& name, bool running = true) {
  return fmt::format(
      R"({{"Id":"{0}","Name":"/{1}","State":{{"Running":{2}}},"Config":{{"Hostname":"{3}",)"
      R"("Domainname":""}},"NetworkSettings":{{"Networks":{{"weft-net":{{"EndpointID":"ours",)"
      R"("IPAddress":"10.32.0.1","GlobalIPv6Address":"","Aliases":["shop","{3}"]}},)"
      R"("bridge":{{"EndpointID":"theirs","IPAddress":"172.17.0.2"}}}}}}}})",
      id,
      name,
      running,
      id.substr(0, 12));
}

std::string event(const std::string& action, const std::string& id) {
  return fmt::format(R"({{"Type":"container","Action":"{}","Actor":{{"ID":"{}"}}}})", action, id)
         + "\n";
}

// A dockerd that holds what each test puts there.
class DockerEventsTest : public testing::Test {
 protected:
  DockerEventsTest() {
    events_.on_deadline(now_, out_);
    EXPECT_THAT(out_, SizeIs(1));
    out_.clear();
  }

  void open() {
    events_.on_stream_open(now_, out_);
    settle();
  }
  void tell(const std::string& bytes) {
    events_.on_stream_bytes(now_, bytes, out_);
    settle();
  }
  // Answers everything that is asked, and keeps what is said of names.
  void settle() {
    while (!out_.empty()) {
      for (EventsAction& action : std::exchange(out_, {})) {
        if (const auto* ask = std::get_if<AskDocker>(&action)) {
          answer(*ask);
        } else if (auto* names = std::get_if<ContainerNames>(&action)) {
          said_.push_back(std::move(*names));
        }
      }
      events_.check_invariants();
    }
  }
  void answer(const AskDocker& ask) {
    if (ask.target == "/containers/json") {
      std::string list;
      for (const auto& [id, name] : running_) {
        list += fmt::format(R"({}{{"Id":"{}"}})", list.empty() ? "" : ",", id);
      }
      events_.on_answer(now_, ask.id, 200, "[" + list + "]", out_);
      return;
    }
    const std::string id = ask.target.substr(std::string("/containers/").size(), 64);
    const auto known = running_.find(id);
    if (known == running_.end()) {
      events_.on_answer(now_, ask.id, 404, "{}", out_);
    } else {
      events_.on_answer(now_, ask.id, 200, inspected(id, known->second), out_);
    }
  }
  std::vector<ContainerNames> take_said() { return std::exchange(said_, {}); }

  static ContainerNames names(const std::string& id, const std::string& name) {
    ContainerNames said{.container = id, .entries = {}};
    said.entries = {{name, ip("10.32.0.1")}, {"shop", ip("10.32.0.1")}};
    std::sort(said.entries.begin(), said.entries.end());
    return said;
  }
  static ContainerNames gone(const std::string& id) {
    return {.container = id, .entries = {}, .running = false};
  }

  TimePoint now_{Duration(1)};
  DockerEvents events_{{.is_ours = [](const std::string& endpoint) { return endpoint == "ours"; }}};
  EventsActions out_;
  std::map<std::string, std::string> running_;
  std::vector<ContainerNames> said_;
};

// As dockerd 26.1.5 said it (what is not read is left out): the short id is no alias of Docker's
// there.
TEST(DockerInspect, OfEngine26HasTheNamesOfItsContainer) {
  const auto names = parse_inspect(
      R"({"Id":"9377947aced361e0d818cac1166928120f2f28486c83bd724f574f63f10b91e9",)"
      R"("State":{"Status":"running","Running":true,"Pid":222},"Name":"/c1",)"
      R"("Config":{"Hostname":"9377947aced3","Domainname":""},)"
      R"("NetworkSettings":{"SandboxKey":"/run/docker/netns/d5803eed76f3","EndpointID":"",)"
      R"("IPAddress":"","Networks":{"n1":{"IPAMConfig":null,"Links":null,"Aliases":["web"],)"
      R"("MacAddress":"02:57:0a:20:00:02","NetworkID":"2be7d3b71fb725f9d885ec81c0a2c8033b57044c15401de6e3565ebdaa8cc560",)"
      R"("EndpointID":"ours","Gateway":"10.32.0.1","IPAddress":"10.32.0.2","IPPrefixLen":13,)"
      R"("IPv6Gateway":"","GlobalIPv6Address":"","GlobalIPv6PrefixLen":0,"DriverOpts":null,)"
      R"("DNSNames":["c1","web","9377947aced3"]}}}})",
      {.is_ours = [](const std::string& endpoint) { return endpoint == "ours"; }});

  ASSERT_TRUE(names.has_value());
  EXPECT_THAT(names->entries,
              ElementsAre(ContainerNames::Entry{"c1", ip("10.32.0.2")},
                          ContainerNames::Entry{"web", ip("10.32.0.2")}));
}

TEST_F(DockerEventsTest, TellTheNamesOfWhatRunsAlready) {
  running_ = {{kWeb, "web"}, {kDb, "db"}};
  open();
  EXPECT_THAT(take_said(), ElementsAre(names(kWeb, "web"), names(kDb, "db")));
}

TEST_F(DockerEventsTest, FollowAContainerThroughItsLife) {
  open();
  running_ = {{kWeb, "web"}};
  tell(event("start", kWeb));
  EXPECT_THAT(take_said(), ElementsAre(names(kWeb, "web")));
  running_[kWeb] = "front";
  tell(event("rename", kWeb));
  EXPECT_THAT(take_said(), ElementsAre(names(kWeb, "front")));
  tell(event("rename", kWeb));
  EXPECT_THAT(take_said(), IsEmpty());
  running_.clear();
  tell(event("die", kWeb));
  EXPECT_THAT(take_said(), ElementsAre(gone(kWeb)));
  EXPECT_FALSE(events_.may_run(kWeb));
}

TEST_F(DockerEventsTest, FollowNetworksJoinedAndLeft) {
  running_ = {{kWeb, "web"}};
  open();
  (void)take_said();
  running_[kWeb] = "other";
  tell(fmt::format(R"({{"Type":"network","Action":"connect","Actor":{{"ID":"n","Attributes":)"
                   R"({{"container":"{}"}}}}}})",
                   kWeb)
       + "\n");
  EXPECT_THAT(take_said(), ElementsAre(names(kWeb, "other")));
}

TEST_F(DockerEventsTest, MayArriveInPieces) {
  open();
  running_ = {{kWeb, "web"}, {kDb, "db"}};
  const std::string both = event("start", kWeb) + event("start", kDb);
  for (const char c : both) {
    tell(std::string(1, c));
  }
  EXPECT_THAT(take_said(), SizeIs(2));
}

TEST_F(DockerEventsTest, MakeUpForWhatWasMissedWhileTheStreamWasDown) {
  running_ = {{kWeb, "web"}};
  open();
  (void)take_said();
  events_.on_stream_end(now_, out_);
  EXPECT_FALSE(events_.is_watching());
  EXPECT_TRUE(events_.may_run(kDb));
  EXPECT_THAT(take_said(), IsEmpty());  // What was known stays.

  running_ = {{kDb, "db"}};
  now_ = events_.next_deadline();
  events_.on_deadline(now_, out_);
  ASSERT_THAT(out_, SizeIs(1));
  EXPECT_TRUE(std::holds_alternative<OpenStream>(out_.front()));
  out_.clear();
  open();
  EXPECT_THAT(take_said(), ElementsAre(gone(kWeb), names(kDb, "db")));
}

TEST_F(DockerEventsTest, AreCheckedAgainstAListNowAndThen) {
  running_ = {{kWeb, "web"}};
  open();
  (void)take_said();
  running_.clear();  // And no event.
  now_ = events_.next_deadline();
  events_.on_deadline(now_, out_);
  settle();
  EXPECT_THAT(take_said(), ElementsAre(gone(kWeb)));
}

// Its names may be remembered from before a restart, and dockerd still have listed it.
TEST_F(DockerEventsTest, TellTheEndOfWhatNobodyWasToldOf) {
  running_ = {{kWeb, "web"}};
  events_.on_stream_open(now_, out_);
  const auto list = std::get<AskDocker>(out_.front());
  out_.clear();
  answer(list);
  EXPECT_TRUE(events_.has_listed());
  EXPECT_TRUE(events_.may_run(kWeb));
  running_.clear();

  settle();

  EXPECT_THAT(take_said(), ElementsAre(gone(kWeb)));
  EXPECT_FALSE(events_.may_run(kWeb));
}

TEST_F(DockerEventsTest, TellOnceThatSomethingUnknownHasDied) {
  open();
  tell(event("die", kWeb));
  EXPECT_THAT(take_said(), ElementsAre(gone(kWeb)));
}

TEST_F(DockerEventsTest, TellThatAContainerIsRemoved) {
  open();
  running_ = {{kWeb, "web"}};
  tell(event("start", kWeb));
  take_said();
  running_.clear();
  tell(event("die", kWeb));
  EXPECT_THAT(take_said(), ElementsAre(gone(kWeb)));
  tell(event("destroy", kWeb));
  ContainerNames removed = gone(kWeb);
  removed.removed = true;
  EXPECT_THAT(take_said(), ElementsAre(removed));
  EXPECT_FALSE(events_.may_run(kWeb));
}

TEST_F(DockerEventsTest, OutrunAnAnswerThatIsUnderWay) {
  open();
  running_ = {{kWeb, "web"}};
  events_.on_stream_bytes(now_, event("start", kWeb), out_);
  const auto ask = std::get<AskDocker>(out_.front());
  out_.clear();
  events_.on_stream_bytes(now_, event("die", kWeb), out_);
  EXPECT_THAT(out_, ElementsAre(EventsAction(gone(kWeb))));
  out_.clear();
  running_.clear();

  events_.on_answer(now_, ask.id, 200, inspected(kWeb, "web"), out_);
  settle();

  EXPECT_THAT(take_said(), IsEmpty());
}

TEST_F(DockerEventsTest, SurviveWhatMakesNoSense) {
  open();
  tell("{\n[]\nnull\n\n" + event("start", "../../x"));
  tell(std::string(3U << 20U, 'x'));
  EXPECT_GT(events_.stats().malformed, 3U);
  EXPECT_EQ(events_.stats().over_limit, 1U);
  EXPECT_EQ(events_.next_deadline(), now_);
  running_ = {{kWeb, "web"}};
  events_.on_stream_bytes(now_, "\n" + event("start", kWeb), out_);
  for (const EventsAction& action : std::exchange(out_, {})) {
    events_.on_answer(now_, std::get<AskDocker>(action).id, 200, "nonsense", out_);
  }
  EXPECT_THAT(out_, IsEmpty());
  events_.check_invariants();
}

TEST(DockerInspect, CallsATaskByTheNameOfItsService) {
  const auto names = parse_inspect(
      R"({"Id":"x","Name":"/web.1.abc","State":{"Running":true},"Config":{"Hostname":"x","Domainname":"",)"
      R"("Labels":{"com.docker.swarm.service.name":"web"}},"NetworkSettings":{"Networks":{"app":{)"
      R"("EndpointID":"ours","IPAddress":"10.77.0.2","GlobalIPv6Address":"","Aliases":["x"]}}}})",
      {.is_ours = [](const std::string&) { return true; }});

  ASSERT_TRUE(names);
  EXPECT_THAT(names->entries,
              ElementsAre(ContainerNames::Entry{"web", ip("10.77.0.2")},
                          ContainerNames::Entry{"web.1.abc", ip("10.77.0.2")}));
}

TEST(DockerInspect, TakesHostNamesWithADotAsWhole) {
  const DockerEvents::Options options{.is_ours = [](const std::string&) { return true; }};
  const auto said = parse_inspect(
      R"({"Id":"x","Name":"/web","State":{"Running":true},"Config":{"Hostname":"www",)"
      R"("Domainname":"weft.local"},"NetworkSettings":{"Networks":{"n":{"EndpointID":"e",)"
      R"("IPAddress":"10.32.0.1","GlobalIPv6Address":"fd00::1","Aliases":null}}}})",
      options);
  ASSERT_TRUE(said.has_value());
  EXPECT_THAT(said->entries,
              ElementsAre(ContainerNames::Entry{"web", ip("10.32.0.1")},
                          ContainerNames::Entry{"web", ip("fd00::1")},
                          ContainerNames::Entry{"www.weft.local.", ip("10.32.0.1")},
                          ContainerNames::Entry{"www.weft.local.", ip("fd00::1")}));
  EXPECT_EQ(parse_inspect("{}", options), std::nullopt);
}

TEST(DefaultBridge, IsWhatTheEngineSays) {
  EXPECT_EQ(parse_default_bridge(
                R"({"Name":"bridge","Options":{"com.docker.network.bridge.name":"own0"}})"),
            "own0");
  for (const char* const nothing : {"",
                                    "[]",
                                    "{}",
                                    R"({"Options":{}})",
                                    R"({"Options":{"com.docker.network.bridge.name":7}})"}) {
    EXPECT_EQ(parse_default_bridge(nothing), std::nullopt) << nothing;
  }
}

}  // namespace
}  // namespace weft::plugin
