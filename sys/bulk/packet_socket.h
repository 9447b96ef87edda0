// Ethernet frames of one device in and out of user space in batches, super-frames whole (packet(7)
// with PACKET_VNET_HDR). Each frame has a virtio_net_hdr of 10 octets in front.
//
// Chosen over a TAP because a TAP takes one system call per frame: with recvmmsg and sendmmsg here,
// small packets cost half (docs/adr/0014). Frames of a marked lane can have a queue of their own,
// so that they need not wait behind others' super-frames (docs/adr/0034). Non-blocking; used by one
// thread; no allocation after open().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/result.h"

namespace weft::sys {

class PacketSocket {
 public:
  // The size of the virtio_net_hdr.
  static constexpr std::size_t kVnetHeaderSize = 10;

  // Hears what arrives on the device, not what is sent on it.
  static Result<std::unique_ptr<PacketSocket>> open(std::uint32_t ifindex);
  // Two that share what arrives: `express` hears frames with this mark (SO_MARK, __sk_buff.mark),
  // `bulk` all others. Without `express` (kernels before 4.12) it hears all.
  struct Lanes {
    std::unique_ptr<PacketSocket> bulk;
    std::unique_ptr<PacketSocket> express;
  };
  static Result<Lanes> open_lanes(std::uint32_t ifindex, std::uint32_t express_mark);
  PacketSocket(const PacketSocket&) = delete;
  PacketSocket& operator=(const PacketSocket&) = delete;
  ~PacketSocket();

  int descriptor() const { return descriptor_; }

  // How many frames there are; they are valid, and the caller's to overwrite, until the next call.
  // 0: nothing waits. A VLAN tag stands in the frame.
  std::size_t receive();
  std::span<std::uint8_t> received(std::size_t index) const;
  // The last receive() took all there was: asking again would be a system call for nothing.
  bool is_drained() const { return is_drained_; }

  // Queues one frame to be sent on the device; `frame` must stay until flush(). False: full.
  bool append(std::span<const std::uint8_t> frame, std::uint32_t ifindex);
  struct Sent {
    std::uint64_t frames = 0;
    std::uint64_t failed = 0;  // The device is gone, down, or its queue is full.
  };
  Sent flush();

 private:
  struct Buffers;

  explicit PacketSocket(int descriptor);

  int descriptor_;
  std::size_t receive_count_;
  bool is_drained_ = true;
  std::size_t queued_ = 0;
  std::unique_ptr<Buffers> buffers_;
};

}  // namespace weft::sys
