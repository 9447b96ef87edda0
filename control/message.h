// What the two sides of a control say to each other, and its bytes (proto/control.proto). Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <variant>

#include "base/bytes.h"
#include "base/result.h"

namespace weft::control {

inline constexpr std::size_t kTextMax = 512;  // Bytes of a name, a reason or an argument.
inline constexpr std::size_t kArgumentsMax = 8;
// A screen of text; small enough that a flood through one pipe leaves other gossip its turn.
inline constexpr std::size_t kPieceMax = 16 * 1024;

using Arguments = std::map<std::string, std::string, std::less<>>;

struct Ask {
  std::uint64_t call = 0;
  std::string node{};
  std::string control{};
  Arguments arguments{};
  std::string pipe{};
  std::string who{};

  friend bool operator==(const Ask&, const Ask&) = default;
};

struct Told {
  std::uint64_t call = 0;
  std::string error{};  // Empty: it worked.
  bool pipe = false;
  bool raw_tty = false;
  std::string resize_control{};
  bool removed = false;

  friend bool operator==(const Told&, const Told&) = default;
};

struct Piece {
  std::string pipe{};
  std::uint64_t offset = 0;
  Bytes data{};

  friend bool operator==(const Piece&, const Piece&) = default;
};

struct Taken {
  std::string pipe{};
  std::uint64_t offset = 0;

  friend bool operator==(const Taken&, const Taken&) = default;
};

struct Ended {
  std::string pipe{};
  std::string reason{};

  friend bool operator==(const Ended&, const Ended&) = default;
};

using Body = std::variant<Ask, Told, Piece, Taken, Ended>;

struct Message {
  bool from_asker = false;
  Body body{};

  friend bool operator==(const Message&, const Message&) = default;
};

// Texts over their limit are cut.
Bytes encode(const Message& message);
// Refuses what exceeds a limit.
Result<Message> decode(ByteView bytes);

}  // namespace weft::control
