#include "ipam/allocator.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/overloaded.h"
#include "ipam/allocator_impl.h"

namespace weft::ipam {
namespace {

// Requests that wait for a ring or for space. Each is a container about to start; a host that has
// this many of them is failing elsewhere.
constexpr std::size_t kWaitingMax = 4'096;

// Addresses held on one host: all of a /12, the default range.
constexpr std::size_t kHeldMax = 1U << 20U;

RequestId id_of(const Allocator::AllocateRequest& request) {
  return request.id;
}

Result<Ok> check_owner(const Owner& owner) {
  if (owner.empty() || owner.size() > kOwnerSizeMax) {
    return Error{Errc::Invalid,
                 fmt::format("owner of {} bytes (expected 1 to {})", owner.size(), kOwnerSizeMax)};
  }
  return Ok{};
}

}  // namespace

Allocator::Impl::Impl(Options options, StoredState state, Rng rng)
    : options_(std::move(options)),
      range_(Span::of(options_.range)),
      rng_(rng),
      has_meta_(state.has_meta),
      ring_(std::move(state.ring)),
      claims_(std::move(state.claims)),
      asks_(options_.self, rng_.fork()),
      stored_word_(std::move(state.word)),
      stored_vote_(std::move(state.vote)),
      tenure_(options_.self),
      proposal_(options_.self, state.proposed_round) {
  if (!ring_) {
    consensus_.emplace(Consensus::Options{.self = options_.self,
                                          .elector_count = options_.elector_count,
                                          .observer = options_.observer},
                       std::move(state.consensus),
                       rng_.fork());
    return;
  }
  for (const Span& span : ring_->owned_by(options_.self).spans()) {
    space_.add(span);
  }
  space_.withhold(space_.owned());  // Until start() tells the council.
  window_ = base_window(space_.owned_count());
  for (const Span& span : space_.owned().spans()) {
    mark_held_in(span);
  }
  for (const auto& [address, holding] : claims_.by_address()) {
    if (options_.range.contains(address) && !space_.is_owned(number_of(address))) {
      strays_.emplace(number_of(address), false);
    }
  }
}

void Allocator::Impl::persist(StoreBatch batch, AllocatorActions& out) {
  if (!has_meta_) {
    batch.push_back(meta_row(options_.self, options_.range, {}));
    has_meta_ = true;
  }
  out.emplace_back(Persist{std::move(batch)});
}

void Allocator::Impl::append_entries(const std::set<Uint128>& tokens, StoreBatch& batch) const {
  batch.reserve(batch.size() + tokens.size());
  for (const Uint128 token : tokens) {
    const auto entry = ring_->entries().find(token);
    batch.push_back(entry == ring_->entries().end() ? no_ring_row(token)
                                                    : ring_row(token, entry->second));
  }
}

Result<Space::Want> Allocator::Impl::want_of(const AllocateRequest& request) const {
  (void)WEFT_TRY(check_owner(request.owner));
  const Cidr& subnet = request.subnet;
  if (subnet.is_v4() != options_.range.is_v4()) {
    return Error{Errc::Invalid,
                 fmt::format("subnet {} is of another family than the address range {}",
                             subnet.to_string(),
                             options_.range.to_string())};
  }
  (void)WEFT_TRY(check_subnet("subnet", subnet));
  if (!subnet.overlaps(options_.range)) {
    return Error{Errc::Invalid,
                 fmt::format("subnet {} is outside the address range {}",
                             subnet.to_string(),
                             options_.range.to_string())};
  }
  std::optional<Span> within = Span::of(subnet).intersect(range_);
  if (request.within) {
    if (!request.within->overlaps(subnet)) {
      return Error{Errc::Invalid,
                   fmt::format("addresses of {} are not in subnet {}",
                               request.within->to_string(),
                               subnet.to_string())};
    }
    within = within->intersect(Span::of(*request.within));
  }
  const auto usable = within ? within->intersect(hosts_of(subnet)) : std::optional<Span>();
  if (!usable) {
    return Error{Errc::Invalid,
                 fmt::format("no address of subnet {} can be handed out of range {}",
                             subnet.to_string(),
                             options_.range.to_string())};
  }
  return Space::Want{.within = *within, .usable = *usable};
}

void Allocator::Impl::allocate(TimePoint now,
                               const AllocateRequest& request,
                               AllocatorActions& out) {
  auto want = want_of(request);
  if (!want.ok()) {
    out.emplace_back(Answer{id_of(request), std::move(want).error()});
    return;
  }
  wait(now, WaitingAllocate{.request = request, .want = want.value()}, out);
}

bool Allocator::Impl::try_allocate(TimePoint now,
                                   const WaitingAllocate& waiting,
                                   AllocatorActions& out) {
  const AllocateRequest& request = waiting.request;
  if (!request.fresh && !request.anonymous) {
    const auto held = claims_.held_in(request.owner, request.subnet);
    if (held) {
      out.emplace_back(Answer{request.id, *held});
      return true;
    }
  }
  const auto free =
      has_time_to_hand_out(now) ? space_.lowest_ready(waiting.want.usable) : std::nullopt;
  if (!free) {
    return false;
  }
  if (claims_.count() >= kHeldMax) {
    ++stats_.refused_count;
    out.emplace_back(Answer{
        request.id, Error{Errc::Exhausted, fmt::format("this host holds {} addresses", kHeldMax)}});
    return true;
  }
  const Cidr address(ip_of(*free), request.subnet.prefix());
  hold(request.anonymous ? address.address().to_string() : request.owner, address, out);
  on_handed_out(now);
  out.emplace_back(Answer{request.id, address, true});
  if (space_.ready_count() < window_ / 2 && !tenure_.is_pending()) {
    (void)warm(now, waiting.want.usable, out);  // Ahead of need.
  }
  return true;
}

void Allocator::Impl::hold(const Owner& owner, const Cidr& address, AllocatorActions& out) {
  if (options_.range.contains(address.address())) {
    space_.take(number_of(address.address()));
  }
  claims_.add(owner, address);
  persist({held_row(address, owner)}, out);
}

Result<Ok> Allocator::Impl::check_claim(const Owner& owner, const Cidr& address) const {
  (void)WEFT_TRY(check_owner(owner));
  const bool in_subnet = address.prefix() + kHostBitsMin <= address.address().bits();
  if (in_subnet && !hosts_of(address).contains(number_of(address.address()))) {
    return Error{
        Errc::Invalid,
        fmt::format("{} is the network or broadcast address of its subnet", address.to_string())};
  }
  if (address.address().is_unspecified()) {
    return Error{Errc::Invalid, "the unspecified address cannot be claimed"};
  }
  return Ok{};
}

void Allocator::Impl::claim(
    TimePoint now, RequestId id, const Owner& owner, Cidr address, AllocatorActions& out) {
  auto checked = check_claim(owner, address);
  if (!checked.ok()) {
    out.emplace_back(Answer{id, std::move(checked).error()});
    return;
  }
  wait(now, WaitingClaim{.id = id, .owner = owner, .address = address}, out);
}

bool Allocator::Impl::try_claim(TimePoint now, const WaitingClaim& waiting, AllocatorActions& out) {
  const Ip ip = waiting.address.address();
  if (const auto* holding = claims_.find(ip)) {
    if (holding->owner == waiting.owner) {
      out.emplace_back(Answer{waiting.id, waiting.address});
    } else if (holding->owner == kFoundOwner || holding->owner == ip.to_string()) {
      claims_.remove(ip);  // Found or anonymous: it has an owner from here on.
      claims_.add(waiting.owner, waiting.address);
      persist({held_row(waiting.address, waiting.owner)}, out);
      out.emplace_back(Answer{waiting.id, waiting.address});
    } else {
      out.emplace_back(
          Answer{waiting.id,
                 Error{Errc::Conflict,
                       fmt::format("address {} is held by {}", ip.to_string(), holding->owner)}});
    }
    return true;
  }
  const bool ready = space_.is_ready(number_of(ip)) && has_time_to_hand_out(now);
  if (options_.range.contains(ip) && !ready) {
    return false;
  }
  if (claims_.count() >= kHeldMax) {
    ++stats_.refused_count;
    out.emplace_back(Answer{
        waiting.id, Error{Errc::Exhausted, fmt::format("this host holds {} addresses", kHeldMax)}});
    return true;
  }
  hold(waiting.owner, waiting.address, out);
  on_handed_out(now);
  out.emplace_back(Answer{waiting.id, waiting.address});
  return true;
}

void Allocator::Impl::prime(TimePoint now, RequestId id, AllocatorActions& out) {
  wait(now, WaitingPrime{id}, out);
}

bool Allocator::Impl::try_waiting(TimePoint now, const Waiting& waiting, AllocatorActions& out) {
  return std::visit(overloaded{
                        [&](const WaitingAllocate& w) { return try_allocate(now, w, out); },
                        [&](const WaitingClaim& w) { return try_claim(now, w, out); },
                        [&](const WaitingPrime& w) {
                          if (ring_) {
                            out.emplace_back(Answer{w.id, options_.default_subnet});
                          }
                          return ring_.has_value();
                        },
                    },
                    waiting);
}

void Allocator::Impl::wait(TimePoint now, Waiting waiting, AllocatorActions& out) {
  start(now, out);
  if (try_waiting(now, waiting, out)) {
    if (report_due_ == kNever && ring_) {
      report_due_ = now + kReportSoon;
    }
    return;
  }
  if (waiting_.size() >= kWaitingMax) {
    ++stats_.refused_count;
    const RequestId id = std::visit(overloaded{
                                        [](const WaitingAllocate& w) { return w.request.id; },
                                        [](const auto& w) { return w.id; },
                                    },
                                    waiting);
    out.emplace_back(Answer{
        id, Error{Errc::Exhausted, fmt::format("{} requests are waiting already", kWaitingMax)}});
    return;
  }
  waiting_.push_back(std::move(waiting));
  if (flush_due_ != kNever) {
    flush_due_ = std::min(flush_due_, now + news_delay());  // It waited for longer while idle.
  }
  seek(now, out);
}

bool Allocator::Impl::may_hand_out(TimePoint now) const {
  return ring_ && !has_left_ && now < tenure_.expiry();
}

void Allocator::Impl::resume(TimePoint now, AllocatorActions& out) {
  resume_wanted_ = true;
  if (std::exchange(is_resuming_, true)) {
    return;  // Serving one may make more space ready; then the loop below goes round again.
  }
  while (std::exchange(resume_wanted_, false)) {
    for (auto it = waiting_.begin(); it != waiting_.end();) {
      it = try_waiting(now, *it, out) ? waiting_.erase(it) : std::next(it);
    }
    seek(now, out);
  }
  is_resuming_ = false;
}

void Allocator::Impl::seek(TimePoint now, AllocatorActions& out) {
  if (ring_) {
    if (!waiting_.empty()) {
      renew_at_once(now, out);
    }
    warm_wanted(now, out);
    asks_.set_wants(now, open_wants());
    return;
  }
  if (waiting_.empty() && !is_provoked_) {
    consensus_->stop();
    return;
  }
  if (founding_due_ == kNever) {
    founding_due_ = now + options_.founding_delay;
  }
  if (now < founding_due_) {
    founding_retry_ = founding_due_;
    return;
  }
  if (!options_.seeds.empty()) {
    adopt(
        now, Ring::share_out(options_.range, options_.seeds), std::nullopt, Knowledge::Whole, out);
    return;
  }
  using Turn = Consensus::Turn;
  const bool is_ours = first_elector() == options_.self && !consensus_->is_under_way();
  const Turn turn = is_ours || options_.observer ? Turn::Ours : Turn::Others;
  apply(now, consensus_->start(now, turn), options_.self, out);
}

std::optional<Span> Allocator::Impl::usable_of(const Waiting& waiting) const {
  if (const auto* allocate = std::get_if<WaitingAllocate>(&waiting)) {
    return allocate->want.usable;
  }
  if (const auto* claim = std::get_if<WaitingClaim>(&waiting)) {
    const Uint128 address = number_of(claim->address.address());
    return Span{address, address};
  }
  return std::nullopt;
}

void Allocator::Impl::warm_wanted(TimePoint now, AllocatorActions& out) {
  std::set<Span> wanted;
  for (const Waiting& waiting : waiting_) {
    if (const auto usable = usable_of(waiting)) {
      wanted.insert(*usable);
    }
  }
  for (const Span& usable : wanted) {
    if (!space_.has_ready_for(usable)) {
      (void)warm(now, usable, out);  // Others are asked for what is not there.
    }
  }
}

// What only others can give.
std::set<Asks::Want> Allocator::Impl::open_wants() const {
  std::set<Asks::Want> wants;
  // Who leaves asks nobody for what it has just given away.
  const bool leaves = has_left_ || (removal_ && removal_->peer == options_.self);
  for (const auto& [address, given_again] : strays_) {
    if (!given_again && !leaves) {
      wants.insert(address);
    }
  }
  for (const Waiting& waiting : waiting_) {
    if (const auto* allocate = std::get_if<WaitingAllocate>(&waiting)) {
      if (!space_.lowest_free(allocate->want.usable)) {
        wants.insert(allocate->want);
      }
    } else if (const auto* claim = std::get_if<WaitingClaim>(&waiting)) {
      const Uint128 address = number_of(claim->address.address());
      if (!space_.is_owned(address)) {
        wants.insert(address);
      }
    }
  }
  return wants;
}

void Allocator::Impl::refuse_claims(Uint128 address, const Error& reason, AllocatorActions& out) {
  const auto stray = strays_.find(address);
  if (stray != strays_.end() && reason.code == Errc::Conflict) {
    stray->second = true;
    ++stats_.conflict_count;
    conflict_ = fmt::format("{}, and by {} here: restart one of the two containers",
                            reason.what,
                            claims_.find(ip_of(address))->owner);
  }
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    const auto* claim = std::get_if<WaitingClaim>(&*it);
    if (claim == nullptr || claim->address.address() != ip_of(address)) {
      ++it;
      continue;
    }
    out.emplace_back(Answer{claim->id, reason});
    it = waiting_.erase(it);
  }
}

