// The ciphers this machine can run, each tested before it is trusted: known answers first, then
// speed, because which of them is fast depends on the processor.
//
//   AES-256-GCM         intel-ipsec-mb where it was built in and the processor has AES; OpenSSL
//   ChaCha20-Poly1305   OpenSSL, libsodium
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/aead.h"
#include "sys/clock.h"

namespace weft::sys {

// Every implementation that gives the known answers, in no particular order.
std::vector<std::unique_ptr<Aead>> aead_backends();

struct MeasuredAead {
  std::unique_ptr<Aead> aead;
  double bytes_per_second = 0;  // Sealing datagrams of 1,400 bytes.
};

// The fastest implementation of each cipher, fastest cipher first; never empty. Takes a few
// milliseconds, once per start. `may_use`: which come into question, at least one; empty: all.
std::vector<MeasuredAead> choose_aeads(const Clock& clock,
                                       const std::function<bool(const Aead&)>& may_use = {});

}  // namespace weft::sys
