#include "base/ruleset/policy_rules.h"

#include <algorithm>

#include "base/assert.h"
#include "base/bytes.h"

namespace weft {
namespace {

// The octets count as one number: those at the end that are `full` begin anew, the one before them
// takes a step.
std::optional<Ip> step(const Ip& address, std::uint8_t full, int by) {
  Bytes octets = address.bytes();
  auto digit = octets.rbegin();
  while (digit != octets.rend() && *digit == full) {
    *digit = static_cast<std::uint8_t>(~full);
    ++digit;
  }
  if (digit == octets.rend()) {
    return std::nullopt;
  }
  *digit = static_cast<std::uint8_t>(*digit + by);
  const Result<Ip> stepped = Ip::from_bytes(octets);
  WEFT_ASSERT(stepped.ok());
  return stepped.value();
}

}  // namespace

std::optional<Ip> address_after(const Ip& address) {
  return step(address, 0xff, 1);
}

std::optional<Ip> address_before(const Ip& address) {
  return step(address, 0, -1);
}

}  // namespace weft
