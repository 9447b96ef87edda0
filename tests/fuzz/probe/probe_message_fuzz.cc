// Any bytes as a message of the probe topic: refused, or within the limits and the same again when
// encoded and decoded.
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "probe/report/codec.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto message = weft::probe::decode_message({data, size});
  if (!message.ok()) {
    return 0;
  }
  if (const auto* report = std::get_if<weft::probe::HostReport>(&message.value())) {
    WEFT_ASSERT(report->processes.size() <= weft::probe::kProcessesMax);
    WEFT_ASSERT(report->flows.size() <= weft::probe::kFlowsMax);
    WEFT_ASSERT(report->overlay.paths.size() <= weft::probe::kPathsMax);
    const auto again = weft::probe::decode_message(weft::probe::encode_report(*report));
    WEFT_ASSERT(again.ok());
    WEFT_ASSERT(std::get<weft::probe::HostReport>(again.value()) == *report);
    weft::probe::Report merged;
    WEFT_ASSERT(merged.merge(*report));
    WEFT_ASSERT(!merged.merge(*report));
  }
  return 0;
}
