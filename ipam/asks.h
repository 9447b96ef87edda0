// What we want from other peers, whom we asked, and when to ask the next.
//
// Belongs to the allocator. A want is either some space for a subnet (any peer
// with free addresses there may give) or one address that another peer owns. At
// most one question per want is open; who does not answer in time is passed
// over, and when nobody is left we wait, longer each time. Sans-IO: returns
// what to send and what failed for good.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <variant>
#include <vector>

#include "base/peer_name.h"
#include "base/result.h"
#include "base/rng.h"
#include "base/time.h"
#include "ipam/messages.h"
#include "ipam/ring.h"
#include "ipam/space.h"

namespace weft::ipam {

class Asks {
 public:
  // Some address of the want, or this very one.
  using Want = std::variant<Space::Want, Uint128>;

  struct Send {
    PeerName to;
    PeerMessage message;

    friend bool operator==(const Send&, const Send&) = default;
  };
  // Only for a single address: its owner refused or stayed silent. The ask is
  // forgotten.
  struct GiveUp {
    Uint128 address = 0;
    Error reason;

    friend bool operator==(const GiveUp&, const GiveUp&) = default;
  };
  using Step = std::variant<Send, GiveUp>;
  using Steps = std::vector<Step>;

  // What the asks look at, both the allocator's.
  struct View {
    const Ring& ring;
    const std::set<PeerName>& reachable;
  };

  Asks(PeerName self, Rng rng) : self_(self), rng_(rng) {}

  // New wants are due at once; an ask nobody wants any more is forgotten.
  void set_wants(TimePoint now, const std::set<Want>& wants);
  void on_deadline(TimePoint now, const View& view, Steps& out);
  TimePoint next_deadline() const;

  void on_granted(TimePoint now, PeerName from, std::uint64_t id);
  void on_denied(TimePoint now, PeerName from, std::uint64_t id, const Denial& denial, Steps& out);
  // The ring or reachability changed: who waits need not wait out its delay if
  // somebody has space.
  void on_news(TimePoint now, const View& view);

  std::size_t count() const { return asks_.size(); }

 private:
  struct Ask {
    std::uint64_t id = 0;           // Of the open question.
    std::optional<PeerName> donor;  // Whom it was put to.
    std::set<PeerName> passed_over;
    std::size_t sent_count = 0;  // In this round, or at all for a single address.
    TimePoint due{};
    Duration backoff{};
  };

  void ask_for_space(
      TimePoint now, const View& view, const Space::Want& want, Ask& ask, Steps& out);
  // False if there is nothing more to ask.
  bool ask_for_address(TimePoint now, const View& view, Uint128 address, Ask& ask, Steps& out);
  std::optional<PeerName> choose_donor(const View& view, const Space::Want& want, const Ask& ask);
  std::map<Want, Ask>::iterator find(PeerName from, std::uint64_t id);

  PeerName self_;
  Rng rng_;
  std::map<Want, Ask> asks_;
};

}  // namespace weft::ipam
