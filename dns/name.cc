#include "dns/name.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/assert.h"

namespace weft::dns {

namespace {

bool is_label_character(char c) {
  return c > ' ' && c <= '~' && c != '.';
}

std::size_t size_of_label(std::string_view wire) {
  return static_cast<std::uint8_t>(wire.front());
}

}  // namespace

Result<Name> Name::parse(std::string_view text) {
  if (text == ".") {
    return Name();
  }
  if (text.ends_with('.')) {
    text.remove_suffix(1);
  }
  std::string wire;
  while (true) {
    const std::size_t dot = std::min(text.find('.'), text.size());
    const std::string_view label = text.substr(0, dot);
    if (label.empty() || label.size() > kLabelMax
        || !std::all_of(label.begin(), label.end(), is_label_character)) {
      return Error{Errc::Invalid,
                   fmt::format("label of {} characters in a name (expected 1 to {}, printable)",
                               label.size(),
                               kLabelMax)};
    }
    wire += static_cast<char>(label.size());
    wire += label;
    if (dot == text.size()) {
      break;
    }
    text.remove_prefix(dot + 1);
  }
  wire += '\0';
  if (wire.size() > kNameMax) {
    return Error{Errc::Invalid,
                 fmt::format("name of {} octets (at most {})", wire.size(), kNameMax)};
  }
  return Name(std::move(wire));
}

Name Name::reverse_of(const Ip& address) {
  const Bytes octets = address.bytes();
  std::string text;
  for (auto octet = octets.rbegin(); octet != octets.rend(); ++octet) {
    text += address.is_v4() ? fmt::format("{}.", *octet)
                            : fmt::format("{:x}.{:x}.", *octet & 0xfU, *octet >> 4U);
  }
  return parse(text + (address.is_v4() ? "in-addr.arpa" : "ip6.arpa")).value();
}

std::string Name::folded() const {
  std::string folded = wire_;
  std::transform(folded.begin(), folded.end(), folded.begin(), fold);
  return folded;
}

std::string Name::to_string() const {
  if (is_root()) {
    return ".";
  }
  std::string text;
  std::string_view rest = wire_;
  while (size_of_label(rest) != 0) {
    const std::size_t size = size_of_label(rest);
    for (const char c : rest.substr(1, size)) {
      // The escape of master files (RFC 1035, section 5.1) for what no name of ours contains.
      text += is_label_character(c) ? std::string(1, c)
                                    : fmt::format("\\{:03}", static_cast<std::uint8_t>(c));
    }
    text += '.';
    rest.remove_prefix(1 + size);
  }
  return text;
}

std::size_t Name::label_count() const {
  std::size_t count = 0;
  std::string_view rest = wire_;
  while (size_of_label(rest) != 0) {
    rest.remove_prefix(1 + size_of_label(rest));
    ++count;
  }
  return count;
}

bool Name::is_within(const Name& zone) const {
  return is_folded_within(folded(), zone.folded());
}

Result<Name> Name::within(const Name& zone) const {
  Name whole(wire_.substr(0, wire_.size() - 1) + zone.wire_);
  if (whole.wire_.size() > kNameMax) {
    return Error{Errc::Invalid,
                 fmt::format("name of {} octets (at most {})", whole.wire_.size(), kNameMax)};
  }
  return whole;
}

Name Name::parent() const {
  WEFT_ASSERT(!is_root());
  return Name(wire_.substr(1 + size_of_label(wire_)));
}

bool is_folded_within(std::string_view wire, std::string_view zone) {
  while (wire.size() > zone.size()) {
    wire.remove_prefix(1 + size_of_label(wire));
  }
  return wire == zone;
}

}  // namespace weft::dns
