#include "probe/tracker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::probe {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;

constexpr std::uint64_t kHostNetns = 1;
constexpr std::uint64_t kNetns = 2;
const std::string kContainer(64, 'a');

Endpoint endpoint(const char* text) {
  return Endpoint::parse(text).value();
}

ObservedSocket listening(const char* local) {
  return {.listening = true, .local = endpoint(local)};
}

ObservedSocket connected(const char* local, const char* remote, std::uint64_t inode) {
  return {.local = endpoint(local), .remote = endpoint(remote), .inode = inode};
}

ObservedProcess process(std::uint32_t pid, Duration cpu) {
  ObservedProcess out;
  out.pid = pid;
  out.started_ticks = 5;
  out.name = "server";
  out.command = "server";
  out.cgroup = "/docker/" + kContainer;
  out.cpu = cpu;
  out.rss_bytes = 1000;
  out.netns = kNetns;
  return out;
}

Sample sample(Duration at, std::vector<ObservedSocket> sockets) {
  Sample out;
  out.at = TimePoint(at);
  out.host_netns = kHostNetns;
  out.host.cpu_count = 2;
  out.namespaces = {{.netns = kNetns, .sockets = std::move(sockets)}};
  return out;
}

TEST(Tracker, CallsTheEndThatListensTheServer) {
  Tracker tracker;

  const HostReport report =
      tracker.digest(sample(1s,
                            {listening("0.0.0.0:80"),
                             connected("10.0.0.1:80", "10.0.0.2:40000", 7),
                             connected("10.0.0.1:40001", "10.0.0.3:443", 8)}));

  ASSERT_THAT(report.flows, SizeIs(2));
  const FlowKey& out = report.flows.begin()->first;
  const FlowKey& in = report.flows.rbegin()->first;
  EXPECT_EQ(out.direction, Direction::Outbound);
  EXPECT_EQ(out.port, 443);
  EXPECT_EQ(in.direction, Direction::Inbound);
  EXPECT_EQ(in.port, 80);
}

TEST(Tracker, TellsBothEndsOfALoopbackConnectionApart) {
  Tracker tracker;

  const HostReport report =
      tracker.digest(sample(1s,
                            {listening("127.0.0.1:5432"),
                             connected("127.0.0.1:5432", "127.0.0.1:40000", 7),
                             connected("127.0.0.1:40000", "127.0.0.1:5432", 8)}));

  ASSERT_THAT(report.flows, SizeIs(2));
  EXPECT_EQ(report.flows.begin()->first.direction, Direction::Outbound);
  EXPECT_EQ(report.flows.rbegin()->first.direction, Direction::Inbound);
  EXPECT_EQ(report.flows.begin()->first.port, 5432);
  EXPECT_EQ(report.flows.rbegin()->first.port, 5432);
}

TEST(Tracker, RemembersAListenerThatHasJustClosed) {
  Tracker tracker;
  (void)tracker.digest(
      sample(1s, {listening("0.0.0.0:50000"), connected("10.0.0.1:50000", "10.0.0.2:443", 7)}));

  const HostReport soon =
      tracker.digest(sample(30s, {connected("10.0.0.1:50000", "10.0.0.2:443", 7)}));
  const HostReport later =
      tracker.digest(sample(120s, {connected("10.0.0.1:50000", "10.0.0.2:443", 7)}));

  EXPECT_EQ(soon.flows.begin()->first.direction, Direction::Inbound);
  EXPECT_EQ(later.flows.begin()->first.direction, Direction::Outbound);
}

TEST(Tracker, MakesOneFlowOfManyConnectionsToOnePort) {
  Tracker tracker;
  std::vector<ObservedSocket> sockets;
  for (std::uint16_t i = 0; i < 1000; ++i) {
    ObservedSocket socket = connected("10.0.0.1:1", "10.0.0.2:80", 100U + i);
    socket.local.port = static_cast<std::uint16_t>(40000 + i);
    sockets.push_back(socket);
  }

  const HostReport report = tracker.digest(sample(1s, sockets));

  ASSERT_THAT(report.flows, SizeIs(1));
  EXPECT_EQ(report.flows.begin()->second.count, 1000U);
}

