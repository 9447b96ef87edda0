#include "router/channel.h"

#include <cstddef>
#include <optional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/router_channel/channel_pair.h"

namespace weft::router {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

Bytes pattern(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<std::uint8_t>(i * 31 + i / 251);
  }
  return bytes;
}

TEST(Channel, EstablishesWithThePeersKeyAndHello) {
  Pair pair;

  pair.talk();

  EXPECT_THAT(pair.initiator.events<Channel::Established>(),
              ElementsAre(Channel::Established{.remote_key = pair.responder.key.pub,
                                               .hello = to_bytes("I listened"),
                                               .authenticated = true,
                                               .version = 1}));
  EXPECT_THAT(pair.responder.events<Channel::Established>(),
              ElementsAre(Channel::Established{.remote_key = pair.initiator.key.pub,
                                               .hello = to_bytes("I dialled"),
                                               .authenticated = true,
                                               .version = 1}));
  EXPECT_TRUE(pair.initiator.channel.established());
  EXPECT_TRUE(pair.responder.channel.established());
}

TEST(Channel, WithoutPasswordIsEncryptedButNotAuthenticated) {
  Pair pair(std::nullopt, std::nullopt);

  pair.talk();

  ASSERT_THAT(pair.initiator.events<Channel::Established>(), SizeIs(1));
  ASSERT_THAT(pair.responder.events<Channel::Established>(), SizeIs(1));
  EXPECT_FALSE(pair.initiator.events<Channel::Established>()[0].authenticated);
  EXPECT_FALSE(pair.responder.events<Channel::Established>()[0].authenticated);
}

TEST(Channel, NeitherHelloNorFramesTravelInClear) {
  Pair pair(std::nullopt, std::nullopt);
  Bytes wire;

  for (int round = 0; round < 8; ++round) {
    const Bytes to_responder = pair.initiator.take();
    const Bytes to_initiator = pair.responder.take();
    wire.insert(wire.end(), to_responder.begin(), to_responder.end());
    wire.insert(wire.end(), to_initiator.begin(), to_initiator.end());
    pair.responder.receive(to_responder);
    pair.initiator.receive(to_initiator);
    if (round == 5) {
      pair.initiator.send(as_bytes("a secret frame"));
    }
  }

  ASSERT_THAT(pair.responder.events<Channel::Frame>(), SizeIs(1));
  EXPECT_EQ(as_text(wire).find("dialled"), std::string_view::npos);
  EXPECT_EQ(as_text(wire).find("listened"), std::string_view::npos);
  EXPECT_EQ(as_text(wire).find("secret"), std::string_view::npos);
}

TEST(Channel, CarriesFramesBothWaysInOrder) {
  Pair pair;
  pair.talk();

  pair.initiator.send(as_bytes("one"));
  pair.initiator.send(as_bytes("two"));
  pair.responder.send(as_bytes("three"));
  pair.talk();

  EXPECT_THAT(pair.responder.events<Channel::Frame>(),
              ElementsAre(Channel::Frame{to_bytes("one")}, Channel::Frame{to_bytes("two")}));
  EXPECT_THAT(pair.initiator.events<Channel::Frame>(),
              ElementsAre(Channel::Frame{to_bytes("three")}));
}

TEST(Channel, DoesNotCareHowTheStreamIsCut) {
  for (std::size_t step = 1; step <= 200; ++step) {
    Pair pair;

    pair.talk(step);
    pair.initiator.send(pattern(300));
    pair.responder.send(pattern(301));
    pair.talk(step);

    EXPECT_THAT(pair.responder.events<Channel::Frame>(), ElementsAre(Channel::Frame{pattern(300)}));
    EXPECT_THAT(pair.initiator.events<Channel::Frame>(), ElementsAre(Channel::Frame{pattern(301)}));
  }
}

// Around every place where the number of chunks changes: 65,519 bytes fit into a chunk, of which
// the first holds 4 of length.
TEST(Channel, CarriesFramesOfEverySize) {
  constexpr std::size_t kChunk = 65519;
  Pair pair;
  pair.talk();
  for (const std::size_t size : {std::size_t{0},
                                 std::size_t{1},
                                 kChunk - 5,
                                 kChunk - 4,
                                 kChunk - 3,
                                 2 * kChunk - 5,
                                 2 * kChunk - 4,
                                 2 * kChunk - 3,
                                 kFrameMax}) {
    pair.initiator.output.events.clear();

    pair.responder.send(pattern(size));
    pair.talk(50000);

    EXPECT_THAT(pair.initiator.events<Channel::Frame>(),
                ElementsAre(Channel::Frame{pattern(size)}));
  }
}

TEST(Channel, FramesSentRightAfterTheHandshakeArriveAfterEstablished) {
  Pair pair;
  pair.initiator.receive(pair.responder.take());
  pair.responder.receive(pair.initiator.take());
  pair.initiator.receive(pair.responder.take());
  pair.responder.receive(pair.initiator.take());
  ASSERT_TRUE(pair.responder.channel.established());

  pair.responder.send(as_bytes("first"));
  pair.initiator.receive(pair.responder.take());

  ASSERT_THAT(pair.initiator.output.events, SizeIs(2));
  EXPECT_TRUE(std::holds_alternative<Channel::Established>(pair.initiator.output.events[0]));
  EXPECT_TRUE(std::holds_alternative<Channel::Frame>(pair.initiator.output.events[1]));
}

TEST(Channel, SpeaksTheHighestVersionBothKnow) {
  End initiator(Channel::Role::Initiator, psk_of(1), {.lowest = 1, .highest = 5});
  End responder(Channel::Role::Responder, psk_of(1), {.lowest = 2, .highest = 3});

  for (int round = 0; round < 4; ++round) {
    responder.receive(initiator.take());
    initiator.receive(responder.take());
  }

  ASSERT_TRUE(initiator.was_established());
  ASSERT_TRUE(responder.was_established());
  EXPECT_EQ(initiator.events<Channel::Established>()[0].version, 3);
  EXPECT_EQ(responder.events<Channel::Established>()[0].version, 3);
}

TEST(Channel, GoesOnAcrossKeyChanges) {
  Pair pair;
  pair.talk();
  const Bytes frame = to_bytes("f");

  for (std::uint64_t i = 0; i < kRekeyChunks + 10; ++i) {
    pair.initiator.send(frame);
    if (i % 1000 == 0) {
      pair.talk();
    }
  }
  pair.talk();

  EXPECT_THAT(pair.responder.events<Channel::Frame>(), SizeIs(kRekeyChunks + 10));
  EXPECT_THAT(pair.responder.events<Channel::Failed>(), IsEmpty());
}

TEST(Channel, SaysWhatItWaitsFor) {
  Pair pair;
  EXPECT_EQ(pair.initiator.channel.waiting_for(), "its greeting");

  pair.initiator.receive(pair.responder.take());
  EXPECT_EQ(pair.initiator.channel.waiting_for(), "its handshake message");

  pair.responder.receive(pair.initiator.take());
  pair.initiator.receive(pair.responder.take());
  EXPECT_EQ(pair.initiator.channel.waiting_for(), "its confirmation");

  pair.talk();
  EXPECT_EQ(pair.initiator.channel.waiting_for(), "nothing");
}

}  // namespace
}  // namespace weft::router
