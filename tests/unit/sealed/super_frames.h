// Super-frames as a kernel with segmentation offload hands them over, for tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/bytes.h"
#include "router/sealed/octets.h"
#include "router/sealed/super_frame.h"

namespace weft::router {

struct Flow {
  bool is_tcp = true;
  bool is_v6 = false;
  std::size_t payload_size = 4000;
  std::uint16_t gso_size = 1000;
  std::uint8_t tcp_flags = 0x10;  // ACK
  std::uint32_t sequence = 0x01020304;
  std::uint16_t identification = 77;

  std::size_t l4() const { return is_v6 ? 54 : 34; }
  std::size_t headers_size() const { return l4() + (is_tcp ? 32 : 8); }  // 12 octets of options.
  std::uint16_t checksum_offset() const { return is_tcp ? 16 : 6; }
};

inline std::uint16_t partial_checksum(const std::uint8_t* frame,
                                      const Flow& flow,
                                      std::size_t size) {
  const std::uint8_t* ip = frame + 14;
  const std::uint32_t addresses = flow.is_v6 ? sum_words(ip + 8, 32) : sum_words(ip + 12, 8);
  return fold(addresses + (flow.is_tcp ? 6U : 17U) + static_cast<std::uint32_t>(size));
}

// The frame without a VnetHeader; payload octets count up.
inline Bytes frame_of(const Flow& flow) {
  Bytes frame(flow.headers_size() + flow.payload_size);
  for (std::size_t i = 0; i < flow.payload_size; ++i) {
    frame[flow.headers_size() + i] = static_cast<std::uint8_t>(i * 7 + i / 256);
  }
  std::uint8_t* at = frame.data();
  for (std::size_t i = 0; i < 12; ++i) {
    at[i] = static_cast<std::uint8_t>(0x02 + i);
  }
  write16(at + 12, flow.is_v6 ? 0x86dd : 0x0800);
  std::uint8_t* ip = at + 14;
  const std::size_t transport_size = frame.size() - flow.l4();
  const std::uint8_t protocol = flow.is_tcp ? 6 : 17;
  if (flow.is_v6) {
    ip[0] = 0x60;
    write16(ip + 4, transport_size);
    ip[6] = protocol;
    ip[7] = 64;
    ip[23] = 1;
    ip[39] = 2;
  } else {
    ip[0] = 0x45;
    write16(ip + 2, frame.size() - 14);
    write16(ip + 4, flow.identification);
    ip[6] = 0x40;
    ip[8] = 64;
    ip[9] = protocol;
    write32(ip + 12, 0x0a200001);
    write32(ip + 16, 0x0a200002);
    write16(ip + 10, checksum_of(sum_words(ip, 20)));
  }
  std::uint8_t* transport = at + flow.l4();
  write16(transport, 40000);
  write16(transport + 2, 5201);
  if (flow.is_tcp) {
    write32(transport + 4, flow.sequence);
    write32(transport + 8, 0x0a0b0c0d);
    transport[12] = 0x80;
    transport[13] = flow.tcp_flags;
    write16(transport + 14, 501);
    std::memset(transport + 20, 1, 12);
  } else {
    write16(transport + 4, transport_size);
  }
  write16(transport + flow.checksum_offset(), partial_checksum(at, flow, transport_size));
  return frame;
}

inline VnetHeader header_of(const Flow& flow) {
  VnetHeader vnet;
  vnet.flags = VnetHeader::kNeedsChecksum;
  vnet.checksum_start = static_cast<std::uint16_t>(flow.l4());
  vnet.checksum_offset = flow.checksum_offset();
  if (flow.payload_size > flow.gso_size) {
    const std::uint8_t tcp = flow.is_v6 ? VnetHeader::kGsoTcp6 : VnetHeader::kGsoTcp4;
    vnet.gso_type = flow.is_tcp ? tcp : VnetHeader::kGsoUdp;
    vnet.gso_size = flow.gso_size;
    vnet.header_size = static_cast<std::uint16_t>(flow.headers_size());
  }
  return vnet;
}

inline Bytes with_header(const VnetHeader& vnet, const Bytes& frame) {
  Bytes buffer(sizeof vnet);
  std::memcpy(buffer.data(), &vnet, sizeof vnet);
  buffer.insert(buffer.end(), frame.begin(), frame.end());
  return buffer;
}

inline Bytes super_frame(const Flow& flow) {
  return with_header(header_of(flow), frame_of(flow));
}

// Every packet of a super-frame: offload header and frame.
inline std::vector<Bytes> packets_of(Bytes super, std::size_t frame_max = 2000) {
  std::vector<Bytes> packets;
  std::optional<Splitter> splitter = Splitter::open(super, frame_max);
  if (splitter) {
    for (auto packet = splitter->next(); !packet.empty(); packet = splitter->next()) {
      packets.emplace_back(packet.begin(), packet.end());
    }
  }
  return packets;
}

}  // namespace weft::router
