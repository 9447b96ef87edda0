// The proposer of the next decree: gathers promises, settles the value, gathers acceptances.
//
// Belongs to the allocator, which sends its messages and answers them for our own seat. Anybody
// with the decree in force may propose; ballots keep rivals apart. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <variant>
#include <vector>

#include "base/peer_name.h"
#include "base/rng.h"
#include "base/time.h"
#include "ipam/council/messages.h"

namespace weft::ipam {

class Proposal {
 public:
  struct Aim {
    std::optional<PeerName> removed;  // Gone by an operator's word.
    std::optional<PeerName> leaving;  // Ourselves, by our own.
    PeerName heir;                    // Of all that comes free.

    friend bool operator==(const Aim&, const Aim&) = default;
  };
  // What to tell every member.
  using Question = std::variant<Prepare, Accept>;

  // No ballot of a round up to this one is proposed again.
  Proposal(PeerName self, std::uint64_t round) : self_(self), round_(round) {}
  std::uint64_t round() const { return round_; }  // To be persisted before a question leaves.

  // The first question of a new attempt, with a ballot above every one seen.
  Prepare start(TimePoint now, const Ring& ring, Aim aim);
  void stop() { attempt_.reset(); }
  bool is_open() const { return attempt_.has_value(); }
  // Gives the attempt up: it has taken too long.
  TimePoint deadline() const { return attempt_ ? attempt_->deadline : kNever; }

  // The second question, once enough promised.
  std::optional<Accept> on_promise(PeerName member, const Promise& promise);
  // The ring of the next decree, once enough accepted it.
  std::optional<Ring> on_accepted(PeerName member, const Accepted& accepted);
  void on_rebuff(const Rebuff& rebuff);
  // Ballots of others, so that ours will be higher.
  void on_ballot(const Ballot& ballot);

 private:
  struct Attempt {
    std::uint64_t decree = 0;
    Ballot ballot;
    Aim aim;
    TimePoint deadline{};
    std::vector<PeerName> voices;  // Whose promises count: the council, less who is removed.
    std::size_t quorum = 0;
    std::map<PeerName, Promise> promises;
    std::set<PeerName> accepted;
    std::optional<Ring> value;
  };

  PeerName self_;
  std::uint64_t round_ = 0;
  std::optional<Attempt> attempt_;
};

// The value for the next decree. Fails where promises contradict each other.
Result<Ring> make_decree(const std::map<PeerName, Promise>& promises,
                         const Ballot& ballot,
                         const Proposal::Aim& aim);

}  // namespace weft::ipam
