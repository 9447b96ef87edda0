#include "probe/io/sampler.h"

#include <algorithm>
#include <optional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sys/fake/fake_probe.h"

namespace weft::probe {
namespace {

using testing::Contains;
using testing::Field;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

const std::string kId(64, 'a');

class SettableClock final : public sys::Clock {
 public:
  TimePoint now() const override { return at; }
  TimePoint at{};
};

class SamplerTest : public testing::Test {
 protected:
  SamplerTest() {
    auto processes = std::make_unique<sys::FakeProcesses>();
    auto groups = std::make_unique<sys::FakeGroups>();
    auto sockets = std::make_unique<sys::FakeSockets>();
    auto connections = std::make_unique<sys::FakeConnections>();
    auto tracks = std::make_unique<sys::FakeTracks>();
    connections_ = connections.get();
    tracks_ = tracks.get();
    processes_ = processes.get();
    groups_ = groups.get();
    groups_->present["/docker/" + kId] = {.cpu = std::chrono::seconds(1), .memory_bytes = 1000};
    sockets_ = sockets.get();
    ObservedProcess process;
    process.pid = 42;
    process.netns = 99;
    process.cgroup = "/docker/" + kId;
    processes_->present[42] = process;
    processes_->holders[7] = 42;
    sockets_->present[42] = {{.local = Endpoint::parse("10.0.0.1:40000").value(),
                              .remote = Endpoint::parse("10.0.0.2:80").value(),
                              .inode = 7,
                              .cookie = 70}};
    sampler_.emplace(
        clock_,
        Sampler::Sources{.processes = std::move(processes),
                         .groups = std::move(groups),
                         .sockets = std::move(sockets),
                         .connections = std::move(connections),
                         .tracks = std::move(tracks),
                         .engine = [this](const std::string& target) { return answer(target); }});
  }

  Result<sys::HttpResponse> answer(const std::string& target) {
    ++asked_;
    if (engine_gone_) {
      return Error{Errc::Unavailable, "nothing listens"};
    }
    const bool is_list = target.starts_with("/containers/json");
    return sys::HttpResponse{
        .status = 200,
        .body = is_list
                    ? R"([{"Id":")" + kId + R"(","Names":["/web"],"State":")" + state_ + R"("}])"
                    : R"({"Config":{"Hostname":"web1"}})"};
  }

  Sample take() {
    auto sample = sampler_->take();
    EXPECT_TRUE(sample.ok());
    clock_.at += std::chrono::seconds(1);
    return std::move(sample).value();
  }

  SettableClock clock_;
  sys::FakeProcesses* processes_ = nullptr;
  sys::FakeGroups* groups_ = nullptr;
  sys::FakeSockets* sockets_ = nullptr;
  sys::FakeConnections* connections_ = nullptr;
  sys::FakeTracks* tracks_ = nullptr;
  int asked_ = 0;
  bool engine_gone_ = false;
  std::string state_ = "running";
  std::optional<Sampler> sampler_;
};

TEST_F(SamplerTest, PutsTogetherWhatTheSourcesSay) {
  const Sample sample = take();

  EXPECT_THAT(sample.owners, Contains(Pair(7, 42)));
  EXPECT_THAT(sample.namespaces, SizeIs(2));  // Ours, and the process's.
  ASSERT_THAT(sample.containers, SizeIs(1));
  EXPECT_EQ(sample.containers.front().hostname, "web1");
  EXPECT_THAT(sample.sources, testing::Each(Field(&SourceFacts::working, true)));
}

SourceFacts source(const Sample& sample, const std::string& name) {
  const auto found = std::find_if(sample.sources.begin(),
                                  sample.sources.end(),
                                  [&](const SourceFacts& one) { return one.name == name; });
  return found == sample.sources.end() ? SourceFacts{} : *found;
}

TEST_F(SamplerTest, ReadsTheControlGroupsOfContainersAlone) {
  ObservedProcess process;
  process.pid = 43;
  process.cgroup = "/user.slice";
  processes_->present[43] = process;
  process.pid = 44;
  process.cgroup = "/docker/" + kId + "/nested";
  processes_->present[44] = process;
  groups_->present["/user.slice"] = {.cpu = std::chrono::seconds(9)};

  const Sample sample = take();

  ASSERT_THAT(sample.groups, SizeIs(1));
  EXPECT_EQ(sample.groups.begin()->first, "/docker/" + kId);
  EXPECT_EQ(source(sample, "cgroup").detail, "cgroup v2: CPU, memory of containers");
}

TEST_F(SamplerTest, SaysOfHowManyContainersProcessesAreSummedUp) {
  groups_->present.begin()->second.memory_bytes.reset();
  ObservedProcess process;
  process.pid = 43;
  process.cgroup = "/docker/" + std::string(64, 'b');
  processes_->present[43] = process;

  const Sample sample = take();

  EXPECT_THAT(source(sample, "cgroup").detail,
              testing::EndsWith("; sums over processes: CPU of 1, memory of 2"));
}

TEST_F(SamplerTest, DoesWithoutControlGroupsAndTriesAgainAfterARest) {
  groups_->refuses = true;

  const Sample without = take();
  groups_->refuses = false;
  sampler_->rest();
  const Sample with = take();

  EXPECT_THAT(without.groups, IsEmpty());
  EXPECT_FALSE(source(without, "cgroup").working);
  EXPECT_THAT(with.groups, SizeIs(1));
  EXPECT_TRUE(source(with, "cgroup").working);
}

class QuietNamespaces : public SamplerTest {
 protected:
  QuietNamespaces() {
    for (std::uint32_t pid = kFirst; pid < kFirst + kMany; ++pid) {
      ObservedProcess process;
      process.pid = pid;
      process.netns = pid;
      processes_->present[pid] = process;
      sockets_->present[pid] = {
          {.listening = true, .local = Endpoint::parse("0.0.0.0:80").value(), .inode = pid}};
    }
    (void)take();
  }

