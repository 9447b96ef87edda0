// The parser that also runs in the kernel reads no octet outside the packet (AddressSanitizer
// watches) and accepts only what it would write.
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/assert.h"
#include "base/bytes.h"
#include "router/bpf/parse.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::uint16_t kPort = 6784;
  if (size == 0) {
    return 0;  // An empty vector has no pointer to count from.
  }
  const weft::Bytes frame(data, data + size);  // Exactly as long as the input.
  const std::uint8_t* const end = frame.data() + frame.size();
  weft_mac mac{};
  WEFT_ASSERT((weft_parse_destination(frame.data(), end, &mac) == 1) == (size >= 14));
  WEFT_ASSERT(weft_parse_ecn(frame.data(), end) <= WEFT_ECN_CE);

  weft_vxlan vxlan{};
  if (weft_parse_vxlan(frame.data(), end, kPort, &vxlan) == 0) {
    return 0;
  }
  WEFT_ASSERT(size >= WEFT_ENCAP_FRAME_SIZE);
  WEFT_ASSERT(vxlan.vni < 1U << 24U);
  weft_encap encap{};
  std::memcpy(encap.source, vxlan.source, sizeof encap.source);
  std::memcpy(encap.destination, vxlan.destination, sizeof encap.destination);
  encap.vni = vxlan.vni;
  encap.udp_destination = kPort;
  std::uint8_t headers[WEFT_ENCAP_SIZE] = {};
  weft_write_vxlan(headers, &encap);
  WEFT_ASSERT(weft_ipv4_checksum(headers) == 0);
  // Version, protocol, both addresses; destination port; flags and VNI without its reserved octet.
  WEFT_ASSERT(headers[0] == frame[14]);
  WEFT_ASSERT(std::memcmp(headers + 12, frame.data() + 26, 8) == 0);
  WEFT_ASSERT(std::memcmp(headers + 22, frame.data() + 36, 2) == 0);
  WEFT_ASSERT(std::memcmp(headers + 28, frame.data() + 42, 7) == 0);
  return 0;
}
