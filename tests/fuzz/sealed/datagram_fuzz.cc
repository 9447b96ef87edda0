// Whatever arrives on the encrypted path's port leaves the sessions valid, and costs no more than a
// datagram in return.
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/entropy.h"
#include "router/sealed/session_wire.h"
#include "router/sealed/sessions.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using weft::router::HandshakeCodes;
  using weft::router::Sessions;
  const weft::Endpoint from{weft::Ipv4(0x0a000001), 6783};
  weft::SeededEntropy entropy{weft::Rng(1)};
  Sessions::Options options;
  options.key = weft::router::KeyPair::generate(entropy);
  options.incarnation = weft::Incarnation(1);
  options.ciphers = {weft::CipherId::Aes256Gcm};
  Sessions sessions(options, entropy, weft::TimePoint());
  weft::router::SessionActions out;
  sessions.set_peer({}, weft::PeerName(2), {.key = {9}, .endpoint = from, .clear = false}, out);
  sessions.on_wanted({}, weft::PeerName(2), out);
  out.clear();

  const weft::Bytes datagram(data, data + size);
  (void)weft::router::read_data_header(datagram);
  sessions.on_datagram({}, from, datagram, out);
  WEFT_ASSERT(out.size() <= 1);

  // The same with a right first code, which only members can make, to get further in.
  weft::Bytes coded = datagram;
  HandshakeCodes(options.psk, options.key.pub).append(coded, std::nullopt);
  sessions.on_datagram({}, from, coded, out);
  sessions.check_invariants();

  if (const auto proposal = weft::router::decode_proposal(datagram); proposal.ok()) {
    WEFT_ASSERT(proposal.value().ciphers.size() <= weft::router::kCiphersMax);
  }
  (void)weft::router::decode_choice(datagram).ok();
  return 0;
}
