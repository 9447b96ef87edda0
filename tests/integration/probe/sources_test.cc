// The contract of the probe's sources, held by the kernel and by the twins alike.
#include <algorithm>
#include <iterator>
#include <memory>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/bpf/connections.h"
#include "sys/fake/fake_probe.h"
#include "sys/procfs.h"
#include "sys/sock_diag.h"
#include "tests/integration/probe/missed_runs.h"

namespace weft::sys {
namespace {

using testing::Contains;
using testing::Key;
using testing::Pair;

// A listener on the loopback and one connection to it that has carried five bytes.
struct Scene {
  Endpoint listener;
  Endpoint client;
  std::uint64_t client_inode = 0;
  std::uint32_t pid = 0;
  std::uint32_t parent = 0;
};

class World {
 public:
  World() = default;
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  virtual ~World() = default;
  virtual Scene scene() = 0;
  virtual ProcessSource& processes() = 0;
  virtual SocketSource& sockets() = 0;
  virtual ConnectionSource& connections() = 0;
  // Connects to the listener of the scene, sends five bytes, closes; so many times.
  virtual void connect_and_close(std::uint64_t times) = 0;
  // Sends a datagram of five octets to a socket without a peer, which reads it; so many times. From
  // a socket with a peer, or without. Gives the server's port.
  virtual std::uint16_t say_by_datagrams(std::uint64_t times, bool with_peer) = 0;
  virtual void give_peer_to_datagrams() = 0;  // To a socket for them; says nothing.
};

class KernelWorld final : public World {
 public:
  ~KernelWorld() override {
    for (const int fd : {listener_, client_, server_}) {
      ::close(fd);
    }
  }