TEST(Tracker, TurnsBytesIntoRates) {
  Tracker tracker;
  ObservedSocket socket = connected("10.0.0.1:40000", "10.0.0.2:80", 7);
  socket.bytes_sent = 1000;
  socket.bytes_received = 10;
  const HostReport first = tracker.digest(sample(10s, {socket}));
  socket.bytes_sent = 5000;
  socket.bytes_received = 30;
  ObservedSocket newer = connected("10.0.0.1:40001", "10.0.0.2:80", 8);
  newer.bytes_sent = 600;

  const HostReport second = tracker.digest(sample(12s, {socket, newer}));

  EXPECT_EQ(first.flows.begin()->second.sent_per_second, 0U);
  EXPECT_EQ(second.flows.begin()->second.sent_per_second, (4000U + 600U) / 2);
  EXPECT_EQ(second.flows.begin()->second.received_per_second, 10U);
}

TEST(Tracker, CountsPacketsOfWhatIsOpenAndOfWhatHasEndedOnce) {
  Tracker tracker;
  ObservedSocket socket = connected("10.0.0.1:40000", "10.0.0.2:80", 7);
  socket.opened = Opened::Here;
  (void)tracker.digest(sample(1s, {socket}));
  socket.packets_sent = 30;
  socket.packets_received = 20;
  const HostReport open = tracker.digest(sample(2s, {socket}));
  Sample third = sample(3s, {});
  ObservedConnections closed;
  closed.opening.opened = Opened::Here;
  closed.netns = kNetns;
  closed.local = socket.local.address;
  closed.remote = socket.remote.address;
  closed.port = socket.remote.port;
  closed.closed = 1;
  closed.packets_sent = 32;
  closed.packets_received = 21;
  third.connections = {closed};

  const HostReport ended = tracker.digest(third);

  ASSERT_THAT(open.flows, SizeIs(1));
  EXPECT_EQ(open.flows.begin()->second.packets_sent, 30U);
  EXPECT_EQ(open.flows.begin()->second.packets_received, 20U);
  std::uint64_t sent = 0;
  for (const auto& [key, facts] : ended.flows) {
    sent += facts.packets_sent;
  }
  EXPECT_EQ(sent, 32U);
}

TEST(Tracker, LeavesOutSegmentsWhoseCounterHasBegunAnew) {
  Tracker tracker;
  ObservedSocket socket = connected("10.0.0.1:40000", "10.0.0.2:80", 7);
  socket.packets_sent = 0xffffffff;
  (void)tracker.digest(sample(1s, {socket}));
  socket.bytes_sent = 100;
  socket.packets_sent = 5;
  socket.packets_received = 2;

  const HostReport report = tracker.digest(sample(2s, {socket}));

  const auto& facts = report.flows.begin()->second;
  EXPECT_EQ(facts.sent, 100U);
  EXPECT_EQ(facts.packets_sent, 0U);
  EXPECT_EQ(facts.packets_received, 2U);
}

TEST(Tracker, GivesConnectionsToTheContainerOfTheirNamespace) {
  Tracker tracker;
  Sample look = sample(1s, {connected("10.0.0.1:40000", "10.0.0.2:80", 7)});
  look.processes = {process(42, 0s)};
  look.owners = {{7, 42}};
  look.containers.resize(1);
  look.containers[0].id = kContainer;

  const HostReport report = tracker.digest(look);

  EXPECT_EQ(report.flows.begin()->first.container, kContainer);
  EXPECT_EQ(report.flows.begin()->first.pid, 42U);
  EXPECT_EQ(report.processes.front().container, kContainer);
  EXPECT_EQ(report.containers.front().process_count, 1U);
}

TEST(Tracker, ShowsAContainerThatOnlyItsCgroupTells) {
  Tracker tracker;
  Sample look = sample(1s, {});
  look.processes = {process(42, 0s)};

  const HostReport report = tracker.digest(look);

  ASSERT_THAT(report.containers, SizeIs(1));
  EXPECT_EQ(report.containers.front().id, kContainer);
  EXPECT_EQ(report.containers.front().name, kContainer.substr(0, 12));
}

TEST(Tracker, MeasuresCpuBetweenTwoLooks) {
  Tracker tracker;
  Sample look = sample(10s, {});
  look.processes = {process(42, 5s)};
  (void)tracker.digest(look);
  look = sample(12s, {});
  look.processes = {process(42, 6s)};

  const HostReport report = tracker.digest(look);

  EXPECT_DOUBLE_EQ(report.processes.front().usage.cpu_percent, 50);
  EXPECT_DOUBLE_EQ(report.containers.front().usage.cpu_percent, 50);
}

