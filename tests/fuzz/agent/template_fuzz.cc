// A template that somebody gives to `weave report -f`, over a value with one of every JSON kind.
// The outcome is text or an Error that says why.
#include <cstddef>
#include <cstdint>

#include <boost/json/parse.hpp>

#include "agent/http/template.h"
#include "base/assert.h"
#include "base/bytes.h"

namespace {

constexpr const char* kValue =
    R"({"Name": "h1", "Count": 3, "Share": 0.5, "On": true, "None": null,
        "List": [1, "two", {"Deep": {"Er": []}}], "Map": {"a b": "c", "d": {}}})";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const boost::json::value value = boost::json::parse(kValue);
  const auto text = weft::agent::render_template(weft::as_text({data, size}), value);
  WEFT_ASSERT(text.ok() || !text.error().what.empty());
  return 0;
}
