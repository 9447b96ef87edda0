// People at terminals of containers elsewhere, while the mesh between loses, doubles and reorders
// what it carries, is cut, or one of the two agents is gone.
#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <variant>

#include <gtest/gtest.h>

#include "base/entropy.h"
#include "base/overloaded.h"
#include "control/performer.h"
#include "control/requester.h"
#include "tests/sim/world.h"

namespace weft::control {
namespace {

using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;

const PeerName kDesk(1);  // Whom the person talks to.
const PeerName kHost(2);  // Where the container is.
const std::string kNode = std::string(64, 'a') + ";<container>";
constexpr BrowserId kBrowser(1);
constexpr Duration kTick = 50ms;

// An agent that asks, a host that performs, a shell that repeats what it hears, and a mesh.
class Session {
 public:
  explicit Session(std::uint64_t seed) : world_(seed), entropy_(world_.rng().fork()) { tick(); }

  // Opens a shell and puts the browser at it. True if that works within the time.
  bool open() {
    RequesterActions out;
    requester_.on_wish(
        world_.now(),
        RequestId(1),
        {"ann", Role::Admin},
        {.peer = kHost.to_string(), .node = kNode, .control = "docker_exec_container"},
        out);
    carry_out(out);
    if (!run_until([this] { return answered_ != 0; }) || answered_ != 200) {
      return false;
    }
    bool is_joined = false;
    act([&](RequesterActions& actions) {
      is_joined =
          requester_.on_browser(world_.now(), kBrowser, {"ann", Role::Admin}, pipe_, actions).ok();
    });
    return is_joined;
  }

  void type(std::string_view text) {
    act([&](RequesterActions& out) {
      requester_.on_browser_bytes(world_.now(), kBrowser, as_bytes(text), out);
    });
  }

  void leave() {
    act([&](RequesterActions& out) { requester_.on_browser_gone(world_.now(), kBrowser, out); });
  }

  template <class Condition>
  bool run_until(Condition condition, Duration limit = 120s) {
    const TimePoint end = world_.now() + limit;
    while (!condition() && world_.now() < end) {
      world_.run_until(world_.now() + kTick);
      requester_.check_invariants();
      performer_.check_invariants();
    }
    return condition();
  }

  bool is_over() const { return requester_.pipe_count() == 0 && performer_.pipe_count() == 0; }
  const std::string& seen() const { return seen_; }
  bool is_browser_closed() const { return is_browser_closed_; }
  bool is_shell_hung_up() const { return is_shell_hung_up_; }
  void set_loss(std::uint32_t percent) { loss_percent_ = percent; }

 private:
  void tick() {
    world_.after(kTick, [this] {
      RequesterActions asked;
      requester_.on_deadline(world_.now(), asked);
      carry_out(asked);
      PerformerActions done;
      performer_.on_deadline(world_.now(), done);
      carry_out(done);
      tick();
    });
  }

  template <class Act>
  void act(Act what) {
    RequesterActions out;
    what(out);
    carry_out(out);
  }

  void send(PeerName from, const SendMessage& message) {
    Rng& rng = world_.rng();
    const int copies = rng.chance(loss_percent_) ? 0 : rng.chance(3) ? 2 : 1;
    for (int i = 0; i < copies; ++i) {
      // Mostly in order; now and then one takes another way.
      const Duration delay = rng.chance(5) ? Duration(80ms) : Duration(5ms);
      world_.after(delay, [this, from, message] { deliver(from, message); });
    }
  }

  void deliver(PeerName from, const SendMessage& message) {
    const Message decoded = decode(message.message).value();
    if (decoded.from_asker) {
      PerformerActions out;
      performer_.on_message(world_.now(), from, decoded, out);
      carry_out(out);
    } else {
      RequesterActions out;
      requester_.on_message(world_.now(), from, decoded, out);
      carry_out(out);
    }
  }

