#include "ipam/messages.h"

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <google/protobuf/arena.h>
#include <google/protobuf/message_lite.h>

#include "base/gossip.h"
#include "base/overloaded.h"
#include "ipam/wire/addresses.h"
#include "ipam/wire/rings.h"
#include "proto/ipam.pb.h"

namespace weft::ipam {
namespace {

// A ring or an election is hundreds of small messages; in an arena they are a few allocations.
template <class Message>
Message& make(google::protobuf::Arena& arena) {
  return *google::protobuf::Arena::CreateMessage<Message>(&arena);
}

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

using Proposals = std::map<Ballot, std::vector<PeerName>>;

Result<Proposals> to_proposals(const wire::ipam::Election& in) {
  if (static_cast<std::size_t>(in.proposals_size()) > kElectorMax) {
    return Error{Errc::Invalid, fmt::format("{} proposals", in.proposals_size())};
  }
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

// What these electors have promised and accepted alike.
Result<ElectorClaim> to_claim(const wire::ipam::ElectorClaims& in, const Proposals& proposals) {
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

constexpr std::size_t kNameSize = 6;

Result<std::vector<PeerName>> to_names(const std::string& octets) {
  if (octets.empty() || octets.size() % kNameSize != 0 || octets.size() > kElectorMax * kNameSize) {
    return Error{Errc::Invalid, fmt::format("{} octets of electors' names", octets.size())};
  }
  std::vector<PeerName> names;
  names.reserve(octets.size() / kNameSize);
  std::uint64_t number = 0;
  for (std::size_t at = 0; at < octets.size(); ++at) {
    number = number << 8U | static_cast<std::uint8_t>(octets[at]);
    if (at % kNameSize == kNameSize - 1) {
      names.emplace_back(std::exchange(number, 0));
    }
  }
  return names;
}

void append_name(PeerName name, std::string& octets) {
  for (std::size_t left = kNameSize; left > 0; --left) {
    octets.push_back(static_cast<char>(name.number() >> (8 * (left - 1))));
  }
}

Result<ElectorClaims> to_claims(const wire::ipam::Election& in) {
  const auto proposals = WEFT_TRY(to_proposals(in));
  ElectorClaims claims;
  for (const auto& group : in.claims()) {
    const auto claim = WEFT_TRY(to_claim(group, proposals));
    const auto names = WEFT_TRY(to_names(group.electors()));
    for (const PeerName& name : names) {
      if (!claims.emplace(name, claim).second || claims.size() > kElectorMax) {
        return Error{Errc::Invalid, "elector repeated, or one too many"};
      }
    }
  }
  if (proposals.size() > claims.size()) {
    return Error{Errc::Invalid,
                 fmt::format("{} claims, {} proposals", claims.size(), proposals.size())};
  }
  return claims;
}

Result<SpaceRequest> to_space_request(const wire::ipam::SpaceRequest& in) {
  const auto within_first = WEFT_TRY(to_number(in.within_first(), in.within_first_v6()));
  const auto within_last = WEFT_TRY(to_number(in.within_last(), in.within_last_v6()));
  const auto usable_first = WEFT_TRY(to_number(in.usable_first(), in.usable_first_v6()));
  const auto usable_last = WEFT_TRY(to_number(in.usable_last(), in.usable_last_v6()));
  const Space::Want want{.within = {within_first, within_last},
                         .usable = {usable_first, usable_last}};
  if (within_first > within_last || usable_first > usable_last) {
    return Error{Errc::Invalid, "space request of a reversed span"};
  }
  return SpaceRequest{want};
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
  const Space::Want& want = request.want;
  if (is_v4_number(want.within.first)) {
    out.set_within_first(v4_of(want.within.first));
    out.set_within_last(v4_of(want.within.last));
    out.set_usable_first(v4_of(want.usable.first));
    out.set_usable_last(v4_of(want.usable.last));
    return;
  }
  append_v6(want.within.first, *out.mutable_within_first_v6());
  append_v6(want.within.last, *out.mutable_within_last_v6());
  append_v6(want.usable.first, *out.mutable_usable_first_v6());
  append_v6(want.usable.last, *out.mutable_usable_last_v6());
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

// The council.

Result<std::uint64_t> to_decree(std::uint64_t number) {
  if (number > kDecreeMax) {
    return Error{Errc::Invalid, fmt::format("decree {} exceeds 2^48", number)};
  }
  return number;
}

void fill(const Register& body, wire::ipam::Register& out) {
  out.set_decree(body.decree);
  out.set_seq(body.seq);
  out.set_nonce(body.nonce);
  if (body.state) {
    fill(body.state->ring, *out.mutable_ring());
    fill_spans(body.state->cold, *out.mutable_cold(), *out.mutable_cold_v6());
  }
}

Result<Register> to_register(const wire::ipam::Register& in) {
  const auto decree = WEFT_TRY(to_decree(in.decree()));
  Register body{.decree = decree, .seq = in.seq(), .nonce = in.nonce(), .state = std::nullopt};
  if (body.seq > kDecreeMax) {
    return Error{Errc::Invalid, fmt::format("registration {} exceeds 2^48", body.seq)};
  }
  if (in.has_ring()) {
    auto ring = WEFT_TRY(to_ring(in.ring()));
    auto cold = WEFT_TRY(to_spans(in.cold(), in.cold_v6()));
    body.state = Register::State{.cold = std::move(cold), .ring = std::move(ring)};
  }
  return body;
}

void fill(const Prepare& body, wire::ipam::Prepare& out) {
  out.set_decree(body.decree);
  fill(body.ballot, *out.mutable_ballot());
  if (body.removed) {
    out.set_removed(body.removed->number());
  }
}

Result<Prepare> to_prepare(const wire::ipam::Prepare& in) {
  Prepare body;
  body.decree = WEFT_TRY(to_decree(in.decree()));
  body.ballot = WEFT_TRY(to_ballot(in.ballot()));
  if (in.has_removed()) {
    body.removed = WEFT_TRY(to_peer(in.removed()));
  }
  return body;
}

void fill(const Promise& body, wire::ipam::Promise& out) {
  out.set_decree(body.decree);
  fill(body.ballot, *out.mutable_ballot());
  for (const auto& [name, word] : body.words) {
    auto& added = *out.add_words();
    added.set_peer(name.number());
    added.set_seq(word.registration.seq);
    added.set_life(static_cast<std::uint32_t>(word.life));
    fill_spans(word.registration.cold, *added.mutable_cold(), *added.mutable_cold_v6());
  }
  fill(body.ring, *out.mutable_ring());
  if (body.accepted) {
    fill(body.accepted->first, *out.mutable_accepted());
    fill(body.accepted->second, *out.mutable_value());
  }
}

Result<std::map<PeerName, Promise::Word>> to_words(const wire::ipam::Promise& in) {
  if (static_cast<std::size_t>(in.words_size()) > kRegisteredMax) {
    return Error{Errc::Invalid, fmt::format("words on {} peers", in.words_size())};
  }
  std::map<PeerName, Promise::Word> words;
  for (const auto& entry : in.words()) {
    const auto name = WEFT_TRY(to_peer(entry.peer()));
    auto cold = WEFT_TRY(to_spans(entry.cold(), entry.cold_v6()));
    if (entry.life() > static_cast<std::uint32_t>(Promise::Word::Life::Forfeit)
        || entry.seq() > kDecreeMax) {
      return Error{Errc::Invalid, fmt::format("life {} of a peer", entry.life())};
    }
    words.emplace(name,
                  Promise::Word{.registration = {.seq = entry.seq(), .cold = std::move(cold)},
                                .life = static_cast<Promise::Word::Life>(entry.life())});
  }
  return words;
}

Result<Promise> to_promise(const wire::ipam::Promise& in) {
  const auto decree = WEFT_TRY(to_decree(in.decree()));
  const auto ballot = WEFT_TRY(to_ballot(in.ballot()));
  auto words = WEFT_TRY(to_words(in));
  auto ring = WEFT_TRY(to_ring(in.ring()));
  Promise body{.decree = decree,
               .ballot = ballot,
               .words = std::move(words),
               .ring = std::move(ring),
               .accepted = std::nullopt};
  if (in.has_accepted() != in.has_value()) {
    return Error{Errc::Invalid, "promise with half of what was accepted"};
  }
  if (in.has_accepted()) {
    const auto accepted = WEFT_TRY(to_ballot(in.accepted()));
    auto value = WEFT_TRY(to_ring(in.value()));
    body.accepted = std::pair(accepted, std::move(value));
  }
  return body;
}

Result<Accept> to_accept(const wire::ipam::Accept& in) {
  const auto decree = WEFT_TRY(to_decree(in.decree()));
  const auto ballot = WEFT_TRY(to_ballot(in.ballot()));
  auto value = WEFT_TRY(to_ring(in.value()));
  if (value.charter().number != decree + 1) {
    return Error{Errc::Invalid,
                 fmt::format("decree {} proposed after {}", value.charter().number, decree)};
  }
  return Accept{.decree = decree, .ballot = ballot, .value = std::move(value)};
}

Result<PeerMessage> to_council_message(const wire::ipam::PeerMessage& in) {
  PeerMessage out{.id = in.id(), .body = Registered{}};
  switch (in.body_case()) {
    case wire::ipam::PeerMessage::kRegisterSpace:
      out.body = WEFT_TRY(to_register(in.register_space()));
      return out;
    case wire::ipam::PeerMessage::kRegistered:
      out.body = Registered{.decree = in.registered().decree(),
                            .seq = in.registered().seq(),
                            .nonce = in.registered().nonce()};
      return in.registered().seq() > kDecreeMax ? Result<PeerMessage>(Error{
                 Errc::Invalid, fmt::format("registration {} exceeds 2^48", in.registered().seq())})
                                                : Result<PeerMessage>(std::move(out));
    case wire::ipam::PeerMessage::kPrepare:
      out.body = WEFT_TRY(to_prepare(in.prepare()));
      return out;
    case wire::ipam::PeerMessage::kPromise:
      out.body = WEFT_TRY(to_promise(in.promise()));
      return out;
    case wire::ipam::PeerMessage::kAccept:
      out.body = WEFT_TRY(to_accept(in.accept()));
      return out;
    case wire::ipam::PeerMessage::kAccepted: {
      const auto ballot = WEFT_TRY(to_ballot(in.accepted().ballot()));
      out.body = Accepted{.decree = in.accepted().decree(), .ballot = ballot};
      return out;
    }
    case wire::ipam::PeerMessage::kRebuff: {
      const auto ballot = WEFT_TRY(to_ballot(in.rebuff().ballot()));
      const auto promised = WEFT_TRY(to_ballot(in.rebuff().promised()));
      out.body = Rebuff{.decree = in.rebuff().decree(),
                        .ballot = ballot,
                        .promised = promised,
                        .heard = in.rebuff().heard()};
      return out;
    }
    default:
      return Error{Errc::Invalid, "peer message without a body"};
  }
}

void fill_council(const PeerMessage& message, wire::ipam::PeerMessage& out) {
  std::visit(overloaded{
                 [&out](const Register& body) { fill(body, *out.mutable_register_space()); },
                 [&out](const Registered& body) {
                   out.mutable_registered()->set_decree(body.decree);
                   out.mutable_registered()->set_seq(body.seq);
                   out.mutable_registered()->set_nonce(body.nonce);
                 },
                 [&out](const Prepare& body) { fill(body, *out.mutable_prepare()); },
                 [&out](const Promise& body) { fill(body, *out.mutable_promise()); },
                 [&out](const Accept& body) {
                   out.mutable_accept()->set_decree(body.decree);
                   fill(body.ballot, *out.mutable_accept()->mutable_ballot());
                   fill(body.value, *out.mutable_accept()->mutable_value());
                 },
                 [&out](const Accepted& body) {
                   out.mutable_accepted()->set_decree(body.decree);
                   fill(body.ballot, *out.mutable_accepted()->mutable_ballot());
                 },
                 [&out](const Rebuff& body) {
                   out.mutable_rebuff()->set_decree(body.decree);
                   fill(body.ballot, *out.mutable_rebuff()->mutable_ballot());
                   fill(body.promised, *out.mutable_rebuff()->mutable_promised());
                   out.mutable_rebuff()->set_heard(body.heard);
                 },
                 [](const auto&) {},  // Encoded by encode().
             },
             message.body);
}

void fill(const ElectorClaims& claims,
          const std::optional<Cidr>& range,
          wire::ipam::Election& election) {
  if (range) {
    fill_range(*range, election);
  }
  std::map<Ballot, const std::vector<PeerName>*> proposals;
  std::map<std::pair<Ballot, Ballot>, std::string> groups;
  for (const auto& [elector, claim] : claims) {
    append_name(elector, groups[{claim.promised, claim.accepted}]);
    if (claim.accepted.round > 0) {
      proposals.emplace(claim.accepted, &claim.electors);
    }
  }
  for (auto& [ballots, names] : groups) {
    auto& added = *election.add_claims();
    if (ballots.first.round > 0) {
      fill(ballots.first, *added.mutable_promised());
    }
    if (ballots.second.round > 0) {
      fill(ballots.second, *added.mutable_accepted());
    }
    added.set_electors(std::move(names));
  }
  for (const auto& [ballot, electors] : proposals) {
    auto& added = *election.add_proposals();
    fill(ballot, *added.mutable_ballot());
    for (const PeerName& elector : *electors) {
      added.add_electors(elector.number());
    }
  }
}

}  // namespace

Bytes encode(const Ring& ring) {
  google::protobuf::Arena arena;
  auto& message = make<wire::ipam::RingGossip>(arena);
  fill(ring, *message.mutable_ring());
  return serialize(message);
}

Bytes encode(const Ring::Part& part) {
  google::protobuf::Arena arena;
  auto& message = make<wire::ipam::RingGossip>(arena);
  fill(part, *message.mutable_part());
  return serialize(message);
}

Bytes encode(const ElectorState& state) {
  google::protobuf::Arena arena;
  auto& message = make<wire::ipam::RingGossip>(arena);
  fill(state.claims, state.range, *message.mutable_election());
  return serialize(message);
}

Bytes encode(const ElectorNews& news) {
  google::protobuf::Arena arena;
  auto& message = make<wire::ipam::RingGossip>(arena);
  fill(news.claims, news.range, *message.mutable_election());
  message.mutable_election()->set_is_news(true);
  return serialize(message);
}

Bytes encode(const PeerMessage& message) {
  google::protobuf::Arena arena;
  auto& out = make<wire::ipam::PeerMessage>(arena);
  out.set_id(message.id);
  std::visit(overloaded{
                 [&out](const SpaceRequest& body) { fill(body, *out.mutable_space_request()); },
                 [&out](const ClaimRequest& body) {
                   auto& request = *out.mutable_claim_request();
                   if (is_v4_number(body.address)) {
                     request.set_address(v4_of(body.address));
                   } else {
                     append_v6(body.address, *request.mutable_address_v6());
                   }
                 },
                 [&out](const Grant& body) { fill(body.ring, *out.mutable_grant()); },
                 [&out](const Denial& body) { fill(body, *out.mutable_denial()); },
                 [&out](const RingDigest& body) { out.mutable_digest()->set_digest(body.digest); },
                 [&](const auto&) { fill_council(message, out); },
             },
             message.body);
  return serialize(out);
}

Result<RingGossip> decode_ring_gossip(ByteView payload) {
  google::protobuf::Arena arena;
  auto& message = make<wire::ipam::RingGossip>(arena);
  (void)WEFT_TRY(parse(payload, message));
  RingGossip gossip;
  switch (message.body_case()) {
    case wire::ipam::RingGossip::kRing: {
      auto ring = WEFT_TRY(to_ring(message.ring()));
      gossip.emplace<Ring>(std::move(ring));
      return gossip;
    }
    case wire::ipam::RingGossip::kPart: {
      auto part = WEFT_TRY(to_part(message.part()));
      gossip.emplace<Ring::Part>(std::move(part));
      return gossip;
    }
    case wire::ipam::RingGossip::kElection: {
      const auto& election = message.election();
      auto claims = WEFT_TRY(to_claims(election));
      std::optional<Cidr> range;
      if (election.range_prefix() > 0) {
        range = WEFT_TRY(
            to_range(election.range_first(), election.range_first_v6(), election.range_prefix()));
      }
      if (election.is_news()) {
        gossip.emplace<ElectorNews>(ElectorNews{std::move(claims), range});
      } else {
        gossip.emplace<ElectorState>(ElectorState{std::move(claims), range});
      }
      return gossip;
    }
    case wire::ipam::RingGossip::BODY_NOT_SET:
      break;
  }
  return Error{Errc::Invalid, "ring gossip without a body"};
}

Result<PeerMessage> decode_peer_message(ByteView payload) {
  google::protobuf::Arena arena;
  auto& in = make<wire::ipam::PeerMessage>(arena);
  (void)WEFT_TRY(parse(payload, in));
  switch (in.body_case()) {
    case wire::ipam::PeerMessage::kSpaceRequest: {
      const auto body = WEFT_TRY(to_space_request(in.space_request()));
      return PeerMessage{.id = in.id(), .body = body};
    }
    case wire::ipam::PeerMessage::kClaimRequest: {
      const auto& request = in.claim_request();
      const auto address = WEFT_TRY(to_number(request.address(), request.address_v6()));
      return PeerMessage{.id = in.id(), .body = ClaimRequest{address}};
    }
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
    default:
      return to_council_message(in);
  }
}

}  // namespace weft::ipam