void Allocator::Impl::cancel(TimePoint now, RequestId id) {
  waiting_.remove_if([id](const Waiting& waiting) {
    return std::visit(overloaded{
                          [id](const WaitingAllocate& w) { return w.request.id == id; },
                          [id](const auto& w) { return w.id == id; },
                      },
                      waiting);
  });
  if (ring_) {
    asks_.set_wants(now, open_wants());
  } else if (waiting_.empty() && !is_provoked_) {
    consensus_->stop();
  }
}

StoreWrite Allocator::Impl::let_go(TimePoint now, const Ip& address) {
  claims_.remove(address);
  if (options_.range.contains(address) && strays_.erase(number_of(address)) == 0) {
    space_.give_back(number_of(address));
    report_due_ = std::min(report_due_, now + kReportSoon);
  }
  return released_row(address);
}

bool Allocator::Impl::release(TimePoint now,
                              const Owner& owner,
                              Ip address,
                              AllocatorActions& out) {
  const auto* holding = claims_.find(address);
  if (holding == nullptr || (holding->owner != owner && holding->owner != kFoundOwner)) {
    return false;
  }
  persist({let_go(now, address)}, out);
  resume(now, out);
  return true;
}

std::size_t Allocator::Impl::release_all(TimePoint now, const Owner& owner, AllocatorActions& out) {
  StoreBatch batch;
  for (const Ip& address : claims_.addresses_of(owner)) {
    batch.push_back(let_go(now, address));
  }
  const std::size_t count = batch.size();
  if (count > 0) {
    persist(std::move(batch), out);
    resume(now, out);
  }
  return count;
}

