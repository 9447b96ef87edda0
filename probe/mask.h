// Hides what looks like a secret in a command line or a label, before it leaves the host. Pure.
//
// By the names people give to secrets ("--password=x", "TOKEN=x", "--api-key x") and by the place
// of the password in a URL. It cannot know a secret that is called something else.
#pragma once

#include <string>
#include <string_view>

namespace weft::probe {

inline constexpr std::string_view kMasked = "***";

// True if a value of this name is likely a secret, and not the path of a file with one.
bool is_secret_name(std::string_view name);
std::string mask_command(std::string_view command);

}  // namespace weft::probe
