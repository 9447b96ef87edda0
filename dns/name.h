// A domain name (RFC 1035, section 3.1) as the octets that travel: labels, each behind its size,
// and the empty label of the root at the end.
//
// Case is kept, as it was stored or asked; names are equal when their folded octets are. Labels may
// hold any printable ASCII but dots and blanks, because containers' names do not stop at host names
// ("my_app"). Pure values.
#pragma once

#include <compare>
#include <cstddef>
#include <string>
#include <string_view>

#include "base/address.h"
#include "base/bytes.h"
#include "base/result.h"

namespace weft::dns {

// RFC 1035, section 2.3.4; the size of a name includes the root's octet.
inline constexpr std::size_t kLabelMax = 63;
inline constexpr std::size_t kNameMax = 255;

class Name {
 public:
  Name() : wire_(1, '\0') {}  // The root.
  // "web.weft.local" or "web.weft.local."; "." is the root.
  static Result<Name> parse(std::string_view text);
  // Precondition: `wire` is one whole uncompressed name, as message.h reads them.
  static Name from_wire(std::string_view wire) { return Name(std::string(wire)); }
  // "4.3.2.1.in-addr.arpa" (RFC 1035, section 3.5), or its ip6.arpa twin (RFC 3596).
  static Name reverse_of(const Ip& address);

  const std::string& wire() const { return wire_; }
  std::string folded() const;
  // With the final dot.
  std::string to_string() const;
  std::size_t label_count() const;
  bool is_root() const { return wire_.size() == 1; }

  // True for the zone itself and for what is below it.
  bool is_within(const Name& zone) const;
  // This name's labels, then those of `zone`. Fails where that is too long.
  Result<Name> within(const Name& zone) const;
  // Without the first label. Precondition: not the root.
  Name parent() const;

  friend auto operator<=>(const Name&, const Name&) = default;
  friend bool operator==(const Name&, const Name&) = default;

 private:
  explicit Name(std::string wire) : wire_(std::move(wire)) {}

  std::string wire_;
};

// Upper-case ASCII to lower case; leaves the sizes of labels alone, as they are below 'A'.
constexpr char fold(char octet) {
  return octet >= 'A' && octet <= 'Z' ? static_cast<char>(octet + ('a' - 'A')) : octet;
}

// True if the folded name `wire` is `zone` (folded) or below it.
bool is_folded_within(std::string_view wire, std::string_view zone);

}  // namespace weft::dns
