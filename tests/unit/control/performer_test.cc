#include "control/performer.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/catalog.h"
#include "tests/unit/control/actions.h"

namespace weft::control {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using std::chrono_literals::operator""s;
using std::string_literals::operator""s;

const PeerName kSelf(1);
const PeerName kOther(2);
constexpr TimePoint kNow(100s);
const std::string kId(64, 'a');

class PerformerTest : public testing::Test {
 protected:
  PerformerActions ask(const std::string& control,
                       PeerName from = kOther,
                       const std::string& node = kId + ";<container>") {
    PerformerActions out;
    performer_.on_message(
        now_,
        from,
        {.from_asker = true,
         .body = Ask{.call = 5, .node = node, .control = control, .pipe = "pipe-1", .who = "ann"}},
        out);
    performer_.check_invariants();
    return out;
  }

  PerformerActions resize(const std::string& control, const std::string& width) {
    PerformerActions out;
    performer_.on_message(now_,
                          kOther,
                          {.from_asker = true,
                           .body = Ask{.call = 6,
                                       .node = kId + ";<container>",
                                       .control = control,
                                       .arguments = {{"width", width}, {"height", "24"}},
                                       .pipe = "pipe-1",
                                       .who = "ann"}},
                          out);
    return out;
  }

  PerformerActions say(Body body) {
    PerformerActions out;
    performer_.on_message(now_, kOther, {.from_asker = true, .body = std::move(body)}, out);
    return out;
  }

  PerformerActions answer(const PerformerActions& asked, unsigned status, const std::string& body) {
    PerformerActions out;
    performer_.on_engine(now_, only<CallEngine>(asked).call, status, body, out);
    return out;
  }

  // A shell in the container, open. Gives its source.
  SourceId open_shell() {
    const auto created = answer(ask("docker_exec_container"), 201, R"({"Id":")" + kId + R"("})");
    const SourceId source = only<OpenStream>(created).source;
    PerformerActions out;
    performer_.on_open(now_, source, "", out);
    EXPECT_TRUE(told(out).pipe);
    return source;
  }

  template <class T>
  static bool has(const PerformerActions& actions) {
    return std::any_of(actions.begin(), actions.end(), [](const PerformerAction& action) {
      return std::holds_alternative<T>(action);
    });
  }

  template <class T>
  static T sent(const PerformerActions& actions) {
    const SendMessage& message = only<SendMessage>(actions);
    const Message decoded = decode(message.message).value();
    EXPECT_FALSE(decoded.from_asker);
    return std::get<T>(decoded.body);
  }
  static Told told(const PerformerActions& actions) { return sent<Told>(actions); }

