#include "router/sealed/super_frame.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "router/datapath/ethernet.h"
#include "router/datapath/ip.h"
#include "router/sealed/octets.h"

namespace weft::router {
namespace {

constexpr std::size_t kVlanTagSize = 4;
constexpr std::uint16_t kEtherTypeVlan = 0x8100;
constexpr std::uint16_t kEtherTypeServiceVlan = 0x88a8;
constexpr std::size_t kTcpChecksum = 16;
constexpr std::size_t kUdpChecksum = 6;

constexpr std::uint8_t kTcpFin = 0x01;
constexpr std::uint8_t kTcpPsh = 0x08;
constexpr std::uint8_t kTcpAck = 0x10;
constexpr std::uint8_t kTcpCwr = 0x80;

std::size_t tcp_size(const std::uint8_t* tcp) {
  return static_cast<std::size_t>(tcp[12] >> 4) * 4;
}

// Behind Ethernet and any VLAN tags.
std::size_t network_offset(std::span<const std::uint8_t> frame) {
  std::size_t offset = kEthernetHeaderSize;
  for (int tags = 0; tags < 2 && offset + kVlanTagSize <= frame.size(); ++tags) {
    const std::uint16_t type = read16(frame.data() + offset - 2);
    if (type != kEtherTypeVlan && type != kEtherTypeServiceVlan) {
      break;
    }
    offset += kVlanTagSize;
  }
  return offset;
}

std::uint32_t pseudo_sum(const std::uint8_t* ip, bool is_v6, std::uint8_t protocol) {
  return is_v6 ? sum_words(ip + 8, 32) + protocol : sum_words(ip + 12, 8) + protocol;
}

}  // namespace

std::optional<Splitter> Splitter::open(std::span<std::uint8_t> buffer, std::size_t frame_max) {
  if (buffer.size() < sizeof(VnetHeader) + kFrameSizeMin
      || buffer.size() > sizeof(VnetHeader) + kFrameSizeMax) {
    return std::nullopt;
  }
  VnetHeader vnet;
  std::memcpy(&vnet, buffer.data(), sizeof vnet);
  Splitter splitter;
  splitter.frame_ = buffer.subspan(sizeof vnet);
  splitter.offload_[0] = vnet.flags & kOffloadHopsMask;
  if ((vnet.flags & VnetHeader::kNeedsChecksum) != 0) {
    if (vnet.checksum_start + vnet.checksum_offset + 2U > splitter.frame_.size()
        || vnet.checksum_offset > 0xff) {
      return std::nullopt;
    }
    splitter.offload_[0] |= kOffloadPartialChecksum;
    splitter.offload_[1] = static_cast<std::uint8_t>(vnet.checksum_offset);
    write16(&splitter.offload_[2], vnet.checksum_start);
  }
  if (vnet.gso_type == VnetHeader::kGsoNone) {
    return splitter.frame_.size() <= frame_max ? std::optional(splitter) : std::nullopt;
  }
  if (!splitter.read_headers(vnet, frame_max)) {
    return std::nullopt;
  }
  return splitter;
}

bool Splitter::read_headers(const VnetHeader& vnet, std::size_t frame_max) {
  const std::uint8_t kind = vnet.gso_type & static_cast<std::uint8_t>(~VnetHeader::kGsoEcn);
  is_tcp_ = kind == VnetHeader::kGsoTcp4 || kind == VnetHeader::kGsoTcp6;
  if ((!is_tcp_ && kind != VnetHeader::kGsoUdp) || (vnet.flags & VnetHeader::kNeedsChecksum) == 0) {
    return false;
  }
  l3_ = network_offset(frame_);
  l4_ = vnet.checksum_start;
  if (l4_ < l3_ + kIpv4Size || l4_ + (is_tcp_ ? kTcpSize : kUdpSize) > frame_.size()) {
    return false;
  }
  const std::uint8_t* ip = frame_.data() + l3_;
  is_v6_ = read16(ip - 2) == kEtherTypeIpv6;
  const bool fits = is_v6_ ? l4_ >= l3_ + kIpv6Size
                           : read16(ip - 2) == kEtherTypeIpv4
                                 && l4_ == l3_ + static_cast<std::size_t>(ip[0] & 0x0f) * 4;
  headers_size_ = l4_ + (is_tcp_ ? tcp_size(frame_.data() + l4_) : kUdpSize);
  if (!fits || (is_tcp_ && headers_size_ < l4_ + kTcpSize) || headers_size_ > kHeadersMax
      || headers_size_ >= frame_.size() || vnet.gso_size == 0
      || vnet.checksum_offset != (is_tcp_ ? kTcpChecksum : kUdpChecksum)) {
    return false;
  }
  payload_size_ = frame_.size() - headers_size_;
  segment_payload_ = vnet.gso_size;
  if (headers_size_ + std::min(segment_payload_, payload_size_) > frame_max
      || (payload_size_ - 1) / segment_payload_ >= kSegmentsMax) {
    return false;
  }
  std::copy_n(frame_.begin(), headers_size_, headers_.begin());
  if (!is_v6_) {
    ipv4_sum_ = sum_words(ip, l4_ - l3_) - read16(ip + 2) - read16(ip + 4) - read16(ip + 10);
  }
  pseudo_sum_ = pseudo_sum(ip, is_v6_, is_tcp_ ? kProtocolTcp : kProtocolUdp);
  return true;
}

std::span<std::uint8_t> Splitter::next() {
  if (done_) {
    return {};
  }
  if (segment_payload_ == 0) {
    done_ = true;
    std::uint8_t* at = frame_.data() - kOffloadSize;  // Over the VnetHeader.
    std::copy(offload_.begin(), offload_.end(), at);
    return {at, kOffloadSize + frame_.size()};
  }
  const std::size_t payload_size = std::min(segment_payload_, payload_size_ - offset_);
  std::uint8_t* at = frame_.data() + offset_ - kOffloadSize;
  std::copy(offload_.begin(), offload_.end(), at);
  write_headers(at + kOffloadSize, payload_size);
  offset_ += payload_size;
  done_ = offset_ == payload_size_;
  return {at, kOffloadSize + headers_size_ + payload_size};
}

void Splitter::write_headers(std::uint8_t* at, std::size_t payload_size) {
  if (offset_ > 0) {
    std::copy_n(headers_.begin(), headers_size_, at);
  }
  std::uint8_t* ip = at + l3_;
  std::uint8_t* transport = at + l4_;
  const std::size_t transport_size = headers_size_ - l4_ + payload_size;
  if (is_v6_) {
    write16(ip + 4, l4_ - l3_ - kIpv6Size + transport_size);
  } else {
    const std::size_t total = l4_ - l3_ + transport_size;
    const std::uint16_t first = read16(headers_.data() + l3_ + 4);
    const auto identification = static_cast<std::uint16_t>(first + offset_ / segment_payload_);
    write16(ip + 2, total);
    write16(ip + 4, identification);
    write16(ip + 10, checksum_of(ipv4_sum_ + static_cast<std::uint32_t>(total) + identification));
  }
  if (is_tcp_) {
    const bool is_last = offset_ + payload_size == payload_size_;
    std::uint8_t flags = headers_[l4_ + 13];
    flags &= static_cast<std::uint8_t>(is_last ? 0xff : ~(kTcpFin | kTcpPsh));
    flags &= static_cast<std::uint8_t>(offset_ == 0 ? 0xff : ~kTcpCwr);
    transport[13] = flags;
    write32(transport + 4, read32(headers_.data() + l4_ + 4) + static_cast<std::uint32_t>(offset_));
  } else {
    write16(transport + 4, transport_size);
  }
  write16(transport + (is_tcp_ ? kTcpChecksum : kUdpChecksum),
          fold(pseudo_sum_ + static_cast<std::uint32_t>(transport_size)));
}

bool count_hop(std::span<std::uint8_t> buffer) {
  std::uint8_t& flags = buffer[offsetof(VnetHeader, flags)];
  if ((flags & kOffloadHopsMask) == kOffloadHopsMask) {
    return false;
  }
  flags += kOffloadHop;
  return true;
}

std::optional<TransportLayout> plain_transport(std::span<const std::uint8_t> frame) {
  TransportLayout layout;
  if (frame.size() < kEthernetHeaderSize + kIpv4Size + kUdpSize) {
    return std::nullopt;
  }
  const std::uint8_t* ip = frame.data() + kEthernetHeaderSize;
  const std::size_t ip_size = frame.size() - kEthernetHeaderSize;
  std::uint8_t protocol = 0;
  switch (read16(ip - 2)) {
    case kEtherTypeIpv4:
      // 0x3fff: more fragments, fragment offset.
      if (ip[0] != 0x45 || read16(ip + 2) != ip_size || (read16(ip + 6) & 0x3fffU) != 0) {
        return std::nullopt;
      }
      layout.l4 = kEthernetHeaderSize + kIpv4Size;
      protocol = ip[9];
      break;
    case kEtherTypeIpv6:
      if (ip_size < kIpv6Size || read16(ip + 4) + kIpv6Size != ip_size) {
        return std::nullopt;
      }
      layout.is_v6 = true;
      layout.l4 = kEthernetHeaderSize + kIpv6Size;
      protocol = ip[6];
      break;
    default:
      return std::nullopt;
  }
  const std::uint8_t* transport = frame.data() + layout.l4;
  if (protocol == kProtocolUdp) {
    layout.headers_size = layout.l4 + kUdpSize;
    return frame.size() > layout.headers_size ? std::optional(layout) : std::nullopt;
  }
  if (protocol != kProtocolTcp || frame.size() < layout.l4 + kTcpSize) {
    return std::nullopt;
  }
  layout.is_tcp = true;
  layout.headers_size = layout.l4 + tcp_size(transport);
  const bool plain = (transport[13] & ~kTcpPsh) == kTcpAck;
  if (!plain || layout.headers_size < layout.l4 + kTcpSize || frame.size() <= layout.headers_size) {
    return std::nullopt;
  }
  return layout;
}

}  // namespace weft::router
