// How the tables follow what peers say. What happens to frames is in frames_test.cc.
#include "router/datapath/forwarding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "router/datapath/endpoint_record.h"
#include "tests/unit/datapath/frames.h"

namespace weft::router {
namespace {

using std::chrono_literals::operator""s;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using Actions = ForwardingActions;

constexpr TimePoint kStart{Duration(0)};
const PeerName kSelf(1);
const PeerName kBob(2);
const PeerName kCarol(3);
const Ip kBobAt = ip("192.0.2.2");
const Ip kCarolAt = ip("192.0.2.3");

RecordChanged says(PeerName origin, Mac endpoint, std::vector<Ip> addresses) {
  return {.origin = origin, .key = endpoint_key(endpoint), .value = encode_endpoint(addresses)};
}

RecordChanged withdraws(PeerName origin, Mac endpoint) {
  return {.origin = origin, .key = endpoint_key(endpoint), .value = std::nullopt};
}

PublishRecord published(Mac endpoint, std::vector<Ip> addresses) {
  return {.key = endpoint_key(endpoint), .value = encode_endpoint(addresses)};
}

class ForwardingTest : public ::testing::Test {
 protected:
  Actions record(const RecordChanged& change) {
    Actions out;
    forwarding_.on_record(kStart, change, out);
    forwarding_.check_invariants();
    return out;
  }
  Actions underlay(PeerName peer, std::optional<Ip> at) {
    Actions out;
    forwarding_.set_underlay(kStart, peer, at, out);
    forwarding_.check_invariants();
    return out;
  }
  Actions add_local(Mac endpoint, std::uint32_t ifindex) {
    Actions out;
    forwarding_.add_local(kStart, endpoint, {ip("10.32.0.1")}, ifindex, out);
    forwarding_.check_invariants();
    return out;
  }
  Actions remove_local(Mac endpoint) {
    Actions out;
    forwarding_.remove_local(kStart, endpoint, out);
    forwarding_.check_invariants();
    return out;
  }

