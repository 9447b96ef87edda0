// Names and resolv.conf as text: whatever is in them is read or refused, and what is read as a name
// is written as the same.
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "dns/name.h"
#include "dns/resolv_conf.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = weft::as_text({data, size});
  if (const auto name = weft::dns::Name::parse(text); name.ok()) {
    WEFT_ASSERT(weft::dns::Name::parse(name.value().to_string()).value() == name.value());
  }
  WEFT_ASSERT(weft::dns::parse_resolv_conf(text).size() <= weft::dns::kServersMax);
  return 0;
}
