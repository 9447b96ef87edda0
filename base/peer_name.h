// Who a peer is: a 48-bit random name, written like a MAC address (as Weave's users know it), and
// the incarnation that fences its restarts: of two claims to one name the higher incarnation is the
// living one, and records of a lower incarnation are void.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/address.h"
#include "base/result.h"
#include "base/strong_id.h"

namespace weft {

using Incarnation = StrongId<struct IncarnationTag>;

class PeerName {
 public:
  constexpr PeerName() = default;
  // Precondition: the number fits in 48 bits.
  explicit PeerName(std::uint64_t number);
  // Twelve hex digits in six groups; "::" stands for groups of zeros, as in "::1".
  static Result<PeerName> parse(std::string_view text);

  constexpr std::uint64_t number() const { return number_; }
  Mac as_mac() const;
  std::string to_string() const { return as_mac().to_string(); }

  friend constexpr auto operator<=>(PeerName, PeerName) = default;
  friend constexpr bool operator==(PeerName, PeerName) = default;

 private:
  std::uint64_t number_ = 0;
};

}  // namespace weft
