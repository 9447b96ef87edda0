// What the kernel's ESP seals under, from what a session seals under: the cipher's key and the salt
// of its nonces (RFC 4106, 8.1). Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "router/keys.h"

namespace weft::router {

// Of one direction. BLAKE2b under the session's key of that direction, over a label of its own: who
// knows one of the two keys learns nothing of the other, and the same session key never makes two.
// The caller wipes it.
std::array<std::uint8_t, 36> esp_key(const Secret& session_key);

}  // namespace weft::router
