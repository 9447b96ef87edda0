// How a container runtime calls a CNI plugin: the environment of its process (specification 1.1,
// section 2), as a value. Pure.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace weft::plugin::cni {

// Runtimes' ids have 64 characters, or are names a person gave. An id is part of an owner in ipam.
inline constexpr std::size_t kContainerIdMax = 128;
// CNI_ARGS and CNI_PATH are typed, or made of a few names: what is longer is a mistake.
inline constexpr std::size_t kVariableMax = 16384;
inline constexpr std::size_t kArgumentsMax = 256;

enum class Verb : std::uint8_t { Add, Del, Check, Status, Gc, Version };

// What tells attachments apart.
struct AttachmentId {
  std::string container;
  std::string interface;  // In there.

  friend auto operator<=>(const AttachmentId&, const AttachmentId&) = default;
  friend bool operator==(const AttachmentId&, const AttachmentId&) = default;
};

struct Call {
  Verb verb = Verb::Version;
  AttachmentId attachment;                       // Of Add, Del and Check.
  std::string netns;                             // A path; of Del perhaps empty.
  std::map<std::string, std::string> arguments;  // CNI_ARGS.
  std::string path;  // CNI_PATH: folders of plugins, with colons between.

  friend bool operator==(const Call&, const Call&) = default;
};

using Environment = std::function<std::optional<std::string>(const std::string& name)>;

// Errc::Invalid names the variable that is missing or malformed.
Result<Call> parse_call(const Environment& environment);

// "[a-zA-Z0-9][a-zA-Z0-9_.-]*": ids of containers and names of networks.
bool is_identifier(std::string_view text);
// What the kernel and the specification take as the name of an interface.
bool is_interface_name(std::string_view text);

}  // namespace weft::plugin::cni
