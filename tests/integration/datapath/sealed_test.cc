// Two encrypted data paths over a real wire, with a container behind each: every cipher, keys that
// are renewed under a stream, what can be seen on the wire meanwhile, and what strangers can do
// with it.
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "router/io/sealed_path.h"
#include "router/sealed/session_wire.h"
#include "sys/aead/aead.h"
#include "sys/bulk/packet_socket.h"
#include "sys/fake/fake_kernel_lane.h"
#include "tests/integration/datapath/namespace.h"
#include "tests/integration/datapath/overlay.h"

namespace weft::test {
namespace {

using router::SealedPath;

constexpr std::uint16_t kPort = 6783;
constexpr std::uint16_t kContainerPort = 7000;
constexpr int kTimeoutMilliseconds = 5000;
// Fewer than any queue on the way holds, so that none of them may be lost.
constexpr std::size_t kWindow = 64;
constexpr std::string_view kWord = "frambozenvlaai";

Mac container_mac(std::uint8_t number) {
  return Mac({0x02, 0, 0, 0, 2, number});
}

// A host with its encrypted path, and one container.
class Site {
 public:
  Site(Underlay& underlay, std::uint8_t number)
      : number_(number),
        name(number),
        key(router::KeyPair::generate(entropy_)),
        address(Ipv4(0xc0000200U + number)) {
    underlay.join(net, number);
    net.must(
        fmt::format("ip link add port type veth peer name eth0 address {} netns {} && "
                    "ip link set port mtu 1400 up",
                    container_mac(number).to_string(),
                    container.path()));
    // Without IPv6 a container says nothing of its own accord: every frame counted is the test's.
    container.must("sysctl -qw net.ipv6.conf.all.disable_ipv6=1");
    container.must(
        fmt::format("ip link set eth0 mtu 1400 up && ip addr add 10.32.0.{}/24 dev eth0 "
                    "&& ip neigh add 10.32.0.{} lladdr {} dev eth0",
                    number,
                    other(),
                    container_mac(other()).to_string()));
  }
  ~Site() {
    if (socket_ >= 0) {
      ::close(socket_);
    }
    net.run([this] {
      path_.reset();
      return true;
    });
  }
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;

  void start(SealedPath::Options options) {
    options.host = address;
    options.port = kPort;
    options.key = key;
    options.incarnation = Incarnation(1);
    net.run([&] {
      path_.reset();  // It has the port.
      path_ = SealedPath::start(net.context().get_executor(), clock_, entropy_, options).value();
      const std::uint32_t port = ::if_nametoindex("port");
      EXPECT_TRUE(path_->set_device(port).ok());
      path_->set_local(container_mac(number_), port);
      if (lane) {
        path_->set_lane(lane);
      }
      return true;
    });
  }

  void know(const Site& peer) {
    net.run([&] {
      path_->set_peer(peer.name, {.key = peer.key.pub, .endpoint = {peer.address, kPort}});
      path_->set_remote(container_mac(peer.number_), peer.address);
      return true;
    });
    // Behind the tables, which the thread is given at the end of a turn: frames that come sooner
    // have no peer yet.
    net.run([] { return true; });
  }

  router::SealedStatus status() {
    return net.run([this] { return path_->status(); });
  }

  // What the log says of it.
  std::string refuse_esp(const std::string& why) {
    ::testing::internal::CaptureStderr();
    net.run([&] {
      path_->refuse_esp(why);
      return true;
    });
    return ::testing::internal::GetCapturedStderr();
  }

  // A socket of the container's, connected with the other container's.
  int socket() {
    if (socket_ < 0) {
      socket_ = container.run([this] {
        const int made = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        sockaddr_in own{};
        own.sin_family = AF_INET;
        own.sin_port = htons(kContainerPort);
        own.sin_addr.s_addr = htonl(0x0a200000U + number_);
        EXPECT_EQ(::bind(made, reinterpret_cast<const sockaddr*>(&own), sizeof own), 0);
        own.sin_addr.s_addr = htonl(0x0a200000U + other());
        EXPECT_EQ(::connect(made, reinterpret_cast<const sockaddr*>(&own), sizeof own), 0);
        return made;
      });
    }
    return socket_;
  }

 private:
  std::uint8_t other() const { return static_cast<std::uint8_t>(3 - number_); }

  std::uint8_t number_;
  SystemEntropy entropy_;
  sys::SystemClock clock_;
  std::unique_ptr<SealedPath> path_;
  int socket_ = -1;

 public:
  PeerName name;
  router::KeyPair key;
  Ip address;
  std::shared_ptr<sys::FakeKernelLane> lane;  // Nothing: BPF seals nothing here.
  Namespace net;
  Namespace container;
};

class SealedTest : public ::testing::Test {
 protected:
  void start(const SealedPath::Options& near = {}, const SealedPath::Options& far = {}) {
    near_.start(near);
    far_.start(far);
    near_.know(far_);
    far_.know(near_);
    near_.socket();
    far_.socket();
  }

