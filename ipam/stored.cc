#include "ipam/stored.h"

#include <utility>

#include <fmt/format.h>

#include "base/bytes.h"
#include "ipam/messages.h"

namespace weft::ipam {
namespace {

constexpr const char* kRingTable = "ipam_ring";
constexpr const char* kOwnedTable = "ipam_owned";
constexpr const char* kPaxosTable = "ipam_paxos";
constexpr const char* kCouncilTable = "ipam_council";
constexpr std::uint8_t kFormat = 1;
// Of the row that says whose state this is, where the range is of IPv6.
constexpr std::uint8_t kFormatV6 = 2;
// Octets of an address in a row.
constexpr std::size_t kWidthV4 = 4;
constexpr std::size_t kWidthV6 = 16;
// In the count of runs: they are of IPv6.
constexpr std::uint32_t kRunsV6 = std::uint32_t{1} << 31U;
static_assert(kRingEntryMax < kRunsV6);
constexpr std::uint8_t kMetaKey = 'm';
constexpr std::uint8_t kTokenKey = 't';
constexpr std::uint8_t kCharterKey = 'c';
constexpr std::uint8_t kWordKey = 't';
constexpr std::uint8_t kVoteKey = 'v';
constexpr std::uint8_t kRegistrationKey = 'r';
constexpr std::uint8_t kProposedKey = 'b';

struct Meta {
  PeerName self;
  Cidr range;
  std::vector<PeerName> seeds;
};

Result<Ok> check_format(Reader& reader) {
  const auto format = WEFT_TRY(reader.u8());
  if (format != kFormat) {
    return Error{Errc::Invalid, fmt::format("row format {} (expected {})", format, kFormat)};
  }
  return Ok{};
}

Result<Ok> check_end(const Reader& reader) {
  if (!reader.empty()) {
    return Error{Errc::Invalid, fmt::format("{} bytes after the row", reader.remaining())};
  }
  return Ok{};
}

Result<PeerName> read_peer(Reader& reader) {
  const auto number = WEFT_TRY(reader.u64());
  if (number >> 48U != 0) {
    return Error{Errc::Invalid, fmt::format("peer name {:x} exceeds 48 bits", number)};
  }
  return PeerName(number);
}

Result<std::vector<PeerName>> read_peers(Reader& reader) {
  const auto count = WEFT_TRY(reader.u16());
  if (count > kElectorMax) {
    return Error{Errc::Invalid, fmt::format("{} peers exceed {}", count, kElectorMax)};
  }
  std::vector<PeerName> peers;
  peers.reserve(count);
  for (std::uint16_t i = 0; i < count; ++i) {
    const auto name = WEFT_TRY(read_peer(reader));
    peers.push_back(name);
  }
  return peers;
}

template <class Peers>
void write_peers(const Peers& peers, Writer& out) {
  out.u16(static_cast<std::uint16_t>(peers.size()));
  for (const PeerName& name : peers) {
    out.u64(name.number());
  }
}

Result<Ip> read_address(Reader& reader, std::size_t width) {
  const auto octets = WEFT_TRY(reader.take(width));
  return Ip::from_bytes(octets);
}

Result<Meta> read_meta(ByteView row) {
  Reader reader(row);
  const auto format = WEFT_TRY(reader.u8());
  if (format != kFormat && format != kFormatV6) {
    return Error{Errc::Invalid,
                 fmt::format("row format {} (expected {} or {})", format, kFormat, kFormatV6)};
  }
  const std::size_t width = format == kFormat ? kWidthV4 : kWidthV6;
  const auto self = WEFT_TRY(read_peer(reader));
  const auto first = WEFT_TRY(read_address(reader, width));
  const auto prefix = WEFT_TRY(reader.u8());
  if (prefix > first.bits()) {
    return Error{Errc::Invalid, fmt::format("range prefix {} of {}", prefix, first.to_string())};
  }
  auto seeds = WEFT_TRY(read_peers(reader));
  (void)WEFT_TRY(check_end(reader));
  return Meta{.self = self, .range = Cidr(first, prefix), .seeds = std::move(seeds)};
}

Result<std::pair<Uint128, RingEntry>> read_entry(ByteView key, ByteView row) {
  Reader key_reader(key);
  (void)WEFT_TRY(key_reader.u8());  // The kind of row, which brought us here.
  const auto token = WEFT_TRY(read_address(key_reader, key_reader.remaining()));
  (void)WEFT_TRY(check_end(key_reader));
  Reader reader(row);
  const auto owner = WEFT_TRY(read_peer(reader));
  const auto version = WEFT_TRY(reader.u64());
  const auto free_count = WEFT_TRY(reader.u64());
  (void)WEFT_TRY(check_end(reader));
  return std::pair(number_of(token),
                   RingEntry{.owner = owner, .version = version, .free_count = free_count});
}

Result<IntervalSet> read_spans(Reader& reader) {
  const auto stated = WEFT_TRY(reader.u32());
  const std::size_t width = (stated & kRunsV6) != 0 ? kWidthV6 : kWidthV4;
  const std::uint32_t count = stated & ~kRunsV6;
  if (count > kRingEntryMax) {
    return Error{Errc::Invalid, fmt::format("{} runs exceed {}", count, kRingEntryMax)};
  }
  std::vector<Span> spans;
  spans.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto first = WEFT_TRY(read_address(reader, width));
    const auto last = WEFT_TRY(read_address(reader, width));
    if (first > last) {
      return Error{Errc::Invalid, "run reversed"};
    }
    spans.push_back({number_of(first), number_of(last)});
  }
  return IntervalSet(spans);
}

void write_spans(const IntervalSet& set, Writer& out) {
  const std::vector<Span> spans = set.spans();
  const bool is_v6 = !spans.empty() && !is_v4_number(spans.front().first);
  out.u32(static_cast<std::uint32_t>(spans.size()) | (is_v6 ? kRunsV6 : 0));
  for (const Span& span : spans) {
    out.append(ip_of(span.first).bytes()).append(ip_of(span.last).bytes());
  }
}

Result<Ballot> read_ballot(Reader& reader) {
  const auto round = WEFT_TRY(reader.u64());
  const auto proposer = WEFT_TRY(read_peer(reader));
  return Ballot{.round = round, .proposer = proposer};
}

void write_ballot(const Ballot& ballot, Writer& out) {
  out.u64(ballot.round).u64(ballot.proposer.number());
}

Result<Charter> read_charter(ByteView row) {
  Reader reader(row);
  (void)WEFT_TRY(check_format(reader));
  Charter charter;
  charter.number = WEFT_TRY(reader.u64());
  charter.ballot = WEFT_TRY(read_ballot(reader));
  charter.council = WEFT_TRY(read_peers(reader));
  const auto count = WEFT_TRY(reader.u32());
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto peer = WEFT_TRY(read_peer(reader));
    charter.cold[peer] = WEFT_TRY(read_spans(reader));
  }
  if (!reader.empty()) {  // Rows of before docs/adr/0087 end here.
    charter.gone = WEFT_TRY(read_peers(reader));
  }
  (void)WEFT_TRY(check_end(reader));
  return charter;
}

