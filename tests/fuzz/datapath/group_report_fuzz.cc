// Any frame is a report of group members or none; what it names are groups that are announced, and
// no more than fit the limit.
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "router/multicast/group_report.h"

namespace weft::router {
namespace {

void run(ByteView input) {
  const Result<EthernetFrame> frame = decode_ethernet(input);
  if (!frame.ok()) {
    return;
  }
  (void)announced_group(frame.value());
  const std::optional<GroupReport> report = parse_group_report(frame.value());
  if (!report) {
    return;
  }
  WEFT_ASSERT(report->joined.size() + report->left.size() <= kReportedGroupsMax);
  for (const Ip& group : report->joined) {
    WEFT_ASSERT(is_announced(group));
  }
  for (const Ip& group : report->left) {
    WEFT_ASSERT(is_announced(group));
  }
}

}  // namespace
}  // namespace weft::router

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  weft::router::run({data, size});
  return 0;
}
