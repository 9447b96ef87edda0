// A logged packet that is anything: read or not, and never beyond its end.
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "policy/blocked.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto connection = weft::policy::read_blocked({data, size});
  if (connection) {
    WEFT_ASSERT(connection->source.address.is_v4() == connection->destination.address.is_v4());
    WEFT_ASSERT(!connection->to_string().empty());
  }
  return 0;
}