Result<Ok> load_ring(const StoreTable& table,
                     PeerName self,
                     const Cidr& range,
                     StoredState& state) {
  std::optional<Meta> meta;
  std::optional<Charter> charter;
  Ring::Entries entries;
  for (const auto& [key, row] : table) {
    if (!key.empty() && key[0] == kCharterKey) {
      charter = WEFT_TRY(read_charter(row));
      continue;
    }
    if (key.empty() || (key[0] != kMetaKey && key[0] != kTokenKey)) {
      return Error{Errc::Invalid, "row of an unknown kind"};
    }
    if (key[0] == kMetaKey) {
      auto decoded = WEFT_TRY(read_meta(row));
      meta = std::move(decoded);
      continue;
    }
    const auto entry = WEFT_TRY(read_entry(key, row));
    entries.insert(entry);
  }
  if (!meta) {
    return table.empty() ? Result<Ok>(Ok{}) : Error{Errc::Invalid, "ring rows without their owner"};
  }
  if (meta->self != self) {
    return Error{Errc::Conflict,
                 fmt::format("the stored addresses belong to peer {}, not {}: run `weft reset` to "
                             "discard them, or restore this host's name",
                             meta->self.to_string(),
                             self.to_string())};
  }
  // Who handed out nothing has nothing that a range would contradict.
  if (meta->range == no_range() && range != no_range()) {
    return Ok{};
  }
  if (meta->range != range) {
    return Error{Errc::Conflict,
                 fmt::format("the stored addresses are of range {}, not {}: start with "
                             "--ipalloc-range {}, or run `weft reset` on every host to change it",
                             meta->range.to_string(),
                             range == no_range() ? "none" : range.to_string(),
                             meta->range.to_string())};
  }
  state.has_meta = true;
  if (!entries.empty()) {
    // A ring of a weft that knew no decrees is that of the first sharing.
    auto ring =
        WEFT_TRY(charter ? Ring::restore(
                     range, std::move(meta->seeds), std::move(entries), std::move(*charter))
                         : Ring::restore(range, std::move(meta->seeds), std::move(entries)));
    state.ring = std::move(ring);
  }
  return Ok{};
}

