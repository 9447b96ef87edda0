#include "probe/report/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "probe/report/codec.h"
#include "tests/unit/probe/random_report.h"

namespace weft::probe {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

constexpr int kSeeds = 200;

Report random_cluster(Rng& rng) {
  Report report;
  for (std::uint64_t host = 1; host <= 3; ++host) {
    if (rng.chance(70)) {
      report.merge(random_report(rng, PeerName(host)));
    }
  }
  return report;
}

Report merged(Report a, const Report& b) {
  a.merge(b);
  return a;
}

TEST(ReportMerge, GivesTheSameInAnyOrderAndGrouping) {
  for (int seed = 0; seed < kSeeds; ++seed) {
    Rng rng(static_cast<std::uint64_t>(seed));
    const Report a = random_cluster(rng);
    const Report b = random_cluster(rng);
    const Report c = random_cluster(rng);

    EXPECT_EQ(merged(a, b), merged(b, a)) << "seed " << seed;
    EXPECT_EQ(merged(merged(a, b), c), merged(a, merged(b, c))) << "seed " << seed;
  }
}

TEST(ReportMerge, ChangesNothingTheSecondTime) {
  for (int seed = 0; seed < kSeeds; ++seed) {
    Rng rng(static_cast<std::uint64_t>(seed));
    const Report a = random_cluster(rng);
    Report both = merged(a, random_cluster(rng));

    EXPECT_FALSE(both.merge(a)) << "seed " << seed;
  }
}

TEST(ReportMerge, PrefersTheLaterIncarnationWhateverItsSequence) {
  Rng rng(1);
  HostReport old = random_report(rng, PeerName(1));
  old.incarnation = Incarnation(1);
  old.sequence = 99;
  HostReport restarted = old;
  restarted.incarnation = Incarnation(2);
  restarted.sequence = 1;
  Report report;

  EXPECT_TRUE(report.merge(old));
  EXPECT_TRUE(report.merge(restarted));
  EXPECT_FALSE(report.merge(old));
  EXPECT_EQ(report.find(PeerName(1))->incarnation, Incarnation(2));
}

TEST(ReportMerge, KeepsTheSameHostsInWhateverOrderTooManyCome) {
  Report up;
  Report down;
  for (std::uint64_t host = 1; host <= kHostsMax + 5; ++host) {
    HostReport report;
    report.origin = PeerName(host);
    up.merge(report);
    report.origin = PeerName(kHostsMax + 6 - host);
    down.merge(report);
  }

  EXPECT_THAT(up.hosts(), SizeIs(kHostsMax));
  EXPECT_EQ(up, down);
  EXPECT_EQ(up.refused(), 5U);
}

TEST(ReportCodec, BringsBackWhatWasEncoded) {
  for (int seed = 0; seed < kSeeds; ++seed) {
    Rng rng(static_cast<std::uint64_t>(seed));
    const HostReport report = random_report(rng, PeerName(7));

    const auto decoded = decode_message(encode_report(report));

    ASSERT_TRUE(decoded.ok()) << decoded.error().what;
    EXPECT_EQ(std::get<HostReport>(decoded.value()), report) << "seed " << seed;
  }
}

TEST(ReportCodec, BringsBackAWatch) {
  const Watch watch{.lease = std::chrono::seconds(10), .interval = std::chrono::seconds(1)};

  EXPECT_EQ(std::get<Watch>(decode_message(encode_watch(watch)).value()), watch);
}

TEST(ReportCodec, RefusesALeaseThatIsTooLong) {
  const Watch watch{.lease = kLeaseMax + std::chrono::seconds(1),
                    .interval = std::chrono::seconds(1)};

  const auto decoded = decode_message(encode_watch(watch));

  ASSERT_FALSE(decoded.ok());
  EXPECT_EQ(decoded.error().code, Errc::Invalid);
  EXPECT_THAT(decoded.error().what, HasSubstr("lease"));
}

TEST(ReportCodec, RefusesAnInventedContainerPosition) {
  HostReport report;
  report.containers.resize(2);
  report.containers[0].id = "a";
  report.containers[1].id = "a";  // Not ascending: stated twice.

  const auto decoded = decode_message(encode_report(report));

  ASSERT_FALSE(decoded.ok());
  EXPECT_THAT(decoded.error().what, HasSubstr("ascending"));
}

TEST(ReportCodec, CutsProcessesBeforeConnectionsBeforeContainers) {
  HostReport report;
  report.containers.resize(1);
  report.containers[0].id = "a";
  for (std::uint32_t i = 0; i < 1000; ++i) {
    report.processes.push_back({.pid = i + 1, .name = "a process with a long name"});
    FlowKey key;
    key.pid = i;
    report.flows[key] = {};
  }
  constexpr std::size_t kRoom = 40'000;
  ASSERT_GT(encode_report(report).size(), kRoom);

  const Bytes bytes = encode_report_within(report, kRoom);

  EXPECT_LE(bytes.size(), kRoom);
  const auto kept = std::get<HostReport>(decode_message(bytes).value());
  EXPECT_GT(kept.folded.processes, 0U);
  EXPECT_EQ(kept.folded.processes + kept.processes.size(), 1000U);
  EXPECT_THAT(kept.flows, SizeIs(1000));
  EXPECT_THAT(kept.containers, SizeIs(1));
}

TEST(ReportLimits, KeepProcessesInContainersAndCountTheRest) {
  HostReport report;
  for (std::uint32_t pid = 1; pid <= kProcessesMax + 10; ++pid) {
    ProcessFacts process;
    process.pid = pid;
    process.container = pid > kProcessesMax ? "c" : "";
    report.processes.push_back(process);
  }

  enforce_limits(report);

  ASSERT_THAT(report.processes, SizeIs(kProcessesMax));
  EXPECT_EQ(report.folded.processes, 10U);
  EXPECT_EQ(report.processes.back().pid, kProcessesMax + 10);
  EXPECT_EQ(report.processes.front().pid, 1U);
}

TEST(ReportLimits, KeepSoManyPathsAndCountTheRest) {
  HostReport report;
  for (std::uint64_t peer = 1; peer <= kPathsMax + 3; ++peer) {
    report.overlay.paths.push_back({.peer = PeerName(peer), .way = "clear", .via = {}});
  }
  EXPECT_FALSE(decode_message(encode_report(report)).ok());

  enforce_limits(report);

  EXPECT_EQ(report.overlay.paths.size(), kPathsMax);
  EXPECT_EQ(report.folded.others, 3U);
  EXPECT_TRUE(decode_message(encode_report(report)).ok());
}

TEST(ReportLimits, KeepSoManyNamesOfAddressesAndCountTheRest) {
  HostReport report;
  for (std::uint32_t i = 0; i < kNamesMax + 2; ++i) {
    report.names.emplace(Ip(Ipv4(i)), "example.org");
  }
  EXPECT_FALSE(decode_message(encode_report(report)).ok());

  enforce_limits(report);

  EXPECT_EQ(report.names.size(), kNamesMax);
  EXPECT_EQ(report.folded.others, 2U);
  EXPECT_TRUE(decode_message(encode_report(report)).ok());
}

TEST(ReportLimits, MakeAnyBytesOfANameText) {
  HostReport report;
  report.host.name = "a\xff\xc3(\n\xe2\x82\xac";
  report.processes.push_back(
      {.pid = 1, .command = std::string(kTextMax - 1, 'x') + "\xe2\x82\xac"});

  enforce_limits(report);

  EXPECT_EQ(report.host.name,
            "a?"
            "?( \xe2\x82\xac");
  EXPECT_EQ(report.processes.front().command, std::string(kTextMax - 1, 'x'));
  EXPECT_TRUE(decode_message(encode_report(report)).ok());
}

}  // namespace
}  // namespace weft::probe