TEST(Tracker, CountsWhatBeganBetweenTwoLooksThoughItHasEndedSince) {
  Tracker tracker;
  Sample look = sample(10s, {});
  look.host.forks = 1000;
  EXPECT_EQ(tracker.digest(look).host.forks_per_second, 0U);
  look = sample(12s, {});
  look.host.forks = 1300;

  const HostReport report = tracker.digest(look);

  EXPECT_EQ(report.host.forks_per_second, 150U);
  EXPECT_EQ(report.host.forks, 1300U);
}

TEST(Tracker, TakesWhatSharesARootOfItsOwnForAContainer) {
  Tracker tracker;
  Sample look = sample(10s, {});
  look.host.name = "h1";
  look.processes = {process(42, 5s), process(43, 5s), process(44, 5s)};
  for (ObservedProcess& one : look.processes) {
    one.cgroup = "/user.slice";
  }
  look.processes[0].root = look.processes[1].root = "801-2";
  look.processes[0].name = "Apptainer";

  const HostReport report = tracker.digest(look);

  ASSERT_THAT(report.containers, SizeIs(1));
  EXPECT_EQ(report.containers.front().name, "Apptainer");
  EXPECT_EQ(report.containers.front().process_count, 2U);
  EXPECT_EQ(report.processes[1].container, report.containers.front().id);
  EXPECT_EQ(report.processes[2].container, "");
}

TEST(Tracker, SumsUpTheDescriptorsOfAContainer) {
  Tracker tracker;
  Sample look = sample(10s, {});
  look.processes = {process(42, 5s), process(43, 5s)};
  look.processes[0].descriptor_count = 7;
  look.processes[0].descriptor_max = 1024;
  look.processes[1].descriptor_count = 4;

  const HostReport report = tracker.digest(look);

  EXPECT_EQ(report.processes.front().descriptor_count, 7U);
  EXPECT_EQ(report.processes.front().descriptor_max, 1024U);
  EXPECT_EQ(report.containers.front().descriptor_count, 11U);
}

TEST(Tracker, MeasuresCpuOfAProcessAtRestSinceItWasLastRead) {
  Tracker tracker;
  Sample look = sample(10s, {});
  look.processes = {process(42, 5s)};
  (void)tracker.digest(look);
  look.at = TimePoint(12s);
  look.processes[0].remembered = true;
  const HostReport resting = tracker.digest(look);
  look.at = TimePoint(14s);
  look.processes = {process(42, 6s)};

  const HostReport report = tracker.digest(look);

  EXPECT_DOUBLE_EQ(resting.processes.front().usage.cpu_percent, 0);
  EXPECT_DOUBLE_EQ(report.processes.front().usage.cpu_percent, 25);
}

TEST(Tracker, DoesNotTakeAReusedPidForItsPredecessor) {
  Tracker tracker;
  Sample look = sample(10s, {});
  look.processes = {process(42, 500ms)};
  (void)tracker.digest(look);
  look = sample(12s, {});
  look.processes = {process(42, 1s)};
  look.processes[0].started_ticks = 999;

  const HostReport report = tracker.digest(look);

  EXPECT_DOUBLE_EQ(report.processes.front().usage.cpu_percent, 50);
}

TEST(Tracker, LeavesKernelThreadsOut) {
  Tracker tracker;
  Sample look = sample(1s, {});
  look.processes = {process(2, 0s)};
  look.processes[0].command.clear();
  look.processes[0].rss_bytes = 0;

  EXPECT_THAT(tracker.digest(look).processes, IsEmpty());
}

ObservedConnections ended(std::uint64_t count, std::uint64_t bytes_sent) {
  ObservedConnections out;
  out.opening = {.opened = Opened::Here, .pid = 10};
  out.netns = kNetns;
  out.local = endpoint("10.0.0.1:1").address;
  out.remote = endpoint("10.0.0.2:1").address;
  out.port = 80;
  out.opened = out.closed = count;
  out.bytes_sent = bytes_sent;
  return out;
}

