// Whether the operator wants the kernels to encrypt.
#pragma once

#include <cstdint>

namespace weft::router {

// Auto: where this machine's kernel does it for less than the agent.
enum class EspWish : std::uint8_t { Off, On, Auto };

}  // namespace weft::router
