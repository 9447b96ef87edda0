#include "ipam/messages.h"

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <google/protobuf/message_lite.h>

#include "base/gossip.h"
#include "base/overloaded.h"
#include "proto/ipam.pb.h"

namespace weft::ipam {
namespace {

constexpr std::uint64_t kPeerNumberMax = (std::uint64_t{1} << 48U) - 1;

Bytes serialize(const google::protobuf::MessageLite& message) {
  Bytes bytes(message.ByteSizeLong());
  message.SerializeWithCachedSizesToArray(bytes.data());
  return bytes;
}

Result<Ok> parse(ByteView payload, google::protobuf::MessageLite& message) {
  if (payload.size() > kGossipPayloadMax) {
    return Error{Errc::Invalid,
                 fmt::format("payload of {} bytes exceeds {}", payload.size(), kGossipPayloadMax)};
  }
  if (!message.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return Error{Errc::Invalid, "payload is no protobuf message of its topic"};
  }
  return Ok{};
}

Result<PeerName> peer(std::uint64_t number) {
  if (number > kPeerNumberMax) {
    return Error{Errc::Invalid, fmt::format("peer name {:x} exceeds 48 bits", number)};
  }
  return PeerName(number);
}

template <class Numbers>
Result<std::vector<PeerName>> ascending_peers(const Numbers& numbers) {
  if (numbers.size() == 0 || static_cast<std::size_t>(numbers.size()) > kElectorMax) {
    return Error{Errc::Invalid,
                 fmt::format("{} electors (expected 1 to {})", numbers.size(), kElectorMax)};
  }
  std::vector<PeerName> peers;
  peers.reserve(static_cast<std::size_t>(numbers.size()));
  for (const std::uint64_t number : numbers) {
    const auto name = WEFT_TRY(peer(number));
    if (!peers.empty() && peers.back() >= name) {
      return Error{Errc::Invalid, "electors not in ascending order"};
    }
    peers.push_back(name);
  }
  return peers;
}

void fill(const Ring& ring, wire::ipam::Ring& out) {
  out.set_range_first(ring.span().first);
  out.set_range_prefix(ring.range().prefix());
  for (const PeerName& seed : ring.seeds()) {
    out.add_seeds(seed.number());
  }
  for (const auto& [token, entry] : ring.entries()) {
    auto& added = *out.add_entries();
    added.set_token(token);
    added.set_owner(entry.owner.number());
    added.set_version(entry.version);
    added.set_free_count(entry.free_count);
  }
}

Result<Ring> to_ring(const wire::ipam::Ring& in) {
  constexpr std::uint32_t kPrefixMax = 30;  // Four addresses, as Allocator::Options demands.
  if (in.range_prefix() > kPrefixMax) {
    return Error{Errc::Invalid,
                 fmt::format("range prefix {} (expected 0 to {})", in.range_prefix(), kPrefixMax)};
  }
  if (static_cast<std::size_t>(in.entries_size()) > kRingEntryMax) {
    return Error{Errc::Invalid,
                 fmt::format("{} ring entries exceed {}", in.entries_size(), kRingEntryMax)};
  }
  const Cidr range(Ipv4(in.range_first()), static_cast<std::uint8_t>(in.range_prefix()));
  auto seeds = WEFT_TRY(ascending_peers(in.seeds()));
  Ring::Entries entries;
  for (const auto& entry : in.entries()) {
    if (!entries.empty() && entries.rbegin()->first >= entry.token()) {
      return Error{Errc::Invalid, "ring tokens not in ascending order"};
    }
    const auto owner = WEFT_TRY(peer(entry.owner()));
    entries.emplace_hint(
        entries.end(),
        entry.token(),
        RingEntry{.owner = owner, .version = entry.version(), .free_count = entry.free_count()});
  }
  return Ring::restore(range, std::move(seeds), std::move(entries));
}

void fill(const Ballot& ballot, wire::ipam::Ballot& out) {
  out.set_round(ballot.round);
  out.set_proposer(ballot.proposer.number());
}

Result<Ballot> to_ballot(const wire::ipam::Ballot& in) {
  if (in.round() > kRoundMax) {
    return Error{Errc::Invalid, fmt::format("round {} exceeds 2^48", in.round())};
  }
  const auto proposer = WEFT_TRY(peer(in.proposer()));
  if (in.round() == 0 && proposer != PeerName()) {
    return Error{Errc::Invalid, "ballot of round 0 with a proposer"};
  }
  return Ballot{.round = in.round(), .proposer = proposer};
}

using Proposals = std::map<Ballot, std::vector<PeerName>>;

Result<Proposals> to_proposals(const wire::ipam::Election& in) {
  Proposals proposals;
  for (const auto& proposal : in.proposals()) {
    const auto ballot = WEFT_TRY(to_ballot(proposal.ballot()));
    auto electors = WEFT_TRY(ascending_peers(proposal.electors()));
    if (ballot.round == 0 || !proposals.emplace(ballot, std::move(electors)).second) {
      return Error{Errc::Invalid, "proposal repeated or of round 0"};
    }
  }
  return proposals;
}

Result<ElectorClaim> to_claim(const wire::ipam::ElectorClaim& in, const Proposals& proposals) {
  const auto promised = WEFT_TRY(to_ballot(in.promised()));
  if (!in.has_accepted()) {
    return ElectorClaim{.promised = promised, .accepted = {}, .electors = {}};
  }
  const auto accepted = WEFT_TRY(to_ballot(in.accepted()));
  const auto proposal = proposals.find(accepted);
  if (proposal == proposals.end() || promised < accepted) {
    return Error{Errc::Invalid, "elector accepted a ballot that is unknown or not promised"};
  }
  return ElectorClaim{.promised = promised, .accepted = accepted, .electors = proposal->second};
}

Result<ElectorClaims> to_claims(const wire::ipam::Election& in) {
  if (static_cast<std::size_t>(in.claims_size()) > kElectorMax
      || in.proposals_size() > in.claims_size()) {
    return Error{Errc::Invalid,
                 fmt::format("{} claims, {} proposals", in.claims_size(), in.proposals_size())};
  }
  const auto proposals = WEFT_TRY(to_proposals(in));
  ElectorClaims claims;
  for (const auto& entry : in.claims()) {
    const auto elector = WEFT_TRY(peer(entry.elector()));
    auto claim = WEFT_TRY(to_claim(entry, proposals));
    if (!claims.emplace(elector, std::move(claim)).second) {
      return Error{Errc::Invalid, "elector repeated"};
    }
  }
  return claims;
}

Result<SpaceRequest> to_space_request(const wire::ipam::SpaceRequest& in) {
  if (in.within_first() > in.within_last() || in.usable_first() > in.usable_last()) {
    return Error{Errc::Invalid, "space request of a reversed span"};
  }
  return SpaceRequest{{.within = {in.within_first(), in.within_last()},
                       .usable = {in.usable_first(), in.usable_last()}}};
}

Result<Denial> to_denial(const wire::ipam::Denial& in) {
  if (in.holder().size() > kOwnerSizeMax) {
    return Error{Errc::Invalid, fmt::format("holder of {} bytes", in.holder().size())};
  }
  switch (in.reason()) {
    case wire::ipam::Denial::NO_SPACE:
      return Denial{.reason = Denial::Reason::NoSpace, .holder = {}};
    case wire::ipam::Denial::IN_USE:
      return Denial{.reason = Denial::Reason::InUse, .holder = in.holder()};
    case wire::ipam::Denial::NOT_OWNER:
      return Denial{.reason = Denial::Reason::NotOwner, .holder = {}};
    default:  // Open enumerations of proto3: any number may arrive.
      return Error{Errc::Invalid,
                   fmt::format("denial of reason {}", static_cast<int>(in.reason()))};
  }
}

void fill(const SpaceRequest& request, wire::ipam::SpaceRequest& out) {
  out.set_within_first(request.want.within.first);
  out.set_within_last(request.want.within.last);
  out.set_usable_first(request.want.usable.first);
  out.set_usable_last(request.want.usable.last);
}

void fill(const Denial& denial, wire::ipam::Denial& out) {
  out.set_reason(static_cast<wire::ipam::Denial::Reason>(denial.reason));
  // Protobuf strings are UTF-8; an owner's name is whatever an orchestrator chose.
  std::string holder;
  for (const char character : denial.holder) {
    const bool printable = character >= ' ' && character <= '~';
    holder.push_back(printable ? character : '?');
  }
  out.set_holder(std::move(holder));
}

}  // namespace

Bytes encode(const Ring& ring) {
  wire::ipam::RingGossip message;
  fill(ring, *message.mutable_ring());
  return serialize(message);
}

Bytes encode(const ElectorClaims& claims) {
  wire::ipam::RingGossip message;
  auto& election = *message.mutable_election();
  std::map<Ballot, const std::vector<PeerName>*> proposals;
  for (const auto& [elector, claim] : claims) {
    auto& added = *election.add_claims();
    added.set_elector(elector.number());
    fill(claim.promised, *added.mutable_promised());
    if (claim.accepted.round > 0) {
      fill(claim.accepted, *added.mutable_accepted());
      proposals.emplace(claim.accepted, &claim.electors);
    }
  }
  for (const auto& [ballot, electors] : proposals) {
    auto& added = *election.add_proposals();
    fill(ballot, *added.mutable_ballot());
    for (const PeerName& elector : *electors) {
      added.add_electors(elector.number());
    }
  }
  return serialize(message);
}

Bytes encode(const PeerMessage& message) {
  wire::ipam::PeerMessage out;
  out.set_id(message.id);
  std::visit(overloaded{
                 [&out](const SpaceRequest& body) { fill(body, *out.mutable_space_request()); },
                 [&out](const ClaimRequest& body) {
                   out.mutable_claim_request()->set_address(body.address);
                 },
                 [&out](const Grant& body) { fill(body.ring, *out.mutable_grant()); },
                 [&out](const Denial& body) { fill(body, *out.mutable_denial()); },
                 [&out](const RingDigest& body) { out.mutable_digest()->set_digest(body.digest); },
             },
             message.body);
  return serialize(out);
}

Result<RingGossip> decode_ring_gossip(ByteView payload) {
  wire::ipam::RingGossip message;
  (void)WEFT_TRY(parse(payload, message));
  switch (message.body_case()) {
    case wire::ipam::RingGossip::kRing: {
      auto ring = WEFT_TRY(to_ring(message.ring()));
      return RingGossip(std::move(ring));
    }
    case wire::ipam::RingGossip::kElection: {
      auto claims = WEFT_TRY(to_claims(message.election()));
      return RingGossip(std::move(claims));
    }
    case wire::ipam::RingGossip::BODY_NOT_SET:
      break;
  }
  return Error{Errc::Invalid, "ring gossip without a body"};
}

Result<PeerMessage> decode_peer_message(ByteView payload) {
  wire::ipam::PeerMessage in;
  (void)WEFT_TRY(parse(payload, in));
  switch (in.body_case()) {
    case wire::ipam::PeerMessage::kSpaceRequest: {
      const auto body = WEFT_TRY(to_space_request(in.space_request()));
      return PeerMessage{.id = in.id(), .body = body};
    }
    case wire::ipam::PeerMessage::kClaimRequest:
      return PeerMessage{.id = in.id(), .body = ClaimRequest{in.claim_request().address()}};
    case wire::ipam::PeerMessage::kGrant: {
      auto ring = WEFT_TRY(to_ring(in.grant()));
      return PeerMessage{.id = in.id(), .body = Grant{std::move(ring)}};
    }
    case wire::ipam::PeerMessage::kDenial: {
      auto body = WEFT_TRY(to_denial(in.denial()));
      return PeerMessage{.id = in.id(), .body = std::move(body)};
    }
    case wire::ipam::PeerMessage::kDigest:
      return PeerMessage{.id = in.id(), .body = RingDigest{in.digest().digest()}};
    case wire::ipam::PeerMessage::BODY_NOT_SET:
      break;
  }
  return Error{Errc::Invalid, "peer message without a body"};
}

}  // namespace weft::ipam