TEST(Tracker, CountsConnectionsThatCameAndWentBetweenTwoLooks) {
  Tracker tracker;
  (void)tracker.digest(sample(1s, {}));
  Sample second = sample(2s, {});
  second.processes = {process(10, 0s)};
  second.connections = {ended(5000, 25000)};

  const HostReport report = tracker.digest(second);

  ASSERT_THAT(report.flows, SizeIs(1));
  const auto& [key, facts] = *report.flows.begin();
  EXPECT_EQ(key.direction, Direction::Outbound);
  EXPECT_EQ(key.pid, 10U);
  EXPECT_EQ(key.container, kContainer);
  EXPECT_EQ(facts.count, 5000U);
  EXPECT_EQ(facts.opened, 5000U);
  EXPECT_EQ(facts.sent_per_second, 25000U);
}

TEST(Tracker, GivesConnectionsOfProcessesThatAreGoneToTheirContainer) {
  Tracker tracker;
  Sample look = sample(1s, {});
  look.processes = {process(11, 0s)};
  look.connections = {ended(3, 0)};

  const HostReport report = tracker.digest(look);

  ASSERT_THAT(report.flows, SizeIs(1));
  EXPECT_EQ(report.flows.begin()->first.pid, 0U);
  EXPECT_EQ(report.flows.begin()->first.container, kContainer);
}

TEST(Tracker, CountsTheBytesOfAConnectionOnceWhenItIsSeenLiveAndThenClosed) {
  Tracker tracker;
  ObservedSocket socket = connected("10.0.0.1:40000", "10.0.0.2:80", 7);
  socket.opened = Opened::Here;
  socket.bytes_sent = 100;
  Sample live = sample(2s, {socket});
  live.processes = {process(10, 0s)};
  live.owners = {{7, 10}};
  Sample closed = sample(3s, {});
  closed.processes = {process(10, 0s)};
  closed.connections = {ended(1, 150)};
  (void)tracker.digest(sample(1s, {}));

  const HostReport first = tracker.digest(live);
  const HostReport second = tracker.digest(closed);

  EXPECT_EQ(first.flows.begin()->second.sent, 100U);
  EXPECT_EQ(second.flows.begin()->second.sent_per_second, 50U);
}

TEST(Tracker, NoLongerShowsAConnectionThatHasEndedSinceItWasShown) {
  Tracker tracker;
  ObservedSocket socket = connected("10.0.0.1:40000", "10.0.0.2:80", 7);
  socket.opened = Opened::Here;
  (void)tracker.digest(sample(1s, {socket}));
  Sample closed = sample(2s, {});
  closed.connections = {ended(1, 0)};
  closed.connections[0].closed = 3;

  const HostReport report = tracker.digest(closed);

  EXPECT_EQ(report.flows.begin()->second.count, 2U) << "two came and went between the looks";
}

TEST(Tracker, CountsTheBytesOnceWhenAConnectionEndsWhileWeLook) {
  Tracker tracker;
  ObservedSocket socket = connected("10.0.0.1:40000", "10.0.0.2:80", 7);
  socket.opened = Opened::Here;
  socket.bytes_sent = 100;
  Sample live = sample(2s, {socket});
  live.owners = {{7, 10}};
  live.processes = {process(10, 0s)};
  Sample later = sample(4s, {});
  later.processes = live.processes;
  later.connections = {ended(1, 150)};
  (void)tracker.digest(sample(1s, {}));
  (void)tracker.digest(live);

  (void)tracker.digest(sample(3s, {}));
  const HostReport report = tracker.digest(later);

  EXPECT_EQ(report.flows.begin()->second.sent_per_second, 50U);
}

TEST(Tracker, ShowsAnEdgeThatEndedJustBeforeAnEarlyLookAndDropsItAtTheNext) {
  Tracker tracker;
  (void)tracker.digest(sample(1s, {}));
  Sample second = sample(2s, {});
  second.connections = {ended(1, 10)};
  (void)tracker.digest(second);

  const HostReport early = tracker.digest(sample(2100ms, {}));
  const HostReport next = tracker.digest(sample(3s, {}));

  ASSERT_THAT(early.flows, SizeIs(1));
  EXPECT_EQ(early.flows.begin()->second.count, 0U);
  EXPECT_EQ(early.flows.begin()->second.opened, 1U);
  EXPECT_THAT(next.flows, IsEmpty());
}

