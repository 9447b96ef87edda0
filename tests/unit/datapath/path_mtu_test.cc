// How large packets a path carries, in virtual time, with paths that swallow what is too big.
#include "router/datapath/path_mtu.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::router {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""min;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

const PeerName kPeer(2);

// A path that carries packets of up to `carries` octets, in a millisecond; 0: none at all.
class Wire {
 public:
  explicit Wire(std::uint32_t limit, std::uint32_t carried) : carries(carried) { route(limit); }

  void route(std::uint32_t limit) {
    MtuActions out;
    mtus.set_limit(now, kPeer, limit, out);
    perform(out);
  }

  void run(Duration duration, bool traffic = true) {
    for (const TimePoint end = now + duration; now < end; now += 10ms) {
      if (traffic) {
        mtus.on_traffic(now, kPeer);
      }
      if (carries > 0) {
        mtus.on_small_answer(now - 1ms, kPeer);
      }
      MtuActions out;
      mtus.on_deadline(now, out);
      perform(out);
      mtus.check_invariants();
    }
  }

  std::uint32_t mtu() const { return mtus.mtu(kPeer); }

  std::uint32_t carries;
  TimePoint now{1h};
  PathMtus mtus{{}, Rng(1)};
  std::size_t probes = 0;

 private:
  void perform(const MtuActions& actions) {
    for (const MtuAction& action : actions) {
      const auto* probe = std::get_if<SendSized>(&action);
      probes += probe != nullptr ? 1U : 0U;
      if (probe != nullptr && probe->size <= carries) {
        MtuActions out;
        EXPECT_TRUE(mtus.on_answer(now, kPeer, probe->id, out));
        perform(out);
      }
    }
  }
};

TEST(PathMtus, BelievesTheRouteWhileItHolds) {
  Wire wire(1500, 1500);

  wire.run(1min);

  EXPECT_EQ(wire.mtu(), 1500U);
  EXPECT_EQ(wire.mtus.blackholes(), 0U);
  EXPECT_LE(wire.probes, 21U);
}

TEST(PathMtus, UsesJumboFramesWhereTheRouteHasThem) {
  Wire wire(9000, 9000);

  wire.run(10s);

  EXPECT_EQ(wire.mtu(), 9000U);
}

TEST(PathMtus, LeavesABlackholeWithinSecondsAndFindsWhatPasses) {
  Wire wire(1500, 1500);
  wire.run(10s);

  wire.carries = 1400;
  wire.run(5s);
  EXPECT_LE(wire.mtu(), 1400U);
  wire.run(20s);

  EXPECT_LE(wire.mtu(), 1400U);
  EXPECT_GE(wire.mtu(), 1384U);
  EXPECT_EQ(wire.mtus.blackholes(), 1U);
}

TEST(PathMtus, FindsWhatPassesOfAJumboRoute) {
  Wire wire(9000, 1500);

  wire.run(30s);

  EXPECT_LE(wire.mtu(), 1500U);
  EXPECT_GE(wire.mtu(), 1484U);
}

TEST(PathMtus, TriesTheLimitAgainAfterTenMinutes) {
  Wire wire(1500, 1300);
  wire.run(30s);
  ASSERT_LT(wire.mtu(), 1301U);
  wire.carries = 1500;

  wire.run(11min);

  EXPECT_EQ(wire.mtu(), 1500U);
}

TEST(PathMtus, FollowsTheRouteAtOnce) {
  Wire wire(1500, 1500);
  wire.run(10s);

  wire.route(1300);
  EXPECT_EQ(wire.mtu(), 1300U);
  wire.route(1500);
  EXPECT_EQ(wire.mtu(), 1500U);
}

TEST(PathMtus, TakesASilentPathForNoBlackhole) {
  Wire wire(1500, 1500);
  wire.run(10s);

  wire.carries = 0;
  wire.run(1min);

  EXPECT_EQ(wire.mtu(), 1500U);
  EXPECT_EQ(wire.mtus.blackholes(), 0U);
}

TEST(PathMtus, AsksNothingWithoutTraffic) {
  Wire wire(1500, 1300);

  wire.run(1h, false);

  EXPECT_EQ(wire.probes, 0U);
  EXPECT_EQ(wire.mtus.next_deadline(), kNever);
}

}  // namespace
}  // namespace weft::router