  Forwarding forwarding_{{.self = kSelf, .endpoints_max = 4}, kStart, {}};
};

TEST_F(ForwardingTest, ALocalContainerIsForwardedToAndPublishedOnce) {
  EXPECT_THAT(add_local(mac(1), 7),
              ElementsAre(SetLocal{mac(1), 7}, published(mac(1), {ip("10.32.0.1")})));

  EXPECT_THAT(add_local(mac(1), 7), IsEmpty());
  EXPECT_EQ(forwarding_.local_count(), 1U);
}

TEST(ForwardingNeighbors, TheKernelIsToldWhoHasAnAddressElsewhere) {
  Forwarding forwarding({.self = kSelf, .has_neighbors = true}, kStart, {});
  Actions out;
  const auto neighbors = [&out] {
    Actions seen;
    std::copy_if(out.begin(), out.end(), std::back_inserter(seen), [](const auto& action) {
      return std::holds_alternative<SetNeighbor>(action)
             || std::holds_alternative<DropNeighbor>(action);
    });
    out.clear();
    return seen;
  };
  const Ip address = ip("10.32.0.2");

  forwarding.on_record(kStart, says(kBob, mac(2), {address, ip("fd00::2")}), out);
  EXPECT_THAT(neighbors(), IsEmpty());  // Nobody knows where Bob is.
  forwarding.set_underlay(kStart, kBob, kBobAt, out);
  EXPECT_THAT(neighbors(), ElementsAre(SetNeighbor{address, mac(2)}));

  forwarding.on_record(kStart, says(kBob, mac(3), {address}), out);
  forwarding.on_record(kStart, withdraws(kBob, mac(2)), out);
  EXPECT_THAT(neighbors(), ElementsAre(SetNeighbor{address, mac(3)}));

  forwarding.add_local(kStart, mac(1), {address}, 7, out);
  EXPECT_THAT(neighbors(), ElementsAre(DropNeighbor{address}));
  forwarding.remove_local(kStart, mac(1), out);
  EXPECT_THAT(neighbors(), ElementsAre(SetNeighbor{address, mac(3)}));
  forwarding.set_underlay(kStart, kBob, std::nullopt, out);
  EXPECT_THAT(neighbors(), ElementsAre(DropNeighbor{address}));
}

TEST(ForwardingNeighbors, WhatAnEarlierRunLeftGoesWhenNobodyConfirmsIt) {
  Forwarding::Adopted adopted;
  adopted.neighbors = {{ip("10.32.0.2"), mac(2)}};
  Forwarding forwarding({.self = kSelf, .has_neighbors = true}, kStart, std::move(adopted));
  Actions out;

  forwarding.on_deadline(kStart + 60s, out);

  EXPECT_THAT(out, ElementsAre(DropNeighbor{ip("10.32.0.2")}));
}

TEST_F(ForwardingTest, TheHostItselfIsPublishedAndLeftToTheBridge) {
  const std::vector<Ip> addresses{ip("10.32.0.1"), ip("10.40.0.1")};
  Actions out;

  forwarding_.set_host(kStart, mac(9), addresses, out);
  forwarding_.set_host(kStart, mac(9), addresses, out);

  EXPECT_THAT(out, ElementsAre(published(mac(9), addresses)));
  EXPECT_EQ(forwarding_.local_count(), 0U);
  forwarding_.check_invariants();
}

TEST_F(ForwardingTest, NobodyElseIsBelievedToHaveTheHostsMac) {
  Actions out;
  forwarding_.set_host(kStart, mac(9), {ip("10.32.0.1")}, out);
  underlay(kBob, kBobAt);

  EXPECT_THAT(record(says(kBob, mac(9), {ip("10.32.0.1")})), IsEmpty());
}

TEST_F(ForwardingTest, AHostThatIsNoGatewayAnyMoreIsWithdrawn) {
  Actions out;
  forwarding_.set_host(kStart, mac(9), {ip("10.32.0.1")}, out);
  out.clear();

  forwarding_.set_host(kStart, mac(9), {}, out);

  EXPECT_THAT(out, ElementsAre(PublishRecord{.key = endpoint_key(mac(9)), .value = std::nullopt}));
}

TEST_F(ForwardingTest, ALocalContainerPluggedAgainElsewhereMoves) {
  add_local(mac(1), 7);

  EXPECT_THAT(add_local(mac(1), 8),
              ElementsAre(SetLocal{mac(1), 8}, published(mac(1), {ip("10.32.0.1")})));
}

TEST_F(ForwardingTest, ARemovedContainerIsForgottenAndWithdrawn) {
  add_local(mac(1), 7);

  EXPECT_THAT(remove_local(mac(1)),
              ElementsAre(DropMac{mac(1)}, PublishRecord{endpoint_key(mac(1)), std::nullopt}));
  EXPECT_THAT(remove_local(mac(1)), IsEmpty());
}

TEST_F(ForwardingTest, ARemoteContainerNeedsBothItsRecordAndItsPeersAddress) {
  EXPECT_THAT(record(says(kBob, mac(2), {})), IsEmpty());

  EXPECT_THAT(underlay(kBob, kBobAt), ElementsAre(SetPeer{kBobAt}, SetRemote{mac(2), kBobAt}));
  EXPECT_THAT(record(says(kBob, mac(3), {})), ElementsAre(SetRemote{mac(3), kBobAt}));
  EXPECT_EQ(forwarding_.remote_count(), 2U);
}

TEST_F(ForwardingTest, HearingTheSameAgainChangesNothing) {
  underlay(kBob, kBobAt);
  record(says(kBob, mac(2), {}));

  EXPECT_THAT(record(says(kBob, mac(2), {})), IsEmpty());
  EXPECT_THAT(underlay(kBob, kBobAt), IsEmpty());
}

TEST_F(ForwardingTest, APeerThatMovesTakesItsContainersAlong) {
  underlay(kBob, kBobAt);
  record(says(kBob, mac(2), {}));

  EXPECT_THAT(underlay(kBob, kCarolAt),
              ElementsAre(SetPeer{kCarolAt}, SetRemote{mac(2), kCarolAt}, DropPeer{kBobAt}));
}

TEST_F(ForwardingTest, APeerThatIsGoneTakesItsContainersAlong) {
  underlay(kBob, kBobAt);
  record(says(kBob, mac(2), {}));

  EXPECT_THAT(underlay(kBob, std::nullopt), ElementsAre(DropMac{mac(2)}, DropPeer{kBobAt}));
}

TEST_F(ForwardingTest, AnAddressTwoPeersShareStaysWhileOneIsThere) {
  underlay(kBob, kBobAt);

  EXPECT_THAT(underlay(kCarol, kBobAt), IsEmpty());
  EXPECT_THAT(underlay(kBob, std::nullopt), IsEmpty());
  EXPECT_THAT(underlay(kCarol, std::nullopt), ElementsAre(DropPeer{kBobAt}));
}

TEST_F(ForwardingTest, AWithdrawnContainerIsForgotten) {
  underlay(kBob, kBobAt);
  record(says(kBob, mac(2), {}));

  EXPECT_THAT(record(withdraws(kBob, mac(2))), ElementsAre(DropMac{mac(2)}));
  EXPECT_THAT(record(withdraws(kBob, mac(2))), IsEmpty());
}

TEST_F(ForwardingTest, OfTwoPeersClaimingOneMacTheLowerNameWinsInEitherOrder) {
  underlay(kBob, kBobAt);
  underlay(kCarol, kCarolAt);

  EXPECT_THAT(record(says(kCarol, mac(2), {})), ElementsAre(SetRemote{mac(2), kCarolAt}));
  EXPECT_THAT(record(says(kBob, mac(2), {})), ElementsAre(SetRemote{mac(2), kBobAt}));
  EXPECT_THAT(record(says(kCarol, mac(2), {})), IsEmpty());
  EXPECT_THAT(record(withdraws(kBob, mac(2))), ElementsAre(SetRemote{mac(2), kCarolAt}));
}

TEST_F(ForwardingTest, AContainerPluggedHereIsHereWhateverOthersSay) {
  underlay(kBob, kBobAt);
  record(says(kBob, mac(1), {}));

  EXPECT_THAT(add_local(mac(1), 7),
              ElementsAre(SetLocal{mac(1), 7}, published(mac(1), {ip("10.32.0.1")})));
  EXPECT_THAT(record(says(kBob, mac(1), {})), IsEmpty());
  EXPECT_THAT(
      remove_local(mac(1)),
      ElementsAre(SetRemote{mac(1), kBobAt}, PublishRecord{endpoint_key(mac(1)), std::nullopt}));
}

TEST_F(ForwardingTest, OurOwnRecordsComingBackChangeNothing) {
  EXPECT_THAT(record(says(kSelf, mac(2), {})), IsEmpty());
  EXPECT_THAT(underlay(kSelf, kBobAt), IsEmpty());
  EXPECT_EQ(forwarding_.stats().endpoints_refused, 0U);
}

TEST_F(ForwardingTest, RecordsOfOtherKindsAreNotOurs) {
  EXPECT_THAT(record({.origin = kBob, .key = {RecordKind::Peer, {}}, .value = Bytes{1}}),
              IsEmpty());
  EXPECT_EQ(forwarding_.stats().endpoints_refused, 0U);
}

TEST_F(ForwardingTest, MalformedRecordsAreRefusedAndCounted) {
  underlay(kBob, kBobAt);

  EXPECT_THAT(record({.origin = kBob, .key = endpoint_key(mac(2)), .value = Bytes{9}}), IsEmpty());
  EXPECT_THAT(record(says(kBob, Mac::broadcast(), {})), IsEmpty());
  EXPECT_EQ(forwarding_.stats().endpoints_refused, 2U);
}

TEST_F(ForwardingTest, MoreEndpointsThanTheLimitAreRefusedAndCounted) {
  underlay(kBob, kBobAt);
  for (std::uint8_t i = 0; i < 4; ++i) {
    record(says(kBob, mac(i), {ip("10.32.0.9")}));
  }

  EXPECT_THAT(record(says(kBob, mac(9), {})), IsEmpty());
  EXPECT_THAT(record(says(kBob, mac(1), {ip("10.32.0.8")})), IsEmpty());  // Known: may change.
  EXPECT_EQ(forwarding_.stats().endpoints_refused, 1U);
}

Forwarding adopting() {
  return Forwarding({.self = kSelf, .adopted_grace = 60s},
                    kStart,
                    {.remotes = {{mac(2), kBobAt}, {mac(3), kCarolAt}},
                     .locals = {{mac(1), 7}},
                     .peers = {kBobAt, kCarolAt}});
}

TEST(ForwardingAdoption, ConfirmedEntriesAreNotTouched) {
  Forwarding forwarding = adopting();
  Actions out;

  forwarding.set_underlay(kStart, kBob, kBobAt, out);
  forwarding.on_record(kStart, says(kBob, mac(2), {}), out);
  forwarding.add_local(kStart, mac(1), {}, 7, out);

  EXPECT_THAT(out, ElementsAre(published(mac(1), {})));
  forwarding.check_invariants();
}

TEST(ForwardingAdoption, EntriesNobodyConfirmsAreKeptForAWhileAndThenDropped) {
  Forwarding forwarding = adopting();
  Actions out;
  forwarding.set_underlay(kStart, kBob, kBobAt, out);
  forwarding.on_record(kStart, says(kBob, mac(2), {}), out);

  forwarding.on_deadline(kStart + 59s, out);
  EXPECT_THAT(out, IsEmpty());
  EXPECT_EQ(forwarding.next_deadline(), kStart + 60s);
  forwarding.on_deadline(kStart + 60s, out);

  EXPECT_THAT(out, UnorderedElementsAre(DropMac{mac(1)}, DropMac{mac(3)}, DropPeer{kCarolAt}));
  EXPECT_EQ(forwarding.next_deadline(), kNever);
  forwarding.check_invariants();
}

TEST(ForwardingAdoption, AnEntryThatMovedIsCorrectedAtOnce) {
  Forwarding forwarding = adopting();
  Actions out;
  forwarding.set_underlay(kStart, kBob, kBobAt, out);

  forwarding.on_record(kStart, says(kBob, mac(3), {}), out);

  EXPECT_THAT(out, ElementsAre(SetRemote{mac(3), kBobAt}));
}

TEST(ForwardingAdoption, AFreshStartHasNoDeadline) {
  const Forwarding forwarding({.self = kSelf}, kStart, {});

  EXPECT_EQ(forwarding.next_deadline(), kNever);
}

}  // namespace
}  // namespace weft::router
