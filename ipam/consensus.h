// Agrees, once, among which peers the range is first shared out: single-decree Paxos over gossip.
//
// Every elector states a claim, what it promised and what it accepted. Claims form a map that only
// grows (per elector, later beats earlier); peers that meet exchange it, and then pass on what is
// new. A ballot is proposed by
// promising it oneself; whoever sees a higher promise promises likewise; the proposer that sees a
// quorum of promises accepts a value, and whoever sees an acceptance it may follow accepts it too.
// When a quorum accepted one ballot, its value is chosen. The value is the set of electors known.
//
// Pure; belongs to the allocator, which persists own() before it lets anybody see claims().
// The quorum is a majority of the electors configured or of those known, whichever is more, so a
// peer that was told of nobody does not outvote the ones that joined it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/peer_name.h"
#include "base/rng.h"
#include "base/time.h"

namespace weft::ipam {

struct Ballot {
  std::uint64_t round = 0;  // 0: none yet.
  PeerName proposer;

  friend auto operator<=>(const Ballot&, const Ballot&) = default;
  friend bool operator==(const Ballot&, const Ballot&) = default;
};

// No election needs this many rounds; a higher one on the wire would leave nobody a next round.
inline constexpr std::uint64_t kRoundMax = std::uint64_t{1} << 48U;

struct ElectorClaim {
  Ballot promised;
  Ballot accepted;                 // Round 0: nothing accepted.
  std::vector<PeerName> electors;  // The accepted value, ascending.

  friend auto operator<=>(const ElectorClaim&, const ElectorClaim&) = default;
  friend bool operator==(const ElectorClaim&, const ElectorClaim&) = default;
};

using ElectorClaims = std::map<PeerName, ElectorClaim>;

class Consensus {
 public:
  struct Options {
    PeerName self;
    std::size_t elector_count = 1;
    // Has no vote: relays what it hears, and asks the electors to hold an election.
    bool observer = false;
  };
  // What must survive a crash.
  struct Memory {
    ElectorClaim own;
    std::set<PeerName> known;  // Ourselves may be among them.

    friend bool operator==(const Memory&, const Memory&) = default;
  };
  // Whether claims are all that their sender knows, or what has changed.
  enum class Extent : std::uint8_t { All, News };
  struct Change {
    bool memory = false;             // memory() must be persisted before claims() is shown.
    bool own = false;                // Everybody should hear; otherwise not whoever told us.
    std::set<PeerName> news{};       // Whose claims changed.
    std::set<PeerName> they_lack{};  // Whose claims they do not have, or not as they are.
    bool provoke = false;            // An observer needs a ring: the electors should hear.
    bool nudge = false;              // It is another's turn, who should hear that we need a ring.
  };
  // Proposals that cross keep each other from being chosen: whose turn it is proposes at once, the
  // others only if nothing comes of it.
  enum class Turn : std::uint8_t { Ours, Others };

  Consensus(Options options, Memory memory, Rng rng);

  // We need a ring: proposes now and again, after a random delay, until chosen() or stop().
  Change start(TimePoint now, Turn turn = Turn::Ours);
  // Claims of others change: while their election gets on we do not disturb it.
  void on_progress(TimePoint now);
  void stop() { due_ = kNever; }
  Change merge(const ElectorClaims& theirs, Extent extent);
  Change on_deadline(TimePoint now);
  TimePoint next_deadline() const { return due_; }

  // The electors among whom to share, once chosen. Never changes.
  std::optional<std::vector<PeerName>> chosen() const;

  const ElectorClaims& claims() const { return claims_; }
  // Those of the electors named.
  ElectorClaims claims_of(const std::set<PeerName>& electors) const;
  Memory memory() const;
  std::size_t quorum() const;
  // Somebody has proposed.
  bool is_under_way() const;
  std::size_t known_count() const { return claims_.size(); }
  std::uint64_t refused_count() const { return refused_count_; }  // Electors beyond kElectorMax.
  void check_invariants() const;

 private:
  Change propose(TimePoint now);
  Duration jitter(Duration most);
  Duration retry_min() const;
  // Follows promises and acceptances until nothing changes. True if our claim did.
  bool settle();
  bool promise_highest();
  bool accept_own_ballot();
  bool accept_followed();
  std::size_t count_promised(const Ballot& ballot) const;
  ElectorClaim& own() { return claims_.at(options_.self); }

  Options options_;
  Rng rng_;
  ElectorClaims claims_;  // Always has ourselves, unless we observe.
  TimePoint due_ = kNever;
  Duration delay_{};
  TimePoint patient_until_{};  // At most so long.
  std::uint64_t refused_count_ = 0;
};

}  // namespace weft::ipam
