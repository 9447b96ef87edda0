// sys/bulk on real sockets: what goes in comes out, whatever the kernel makes of it on the way.
#include <algorithm>
#include <memory>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "sys/bulk/packet_socket.h"
#include "sys/bulk/thread_priority.h"
#include "sys/bulk/udp_socket.h"
#include "tests/integration/sys/command.h"

namespace weft::sys {
namespace {

constexpr std::uint16_t kPort = 16783;
constexpr int kTimeoutMilliseconds = 2000;
const Ip kLoopback = Ip(Ipv4(0x7f000001));

// Of its own for every suite: nobody else has its ports and devices.
void enter_namespace() {
  ASSERT_EQ(::unshare(CLONE_NEWNET), 0);  // These tests need root.
  run("ip link set lo up");
}

bool is_readable(int descriptor) {
  pollfd polled{.fd = descriptor, .events = POLLIN, .revents = 0};
  return ::poll(&polled, 1, kTimeoutMilliseconds) > 0;
}

Bytes numbered(std::size_t size, std::uint8_t number) {
  return Bytes(size, number);
}

class UdpSocketTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { enter_namespace(); }

  void append(const Bytes& datagram) {
    std::uint8_t* at = near_->append(to_, datagram.size());
    ASSERT_NE(at, nullptr);
    std::copy(datagram.begin(), datagram.end(), at);
  }

  // So many datagrams, cut apart as the receiver would.
  std::vector<Bytes> hear(std::size_t count) {
    std::vector<Bytes> heard;
    while (heard.size() < count && is_readable(far_->descriptor())) {
      const std::size_t messages = far_->receive();
      for (std::size_t i = 0; i < messages; ++i) {
        const UdpSocket::Received received = far_->received(i);
        EXPECT_EQ(UdpSocket::endpoint_of(received.from), (Endpoint{kLoopback, kPort}));
        for (ByteView rest = received.bytes; !rest.empty();) {
          const std::size_t size = std::min(rest.size(), received.datagram_size);
          heard.push_back(to_bytes(rest.first(size)));
          rest = rest.subspan(size);
        }
      }
    }
    return heard;
  }

  std::unique_ptr<UdpSocket> near_ = UdpSocket::open(kLoopback, kPort).value();
  std::unique_ptr<UdpSocket> far_ = UdpSocket::open(kLoopback, kPort + 1).value();
  SocketAddress to_ = near_->address_of({kLoopback, kPort + 1});
};

TEST_F(UdpSocketTest, DatagramsKeepOrderAndBordersInWhateverSizesTheyCome) {
  std::vector<Bytes> sent;
  for (const std::size_t size : {1400U, 1400U, 1400U, 700U, 1400U, 60U, 60U, 1400U, 1U, 1U}) {
    sent.push_back(numbered(size, static_cast<std::uint8_t>(sent.size())));
    append(sent.back());
  }

  const UdpSocket::Sent done = near_->flush();

  EXPECT_EQ(done.datagrams, sent.size());
  EXPECT_EQ(done.failed, 0U);
  EXPECT_EQ(hear(sent.size()), sent);
  EXPECT_TRUE(far_->is_drained());
}

TEST_F(UdpSocketTest, AFullBatchAsksToBeFlushedAndNothingOfItIsLost) {
  std::vector<Bytes> sent;
  while (std::uint8_t* at = near_->append(to_, 1472)) {
    sent.push_back(numbered(1472, static_cast<std::uint8_t>(sent.size())));
    std::copy(sent.back().begin(), sent.back().end(), at);
  }
  ASSERT_GT(sent.size(), 64U);  // More than one super-datagram.

  const UdpSocket::Sent done = near_->flush();

  EXPECT_EQ(done.datagrams, sent.size());
  EXPECT_FALSE(near_->has_pending());
  EXPECT_EQ(hear(sent.size()), sent);
}

TEST_F(UdpSocketTest, WhatTheKernelRefusesIsCountedAndTheRestGoesOut) {
  const Bytes refused = numbered(100, 1);
  std::uint8_t* at = near_->append(near_->address_of({Ip(Ipv4(0xffffffff)), kPort}), 100);
  ASSERT_NE(at, nullptr);  // Broadcast, which the socket has not asked to be allowed.
  std::copy(refused.begin(), refused.end(), at);
  append(numbered(100, 2));

  const UdpSocket::Sent done = near_->flush();

  EXPECT_EQ(done.failed, 1U);
  EXPECT_EQ(done.datagrams, 1U);
  EXPECT_EQ(hear(1), std::vector<Bytes>{numbered(100, 2)});
}

TEST_F(UdpSocketTest, APortInUseIsAnError) {
  EXPECT_FALSE(UdpSocket::open(kLoopback, kPort).ok());
}

TEST_F(UdpSocketTest, DatagramsOfTheExpressLaneHaveAQueueOfTheirOwn) {
  UdpSocket::Lanes lanes = UdpSocket::open_lanes(kLoopback, kPort + 2).value();
  ASSERT_NE(lanes.express, nullptr);
  to_ = near_->address_of({kLoopback, kPort + 2});

  // One by one: what is sent together is of one lane.
  for (const Bytes& datagram : std::vector<Bytes>{{4, 0, 1}, {4, 1, 2}, {4, 0, 3}}) {
    append(datagram);
    ASSERT_EQ(near_->flush().failed, 0U);
  }

  far_ = std::move(lanes.express);
  EXPECT_EQ(hear(1), (std::vector<Bytes>{{4, 1, 2}}));
  far_ = std::move(lanes.bulk);
  EXPECT_EQ(hear(2), (std::vector<Bytes>{{4, 0, 1}, {4, 0, 3}}));
}

TEST_F(UdpSocketTest, APortWithLanesIsInUseToo) {
  const UdpSocket::Lanes lanes = UdpSocket::open_lanes(kLoopback, kPort + 3).value();

  EXPECT_FALSE(UdpSocket::open(kLoopback, kPort + 3).ok());
  EXPECT_FALSE(UdpSocket::open_lanes(kLoopback, kPort + 3).ok());
}

class PacketSocketTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    enter_namespace();
    run("ip link add near type veth peer name far");
    run("sysctl -qw net.ipv6.conf.all.disable_ipv6=1");
    run("ip link set near up && ip link set far up");
  }

  // An Ethernet frame with no offload metadata in front.
  static Bytes frame(std::size_t payload, ByteView tag = {}) {
    Bytes made(PacketSocket::kVnetHeaderSize, 0);
    made.insert(made.end(), {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2});
    made.insert(made.end(), tag.begin(), tag.end());
    made.insert(made.end(), {0x88, 0xb5});  // IEEE 802: for local experiments.
    made.insert(made.end(), payload, 0x5a);
    return made;
  }

  Bytes pass(const Bytes& sent) {
    EXPECT_TRUE(near_->append(sent, ::if_nametoindex("near")));
    EXPECT_EQ(near_->flush().frames, 1U);
    if (!is_readable(far_->descriptor()) || far_->receive() != 1) {
      return {};
    }
    return to_bytes(far_->received(0));
  }

  std::unique_ptr<PacketSocket> near_ = PacketSocket::open(::if_nametoindex("near")).value();
  std::unique_ptr<PacketSocket> far_ = PacketSocket::open(::if_nametoindex("far")).value();
};

