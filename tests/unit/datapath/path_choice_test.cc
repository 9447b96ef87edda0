// Which way frames to a peer take, in virtual time, with paths that the test breaks and mends.
#include <algorithm>
#include <set>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "router/datapath/paths.h"

namespace weft::router {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""min;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using ::testing::_;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::VariantWith;

constexpr Path kClear{Way::Clear, {}};
constexpr Path kSealed{Way::Sealed, {}};
constexpr Path kEsp{Way::Esp, {}};

// Paths to one peer; those in `works` answer after `rtt`.
class Pair {
 public:
  static inline const PeerName kPeer{3};
  static inline const PeerName kRelay{2};
  static inline const PeerName kOtherRelay{4};
  static inline const Path kViaRelay{Way::Relay, kRelay};
  static inline const Path kViaOther{Way::Relay, kOtherRelay};

  explicit Pair(std::set<Path> working, Duration rtt = 1ms)
      : works(std::move(working)),
        rtt_(rtt) {}

  void know(Paths::Possible possible = {.clear = true}) {
    PathActions out;
    paths.set_peer(now, kPeer, possible, out);
    perform(out);
  }

  // Lets time pass; with traffic the peer is sent to all the time.
  void run(Duration duration, bool traffic = true) {
    for (const TimePoint end = now + duration; now < end; now += 1ms) {
      if (traffic && now >= traffic_at_) {
        paths.on_traffic(now, kPeer);
        traffic_at_ = now + 200ms;
      }
      PathActions out;
      for (auto it = answers_.begin(); it != answers_.end() && it->first <= now;) {
        paths.on_answer(now, it->second.peer, it->second.path, it->second.id, out);
        it = answers_.erase(it);
      }
      paths.on_deadline(now, out);
      perform(out);
      paths.check_invariants();
    }
  }

  // How long until the path in use is this one.
  Duration until(const Path& path, Duration patience) {
    const TimePoint start = now;
    while (paths.path(kPeer) != path && now - start < patience) {
      run(1ms);
    }
    return now - start;
  }

  // The peer probes us through this relay.
  void hear_through(PeerName relay) {
    PathActions out;
    paths.on_relayed_probe(now, kPeer, relay, out);
    perform(out);
  }

  // Its relays are peers themselves.
  void know_relays() {
    PathActions out;
    for (const PeerName relay : relays) {
      paths.set_peer(now, relay, {.clear = true}, out);
    }
  }

  // The peer's agent stands still, and its questions wait for it.
  void freeze() { is_frozen_ = true; }
  void thaw() {
    is_frozen_ = false;
    perform(std::exchange(unread_, {}));
  }

  std::set<Path> works;
  std::vector<PeerName> relays{kRelay};
  TimePoint now{1h};
  Paths paths{{}, Rng(1), now};
  std::vector<Path> used;
  std::size_t probes = 0;

 private:
  void perform(const PathActions& actions) {
    PathActions more;
    for (const PathAction& action : actions) {
      if (const auto* probe = std::get_if<SendProbe>(&action)) {
        ++probes;
        if (is_frozen_) {
          unread_.push_back(action);
        } else if (works.contains(probe->path)) {
          answers_.emplace(now + rtt_, *probe);
        }
      } else if (const auto* use = std::get_if<UsePath>(&action)) {
        EXPECT_EQ(paths.path(kPeer), use->path);
        used.push_back(use->path);
      } else {
        paths.set_relays(now, kPeer, relays, more);
      }
    }
    if (!more.empty()) {
      perform(more);
    }
  }