  // Sends so many numbered datagrams and hears them all, in order. False with the first that is
  // missing.
  ::testing::AssertionResult carry(std::size_t count) {
    std::string text(1000, '.');
    std::copy(kWord.begin(), kWord.end(), text.begin() + 100);
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t number = sent_++;
      std::memcpy(text.data(), &number, sizeof number);
      if (::send(near_.socket(), text.data(), text.size(), 0) < 0) {
        return ::testing::AssertionFailure() << "send: " << std::strerror(errno);
      }
    }
    for (std::size_t i = 0; i < count; ++i) {
      pollfd polled{.fd = far_.socket(), .events = POLLIN, .revents = 0};
      std::array<char, 2000> heard{};
      if (::poll(&polled, 1, kTimeoutMilliseconds) <= 0
          || ::recv(far_.socket(), heard.data(), heard.size(), 0)
                 != static_cast<ssize_t>(text.size())) {
        return ::testing::AssertionFailure() << "datagram " << heard_ << " is missing";
      }
      std::uint64_t number = 0;
      std::memcpy(&number, heard.data(), sizeof number);
      if (number != heard_++) {
        return ::testing::AssertionFailure() << "heard " << number << " for " << heard_ - 1;
      }
    }
    return ::testing::AssertionSuccess();
  }

  Underlay underlay_{1500};
  Site near_{underlay_, 1};
  Site far_{underlay_, 2};

 private:
  std::uint64_t sent_ = 0;
  std::uint64_t heard_ = 0;
};

// Several times a second under the streams below.
SealedPath::Options renewing_often() {
  SealedPath::Options options;
  options.rekey_after_packets = 500;
  return options;
}

SealedPath::Options with_only(std::function<bool(const Aead&)> may_use) {
  SealedPath::Options options;
  options.may_use = std::move(may_use);
  return options;
}

std::string label_of(const Aead& aead) {
  return fmt::format("{} ({})", to_string(aead.cipher()), aead.name());
}

// Of a kernel that was not asked for nothing is missed.
TEST_F(SealedTest, WhoAskedForTheKernelsEspIsToldInTheLogThatThereIsNone) {
  SealedPath::Options insists;
  insists.esp = router::EspWish::On;
  SealedPath::Options leaves_it;
  leaves_it.esp = router::EspWish::Auto;
  start(insists, leaves_it);

  EXPECT_THAT(near_.refuse_esp("no programs"), ::testing::HasSubstr("no programs"));
  EXPECT_EQ(near_.status().esp_why, "no programs");
  EXPECT_EQ(far_.refuse_esp("no programs"), "");
  EXPECT_EQ(far_.status().esp_why, "no programs");
}

TEST_F(SealedTest, RenewingKeysUnderAStreamLosesNothing) {
  start(renewing_often(), renewing_often());

  while (near_.status().sessions.handshakes < 5) {
    ASSERT_TRUE(carry(kWindow));
  }

  EXPECT_GE(near_.status().sessions.handshakes, 5U);
  EXPECT_THAT(near_.status().worker.drops, ::testing::Each(0));
  EXPECT_THAT(far_.status().worker.drops, ::testing::Each(0));
}

TEST_F(SealedTest, NothingOfAnInnerPacketIsOnTheWireWhileKeysAreMadeAndRenewed) {
  auto wire = far_.net.run([] { return sys::PacketSocket::open(::if_nametoindex("u0")); }).value();
  std::size_t frames = 0;
  std::size_t telling = 0;
  const auto look = [&] {
    for (std::size_t count = wire->receive(); count > 0; count = wire->receive()) {
      for (std::size_t i = 0; i < count; ++i) {
        const auto frame = wire->received(i);
        const auto at = std::search(frame.begin(), frame.end(), kWord.begin(), kWord.end());
        telling += at == frame.end() ? 0U : 1U;
        ++frames;
      }
    }
  };

  start(renewing_often(), renewing_often());
  while (near_.status().sessions.handshakes < 3) {
    ASSERT_TRUE(carry(kWindow));
    look();
  }
  look();

  EXPECT_GT(frames, 0U);
  EXPECT_EQ(telling, 0U);
}

TEST_F(SealedTest, EveryImplementationOfEveryCipherCarriesFrames) {
  for (const auto& backend : sys::aead_backends()) {
    const std::string label = label_of(*backend);
    SCOPED_TRACE(label);
    const auto only = [&label](const Aead& aead) { return label_of(aead) == label; };
    start(with_only(only), with_only(only));

    EXPECT_TRUE(carry(kWindow));

    const auto peers = near_.status().peers;
    ASSERT_EQ(peers.size(), 1U);
    EXPECT_EQ(peers[0].cipher, label);
  }
}

TEST_F(SealedTest, PeersOfDifferentMachinesTakeTheCipherBothHave) {
  const auto chacha = [](const Aead& aead) { return aead.cipher() == CipherId::ChaCha20Poly1305; };
  start({}, with_only(chacha));

  EXPECT_TRUE(carry(kWindow));

  EXPECT_THAT(near_.status().peers.at(0).cipher, ::testing::StartsWith("chacha20-poly1305"));
}

// Both hosts have the kernel's lane; what would be BPF's to seal is made here, and the agents hear
// it.
class LaneMissedTest : public SealedTest {
 protected:
  void start_with_lane() {
    near_.lane = std::make_shared<sys::FakeKernelLane>();
    far_.lane = std::make_shared<sys::FakeKernelLane>();
    start();
    ASSERT_TRUE(carry(kWindow));
    ASSERT_TRUE(has_lane());
    sealing_ = near_.net.run([this] { return near_.lane->sealings.at(far_.address); });
  }