TEST(Tracker, NamesWhoListensAsTheServerOfConnectionsThatHaveEnded) {
  Tracker tracker;
  ObservedSocket listener = listening("0.0.0.0:80");
  listener.inode = 5;
  Sample look = sample(1s, {listener});
  look.processes = {process(10, 0s)};
  look.owners = {{5, 10}};
  ObservedConnections served = ended(4, 0);
  served.opening = {.opened = Opened::There, .pid = 0};
  look.connections = {served};

  const HostReport report = tracker.digest(look);

  ASSERT_THAT(report.flows, SizeIs(1));
  EXPECT_EQ(report.flows.begin()->first.direction, Direction::Inbound);
  EXPECT_EQ(report.flows.begin()->first.pid, 10U);
}

TEST(Tracker, LeavesOutWhatBelongsToNamespacesOfNobodyHere) {
  Tracker tracker;
  Sample look = sample(1s, {});
  look.connections = {ended(4, 0)};
  look.connections.front().netns = 77;

  EXPECT_THAT(tracker.digest(look).flows, IsEmpty());
}

// A container at 172.17.0.2 on a host at 10.0.0.1.
Sample tracked(Duration at, std::vector<ObservedTrack> tracks) {
  Sample out = sample(at, {});
  out.processes = {process(42, 1s)};
  ContainerFacts container;
  container.id = kContainer;
  container.addresses = {Ip::parse("172.17.0.2").value()};
  out.containers = {container};
  out.host.addresses = {Cidr::parse("10.0.0.1/24").value()};
  out.tracks = std::move(tracks);
  return out;
}

ObservedTrack track(const char* client, const char* asked, const char* server) {
  return {.transport = Transport::Udp,
          .client = endpoint(client),
          .asked = endpoint(asked),
          .server = endpoint(server)};
}

TEST(Tracker, KnowsDatagramsOfItsContainersFromConnectionTracking) {
  Tracker tracker;

  const HostReport report =
      tracker.digest(tracked(1s, {track("172.17.0.2:4000", "8.8.8.8:53", "8.8.8.8:53")}));

  ASSERT_THAT(report.flows, SizeIs(1));
  const auto& [key, flow] = *report.flows.begin();
  EXPECT_EQ(key.transport, Transport::Udp);
  EXPECT_EQ(key.direction, Direction::Outbound);
  EXPECT_EQ(key.container, kContainer);
  EXPECT_EQ(key.netns, kNetns);
  EXPECT_EQ(key.remote, Ip::parse("8.8.8.8").value());
  EXPECT_EQ(key.port, 53);
  EXPECT_EQ(flow.count, 1U);
}

TEST(Tracker, CountsDatagramsBetweenTwoLooksFromBothEndsOfThisHost) {
  Tracker tracker;
  ObservedTrack one = track("10.0.0.1:4000", "172.17.0.2:53", "172.17.0.2:53");
  one.bytes_sent = 100;
  (void)tracker.digest(tracked(1s, {one}));
  one.bytes_sent = 300;
  one.bytes_received = 50;

  const HostReport report = tracker.digest(tracked(2s, {one}));

  ASSERT_THAT(report.flows, SizeIs(2));
  EXPECT_EQ(report.flows.begin()->first.direction, Direction::Outbound);
  EXPECT_EQ(report.flows.begin()->second.sent_per_second, 200U);
  EXPECT_EQ(report.flows.rbegin()->first.container, kContainer);
  EXPECT_EQ(report.flows.rbegin()->second.received_per_second, 200U);
  EXPECT_EQ(report.flows.rbegin()->second.sent_per_second, 50U);
}

TEST(Tracker, LeavesDatagramsToTheSocketsThatTellOfThem) {
  Tracker tracker;
  Sample look = tracked(1s, {track("172.17.0.2:4000", "8.8.8.8:53", "8.8.8.8:53")});
  ObservedSocket socket = connected("172.17.0.2:4000", "8.8.8.8:53", 7);
  socket.transport = Transport::Udp;
  look.namespaces = {{.netns = kNetns, .sockets = {socket}}};

  const HostReport report = tracker.digest(look);

  ASSERT_THAT(report.flows, SizeIs(1));
  EXPECT_EQ(report.flows.begin()->second.count, 1U);
}

// What BPF counts of datagrams between a socket that is bound to no address and a peer.
ObservedConnections said(Opened opened, const char* remote, std::uint16_t port, std::uint32_t pid) {
  ObservedConnections out;
  out.transport = Transport::Udp;
  out.opening = {.opened = opened, .pid = pid};
  out.netns = kNetns;
  out.local = Ip::parse("0.0.0.0").value();
  out.remote = Ip::parse(remote).value();
  out.port = port;
  out.opened = 1;
  out.closed = 1;
  return out;
}

