#include "control/requester.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "tests/unit/control/actions.h"

namespace weft::control {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using std::chrono_literals::operator""s;

const PeerName kHost(2);
const PeerName kStranger(3);
constexpr TimePoint kNow(100s);
const Person kAdmin{"ann@10.0.0.1", Role::Admin};
const Person kOperator{"bob@10.0.0.1", Role::Operator};
const Person kViewer{"eve@10.0.0.1", Role::Viewer};
constexpr BrowserId kBrowser(77);

class RequesterTest : public testing::Test {
 protected:
  RequesterActions wish(const Person& person,
                        const std::string& control,
                        const std::string& body = "") {
    RequesterActions out;
    requester_.on_wish(
        now_,
        RequestId(9),
        person,
        {.peer = kHost.to_string(), .node = "abc;<container>", .control = control, .body = body},
        out);
    requester_.check_invariants();
    return out;
  }

  RequesterActions hear(Body body, PeerName from = kHost) {
    RequesterActions out;
    requester_.on_message(now_, from, {.from_asker = false, .body = std::move(body)}, out);
    requester_.check_invariants();
    return out;
  }

  // A pipe that the host has opened; its name.
  std::string open_pipe() {
    const Ask ask = sent<Ask>(wish(kAdmin, "docker_exec_container"));
    const auto told = hear(Told{.call = ask.call, .pipe = true, .raw_tty = true});
    EXPECT_THAT(only<Answer>(told).body, HasSubstr(ask.pipe));
    return ask.pipe;
  }

  template <class T>
  static T sent(const RequesterActions& actions) {
    const Message decoded = decode(only<SendMessage>(actions).message).value();
    EXPECT_TRUE(decoded.from_asker);
    return std::get<T>(decoded.body);
  }

