// Super-frames: what a kernel with segmentation offload hands over as one Ethernet frame of up to
// 64 KiB, and how to cut it into the packets that it stands for.
//
// Offload metadata is that of virtio (Virtual I/O Device specification 1.2, section 5.1.6;
// struct virtio_net_hdr of linux/virtio_net.h, whose name is not valid C++). TCP is cut as TSO
// does, UDP as USO. Checksums are never computed: the transport's field holds the sum of the
// pseudo-header, and who delivers the packet asks its kernel to complete it. Pure; inputs are
// total.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace weft::router {

struct VnetHeader {
  static constexpr std::uint8_t kNeedsChecksum = 1;  // VIRTIO_NET_HDR_F_NEEDS_CSUM
  static constexpr std::uint8_t kGsoNone = 0;
  static constexpr std::uint8_t kGsoTcp4 = 1;
  static constexpr std::uint8_t kGsoTcp6 = 4;
  static constexpr std::uint8_t kGsoUdp = 5;  // VIRTIO_NET_HDR_GSO_UDP_L4
  static constexpr std::uint8_t kGsoEcn = 0x80;

  std::uint8_t flags = 0;
  std::uint8_t gso_type = kGsoNone;
  std::uint16_t header_size = 0;
  std::uint16_t gso_size = 0;
  std::uint16_t checksum_start = 0;
  std::uint16_t checksum_offset = 0;

  friend bool operator==(const VnetHeader&, const VnetHeader&) = default;
};
static_assert(sizeof(VnetHeader) == 10);

// What of it travels between peers, in front of each frame and sealed with it: flags, offset of the
// checksum's field, and where the sum begins (big-endian). Flag 1: the checksum is partial. The
// upper half of the flags counts the relays the frame has passed; so do those of the VnetHeader,
// where the kernel knows only three and ignores the others.
inline constexpr std::size_t kOffloadSize = 4;
inline constexpr std::uint8_t kOffloadPartialChecksum = 1;
inline constexpr std::uint8_t kOffloadHopsMask = 0x70;
inline constexpr std::uint8_t kOffloadHop = 0x10;

// Counts one relay in the VnetHeader at the front. False: the frame has passed too many.
bool count_hop(std::span<std::uint8_t> buffer);

inline constexpr std::size_t kFrameSizeMin = 14;
inline constexpr std::size_t kFrameSizeMax = 65535 + 18;  // The largest MTU, Ethernet, a VLAN tag.
// Ethernet with two tags, IPv4 with options or IPv6 with extensions, TCP with options.
inline constexpr std::size_t kHeadersMax = 192;
// A super-frame of the smallest segments the kernel makes (TCP_MIN_SND_MSS less options: 8 octets)
// would have 8,192; beyond this it is an attack on the wire.
inline constexpr std::size_t kSegmentsMax = 2048;

// Cuts one super-frame. Each segment is put together inside the super-frame itself, its headers
// over the tail of the segment before: a segment must have been used up before the next is asked
// for.
class Splitter {
 public:
  // `buffer` is a VnetHeader and the frame behind it. Nothing if a segment would have more than
  // `frame_max` octets, or the metadata do not describe the frame.
  static std::optional<Splitter> open(std::span<std::uint8_t> buffer, std::size_t frame_max);

  // The next offload header with its frame; empty when there is none left.
  std::span<std::uint8_t> next();

 private:
  Splitter() = default;
  bool read_headers(const VnetHeader& vnet, std::size_t frame_max);
  void write_headers(std::uint8_t* at, std::size_t payload_size);

  std::span<std::uint8_t> frame_;
  std::array<std::uint8_t, kOffloadSize> offload_{};
  std::array<std::uint8_t, kHeadersMax> headers_{};
  std::size_t headers_size_ = 0;
  std::size_t l3_ = 0;
  std::size_t l4_ = 0;
  std::size_t segment_payload_ = 0;  // 0: the frame stays whole.
  std::size_t offset_ = 0;           // Of the next segment's payload in the whole payload.
  std::size_t payload_size_ = 0;
  std::uint32_t ipv4_sum_ = 0;    // Of the IPv4 header without length, identification, checksum.
  std::uint32_t pseudo_sum_ = 0;  // Of the pseudo-header without the length.
  bool is_v6_ = false;
  bool is_tcp_ = false;
  bool done_ = false;
};

// Where the headers of a TCP or UDP packet are. Ethernet without VLAN tags.
struct TransportLayout {
  std::size_t l4 = 0;            // Offset of the TCP or UDP header.
  std::size_t headers_size = 0;  // Of all headers.
  bool is_v6 = false;
  bool is_tcp = false;

  friend bool operator==(const TransportLayout&, const TransportLayout&) = default;
};

// Nothing unless the frame is exactly one unfragmented packet with payload, without IPv4 options,
// IPv6 extensions or padding; TCP with no flag but ACK and PSH. Only such packets are coalesced.
std::optional<TransportLayout> plain_transport(std::span<const std::uint8_t> frame);

}  // namespace weft::router
