// Sizes of the fixed headers behind Ethernet, and the protocol numbers (IANA) that we look at.
#pragma once

#include <cstddef>
#include <cstdint>

namespace weft::router {

inline constexpr std::size_t kIpv4Size = 20;  // Without options.
inline constexpr std::size_t kIpv6Size = 40;  // Without extension headers.
inline constexpr std::size_t kTcpSize = 20;   // Without options.
inline constexpr std::size_t kUdpSize = 8;

inline constexpr std::uint8_t kProtocolHopByHop = 0;
inline constexpr std::uint8_t kProtocolIcmp = 1;
inline constexpr std::uint8_t kProtocolIgmp = 2;
inline constexpr std::uint8_t kProtocolTcp = 6;
inline constexpr std::uint8_t kProtocolUdp = 17;
inline constexpr std::uint8_t kProtocolIcmpv6 = 58;

}  // namespace weft::router
