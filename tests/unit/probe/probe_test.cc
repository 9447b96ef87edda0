#include "probe/probe.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::probe {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::VariantWith;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;

const PeerName kSelf(1);
const PeerName kWatcher(2);
constexpr TimePoint kStart(100s);
constexpr Watch kWatch{.lease = 10s, .interval = 1s};

Probe make_probe() {
  return Probe({.self = kSelf, .incarnation = Incarnation(3), .version = "0.1.0"});
}

Sample sample_at(TimePoint at, Duration cost = 1ms) {
  Sample sample;
  sample.at = at;
  sample.cost = cost;
  return sample;
}

TEST(Probe, NamesWhomThisHostAsksAndNobodyElse) {
  Probe probe({.self = kSelf,
               .incarnation = Incarnation(3),
               .version = "0.1.0",
               .name_of = [](const Ip& address) {
                 return address == Ip::parse("203.0.113.9").value() ? "example.org" : "";
               }});
  ProbeActions out;
  probe.on_watch(kStart, kWatcher, kWatch, out);
  out.clear();
  Sample sample = sample_at(kStart);
  sample.namespaces = {{.netns = 1, .sockets = {}}};
  for (const char* remote : {"203.0.113.9:443", "203.0.113.10:443"}) {
    sample.namespaces[0].sockets.push_back({.local = Endpoint::parse("10.0.0.1:40000").value(),
                                            .remote = Endpoint::parse(remote).value(),
                                            .inode = 7});
  }

  probe.on_sample(kStart + 5ms, sample, {}, out);

  ASSERT_THAT(out, SizeIs(1));
  const auto report =
      std::get<HostReport>(decode_message(std::get<Tell>(out.front()).message).value());
  EXPECT_THAT(report.names,
              ElementsAre(testing::Pair(Ip::parse("203.0.113.9").value(), "example.org")));
}

TEST(Probe, TellsHowMuchPathsCarryEachSecond) {
  Probe probe = make_probe();
  ProbeActions out;
  const auto report_after = [&](Duration after, std::uint64_t sent) {
    probe.on_watch(kStart + after, kWatcher, kWatch, out);
    probe.on_deadline(kStart + after, out);
    out.clear();
    OverlayFacts overlay;
    overlay.paths = {{.peer = PeerName(9), .way = "clear", .via = {}, .carried = {.sent = sent}}};
    probe.on_sample(kStart + after, sample_at(kStart + after), overlay, out);
    return std::get<HostReport>(decode_message(std::get<Tell>(out.front()).message).value());
  };
  EXPECT_EQ(report_after(0s, 5000).overlay.paths.front().carried.sent_per_second, 0U);

  const HostReport report = report_after(2s, 9000);

  EXPECT_EQ(report.overlay.paths.front().carried.sent_per_second, 2000U);
  EXPECT_EQ(report.overlay.paths.front().carried.sent, 9000U);
}

TEST(Probe, DoesNothingWhileNobodyWatches) {
  Probe probe = make_probe();
  ProbeActions out;

  probe.on_deadline(kStart, out);
  probe.on_change(kStart);

  EXPECT_THAT(out, IsEmpty());
  EXPECT_EQ(probe.next_deadline(), kNever);
}

TEST(Probe, LooksAtOnceForANewWatcherAndTellsIt) {
  Probe probe = make_probe();
  ProbeActions out;

  probe.on_watch(kStart, kWatcher, kWatch, out);
  ASSERT_THAT(out, ElementsAre(VariantWith<TakeSample>(TakeSample{})));
  out.clear();
  probe.on_sample(kStart + 5ms, sample_at(kStart), {.nickname = "h1"}, out);

  ASSERT_THAT(out, SizeIs(1));
  const Tell& tell = std::get<Tell>(out.front());
  EXPECT_EQ(tell.to, kWatcher);
  const auto report = std::get<HostReport>(decode_message(tell.message).value());
  EXPECT_EQ(report.origin, kSelf);
  EXPECT_EQ(report.incarnation, Incarnation(3));
  EXPECT_EQ(report.sequence, 1U);
  EXPECT_EQ(report.overlay.nickname, "h1");
  EXPECT_EQ(probe.next_deadline(), kStart + 1s);
}

TEST(Probe, RestsWhenTheLastLeaseHasRunOut) {
  Probe probe = make_probe();
  ProbeActions out;
  probe.on_watch(kStart, kWatcher, kWatch, out);
  probe.on_sample(kStart, sample_at(kStart), {}, out);
  out.clear();

  probe.on_deadline(kStart + 10s, out);

  EXPECT_THAT(out, ElementsAre(VariantWith<Rest>(Rest{})));
  EXPECT_EQ(probe.next_deadline(), kNever);
  EXPECT_FALSE(probe.is_watched());
}

TEST(Probe, RestsWhenToldThatNobodyLooks) {
  Probe probe = make_probe();
  ProbeActions out;
  probe.on_watch(kStart, kWatcher, kWatch, out);
  out.clear();

  probe.on_watch(kStart + 1s, kWatcher, {.lease = 0s, .interval = 1s}, out);

  EXPECT_THAT(out, ElementsAre(VariantWith<Rest>(Rest{})));
  out.clear();
  probe.on_sample(kStart + 1s, sample_at(kStart), {}, out);
  EXPECT_THAT(out, IsEmpty());
}

