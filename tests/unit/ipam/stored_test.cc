#include "ipam/stored.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ipam/messages.h"

namespace weft::ipam {
namespace {

using testing::HasSubstr;

const PeerName kA(0xa);
const PeerName kB(0xb);

Cidr cidr(const char* text) {
  return Cidr::parse(text).value();
}

const Cidr kRange = cidr("10.32.0.0/24");

void put(Allocator::Stored& stored, const StoreWrite& row) {
  StoreTable& table = row.table == "ipam_ring"    ? stored.ring
                      : row.table == "ipam_owned" ? stored.owned
                      : row.table == "ipam_paxos" ? stored.paxos
                                                  : stored.council;
  if (row.value) {
    table[row.key] = *row.value;
  } else {
    table.erase(row.key);
  }
}

Allocator::Stored stored_ring(const Ring& ring) {
  Allocator::Stored stored;
  put(stored, meta_row(kA, ring.range(), ring.seeds()));
  for (const auto& [token, entry] : ring.entries()) {
    put(stored, ring_row(token, entry));
  }
  return stored;
}

std::string error_of(const Allocator::Stored& stored, PeerName self = kA, Cidr range = kRange) {
  const auto state = load_state(self, range, stored);
  return state.ok() ? "" : state.error().what;
}

TEST(Stored, NothingStoredIsAFreshStart) {
  const auto state = load_state(kA, kRange, {});

  EXPECT_FALSE(state.value().has_meta);
  EXPECT_FALSE(state.value().ring.has_value());
  EXPECT_EQ(state.value().claims.count(), 0U);
}

TEST(Stored, RingHoldingsAndElectionComeBackAsTheyWere) {
  const Ring ring = Ring::share_out(kRange, {kA, kB});
  auto stored = stored_ring(ring);
  put(stored, held_row(cidr("10.32.0.1/24"), "c1"));
  put(stored, held_row(cidr("fd00::7/64"), "c2"));
  const Consensus::Memory memory{
      .own = {.promised = {3, kB}, .accepted = {2, kA}, .electors = {kA, kB}}, .known = {kA, kB}};
  put(stored, consensus_row(memory));

  const auto state = load_state(kA, kRange, stored);

  EXPECT_EQ(*state.value().ring, ring);
  EXPECT_EQ(state.value().claims.find(cidr("10.32.0.1/24").address())->owner, "c1");
  EXPECT_EQ(state.value().claims.find(cidr("fd00::7/64").address())->prefix, 64);
  EXPECT_EQ(state.value().consensus, memory);
}

TEST(Stored, ARingOfIpv6ComesBackAsItWas) {
  const Cidr range = cidr("fd00:10:32::/48");
  Ring ring = Ring::share_out(range, {kA, kB});
  auto stored = stored_ring(ring);
  Charter charter = ring.charter();
  charter.number = 1;
  charter.gone = {kB};
  ring.set_charter(charter);
  put(stored, charter_row(charter));
  const Registration word{.seq = 7, .cold = ring.charter().cold.at(kA)};
  put(stored, word_row(1, word));

  const auto state = load_state(kA, range, stored);

  ASSERT_TRUE(state.ok()) << state.error().what;
  EXPECT_EQ(*state.value().ring, ring);
  EXPECT_EQ(state.value().ring->charter(), charter);
  EXPECT_EQ(state.value().word, word);
}

// Rows as a weft without IPv6 wrote them, octet by octet.
TEST(Stored, RowsFromBeforeIpv6StillOpen) {
  Allocator::Stored stored;
  stored.ring[{'m'}] = {1, 0,  0, 0, 0, 0, 0, 0, 0xa, 10, 32, 0,
                        0, 24, 0, 1, 0, 0, 0, 0, 0,   0,  0,  0xa};
  stored.ring[{'t', 10, 32, 0, 0}] = {0, 0, 0, 0, 0, 0, 0, 0xa, 0, 0, 0, 0,
                                      0, 0, 0, 1, 0, 0, 0, 0,   0, 0, 1, 0};
  stored.council[{'t'}] = {1, 0, 0, 0, 0, 0, 0,  0,  0, 0, 0,  0,  0, 0,  0,
                           0, 3, 0, 0, 0, 1, 10, 32, 0, 8, 10, 32, 0, 255};

  const auto state = load_state(kA, kRange, stored);

  ASSERT_TRUE(state.ok()) << state.error().what;
  EXPECT_EQ(*state.value().ring, Ring::share_out(kRange, {kA}));
  EXPECT_EQ(state.value().word.seq, 3U);
  EXPECT_EQ(state.value().word.cold.size(), 248U);
}

TEST(Stored, WhatIsReleasedAndDoneIsGone) {
  auto stored = stored_ring(Ring::share_out(kRange, {kA}));
  put(stored, held_row(cidr("10.32.0.1/24"), "c1"));
  put(stored,
      consensus_row({.own = {.promised = {1, kA}, .accepted = {}, .electors = {}}, .known = {kA}}));

  put(stored, released_row(cidr("10.32.0.1/24").address()));
  put(stored, consensus_done_row());

  EXPECT_TRUE(stored.owned.empty());
  EXPECT_TRUE(stored.paxos.empty());
}

TEST(Stored, AnotherRangeIsAnErrorThatSaysWhatToDo) {
  const auto stored = stored_ring(Ring::share_out(kRange, {kA}));

  const std::string error = error_of(stored, kA, cidr("10.40.0.0/16"));

  EXPECT_THAT(error, HasSubstr("of range 10.32.0.0/24, not 10.40.0.0/16"));
  EXPECT_THAT(error, HasSubstr("--ipalloc-range 10.32.0.0/24"));
  EXPECT_THAT(error, HasSubstr("weft reset"));
}

TEST(Stored, AnotherPeersStateIsRefused) {
  const auto stored = stored_ring(Ring::share_out(kRange, {kA}));

  EXPECT_THAT(error_of(stored, kB), HasSubstr("belong to peer " + kA.to_string()));
}

TEST(Stored, AnAddressOutsideOurPartIsKeptAsAStray) {
  auto stored = stored_ring(Ring::share_out(kRange, {kA, kB}));

  put(stored, held_row(cidr("10.32.0.200/24"), "c1"));

  EXPECT_EQ(load_state(kA, kRange, stored).value().claims.count(), 1U);
}

TEST(Stored, RefusesRowsThatDoNotDecode) {
  const auto good = stored_ring(Ring::share_out(kRange, {kA}));
  ASSERT_EQ(error_of(good), "");

  auto bad = good;
  bad.ring.erase(Bytes{'m'});
  EXPECT_THAT(error_of(bad), HasSubstr("ring rows without their owner"));
  bad = good;
  bad.ring[Bytes{'x'}] = {};
  EXPECT_THAT(error_of(bad), HasSubstr("unknown kind"));
  bad = good;
  bad.ring[Bytes{'m'}][0] = 9;
  EXPECT_THAT(error_of(bad), HasSubstr("row format 9"));
  bad = good;
  bad.ring.rbegin()->second.push_back(0);
  EXPECT_THAT(error_of(bad), HasSubstr("1 bytes after the row"));
  bad = good;
  bad.owned[Bytes{1, 2, 3}] = {};
  EXPECT_NE(error_of(bad), "");
  bad = good;
  bad.owned[Bytes{10, 32, 0, 1}] = {1, 33, 'c'};
  EXPECT_THAT(error_of(bad), HasSubstr("prefix 33"));
  bad.owned[Bytes{10, 32, 0, 1}] = {1, 24};
  EXPECT_THAT(error_of(bad), HasSubstr("holder of 0 bytes"));
  bad = good;
  bad.paxos[Bytes{'m'}] = {1};
  EXPECT_NE(error_of(bad), "");
}

}  // namespace
}  // namespace weft::ipam
