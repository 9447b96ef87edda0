// What the kernel seals under, from what a session seals under: the key and salt of ESP (RFC 4106,
// 8.1), and the key of small frames (router/bpf/kernel_lane.h). Pure.
//
// Each of one direction: BLAKE2b under the session's key of that direction, over a label of its
// own. Who knows one of these keys learns nothing of the others, and the same session key never
// makes two. The caller wipes them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "router/keys.h"

namespace weft::router {

std::array<std::uint8_t, 36> esp_key(const Secret& session_key);
std::array<std::uint8_t, 32> lane_key(const Secret& session_key);

}  // namespace weft::router