  TimePoint now_ = kNow;
  Performer performer_{{.self = kSelf, .enabled = true, .for_others = true, .host_shell = true}};
};

TEST_F(PerformerTest, StopsAContainerAndSaysSo) {
  const auto asked = ask("docker_stop_container");
  EXPECT_EQ(only<CallEngine>(asked).method, "POST");
  EXPECT_EQ(only<CallEngine>(asked).target, "/containers/" + kId + "/stop?t=10");

  const auto done = answer(asked, 204, "");

  EXPECT_EQ(told(done), (Told{.call = 5}));
  EXPECT_EQ(only<Audit>(done).outcome, "done");
  EXPECT_EQ(only<Audit>(done).who, "ann");
}

TEST_F(PerformerTest, TakesWhatIsSoAlreadyForDone) {
  EXPECT_EQ(told(answer(ask("docker_start_container"), 304, "")).error, "");
}

TEST_F(PerformerTest, TellsWhatTheEngineRefusesInItsWords) {
  const auto refused = answer(ask("docker_pause_container"), 409, R"({"message":"not running"})");

  EXPECT_EQ(told(refused).error, "not running");
  EXPECT_THAT(told(answer(ask("docker_pause_container"), 0, "")).error,
              HasSubstr("does not answer"));
  EXPECT_THAT(told(answer(ask("docker_pause_container"), 500, "[")).error, HasSubstr("500"));
}

TEST_F(PerformerTest, SaysThatARemovedNodeIsGone) {
  const auto asked = ask("docker_remove_container");

  EXPECT_EQ(only<CallEngine>(asked).method, "DELETE");
  EXPECT_TRUE(told(answer(asked, 204, "")).removed);
}

TEST_F(PerformerTest, DoesNothingWhenSwitchedOff) {
  performer_ = Performer({.self = kSelf});

  const auto out = ask("docker_stop_container", kSelf);

  EXPECT_FALSE(has<CallEngine>(out));
  EXPECT_THAT(told(out).error, HasSubstr("switched off"));
}

TEST_F(PerformerTest, DoesNothingForOthersWhereAnybodyCanJoin) {
  performer_ = Performer({.self = kSelf, .enabled = true});

  EXPECT_THAT(told(ask("docker_stop_container", kOther)).error, HasSubstr("password"));
  EXPECT_TRUE(has<CallEngine>(ask("docker_stop_container", kSelf)));
}

TEST_F(PerformerTest, OpensNoShellOfTheHostUnlessThatIsSwitchedOn) {
  const std::string self = kSelf.to_string() + ";<host>";
  EXPECT_TRUE(has<OpenShell>(ask("host_exec", kOther, self)));
  performer_ = Performer({.self = kSelf, .enabled = true, .for_others = true});

  EXPECT_THAT(told(ask("host_exec", kOther, self)).error, HasSubstr("--host-shell"));
}

TEST_F(PerformerTest, RefusesNodesThatAreNoneAndControlsThatAreNone) {
  for (const std::string& node : {kId + "/../x;<container>"s,
                                  "../../info;<container>"s,
                                  "abc;<container>"s,
                                  kId,
                                  std::string(65, 'a') + ";<container>",
                                  kOther.to_string() + ";<host>"}) {
    EXPECT_THAT(told(ask("docker_stop_container", kOther, node)).error, HasSubstr("no node"))
        << node;
  }
  EXPECT_THAT(told(ask("docker_eat_container")).error, HasSubstr("no control"));
  EXPECT_EQ(performer_.stats().performed, 0U);
}

TEST_F(PerformerTest, CarriesAShellBothWays) {
  const SourceId source = open_shell();
  PerformerActions out;
  performer_.on_output(now_, source, as_bytes("# "), out);
  EXPECT_EQ(sent<Piece>(out), (Piece{"pipe-1", 0, to_bytes("# ")}));

  const auto typed = say(Piece{"pipe-1", 0, to_bytes("ls\n")});

  EXPECT_EQ(only<WriteSource>(typed), (WriteSource{source, to_bytes("ls\n")}));
}

TEST_F(PerformerTest, StopsReadingAShellThatFloodsAndGoesOnWhenItsOutputWasTaken) {
  const SourceId source = open_shell();
  PerformerActions out;
  performer_.on_output(now_, source, Bytes(kWindow, 'y'), out);
  EXPECT_TRUE(only<HoldSource>(out).hold);

  const auto taken = say(Taken{"pipe-1", kPieceMax});

  EXPECT_FALSE(only<HoldSource>(taken).hold);
}

TEST_F(PerformerTest, HangsUpAShellWhoseBrowserHasLeft) {
  open_shell();

  const auto left = say(Ended{"pipe-1", "the browser has left"});
  EXPECT_TRUE(has<CloseSource>(left));
  EXPECT_EQ(performer_.pipe_count(), 0U);
  EXPECT_EQ(only<CallEngine>(left).target, "/exec/" + kId + "/json");

  EXPECT_EQ(only<HangUp>(answer(left, 200, R"({"Running":true,"Pid":4711})")).pid, 4711U);
}

TEST_F(PerformerTest, HangsUpNothingThatHasEnded) {
  open_shell();

  const auto left = say(Ended{"pipe-1", ""});

  EXPECT_THAT(answer(left, 200, R"({"Running":false,"Pid":4711})"), IsEmpty());
}

TEST_F(PerformerTest, EndsAPipeAfterWhatItsShellSaidLast) {
  const SourceId source = open_shell();
  PerformerActions out;
  performer_.on_output(now_, source, as_bytes("logout"), out);
  performer_.on_end(now_, source, out);
  EXPECT_FALSE(has<CloseSource>(out));

  const auto taken = say(Taken{"pipe-1", 6});

  EXPECT_EQ(sent<Ended>(taken).pipe, "pipe-1");
  EXPECT_TRUE(has<CloseSource>(taken));
  EXPECT_FALSE(has<CallEngine>(taken));
}

TEST_F(PerformerTest, TellsTheSizeOfATerminalToWhatItIsOf) {
  open_shell();

  EXPECT_EQ(only<CallEngine>(resize(std::string(kResizeExec), "80")).target,
            "/exec/" + kId + "/resize?h=24&w=80");
  EXPECT_NE(told(resize(std::string(kResizeExec), "80x")).error, "");
  EXPECT_NE(told(resize(std::string(kResizeExec), "70000")).error, "");
  EXPECT_NE(told(resize(std::string(kResizeHost), "80")).error, "");
}

TEST_F(PerformerTest, TellsAnEarlySizeAgainWhenTheShellHasBegun) {
  const SourceId source = open_shell();
  (void)resize(std::string(kResizeExec), "80");

  PerformerActions first;
  performer_.on_output(now_, source, as_bytes("$ "), first);
  PerformerActions second;
  performer_.on_output(now_, source, as_bytes("ls"), second);

  EXPECT_EQ(only<CallEngine>(first).target, "/exec/" + kId + "/resize?h=24&w=80");
  EXPECT_FALSE(has<CallEngine>(second));
}

TEST_F(PerformerTest, TakesFramesApartForWhatHasNoTerminal) {
  const auto asked = ask("docker_container_logs");
  const auto inspected = answer(asked, 200, R"({"Config":{"Tty":false}})");
  const OpenStream& open = only<OpenStream>(inspected);
  EXPECT_FALSE(open.both_ways);
  PerformerActions out;
  performer_.on_open(now_, open.source, "", out);
  EXPECT_FALSE(told(out).raw_tty);
  out.clear();

  performer_.on_output(now_, open.source, as_bytes("\x01\0\0\0\0\0\0\x03log"s), out);

  EXPECT_EQ(as_text(sent<Piece>(out).data), "log");
}

TEST_F(PerformerTest, EndsAStreamThatIsNoneOfDockers) {
  const auto inspected = answer(ask("docker_container_logs"), 200, R"({"Config":{"Tty":false}})");
  const SourceId source = only<OpenStream>(inspected).source;
  PerformerActions out;
  performer_.on_open(now_, source, "", out);
  out.clear();

  performer_.on_output(now_, source, as_bytes("nonsense"), out);

  EXPECT_THAT(sent<Ended>(out).reason, HasSubstr("stream"));
}

TEST_F(PerformerTest, TellsWhyAStreamDidNotOpen) {
  const auto created = answer(ask("docker_exec_container"), 201, R"({"Id":")" + kId + R"("})");
  PerformerActions out;

  performer_.on_open(now_, only<OpenStream>(created).source, "no", out);

  EXPECT_EQ(told(out).error, "no");
  EXPECT_EQ(performer_.pipe_count(), 0U);
}

TEST_F(PerformerTest, TellsOfAPipeThatIsNotThere) {
  EXPECT_EQ(sent<Ended>(say(Piece{"pipe-9", 0, {1}})).pipe, "pipe-9");
  EXPECT_THAT(say(Taken{"pipe-9", 1}), IsEmpty());
  EXPECT_THAT(say(Ended{"pipe-9", ""}), IsEmpty());
}

TEST_F(PerformerTest, ClosesAShellWhoseAskerIsSilent) {
  open_shell();
  PerformerActions out;

  performer_.on_deadline(now_ + kSilenceMax, out);

  EXPECT_TRUE(has<CloseSource>(out));
  EXPECT_EQ(performer_.next_deadline(), kNever);
}

TEST_F(PerformerTest, RefusesMorePipesThanItsLimit) {
  performer_ = Performer({.self = kSelf, .enabled = true, .for_others = true, .pipes_max = 1});
  open_shell();

  EXPECT_THAT(told(ask("docker_exec_container")).error, HasSubstr("too many"));
}

}  // namespace
}  // namespace weft::control