TEST_F(PacketSocketTest, FramesComeOutAsTheyWentIn) {
  const Bytes sent = frame(1000);

  EXPECT_EQ(pass(sent), sent);
  EXPECT_EQ(near_->receive(), 0U);  // Not what was sent on the own device.
}

TEST_F(PacketSocketTest, MarkedFramesHaveAQueueOfTheirOwn) {
  constexpr std::uint32_t kMark = 1;
  PacketSocket::Lanes lanes = PacketSocket::open_lanes(::if_nametoindex("far"), kMark).value();
  ASSERT_NE(lanes.express, nullptr);

  far_ = std::move(lanes.express);
  ASSERT_EQ(::setsockopt(near_->descriptor(), SOL_SOCKET, SO_MARK, &kMark, sizeof kMark), 0);
  EXPECT_EQ(pass(frame(100)), frame(100));

  far_ = std::move(lanes.bulk);
  constexpr std::uint32_t kNoMark = 0;
  ASSERT_EQ(::setsockopt(near_->descriptor(), SOL_SOCKET, SO_MARK, &kNoMark, sizeof kNoMark), 0);
  EXPECT_EQ(pass(frame(200)), frame(200));
  EXPECT_EQ(far_->receive(), 0U);

  // Not what is sent on the own device, either.
  const Bytes outgoing = frame(300);  // It must stay until it is sent.
  EXPECT_TRUE(far_->append(outgoing, ::if_nametoindex("far")));
  EXPECT_EQ(far_->flush().frames, 1U);
  EXPECT_TRUE(is_readable(near_->descriptor()));
  EXPECT_EQ(far_->receive(), 0U);
}

TEST_F(PacketSocketTest, AVlanTagStandsInTheFrame) {
  const Bytes sent = frame(100, Bytes{0x81, 0x00, 0x20, 0x2a});

  EXPECT_EQ(pass(sent), sent);
}

TEST_F(PacketSocketTest, FramesForADeviceThatIsGoneAreCounted) {
  const Bytes sent = frame(100);
  ASSERT_TRUE(near_->append(sent, 0x7fffffff));
  ASSERT_TRUE(near_->append(sent, ::if_nametoindex("near")));

  const PacketSocket::Sent done = near_->flush();

  EXPECT_EQ(done.failed, 1U);
  EXPECT_EQ(done.frames, 1U);
}

// On a thread of its own, whose priority nobody else has to live with.
TEST(ThreadPriorityTest, IsOfTheCallingThreadAloneAndCanBeGivenBack) {
  std::thread([] {
    EXPECT_TRUE(set_thread_priority(ThreadPriority::Preferred));
    EXPECT_EQ(::getpriority(PRIO_PROCESS, 0), -10);
    EXPECT_TRUE(set_thread_priority(ThreadPriority::Yielding));
    EXPECT_EQ(::getpriority(PRIO_PROCESS, 0), -10);
    EXPECT_TRUE(set_thread_priority(ThreadPriority::Usual));
    EXPECT_EQ(::getpriority(PRIO_PROCESS, 0), 0);
    EXPECT_TRUE(set_thread_priority(ThreadPriority::Preferred));
  }).join();

  EXPECT_EQ(::getpriority(PRIO_PROCESS, 0), 0);
}

}  // namespace
}  // namespace weft::sys
