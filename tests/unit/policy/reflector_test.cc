#include "policy/reflector.h"

#include <chrono>

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace weft::policy {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr TimePoint kStart{};

std::string space(const std::string& name) {
  return fmt::format(R"({{"metadata":{{"name":"{}","resourceVersion":"20"}}}})", name);
}
std::string list(const std::string& items, const std::string& rest = "") {
  return fmt::format(R"({{"metadata":{{"resourceVersion":"10"{}}},"items":[{}]}})", rest, items);
}
std::string event(const std::string& type, const std::string& object) {
  return fmt::format("{{\"type\":\"{}\",\"object\":{}}}\n", type, object);
}

// A server whose answers the test gives.
class ReflectorTest : public ::testing::Test {
 protected:
  explicit ReflectorTest(Reflector::Options options = {.kind = Kind::Namespaces})
      : reflector_(options) {
    turn();
  }

  // What the driver does after each input.
  void turn() {
    reflector_.on_deadline(now_, out_);
    for (ReflectorAction& action : std::exchange(out_, {})) {
      if (auto* const request = std::get_if<StartRequest>(&action)) {
        targets_.push_back(request->target);
      } else if (auto* const set = std::get_if<SetObject>(&action)) {
        log_.push_back("set " + id_of(set->object).name);
      } else if (auto* const gone = std::get_if<RemoveObject>(&action)) {
        log_.push_back("remove " + gone->id.name);
      } else if (std::holds_alternative<Listed>(action)) {
        log_.emplace_back("listed");
      } else {
        log_.push_back("problem");
      }
    }
    reflector_.check_invariants();
  }
  void head(unsigned status) {
    reflector_.on_head(now_, status, out_);
    turn();
  }
  void bytes(std::string_view text) {
    reflector_.on_bytes(now_, text, out_);
    turn();
  }
  void end(bool complete) {
    reflector_.on_end(now_, complete, out_);
    turn();
  }
  void answer(const std::string& body) {
    head(200);
    bytes(body);
    end(true);
  }
  void pass(Duration time) {
    now_ += time;
    turn();
  }
  std::vector<std::string> take_log() { return std::exchange(log_, {}); }

  TimePoint now_ = kStart;
  Reflector reflector_;
  ReflectorActions out_;
  std::vector<std::string> targets_;
  std::vector<std::string> log_;
};

TEST_F(ReflectorTest, ListsThenWatchesFromThere) {
  EXPECT_EQ(targets_.back(), "/api/v1/namespaces?limit=500");

  answer(list(space("a") + "," + space("b")));

  EXPECT_THAT(take_log(), ElementsAre("set a", "set b", "listed"));
  EXPECT_THAT(
      targets_.back(),
      StartsWith("/api/v1/namespaces?watch=1&allowWatchBookmarks=true&resourceVersion=10&"));
  head(200);
  bytes(event("ADDED", space("c")) + event("DELETED", space("a")));
  EXPECT_THAT(take_log(), ElementsAre("set c", "remove a"));
  EXPECT_TRUE(reflector_.is_watching());
}

TEST_F(ReflectorTest, GoesOnFromWhatItSawLastWhenAWatchEnds) {
  answer(list(""));
  head(200);
  bytes(event("ADDED", space("c")));
  bytes(R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"31"}}})");
  bytes("\n");
  bytes(R"({"type":"ADDED","object":{"metadata":{"na)");  // Half a line was not said.
  (void)take_log();

  end(true);
  pass(2s);

  EXPECT_THAT(targets_.back(), HasSubstr("resourceVersion=31&"));
  EXPECT_THAT(take_log(), IsEmpty());
  head(200);
  bytes(event("ADDED", space("d")));
  EXPECT_THAT(take_log(), ElementsAre("set d"));
}

TEST_F(ReflectorTest, ListsAgainWhatTheServerHasForgottenAndRemovesWhatIsGone) {
  answer(list(space("a") + "," + space("b")));
  head(200);
  (void)take_log();

  bytes(event("ERROR", R"({"kind":"Status","code":410})"));
  EXPECT_EQ(targets_.back(), "/api/v1/namespaces?limit=500");
  answer(list(space("b") + "," + space("c")));

  EXPECT_THAT(take_log(), ElementsAre("set b", "set c", "remove a", "listed"));
}

TEST_F(ReflectorTest, ListsAgainWhenAWatchIsRefusedAsTooOld) {
  answer(list(space("a")));
  (void)take_log();

  head(410);
  pass(2s);

  EXPECT_EQ(targets_.back(), "/api/v1/namespaces?limit=500");
  EXPECT_THAT(take_log(), ElementsAre("problem"));
}