// The probe looks in its turns, each look costing so much, until `end`.
void look_until(Probe& probe, TimePoint end, Duration cost, ProbeActions& out) {
  while (probe.next_deadline() <= end) {
    const TimePoint now = probe.next_deadline();
    probe.on_watch(now, kWatcher, kWatch, out);
    probe.on_deadline(now, out);
    probe.on_sample(now, sample_at(now, cost), {}, out);
  }
}

std::ptrdiff_t looks_in(const ProbeActions& actions) {
  return std::count_if(actions.begin(), actions.end(), [](const ProbeAction& action) {
    return std::holds_alternative<TakeSample>(action);
  });
}

TEST(Probe, LooksLessOftenWhenLookingIsDear) {
  Probe probe = make_probe();
  ProbeActions out;
  probe.on_watch(kStart, kWatcher, kWatch, out);
  probe.on_sample(kStart, sample_at(kStart, 40ms), {}, out);
  look_until(probe, kStart + 60s, 40ms, out);
  out.clear();

  look_until(probe, kStart + 160s, 40ms, out);

  // Eight thousandths of a CPU for 100 s, 40 ms each.
  EXPECT_GE(looks_in(out), 19);
  EXPECT_LE(looks_in(out), 20);
  const auto report =
      std::get<HostReport>(decode_message(std::get<Tell>(out.back()).message).value());
  EXPECT_GT(report.interval, 4900ms);
  EXPECT_LE(report.interval, 5s);
}

TEST(Probe, IsNotStalledByAFirstLookThatWasDear) {
  Probe probe = make_probe();
  ProbeActions out;
  probe.on_watch(kStart, kWatcher, kWatch, out);

  probe.on_sample(kStart + 200ms, sample_at(kStart, 200ms), {}, out);

  EXPECT_EQ(probe.next_deadline(), kStart + 1s);
}

TEST(Probe, LooksSoonAfterAChange) {
  Probe probe = make_probe();
  ProbeActions out;
  probe.on_watch(kStart, kWatcher, kWatch, out);
  probe.on_sample(kStart, sample_at(kStart), {}, out);

  probe.on_change(kStart + 100ms);

  EXPECT_LE(probe.next_deadline(), kStart + 200ms);
}

TEST(Probe, LooksSoonAfterAChangeAlsoWhereLookingIsDear) {
  Probe probe = make_probe();
  ProbeActions out;
  probe.on_watch(kStart, kWatcher, kWatch, out);
  probe.on_sample(kStart, sample_at(kStart, 20ms), {}, out);
  look_until(probe, kStart + 60s, 20ms, out);

  const TimePoint change = probe.next_deadline() - 1s;
  probe.on_change(change);

  EXPECT_EQ(probe.next_deadline(), change + 20ms);
}

TEST(Probe, ChangesWithoutEndCostNoMoreThanTheirShare) {
  Probe probe = make_probe();
  ProbeActions out;
  probe.on_watch(kStart, kWatcher, kWatch, out);
  probe.on_sample(kStart, sample_at(kStart, 10ms), {}, out);
  for (Duration at = 0s; at < 100s; at += 10ms) {
    probe.on_change(kStart + at);
    look_until(probe, kStart + at, 10ms, out);
  }

  // 0.02 and 0.008 of a CPU for 100 s, and what was saved.
  EXPECT_LE(looks_in(out) * 10ms, 3100ms);
  EXPECT_GE(looks_in(out), 100);
}

TEST(Probe, LooksAgainForAChangeThatCameWhileItLooked) {
  Probe probe = make_probe();
  ProbeActions out;
  probe.on_watch(kStart, kWatcher, kWatch, out);

  probe.on_change(kStart + 10ms);
  probe.on_sample(kStart + 20ms, sample_at(kStart), {}, out);

  EXPECT_LE(probe.next_deadline(), kStart + 100ms);
}

TEST(Probe, TellsEachWatcherAsOftenAsItAsked) {
  Probe probe = make_probe();
  ProbeActions out;
  probe.on_watch(kStart, kWatcher, kWatch, out);
  probe.on_watch(kStart, PeerName(3), {.lease = 30s, .interval = 5s}, out);
  probe.on_sample(kStart, sample_at(kStart), {}, out);
  const auto told = [&](PeerName who) {
    return std::count_if(out.begin(), out.end(), [&](const ProbeAction& action) {
      return std::holds_alternative<Tell>(action) && std::get<Tell>(action).to == who;
    });
  };
  for (int second = 1; second <= 9; ++second) {
    const TimePoint now = kStart + std::chrono::seconds(second);
    probe.on_watch(now, kWatcher, kWatch, out);
    probe.on_deadline(now, out);
    probe.on_sample(now, sample_at(now), {}, out);
  }

  EXPECT_EQ(told(kWatcher), 10);
  EXPECT_EQ(told(PeerName(3)), 2);
}

TEST(Probe, RefusesAWatcherTooMany) {
  Probe probe({.self = kSelf, .incarnation = {}, .version = "", .watchers_max = 1});
  ProbeActions out;
  probe.on_watch(kStart, kWatcher, kWatch, out);

  probe.on_watch(kStart, PeerName(3), kWatch, out);

  EXPECT_EQ(probe.stats().watchers_refused, 1U);
  probe.check_invariants();
}

TEST(Probe, GoesOnAfterALookThatFailed) {
  Probe probe = make_probe();
  ProbeActions out;
  probe.on_watch(kStart, kWatcher, kWatch, out);

  probe.on_sample_failed(kStart + 10ms);

  EXPECT_EQ(probe.stats().samples_failed, 1U);
  EXPECT_LE(probe.next_deadline(), kStart + 2s);
}

}  // namespace
}  // namespace weft::probe
