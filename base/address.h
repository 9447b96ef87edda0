// Addresses as values: Ipv4, Ipv6, either of them (Ip), Mac, a CIDR block and a transport endpoint.
//
// Text forms: RFC 4291/5952 for IPv6, dotted quad for IPv4, colon-separated hex for MAC, a/len for
// CIDR, "a.b.c.d:port" and "[v6]:port" for endpoints. Every parse() fails with what was expected.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "base/bytes.h"
#include "base/result.h"

namespace weft {

// Held as a host-order number, so that ranges are arithmetic.
class Ipv4 {
 public:
  constexpr Ipv4() = default;
  constexpr explicit Ipv4(std::uint32_t number) : number_(number) {}
  static Result<Ipv4> parse(std::string_view text);

  constexpr std::uint32_t number() const { return number_; }
  std::string to_string() const;

  friend constexpr auto operator<=>(Ipv4, Ipv4) = default;
  friend constexpr bool operator==(Ipv4, Ipv4) = default;

 private:
  std::uint32_t number_ = 0;
};

class Ipv6 {
 public:
  using Octets = std::array<std::uint8_t, 16>;

  constexpr Ipv6() = default;
  constexpr explicit Ipv6(const Octets& octets) : octets_(octets) {}
  static Result<Ipv6> parse(std::string_view text);

  constexpr const Octets& octets() const { return octets_; }
  std::string to_string() const;

  friend constexpr auto operator<=>(const Ipv6&, const Ipv6&) = default;
  friend constexpr bool operator==(const Ipv6&, const Ipv6&) = default;

 private:
  Octets octets_{};
};

// An address of either family; all IPv4 sort before all IPv6.
class Ip {
 public:
  constexpr Ip() = default;
  constexpr Ip(Ipv4 v4) : address_(v4) {}         // NOLINT: a v4 address is an address.
  constexpr Ip(const Ipv6& v6) : address_(v6) {}  // NOLINT
  static Result<Ip> parse(std::string_view text);
  // 4 or 16 octets in network order.
  static Result<Ip> from_bytes(ByteView bytes);

  bool is_v4() const { return std::holds_alternative<Ipv4>(address_); }
  bool is_unspecified() const { return *this == Ip(Ipv4()) || *this == Ip(Ipv6()); }
  bool is_loopback() const;  // 127.0.0.0/8 or ::1.
  Ipv4 v4() const { return std::get<Ipv4>(address_); }
  const Ipv6& v6() const { return std::get<Ipv6>(address_); }
  std::uint8_t bits() const { return is_v4() ? 32 : 128; }
  Bytes bytes() const;
  std::string to_string() const;

  friend constexpr auto operator<=>(const Ip&, const Ip&) = default;
  friend constexpr bool operator==(const Ip&, const Ip&) = default;

 private:
  std::variant<Ipv4, Ipv6> address_;
};

class Mac {
 public:
  using Octets = std::array<std::uint8_t, 6>;

  constexpr Mac() = default;
  constexpr explicit Mac(const Octets& octets) : octets_(octets) {}
  static Result<Mac> parse(std::string_view text);
  static Result<Mac> from_bytes(ByteView bytes);
  static constexpr Mac broadcast() { return Mac({0xff, 0xff, 0xff, 0xff, 0xff, 0xff}); }

  constexpr const Octets& octets() const { return octets_; }
  // Group bit of IEEE 802: broadcast or multicast.
  constexpr bool is_group() const { return (octets_[0] & 1U) != 0; }
  std::string to_string() const;

  friend constexpr auto operator<=>(const Mac&, const Mac&) = default;
  friend constexpr bool operator==(const Mac&, const Mac&) = default;

 private:
  Octets octets_{};
};

// An address with a prefix length. `address` keeps its host bits, so the same type says
// "10.32.0.5/12, an address with its mask" and, when is_network(), "10.32.0.0/12, a block".
class Cidr {
 public:
  Cidr() = default;
  // Precondition: prefix <= address.bits().
  Cidr(Ip address, std::uint8_t prefix);
  static Result<Cidr> parse(std::string_view text);

  const Ip& address() const { return address_; }
  std::uint8_t prefix() const { return prefix_; }
  bool is_v4() const { return address_.is_v4(); }
  bool is_network() const { return first() == address_; }
  Ip first() const;  // Network address.
  Ip last() const;   // Broadcast address of an IPv4 block.
  Cidr network() const { return Cidr(first(), prefix_); }
  bool contains(const Ip& ip) const;
  bool overlaps(const Cidr& other) const;
  // Number of addresses of an IPv4 block, 2^0 … 2^32. Precondition: is_v4().
  std::uint64_t v4_count() const;
  std::string to_string() const;

  friend auto operator<=>(const Cidr&, const Cidr&) = default;
  friend bool operator==(const Cidr&, const Cidr&) = default;

 private:
  Ip address_;
  std::uint8_t prefix_ = 0;
};

// Where a TCP or UDP socket listens or connects.
struct Endpoint {
  Ip address;
  std::uint16_t port = 0;

  static Result<Endpoint> parse(std::string_view text);  // The port is required.
  std::string to_string() const;

  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

}  // namespace weft