Result<Ok> load_claims(const StoreTable& table, Claims& claims) {
  for (const auto& [key, row] : table) {
    const auto address = WEFT_TRY(Ip::from_bytes(key));
    Reader reader(row);
    (void)WEFT_TRY(check_format(reader));
    const auto prefix = WEFT_TRY(reader.u8());
    if (prefix > address.bits()) {
      return Error{Errc::Invalid, fmt::format("prefix {} of {}", prefix, address.to_string())};
    }
    if (reader.empty() || reader.remaining() > kOwnerSizeMax) {
      return Error{Errc::Invalid, fmt::format("holder of {} bytes", reader.remaining())};
    }
    claims.add(std::string(as_text(reader.rest())), Cidr(address, prefix));
  }
  return Ok{};
}

Result<Consensus::Memory> read_memory(ByteView row) {
  Reader reader(row);
  (void)WEFT_TRY(check_format(reader));
  const auto promised = WEFT_TRY(read_ballot(reader));
  const auto accepted = WEFT_TRY(read_ballot(reader));
  auto electors = WEFT_TRY(read_peers(reader));
  const auto known = WEFT_TRY(read_peers(reader));
  (void)WEFT_TRY(check_end(reader));
  if (promised < accepted || (accepted.round == 0) != electors.empty()) {
    return Error{Errc::Invalid, "election row contradicts itself"};
  }
  return Consensus::Memory{
      .own = {.promised = promised, .accepted = accepted, .electors = std::move(electors)},
      .known = {known.begin(), known.end()}};
}

Result<Registration> read_registration(Reader& reader) {
  const auto seq = WEFT_TRY(reader.u64());
  auto cold = WEFT_TRY(read_spans(reader));
  (void)WEFT_TRY(check_end(reader));
  return Registration{.seq = seq, .cold = std::move(cold)};
}

Result<Voter::Memory> read_vote(Reader& reader) {
  Voter::Memory vote;
  vote.promised = WEFT_TRY(read_ballot(reader));
  if (!reader.empty()) {
    const auto accepted = WEFT_TRY(read_ballot(reader));
    auto value = WEFT_TRY(decode_ring_gossip(reader.rest()));
    if (!std::holds_alternative<Ring>(value)) {
      return Error{Errc::Invalid, "accepted value that is no ring"};
    }
    vote.accepted = std::pair(accepted, std::move(std::get<Ring>(value)));
  }
  return vote;
}

Result<Ok> load_council_row(ByteView key, ByteView row, std::uint64_t decree, StoredState& state) {
  Reader key_reader(key);
  const auto kind = WEFT_TRY(key_reader.u8());
  Reader reader(row);
  (void)WEFT_TRY(check_format(reader));
  const auto number = WEFT_TRY(reader.u64());
  if (kind == kProposedKey) {
    state.proposed_round = number;
    return check_end(reader);
  }
  if (number != decree) {
    return Ok{};
  }
  switch (kind) {
    case kWordKey:
      state.word = WEFT_TRY(read_registration(reader));
      return Ok{};
    case kVoteKey: {
      auto vote = WEFT_TRY(read_vote(reader));
      vote.registrations = state.vote ? std::move(state.vote->registrations) : vote.registrations;
      state.vote = std::move(vote);
      return Ok{};
    }
    case kRegistrationKey: {
      const auto peer = WEFT_TRY(read_peer(key_reader));
      // Keys ascend, so the vote, if there is one, comes later.
      auto registration = WEFT_TRY(read_registration(reader));
      if (!state.vote) {
        state.vote.emplace();
      }
      state.vote->registrations.insert_or_assign(peer, std::move(registration));
      return Ok{};
    }
    default:
      return Error{Errc::Invalid, "council row of an unknown kind"};
  }
}

Result<Ok> load_council(const StoreTable& table, StoredState& state) {
  const std::uint64_t decree = state.ring ? state.ring->charter().number : 0;
  if (state.ring) {
    const auto& cold = state.ring->charter().cold;
    const auto own = cold.find(state.self);
    state.word.cold = own == cold.end() ? IntervalSet() : own->second;
  }
  for (const auto& [key, row] : table) {
    (void)WEFT_TRY(load_council_row(key, row, decree, state));
  }
  if (!table.contains(Bytes{kVoteKey})) {
    state.vote.reset();
  }
  return Ok{};
}

}  // namespace

Result<StoredState> load_state(PeerName self, const Cidr& range, const Allocator::Stored& stored) {
  StoredState state;
  state.self = self;
  (void)WEFT_TRY(load_ring(stored.ring, self, range, state));
  (void)WEFT_TRY(load_claims(stored.owned, state.claims));
  if (!stored.paxos.empty()) {
    auto memory = WEFT_TRY(read_memory(stored.paxos.begin()->second));
    state.consensus = std::move(memory);
  }
  (void)WEFT_TRY(load_council(stored.council, state));
  return state;
}

