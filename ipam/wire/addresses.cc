#include "ipam/wire/addresses.h"

#include <vector>

#include <fmt/format.h>

#include "ipam/ring.h"

namespace weft::ipam {
namespace {

constexpr std::size_t kOctets = 16;

// Of one peer; an heir may have inherited those of all that died.
constexpr std::size_t kBoundsMax = 2 * kRingEntryMax;

Result<Uint128> to_v6(std::string_view octets) {
  const auto address = WEFT_TRY(Ip::from_bytes(as_bytes(octets)));
  if (address.is_v4() || is_v4_number(number_of(address))) {
    return Error{Errc::Invalid, "an IPv4 address in a field of IPv6"};
  }
  return number_of(address);
}

}  // namespace

std::uint32_t v4_of(Uint128 number) {
  return ip_of(number).v4().number();
}

void append_v6(Uint128 number, std::string& out) {
  const Ip address = ip_of(number);
  const auto& octets = address.v6().octets();
  out.append(octets.begin(), octets.end());
}

Result<Uint128> to_number(std::uint32_t v4, std::string_view v6) {
  return v6.empty() ? Result<Uint128>(number_of(Ipv4(v4))) : to_v6(v6);
}

void fill_spans(const IntervalSet& set, WireBounds& out, std::string& out_v6) {
  for (const Span& span : set.spans()) {
    for (const Uint128 bound : {span.first, span.last}) {
      if (is_v4_number(bound)) {
        out.Add(v4_of(bound));
      } else {
        append_v6(bound, out_v6);
      }
    }
  }
}

Result<IntervalSet> to_spans(const WireBounds& in, std::string_view in_v6) {
  const auto count = static_cast<std::size_t>(in.size()) + in_v6.size() / kOctets;
  if (count % 2 != 0 || count > kBoundsMax || in_v6.size() % kOctets != 0) {
    return Error{Errc::Invalid, fmt::format("{} bounds of runs", count)};
  }
  std::vector<Uint128> bounds;
  bounds.reserve(count);
  for (const std::uint32_t number : in) {
    bounds.push_back(number_of(Ipv4(number)));
  }
  for (std::size_t i = 0; i < in_v6.size(); i += kOctets) {
    const auto number = WEFT_TRY(to_v6(in_v6.substr(i, kOctets)));
    bounds.push_back(number);
  }
  std::vector<Span> spans;
  spans.reserve(count / 2);
  for (std::size_t i = 0; i < bounds.size(); i += 2) {
    const Span span{bounds[i], bounds[i + 1]};
    if (span.first > span.last || (!spans.empty() && span.first <= spans.back().last)) {
      return Error{Errc::Invalid, "runs reversed or out of order"};
    }
    spans.push_back(span);
  }
  return IntervalSet(spans);
}

}  // namespace weft::ipam