  std::size_t dumps() const {
    std::size_t sum = 0;
    for (std::uint32_t pid = kFirst; pid < kFirst + kMany; ++pid) {
      sum += sockets_->dumps[pid];
    }
    return sum;
  }

  static const std::vector<ObservedSocket>& sockets_of(const Sample& sample, std::uint64_t netns) {
    const auto found = std::find_if(sample.namespaces.begin(),
                                    sample.namespaces.end(),
                                    [&](const auto& one) { return one.netns == netns; });
    EXPECT_NE(found, sample.namespaces.end());
    return found->sockets;
  }

  static constexpr std::uint32_t kFirst = 100;
  static constexpr std::uint32_t kMany = 40;
};

TEST_F(QuietNamespaces, AreLookedIntoInTurnsAndShownAlways) {
  for (int look = 0; look < 20; ++look) {
    const Sample sample = take();

    EXPECT_THAT(sample.namespaces, SizeIs(kMany + 2));
    EXPECT_THAT(sockets_of(sample, kFirst), SizeIs(1));
  }

  for (const auto& [pid, count] : sockets_->dumps) {
    EXPECT_EQ(count, pid < kFirst ? 21U : 2U) << pid;
  }
}

TEST_F(QuietNamespaces, AreLookedIntoAtOnceWhereBpfHasSeenAnything) {
  constexpr std::uint32_t kWoken = kFirst + kMany - 1;
  ObservedConnections connections;
  connections.netns = kWoken;
  connections_->happened = {connections};
  const std::size_t before = sockets_->dumps[kWoken];
  sockets_->present[kWoken].push_back(sockets_->present[42].front());

  const Sample sample = take();
  EXPECT_EQ(sockets_->dumps[kWoken], before + 1);
  EXPECT_THAT(sockets_of(sample, kWoken), SizeIs(2));

  // With something connected it is looked into each time.
  (void)take();
  EXPECT_EQ(sockets_->dumps[kWoken], before + 2);
}

TEST_F(QuietNamespaces, AreLookedIntoEachTimeWhereBpfDoesNotSeeAll) {
  const std::size_t before = dumps();
  connections_->missing = "no cgroup2 is mounted";

  (void)take();

  EXPECT_EQ(dumps(), before + kMany);
}

TEST_F(SamplerTest, LooksThroughDescriptorsOnlyForSocketsItHasNotSeen) {
  (void)take();
  (void)take();
  EXPECT_EQ(processes_->walks, 1U);

  sockets_->present[42].push_back(sockets_->present[42].front());
  sockets_->present[42].back().inode = 8;
  const Sample sample = take();

  EXPECT_EQ(processes_->walks, 2U);
  EXPECT_THAT(sample.owners, Contains(Pair(7, 42)));
}

TEST_F(SamplerTest, DoesNotSeekASocketNobodyHoldsAtEachLook) {
  processes_->holders.clear();
  for (int look = 0; look < 8; ++look) {
    (void)take();
  }

  EXPECT_EQ(processes_->walks, 1U);
}

TEST_F(SamplerTest, AsksTheEngineOnlyWhenContainersComeOrGoOrSometimes) {
  (void)take();
  const int first = asked_;
  (void)take();
  EXPECT_EQ(asked_, first);

  processes_->present[43] = processes_->present[42];
  processes_->present[43].pid = 43;
  processes_->present[43].cgroup = "/docker/" + std::string(64, 'b');
  (void)take();

  EXPECT_EQ(asked_, first + 1) << "the host name of a known container is not asked for again";
}

TEST_F(SamplerTest, AsksAgainUntilTheEngineKnowsThatAContainerHasEnded) {
  (void)take();
  processes_->present.erase(42);
  EXPECT_EQ(take().containers.at(0).state, ContainerState::Running);

  state_ = "exited";
  EXPECT_NE(take().containers.at(0).state, ContainerState::Running);
  const int asked = asked_;
  (void)take();
  EXPECT_EQ(asked_, asked) << "it has ended, and the engine says so";
}

TEST_F(SamplerTest, DoesNotAskAtEachLookForAContainerWhoseProcessesItNeverSees) {
  processes_->present.erase(42);
  (void)take();
  const int asked = asked_;
  (void)take();
  EXPECT_EQ(asked_, asked);
}

TEST_F(SamplerTest, SaysWhichSourceDoesNotWorkAndGoesOn) {
  engine_gone_ = true;
  sockets_->denied = true;

  const Sample sample = take();

  EXPECT_THAT(sample.containers, IsEmpty());
  EXPECT_THAT(sample.processes, SizeIs(1));
  EXPECT_THAT(sample.sources,
              Contains(testing::AllOf(Field(&SourceFacts::name, "docker"),
                                      Field(&SourceFacts::working, false))));
  EXPECT_THAT(sample.sources,
              Contains(testing::AllOf(Field(&SourceFacts::name, "sock_diag"),
                                      Field(&SourceFacts::working, false))));
}

TEST_F(SamplerTest, TakesConnectionsFromBpfAndKnowsWhoOpenedThemWithoutLookingThroughDescriptors) {
  connections_->openings[70] = {.opened = Opened::Here, .pid = 41};
  connections_->happened = {{.netns = 99, .opened = 3, .closed = 2}};

  const Sample sample = take();

  EXPECT_THAT(sample.connections, SizeIs(1));
  EXPECT_THAT(sample.owners, Contains(Pair(7, 41)));
  EXPECT_EQ(processes_->walks, 0U);
  EXPECT_EQ(sample.namespaces.front().sockets.front().opened, Opened::Here);
  EXPECT_EQ(sockets_->last_wanted, sys::SocketSource::Wanted::Live)
      << "BPF has counted what has ended";
}

TEST_F(SamplerTest, SeeksWhoAcceptedOnlyIfTheConnectionLasts) {
  connections_->openings[70] = {.opened = Opened::There, .pid = 0};

  EXPECT_THAT(take().owners, IsEmpty());
  EXPECT_THAT(take().owners, Contains(Pair(7, 42)));
  EXPECT_EQ(processes_->walks, 1U);
}

TEST_F(SamplerTest, LooksAtSocketsAloneWhenBpfIsRefusedAndSaysWhy) {
  connections_->refuses = true;

  const Sample sample = take();

  EXPECT_THAT(sample.owners, Contains(Pair(7, 42)));
  EXPECT_EQ(sockets_->last_wanted, sys::SocketSource::Wanted::Recent);
  EXPECT_THAT(
      sample.sources,
      Contains(testing::AllOf(Field(&SourceFacts::name, "bpf"),
                              Field(&SourceFacts::working, false),
                              Field(&SourceFacts::detail, testing::HasSubstr("not permitted")))));
}

TEST_F(SamplerTest, StopsCountingWhenNobodyLooksAndBeginsAnew) {
  (void)take();
  EXPECT_TRUE(connections_->counts);

  sampler_->rest();
  EXPECT_FALSE(connections_->counts);

  (void)take();
  EXPECT_TRUE(connections_->counts);
}

TEST(TrackPause, IsTheLongerTheDearerTheTableIs) {
  EXPECT_EQ(track_pause(std::chrono::microseconds(900)), Duration::zero());
  EXPECT_EQ(track_pause(std::chrono::milliseconds(2)), std::chrono::seconds(1));
  EXPECT_EQ(track_pause(std::chrono::seconds(1)), std::chrono::seconds(60));
}

TEST_F(SamplerTest, ReadsWhatIsTrackedOnlyAfterSomethingBeganToTalk) {
  (void)take();
  tracks_->present = {{.transport = Transport::Udp}};
  const Sample quiet = take();
  connections_->happened = {{.netns = 99, .opened = 1}};

  const Sample stirred = take();

  EXPECT_THAT(quiet.tracks, IsEmpty());
  EXPECT_THAT(stirred.tracks, SizeIs(1));
  clock_.at += std::chrono::seconds(60);
  tracks_->present.clear();
  EXPECT_THAT(take().tracks, IsEmpty()) << "once a minute in any case";
}

TEST_F(SamplerTest, TakesWhatIsTrackedAndSaysWhenThatDoesNotWork) {
  connections_->refuses = true;  // Nothing else tells whether there is anything new.
  tracks_->present = {{.transport = Transport::Udp}};
  EXPECT_THAT(sampler_->take().value().tracks, SizeIs(1));
  tracks_->refuses = true;

  const Sample sample = sampler_->take().value();

  EXPECT_THAT(sample.tracks, IsEmpty());
  EXPECT_THAT(sample.sources,
              Contains(SourceFacts{.name = "conntrack",
                                   .working = false,
                                   .detail = "ask for tracked connections: not supported"}));
}

}  // namespace
}  // namespace weft::probe