TEST(Tracker, KnowsDatagramsOfSocketsWithoutAPeerFromBpfWithTheProcess) {
  Tracker tracker;
  Sample look = tracked(1s, {});
  look.processes = {process(10, 0s)};
  look.connections = {said(Opened::Here, "10.32.0.9", 53, 10),
                      said(Opened::There, "10.32.0.8", 9000, 10)};

  const HostReport report = tracker.digest(look);

  ASSERT_THAT(report.flows, SizeIs(2));
  for (const auto& [key, flow] : report.flows) {
    EXPECT_EQ(key.pid, 10U);
    EXPECT_EQ(key.container, kContainer);
    EXPECT_EQ(key.local, Ip::parse("172.17.0.2").value()) << "the only one of its container";
    EXPECT_EQ(flow.count, 1U);
    EXPECT_EQ(flow.opened, 1U);
  }
  EXPECT_EQ(report.flows.begin()->first.port, 53);
  EXPECT_EQ(report.flows.rbegin()->first.direction, Direction::Inbound);
}

TEST(Tracker, GivesConnectionsOfProcessesThatHaveEndedToTheirParentsContainer) {
  Tracker tracker;
  Sample look = sample(1s, {});
  ObservedProcess shell = process(10, 0s);
  shell.netns = kHostNetns;  // The container is on the host's network.
  look.processes = {shell};
  look.namespaces = {{.netns = kHostNetns, .sockets = {}}};
  ObservedConnections ended;
  ended.opening = {.opened = Opened::Here, .pid = 11, .parent = 10};
  ended.netns = kHostNetns;
  ended.local = ended.remote = Ip::parse("127.0.0.1").value();
  ended.port = 80;
  ended.opened = ended.closed = 3;
  look.connections = {ended};

  const HostReport report = tracker.digest(look);

  ASSERT_THAT(report.flows, SizeIs(1));
  EXPECT_EQ(report.flows.begin()->first.container, kContainer);
  EXPECT_EQ(report.flows.begin()->first.pid, 0U);
  EXPECT_EQ(report.flows.begin()->second.opened, 3U);
}

TEST(Tracker, ShowsDatagramsForSomeSecondsAndNoLongerThanTheirProcess) {
  Tracker tracker;
  Sample look = tracked(1s, {});
  look.processes = {process(10, 0s)};
  look.connections = {said(Opened::Here, "10.32.0.9", 53, 10)};
  (void)tracker.digest(look);
  look.connections.clear();

  for (const auto& [at, shown] : {std::pair(4s, 1U), std::pair(6s, 1U), std::pair(7s, 0U)}) {
    look.at = TimePoint(at);
    EXPECT_THAT(tracker.digest(look).flows, SizeIs(shown)) << at.count();
  }

  look.connections = {said(Opened::Here, "10.32.0.9", 53, 10)};
  look.at = TimePoint(8s);
  (void)tracker.digest(look);
  look.connections.clear();
  look.processes.clear();
  look.at = TimePoint(9s);
  EXPECT_THAT(tracker.digest(look).flows, IsEmpty());
}

TEST(Tracker, TakesTheOctetsOfDatagramsThatBpfTellsOfFromConnectionTracking) {
  Tracker tracker;
  ObservedTrack tracking = track("172.17.0.2:4000", "8.8.8.8:53", "8.8.8.8:53");
  Sample look = tracked(1s, {tracking});
  look.processes = {process(10, 0s)};
  look.connections = {said(Opened::Here, "8.8.8.8", 53, 10)};
  (void)tracker.digest(look);
  tracking.bytes_sent = 300;
  look.tracks = {tracking};
  look.at = TimePoint(2s);

  const HostReport report = tracker.digest(look);

  ASSERT_THAT(report.flows, SizeIs(1));
  EXPECT_EQ(report.flows.begin()->first.pid, 10U);
  EXPECT_EQ(report.flows.begin()->second.sent, 300U);
  EXPECT_EQ(report.flows.begin()->second.count, 1U);
}

