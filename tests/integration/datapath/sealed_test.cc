// Two encrypted data paths over a real wire, with a container behind each: every cipher, keys that
// are renewed under a stream, and what can be seen on the wire meanwhile.
#include <algorithm>
#include <array>
#include <cerrno>
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
#include "sys/aead/aead.h"
#include "sys/bulk/packet_socket.h"
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

}  // namespace
}  // namespace weft::test
