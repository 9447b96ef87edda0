// ARP for IPv4 over Ethernet (RFC 826). Pure.
#pragma once

#include <cstdint>

#include "base/address.h"
#include "base/bytes.h"
#include "base/result.h"

namespace weft::router {

struct ArpPacket {
  enum class Operation : std::uint16_t { Request = 1, Reply = 2 };

  Operation operation = Operation::Request;
  Mac sender_mac;
  Ipv4 sender;
  Mac target_mac;
  Ipv4 target;

  // Asks whether an address is free before using it (RFC 5227, 2.1.1).
  bool is_probe() const { return operation == Operation::Request && sender == Ipv4(); }
  // Tells everybody where an address is, in either form (RFC 5227, 3).
  bool is_announcement() const { return sender == target; }

  friend bool operator==(const ArpPacket&, const ArpPacket&) = default;
};

// The payload of an Ethernet frame; padding after the packet is legal.
Result<ArpPacket> decode_arp(ByteView payload);
// A whole frame from `packet.sender_mac` to `packet.target_mac`.
Bytes encode_arp_frame(const ArpPacket& packet);

}  // namespace weft::router
