// One peer's standing with the council: what it has registered, what of that counts, and until when
// it may hand out addresses.
//
// Belongs to the allocator, which persists each state before it is sent. All that was sent since,
// and including, the last state that counts may be what a decree finds, so the union of those cold
// sets is withheld. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "base/peer_name.h"
#include "base/time.h"
#include "ipam/council/charter.h"

namespace weft::ipam {

// A member calls silent whom neither it nor the mesh has heard for so long.
inline constexpr Duration kSilenceMax = std::chrono::seconds(10);
// While addresses are handed out. Two renewals may be lost within the tenure.
inline constexpr Duration kRenewInterval = std::chrono::seconds(3);
// Else: whoever hands out nothing needs no right to, and gets it with one round trip when asked. It
// only repairs what members forgot with a crash.
inline constexpr Duration kRenewIdle = std::chrono::seconds(60);
// The right to hand out ends this long after the acknowledged word was sent. The margin covers
// monotonic clocks that drift apart by far more than hardware does.
inline constexpr Duration kTenureMax = std::chrono::seconds(8);
static_assert(kTenureMax < kSilenceMax);
// A promise given to a proposer that went away seals us; after this long we finish its work.
inline constexpr Duration kSealedMax = std::chrono::seconds(4);

class Tenure {
 public:
  explicit Tenure(PeerName self) : self_(self) {}

  // A new decree is in force. `owned` is what it says is ours without anybody's further word;
  // nothing if we cannot know. `cold` is our cold set in it, `seq` what we have sent before.
  void begin(const Charter& charter, IntervalSet owned, IntervalSet cold, std::uint64_t seq);

  // A state to be registered; `owned` is what the ring that goes with it says is ours.
  void propose(IntervalSet owned, IntervalSet cold);
  // We gave this away: should it come back, it is ours by a new word only.
  void drop(const Span& span);
  // A question that is about to be sent to a member; its nonce.
  std::uint64_t ask(TimePoint now, PeerName member);
  // What a member answers; true if more counts than before.
  bool on_registered(PeerName member, std::uint64_t seq, std::uint64_t nonce);
  // Our own voice, if we are a member and acknowledge ourselves; true if more counts than before.
  bool on_own(TimePoint now);

  // Whether this member has acknowledged our present state.
  bool has_heard(PeerName member) const;
  std::uint64_t seq() const { return seq_; }
  // A state proposed later than every one that counts.
  bool is_pending() const { return !states_.empty() && states_.rbegin()->first > counted_seq_; }
  const IntervalSet& cold() const { return states_.rbegin()->second.cold; }
  // All cold sets that a decree may find.
  IntervalSet cold_union() const;
  // Ours beyond doubt.
  const IntervalSet& owned() const { return states_.begin()->second.owned; }

  bool is_alone() const { return is_alone_; }  // Our own voice suffices.
  // When the right to hand out ends; kNever if it does not.
  TimePoint expiry() const;
  // Members, ourselves included, whose acknowledgement gives it.
  std::size_t needed_count() const { return needed_; }

 private:
  struct State {
    IntervalSet owned;
    IntervalSet cold;
    bool gains = false;  // Claims space that no state which counts has.
  };
  struct Member {
    std::uint64_t seq = 0;
    TimePoint renewed = TimePoint::min();
    std::map<std::uint64_t, TimePoint> asked;  // By nonce, the latest few.
  };

  bool count_acknowledged();

  PeerName self_;
  bool is_alone_ = false;
  std::size_t needed_ = 1;
  std::size_t needed_to_gain_ = 1;
  std::map<PeerName, Member> members_;
  std::map<std::uint64_t, State> states_;  // From the one that counts on.
  std::uint64_t counted_seq_ = 0;
  std::uint64_t seq_ = 0;
  std::uint64_t nonce_ = 0;
};

}  // namespace weft::ipam
