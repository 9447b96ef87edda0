// sys/tap.h in a namespace of its own: frames both ways, taking over, and what is refused.
#include "sys/tap.h"

#include <chrono>
#include <set>

#include <arpa/inet.h>
#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/netdev.h"
#include "sys/netdev.h"
#include "sys/netns.h"

namespace weft::sys {
namespace {

using ::testing::HasSubstr;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;

// A protocol of IEEE 802's experimental range: nothing else in the namespace speaks it.
constexpr std::uint16_t kEtherType = 0x88b5;

Bytes frame(const std::string& payload) {
  Writer writer;
  writer.append(Mac::broadcast().octets()).append(Mac({0x02, 0, 0, 0, 0, 0x09}).octets());
  writer.u16(kEtherType).append(as_bytes(payload));
  return writer.take();
}

// A raw socket on the kernel's side of the TAP device.
class KernelSide {
 public:
  explicit KernelSide(std::uint32_t index)
      : socket_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(kEtherType))) {
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(kEtherType);
    address.sll_ifindex = static_cast<int>(index);
    EXPECT_EQ(::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    const timeval patience{.tv_sec = 5, .tv_usec = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  KernelSide(const KernelSide&) = delete;
  KernelSide& operator=(const KernelSide&) = delete;
  ~KernelSide() { ::close(socket_); }

  void send(ByteView bytes) const {
    EXPECT_EQ(::send(socket_, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  }
  Bytes receive() const {
    Bytes bytes(2048);
    const ssize_t size = ::recv(socket_, bytes.data(), bytes.size(), 0);
    bytes.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
    return bytes;
  }

 private:
  int socket_;
};

class TapTest : public ::testing::Test {
 protected:
  TapTest() {
    const auto entered = enter_new_namespace();
    EXPECT_TRUE(entered.ok()) << entered.error().what;
    netdev_ = open_netdev().value();
  }

  std::unique_ptr<Tap> open(const std::string& name) {
    auto tap = open_tap(context_.get_executor(), name, 1450, [this](ByteView bytes) {
      if (bytes.size() >= 14 && bytes[12] == kEtherType >> 8U) {
        received_.insert(to_bytes(bytes));
      }
    });
    EXPECT_TRUE(tap.ok()) << tap.error().what;
    return std::move(tap).value();
  }
  void run_until_received(std::size_t count) {
    const auto deadline = std::chrono::steady_clock::now() + 5s;
    while (received_.size() < count && std::chrono::steady_clock::now() < deadline) {
      context_.run_one_for(100ms);
    }
  }

  boost::asio::io_context context_{1};
  std::unique_ptr<Netdev> netdev_;
  std::set<Bytes> received_;
};

TEST_F(TapTest, MakesADeviceThatIsUpAndOurs) {
  const auto tap = open("tap-a");

  const auto link = netdev_->find_link("tap-a").value();
  ASSERT_TRUE(link.has_value());
  EXPECT_EQ(link->index, tap->ifindex());
  EXPECT_EQ(link->kind, "tun");
  EXPECT_EQ(link->alias, kLinkAlias);
  EXPECT_EQ(link->mtu, 1450U);
  EXPECT_TRUE(link->up);
  EXPECT_TRUE(netdev_->addresses("tap-a").value().empty()) << "it does not speak IPv6 on its own";
}

TEST_F(TapTest, CarriesFramesBothWays) {
  const auto tap = open("tap-a");
  const KernelSide kernel(tap->ifindex());

  tap->write(frame("from the agent"));
  kernel.send(frame("from the kernel"));
  run_until_received(1);

  EXPECT_EQ(kernel.receive(), frame("from the agent"));
  EXPECT_EQ(received_, std::set<Bytes>{frame("from the kernel")});
  EXPECT_EQ(tap->dropped(), 0U);
}

TEST_F(TapTest, DeliversABurstLongerThanOneTurn) {
  const auto tap = open("tap-a");
  const KernelSide kernel(tap->ifindex());
  constexpr std::size_t kBurst = 200;

  for (std::size_t i = 0; i < kBurst; ++i) {
    kernel.send(frame("number " + std::to_string(i)));
  }
  run_until_received(kBurst);

  EXPECT_EQ(received_.size(), kBurst);
}

TEST_F(TapTest, ARestartedAgentTakesOverTheDeviceAndItsBridgePort) {
  const std::uint32_t bridge =
      netdev_->ensure_bridge({.name = "br0", .mac = Mac({2, 0, 0, 0, 0, 1}), .mtu = 1450}).value();
  std::uint32_t before = 0;
  {
    const auto tap = open("tap-a");
    before = tap->ifindex();
    ASSERT_TRUE(netdev_->ensure_port({.link = "tap-a", .bridge = "br0"}).ok());
  }
  EXPECT_EQ(netdev_->find_link("tap-a").value()->master, bridge) << "it outlives its process";

  const auto tap = open("tap-a");

  EXPECT_EQ(tap->ifindex(), before);
  EXPECT_EQ(netdev_->find_link("tap-a").value()->master, bridge);
}

TEST_F(TapTest, CountsFramesTheDeviceDoesNotTake) {
  const auto tap = open("tap-a");
  ASSERT_TRUE(netdev_->remove_link("tap-a").ok());

  tap->write(frame("lost"));
  tap->write({});

  EXPECT_EQ(tap->dropped(), 2U);
}

TEST_F(TapTest, SurvivesTheRemovalOfItsDevice) {
  const auto tap = open("tap-a");

  ASSERT_TRUE(netdev_->remove_link("tap-a").ok());
  const std::size_t handlers = context_.run_for(50ms);

  EXPECT_LE(handlers, 2U) << "it does not spin";
}

TEST_F(TapTest, RefusesADeviceThatIsOpenOrNoTapOrBadlyNamed) {
  const auto tap = open("tap-a");
  ASSERT_TRUE(
      netdev_->ensure_bridge({.name = "br0", .mac = Mac({2, 0, 0, 0, 0, 1}), .mtu = 1450}).ok());

  for (const std::string name : {"tap-a", "br0", "", "sixteen-letters!"}) {
    const auto refused = open_tap(context_.get_executor(), name, 1450, [](ByteView) {});

    ASSERT_FALSE(refused.ok()) << name;
    EXPECT_THAT(refused.error().what, HasSubstr(name));
  }
}

}  // namespace
}  // namespace weft::sys