TEST_F(ReflectorTest, ReadsPagesAndBeginsAnewWhenOneIsMissing) {
  answer(list(space("a"), R"(,"continue":"x/+=")"));
  EXPECT_EQ(targets_.back(), "/api/v1/namespaces?limit=500&continue=x%2F%2B%3D");
  EXPECT_FALSE(reflector_.is_listed());

  head(410);
  pass(2s);
  EXPECT_EQ(targets_.back(), "/api/v1/namespaces?limit=500");
  answer(list(space("b")));

  EXPECT_THAT(take_log(), ElementsAre("set a", "problem", "set b", "remove a", "listed"));
}

// What the first pages said was not all: a watch from there would never tell of the rest.
TEST_F(ReflectorTest, ListsAgainFromTheBeginningWhenAPageDoesNotCome) {
  answer(list(space("a"), R"(,"continue":"x")"));
  end(false);
  pass(2s);
  EXPECT_EQ(targets_.back(), "/api/v1/namespaces?limit=500");

  answer(list(space("a"), R"(,"continue":"x")"));
  head(500);
  pass(4s);
  EXPECT_EQ(targets_.back(), "/api/v1/namespaces?limit=500");
  EXPECT_FALSE(reflector_.is_listed());
}

TEST_F(ReflectorTest, DoesNotListAllTheTimeWhereEveryWatchHasExpired) {
  std::size_t asked = targets_.size();
  for (int i = 0; i < 100; ++i) {
    answer(list(space("a")));
    head(200);
    bytes(event("ERROR", R"({"kind":"Status","code":410})"));
    pass(100ms);
  }
  EXPECT_LE(targets_.size() - asked, 14U);
}

TEST_F(ReflectorTest, WaitsLongerAfterEachFailureAndNeverForEver) {
  std::size_t asked = targets_.size();
  for (const Duration most : {2s, 4s, 8s, 16s, 32s, 60s, 60s}) {
    end(false);
    EXPECT_EQ(targets_.size(), asked);
    EXPECT_LE(reflector_.next_deadline() - now_, most);
    EXPECT_GE(reflector_.next_deadline() - now_, most / 2 - 1s);
    pass(most);
    EXPECT_EQ(targets_.size(), ++asked);
  }
  EXPECT_EQ(reflector_.stats().failures, 7U);
}

TEST_F(ReflectorTest, TakesNoAnswerButTheOneItAskedFor) {
  head(401);
  bytes(list(space("a")));
  end(true);
  EXPECT_THAT(take_log(), ElementsAre("problem"));

  pass(2s);
  answer("{]");
  EXPECT_THAT(take_log(), ElementsAre("problem"));
  pass(4s);
  head(200);
  bytes(list(space("a")));
  end(false);  // Cut off.
  EXPECT_THAT(take_log(), ElementsAre("problem"));
}

TEST_F(ReflectorTest, ListsAgainAfterAnEventItCannotRead) {
  answer(list(space("a")));
  head(200);
  (void)take_log();

  bytes("{\"type\":\"ADDED\"}\n");
  pass(2s);

  EXPECT_EQ(targets_.back(), "/api/v1/namespaces?limit=500");
  EXPECT_THAT(take_log(), ElementsAre("problem"));
}

class SmallReflectorTest : public ReflectorTest {
 protected:
  SmallReflectorTest()
      : ReflectorTest({.kind = Kind::Namespaces,
                       .page_bytes_max = 200,
                       .line_bytes_max = 100,
                       .objects_max = 2}) {}
};

TEST_F(SmallReflectorTest, KeepsItsLimits) {
  head(200);
  bytes(std::string(201, ' '));
  EXPECT_THAT(take_log(), ElementsAre("problem"));
  pass(2s);
  answer(list(""));
  head(200);
  for (const std::string name : {"a", "b", "c"}) {
    bytes(event("ADDED", space(name)));
  }
  EXPECT_THAT(take_log(), ElementsAre("listed", "set a", "set b", "problem"));
  bytes(std::string(101, ' '));
  EXPECT_THAT(take_log(), ElementsAre("problem"));
}

TEST_F(SmallReflectorTest, KeepsWhatItKnowsWhereAListHasMoreThanItHasRoomFor) {
  answer(list(R"({"metadata":{"name":"b"}},{"metadata":{"name":"c"}})"));
  head(410);
  pass(2s);
  (void)take_log();

  answer(list(R"({"metadata":{"name":"a"}},{"metadata":{"name":"b"}},{"metadata":{"name":"c"}})"));

  EXPECT_THAT(take_log(), ElementsAre("set b", "set c", "problem", "listed"));
}

}  // namespace
}  // namespace weft::policy
