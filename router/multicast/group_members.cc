#include "router/multicast/group_members.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace weft::router {
namespace {

const Ip kEveryGroup = Ip(Ipv4());

}  // namespace

RecordKey group_key(const Ip& group) {
  return {.kind = RecordKind::Endpoint, .key = group.bytes()};
}

std::optional<Ip> decode_group_key(const RecordKey& key) {
  const Result<Ip> group = Ip::from_bytes(key.key);
  if (key.kind != RecordKind::Endpoint || !group.ok()
      || (group.value() != kEveryGroup && !is_announced(group.value()))) {
    return std::nullopt;
  }
  return group.value();
}

void GroupMembers::start(TimePoint now, Start how, Changes& out) {
  next_query_ = now;
  last_query_ = now - kQuerySpacing;
  if (how == Start::WithMembers) {
    hear_everything(now + kLearning, out);
  }
}

void GroupMembers::hear_everything(TimePoint until, Changes& out) {
  everything_until_ = hears_everything_ ? std::max(everything_until_, until) : until;
  if (!std::exchange(hears_everything_, true)) {
    out.emplace_back(kEveryGroup, true);
  }
}

void GroupMembers::on_report(TimePoint now, const GroupReport& report, Changes& out) {
  for (const Ip& group : report.joined) {
    const auto known = locals_.find(group);
    if (known != locals_.end()) {
      known->second = now + kMembership;
    } else if (locals_.size() < kLocalMax) {
      locals_.emplace(group, now + kMembership);
      settled_at_.emplace(group, now + kSettling);
      out.emplace_back(group, true);
    } else {
      ++refused_;
      hear_everything(now + kMembership, out);
    }
  }
  for (const Ip& group : report.left) {
    const auto known = locals_.find(group);
    if (known == locals_.end()) {
      continue;
    }
    // Others here may hear it, too, and with IGMPv2 they have kept silent about it.
    known->second = std::min(known->second, now + kLastMember);
    ask_soon(now);
  }
}

void GroupMembers::ask_soon(TimePoint now) {
  if (next_query_ != kNever) {
    next_query_ = std::min(next_query_, std::max(now, last_query_ + kQuerySpacing));
  }
}

void GroupMembers::forget_if_unknown(const Ip& group) {
  if (!locals_.contains(group) && !claims_.contains(group)) {
    settled_at_.erase(group);
  }
}

void GroupMembers::on_claim(TimePoint now, PeerName origin, const Ip& group, bool hears) {
  if (group == kEveryGroup) {
    if (hears) {
      everywhere_.insert(origin);
    } else {
      everywhere_.erase(origin);
    }
    return;
  }
  const auto found = claims_.find(group);
  if (!hears) {
    if (found != claims_.end() && found->second.erase(origin) > 0) {
      --claim_count_;
      if (found->second.empty()) {
        claims_.erase(found);
        forget_if_unknown(group);
      }
    }
    return;
  }
  if (found != claims_.end() && found->second.contains(origin)) {
    return;
  }
  if (claim_count_ >= kRemoteMax) {
    ++refused_;
    everywhere_.insert(origin);
    return;
  }
  claims_[group].insert(origin);
  settled_at_.emplace(group, now + kSettling);
  ++claim_count_;
}

std::optional<std::set<PeerName>> GroupMembers::listeners(TimePoint now, const Ip& group) const {
  const auto settled = settled_at_.find(group);
  if (settled == settled_at_.end() || now < settled->second) {
    return std::nullopt;
  }
  const auto claimed = claims_.find(group);
  std::set<PeerName> result = everywhere_;
  if (claimed != claims_.end()) {
    result.insert(claimed->second.begin(), claimed->second.end());
  }
  return result;
}

bool GroupMembers::on_deadline(TimePoint now, Changes& out) {
  for (auto it = locals_.begin(); it != locals_.end();) {
    if (it->second <= now) {
      const Ip group = it->first;
      out.emplace_back(group, false);
      it = locals_.erase(it);
      forget_if_unknown(group);
    } else {
      ++it;
    }
  }
  if (hears_everything_ && everything_until_ <= now) {
    hears_everything_ = false;
    everything_until_ = kNever;
    out.emplace_back(kEveryGroup, false);
  }
  if (next_query_ > now) {
    return false;
  }
  // While nothing is known yet, every question may be the one that gets lost.
  const bool is_learning = hears_everything_ && everything_until_ <= now + kLearning;
  next_query_ = now + (is_learning ? kQuerySpacing : kQueryInterval);
  last_query_ = now;
  return true;
}

TimePoint GroupMembers::next_deadline() const {
  TimePoint next = std::min(next_query_, everything_until_);
  for (const auto& [group, until] : locals_) {
    next = std::min(next, until);
  }
  return next;
}

void GroupMembers::check_invariants() const {
  WEFT_ASSERT(locals_.size() <= kLocalMax);
  WEFT_ASSERT(claim_count_ <= kRemoteMax);
  std::size_t count = 0;
  for (const auto& [group, origins] : claims_) {
    WEFT_ASSERT(!origins.empty());
    count += origins.size();
  }
  WEFT_ASSERT(count == claim_count_);
  for (const auto& [group, at] : settled_at_) {
    WEFT_ASSERT(locals_.contains(group) || claims_.contains(group));
  }
  WEFT_ASSERT(settled_at_.size() <= locals_.size() + claims_.size());
}

}  // namespace weft::router