  // As near's BPF would seal it for far's.
  Bytes datagram(std::uint64_t counter) const {
    Bytes made(router::kDataHeaderSize);
    router::write_data_header(
        {.receiver = sealing_.receiver, .counter = counter, .lane = router::Lane::Kernel},
        made.data());
    const Bytes text(60);
    made.resize(made.size() + text.size() + kAeadTagSize);
    for (const sys::MeasuredAead& measured : sys::choose_aeads(sys::SystemClock())) {
      if (measured.aead->cipher() == CipherId::ChaCha20Poly1305) {
        measured.aead->make_key(sealing_.key)
            ->seal(counter,
                   ByteView(made).first(router::kDataHeaderSize),
                   text,
                   made.data() + router::kDataHeaderSize);
      }
    }
    return made;
  }

  // To far's agent, from a socket of nobody's.
  void send(const Bytes& datagram) {
    near_.net.run([&] {
      const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
      sockaddr_in to{};
      to.sin_family = AF_INET;
      to.sin_port = htons(kPort);
      std::memcpy(&to.sin_addr, far_.address.bytes().data(), sizeof to.sin_addr);
      EXPECT_EQ(::sendto(socket,
                         datagram.data(),
                         datagram.size(),
                         0,
                         reinterpret_cast<const sockaddr*>(&to),
                         sizeof to),
                static_cast<ssize_t>(datagram.size()));
      ::close(socket);
      return true;
    });
  }

  // What the kernel of `far` has opened, or opens while its agent has the datagram.
  void opens(std::uint64_t counter) {
    far_.net.run([&] {
      far_.lane->counters_opened.insert({sealing_.receiver, counter});
      return true;
    });
  }

  bool has_lane() {
    const auto peers = far_.status().peers;
    return peers.size() == 1 && peers[0].lane;
  }
  std::uint64_t drops(router::SealedDrop why) {
    return far_.status().worker.drops.at(static_cast<std::size_t>(why));
  }

  sys::LaneSealing sealing_;
};

TEST_F(LaneMissedTest, WhatBpfShouldHaveOpenedMakesTheNextSessionGoWithoutIt) {
  start_with_lane();

  send(datagram(0));

  EXPECT_TRUE(eventually([this] { return !has_lane(); }));
  EXPECT_EQ(drops(router::SealedDrop::PassedKernel), 1U);
  EXPECT_TRUE(carry(kWindow));
}

TEST_F(LaneMissedTest, ForgedDatagramsAndCopiesLeaveItOn) {
  start_with_lane();
  const std::uint64_t handshakes = far_.status().sessions.handshakes;

  // The session's index is seen by who sees the wire.
  Bytes forged = datagram(7);
  for (std::size_t at = 8; at < forged.size(); ++at) {
    forged[at] ^= 1U;
    send(forged);
    forged[at] ^= 1U;
  }
  const std::size_t forgeries = forged.size() - 8;
  Bytes long_one = forged;
  long_one.resize(1400);
  send(long_one);
  send(Bytes(forged.begin(), forged.begin() + router::kDataHeaderSize + kAeadTagSize));
  // Copies past BPF: after it opened the original, and before.
  opens(3);
  send(datagram(3));
  send(datagram(3));
  send(datagram(4));
  opens(4);
  ASSERT_TRUE(eventually([this] { return drops(router::SealedDrop::PassedKernel) == 3; }));
  // Longer than the agent takes to find out what BPF has opened since.
  EXPECT_TRUE(eventually([until = std::chrono::steady_clock::now() + std::chrono::seconds(1)] {
    return std::chrono::steady_clock::now() >= until;
  }));

  EXPECT_TRUE(has_lane());
  EXPECT_EQ(far_.status().sessions.handshakes, handshakes);
  EXPECT_EQ(drops(router::SealedDrop::NotAuthentic), forgeries + 1);
  EXPECT_EQ(drops(router::SealedDrop::Malformed), 1U);
}

}  // namespace
}  // namespace weft::test
