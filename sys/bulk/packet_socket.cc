#include "sys/bulk/packet_socket.h"

#include <array>
#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sys/netlink/netdev_kernel.h"

namespace weft::sys {
namespace {

constexpr std::size_t kFramesMax = 32;
// Super-frames are read few at a time, so that they are still in the cache when they are sealed.
constexpr std::size_t kFramesBulk = 2;
constexpr std::size_t kBulkSize = 8192;
constexpr std::size_t kVlanTagSize = 4;
constexpr std::size_t kAddressesSize = 12;
// Room for a tag to be put back, then header and the largest frame.
constexpr std::size_t kHeadroom = 16;
constexpr std::size_t kBufferSize = kHeadroom + (1U << 16U) + 64;
// What may wait while the thread is busy; the kernel grants twice this. It bounds the delay that
// one bulk sender causes to everybody else, 4 ms at 8 Gbit/s. A quarter of it lost frames whenever
// the thread had to wait for a processor, and gained nothing (docs/adr/0026).
constexpr int kReceiveQueue = 2 << 20;
constexpr int kSendQueue = 8 << 20;

using Control = std::array<char, CMSG_SPACE(sizeof(tpacket_auxdata))>;

template <class Value>
bool set_option(int descriptor, int level, int name, Value value) {
  return ::setsockopt(descriptor, level, name, &value, sizeof value) == 0;
}

}  // namespace

struct PacketSocket::Buffers {
  // Not touched until it is needed: most hosts never fill all of it.
  std::unique_ptr<std::uint8_t[]> arena =
      std::make_unique_for_overwrite<std::uint8_t[]>(kFramesMax * kBufferSize);
  std::array<iovec, kFramesMax> receive_parts;
  std::array<mmsghdr, kFramesMax> receive_messages;
  alignas(cmsghdr) std::array<Control, kFramesMax> control;
  std::array<std::span<std::uint8_t>, kFramesMax> frames;

  std::array<iovec, kFramesMax> send_parts;
  std::array<sockaddr_ll, kFramesMax> send_to;
  std::array<mmsghdr, kFramesMax> send_messages;
};

Result<std::unique_ptr<PacketSocket>> PacketSocket::open(std::uint32_t ifindex) {
  // Protocol 0: deaf until it is bound, so that no other device's frames get in.
  const int descriptor = ::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) {
    const int error = errno;
    return os_error("packet socket", error);
  }
  std::unique_ptr<PacketSocket> socket(new PacketSocket(descriptor));
  if (!set_option(descriptor, SOL_PACKET, PACKET_VNET_HDR, 1)
      || !set_option(descriptor, SOL_PACKET, PACKET_AUXDATA, 1)
      || !set_option(descriptor, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)) {
    const int error = errno;
    return os_error("options of a packet socket", error);
  }
  (void)set_option(descriptor, SOL_PACKET, PACKET_QDISC_BYPASS, 1);
  (void)set_option(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, kReceiveQueue);
  (void)set_option(descriptor, SOL_SOCKET, SO_SNDBUFFORCE, kSendQueue);
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(ifindex);
  if (::bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
    const int error = errno;
    return os_error("packet socket on device " + std::to_string(ifindex), error);
  }
  return socket;
}

namespace {

// Makes both one group of the kernel's (packet(7), PACKET_FANOUT), in which a program chooses who
// hears a frame: the first, or the second if it has the mark.
bool share(int bulk, int express, std::uint32_t express_mark) {
  constexpr std::uint32_t kJoin = std::uint32_t{PACKET_FANOUT_CBPF} << 16U;
  constexpr std::uint32_t kKind = kJoin | (std::uint32_t{PACKET_FANOUT_FLAG_UNIQUEID} << 16U);
  // A group does not take over what its sockets were told about outgoing frames
  // (PACKET_IGNORE_OUTGOING), so each of them refuses those itself.
  std::array<sock_filter, 4> incoming{
      sock_filter{
          BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_PKTTYPE)},
      sock_filter{BPF_JMP | BPF_JEQ | BPF_K, 0, 1, PACKET_OUTGOING},
      sock_filter{BPF_RET | BPF_K, 0, 0, 0},
      sock_filter{BPF_RET | BPF_K, 0, 0, ~0U},
  };
  const sock_fprog filter{.len = incoming.size(), .filter = incoming.data()};
  if (!set_option(bulk, SOL_SOCKET, SO_ATTACH_FILTER, filter)
      || !set_option(express, SOL_SOCKET, SO_ATTACH_FILTER, filter)) {
    return false;
  }
  if (!set_option(bulk, SOL_PACKET, PACKET_FANOUT, kKind)) {
    return false;
  }
  std::uint32_t group = 0;
  socklen_t size = sizeof group;
  if (::getsockopt(bulk, SOL_PACKET, PACKET_FANOUT, &group, &size) != 0) {
    return false;
  }
  std::array<sock_filter, 4> program{
      sock_filter{
          BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_MARK)},
      sock_filter{BPF_JMP | BPF_JEQ | BPF_K, 0, 1, express_mark},
      sock_filter{BPF_RET | BPF_K, 0, 0, 1},
      sock_filter{BPF_RET | BPF_K, 0, 0, 0},
  };
  const sock_fprog whole{.len = program.size(), .filter = program.data()};
  return set_option(bulk, SOL_PACKET, PACKET_FANOUT_DATA, whole)
         && set_option(express, SOL_PACKET, PACKET_FANOUT, (group & 0xffffU) | kJoin);
}

}  // namespace

