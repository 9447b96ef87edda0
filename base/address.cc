#include "base/address.h"

#include <algorithm>
#include <charconv>
#include <tuple>

#include <arpa/inet.h>
#include <fmt/format.h>

namespace weft {
namespace {

template <class T>
Result<T> parse_number(std::string_view text, T number_max, std::string_view name) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (text.empty() || !whole || value > number_max) {
    return Error{Errc::Invalid, fmt::format("{} '{}' (expected 0 to {})", name, text, number_max)};
  }
  return static_cast<T>(value);
}

// The octets of `ip` with everything after `prefix` bits set to `fill`.
Ip with_host_bits(const Ip& ip, std::uint8_t prefix, bool fill) {
  Bytes octets = ip.bytes();
  for (std::size_t bit = prefix; bit < octets.size() * 8; ++bit) {
    const auto mask = static_cast<std::uint8_t>(0x80U >> (bit % 8));
    auto& octet = octets[bit / 8];
    octet = static_cast<std::uint8_t>(fill ? octet | mask : octet & ~mask);
  }
  return Ip::from_bytes(octets).value();
}

}  // namespace

Result<Ipv4> Ipv4::parse(std::string_view text) {
  in_addr raw{};
  if (inet_pton(AF_INET, std::string(text).c_str(), &raw) != 1) {
    return Error{Errc::Invalid, fmt::format("'{}' is not an IPv4 address", text)};
  }
  return Ipv4(ntohl(raw.s_addr));
}

std::string Ipv4::to_string() const {
  return fmt::format("{}.{}.{}.{}",
                     number_ >> 24U,
                     number_ >> 16U & 0xffU,
                     number_ >> 8U & 0xffU,
                     number_ & 0xffU);
}

Result<Ipv6> Ipv6::parse(std::string_view text) {
  Octets octets{};
  if (inet_pton(AF_INET6, std::string(text).c_str(), octets.data()) != 1) {
    return Error{Errc::Invalid, fmt::format("'{}' is not an IPv6 address", text)};
  }
  return Ipv6(octets);
}

std::string Ipv6::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(AF_INET6, octets_.data(), text.data(), text.size());
  return text.data();
}

bool Ip::is_loopback() const {
  constexpr std::uint32_t kNet = 127;
  constexpr unsigned kFirstOctetShift = 24;
  if (is_v4()) {
    return v4().number() >> kFirstOctetShift == kNet;
  }
  Ipv6::Octets one{};
  one.back() = 1;
  return v6() == Ipv6(one);
}

Result<Ip> Ip::parse(std::string_view text) {
  if (text.find(':') != std::string_view::npos) {
    return Ip(WEFT_TRY(Ipv6::parse(text)));
  }
  const auto v4 = Ipv4::parse(text);
  if (!v4.ok()) {
    return Error{Errc::Invalid, fmt::format("'{}' is not an IPv4 or IPv6 address", text)};
  }
  return Ip(v4.value());
}

Result<Ip> Ip::from_bytes(ByteView bytes) {
  if (bytes.size() == 4) {
    Reader reader(bytes);
    return Ip(Ipv4(WEFT_TRY(reader.u32())));
  }
  if (bytes.size() == 16) {
    Ipv6::Octets octets{};
    std::copy(bytes.begin(), bytes.end(), octets.begin());
    return Ip(Ipv6(octets));
  }
  return Error{Errc::Invalid, fmt::format("address of {} octets (expected 4 or 16)", bytes.size())};
}

Bytes Ip::bytes() const {
  if (is_v4()) {
    return Writer().u32(v4().number()).take();
  }
  return {v6().octets().begin(), v6().octets().end()};
}

std::string Ip::to_string() const {
  return is_v4() ? v4().to_string() : v6().to_string();
}

Result<Mac> Mac::parse(std::string_view text) {
  Octets octets{};
  const Error error{Errc::Invalid,
                    fmt::format("'{}' is not a MAC address (expected aa:bb:cc:dd:ee:ff)", text)};
  if (text.size() != 17) {
    return error;
  }
  for (std::size_t i = 0; i < octets.size(); ++i) {
    const auto octet = from_hex(text.substr(i * 3, 2));
    if (!octet.ok() || (i > 0 && text[i * 3 - 1] != ':')) {
      return error;
    }
    octets[i] = octet.value()[0];
  }
  return Mac(octets);
}

Result<Mac> Mac::from_bytes(ByteView bytes) {
  if (bytes.size() != 6) {
    return Error{Errc::Invalid, fmt::format("MAC of {} octets (expected 6)", bytes.size())};
  }
  Octets octets{};
  std::copy(bytes.begin(), bytes.end(), octets.begin());
  return Mac(octets);
}

std::string Mac::to_string() const {
  return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}",
                     octets_[0],
                     octets_[1],
                     octets_[2],
                     octets_[3],
                     octets_[4],
                     octets_[5]);
}

Cidr::Cidr(Ip address, std::uint8_t prefix) : address_(address), prefix_(prefix) {
  WEFT_ASSERT(prefix <= address.bits());
}

Result<Cidr> Cidr::parse(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) {
    return Error{Errc::Invalid, fmt::format("'{}' has no prefix length (expected a/len)", text)};
  }
  const Ip address = WEFT_TRY(Ip::parse(text.substr(0, slash)));
  const std::uint8_t prefix =
      WEFT_TRY(parse_number<std::uint8_t>(text.substr(slash + 1), address.bits(), "prefix length"));
  return Cidr(address, prefix);
}

Ip Cidr::first() const {
  return with_host_bits(address_, prefix_, false);
}

Ip Cidr::last() const {
  return with_host_bits(address_, prefix_, true);
}

bool Cidr::contains(const Ip& ip) const {
  return ip.is_v4() == is_v4() && with_host_bits(ip, prefix_, false) == first();
}

bool Cidr::overlaps(const Cidr& other) const {
  const auto& [wide, narrow] =
      prefix_ <= other.prefix_ ? std::tie(*this, other) : std::tie(other, *this);
  return wide.contains(narrow.address_);
}

std::uint64_t Cidr::v4_count() const {
  WEFT_ASSERT(is_v4());
  return std::uint64_t{1} << (32U - prefix_);
}

std::string Cidr::to_string() const {
  return fmt::format("{}/{}", address_.to_string(), prefix_);
}

Result<Endpoint> Endpoint::parse(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || text.back() == ']') {
    return Error{Errc::Invalid, fmt::format("'{}' has no port (expected address:port)", text)};
  }
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) {
    host = host.substr(1, host.size() - 2);
  }
  const Ip address = WEFT_TRY(Ip::parse(host));
  if (address.is_v4() == bracketed) {
    return Error{Errc::Invalid, fmt::format("'{}' (expected a.b.c.d:port or [v6]:port)", text)};
  }
  return Endpoint{address,
                  WEFT_TRY(parse_number<std::uint16_t>(text.substr(colon + 1), 65535, "port"))};
}

std::string Endpoint::to_string() const {
  return address.is_v4() ? fmt::format("{}:{}", address.to_string(), port)
                         : fmt::format("[{}]:{}", address.to_string(), port);
}

}  // namespace weft
