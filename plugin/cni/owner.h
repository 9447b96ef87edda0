// Who holds an address in ipam, and an attachment in the agent, for an attachment of a CNI network:
// "CONTAINER:cni:NETWORK:INTERFACE". The name is the whole record: by it addresses outlive deaths
// that only DEL may end, and GC finds those of its network.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "plugin/cni/call.h"

namespace weft::plugin::cni {

struct Owner {
  AttachmentId attachment;
  std::string network;

  friend bool operator==(const Owner&, const Owner&) = default;
};

std::string to_string(const Owner& owner);
// Nothing for an owner of another kind.
std::optional<Owner> parse_owner(std::string_view text);

}  // namespace weft::plugin::cni
