// Whether the kernel's ESP is worth it on this machine: what a datagram costs that the kernel seals
// and opens, beside one that a thread of ours does.
//
// Either way full datagrams go from one socket to another, over the loopback device of a network
// namespace that goes away again. Ours are sealed and opened by `aead` and cross the kernel as
// super-datagrams, with the two copies that packet sockets add; the kernel's, which leave ESP one
// by one, cross it so. What VXLAN and bridges add to the one, and more hosts than this one to both,
// is not measured. How long the kernel takes to find and test its modules is not known beforehand,
// so no thread that others wait for should ask.
#pragma once

#include <chrono>

#include "base/aead.h"
#include "base/result.h"
#include "sys/clock.h"

namespace weft::sys {

// Of a datagram, sealing and opening together; the best of several short runs.
struct EspCost {
  std::chrono::nanoseconds kernel{};
  std::chrono::nanoseconds ours{};
};

// Takes some ten milliseconds, and on a slow machine a second beside the above. Nothing that `key`
// seals is a secret, and it must not be used for anything else.
// Errc::Unavailable: the kernel does not carry what it seals.
Result<EspCost> measure_esp(AeadKey& key, const Clock& clock);

}  // namespace weft::sys
