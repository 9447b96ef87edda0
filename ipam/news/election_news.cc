// The allocator's part in the election of the first ring (ipam/consensus.h): who hears of claims,
// and when.
#include <algorithm>
#include <utility>

#include "ipam/allocator_impl.h"

namespace weft::ipam {
namespace {

using std::chrono::milliseconds;

// The same while nobody anywhere has asked for an address: who the electors are is all there is to
// say, and a cluster that starts up says it for as long as somebody joins: 50 agents need 1.5 s.
// Whoever is asked for an address meanwhile says it at once.
constexpr Duration kNewsDelayIdle = milliseconds(1000);

}  // namespace

void Allocator::Impl::on_claims(TimePoint now,
                                PeerName from,
                                const ElectorClaims& theirs,
                                Consensus::Extent extent,
                                AllocatorActions& out) {
  if (ring_) {
    owe(now, from);  // The election is over.
    return;
  }
  Consensus::Change change = consensus_->merge(theirs, extent);
  if (!change.news.empty()) {
    consensus_->on_progress(now);
  }
  apply(now, std::move(change), from, out);
}

// Of those who are there the one whose turn it is: who know the same take the same for it.
PeerName Allocator::Impl::first_elector() const {
  for (const auto& [peer, claim] : consensus_->claims()) {
    if (peer == options_.self || reachable_.contains(peer)) {
      return peer;
    }
  }
  return options_.self;
}

void Allocator::Impl::apply(TimePoint now,
                            Consensus::Change change,
                            PeerName from,
                            AllocatorActions& out) {
  if (change.memory) {
    persist({consensus_row(consensus_->memory())}, out);
  }
  const bool from_other = from != options_.self;
  auto electors = !change.news.empty() ? consensus_->chosen() : std::nullopt;
  if (electors) {
    adopt(now,
          Ring::share_out(options_.range, std::move(*electors)),
          std::nullopt,
          Knowledge::Whole,
          out);
    return;
  }
  if (change.provoke) {
    // "I have no ring" is answered with the ring or by an election.
    for (const PeerName& peer : reachable_) {
      send_to(peer, Topic::Ipam, encode(PeerMessage{.id = 0, .body = RingDigest{0}}), out);
    }
    return;
  }
  if (change.nudge) {
    send_to(first_elector(), Topic::Ipam, encode(PeerMessage{.id = 0, .body = RingDigest{0}}), out);
  }
  if (!change.news.empty()) {
    const bool is_others_too = !claims_news_.empty() && claims_from_ != from;
    claims_from_ = change.own || is_others_too ? std::nullopt : std::optional(from);
    claims_news_.merge(change.news);
    flush_due_ = std::min(flush_due_, now + news_delay());
  }
  if (!change.they_lack.empty() && from_other) {
    owe_claims(now, from, change.they_lack);
  }
  if (change.own) {
    flush_news(out);
  }
}

void Allocator::Impl::owe_claims(TimePoint now, PeerName peer, const std::set<PeerName>& electors) {
  if (owed_claims_.contains(peer) || owed_claims_.size() < kPeerMax) {
    owed_claims_[peer].insert(electors.begin(), electors.end());
    flush_due_ = std::min(flush_due_, now + news_delay());
  }
}

Duration Allocator::Impl::news_delay() const {
  const bool is_idle = consensus_ && waiting_.empty() && !consensus_->is_under_way();
  return is_idle ? kNewsDelayIdle : kNewsDelay;
}

void Allocator::Impl::flush_claims(AllocatorActions& out) {
  const auto claims = std::exchange(claims_news_, {});
  if (!claims.empty()) {
    send_all(claims_from_, encode(ElectorNews{consensus_->claims_of(claims), options_.range}), out);
  }
  for (auto& [peer, electors] : std::exchange(owed_claims_, {})) {
    if (!claims.empty() && claims_from_ != peer) {
      std::erase_if(electors, [&claims](PeerName elector) { return claims.contains(elector); });
    }
    if (!electors.empty()) {
      send_to(peer,
              Topic::Ring,
              encode(ElectorNews{consensus_->claims_of(electors), options_.range}),
              out);
    }
  }
}

}  // namespace weft::ipam