void Allocator::Impl::on_deadline(TimePoint now, AllocatorActions& out) {
  start(now, out);
  on_council_deadline(now, out);
  is_suspended_ = is_suspended(now);
  if (founding_retry_ <= now) {
    founding_retry_ = kNever;
    if (!ring_) {
      seek(now, out);
    }
  }
  if (leaving_) {
    resume_leaving(now, out);
  }
  if (reserved_until_ <= now) {
    reserved_until_ = kNever;
    space_.reserve({});
    resume(now, out);
  }
  if (consensus_ && consensus_->next_deadline() <= now) {
    apply(now, consensus_->on_deadline(now), options_.self, out);
  }
  if (ring_ && asks_.next_deadline() <= now) {
    Asks::Steps steps;
    asks_.on_deadline(now, view(), steps);
    perform(std::move(steps), out);
    asks_.set_wants(now, open_wants());
  }
  if (report_due_ <= now) {
    report_due_ = kNever;
    report_free_counts(now, out);
  }
  if (flush_due_ <= now) {
    flush_news(out);
  }
  if (digest_due_ <= now) {
    send_digest(now, out);
  }
}

TimePoint Allocator::Impl::next_deadline() const {
  const TimePoint election = consensus_ ? consensus_->next_deadline() : kNever;
  return std::min({election,
                   leaving_ ? leaving_->until : kNever,
                   reserved_until_,
                   founding_retry_,
                   asks_.next_deadline(),
                   report_due_,
                   flush_due_,
                   digest_due_,
                   next_council_deadline()});
}

