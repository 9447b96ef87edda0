// The reader of small sealed frames that runs in the kernel reads no octet outside the packet
// (AddressSanitizer watches), and accepts only lengths that its cipher has room for.
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/assert.h"
#include "base/bytes.h"
#include "router/bpf/kernel_lane.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::uint16_t kPort = 6783;
  if (size == 0) {
    return 0;  // An empty vector has no pointer to count from.
  }
  const weft::Bytes frame(data, data + size);  // Exactly as long as the input.
  (void)weft_is_bare_ack(frame.data(), frame.data() + frame.size());
  weft_lane_datagram datagram{};
  if (weft_parse_lane(frame.data(),
                      frame.data() + frame.size(),
                      static_cast<std::uint32_t>(size),
                      kPort,
                      &datagram)
      == 0) {
    return 0;
  }
  WEFT_ASSERT(datagram.size >= WEFT_LANE_TEXT_MIN && datagram.size <= WEFT_LANE_TEXT_MAX);
  WEFT_ASSERT(size == WEFT_LANE_TEXT_AT + datagram.size + WEFT_LANE_TAG_SIZE);
  weft_lane_text text{};
  std::memcpy(text.text, frame.data() + WEFT_LANE_TEXT_AT, datagram.size);
  std::memcpy(
      text.received_tag, frame.data() + WEFT_LANE_TEXT_AT + datagram.size, WEFT_LANE_TAG_SIZE);
  weft_write_lane_header(&text, datagram.receiver, datagram.counter);
  WEFT_ASSERT(std::memcmp(text.header,
                          frame.data() + WEFT_LANE_TEXT_AT - WEFT_LANE_HEADER_SIZE,
                          WEFT_LANE_HEADER_SIZE)
              == 0);
  weft_lane_authenticate(&text, datagram.counter, datagram.size);
  // Nobody forges a tag by chance.
  WEFT_ASSERT(weft_lane_is_authentic(&text) == 0);
  return 0;
}
