// The contract of connection tracking as a source (sys/netlink/conntrack.h), held by the kernel and
// by its twin alike.
#include <algorithm>
#include <memory>
#include <optional>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sys/fake/fake_probe.h"
#include "sys/netlink/conntrack.h"
#include "sys/netns.h"
#include "tests/integration/sys/command.h"

namespace weft::sys {
namespace {

constexpr std::uint16_t kTranslatedPort = 81;
constexpr std::uint64_t kSaid = 5;  // Octets, one way, in each conversation.

// One conversation: who asked, whom, and who answered.
struct Conversation {
  Endpoint client;
  Endpoint asked;
  Endpoint server;
};

class World {
 public:
  World() = default;
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  virtual ~World() = default;

  virtual TrackSource& tracks() = 0;
  virtual Conversation say_by_udp() = 0;         // Neither socket is connected.
  virtual Conversation say_by_tcp() = 0;         // Straight to the server.
  virtual Conversation say_to_translated() = 0;  // TCP to kTranslatedPort, where nobody listens.
};

class Descriptor {
 public:
  Descriptor(int type, int protocol) : fd_(::socket(AF_INET, type | SOCK_CLOEXEC, protocol)) {
    EXPECT_GE(fd_, 0);
  }
  explicit Descriptor(int fd) : fd_(fd) { EXPECT_GE(fd_, 0); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { ::close(fd_); }
  int fd() const { return fd_; }

 private:
  int fd_;
};

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

Endpoint at_loopback(std::uint16_t port) {
  return {Ip(Ipv4(INADDR_LOOPBACK)), port};
}

Endpoint bound(const Descriptor& socket) {
  sockaddr_in address = loopback(0);
  EXPECT_EQ(::bind(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  socklen_t size = sizeof address;
  EXPECT_EQ(::getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  return at_loopback(ntohs(address.sin_port));
}

// In a network namespace of the test's own, whose rules make the kernel track and translate.
class KernelWorld final : public World {
 public:
  KernelWorld() {
    server_ = bound(listener_);
    EXPECT_EQ(::listen(listener_.fd(), 4), 0);
    run("nft 'add table ip tracks'");
    run("nft 'add chain ip tracks out { type nat hook output priority -100; }'");
    run("nft 'add rule ip tracks out tcp dport " + std::to_string(kTranslatedPort)
        + " dnat to 127.0.0.1:" + std::to_string(server_.port) + "'");
    run("echo 1 >/proc/sys/net/netfilter/nf_conntrack_acct");
  }

  TrackSource& tracks() override { return *tracks_; }

  Conversation say_by_udp() override {
    const Endpoint client = bound(udp_client_);
    const Endpoint server = bound(udp_server_);
    const sockaddr_in to = loopback(server.port);
    EXPECT_EQ(
        ::sendto(
            udp_client_.fd(), "hello", kSaid, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to),
        static_cast<ssize_t>(kSaid));
    return {client, server, server};
  }

  Conversation say_by_tcp() override { return {say_to(server_.port), server_, server_}; }

  Conversation say_to_translated() override {
    return {say_to(kTranslatedPort), at_loopback(kTranslatedPort), server_};
  }

 private:
  Endpoint say_to(std::uint16_t port) {
    const Endpoint client = bound(*tcp_client_);
    const sockaddr_in to = loopback(port);
    EXPECT_EQ(::connect(tcp_client_->fd(), reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    accepted_ = std::make_unique<Descriptor>(::accept(listener_.fd(), nullptr, nullptr));
    EXPECT_EQ(::send(tcp_client_->fd(), "hello", kSaid, 0), static_cast<ssize_t>(kSaid));
    char buffer[kSaid];
    EXPECT_EQ(::recv(accepted_->fd(), buffer, sizeof buffer, MSG_WAITALL),
              static_cast<ssize_t>(kSaid));
    return client;
  }

  struct Namespace {
    Namespace() {
      const auto entered = enter_new_namespace();
      EXPECT_TRUE(entered.ok()) << entered.error().what;
    }
  };

  Namespace namespace_;  // First: the sockets are made inside.
  std::unique_ptr<TrackSource> tracks_ = open_conntrack();
  Descriptor listener_{SOCK_STREAM, 0};
  Descriptor udp_client_{SOCK_DGRAM, 0};
  Descriptor udp_server_{SOCK_DGRAM, 0};
  std::unique_ptr<Descriptor> tcp_client_ = std::make_unique<Descriptor>(SOCK_STREAM, 0);
  std::unique_ptr<Descriptor> accepted_;
  Endpoint server_;
};

class FakeWorld final : public World {
 public:
  TrackSource& tracks() override { return tracks_; }

  Conversation say_by_udp() override {
    const Conversation said{at_loopback(40000), at_loopback(5000), at_loopback(5000)};
    note(Transport::Udp, said);
    return said;
  }
  Conversation say_by_tcp() override {
    return {at_loopback(40001), at_loopback(5001), at_loopback(5001)};
  }
  Conversation say_to_translated() override {
    const Conversation said{at_loopback(40002), at_loopback(kTranslatedPort), at_loopback(5001)};
    note(Transport::Tcp, said);
    return said;
  }

 private:
  void note(Transport transport, const Conversation& said) {
    tracks_.present.push_back({.transport = transport,
                               .client = said.client,
                               .asked = said.asked,
                               .server = said.server,
                               .bytes_sent = kSaid,
                               .bytes_received = 0,
                               .packets_sent = 1});
  }

  FakeTracks tracks_;
};

template <class WorldType>
class TracksContract : public testing::Test {
 protected:
  std::optional<ObservedTrack> track_of(const Conversation& said) {
    const auto all = world_.tracks().tracks();
    EXPECT_TRUE(all.ok()) << all.error().what;
    const auto found =
        std::find_if(all.value().begin(), all.value().end(), [&](const ObservedTrack& track) {
          return track.client == said.client;
        });
    return found == all.value().end() ? std::nullopt : std::optional(*found);
  }

  WorldType world_;
};

using Worlds = testing::Types<KernelWorld, FakeWorld>;
TYPED_TEST_SUITE(TracksContract, Worlds);

TYPED_TEST(TracksContract, ShowsDatagramsBetweenSocketsThatAreNotConnected) {
  const Conversation said = this->world_.say_by_udp();

  const auto track = this->track_of(said);

  ASSERT_TRUE(track.has_value());
  EXPECT_EQ(track->transport, Transport::Udp);
  EXPECT_EQ(track->asked, said.asked);
  EXPECT_EQ(track->server, said.server);
  EXPECT_GE(track->bytes_sent, kSaid);  // The kernel counts headers, too.
  EXPECT_EQ(track->bytes_received, 0U);
  EXPECT_EQ(track->packets_sent, 1U);
}

TYPED_TEST(TracksContract, ShowsWhoAnswersWhereTheServersAddressIsTranslated) {
  const Conversation said = this->world_.say_to_translated();

  const auto track = this->track_of(said);

  ASSERT_TRUE(track.has_value());
  EXPECT_EQ(track->transport, Transport::Tcp);
  EXPECT_EQ(track->asked.port, kTranslatedPort);
  EXPECT_EQ(track->server, said.server);
}

TYPED_TEST(TracksContract, LeavesToSocketsWhatTheyTell) {
  const Conversation said = this->world_.say_by_tcp();

  EXPECT_FALSE(this->track_of(said).has_value());
}

TYPED_TEST(TracksContract, ShowsEachOnlyOnceAndAgainWhileItIsThere) {
  const Conversation said = this->world_.say_by_udp();

  for (int look = 0; look < 2; ++look) {
    const auto all = this->world_.tracks().tracks();

    ASSERT_TRUE(all.ok());
    EXPECT_EQ(
        std::count_if(all.value().begin(),
                      all.value().end(),
                      [&](const ObservedTrack& track) { return track.client == said.client; }),
        1);
  }
}

// A namespace in which no rule asks for it tracks nothing: that is no failure.
TEST(KernelTracks, OfANewNamespaceAreNone) {
  const auto entered = enter_new_namespace();
  ASSERT_TRUE(entered.ok()) << entered.error().what;

  const auto all = open_conntrack()->tracks();

  ASSERT_TRUE(all.ok()) << all.error().what;
  EXPECT_TRUE(all.value().empty());
}

}  // namespace
}  // namespace weft::sys