  Scene scene() override {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    client_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_, 1), 0);
    const Endpoint listening = name_of(listener_);
    address.sin_port = htons(listening.port);
    EXPECT_EQ(::connect(client_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    server_ = ::accept(listener_, nullptr, nullptr);
    EXPECT_EQ(::send(client_, "hello", 5, 0), 5);
    char buffer[5];
    EXPECT_EQ(::recv(server_, buffer, sizeof buffer, MSG_WAITALL), 5);
    struct stat status {};
    EXPECT_EQ(::fstat(client_, &status), 0);
    return {.listener = listening,
            .client = name_of(client_),
            .client_inode = status.st_ino,
            .pid = static_cast<std::uint32_t>(::getpid()),
            .parent = static_cast<std::uint32_t>(::getppid())};
  }

  ProcessSource& processes() override { return *processes_; }
  SocketSource& sockets() override { return *sockets_; }
  ConnectionSource& connections() override { return *connections_; }

  // Ends the scene's connection.
  void hang_up() {
    for (int* const fd : {&client_, &server_}) {
      ::close(std::exchange(*fd, -1));
    }
  }

  void connect_and_close(std::uint64_t times) override {
    const Endpoint listening = name_of(listener_);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(listening.port);
    for (std::uint64_t i = 0; i < times; ++i) {
      const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      EXPECT_EQ(::connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
      const int server = ::accept(listener_, nullptr, nullptr);
      EXPECT_EQ(::send(client, "hello", 5, 0), 5);
      char buffer[5];
      EXPECT_EQ(::recv(server, buffer, sizeof buffer, MSG_WAITALL), 5);
      ::close(client);
      EXPECT_EQ(::recv(server, buffer, sizeof buffer, 0), 0) << "the client's end has arrived";
      ::close(server);
    }
  }

  std::uint16_t say_by_datagrams(std::uint64_t times, bool with_peer) override {
    const int client = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const int server = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    EXPECT_EQ(::bind(server, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    const std::uint16_t port = name_of(server).port;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    const auto* const to = reinterpret_cast<const sockaddr*>(&address);
    if (with_peer) {
      EXPECT_EQ(::connect(client, to, sizeof address), 0);
    }
    for (std::uint64_t i = 0; i < times; ++i) {
      EXPECT_EQ(with_peer ? ::send(client, "hello", 5, 0)
                          : ::sendto(client, "hello", 5, 0, to, sizeof address),
                5);
      sockaddr_in from{};
      socklen_t size = sizeof from;
      char buffer[5];
      EXPECT_EQ(
          ::recvfrom(
              server, buffer, sizeof buffer, MSG_PEEK, reinterpret_cast<sockaddr*>(&from), &size),
          5);
      EXPECT_EQ(
          ::recvfrom(server, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &size),
          5);
    }
    ::close(client);
    ::close(server);
    return port;
  }

  void give_peer_to_datagrams() override {
    const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(9);
    EXPECT_EQ(::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ::close(socket);
  }

 private:
  static Endpoint name_of(int fd) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
    return {Ip(Ipv4(ntohl(address.sin_addr.s_addr))), ntohs(address.sin_port)};
  }

  std::unique_ptr<ProcessSource> processes_ = open_procfs();
  std::unique_ptr<SocketSource> sockets_ = open_sock_diag();
  std::unique_ptr<ConnectionSource> connections_ = open_bpf_connections(DatagramOctets::IfPossible);
  int listener_ = -1;
  int client_ = -1;
  int server_ = -1;
};

class FakeWorld final : public World {
 public:
  Scene scene() override {
    const Scene scene{.listener = Endpoint::parse("127.0.0.1:5000").value(),
                      .client = Endpoint::parse("127.0.0.1:40000").value(),
                      .client_inode = 7,
                      .pid = 42,
                      .parent = 41};
    ObservedProcess process;
    process.pid = scene.pid;
    process.name = "test";
    process.netns = 1;
    process.descriptor_count = 5;
    process.descriptor_max = 1024;
    processes_.present[scene.pid] = process;
    processes_.present_host.name = "host";
    processes_.present_host.cpu_count = 1;
    processes_.present_host.memory_total_bytes = 1;
    processes_.present_host.forks = 1;
    processes_.holders[7] = scene.pid;
    sockets_.present[0] = {{.listening = true, .local = scene.listener},
                           {.local = scene.client,
                            .remote = scene.listener,
                            .inode = 7,
                            .bytes_sent = 5,
                            .packets_sent = 3,
                            .packets_received = 2},
                           {.local = scene.listener,
                            .remote = scene.client,
                            .inode = 8,
                            .bytes_received = 5,
                            .packets_sent = 2,
                            .packets_received = 3}};
    return scene;
  }

  ProcessSource& processes() override { return processes_; }
  SocketSource& sockets() override { return sockets_; }
  ConnectionSource& connections() override { return connections_; }

  void connect_and_close(std::uint64_t times) override {
    ObservedConnections client;
    client.opening = {.opened = Opened::Here, .pid = 42, .parent = 41};
    client.netns = own_netns();
    client.local = client.remote = Ip::parse("127.0.0.1").value();
    client.port = 5000;
    client.opened = client.closed = times;
    client.bytes_sent = 5 * times;
    client.packets_sent = 4 * times;
    client.packets_received = 3 * times;
    ObservedConnections server = client;
    server.opening = {.opened = Opened::There, .pid = 0};
    std::swap(server.bytes_sent, server.bytes_received);
    std::swap(server.packets_sent, server.packets_received);
    connections_.happened = {client, server};
  }

  std::uint16_t say_by_datagrams(std::uint64_t times, bool with_peer) override {
    ObservedConnections client;
    client.transport = Transport::Udp;
    client.opening = {.opened = Opened::Here, .pid = 42, .parent = 41};
    client.netns = own_netns();
    client.remote = Ip::parse("127.0.0.1").value();
    client.port = 5000;
    client.opened = client.closed = 1;
    client.bytes_sent = 5 * times;
    client.packets_sent = times;
    ObservedConnections server = client;
    server.opening.opened = Opened::There;
    std::swap(server.bytes_sent, server.bytes_received);
    std::swap(server.packets_sent, server.packets_received);
    client.local = with_peer ? client.remote : client.local;
    connections_.happened = {client, server};
    return client.port;
  }

  void give_peer_to_datagrams() override {
    ObservedConnections nothing;
    nothing.transport = Transport::Udp;
    nothing.netns = own_netns();
    connections_.happened = {nothing};
  }

 private:
  FakeProcesses processes_;
  FakeSockets sockets_;
  FakeConnections connections_;
};

template <class WorldType>
class SourcesContract : public testing::Test {
 protected:
  WorldType world_;
};

using Worlds = testing::Types<KernelWorld, FakeWorld>;
TYPED_TEST_SUITE(SourcesContract, Worlds);

TYPED_TEST(SourcesContract, ShowsAListenerAndBothEndsOfAConnection) {
  const Scene scene = this->world_.scene();

  const auto sockets = this->world_.sockets().sockets(0, SocketSource::Wanted::Recent);

  ASSERT_TRUE(sockets.ok()) << sockets.error().what;
  const auto find = [&](bool listening, const Endpoint& local, const Endpoint& remote) {
    return std::find_if(
        sockets.value().begin(), sockets.value().end(), [&](const ObservedSocket& socket) {
          return socket.listening == listening && socket.local == local
                 && (listening || socket.remote == remote);
        });
  };
  EXPECT_NE(find(true, scene.listener, {}), sockets.value().end());
  const auto client = find(false, scene.client, scene.listener);
  const auto server = find(false, scene.listener, scene.client);
  ASSERT_NE(client, sockets.value().end());
  ASSERT_NE(server, sockets.value().end());
  EXPECT_EQ(client->inode, scene.client_inode);
  EXPECT_EQ(server->bytes_received, 5U);
  EXPECT_GE(client->packets_sent, 2U);
  EXPECT_EQ(server->packets_received, client->packets_sent);
}

TYPED_TEST(SourcesContract, NamesTheProcessThatHoldsASocket) {
  const Scene scene = this->world_.scene();

  const auto owners = this->world_.processes().owners_of({scene.client_inode, 1}, {scene.pid});

  EXPECT_THAT(owners, Contains(Pair(scene.client_inode, scene.pid)));
  EXPECT_THAT(owners, testing::SizeIs(1));
}

TYPED_TEST(SourcesContract, ListsTheProcessItselfInOrder) {
  const Scene scene = this->world_.scene();

  const auto processes = this->world_.processes().processes();

  ASSERT_TRUE(processes.ok());
  const auto self = std::find_if(
      processes.value().begin(), processes.value().end(), [&](const ObservedProcess& process) {
        return process.pid == scene.pid;
      });
  ASSERT_NE(self, processes.value().end());
  EXPECT_FALSE(self->name.empty());
  EXPECT_NE(self->netns, 0U);
  EXPECT_GE(self->descriptor_count, 3U) << "the scene's sockets";
  EXPECT_GE(self->descriptor_max, self->descriptor_count);
  EXPECT_TRUE(std::is_sorted(processes.value().begin(),
                             processes.value().end(),
                             [](const auto& a, const auto& b) { return a.pid < b.pid; }));
}

// Of the scene's listener, seen from one end.
ObservedConnections of_end(const std::vector<ObservedConnections>& all,
                           const Scene& scene,
                           Opened opened) {
  ObservedConnections sum;
  for (const ObservedConnections& connections : all) {
    if (connections.port == scene.listener.port && connections.netns == own_netns()
        && connections.opening.opened == opened) {
      const std::uint64_t opened_before = sum.opened;
      const std::uint64_t closed_before = sum.closed;
      const std::uint64_t sent_before = sum.bytes_sent;
      const std::uint64_t packets_before = sum.packets_sent;
      sum = connections;
      sum.opened += opened_before;
      sum.closed += closed_before;
      sum.bytes_sent += sent_before;
      sum.packets_sent += packets_before;
    }
  }
  return sum;
}

TYPED_TEST(SourcesContract, CountsEveryShortConnectionAtBothEndsAsOneKind) {
  constexpr std::uint64_t kTimes = 500;
  const Scene scene = this->world_.scene();
  ConnectionSource& source = this->world_.connections();
  const auto started = source.start();
  ASSERT_TRUE(started.ok()) << started.error().what;

  this->world_.connect_and_close(kTimes);
  const auto all = source.take();

  ASSERT_TRUE(all.ok()) << all.error().what;
  const ObservedConnections client = of_end(all.value(), scene, Opened::Here);
  const ObservedConnections server = of_end(all.value(), scene, Opened::There);
  const std::uint64_t seen = client.closed;
  EXPECT_EQ(client.opened, kTimes);
  EXPECT_LE(seen, kTimes);
  EXPECT_GE(seen + missed_runs(), kTimes);
  EXPECT_EQ(client.bytes_sent, 5U * seen);
  EXPECT_GE(client.packets_sent, 3U * seen);  // At least SYN, data and FIN.
  EXPECT_EQ(client.opening.pid, scene.pid);
  EXPECT_EQ(client.opening.parent, scene.parent);
  EXPECT_EQ(client.remote, scene.listener.address);
  EXPECT_GE(server.opened + missed_runs(), kTimes);
  EXPECT_GE(server.closed + missed_runs(), kTimes);
  EXPECT_EQ(source.lost(), 0U);
}

TYPED_TEST(SourcesContract, GivesWhatHappenedOnlyOnceAndNothingOnceStopped) {
  const Scene scene = this->world_.scene();
  ConnectionSource& source = this->world_.connections();
  ASSERT_TRUE(source.start().ok());
  this->world_.connect_and_close(1);
  (void)source.take();

  const auto again = source.take();
  source.stop();
  const auto stopped = source.take();

  ASSERT_TRUE(again.ok());
  EXPECT_EQ(of_end(again.value(), scene, Opened::Here).opened, 0U);
  ASSERT_TRUE(stopped.ok());
  EXPECT_TRUE(stopped.value().empty());
  EXPECT_EQ(source.news_descriptor(), -1);
}

void expect_a_conversation(World& world, bool with_peer) {
  constexpr std::uint64_t kTimes = 20;
  const Scene scene = world.scene();
  ConnectionSource& source = world.connections();
  ASSERT_TRUE(source.start().ok());
  ASSERT_EQ(source.datagrams_missing(), "");
  const std::uint64_t octets = source.counts_octets_of_datagrams() ? 5 * kTimes : 0;

  const std::uint16_t port = world.say_by_datagrams(kTimes, with_peer);
  const auto all = source.take();

  ASSERT_TRUE(all.ok()) << all.error().what;
  for (const Opened end : {Opened::Here, Opened::There}) {
    std::vector<ObservedConnections> found;
    std::copy_if(all.value().begin(),
                 all.value().end(),
                 std::back_inserter(found),
                 [&](const ObservedConnections& one) {
                   return one.transport == Transport::Udp && one.port == port
                          && one.opening.opened == end;
                 });
    // Sockets with a peer are left to sock_diag where lengths are not told.
    if (with_peer && end == Opened::Here && octets == 0) {
      EXPECT_THAT(found, testing::IsEmpty());
      continue;
    }
    // Both ports are ephemeral, so who spoke first is the client.
    ASSERT_THAT(found, testing::SizeIs(1));
    EXPECT_EQ(found.front().opened, 1U);
    EXPECT_EQ(found.front().closed, 1U);
    EXPECT_EQ(found.front().opening.pid, scene.pid);
    EXPECT_EQ(found.front().opening.parent, scene.parent);
    EXPECT_EQ(found.front().netns, own_netns());
    EXPECT_EQ(found.front().remote, Ip::parse("127.0.0.1").value());
    EXPECT_EQ(found.front().bytes_sent, end == Opened::Here ? octets : 0);
    EXPECT_EQ(found.front().bytes_received, end == Opened::Here ? 0 : octets);
    // Counted where octets are, five to a datagram.
    EXPECT_EQ(found.front().packets_sent, found.front().bytes_sent / 5);
    EXPECT_EQ(found.front().packets_received, found.front().bytes_received / 5);
  }
}

TYPED_TEST(SourcesContract, CountsAConversationByDatagramsOnceAtEachEndWithItsProcessAndOctets) {
  expect_a_conversation(this->world_, false);
}

TYPED_TEST(SourcesContract, CountsAConversationOfASocketWithAPeerAlike) {
  expect_a_conversation(this->world_, true);
}

TYPED_TEST(SourcesContract, SaysThatASocketForDatagramsHasGotAPeer) {
  ConnectionSource& source = this->world_.connections();
  ASSERT_TRUE(source.start().ok());

  this->world_.give_peer_to_datagrams();
  const auto all = source.take();

  ASSERT_TRUE(all.ok()) << all.error().what;
  const auto said =
      std::find_if(all.value().begin(), all.value().end(), [](const ObservedConnections& one) {
        return one.transport == Transport::Udp && one.netns == own_netns() && one.port == 0;
      });
  ASSERT_NE(said, all.value().end());
  EXPECT_EQ(said->opened + said->closed + said->failed, 0U);
}

class KernelConnections : public testing::Test {
 protected:
  // What the first connection of a kind makes readable.
  static bool has_news(const ConnectionSource& source) {
    pollfd poll_for{source.news_descriptor(), POLLIN, 0};
    constexpr int kDeadlineMs = 2000;
    return ::poll(&poll_for, 1, kDeadlineMs) == 1;
  }

  KernelWorld world_;
};

TEST_F(KernelConnections, TellsOfAKindOfConnectionThatIsNewAndHowItCameAbout) {
  ConnectionSource& source = world_.connections();
  ASSERT_TRUE(source.start().ok());

  const Scene scene = world_.scene();

  EXPECT_TRUE(has_news(source));
  const auto sockets = world_.sockets().sockets(0, SocketSource::Wanted::Live);
  ASSERT_TRUE(sockets.ok());
  const auto client = std::find_if(
      sockets.value().begin(), sockets.value().end(), [&](const ObservedSocket& socket) {
        return !socket.listening && socket.local == scene.client;
      });
  ASSERT_NE(client, sockets.value().end());
  EXPECT_EQ(source.opening_of(client->cookie),
            (ObservedOpening{.opened = Opened::Here, .pid = scene.pid, .parent = scene.parent}));
}

TEST_F(KernelConnections, TellsOfTheEndOfTheLastOfAKindThatLasted) {
  ConnectionSource& source = world_.connections();
  ASSERT_TRUE(source.start().ok());
  (void)world_.scene();
  EXPECT_TRUE(has_news(source));
  // Only what has lasted for a second and two looks is news at its end; a poll for news takes two.
  ASSERT_TRUE(source.take().ok());
  ASSERT_TRUE(source.take().ok());
  source.clear_news();
  constexpr int kOthersMax = 20;
  for (int i = 0; i < kOthersMax && has_news(source); ++i) {
    source.clear_news();  // Of others on this machine.
  }

  world_.hang_up();

  EXPECT_TRUE(has_news(source));
}

TEST_F(KernelConnections, CountsAConnectionThatIsRefused) {
  const Scene scene = world_.scene();
  ConnectionSource& source = world_.connections();
  ASSERT_TRUE(source.start().ok());
  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // Nothing listens on the client's own port.
  address.sin_port = htons(scene.client.port);

  EXPECT_NE(::connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ::close(client);

  const auto all = source.take();
  ASSERT_TRUE(all.ok());
  const auto refused =
      std::find_if(all.value().begin(), all.value().end(), [&](const ObservedConnections& one) {
        return one.port == scene.client.port && one.failed == 1;
      });
  ASSERT_NE(refused, all.value().end());
  EXPECT_EQ(refused->opened, 0U);
  EXPECT_EQ(refused->opening.pid, scene.pid);
}

TYPED_TEST(SourcesContract, DescribesTheHost) {
  (void)this->world_.scene();

  const auto host = this->world_.processes().host();

  ASSERT_TRUE(host.ok());
  EXPECT_FALSE(host.value().name.empty());
  EXPECT_GT(host.value().cpu_count, 0U);
  EXPECT_GT(host.value().memory_total_bytes, 0U);
  EXPECT_GT(host.value().forks, 0U);
}

}  // namespace
}  // namespace weft::sys