  TimePoint now_ = kNow;
  SeededEntropy entropy_{Rng(1)};
  Requester requester_{{.self = PeerName(1)}, entropy_};
};

TEST_F(RequesterTest, BringsAWishToTheHostAndItsAnswerBack) {
  const auto asked = wish(kOperator, "docker_restart_container");
  EXPECT_EQ(only<SendMessage>(asked).to, kHost);
  const Ask ask = sent<Ask>(asked);
  EXPECT_EQ(ask.node, "abc;<container>");
  EXPECT_EQ(ask.who, kOperator.name);

  const auto told = hear(Told{.call = ask.call});

  EXPECT_EQ(only<Answer>(told), (Answer{RequestId(9), 200, "{}"}));
  EXPECT_EQ(only<Audit>(told).outcome, "done");
}

TEST_F(RequesterTest, RefusesWhoLacksTheRoleAndWritesItDown) {
  const auto shell = wish(kOperator, "docker_exec_container");
  EXPECT_EQ(only<Answer>(shell).status, 403U);
  EXPECT_THAT(only<Audit>(shell).outcome, HasSubstr("admin"));

  EXPECT_EQ(only<Answer>(wish(kViewer, "docker_container_logs")).status, 403U);
  EXPECT_EQ(only<Answer>(wish(kViewer, "docker_resize_exec_tty")).status, 403U);
}

TEST_F(RequesterTest, RefusesWhatIsMalformed) {
  EXPECT_EQ(only<Answer>(wish(kAdmin, "docker_eat_container")).status, 404U);
  EXPECT_EQ(only<Answer>(wish(kAdmin, "docker_stop_container", "[]")).status, 400U);
  EXPECT_EQ(only<Answer>(wish(kAdmin, "docker_stop_container", "{\"a\":1}")).status, 400U);
  EXPECT_EQ(only<Answer>(wish(kAdmin, "docker_exec_container", "{\"pipeID\":\"x\"}")).status, 400U);
  RequesterActions out;
  requester_.on_wish(now_, RequestId(9), kAdmin, {.peer = "nobody", .control = "host_exec"}, out);
  EXPECT_EQ(only<Answer>(out).status, 400U);
}

TEST_F(RequesterTest, SaysSoWhenAHostDoesNotAnswer) {
  wish(kAdmin, "docker_stop_container");
  RequesterActions out;

  requester_.on_deadline(now_ + kAnswerMax, out);

  EXPECT_EQ(only<Answer>(out).status, 504U);
  EXPECT_EQ(requester_.next_deadline(), kNever);
}

TEST_F(RequesterTest, TakesAnAnswerOnlyFromTheHostThatWasAsked) {
  const Ask ask = sent<Ask>(wish(kAdmin, "docker_stop_container"));

  EXPECT_TRUE(hear(Told{.call = ask.call}, kStranger).empty());
  EXPECT_EQ(only<Answer>(hear(Told{.call = ask.call})).status, 200U);
}

TEST_F(RequesterTest, JoinsABrowserToItsPipeBothWays) {
  const std::string pipe = open_pipe();
  hear(Piece{pipe, 0, to_bytes("early ")});
  RequesterActions out;
  ASSERT_TRUE(requester_.on_browser(now_, kBrowser, kAdmin, pipe, out).ok());
  EXPECT_EQ(only<ToBrowser>(out), (ToBrowser{kBrowser, to_bytes("early ")}));

  EXPECT_EQ(only<ToBrowser>(hear(Piece{pipe, 6, to_bytes("late")})).data, to_bytes("late"));
  out.clear();
  requester_.on_browser_bytes(now_, kBrowser, as_bytes("ls\r"), out);

  EXPECT_EQ(sent<Piece>(out), (Piece{pipe, 0, to_bytes("ls\r")}));
}

TEST_F(RequesterTest, TakesNoMoreFromTheHostThanTheBrowserReads) {
  const std::string pipe = open_pipe();
  RequesterActions out;
  ASSERT_TRUE(requester_.on_browser(now_, kBrowser, kAdmin, pipe, out).ok());
  for (std::uint64_t offset = 0; offset < kWindow; offset += kPieceMax) {
    for (const auto& action : hear(Piece{pipe, offset, Bytes(kPieceMax, 'x')})) {
      EXPECT_FALSE(std::holds_alternative<SendMessage>(action));
    }
  }

  requester_.on_browser_drained(now_, kBrowser, out);

  EXPECT_EQ(sent<Taken>(out).offset, kWindow);
}

TEST_F(RequesterTest, GivesAPipeToTheBrowserThatCameLast) {
  const std::string pipe = open_pipe();
  constexpr BrowserId kOther(78);
  RequesterActions out;
  ASSERT_TRUE(requester_.on_browser(now_, kBrowser, kAdmin, pipe, out).ok());
  for (std::uint64_t offset = 0; offset < kWindow; offset += kPieceMax) {
    hear(Piece{pipe, offset, Bytes(kPieceMax, 'x')});  // The window is full, and nothing is read.
  }
  out.clear();

  ASSERT_TRUE(requester_.on_browser(now_, kOther, kAdmin, pipe, out).ok());

  EXPECT_EQ(std::get<CloseBrowser>(out.front()), (CloseBrowser{kBrowser, "opened elsewhere"}));
  EXPECT_EQ(sent<Taken>({out.begin() + 1, out.end()}).offset, kWindow);
  out.clear();
  requester_.on_browser_gone(now_, kBrowser, out);
  EXPECT_TRUE(out.empty()) << "the pipe is another's by now";
  EXPECT_EQ(only<ToBrowser>(hear(Piece{pipe, kWindow, to_bytes("on")})),
            (ToBrowser{kOther, to_bytes("on")}));
  requester_.check_invariants();
}

TEST_F(RequesterTest, GivesAPipeToWhoMayHaveIt) {
  const std::string pipe = open_pipe();
  RequesterActions out;

  EXPECT_EQ(requester_.on_browser(now_, kBrowser, kOperator, pipe, out).error().code, Errc::Denied);
  EXPECT_TRUE(requester_.on_browser(now_, kBrowser, kAdmin, pipe, out).ok());
  EXPECT_EQ(requester_.on_browser(now_, BrowserId(79), kAdmin, "pipe-0", out).error().code,
            Errc::NotFound);
}

TEST_F(RequesterTest, EndsThePipeWithItsBrowser) {
  const std::string pipe = open_pipe();
  RequesterActions out;
  ASSERT_TRUE(requester_.on_browser(now_, kBrowser, kAdmin, pipe, out).ok());
  EXPECT_TRUE(requester_.may_be_open(pipe));

  requester_.on_browser_gone(now_, kBrowser, out);

  EXPECT_EQ(sent<Ended>(out).pipe, pipe);
  EXPECT_EQ(requester_.pipe_count(), 0U);
  EXPECT_FALSE(requester_.may_be_open(pipe));
  EXPECT_TRUE(requester_.may_be_open("pipe-never"));
}

TEST_F(RequesterTest, ClosesTheBrowserWithItsPipe) {
  const std::string pipe = open_pipe();
  RequesterActions out;
  ASSERT_TRUE(requester_.on_browser(now_, kBrowser, kAdmin, pipe, out).ok());

  EXPECT_TRUE(hear(Ended{pipe, "x"}, kStranger).empty());
  EXPECT_EQ(only<CloseBrowser>(hear(Ended{pipe, "ended"})), (CloseBrowser{kBrowser, "ended"}));
}

TEST_F(RequesterTest, EndsAPipeThatNobodyComesFor) {
  const std::string pipe = open_pipe();
  RequesterActions out;

  requester_.on_deadline(now_ + kBrowserMax, out);

  EXPECT_EQ(sent<Ended>(out).pipe, pipe);
}

TEST_F(RequesterTest, TellsAHostOfAPipeThatIsNotThere) {
  EXPECT_EQ(sent<Ended>(hear(Piece{"pipe-9", 0, {1}})).pipe, "pipe-9");
}

TEST_F(RequesterTest, NamesPipesByRandomBits) {
  const std::string one = open_pipe();
  const std::string other = open_pipe();

  EXPECT_THAT(one, StartsWith("pipe-"));
  EXPECT_EQ(one.size(), 5U + 32U);
  EXPECT_NE(one, other);
}

TEST_F(RequesterTest, RefusesMorePipesThanItsLimit) {
  Requester small({.self = PeerName(1), .calls_max = 1}, entropy_);
  RequesterActions out;
  const Wish stop{.peer = kHost.to_string(), .node = "n", .control = "docker_stop_container"};
  small.on_wish(now_, RequestId(1), kAdmin, stop, out);
  out.clear();

  small.on_wish(now_, RequestId(2), kAdmin, stop, out);

  EXPECT_EQ(only<Answer>(out).status, 503U);
}

}  // namespace
}  // namespace weft::control