  Duration rtt_;
  bool is_frozen_ = false;
  PathActions unread_;
  std::multimap<TimePoint, SendProbe> answers_;
  TimePoint traffic_at_{};
};

// The probe that would have been due long ago, had there been traffic, is no sign that we were
// late: what others were asked meanwhile counts from when it was sent.
TEST(Paths, TrafficAfterSilenceDoesNotExcuseOthers) {
  Pair pair({kClear});
  PathActions out;
  pair.know();
  pair.paths.set_peer(pair.now, Pair::kRelay, {.clear = true}, out);
  pair.paths.on_traffic(pair.now, Pair::kRelay);
  pair.run(1min);
  pair.works.clear();
  const TimePoint broken = pair.now;
  pair.run(200ms);

  pair.paths.on_traffic(pair.now, Pair::kRelay);
  while (!pair.paths.status().back().lost && pair.now - broken < 5s) {
    pair.run(1ms);
  }

  EXPECT_LT(pair.now - broken, 1s);
}

TEST(Paths, UsesTheStraightPathAtOnceAndAsksNothingWithoutTraffic) {
  Pair pair({kClear});

  pair.know();
  pair.run(60s, false);

  EXPECT_THAT(pair.used, ElementsAre(kClear));
  EXPECT_EQ(pair.probes, 0U);
  EXPECT_EQ(pair.paths.next_deadline(), kNever);
}

TEST(Paths, TakesTheKernelsEncryptionOnceItHasAnsweredAndNotBefore) {
  Pair pair({kSealed, kEsp});

  pair.know({.sealed = true});
  pair.run(1s);
  pair.know({.esp = true, .sealed = true});
  EXPECT_EQ(pair.paths.path(Pair::kPeer), kSealed);
  const Duration took = pair.until(kEsp, 5s);

  EXPECT_LT(took, 1s);
  EXPECT_THAT(pair.used, ElementsAre(kSealed, kEsp));
}

TEST(Paths, StaysSealedWhereTheKernelsEncryptionDoesNotGetThrough) {
  Pair pair({kSealed});

  pair.know({.esp = true, .sealed = true});
  pair.run(60s);

  EXPECT_THAT(pair.used, ElementsAre(kSealed));
  EXPECT_LT(pair.probes, 400U);  // Five a second of the path in use, and now and then one more.
}

TEST(Paths, FailsOverFromTheKernelsEncryptionWithinASecondAndComesBackMoreSlowlyEachTime) {
  Pair pair({kSealed, kEsp});
  pair.know({.esp = true, .sealed = true});
  ASSERT_LT(pair.until(kEsp, 5s), 5s);

  pair.works = {kSealed};
  EXPECT_LT(pair.until(kSealed, 5s), 1s);
  pair.works = {kSealed, kEsp};
  const Duration first = pair.until(kEsp, 60s);
  pair.works = {kSealed};
  EXPECT_LT(pair.until(kSealed, 5s), 1s);
  pair.works = {kSealed, kEsp};
  const Duration second = pair.until(kEsp, 60s);

  EXPECT_LT(first, 5s);
  EXPECT_GT(second, first);
}

TEST(Paths, LeavesTheKernelsEncryptionAtOnceWhenItsKeysAreGone) {
  Pair pair({kSealed, kEsp});
  pair.know({.esp = true, .sealed = true});
  ASSERT_LT(pair.until(kEsp, 5s), 5s);

  pair.know({.sealed = true});

  EXPECT_EQ(pair.paths.path(Pair::kPeer), kSealed);
  EXPECT_EQ(pair.paths.status().front().history.back().reason, "the path is no longer possible");
}

TEST(Paths, StaysOnAPathThatAnswersHoweverLongItsWay) {
  Pair pair({kClear}, 450ms);

  pair.know();
  pair.run(30s);

  EXPECT_THAT(pair.used, ElementsAre(kClear));
}

TEST(Paths, NoticesAFailureUnderTrafficWithinASecondAndGoesThroughARelay) {
  Pair pair({kClear, Pair::kViaRelay});
  pair.know();
  pair.run(10s);

  pair.works.erase(kClear);

  EXPECT_LT(pair.until(Pair::kViaRelay, 5s), 850ms);
  pair.run(20s);
  EXPECT_THAT(pair.used, ElementsAre(kClear, Pair::kViaRelay));
}

TEST(Paths, PrefersSealedStraightToARelay) {
  Pair pair({kClear, kSealed, Pair::kViaRelay});
  pair.know({.clear = true, .sealed = true});
  pair.run(5s);

  pair.works.erase(kClear);
  pair.run(2s);
  pair.works.erase(kSealed);
  pair.run(2s);

  EXPECT_THAT(pair.used, ElementsAre(kClear, kSealed, Pair::kViaRelay));
}

TEST(Paths, NeverUsesAClearPathThatIsNotAllowed) {
  Pair pair({kClear});
  pair.know({.clear = false, .sealed = true});

  pair.run(60s);

  EXPECT_THAT(pair.used, ::testing::Not(::testing::Contains(kClear)));
  EXPECT_TRUE(pair.paths.status().front().lost);
}

TEST(Paths, LeavesTheClearPathAtOnceWhenConsentEnds) {
  Pair pair({kClear, kSealed});
  pair.know({.clear = true, .sealed = true});

  pair.know({.clear = false, .sealed = true});

  EXPECT_THAT(pair.used, ElementsAre(kClear, kSealed));
}

TEST(Paths, TriesTheNextRelayWhenTheFirstDoesNotReachThePeer) {
  Pair pair({Pair::kViaOther});
  pair.relays = {Pair::kRelay, Pair::kOtherRelay};
  pair.know();

  EXPECT_LT(pair.until(Pair::kViaOther, 10s), 2s);
  pair.run(10s);
  EXPECT_EQ(pair.paths.path(Pair::kPeer), Pair::kViaOther);
}

TEST(Paths, ReturnsToTheStraightPathSomeAnswersAfterItIsBack) {
  Pair pair({Pair::kViaRelay});
  pair.know();
  pair.run(5s);
  ASSERT_EQ(pair.paths.path(Pair::kPeer), Pair::kViaRelay);

  pair.works.insert(kClear);

  EXPECT_LT(pair.until(kClear, 60s), 10s);
}

TEST(Paths, ComesBackSoonAfterTheConnectionIsBack) {
  Pair pair({Pair::kViaRelay});
  pair.know();
  pair.run(10min);
  pair.works.insert(kClear);

  pair.know();  // As when the neighbour is up again.

  EXPECT_LT(pair.until(kClear, 60s), 1s);
}

// A path that works for two seconds of every three must not move traffic each time.
TEST(Paths, DampsAPathThatFlaps) {
  Pair pair({kClear, Pair::kViaRelay});
  pair.know();

  for (int i = 0; i < 100; ++i) {
    pair.works.insert(kClear);
    pair.run(2s);
    pair.works.erase(kClear);
    pair.run(1s);
  }

  EXPECT_LT(pair.used.size(), 14U);
}

TEST(Paths, ForgetsAFlapAfterFiveQuietMinutes) {
  Pair pair({kClear, Pair::kViaRelay});
  pair.know();
  for (int i = 0; i < 6; ++i) {
    pair.works.erase(kClear);
    pair.run(2s);
    pair.works.insert(kClear);
    pair.until(kClear, 60s);
  }
  pair.run(6min);
  pair.works.erase(kClear);
  pair.run(2s);

  pair.works.insert(kClear);
  pair.know();

  EXPECT_LT(pair.until(kClear, 60s), 1s);
}

TEST(Paths, GoesTheFirstWayThatAnswersAfterNothingDid) {
  Pair pair({});
  pair.know();
  pair.run(30s);
  EXPECT_TRUE(pair.paths.status().front().lost);

  pair.works.insert(Pair::kViaRelay);
  pair.run(31s);

  EXPECT_FALSE(pair.paths.status().front().lost);
  EXPECT_EQ(pair.paths.path(Pair::kPeer), Pair::kViaRelay);
}

TEST(Paths, AsksADeadPeerLessAndLess) {
  Pair pair({});
  pair.relays = {};
  pair.know();
  pair.run(2min, false);
  pair.probes = 0;

  pair.run(2min, false);

  EXPECT_LE(pair.probes, 5U);
}

TEST(Paths, BeginsWithARelayWhereTheHostsAreNotConnected) {
  Pair pair({Pair::kViaRelay});

  pair.know({.clear = true, .linked = false});
  pair.run(5s);

  EXPECT_THAT(pair.used, ElementsAre(kClear, Pair::kViaRelay));
  EXPECT_EQ(pair.paths.status().front().path, Pair::kViaRelay);
}

TEST(Paths, DoesNotDoubtWhileConnectionsAreYetToBeMade) {
  const TimePoint start{1h};
  Paths paths({.doubt_after = 5s}, Rng(1), start);
  PathActions out;

  paths.set_peer(start + 4s, Pair::kPeer, {.clear = true, .linked = false}, out);

  EXPECT_THAT(out, SizeIs(1));
  EXPECT_EQ(paths.path(Pair::kPeer), kClear);
  EXPECT_EQ(paths.next_deadline(), kNever);
}

TEST(Paths, BlamesNobodyForTimeInWhichItDidNotRun) {
  const TimePoint start{1h};
  Paths paths({}, Rng(1), start);
  PathActions out;
  paths.set_peer(start, Pair::kPeer, {.clear = true}, out);
  paths.on_traffic(start, Pair::kPeer);
  paths.on_deadline(start, out);
  out.clear();

  paths.on_deadline(start + 900ms, out);

  EXPECT_THAT(out, Each(VariantWith<SendProbe>(_)));
  EXPECT_EQ(paths.stats().switches, 0U);
}

TEST(Paths, FollowsAPeerThatComesThroughARelayOnceItAnswersThere) {
  Pair pair({Pair::kViaOther});
  pair.relays = {};
  pair.know();

  pair.hear_through(Pair::kRelay);
  pair.run(1s, false);
  EXPECT_EQ(pair.paths.path(Pair::kPeer), kClear);
  pair.hear_through(Pair::kOtherRelay);
  pair.run(1s, false);

  EXPECT_EQ(pair.paths.path(Pair::kPeer), Pair::kViaOther);
}

// Its kernel goes on forwarding on the straight path; a relay might lose what it is given.
TEST(Paths, StaysOnTheLastGoodPathWhileNothingAnswers) {
  Pair pair({kClear, kSealed, Pair::kViaRelay});
  pair.know({.clear = true, .sealed = true});
  pair.run(10s);

  pair.works.clear();
  pair.run(60s);

  EXPECT_THAT(pair.used, ElementsAre(kClear));
  EXPECT_TRUE(pair.paths.status().front().lost);
}

TEST(Paths, StaysOnTheLastGoodRelayWhileNothingAnswers) {
  Pair pair({Pair::kViaRelay});
  pair.relays = {Pair::kRelay, Pair::kOtherRelay};
  pair.know_relays();
  pair.know();
  pair.run(10s);
  ASSERT_EQ(pair.paths.path(Pair::kPeer), Pair::kViaRelay);

  pair.works.clear();
  pair.relays = {Pair::kOtherRelay};
  pair.run(60s);

  EXPECT_EQ(pair.paths.path(Pair::kPeer), Pair::kViaRelay);
}

// A host that stood still answers what lies in its queue, in order.
TEST(Paths, IsStraightAgainWithAPeerThatStoodStill) {
  Pair pair({kClear, Pair::kViaRelay});
  pair.know();
  pair.run(10s);

  for (int i = 0; i < 10; ++i) {
    pair.freeze();
    pair.run(10s);
    pair.thaw();
    pair.run(2s);
  }

  EXPECT_THAT(pair.used, ElementsAre(kClear));
  EXPECT_FALSE(pair.paths.status().front().lost);
}

TEST(Paths, BelievesItsOwnAnswersMoreThanAPeerThatComesThroughARelay) {
  Pair pair({kClear, Pair::kViaRelay});
  pair.know();
  pair.run(2s);
  PathActions out;

  pair.paths.on_relayed_probe(pair.now, Pair::kPeer, Pair::kRelay, out);

  EXPECT_EQ(pair.paths.path(Pair::kPeer), kClear);
  EXPECT_THAT(out, IsEmpty());
}

TEST(Paths, RefusesAnswersToWhatItDidNotAskAndSecondOnes) {
  Pair pair({});
  pair.know();
  PathActions out;
  pair.paths.on_traffic(pair.now, Pair::kPeer);
  pair.paths.on_deadline(pair.now, out);
  ASSERT_EQ(out.size(), 1U);
  const SendProbe probe = std::get<SendProbe>(out.front());

  pair.paths.on_answer(pair.now, Pair::kPeer, kClear, probe.id + 1, out);
  pair.paths.on_answer(pair.now, Pair::kPeer, kSealed, probe.id, out);
  pair.paths.on_answer(pair.now, Pair::kRelay, kClear, probe.id, out);
  pair.paths.on_answer(pair.now, Pair::kPeer, kClear, probe.id, out);
  pair.paths.on_answer(pair.now, Pair::kPeer, kClear, probe.id, out);

  EXPECT_EQ(pair.paths.stats().answers, 1U);
  EXPECT_EQ(pair.paths.stats().answers_refused, 4U);
}

TEST(Paths, LimitsProbesHoweverManyPeersThereAre) {
  TimePoint now{1h};
  Paths paths({.probe_rate_max = 100}, Rng(1), now);
  PathActions out;
  for (std::uint64_t i = 1; i <= 500; ++i) {
    paths.set_peer(now, PeerName(i), {.clear = true}, out);
    paths.on_traffic(now, PeerName(i));
  }
  out.clear();

  for (int i = 0; i < 2000; ++i, now += 1ms) {
    paths.on_deadline(now, out);
  }

  const auto probes = std::count_if(out.begin(), out.end(), [](const PathAction& action) {
    return std::holds_alternative<SendProbe>(action);
  });
  EXPECT_LE(probes, 301);
  EXPECT_GT(paths.stats().probes_limited, 0U);
}

TEST(Paths, ForgetsAPeerThatIsGone) {
  Pair pair({});
  pair.know();
  pair.run(3s);

  pair.paths.remove_peer(Pair::kPeer);

  EXPECT_EQ(pair.paths.path(Pair::kPeer), std::nullopt);
  EXPECT_EQ(pair.paths.next_deadline(), kNever);
}

}  // namespace
}  // namespace weft::router
