#include "router/datapath/carrier.h"

#include <gtest/gtest.h>

#include "router/datapath/ethernet.h"

namespace weft::router {
namespace {

const PeerName kUs(0x020000000001);
const PeerName kThem(0x020000000002);

Bytes inner_frame() {
  Writer writer;
  write_ethernet({.destination = bridge_mac(kThem), .source = bridge_mac(kUs), .type = 0x0800},
                 writer);
  return writer.append(Bytes(46, 7)).take();
}

TEST(Carrier, WhatWasEncodedIsDecoded) {
  const std::vector<Carrier> all{
      Probe{.origin = kUs, .path = {Way::Sealed, {}}, .id = 7},
      Probe{.origin = kUs, .path = {Way::Relay, kThem}, .id = 0xffffffffffffffff},
      Answer{.origin = kUs, .path = {Way::Clear, {}}, .id = 7, .relays_in_kernel = true},
      Relay{.hops = 3, .targets = {kUs, kThem}, .frame = inner_frame()},
      ChecksumHeard{.origin = kUs, .id = 7, .is_right = true},
      ChecksumHeard{.origin = kUs, .id = 0xffffffffffffffff, .is_right = false},
  };
  for (const Carrier& carrier : all) {
    const auto decoded = decode_carrier(encode_carrier(kUs, kThem, carrier));
    ASSERT_TRUE(decoded.ok()) << decoded.error().what;
    EXPECT_EQ(decoded.value(), carrier);
  }
}

TEST(Carrier, TravelsBetweenTheBridgesOfTwoHosts) {
  const Bytes frame = encode_carrier(kUs, kThem, Probe{.origin = kUs, .path = {}, .id = 1});

  const auto header = decode_ethernet(frame).value().header;

  EXPECT_EQ(header.source, bridge_mac(kUs));
  EXPECT_EQ(header.destination, bridge_mac(kThem));
  EXPECT_EQ(header.type, kEtherTypeCarrier);
}

TEST(Carrier, CutShortItIsRefused) {
  const Relay relay{.hops = 1, .targets = {kUs}, .frame = inner_frame()};
  const Bytes frame = encode_carrier(kUs, kThem, relay);
  for (std::size_t size = 0; size < 14 + 4 + 2 + 6 + 14; ++size) {
    EXPECT_FALSE(decode_carrier(ByteView(frame).first(size)).ok()) << size;
  }
}

TEST(Carrier, NonsenseIsRefused) {
  const Bytes probe = encode_carrier(kUs, kThem, Probe{.origin = kUs, .path = {}, .id = 1});
  const auto with = [&](std::size_t at, std::uint8_t value) {
    Bytes changed = probe;
    changed.at(at) = value;
    return decode_carrier(changed);
  };
  EXPECT_FALSE(with(13, 0xb5).ok());  // Another ethertype.
  EXPECT_FALSE(with(14, 2).ok());     // Another version.
  EXPECT_FALSE(with(15, 9).ok());     // Another kind.
  EXPECT_TRUE(with(24, 3).ok());      // ESP.
  EXPECT_FALSE(with(24, 4).ok());     // No such way.
  EXPECT_FALSE(with(24, 2).ok());     // A relay without a name.
  EXPECT_FALSE(with(31, 2).ok());     // A name without a relay.
}

}  // namespace
}  // namespace weft::router
