// Passwords: who knows which, what a stranger costs, and how one is replaced without an outage.
#include <cstddef>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "router/channel.h"
#include "tests/unit/router_channel/channel_pair.h"

namespace weft::router {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

const Psk kOld = psk_of(1);
const Psk kNew = psk_of(2);

TEST(ChannelPassword, HostsThatKnowOldAndNewConnectWithEverybodyMeanwhile) {
  struct Case {
    std::vector<Psk> initiator;
    std::vector<Psk> responder;
    Psk agreed;
  };
  const std::vector<Case> cases{
      {{kOld}, {kNew, kOld}, kOld},
      {{kNew, kOld}, {kOld}, kOld},
      {{kNew, kOld}, {kNew, kOld}, kNew},
      {{kNew, kOld}, {kNew}, kNew},
      {{kNew}, {kNew, kOld}, kNew},
  };
  for (const Case& item : cases) {
    Pair pair(item.initiator, item.responder);

    pair.talk();

    ASSERT_TRUE(pair.initiator.was_established()) << pair.initiator.failure();
    ASSERT_TRUE(pair.responder.was_established()) << pair.responder.failure();
    EXPECT_TRUE(pair.initiator.channel.password() == item.agreed);
    EXPECT_TRUE(pair.responder.channel.password() == item.agreed);
  }
}

TEST(ChannelPassword, HostsThatHaveNothingInCommonAreToldSoOnBothSides) {
  Pair pair(std::vector<Psk>{kNew, psk_of(3)}, std::vector<Psk>{kOld});

  pair.talk();

  ASSERT_THAT(pair.initiator.events<Channel::Failed>(), SizeIs(1));
  ASSERT_THAT(pair.responder.events<Channel::Failed>(), SizeIs(1));
  EXPECT_EQ(pair.initiator.events<Channel::Failed>()[0].cause, Channel::Cause::Password);
  EXPECT_EQ(pair.responder.events<Channel::Failed>()[0].cause, Channel::Cause::Password);
  EXPECT_THAT(pair.initiator.failure(), HasSubstr("wrong password"));
}

TEST(ChannelPassword, AStrangerCostsNoMultiplication) {
  End responder(Channel::Role::Responder, std::vector<Psk>{kNew, kOld});
  End stranger(Channel::Role::Initiator, psk_of(9));
  Pair::carry(responder.take(), stranger, SIZE_MAX);

  responder.receive(stranger.take());

  EXPECT_EQ(responder.channel.dh_count(), 0U);
  EXPECT_FALSE(responder.channel.is_proved());
  EXPECT_THAT(responder.failure(), HasSubstr("wrong password"));
}

TEST(ChannelPassword, AMemberIsProvedByItsFirstMessage) {
  Pair pair;
  Pair::carry(pair.responder.take(), pair.initiator, SIZE_MAX);

  pair.responder.receive(pair.initiator.take());

  EXPECT_TRUE(pair.responder.channel.is_proved());
  // Its ephemeral key, and with the initiator's: ee and es.
  EXPECT_EQ(pair.responder.channel.dh_count(), 3U);
  EXPECT_FALSE(pair.responder.was_established());
}

TEST(ChannelPassword, AFirstMessageReplayedIntoAnotherConversationCostsNoMultiplication) {
  Pair recorded;
  Pair::carry(recorded.responder.take(), recorded.initiator, SIZE_MAX);
  const Bytes greeting_and_message = recorded.initiator.take();
  SeededEntropy entropy{Rng(77)};
  Channel victim({.role = Channel::Role::Responder,
                  .key = recorded.responder.key,
                  .passwords = {psk_of(1)},
                  .hello = {},
                  .versions = {}},
                 entropy);
  Channel::Output output;
  victim.start(output);

  victim.on_bytes(greeting_and_message, output);

  EXPECT_TRUE(victim.failed());
  EXPECT_EQ(victim.dh_count(), 0U);
}

TEST(ChannelPassword, ABusyListenerSaysSo) {
  End initiator(Channel::Role::Initiator, kNew);

  initiator.receive(Channel::busy({}, true));

  ASSERT_THAT(initiator.events<Channel::Failed>(), SizeIs(1));
  EXPECT_EQ(initiator.events<Channel::Failed>()[0].cause, Channel::Cause::Busy);
  EXPECT_THAT(initiator.failure(), HasSubstr("busy"));
}

TEST(ChannelPassword, KeysChangeInBothDirectionsWhenTheirOwnersCallForIt) {
  Pair pair;
  pair.talk();
  pair.initiator.send(as_bytes("before"));
  pair.initiator.channel.rekey(pair.initiator.output);
  pair.responder.channel.rekey(pair.responder.output);
  pair.initiator.send(as_bytes("after"));
  pair.responder.send(as_bytes("back"));

  pair.talk(3);

  EXPECT_THAT(pair.responder.events<Channel::Frame>(), SizeIs(2));
  EXPECT_THAT(pair.initiator.events<Channel::Frame>(), SizeIs(1));
  EXPECT_FALSE(pair.initiator.channel.failed());
  EXPECT_FALSE(pair.responder.channel.failed());
}

TEST(ChannelPassword, AChunkUnderTheKeyBeforeTheChangeIsRefused) {
  Pair pair;
  pair.talk();
  pair.initiator.channel.rekey(pair.initiator.output);
  const Bytes announcement = pair.initiator.take();
  pair.initiator.send(as_bytes("under the new key"));
  (void)pair.initiator.take();

  pair.responder.receive(announcement);
  pair.responder.receive(announcement);  // Sealed under the old one.

  EXPECT_TRUE(pair.responder.channel.failed());
}

}  // namespace
}  // namespace weft::router
