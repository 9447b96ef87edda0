// IPsec of the kernel's own (XFRM), as far as weft uses it: ESP in transport mode (RFC 4303) with
// AES-256-GCM (RFC 4106), between this host and one other, for one UDP port.
//
// A *requirement* says that datagrams to the port leave sealed under one SPI or not at all, or that
// they are taken in only if they came sealed. An *association* holds the keys of one direction.
// Several may stand beside each other, so that keys change without loss: first what the peer will
// seal under, then what we do. Everything of ours is marked by a group of our own (the kernel's
// "reqid"), and all of it can be found again by that after a crash. Blocking: the kernel answers
// from within the system call.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/address.h"
#include "base/bytes.h"
#include "base/result.h"

namespace weft::sys {

// Smaller ones are reserved (RFC 4303, 2.1).
inline constexpr std::uint32_t kSpiMin = 256;
// AES-256's key and four octets of salt (RFC 4106, 8.1).
inline constexpr std::size_t kEspKeySize = 36;

// The two hosts. Both addresses are of IPv4 or both of IPv6.
struct EspPair {
  Ip local;
  Ip peer;
  std::uint16_t port = 0;   // UDP, where both sides listen.
  std::uint16_t group = 0;  // Of this pair alone: what another pair sealed does not pass for it.

  friend bool operator==(const EspPair&, const EspPair&) = default;
};

enum class EspDirection : std::uint8_t { In, Out };

struct EspAssociation {
  EspDirection direction = EspDirection::In;
  std::uint32_t spi = 0;  // At least kSpiMin.
  std::array<std::uint8_t, kEspKeySize> key{};
  // The kernel forgets it after that many packets, or so long, whoever still wants it.
  std::uint64_t packets_max = 0;
  std::uint32_t seconds_max = 0;
};

class Xfrm {
 public:
  Xfrm() = default;
  Xfrm(const Xfrm&) = delete;
  Xfrm& operator=(const Xfrm&) = delete;
  virtual ~Xfrm() = default;

  // Errc::Conflict: somebody has that SPI. A key must never be added twice: its counter would begin
  // anew, and with it AES-GCM's nonces.
  virtual Result<Ok> add(const EspPair& pair, const EspAssociation& association) = 0;
  // That it is not there is no error.
  virtual Result<Ok> remove(const EspPair& pair, EspDirection direction, std::uint32_t spi) = 0;
  // How many packets it has carried; Errc::NotFound if it is not there.
  virtual Result<std::uint64_t> packets(const EspPair& pair,
                                        EspDirection direction,
                                        std::uint32_t spi) = 0;

  // Replaces what was required before, in one step. Without an association of that SPI nothing
  // leaves.
  virtual Result<Ok> require_out(const EspPair& pair, std::uint32_t spi) = 0;
  virtual Result<Ok> require_in(const EspPair& pair) = 0;
  // Neither is required; that none was is no error.
  virtual Result<Ok> release(const EspPair& pair) = 0;

  // Removes everything of ours, also of earlier runs.
  virtual Result<Ok> clear() = 0;
};

// The kernel's, or Errc::Unavailable with the reason: found out by doing all of it once in a
// network namespace that goes away again.
Result<std::unique_ptr<Xfrm>> open_xfrm();
// Of the calling thread's network namespace, untried.
Result<std::unique_ptr<Xfrm>> open_xfrm_here();

// What an earlier run may have left. A kernel that cannot be asked has nothing.
Result<Ok> clear_xfrm();

}  // namespace weft::sys