TEST(Tracker, TakesTheOctetsOfDatagramsFromBpfAloneIfItKnowsThem) {
  Tracker tracker;
  ObservedTrack tracking = track("172.17.0.2:4000", "8.8.8.8:53", "8.8.8.8:53");
  Sample look = tracked(1s, {tracking});
  look.counts_octets_of_datagrams = true;
  look.processes = {process(10, 0s)};
  look.connections = {said(Opened::Here, "8.8.8.8", 53, 10)};
  (void)tracker.digest(look);
  tracking.bytes_sent = 300;  // With headers.
  look.tracks = {tracking};
  look.connections.front().opened = 0;
  look.connections.front().closed = 0;
  look.connections.front().bytes_sent = 100;
  look.connections.front().bytes_received = 40;
  look.at = TimePoint(2s);

  const HostReport report = tracker.digest(look);

  ASSERT_THAT(report.flows, SizeIs(1));
  const FlowFacts& flow = report.flows.begin()->second;
  EXPECT_EQ(flow.sent, 100U);
  EXPECT_EQ(flow.received, 40U);
  EXPECT_EQ(flow.sent_per_second, 100U);
  EXPECT_EQ(flow.count, 1U) << "of the look before";
}

TEST(Tracker, CountsAConnectedSocketForDatagramsOnceWhoeverTellsOfIt) {
  Tracker tracker;
  Sample look = tracked(1s, {});
  look.processes = {process(10, 0s)};
  (void)tracker.digest(look);
  ObservedSocket socket = connected("172.17.0.2:4000", "8.8.8.8:53", 7);
  socket.transport = Transport::Udp;
  look.namespaces = {{.netns = kNetns, .sockets = {socket}}};
  look.owners = {{7, 10}};
  look.counts_octets_of_datagrams = true;
  look.connections = {said(Opened::Here, "8.8.8.8", 53, 10)};
  look.connections.front().local = Ip::parse("172.17.0.2").value();
  look.connections.front().bytes_sent = 100;
  look.at = TimePoint(2s);

  const HostReport report = tracker.digest(look);

  ASSERT_THAT(report.flows, SizeIs(1));
  const FlowFacts& flow = report.flows.begin()->second;
  EXPECT_EQ(flow.count, 1U);
  EXPECT_EQ(flow.opened, 1U);
  EXPECT_EQ(flow.sent, 100U);
}

TEST(Tracker, LeavesOutDatagramsThatOnlyPassThrough) {
  Tracker tracker;

  const HostReport report =
      tracker.digest(tracked(1s, {track("192.0.2.1:4000", "8.8.8.8:53", "8.8.8.8:53")}));

  EXPECT_THAT(report.flows, IsEmpty());
}

TEST(Tracker, LeadsAFlowToWhoAnswersBehindATranslation) {
  Tracker tracker;
  ObservedTrack translated = track("172.17.0.2:4000", "10.0.0.1:8081", "172.17.0.3:80");
  translated.transport = Transport::Tcp;
  Sample look = tracked(1s, {translated});
  look.namespaces = {
      {.netns = kNetns, .sockets = {connected("172.17.0.2:4000", "10.0.0.1:8081", 7)}}};

  const HostReport report = tracker.digest(look);

  ASSERT_THAT(report.flows, SizeIs(1));
  EXPECT_EQ(report.flows.begin()->first.remote, Ip::parse("172.17.0.3").value());
  EXPECT_EQ(report.flows.begin()->first.port, 80);
}

TEST(Tracker, LeadsToWhoWasAskedWhereSeveralAnswerOrAnEnginePublishesThePort) {
  ObservedTrack one = track("172.17.0.2:4000", "10.0.0.1:8081", "172.17.0.3:80");
  ObservedTrack other = track("172.17.0.2:4001", "10.0.0.1:8081", "172.17.0.4:80");
  Sample spread = tracked(1s, {one, other});
  Sample published = tracked(1s, {one});
  published.containers[0].ports = {
      {.outside = endpoint("0.0.0.0:8081"), .inside = 80, .transport = Transport::Udp}};

  for (const Sample& look : {spread, published}) {
    Tracker tracker;
    const HostReport report = tracker.digest(look);
    ASSERT_THAT(report.flows, SizeIs(1));
    EXPECT_EQ(report.flows.begin()->first.remote, Ip::parse("10.0.0.1").value());
    EXPECT_EQ(report.flows.begin()->first.port, 8081);
  }
}

}  // namespace
}  // namespace weft::probe
