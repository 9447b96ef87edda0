#include "ipam/messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/gossip.h"
#include "proto/ipam.pb.h"

namespace weft::ipam {
namespace {

using testing::HasSubstr;

const PeerName kA(0xa);
const PeerName kB(0xb);

Span span(const char* block) {
  return Span::of(Cidr::parse(block).value());
}

Ring ring() {
  return Ring::share_out(Cidr::parse("10.32.0.0/12").value(), {kA, kB});
}

Bytes bytes_of(const google::protobuf::MessageLite& message) {
  return to_bytes(message.SerializeAsString());
}

std::string error_of(const wire::ipam::RingGossip& message) {
  const auto decoded = decode_ring_gossip(bytes_of(message));
  return decoded.ok() ? "" : decoded.error().what;
}

std::string error_of(const wire::ipam::PeerMessage& message) {
  const auto decoded = decode_peer_message(bytes_of(message));
  return decoded.ok() ? "" : decoded.error().what;
}

TEST(Messages, ARingComesBackAsItWas) {
  EXPECT_EQ(decode_ring_gossip(encode(ring())).value(), RingGossip(ring()));
}

TEST(Messages, WhoIsGoneWithADecreeIsSaid) {
  Ring decreed = ring();
  Charter charter = decreed.charter();
  charter.number = 1;
  charter.ballot = {1, kA};
  charter.gone = {kB};
  decreed.set_charter(charter);

  const RingGossip decoded = decode_ring_gossip(encode(decreed)).value();

  EXPECT_EQ(std::get<Ring>(decoded).charter(), charter);
}

TEST(Messages, OfARingOnlyWhatItsSeedsDoNotTellTravels) {
  std::vector<PeerName> seeds;
  for (std::uint64_t i = 0; i < 50; ++i) {
    seeds.emplace_back(0xffff'ffff'0000 + i);
  }
  Ring ring = Ring::share_out(Cidr::parse("10.32.0.0/12").value(), seeds);
  constexpr std::size_t kSeedSize = 7;  // 48 bits, seven to an octet.
  EXPECT_LE(encode(ring).size(), 50 * kSeedSize + 20);

  const std::size_t founded = encode(ring).size();
  (void)ring.grant(span("10.32.4.0/24"), seeds.front(), kA);

  EXPECT_LE(encode(ring).size(), founded + 2 * 32);
  EXPECT_EQ(decode_ring_gossip(encode(ring)).value(), RingGossip(ring));
}

TEST(Messages, ARingThatLacksEntriesOfItsFirstSharingComesBackAsItWas) {
  const Ring::Entries entries{{span("10.32.0.0/12").first, {.owner = kA, .version = 3}}};
  const Ring ring = Ring::restore(Cidr::parse("10.32.0.0/12").value(), {kA, kB}, entries).value();

  EXPECT_EQ(decode_ring_gossip(encode(ring)).value(), RingGossip(ring));
}

TEST(Messages, TheLargestRingFitsOneGossipMessage) {
  Ring::Entries entries;
  for (std::uint32_t i = 0; i < kRingEntryMax; ++i) {
    entries[number_of(Ipv4::parse("10.32.0.0").value()) + i] = {
        .owner = PeerName(0xffff'ffff'ffff), .version = kRingVersionMax, .free_count = 1'048'576};
  }
  std::vector<PeerName> seeds;
  for (std::uint64_t i = 0; i < kElectorMax; ++i) {
    seeds.emplace_back(0xffff'ffff'0000 + i);
  }
  const auto largest = Ring::restore(Cidr::parse("10.32.0.0/12").value(), seeds, entries);

  EXPECT_LE(encode(largest.value()).size(), kGossipPayloadMax);
  EXPECT_LE(encode(PeerMessage{.id = UINT64_MAX, .body = Grant{largest.value()}}).size(),
            kGossipPayloadMax);
}

TEST(Messages, ClaimsComeBackAsTheyWere) {
  const ElectorClaims claims{
      {kA, {.promised = {3, kB}, .accepted = {2, kA}, .electors = {kA, kB}}},
      {kB, {.promised = {3, kB}, .accepted = {}, .electors = {}}},
      {PeerName(0xc), {.promised = {2, kA}, .accepted = {2, kA}, .electors = {kA, kB}}}};

  for (const auto& range : {std::optional<Cidr>(),
                            std::optional(Cidr::parse("10.32.0.0/12").value()),
                            std::optional(Cidr::parse("fd00:32::/64").value())}) {
    EXPECT_EQ(decode_ring_gossip(encode(ElectorState{claims, range})).value(),
              RingGossip(ElectorState{claims, range}));
    EXPECT_EQ(decode_ring_gossip(encode(ElectorNews{claims, range})).value(),
              RingGossip(ElectorNews{claims, range}));
  }
}

TEST(Messages, EveryPeerMessageComesBackAsItWas) {
  const std::vector<PeerMessage> messages{
      {.id = 1,
       .body = SpaceRequest{{.within = span("10.32.0.0/24"), .usable = span("10.32.0.0/25")}}},
      {.id = 2, .body = SpaceRequest{{.within = span("fd00::/64"), .usable = span("fd00::/65")}}},
      {.id = UINT64_MAX, .body = ClaimRequest{number_of(Ip::parse("10.32.0.1").value())}},
      {.id = 2, .body = ClaimRequest{number_of(Ip::parse("fd00::1").value())}},
      {.id = 3, .body = Grant{ring()}},
      {.id = 4, .body = Denial{.reason = Denial::Reason::InUse, .holder = "c0ffee"}},
      {.id = 5, .body = Denial{.reason = Denial::Reason::NoSpace, .holder = {}}},
      {.id = 6, .body = Denial{.reason = Denial::Reason::NotOwner, .holder = {}}},
      {.id = 0, .body = RingDigest{77}}};

  for (const PeerMessage& message : messages) {
    EXPECT_EQ(decode_peer_message(encode(message)).value(), message);
  }
}

TEST(Messages, ARingOfIpv6ComesBackAsItWas) {
  Ring ring = Ring::share_out(Cidr::parse("fd00:10:32::/48").value(), {kA, kB});
  ring.grant(span("fd00:10:32:8000::/112"), kB, kA);

  EXPECT_EQ(decode_ring_gossip(encode(ring)).value(), RingGossip(ring));
}

TEST(Messages, RefusesAddressesInTheFieldOfTheOtherFamily) {
  wire::ipam::PeerMessage message;
  message.mutable_claim_request()->set_address_v6(std::string(10, '\0') + "\xff\xff" + "abcd");
  EXPECT_THAT(error_of(message), HasSubstr("an IPv4 address in a field of IPv6"));
  message.mutable_claim_request()->set_address_v6("abcd");
  EXPECT_THAT(error_of(message), HasSubstr("an IPv4 address in a field of IPv6"));
  message.mutable_claim_request()->set_address_v6("abc");
  EXPECT_FALSE(error_of(message).empty());
}

TEST(Messages, AHolderOfStrangeLettersIsStillSent) {
  const PeerMessage message{.id = 1,
                            .body = Denial{.reason = Denial::Reason::InUse, .holder = "a\xff\n"}};

  const auto decoded = decode_peer_message(encode(message));

  EXPECT_EQ(std::get<Denial>(decoded.value().body).holder, "a??");
}

TEST(Messages, RefusesBytesThatAreNoMessage) {
  const Bytes noise{0xff, 0xff, 0xff};

  EXPECT_FALSE(decode_ring_gossip(noise).ok());
  EXPECT_FALSE(decode_peer_message(noise).ok());
  EXPECT_THAT(error_of(wire::ipam::RingGossip()), HasSubstr("without a body"));
  EXPECT_THAT(error_of(wire::ipam::PeerMessage()), HasSubstr("without a body"));
  EXPECT_FALSE(decode_ring_gossip(Bytes(kGossipPayloadMax + 1)).ok());
}

TEST(Messages, RefusesARingThatBreaksAnInvariant) {
  wire::ipam::RingGossip good;
  Ring changed = ring();
  changed.set_free_count(span("10.32.0.0/13").first, 7);
  changed.set_free_count(span("10.40.0.0/13").first, 7);
  const Bytes encoded = encode(changed);
  ASSERT_TRUE(good.ParseFromArray(encoded.data(), static_cast<int>(encoded.size())));

  auto bad = good;
  bad.mutable_ring()->set_range_prefix(31);
  EXPECT_THAT(error_of(bad), HasSubstr("at least 4 addresses"));
  bad = good;
  bad.mutable_ring()->set_range_first(bad.ring().range_first() + 1);
  EXPECT_THAT(error_of(bad), HasSubstr("expected a network"));
  bad = good;
  bad.mutable_ring()->mutable_entries(1)->set_token(bad.ring().entries(0).token());
  EXPECT_THAT(error_of(bad), HasSubstr("tokens not in ascending order"));
  bad = good;
  bad.mutable_ring()->mutable_entries(1)->set_owner(std::uint64_t{1} << 48U);
  EXPECT_THAT(error_of(bad), HasSubstr("exceeds 48 bits"));
  bad = good;
  bad.mutable_ring()->clear_seeds();
  EXPECT_THAT(error_of(bad), HasSubstr("no electors"));
  bad = good;
  bad.mutable_ring()->mutable_seeds()->SwapElements(0, 1);
  EXPECT_THAT(error_of(bad), HasSubstr("peers not in ascending order"));
  bad = good;
  bad.mutable_ring()->mutable_charter()->add_council(1);
  for (std::uint64_t peer = 1; peer <= kGoneMax + 1; ++peer) {
    bad.mutable_ring()->mutable_charter()->add_gone(peer);
  }
  EXPECT_THAT(error_of(bad), HasSubstr("65 peers gone"));
  bad = good;
  bad.mutable_ring()->clear_entries();
  bad.mutable_ring()->set_is_brief(false);
  EXPECT_THAT(error_of(bad), HasSubstr("0 ring entries"));
}

TEST(Messages, RefusesAnElectionThatContradictsItself) {
  wire::ipam::RingGossip good;
  auto& claim = *good.mutable_election()->add_claims();
  claim.set_electors(std::string("\0\0\0\0\0\x07", 6));
  claim.mutable_promised()->set_round(2);
  claim.mutable_accepted()->set_round(2);
  auto& proposal = *good.mutable_election()->add_proposals();
  proposal.mutable_ballot()->set_round(2);
  proposal.add_electors(kA.number());
  ASSERT_EQ(error_of(good), "");

  auto bad = good;
  bad.mutable_election()->mutable_claims(0)->mutable_promised()->set_round(1);
  EXPECT_THAT(error_of(bad), HasSubstr("not promised"));
  bad = good;
  bad.mutable_election()->clear_proposals();
  EXPECT_THAT(error_of(bad), HasSubstr("unknown or not promised"));
  bad = good;
  bad.mutable_election()->mutable_proposals(0)->mutable_ballot()->set_round(0);
  EXPECT_THAT(error_of(bad), HasSubstr("of round 0"));
  bad = good;
  *bad.mutable_election()->add_claims() = bad.election().claims(0);
  EXPECT_THAT(error_of(bad), HasSubstr("elector repeated"));
  bad = good;
  bad.mutable_election()->mutable_claims(0)->set_electors("fives");
  EXPECT_THAT(error_of(bad), HasSubstr("5 octets of electors' names"));
  bad.mutable_election()->mutable_claims(0)->clear_electors();
  EXPECT_THAT(error_of(bad), HasSubstr("0 octets of electors' names"));
  bad = good;
  auto& second = *bad.mutable_election()->add_proposals();
  second.mutable_ballot()->set_round(3);
  second.add_electors(kA.number());
  EXPECT_THAT(error_of(bad), HasSubstr("1 claims, 2 proposals"));
  bad = good;
  bad.mutable_election()->mutable_claims(0)->mutable_promised()->set_round(kRoundMax + 1);
  EXPECT_THAT(error_of(bad), HasSubstr("exceeds 2^48"));
}

TEST(Messages, RefusesAPeerMessageOutOfBounds) {
  wire::ipam::PeerMessage bad;
  bad.mutable_space_request()->set_within_first(2);
  EXPECT_THAT(error_of(bad), HasSubstr("reversed"));
  bad.mutable_denial()->set_reason(wire::ipam::Denial::UNKNOWN);
  EXPECT_THAT(error_of(bad), HasSubstr("denial of reason 0"));
  bad.mutable_denial()->set_reason(wire::ipam::Denial::IN_USE);
  bad.mutable_denial()->set_holder(std::string(kOwnerSizeMax + 1, 'x'));
  EXPECT_THAT(error_of(bad), HasSubstr("holder of 257 bytes"));
}

}  // namespace
}  // namespace weft::ipam