Result<Ok> check_stored(const Allocator::Stored& stored) {
  PeerName self;
  Cidr range;
  const auto row = stored.ring.find({kMetaKey});
  if (row != stored.ring.end()) {
    const auto meta = WEFT_TRY(read_meta(row->second));
    self = meta.self;
    range = meta.range;
  }
  (void)WEFT_TRY(load_state(self, range, stored));
  return Ok{};
}

StoreWrite meta_row(PeerName self, const Cidr& range, const std::vector<PeerName>& seeds) {
  Writer row;
  row.u8(range.is_v4() ? kFormat : kFormatV6).u64(self.number());
  row.append(range.first().bytes()).u8(range.prefix());
  write_peers(seeds, row);
  return {.table = kRingTable, .key = {kMetaKey}, .value = row.take()};
}

StoreWrite charter_row(const Charter& charter) {
  Writer row;
  row.u8(kFormat).u64(charter.number);
  write_ballot(charter.ballot, row);
  write_peers(charter.council, row);
  row.u32(static_cast<std::uint32_t>(charter.cold.size()));
  for (const auto& [peer, cold] : charter.cold) {
    row.u64(peer.number());
    write_spans(cold, row);
  }
  write_peers(charter.gone, row);
  return {.table = kRingTable, .key = {kCharterKey}, .value = row.take()};
}

StoreWrite no_ring_row(Uint128 token) {
  Writer key;
  key.u8(kTokenKey).append(ip_of(token).bytes());
  return {.table = kRingTable, .key = key.take(), .value = std::nullopt};
}

StoreWrite ring_row(Uint128 token, const RingEntry& entry) {
  Writer key;
  key.u8(kTokenKey).append(ip_of(token).bytes());
  Writer row;
  row.u64(entry.owner.number()).u64(entry.version).u64(entry.free_count);
  return {.table = kRingTable, .key = key.take(), .value = row.take()};
}

StoreWrite held_row(const Cidr& address, const std::string& owner) {
  Writer row;
  row.u8(kFormat).u8(address.prefix()).append(as_bytes(owner));
  return {.table = kOwnedTable, .key = address.address().bytes(), .value = row.take()};
}

StoreWrite released_row(const Ip& address) {
  return {.table = kOwnedTable, .key = address.bytes(), .value = std::nullopt};
}

StoreWrite consensus_row(const Consensus::Memory& memory) {
  Writer row;
  row.u8(kFormat);
  row.u64(memory.own.promised.round).u64(memory.own.promised.proposer.number());
  row.u64(memory.own.accepted.round).u64(memory.own.accepted.proposer.number());
  write_peers(memory.own.electors, row);
  write_peers(memory.known, row);
  return {.table = kPaxosTable, .key = {kMetaKey}, .value = row.take()};
}

StoreWrite consensus_done_row() {
  return {.table = kPaxosTable, .key = {kMetaKey}, .value = std::nullopt};
}

StoreWrite word_row(std::uint64_t decree, const Registration& word) {
  Writer row;
  row.u8(kFormat).u64(decree).u64(word.seq);
  write_spans(word.cold, row);
  return {.table = kCouncilTable, .key = {kWordKey}, .value = row.take()};
}

StoreWrite vote_row(std::uint64_t decree, const Voter::Memory& memory) {
  Writer row;
  row.u8(kFormat).u64(decree);
  write_ballot(memory.promised, row);
  if (memory.accepted) {
    write_ballot(memory.accepted->first, row);
    row.append(encode(memory.accepted->second));
  }
  return {.table = kCouncilTable, .key = {kVoteKey}, .value = row.take()};
}

StoreWrite registration_row(std::uint64_t decree, PeerName peer, const Registration& registration) {
  Writer key;
  key.u8(kRegistrationKey).u64(peer.number());
  Writer row;
  row.u8(kFormat).u64(decree).u64(registration.seq);
  write_spans(registration.cold, row);
  return {.table = kCouncilTable, .key = key.take(), .value = row.take()};
}

StoreWrite no_vote_row() {
  return {.table = kCouncilTable, .key = {kVoteKey}, .value = std::nullopt};
}

StoreWrite no_registration_row(PeerName peer) {
  Writer key;
  key.u8(kRegistrationKey).u64(peer.number());
  return {.table = kCouncilTable, .key = key.take(), .value = std::nullopt};
}

StoreWrite proposed_row(std::uint64_t round) {
  Writer row;
  row.u8(kFormat).u64(round);
  return {.table = kCouncilTable, .key = {kProposedKey}, .value = row.take()};
}

}  // namespace weft::ipam
