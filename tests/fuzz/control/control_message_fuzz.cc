// Any bytes as a message of a peer: refused, or the same again when encoded and decoded, and taken
// by both cores without harm.
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "base/rng.h"
#include "control/message.h"
#include "control/performer.h"
#include "control/requester.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using weft::control::Performer;
  using weft::control::PerformerActions;
  using weft::control::Requester;
  using weft::control::RequesterActions;
  const auto message = weft::control::decode({data, size});
  if (!message.ok()) {
    return 0;
  }
  const auto again = weft::control::decode(weft::control::encode(message.value()));
  WEFT_ASSERT(again.ok());
  WEFT_ASSERT(again.value() == message.value());
  const weft::TimePoint now(std::chrono::seconds(1));
  if (message.value().from_asker) {
    Performer performer(
        {.self = weft::PeerName(1), .enabled = true, .for_others = true, .host_shell = true});
    PerformerActions out;
    performer.on_message(now, weft::PeerName(2), message.value(), out);
    performer.check_invariants();
  } else {
    weft::SeededEntropy entropy{weft::Rng(1)};
    Requester requester({.self = weft::PeerName(1)}, entropy);
    RequesterActions out;
    requester.on_message(now, weft::PeerName(2), message.value(), out);
    requester.check_invariants();
  }
  return 0;
}
