// A seat on the council: remembers what every peer registered, promises ballots for the next decree
// and accepts its value. The acceptor of single-decree Paxos, once per decree.
//
// Belongs to the allocator, which persists memory rows before any answer leaves. Having promised, a
// member acknowledges no registration: what it told the proposer stays true. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/time.h"
#include "ipam/council/messages.h"

namespace weft::ipam {

class Voter {
 public:
  // What must survive a crash.
  struct Memory {
    Ballot promised;
    std::optional<std::pair<Ballot, Ring>> accepted;
    std::map<PeerName, Registration> registrations;  // Beyond those of the charter.

    friend bool operator==(const Memory&, const Memory&) = default;
  };

  // A new decree is in force, or the same after a restart. Nobody counts as silent until it has
  // had its time, nor while the mesh reaches it: those who hand out nothing need not speak.
  void begin(TimePoint now,
             const Charter& charter,
             Memory memory,
             const std::set<PeerName>& reachable);
  void on_reachable(PeerName peer) { reachable_.insert(peer); }
  void on_unreachable(TimePoint now, PeerName peer);

  // A ballot of nobody is a promise taken back.
  bool is_sealed() const { return memory_.promised.proposer != PeerName(); }

  // What this member has of the peer after hearing it; nothing if it may not acknowledge. True if
  // the registration is to be persisted.
  struct Heard {
    std::uint64_t seq = 0;
    bool changed = false;
  };
  std::optional<Heard> on_register(TimePoint now,
                                   PeerName from,
                                   std::uint64_t seq,
                                   const std::optional<IntervalSet>& cold);

  // True if the ballot is promised; then the memory is to be persisted.
  bool on_prepare(TimePoint now, const Prepare& prepare);
  bool on_accept(const Accept& accept);
  // Takes the promise back: the ballot, and every lower one, is refused from here on. Only for whom
  // no decree can do without (of two, or alone): what others accepted under it was not chosen then,
  // and no proposer takes it up. False if there is none to take back, or a value was accepted here;
  // else the memory is to be persisted.
  bool retract();
  Promise promise(TimePoint now, std::uint64_t decree, const Ring& ring) const;

  Promise::Word::Life life_of(TimePoint now, PeerName peer) const;
  bool is_silent(TimePoint now, PeerName peer) const {
    return life_of(now, peer) == Promise::Word::Life::Silent;
  }
  // Heard before, and reachable now: who has just died is given no seat.
  std::vector<PeerName> living() const;
  // Whether nobody but the mesh can change who is silent: all who have something to lose, and all
  // of the council, are reachable or silent already.
  bool is_calm(TimePoint now, PeerName self, const Charter& charter) const;
  const std::map<PeerName, Registration>& registrations() const { return memory_.registrations; }
  const Memory& memory() const { return memory_; }

 private:
  std::set<PeerName> reachable_;  // No more than the allocator's, which is bounded.
  std::map<PeerName, TimePoint> heard_;
  std::map<PeerName, TimePoint> lost_;  // Never heard, but reachable until then.
  TimePoint began_{};
  Memory memory_;
};

}  // namespace weft::ipam