AllocatorStatus Allocator::Impl::status() const {
  using enum AllocatorStatus::State;
  AllocatorStatus status{.state = Ready,
                         .detail = {},
                         .range = options_.range,
                         .default_subnet = options_.default_subnet,
                         .ranges = {},
                         .pending_count = waiting_.size(),
                         .conflict = conflict_,
                         .stats = stats()};
  describe_waiting(status);
  if (!ring_) {
    status.election = {.is_elector = !options_.observer,
                       .known_count = consensus_->known_count(),
                       .quorum = consensus_->quorum()};
    status.state = waiting_.empty() ? Idle : options_.observer ? Priming : AwaitingConsensus;
    status.detail =
        fmt::format("quorum: {}, known: {}", consensus_->quorum(), consensus_->known_count());
    return status;
  }
  status.decree = ring_->charter().number;
  status.council = ring_->charter().council;
  std::map<PeerName, Uint128> counts;
  for (const Ring::Piece& piece : ring_->pieces()) {
    counts[piece.entry.owner] += piece.span.size();
    status.pieces.push_back({.first = ip_of(piece.span.first),
                             .address_count = piece.span.size(),
                             .owner = piece.entry.owner,
                             .version = piece.entry.version});
  }
  status.ranges.push_back({.owner = options_.self,
                           .address_count = counts[options_.self],
                           .used_count = saturated(space_.used_count()),
                           .reachable = true});
  bool all_reachable = true;
  for (const auto& [owner, count] : counts) {
    if (owner != options_.self) {
      const bool reachable = reachable_.contains(owner);
      all_reachable = all_reachable && reachable;
      status.ranges.push_back(
          {.owner = owner, .address_count = count, .used_count = 0, .reachable = reachable});
    }
  }
  if (is_suspended_) {
    status.state = Suspended;
    const auto witness =
        ring_->charter().has_seat(options_.self) ? missing_witness() : std::nullopt;
    status.detail = witness ? fmt::format(
                        "peer {0} was lost while the two of us made a decree: start it, or run "
                        "`weft rmpeer {0}` if it is gone for good",
                        witness->to_string())
                            : fmt::format("no majority of the council hears this peer: {}",
                                          names(status.council));
  } else if (!waiting_.empty()) {
    status.state = WaitingForSpace;
    status.detail = all_reachable ? "no peer has given any space yet"
                                  : "some of the range belongs to unreachable peers";
    if (const auto witness = missing_witness()) {
      status.detail = fmt::format(
          "peer {0} is missing, without whom the council of two can give nothing to others: start "
          "it, or run `weft rmpeer {0}` if it is gone for good",
          witness->to_string());
    }
  }
  return status;
}

