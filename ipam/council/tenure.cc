#include "ipam/council/tenure.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

#include "base/assert.h"

namespace weft::ipam {
namespace {

// Questions under way to one member; older ones would not prolong anything.
constexpr std::size_t kAskedMax = 8;

}  // namespace

void Tenure::begin(const Charter& charter, IntervalSet owned, IntervalSet cold, std::uint64_t seq) {
  std::map<PeerName, Member> before = std::exchange(members_, {});
  for (const PeerName& peer : charter.council) {
    // What members of the last council acknowledged goes on counting for the time they gave.
    members_[peer].renewed = before[peer].renewed;
  }
  const bool is_member = members_.contains(self_);
  needed_ = write_quorum(members_.size());
  // Either of two may be removed on the other's word alone, who must know what was given to us.
  needed_to_gain_ = members_.size() == 2 && !is_member ? 2 : needed_;
  is_alone_ = is_member && needed_ == 1;
  seq_ = seq;
  counted_seq_ = seq;
  states_.clear();
  states_.emplace(seq, State{.owned = std::move(owned), .cold = std::move(cold), .gains = false});
}

void Tenure::propose(IntervalSet owned, IntervalSet cold) {
  const bool gains = !owned.minus(states_.begin()->second.owned).empty();
  states_[++seq_] = State{.owned = std::move(owned), .cold = std::move(cold), .gains = gains};
}

void Tenure::drop(const Span& span) {
  for (auto& [seq, state] : states_) {
    state.owned.remove(span);
  }
}

std::uint64_t Tenure::ask(TimePoint now, PeerName member) {
  auto& asked = members_.at(member).asked;
  asked.emplace(++nonce_, now);
  if (asked.size() > kAskedMax) {
    asked.erase(asked.begin());
  }
  return nonce_;
}

bool Tenure::on_registered(PeerName member, std::uint64_t seq, std::uint64_t nonce) {
  const auto found = members_.find(member);
  if (found == members_.end()) {
    return false;
  }
  const auto asked = found->second.asked.find(nonce);
  if (asked == found->second.asked.end()) {
    return false;
  }
  found->second.renewed = std::max(found->second.renewed, asked->second);
  found->second.asked.erase(found->second.asked.begin(), std::next(asked));
  if (seq > seq_) {
    // Words of a life that we have no memory of: only a later one will be believed.
    State state = std::move(states_.rbegin()->second);
    states_.erase(std::prev(states_.end()));
    seq_ = seq + 1;
    states_[seq_] = std::move(state);
    return false;
  }
  found->second.seq = std::max(found->second.seq, seq);
  return count_acknowledged();
}

bool Tenure::on_own(TimePoint now) {
  Member& own = members_.at(self_);
  own.renewed = now;
  own.seq = seq_;
  return count_acknowledged();
}

bool Tenure::count_acknowledged() {
  for (auto state = states_.rbegin(); state != states_.rend() && state->first > counted_seq_;
       ++state) {
    const std::uint64_t seq = state->first;
    const auto count = static_cast<std::size_t>(
        std::count_if(members_.begin(), members_.end(), [seq](const auto& entry) {
          return entry.second.seq >= seq;
        }));
    if (count >= (state->second.gains ? needed_to_gain_ : needed_)) {
      counted_seq_ = seq;
      states_.erase(states_.begin(), states_.find(seq));
      return true;
    }
  }
  return false;
}

bool Tenure::has_heard(PeerName member) const {
  return members_.at(member).seq == seq_;
}

IntervalSet Tenure::cold_union() const {
  IntervalSet all;
  for (const auto& [seq, state] : states_) {
    for (const Span& span : state.cold.spans()) {
      all.add(span);
    }
  }
  return all;
}

TimePoint Tenure::expiry() const {
  if (is_alone_) {
    return kNever;
  }
  std::vector<TimePoint> times;
  for (const auto& [peer, member] : members_) {
    times.push_back(peer == self_ ? kNever : member.renewed);
  }
  std::sort(times.begin(), times.end(), std::greater<>());
  const TimePoint last = times.at(needed_ - 1);
  return last == TimePoint::min() ? last : last + kTenureMax;
}

}  // namespace weft::ipam
