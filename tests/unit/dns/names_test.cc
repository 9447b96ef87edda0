#include "dns/names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/dns/dns_host.h"

namespace weft::dns {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

constexpr TimePoint kNow{};
const std::string kContainer(64, 'c');

Names::Options options(std::uint64_t self) {
  return {.self = PeerName(self), .zone = {.domain = name("weft.local")}, .seed = self};
}

bool knows(Names& names, std::string_view text) {
  names.check_invariants();
  return names.zone()->find(name(text).folded()).has_value();
}

NameEntry web(std::string_view address = "10.32.0.1") {
  return {.name = name("web.weft.local"), .address = ip(address)};
}

// What one states, the other is told.
void tell(Names& to, std::uint64_t from, const NamesActions& said) {
  for (const PublishRecord& record : said) {
    to.on_record({.origin = PeerName(from), .key = record.key, .value = record.value});
  }
}

// What a peer says when it starts, or finds us reachable again.
void give_word(Names& from, Names& to, std::uint64_t self) {
  NamesActions said;
  from.start(said);
  tell(to, self, said);
}

TEST(Names, AreKnownToPeersWhileTheirOriginIsReachable) {
  Names one(options(1));
  Names two(options(2));
  NamesActions said;
  ASSERT_TRUE(one.watch(kContainer, {web()}, said).ok());
  EXPECT_TRUE(knows(one, "web.weft.local"));

  tell(two, 1, said);
  give_word(one, two, 1);
  EXPECT_FALSE(knows(two, "web.weft.local"));
  two.on_peer_reachable(kNow, PeerName(1));
  EXPECT_TRUE(knows(two, "web.weft.local"));
  two.on_peer_unreachable(PeerName(1));
  EXPECT_FALSE(knows(two, "web.weft.local"));
  EXPECT_EQ(two.stats().suspended, 1U);
  EXPECT_TRUE(two.list().front().suspended);
  two.on_peer_reachable(kNow, PeerName(1));
  EXPECT_FALSE(knows(two, "web.weft.local"));
  give_word(one, two, 1);
  EXPECT_TRUE(knows(two, "web.weft.local"));
}

TEST(Names, AreNotWaitedForLongerThanNeeded) {
  Names one(options(1));
  Names two(options(2));
  NamesActions said;
  ASSERT_TRUE(one.watch(kContainer, {web()}, said).ok());
  tell(two, 1, said);
  two.on_peer_reachable(kNow, PeerName(1));
  said.clear();

  two.on_deadline(kNow + std::chrono::milliseconds(20), said);
  EXPECT_FALSE(knows(two, "web.weft.local"));
  EXPECT_EQ(two.next_deadline(), kNow + std::chrono::seconds(3));
  two.on_deadline(two.next_deadline(), said);
  EXPECT_TRUE(knows(two, "web.weft.local"));
  EXPECT_EQ(two.next_deadline(), kNever);
}

// A cluster that starts would say little else.
TEST(Names, AWordIsGivenToWhoComesBackAndNotToWhoComes) {
  Names two(options(2));
  NamesActions said;

  two.on_peer_reachable(kNow, PeerName(1));
  two.on_deadline(kNow + std::chrono::milliseconds(20), said);
  EXPECT_THAT(said, IsEmpty());

  two.on_peer_unreachable(PeerName(1));
  two.on_peer_reachable(kNow, PeerName(1));
  two.on_deadline(kNow + std::chrono::milliseconds(20), said);
  ASSERT_THAT(said, SizeIs(1));
  EXPECT_EQ(said.front().key, kRunKey);
}

TEST(Names, WithdrawnWhileSuspendedDoNotComeBack) {
  Names one(options(1));
  Names two(options(2));
  NamesActions said;
  ASSERT_TRUE(one.watch(kContainer, {web()}, said).ok());
  two.on_peer_reachable(kNow, PeerName(1));
  tell(two, 1, said);
  give_word(one, two, 1);
  two.on_peer_unreachable(PeerName(1));
  NamesActions withdrawn;
  EXPECT_EQ(one.remove({.owner = kContainer, .address = {}, .name = {}}, withdrawn), 1U);

  two.on_peer_reachable(kNow, PeerName(1));
  EXPECT_FALSE(knows(two, "web.weft.local"));
  tell(two, 1, withdrawn);
  give_word(one, two, 1);

  EXPECT_FALSE(knows(two, "web.weft.local"));
  EXPECT_THAT(two.list(), IsEmpty());
}

TEST(Names, WithdrawnWhileSuspendedDoNotComeBackByAWordThatAThirdPeerRemembers) {
  Names one(options(1));
  Names two(options(2));
  NamesActions said;
  ASSERT_TRUE(one.watch(kContainer, {web()}, said).ok());
  two.on_peer_reachable(kNow, PeerName(1));
  tell(two, 1, said);
  give_word(one, two, 1);
  two.on_peer_unreachable(PeerName(1));
  give_word(one, two, 1);  // Given to others before it withdrew the name, and passed on by them.
  NamesActions withdrawn;
  EXPECT_EQ(one.remove({.owner = kContainer, .address = {}, .name = {}}, withdrawn), 1U);

  two.on_peer_reachable(kNow, PeerName(1));
  EXPECT_FALSE(knows(two, "web.weft.local"));
  tell(two, 1, withdrawn);
  give_word(one, two, 1);

  EXPECT_FALSE(knows(two, "web.weft.local"));
}

TEST(Names, OfAPeerThatWasStartedAnewAreTrustedBeforeItIsReachable) {
  Names::Options second = options(1);
  second.run = 2;
  Names one(options(1));
  Names two(options(2));
  two.on_peer_reachable(kNow, PeerName(1));
  give_word(one, two, 1);
  two.on_peer_unreachable(PeerName(1));
  Names after(second);
  NamesActions said;
  ASSERT_TRUE(after.watch(kContainer, {web()}, said).ok());
  tell(two, 1, said);
  give_word(after, two, 1);

  two.on_peer_reachable(kNow, PeerName(1));

  EXPECT_TRUE(knows(two, "web.weft.local"));
}

TEST(Names, AWordOfAnEarlierRunIsNoWordOfTheLater) {
  Names::Options second = options(1);
  second.run = 2;
  Names before(options(1));
  Names after(second);
  Names two(options(2));
  NamesActions said;
  ASSERT_TRUE(after.watch(kContainer, {web()}, said).ok());
  tell(two, 1, said);
  two.on_peer_reachable(kNow, PeerName(1));

  give_word(before, two, 1);

  EXPECT_FALSE(knows(two, "web.weft.local"));
}

TEST(Names, OfAnEarlierRunAreNotAnswered) {
  Names::Options first = options(1);
  first.run = 1;
  Names::Options second = options(1);
  second.run = 2;
  Names before(first);
  Names after(second);
  Names two(options(2));
  two.on_peer_reachable(kNow, PeerName(1));
  NamesActions said;
  before.start(said);
  ASSERT_TRUE(before.watch(kContainer, {web()}, said).ok());
  ASSERT_TRUE(before.add(kExternOwner, web("192.0.2.1"), said).ok());
  tell(two, 1, said);
  EXPECT_TRUE(knows(two, "web.weft.local"));

  NamesActions restated;
  after.start(restated);
  tell(two, 1, restated);
  EXPECT_FALSE(knows(two, "web.weft.local"));
  EXPECT_EQ(two.stats().suspended, 2U);
  restated.clear();
  ASSERT_TRUE(after.watch(kContainer, {web()}, restated).ok());
  tell(two, 1, restated);
  EXPECT_TRUE(knows(two, "1.0.32.10.in-addr.arpa"));
  EXPECT_FALSE(knows(two, "1.2.0.192.in-addr.arpa"));
}

TEST(Names, OfAContainerAreReplacedAsAWholeButNotThoseAddedByHand) {
  Names names(options(1));
  NamesActions said;
  ASSERT_TRUE(names.watch(kContainer, {web("10.32.0.1")}, said).ok());
  ASSERT_TRUE(
      names.add(kContainer, {.name = name("db.weft.local"), .address = ip("10.32.0.1")}, said)
          .ok());

  ASSERT_TRUE(names.watch(kContainer, {web("10.32.0.2")}, said).ok());

  EXPECT_TRUE(knows(names, "db.weft.local"));
  EXPECT_TRUE(knows(names, "2.0.32.10.in-addr.arpa"));
  EXPECT_EQ(names.stats().own_entries, 2U);
  EXPECT_EQ(names.remove({.owner = kContainer, .address = {}, .name = {}}, said), 2U);
  EXPECT_FALSE(knows(names, "db.weft.local"));
  EXPECT_EQ(said.back().value, std::nullopt);
}

TEST(Names, AreRemovedByAnythingThatAgrees) {
  Names names(options(1));
  NamesActions said;
  for (const auto* address : {"10.32.0.1", "10.32.0.2"}) {
    ASSERT_TRUE(names.add(kExternOwner, web(address), said).ok());
    ASSERT_TRUE(names.add(kContainer, web(address), said).ok());
  }
  EXPECT_EQ(names.remove({.owner = kExternOwner, .address = ip("10.32.0.1"), .name = {}}, said),
            1U);
  EXPECT_EQ(
      names.remove({.owner = {}, .address = ip("10.32.0.2"), .name = name("WEB.weft.local")}, said),
      2U);
  EXPECT_EQ(names.remove({}, said), 1U);
  EXPECT_EQ(names.remove({}, said), 0U);
}

TEST(Names, ThatAreManyAreStatedInParts) {
  Names one(options(1));
  Names two(options(2));
  two.on_peer_reachable(kNow, PeerName(1));
  NamesActions said;
  constexpr std::uint32_t kCount = 3 * kPartEntriesMax + 1;
  for (std::uint32_t i = 0; i < kCount; ++i) {
    ASSERT_TRUE(one.add(kExternOwner, web(Ipv4(0x0a200000 + i).to_string()), said).ok());
  }
  tell(two, 1, said);
  EXPECT_THAT(two.list(), SizeIs(kCount));
  said.clear();
  EXPECT_EQ(one.remove({.owner = {}, .address = ip("10.32.0.5"), .name = {}}, said), 1U);
  EXPECT_THAT(said, SizeIs(1));
  ASSERT_TRUE(one.add(kExternOwner, web("10.33.0.5"), said).ok());
  EXPECT_EQ(said[0].key, said[1].key);  // Room that was left is used.
  tell(two, 1, said);
  EXPECT_THAT(two.list(), SizeIs(kCount));
  one.check_invariants();
  two.check_invariants();
}

TEST(Names, BeyondTheLimitsAreRefusedAndCounted) {
  Names::Options few = options(1);
  few.own_entries_max = 1;
  few.entries_max = 1;
  Names names(few);
  NamesActions said;
  ASSERT_TRUE(names.add(kExternOwner, web("10.32.0.1"), said).ok());
  EXPECT_EQ(names.add(kExternOwner, web("10.32.0.2"), said).error().code, Errc::Exhausted);
  EXPECT_EQ(names.add("bad owner", web(), said).error().code, Errc::Invalid);
  Names two(options(2));
  NamesActions theirs;
  ASSERT_TRUE(two.add(kExternOwner, web("10.32.0.9"), theirs).ok());
  tell(names, 2, theirs);
  names.on_record(
      {.origin = PeerName(2), .key = {.kind = RecordKind::Name, .key = {9}}, .value = Bytes{1}});
  EXPECT_EQ(names.stats().records_refused, 2U);
  names.check_invariants();
}

TEST(Names, AreCompletedWithTheDomain) {
  const Names names(options(1));
  EXPECT_EQ(names.qualify("web").value(), name("web.weft.local"));
  EXPECT_EQ(names.qualify("web.sub").value(), name("web.sub.weft.local"));
  EXPECT_EQ(names.qualify("web.weft.local").value(), name("web.weft.local"));
  EXPECT_EQ(names.qualify("web.example.").value(), std::nullopt);
  EXPECT_EQ(names.qualify("a..b").error().code, Errc::Invalid);
}

}  // namespace
}  // namespace weft::dns
