#include "ipam/wire/rings.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "ipam/council/messages.h"
#include "ipam/wire/addresses.h"
#include "proto/ipam.pb.h"

namespace weft::ipam {
namespace {

constexpr std::uint64_t kPeerNumberMax = (std::uint64_t{1} << 48U) - 1;

void fill(Uint128 token, const RingEntry& entry, wire::ipam::RingEntry& out) {
  if (is_v4_number(token)) {
    out.set_token(v4_of(token));
  } else {
    append_v6(token, *out.mutable_token_v6());
  }
  out.set_owner(entry.owner.number());
  out.set_version(entry.version);
  out.set_free_count(entry.free_count);
}

Result<Ok> check_count(int count) {
  if (static_cast<std::size_t>(count) > kRingEntryMax) {
    return Error{Errc::Invalid, fmt::format("{} ring entries exceed {}", count, kRingEntryMax)};
  }
  return Ok{};
}

Result<RingEntry> to_entry(const wire::ipam::RingEntry& in) {
  const auto owner = WEFT_TRY(to_peer(in.owner()));
  return RingEntry{.owner = owner, .version = in.version(), .free_count = in.free_count()};
}

Result<Ring::Entries> to_entries(
    const google::protobuf::RepeatedPtrField<wire::ipam::RingEntry>& in) {
  (void)WEFT_TRY(check_count(in.size()));
  Ring::Entries entries;
  for (const auto& item : in) {
    const auto token = WEFT_TRY(to_number(item.token(), item.token_v6()));
    if (!entries.empty() && entries.rbegin()->first >= token) {
      return Error{Errc::Invalid, "ring tokens not in ascending order"};
    }
    const auto entry = WEFT_TRY(to_entry(item));
    entries.emplace_hint(entries.end(), token, entry);
  }
  return entries;
}

}  // namespace

Result<PeerName> to_peer(std::uint64_t number) {
  if (number > kPeerNumberMax) {
    return Error{Errc::Invalid, fmt::format("peer name {:x} exceeds 48 bits", number)};
  }
  return PeerName(number);
}

Result<std::vector<PeerName>> ascending_peers(
    const google::protobuf::RepeatedField<std::uint64_t>& numbers) {
  if (static_cast<std::size_t>(numbers.size()) > kElectorMax) {
    return Error{Errc::Invalid,
                 fmt::format("{} peers (expected at most {})", numbers.size(), kElectorMax)};
  }
  std::vector<PeerName> peers;
  peers.reserve(static_cast<std::size_t>(numbers.size()));
  for (const std::uint64_t number : numbers) {
    const auto name = WEFT_TRY(to_peer(number));
    if (!peers.empty() && peers.back() >= name) {
      return Error{Errc::Invalid, "peers not in ascending order"};
    }
    peers.push_back(name);
  }
  return peers;
}

Result<std::vector<PeerName>> electors(
    const google::protobuf::RepeatedField<std::uint64_t>& numbers) {
  if (numbers.empty()) {
    return Error{Errc::Invalid, fmt::format("no electors (expected 1 to {})", kElectorMax)};
  }
  return ascending_peers(numbers);
}

void fill(const Ballot& ballot, wire::ipam::Ballot& out) {
  out.set_round(ballot.round);
  out.set_proposer(ballot.proposer.number());
}

Result<Ballot> to_ballot(const wire::ipam::Ballot& in) {
  if (in.round() > kRoundMax) {
    return Error{Errc::Invalid, fmt::format("round {} exceeds 2^48", in.round())};
  }
  const auto proposer = WEFT_TRY(to_peer(in.proposer()));
  if (in.round() == 0 && proposer != PeerName()) {
    return Error{Errc::Invalid, "ballot of round 0 with a proposer"};
  }
  return Ballot{.round = in.round(), .proposer = proposer};
}

void fill(const Charter& charter, wire::ipam::Charter& out) {
  out.set_number(charter.number);
  fill(charter.ballot, *out.mutable_ballot());
  for (const PeerName& member : charter.council) {
    out.add_council(member.number());
  }
  for (const auto& [owner, cold] : charter.cold) {
    auto& added = *out.add_cold();
    added.set_peer(owner.number());
    fill_spans(cold, *added.mutable_bounds(), *added.mutable_bounds_v6());
  }
  for (const PeerName& peer : charter.gone) {
    out.add_gone(peer.number());
  }
}

Result<Charter> to_charter(const wire::ipam::Charter& in) {
  Charter charter;
  charter.number = in.number();
  charter.ballot = WEFT_TRY(to_ballot(in.ballot()));
  charter.council = WEFT_TRY(electors(in.council()));
  if (static_cast<std::size_t>(in.cold_size()) > kRegisteredMax) {
    return Error{Errc::Invalid, fmt::format("cold space of {} peers", in.cold_size())};
  }
  for (const auto& entry : in.cold()) {
    const auto owner = WEFT_TRY(to_peer(entry.peer()));
    auto cold = WEFT_TRY(to_spans(entry.bounds(), entry.bounds_v6()));
    if (cold.size() == 0 || !charter.cold.emplace(owner, std::move(cold)).second) {
      return Error{Errc::Invalid, "cold space empty or stated twice"};
    }
  }
  charter.gone = WEFT_TRY(ascending_peers(in.gone()));
  return charter;
}

// What follows from the seeds is not said: of a ring that has just been founded, nothing else.
void fill(const Ring& ring, wire::ipam::Ring& out) {
  fill_range(ring.range(), out);
  for (const PeerName& seed : ring.seeds()) {
    out.add_seeds(seed.number());
  }
  const Ring first = Ring::share_out(ring.range(), ring.seeds());
  const Ring::Entries& entries = ring.entries();
  const bool is_brief =
      std::all_of(first.entries().begin(), first.entries().end(), [&entries](const auto& at) {
        return entries.contains(at.first);
      });
  out.set_is_brief(is_brief);
  for (const auto& [token, entry] : entries) {
    const auto founded = first.entries().find(token);
    if (!is_brief || founded == first.entries().end() || founded->second != entry) {
      fill(token, entry, *out.add_entries());
    }
  }
  if (ring.charter() != first.charter()) {
    fill(ring.charter(), *out.mutable_charter());
  }
}

Result<Cidr> to_range(std::uint32_t first, std::string_view first_v6, std::uint32_t prefix) {
  const Ip network = ip_of(WEFT_TRY(to_number(first, first_v6)));
  if (prefix > network.bits()) {
    return Error{Errc::Invalid, fmt::format("range prefix {} of {}", prefix, network.to_string())};
  }
  const Cidr range(network, static_cast<std::uint8_t>(prefix));
  (void)WEFT_TRY(check_range(range));
  return range;
}

Result<Ring> to_ring(const wire::ipam::Ring& in) {
  const auto range = WEFT_TRY(to_range(in.range_first(), in.range_first_v6(), in.range_prefix()));
  auto seeds = WEFT_TRY(electors(in.seeds()));
  auto entries = WEFT_TRY(to_entries(in.entries()));
  if (in.is_brief()) {
    const Ring founded = Ring::share_out(range, seeds);
    entries.insert(founded.entries().begin(), founded.entries().end());  // What is said stays.
  }
  if (!in.has_charter()) {
    return Ring::restore(range, std::move(seeds), std::move(entries));
  }
  auto charter = WEFT_TRY(to_charter(in.charter()));
  return Ring::restore(range, std::move(seeds), std::move(entries), std::move(charter));
}

void fill(const Ring::Part& part, wire::ipam::RingPart& out) {
  out.set_basis(part.basis);
  for (const Ring::Piece& piece : part.pieces) {
    auto& added = *out.add_entries();
    fill(piece.span.first, piece.entry, added);
    if (is_v4_number(piece.span.last)) {
      added.set_last(v4_of(piece.span.last));
    } else {
      append_v6(piece.span.last, *added.mutable_last_v6());
    }
  }
}

Result<Ring::Part> to_part(const wire::ipam::RingPart& in) {
  (void)WEFT_TRY(check_count(in.entries_size()));
  Ring::Part part{.basis = in.basis(), .pieces = {}};
  part.pieces.reserve(static_cast<std::size_t>(in.entries_size()));
  for (const auto& item : in.entries()) {
    const auto first = WEFT_TRY(to_number(item.token(), item.token_v6()));
    const auto last = WEFT_TRY(to_number(item.last(), item.last_v6()));
    if (first > last || (!part.pieces.empty() && part.pieces.back().span.last >= first)) {
      return Error{Errc::Invalid, "entries of a part reversed or not in ascending order"};
    }
    const auto entry = WEFT_TRY(to_entry(item));
    (void)WEFT_TRY(check_version(entry.version));
    part.pieces.push_back({.span = {first, last}, .entry = entry});
  }
  if (part.pieces.empty()) {
    return Error{Errc::Invalid, "part of a ring without entries"};
  }
  return part;
}

}  // namespace weft::ipam