AllocatorStats Allocator::Impl::stats() const {
  AllocatorStats stats = stats_;
  stats.refused_count += consensus_ ? consensus_->refused_count() : 0;
  return stats;
}

void Allocator::Impl::check_invariants() const {
  WEFT_ASSERT(ring_.has_value() != consensus_.has_value());
  WEFT_ASSERT(waiting_.size() <= kWaitingMax);
  space_.check_invariants();
  Uint128 held_count = 0;
  for (const auto& [address, holding] : claims_.by_address()) {
    if (options_.range.contains(address) && !strays_.contains(number_of(address))) {
      ++held_count;
      WEFT_ASSERT(space_.is_owned(number_of(address)));
      WEFT_ASSERT(!space_.is_free(number_of(address)));
    }
  }
  WEFT_ASSERT(held_count == space_.used_count());
  if (ring_) {
    ring_->check_invariants();
    WEFT_ASSERT(ring_->owned_by(options_.self) == space_.owned());
    if (is_started_) {  // A decree may give away whatever we last called cold.
      for (const Span& cold : tenure_.cold().spans()) {
        WEFT_ASSERT(space_.used_count(cold) == 0);
      }
    }
  } else {
    consensus_->check_invariants();
    WEFT_ASSERT(space_.owned_count() == 0);
  }
}

}  // namespace weft::ipam
