// Any bytes as a Docker engine's answer, as a cgroup's path and as a command line.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "base/bytes.h"
#include "probe/container_id.h"
#include "probe/engine_json.h"
#include "probe/mask.h"
#include "probe/report/codec.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = weft::as_text({data, size});
  if (auto containers = weft::probe::parse_container_list(text); containers.ok()) {
    weft::probe::HostReport report;
    report.containers = std::move(containers).value();
    weft::probe::enforce_limits(report);
    // Whatever an engine names its containers, the report of it can be read, unless cutting made
    // two ids the same.
    const auto decoded = weft::probe::decode_message(weft::probe::encode_report(report));
    WEFT_ASSERT(decoded.ok() || decoded.error().what.find("ascending") != std::string::npos);
  }
  (void)weft::probe::parse_container_hostname(text);
  WEFT_ASSERT(weft::probe::container_of_cgroup(text).size() % 64 == 0);
  weft::ObservedProcess process;
  process.cgroup = text;
  const auto container = weft::probe::container_of(process, "h1");
  WEFT_ASSERT(!container || !container->name.empty());
  const std::string_view group = weft::probe::group_of_container(text);
  WEFT_ASSERT(text.starts_with(group) && group.empty() == !container);
  (void)weft::probe::mask_command(text);
  return 0;
}
