// What holders, members and proposers of the council say to each other (docs/adr/0010). Values;
// ipam/messages.h has their encoding. All speak of one decree and are void under any other.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/peer_name.h"
#include "ipam/council/charter.h"
#include "ipam/ring.h"

namespace weft::ipam {

// One peer's word on its own space.
struct Registration {
  std::uint64_t seq = 0;
  IntervalSet cold;

  friend bool operator==(const Registration&, const Registration&) = default;
};

// Peers a member or a promise may list: twice the largest cluster weft is meant for.
inline constexpr std::size_t kRegisteredMax = 4'096;

struct Register {
  struct State {
    IntervalSet cold;
    Ring ring;

    friend bool operator==(const State&, const State&) = default;
  };
  std::uint64_t decree = 0;
  std::uint64_t seq = 0;
  std::uint64_t nonce = 0;  // Repeated by the answer: from it the sender tells how old its word is.
  std::optional<State> state;  // Absent where the member has acknowledged this seq before.

  friend bool operator==(const Register&, const Register&) = default;
};

struct Registered {
  std::uint64_t decree = 0;
  std::uint64_t seq =
      0;  // What the member has; another than the sender's where it lacks the state.
  std::uint64_t nonce = 0;

  friend bool operator==(const Registered&, const Registered&) = default;
};

struct Prepare {
  std::uint64_t decree = 0;
  Ballot ballot;
  std::optional<PeerName> removed;  // Whom an operator vouches to be gone.

  friend bool operator==(const Prepare&, const Prepare&) = default;
};

struct Promise {
  struct Word {
    // Part of the wire format: never renumber. Unknown: not heard yet, for want of time. Forfeit:
    // silent for so long that its used addresses are given up too.
    enum class Life : std::uint8_t { Unknown = 0, Heard = 1, Silent = 2, Forfeit = 3 };
    Registration registration{};
    Life life = Life::Unknown;

    bool is_silent() const { return life == Life::Silent || life == Life::Forfeit; }

    friend bool operator==(const Word&, const Word&) = default;
  };
  std::uint64_t decree = 0;
  Ballot ballot;
  std::map<PeerName, Word> words;
  Ring ring;
  // The value accepted under the highest ballot before, if any.
  std::optional<std::pair<Ballot, Ring>> accepted;

  friend bool operator==(const Promise&, const Promise&) = default;
};

struct Accept {
  std::uint64_t decree = 0;
  Ballot ballot;
  Ring value;  // The ring of the next decree, charter included.

  friend bool operator==(const Accept&, const Accept&) = default;
};

struct Accepted {
  std::uint64_t decree = 0;
  Ballot ballot;

  friend bool operator==(const Accepted&, const Accepted&) = default;
};

// The ballot is refused: a higher one was promised, or the peer to be removed was heard.
struct Rebuff {
  std::uint64_t decree = 0;
  Ballot ballot;
  Ballot promised;
  bool heard = false;

  friend bool operator==(const Rebuff&, const Rebuff&) = default;
};

}  // namespace weft::ipam