Result<PacketSocket::Lanes> PacketSocket::open_lanes(std::uint32_t ifindex,
                                                     std::uint32_t express_mark) {
  Lanes lanes;
  lanes.bulk = WEFT_TRY(open(ifindex));
  lanes.express = WEFT_TRY(open(ifindex));
  if (!share(lanes.bulk->descriptor_, lanes.express->descriptor_, express_mark)) {
    lanes.express.reset();
    lanes.bulk = WEFT_TRY(open(ifindex));  // Without whatever came of the attempt.
  }
  return lanes;
}

PacketSocket::PacketSocket(int descriptor)
    : descriptor_(descriptor),
      receive_count_(kFramesMax),
      buffers_(std::make_unique<Buffers>()) {
  Buffers& own = *buffers_;
  for (std::size_t i = 0; i < kFramesMax; ++i) {
    own.receive_parts[i] = {own.arena.get() + i * kBufferSize + kHeadroom, kBufferSize - kHeadroom};
    msghdr& received = own.receive_messages[i].msg_hdr;
    received = {};
    received.msg_iov = &own.receive_parts[i];
    received.msg_iovlen = 1;
    received.msg_control = own.control[i].data();
    own.send_to[i] = {};
    own.send_to[i].sll_family = AF_PACKET;
    own.send_to[i].sll_halen = ETH_ALEN;
    msghdr& sent = own.send_messages[i].msg_hdr;
    sent = {};
    sent.msg_name = &own.send_to[i];
    sent.msg_namelen = sizeof own.send_to[i];
    sent.msg_iov = &own.send_parts[i];
    sent.msg_iovlen = 1;
  }
}

PacketSocket::~PacketSocket() {
  ::close(descriptor_);
}

namespace {

// The tag that the kernel took out of the frame, or nothing.
const tpacket_auxdata* tag_of(msghdr& header) {
  for (cmsghdr* control = CMSG_FIRSTHDR(&header); control != nullptr;
       control = CMSG_NXTHDR(&header, control)) {
    if (control->cmsg_level == SOL_PACKET && control->cmsg_type == PACKET_AUXDATA) {
      const auto* data = reinterpret_cast<const tpacket_auxdata*>(CMSG_DATA(control));
      return (data->tp_status & TP_STATUS_VLAN_VALID) != 0 ? data : nullptr;
    }
  }
  return nullptr;
}

// Moves header and addresses towards the headroom and writes the tag behind them.
std::span<std::uint8_t> put_back(std::span<std::uint8_t> frame, const tpacket_auxdata& tag) {
  constexpr std::size_t kMoved = PacketSocket::kVnetHeaderSize + kAddressesSize;
  std::uint8_t* start = frame.data() - kVlanTagSize;
  std::memmove(start, frame.data(), kMoved);
  const std::uint16_t type =
      (tag.tp_status & TP_STATUS_VLAN_TPID_VALID) != 0 ? tag.tp_vlan_tpid : ETH_P_8021Q;
  const std::array<std::uint16_t, 2> words{htons(type), htons(tag.tp_vlan_tci)};
  std::memcpy(start + kMoved, words.data(), sizeof words);
  // virtio_net_hdr: header length and the beginning of the checksum are offsets in the frame.
  for (const std::size_t field : {std::size_t{2}, std::size_t{6}}) {
    std::uint16_t value = 0;
    std::memcpy(&value, start + field, sizeof value);
    value = static_cast<std::uint16_t>(value == 0 ? 0 : value + kVlanTagSize);
    std::memcpy(start + field, &value, sizeof value);
  }
  return {start, frame.size() + kVlanTagSize};
}

}  // namespace

std::size_t PacketSocket::receive() {
  Buffers& own = *buffers_;
  for (std::size_t i = 0; i < receive_count_; ++i) {
    own.receive_messages[i].msg_hdr.msg_controllen = sizeof own.control[i];
  }
  const int count = ::recvmmsg(descriptor_,
                               own.receive_messages.data(),
                               static_cast<unsigned>(receive_count_),
                               MSG_DONTWAIT,
                               nullptr);
  is_drained_ = count < static_cast<int>(receive_count_);
  if (count <= 0) {
    return 0;
  }
  receive_count_ = own.receive_messages[0].msg_len > kBulkSize ? kFramesBulk : kFramesMax;
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    auto* start = static_cast<std::uint8_t*>(own.receive_parts[i].iov_base);
    own.frames[i] = {start, own.receive_messages[i].msg_len};
    const tpacket_auxdata* tag = tag_of(own.receive_messages[i].msg_hdr);
    if (tag != nullptr && own.frames[i].size() > kVnetHeaderSize + kAddressesSize) {
      own.frames[i] = put_back(own.frames[i], *tag);
    }
  }
  return static_cast<std::size_t>(count);
}

std::span<std::uint8_t> PacketSocket::received(std::size_t index) const {
  return buffers_->frames[index];
}

bool PacketSocket::append(std::span<const std::uint8_t> frame, std::uint32_t ifindex) {
  if (queued_ == kFramesMax) {
    return false;
  }
  Buffers& own = *buffers_;
  // sendmmsg() does not write to what it is given.
  own.send_parts[queued_] = {const_cast<std::uint8_t*>(frame.data()), frame.size()};  // NOLINT
  own.send_to[queued_].sll_ifindex = static_cast<int>(ifindex);
  ++queued_;
  return true;
}

PacketSocket::Sent PacketSocket::flush() {
  Buffers& own = *buffers_;
  Sent sent;
  for (std::size_t next = 0; next < queued_;) {
    const int done = ::sendmmsg(
        descriptor_, &own.send_messages[next], static_cast<unsigned>(queued_ - next), MSG_DONTWAIT);
    if (done > 0) {
      next += static_cast<std::size_t>(done);
      sent.frames += static_cast<std::uint64_t>(done);
    } else {
      ++next;
      ++sent.failed;
    }
  }
  queued_ = 0;
  return sent;
}

}  // namespace weft::sys