  void carry_out(RequesterActions& actions) {
    for (RequesterAction& action : std::exchange(actions, {})) {
      std::visit(overloaded{
                     [this](const Answer& answer) {
                       answered_ = answer.status;
                       const std::size_t at = answer.body.find("pipe-");
                       constexpr std::size_t kNameSize = 5 + 32;
                       pipe_ = at == std::string::npos ? "" : answer.body.substr(at, kNameSize);
                     },
                     [this](const ToBrowser& to) {
                       seen_ += as_text(to.data);
                       world_.after(1ms, [this] {
                         act([this](RequesterActions& out) {
                           requester_.on_browser_drained(world_.now(), kBrowser, out);
                         });
                       });
                     },
                     [this](const CloseBrowser&) { is_browser_closed_ = true; },
                     [this](const SendMessage& message) { send(kDesk, message); },
                     [](const Audit&) {},
                 },
                 action);
    }
  }

  // The engine answers at once, the shell repeats.
  void carry_out(PerformerActions& actions) {
    for (PerformerAction& action : std::exchange(actions, {})) {
      std::visit(overloaded{
                     [this](const CallEngine& call) {
                       const bool is_question = call.method == "GET";
                       const std::string body = is_question
                                                    ? R"({"Running":true,"Pid":77})"
                                                    : R"({"Id":")" + std::string(64, 'e') + R"("})";
                       perform([&](PerformerActions& out) {
                         performer_.on_engine(world_.now(), call.call, 200, body, out);
                       });
                     },
                     [this](const OpenStream& open) {
                       perform([&](PerformerActions& out) {
                         performer_.on_open(world_.now(), open.source, "", out);
                       });
                     },
                     [this](const WriteSource& write) {
                       perform([&](PerformerActions& out) {
                         performer_.on_written(world_.now(), write.source, write.data.size(), out);
                         performer_.on_output(world_.now(), write.source, write.data, out);
                       });
                     },
                     [this](const HangUp&) { is_shell_hung_up_ = true; },
                     [this](const SendMessage& message) { send(kHost, message); },
                     [](const auto&) {},
                 },
                 action);
    }
  }

  template <class Perform>
  void perform(Perform what) {
    PerformerActions out;
    what(out);
    carry_out(out);
  }

  sim::World world_;
  SeededEntropy entropy_;
  Requester requester_{{.self = kDesk}, entropy_};
  Performer performer_{{.self = kHost, .enabled = true, .for_others = true}};
  std::uint32_t loss_percent_ = 0;
  unsigned answered_ = 0;
  std::string pipe_;
  std::string seen_;
  bool is_browser_closed_ = false;
  bool is_shell_hung_up_ = false;
};

TEST(TerminalScenario, WhatIsTypedComesBackOnceAndInOrderWhateverTheMeshLoses) {
  constexpr std::uint64_t kSeeds = 20;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    Session session(seed);
    ASSERT_TRUE(session.open()) << "seed " << seed;
    session.set_loss(10);
    std::string typed;
    for (int key = 0; key < 200; ++key) {
      const std::string text = std::to_string(key) + " ";
      session.type(text);
      typed += text;
      session.run_until([] { return false; }, 100ms);
    }

    EXPECT_TRUE(session.run_until([&] { return session.seen().size() >= typed.size(); }))
        << "seed " << seed;
    EXPECT_EQ(session.seen(), typed) << "seed " << seed;
  }
}

TEST(TerminalScenario, AShellWhoseBrowserLeftIsHungUpAlthoughTheGoodbyeIsLost) {
  Session session(1);
  ASSERT_TRUE(session.open());
  session.set_loss(100);

  session.leave();

  EXPECT_TRUE(session.run_until([&] { return session.is_over(); }));
  EXPECT_TRUE(session.is_shell_hung_up());
}

TEST(TerminalScenario, ABrowserIsToldWhenItsHostCanNoLongerBeReached) {
  Session session(2);
  ASSERT_TRUE(session.open());
  session.set_loss(100);

  EXPECT_TRUE(session.run_until([&] { return session.is_browser_closed(); }));
  EXPECT_TRUE(session.run_until([&] { return session.is_over(); }));
}

TEST(TerminalScenario, AnInterruptionOfTenSecondsIsSurvived) {
  Session session(3);
  ASSERT_TRUE(session.open());
  session.set_loss(100);
  session.type("typed in the dark");
  session.run_until([] { return false; }, 10s);

  session.set_loss(0);

  EXPECT_TRUE(session.run_until([&] { return session.seen() == "typed in the dark"; }));
}

}  // namespace
}  // namespace weft::control
