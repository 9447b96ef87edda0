#include "ipam/ring.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"

namespace weft::ipam {
namespace {

// FNV-1a over 64-bit words: rings differ by accident only, no adversary gains by a collision that
// the transport's authentication would not give away more cheaply.
class Hash {
 public:
  void add(std::uint64_t word) {
    for (unsigned shift = 0; shift < 64; shift += 8) {
      state_ = (state_ ^ ((word >> shift) & 0xffU)) * 0x100000001b3;
    }
  }
  // IPv4 keeps the 32 bits it had before there was IPv6: digests of peers of either age agree.
  void add_address(Uint128 number) {
    const Ip address = ip_of(number);
    if (address.is_v4()) {
      add(address.v4().number());
      return;
    }
    add(static_cast<std::uint64_t>(number >> 64U));
    add(static_cast<std::uint64_t>(number));
  }
  std::uint64_t value() const { return state_ == 0 ? 1 : state_; }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325;
};

// Begins with which ring it is, and by which decree.
Hash decree_hash(std::uint64_t seed_id, const Charter& charter) {
  Hash hash;
  hash.add(seed_id);
  hash.add(charter.number);
  hash.add(charter.ballot.round);
  hash.add(charter.ballot.proposer.number());
  return hash;
}

Result<Ok> check_charter(const Charter& charter, const Span& range) {
  const auto& council = charter.council;
  const bool ascending =
      std::adjacent_find(council.begin(), council.end(), std::greater_equal<>()) == council.end();
  if (charter.number > kDecreeMax || council.empty() || council.size() > kCouncilMax
      || !ascending) {
    return Error{Errc::Invalid,
                 fmt::format("decree {} with a council of {} (expected 1 to {} in order)",
                             charter.number,
                             council.size(),
                             kCouncilMax)};
  }
  if (charter.gone.size() > kGoneMax) {
    return Error{Errc::Invalid,
                 fmt::format("{} peers gone (expected at most {})", charter.gone.size(), kGoneMax)};
  }
  for (const auto& [peer, cold] : charter.cold) {
    if (!cold.minus(IntervalSet({range})).empty()) {
      return Error{Errc::Invalid,
                   fmt::format("cold space of {} outside the range", peer.to_string())};
    }
  }
  return Ok{};
}

// Halves the block and the seeds until one seed or one address is left.
void share(const Span& block,
           std::vector<PeerName>::const_iterator begin,
           std::vector<PeerName>::const_iterator end,
           Ring::Entries& out) {
  const auto count = std::distance(begin, end);
  if (count == 1 || block.size() == 1) {
    out[block.first] =
        RingEntry{.owner = *begin, .version = 1, .free_count = saturated(block.size())};
    return;
  }
  const auto half = block.size() / 2;
  const auto middle = std::next(begin, count / 2);
  share({block.first, block.first + half - 1}, begin, middle, out);
  share({block.first + half, block.last}, middle, end, out);
}

Ring::Entries shared(const Cidr& range, const std::vector<PeerName>& seeds) {
  Ring::Entries entries;
  share(Span::of(range), seeds.begin(), seeds.end(), entries);
  return entries;
}

// Decree 0: what its founders can tell without a word. `entries` are those of the first sharing.
Charter founding_charter(const Cidr& range,
                         const std::vector<PeerName>& seeds,
                         const Ring::Entries& entries) {
  Charter charter{
      .number = 0, .ballot = {}, .council = make_council(seeds, {}), .cold = {}, .gone = {}};
  for (auto it = entries.begin(); it != entries.end(); ++it) {
    const auto next = std::next(it);
    const Uint128 last = next == entries.end() ? Span::of(range).last : next->first - 1;
    const Span part{it->first, last};
    IntervalSet cold = choose_cold(IntervalSet({part}), base_window(part.size()));
    if (cold.size() > 0) {
      charter.cold.emplace(it->second.owner, std::move(cold));
    }
  }
  return charter;
}

Result<Ok> check_entry_count(const Ring::Entries& merged) {
  if (merged.size() > kRingEntryMax) {
    return Error{Errc::Exhausted,
                 fmt::format("merged ring of {} entries exceeds {}", merged.size(), kRingEntryMax)};
  }
  return Ok{};
}

}  // namespace

Result<Ok> check_range(const Cidr& range) {
  constexpr std::uint8_t kPrefixMinV6 = 8;
  (void)WEFT_TRY(check_subnet("address range", range));
  if (range.is_v4()) {
    return Ok{};
  }
  const auto overlaps = [&range](const char* block) {
    return range.overlaps(Cidr::parse(block).value());
  };
  if (range.prefix() < kPrefixMinV6 || overlaps("ff00::/8") || overlaps("fe80::/10")
      || overlaps("::/8")) {
    return Error{Errc::Invalid,
                 fmt::format("address range {} (expected IPv6 addresses that containers can have, "
                             "such as a block of fd00::/8)",
                             range.to_string())};
  }
  return Ok{};
}

std::string names(const std::vector<PeerName>& peers) {
  // Enough to recognise a cluster; a message of a thousand names helps nobody.
  constexpr std::size_t kShownMax = 8;
  std::string text;
  for (std::size_t i = 0; i < peers.size() && i < kShownMax; ++i) {
    text += (i == 0 ? "" : ",") + peers[i].to_string();
  }
  return peers.size() > kShownMax ? text + ",…" : text;
}

Result<Ok> check_seeds(const std::vector<PeerName>& seeds) {
  if (seeds.empty() || seeds.size() > kElectorMax) {
    return Error{Errc::Invalid,
                 fmt::format("{} seeds (expected 1 to {})", seeds.size(), kElectorMax)};
  }
  for (std::size_t i = 1; i < seeds.size(); ++i) {
    if (seeds[i - 1] >= seeds[i]) {
      return Error{Errc::Invalid, "seeds not in ascending order"};
    }
  }
  return Ok{};
}

Result<Ok> check_version(std::uint64_t version) {
  if (version == 0 || version > kRingVersionMax) {
    return Error{Errc::Invalid, fmt::format("ring version {} (expected 1 to 2^48)", version)};
  }
  return Ok{};
}

Ring::Ring(const Cidr& range, std::vector<PeerName> seeds, Entries entries, Charter charter)
    : range_(range),
      seeds_(std::move(seeds)),
      entries_(std::move(entries)),
      charter_(std::move(charter)),
      basis_(compute_basis()) {}

Ring Ring::share_out(const Cidr& range, std::vector<PeerName> seeds) {
  WEFT_ASSERT(check_range(range).ok());
  std::sort(seeds.begin(), seeds.end());
  WEFT_ASSERT(check_seeds(seeds).ok());
  Entries entries = shared(range, seeds);
  Charter charter = founding_charter(range, seeds, entries);
  Ring ring(range, std::move(seeds), std::move(entries), std::move(charter));
  ring.check_invariants();
  return ring;
}

Result<Ring> Ring::restore(const Cidr& range, std::vector<PeerName> seeds, Entries entries) {
  (void)WEFT_TRY(check_range(range));
  (void)WEFT_TRY(check_seeds(seeds));
  Charter charter = founding_charter(range, seeds, shared(range, seeds));
  return restore(range, std::move(seeds), std::move(entries), std::move(charter));
}

Result<Ring> Ring::restore(const Cidr& range,
                           std::vector<PeerName> seeds,
                           Entries entries,
                           Charter charter) {
  (void)WEFT_TRY(check_range(range));
  (void)WEFT_TRY(check_seeds(seeds));
  const Span span = Span::of(range);
  if (entries.empty() || entries.size() > kRingEntryMax) {
    return Error{Errc::Invalid,
                 fmt::format("{} ring entries (expected 1 to {})", entries.size(), kRingEntryMax)};
  }
  if (entries.begin()->first != span.first || entries.rbegin()->first > span.last) {
    return Error{Errc::Invalid, fmt::format("ring entries do not cover {}", range.to_string())};
  }
  for (const auto& [token, entry] : entries) {
    (void)WEFT_TRY(check_version(entry.version));
    if (entry.free_count > span.size()) {
      return Error{Errc::Invalid,
                   fmt::format("{} free addresses in a smaller range", entry.free_count)};
    }
  }
  (void)WEFT_TRY(check_charter(charter, span));
  return Ring(range, std::move(seeds), std::move(entries), std::move(charter));
}

Result<Ok> Ring::check_compatible(const Ring& theirs) const {
  if (range_ != theirs.range_) {
    return Error{Errc::Conflict,
                 fmt::format("address range {} differs from ours, {}",
                             theirs.range_.to_string(),
                             range_.to_string())};
  }
  if (seeds_ != theirs.seeds_) {
    return Error{
        Errc::Conflict,
        fmt::format("ring seeded by other peers: theirs {:016x} by {}, ours {:016x} by {}; "
                    "run `weft reset` on the hosts of one of the two",
                    theirs.seed_id(),
                    names(theirs.seeds_),
                    seed_id(),
                    names(seeds_))};
  }
  if (charter_.number == theirs.charter_.number && charter_ != theirs.charter_) {
    return Error{Errc::Conflict,
                 fmt::format("decree {} was made twice, theirs by {} and ours by {}: two peers "
                             "removed each other; run `weft reset` on the hosts of one side",
                             charter_.number,
                             theirs.charter_.ballot.proposer.to_string(),
                             charter_.ballot.proposer.to_string())};
  }
  return Ok{};
}

Result<Ring::Merged> Ring::merge(const Ring& theirs) {
  (void)WEFT_TRY(check_compatible(theirs));
  if (theirs.charter_.number != charter_.number) {
    return replace_if_older(theirs);
  }
  Entries merged = entries_;
  Merged result;
  for (const auto& [token, entry] : theirs.entries_) {
    merge_entry(token, entry, merged, result);
  }
  (void)WEFT_TRY(check_entry_count(merged));
  for (const auto& [token, entry] : entries_) {
    if (!theirs.entries_.contains(token)) {
      result.newer.push_back(token);
    }
  }
  result.they_lack_news = !result.newer.empty();
  entries_ = std::move(merged);
  check_invariants();
  return result;
}

void Ring::merge_entry(Uint128 token, const RingEntry& entry, Entries& merged, Merged& result) {
  const auto [mine, is_new] = merged.emplace(token, entry);
  if (is_new) {
    result.changed.push_back(token);
  } else if (mine->second.version < entry.version) {
    mine->second = entry;
    result.changed.push_back(token);
  } else if (mine->second.version > entry.version) {
    result.newer.push_back(token);
  } else if (mine->second != entry) {
    result.conflicts.push_back(
        Error{Errc::Conflict,
              fmt::format("version {} of {} belongs to {} with {} free, ours says {} with {} free",
                          entry.version,
                          ip_of(token).to_string(),
                          entry.owner.to_string(),
                          entry.free_count,
                          mine->second.owner.to_string(),
                          mine->second.free_count)});
  }
}

// Who owns an address is whoever the last token before it was given to, so an entry whose end is
// unknown here would own what lies behind it too, and its owner would believe it.
Result<Ring::Merged> Ring::merge(const Part& theirs) {
  if (theirs.basis != basis()) {
    return Error{Errc::Conflict,
                 fmt::format("part of ring {:016x}, ours is {:016x}", theirs.basis, basis())};
  }
  Entries merged = entries_;
  Merged result;
  for (const Piece& piece : theirs.pieces) {
    if (!span().contains(piece.span) || piece.entry.free_count > span().size()) {
      return Error{Errc::Invalid, "part of a ring outside its range"};
    }
    merge_entry(piece.span.first, piece.entry, merged, result);
  }
  (void)WEFT_TRY(check_entry_count(merged));
  for (const Piece& piece : theirs.pieces) {
    if (piece.span.last < span().last && !merged.contains(piece.span.last + 1)) {
      return Error{Errc::NotFound,
                   fmt::format("what follows {} in the ring is not known here",
                               ip_of(piece.span.last).to_string())};
    }
  }
  result.they_lack_news = !result.newer.empty();
  entries_ = std::move(merged);
  check_invariants();
  return result;
}

Ring::Part Ring::part(const std::set<Uint128>& tokens) const {
  Part part{.basis = basis(), .pieces = {}};
  part.pieces.reserve(tokens.size());
  for (const Uint128 token : tokens) {
    const auto it = entries_.find(token);
    if (it != entries_.end()) {
      part.pieces.push_back({.span = {token, last_of(it)}, .entry = it->second});
    }
  }
  return part;
}

bool Ring::has(const Part& theirs) const {
  return theirs.basis == basis()
         && std::all_of(theirs.pieces.begin(), theirs.pieces.end(), [this](const Piece& piece) {
              const auto it = entries_.find(piece.span.first);
              return it != entries_.end() && it->second == piece.entry
                     && last_of(it) <= piece.span.last;
            });
}

Ring::Merged Ring::replace_if_older(const Ring& theirs) {
  Merged result;
  if (theirs.charter_.number < charter_.number) {
    result.they_lack_news = true;
    return result;
  }
  std::set<Uint128> tokens;
  for (const Entries* entries : {&std::as_const(entries_), &theirs.entries_}) {
    for (const auto& [token, entry] : *entries) {
      tokens.insert(token);
    }
  }
  result.changed.assign(tokens.begin(), tokens.end());
  result.replaced = true;
  entries_ = theirs.entries_;
  charter_ = theirs.charter_;
  basis_ = theirs.basis_;
  return result;
}

std::optional<std::vector<Uint128>> Ring::grant(const Span& block, PeerName from, PeerName to) {
  WEFT_ASSERT(span().contains(block));
  WEFT_ASSERT(owned_by(from).contains(block));
  WEFT_ASSERT(from != to);
  if (entries_.size() + 2 > kRingEntryMax) {
    return std::nullopt;
  }
  std::set<Uint128> changed;
  if (split_at(block.first)) {
    changed.insert(block.first);
  }
  if (block.last < span().last && split_at(block.last + 1)) {
    changed.insert(block.last + 1);
  }
  for (auto it = entries_.find(block.first); it != entries_.end() && it->first <= block.last;
       ++it) {
    it->second = RingEntry{.owner = to,
                           .version = it->second.version + 1,
                           .free_count = saturated(Span{it->first, last_of(it)}.size())};
    changed.insert(it->first);
  }
  check_invariants();
  return std::vector<Uint128>(changed.begin(), changed.end());
}

bool Ring::split_at(Uint128 token) {
  // The new entry has never existed anywhere: tokens stay for ever, and only the owner of these
  // addresses, at whose hand we are, can make one here.
  const RingEntry parent = entry_of(token)->second;
  return entries_.emplace(token, RingEntry{.owner = parent.owner, .version = 1, .free_count = 0})
      .second;
}

void Ring::set_free_count(Uint128 token, std::uint64_t free_count) {
  const auto it = entries_.find(token);
  WEFT_ASSERT(it != entries_.end());
  it->second.free_count = free_count;
  ++it->second.version;
}

Ring::Entries::const_iterator Ring::entry_of(Uint128 address) const {
  WEFT_ASSERT(span().contains(address));
  return std::prev(entries_.upper_bound(address));
}

Uint128 Ring::last_of(Entries::const_iterator entry) const {
  const auto next = std::next(entry);
  return next == entries_.end() ? span().last : next->first - 1;
}

PeerName Ring::owner(Uint128 address) const {
  return entry_of(address)->second.owner;
}

std::vector<Ring::Piece> Ring::pieces() const {
  std::vector<Piece> all;
  all.reserve(entries_.size());
  for (auto it = entries_.begin(); it != entries_.end(); ++it) {
    all.push_back({.span = {it->first, last_of(it)}, .entry = it->second});
  }
  return all;
}

IntervalSet Ring::owned_by(PeerName peer) const {
  IntervalSet owned;
  for (const Piece& piece : pieces()) {
    if (piece.entry.owner == peer) {
      owned.add(piece.span);
    }
  }
  return owned;
}

std::uint64_t Ring::seed_id() const {
  Hash hash;
  hash.add_address(span().first);
  hash.add(range_.prefix());
  for (const PeerName& seed : seeds_) {
    hash.add(seed.number());
  }
  return hash.value();
}

void Ring::set_charter(Charter charter) {
  charter_ = std::move(charter);
  basis_ = compute_basis();
}

std::uint64_t Ring::compute_basis() const {
  Hash hash = decree_hash(seed_id(), charter_);
  for (const PeerName& member : charter_.council) {
    hash.add(member.number());
  }
  for (const auto& [peer, cold] : charter_.cold) {
    hash.add(peer.number());
    for (const Span& run : cold.spans()) {
      hash.add_address(run.first);
      hash.add_address(run.last);
    }
  }
  return hash.value();
}

std::uint64_t Ring::digest() const {
  Hash hash = decree_hash(seed_id(), charter_);
  for (const auto& [token, entry] : entries_) {
    hash.add_address(token);
    hash.add(entry.owner.number());
    hash.add(entry.version);
    hash.add(entry.free_count);
  }
  return hash.value();
}

void Ring::check_invariants() const {
  WEFT_ASSERT(!entries_.empty());
  WEFT_ASSERT(entries_.size() <= kRingEntryMax);
  WEFT_ASSERT(entries_.begin()->first == span().first);
  WEFT_ASSERT(entries_.rbegin()->first <= span().last);
}

}  // namespace weft::ipam
