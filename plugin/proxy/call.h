// Which calls of Docker's API the proxy has to do with, by the head of a request. All others pass
// through it as they are. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace weft::plugin::proxy {

struct Call {
  enum class Kind : std::uint8_t {
    Other,
    Create,  // A container.
    Start,   // One that is there; also again.
    Exec,    // Something more, in one that runs.
  };
  Kind kind = Kind::Other;
  std::string container{};  // Of Start and Exec: an id or a name, as it stands in the path.
  std::string name{};  // Of Create: what the container is to be called; empty if Docker chooses.

  friend bool operator==(const Call&, const Call&) = default;
};

Call parse_call(std::string_view method, std::string_view target);

}  // namespace weft::plugin::proxy
