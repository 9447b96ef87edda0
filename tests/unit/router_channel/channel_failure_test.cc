// What a channel does with peers that are wrong, old, hostile or in the middle.
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "router/channel.h"
#include "tests/unit/router_channel/channel_pair.h"
#include "tests/unit/router_channel/raw_peer.h"

namespace weft::router {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

Errc code_of(const End& end) {
  const auto failures = end.events<Channel::Failed>();
  EXPECT_THAT(failures, SizeIs(1));
  return failures.empty() ? Errc::Os : failures.front().error.code;
}

TEST(ChannelFailure, WrongPasswordIsNamedOnBothSidesAndEstablishesNeither) {
  Pair pair(psk_of(1), psk_of(2));

  pair.talk();

  EXPECT_EQ(pair.responder.failure(), "wrong password, or not a weft peer");
  EXPECT_EQ(pair.initiator.failure(), "the peer refused us: wrong password, or not a weft peer");
  EXPECT_EQ(code_of(pair.responder), Errc::Denied);
  EXPECT_EQ(code_of(pair.initiator), Errc::Denied);
  EXPECT_FALSE(pair.initiator.was_established());
  EXPECT_FALSE(pair.responder.was_established());
}

TEST(ChannelFailure, PasswordOnOneSideOnlyIsNamedOnBothSides) {
  constexpr const char* kOurs =
      "we have a password, the peer has none (start both with the same --password-file)";
  constexpr const char* kTheirs =
      "the peer has a password, we have none (start both with the same --password-file)";
  Pair dialler_has(psk_of(1), std::nullopt);
  Pair listener_has(std::nullopt, psk_of(1));

  dialler_has.talk();
  listener_has.talk();

  EXPECT_EQ(dialler_has.initiator.failure(), kOurs);
  EXPECT_EQ(dialler_has.responder.failure(), kTheirs);
  EXPECT_EQ(listener_has.initiator.failure(), kTheirs);
  EXPECT_EQ(listener_has.responder.failure(), kOurs);
  EXPECT_EQ(code_of(dialler_has.initiator), Errc::Denied);
}

TEST(ChannelFailure, VersionsThatDoNotOverlapAreNamedOnBothSides) {
  End initiator(Channel::Role::Initiator, psk_of(1), {.lowest = 1, .highest = 1});
  End responder(Channel::Role::Responder, psk_of(1), {.lowest = 3, .highest = 4});

  responder.receive(initiator.take());
  initiator.receive(responder.take());

  EXPECT_EQ(initiator.failure(), "peer speaks protocol 3..4, we speak 1..1");
  EXPECT_EQ(responder.failure(), "peer speaks protocol 1..1, we speak 3..4");
  EXPECT_EQ(code_of(initiator), Errc::Invalid);
}

TEST(ChannelFailure, StrangersAreToldApartAtTheirFirstByte) {
  End responder(Channel::Role::Responder, psk_of(1));

  responder.receive(as_bytes("G"));

  EXPECT_EQ(responder.failure(), "the peer does not speak weft");
}

TEST(ChannelFailure, MalformedGreetingIsRefused) {
  for (const std::string_view hex : {"7765667402010000", "7765667401010200"}) {
    End responder(Channel::Role::Responder, std::nullopt);

    responder.receive(Writer().append(from_hex(hex).value()).append(Bytes(16)).take());

    EXPECT_EQ(responder.failure(), "malformed greeting");
  }
}

TEST(ChannelFailure, ManInTheMiddleCannotChangeAGreeting) {
  // Byte 7 is ignored by both, so only the handshake can notice.
  Pair pair(std::nullopt, std::nullopt);
  Bytes greeting = pair.initiator.take();
  greeting[7] = 9;

  pair.responder.receive(greeting);
  pair.talk();

  EXPECT_TRUE(pair.initiator.channel.failed());
  EXPECT_FALSE(pair.initiator.was_established());
  EXPECT_FALSE(pair.responder.was_established());
}

TEST(ChannelFailure, ManInTheMiddleCannotTakeThePasswordAway) {
  Pair pair;
  Bytes to_responder = pair.initiator.take();
  Bytes to_initiator = pair.responder.take();
  to_responder[6] = 0;
  to_initiator[6] = 0;

  pair.responder.receive(to_responder);
  pair.initiator.receive(to_initiator);

  EXPECT_THAT(pair.initiator.failure(), HasSubstr("the peer has none"));
  EXPECT_THAT(pair.responder.failure(), HasSubstr("the peer has none"));
}

// Runs a handshake in which one bit of the byte at `index`, counted in one direction, is flipped on
// its way. False if the conversation ended before that byte.
bool talk_with_flip(Pair& pair, bool towards_responder, std::size_t index) {
  std::size_t sent = 0;
  bool flipped = false;
  for (;;) {
    Bytes to_responder = pair.initiator.take();
    Bytes to_initiator = pair.responder.take();
    if (to_responder.empty() && to_initiator.empty()) {
      return flipped;
    }
    Bytes& target = towards_responder ? to_responder : to_initiator;
    if (!flipped && index < sent + target.size()) {
      target[index - sent] ^= 0x10;
      flipped = true;
    }
    sent += target.size();
    pair.responder.receive(to_responder);
    pair.initiator.receive(to_initiator);
  }
}

TEST(ChannelFailure, OneFlippedBitAnywhereNeverEstablishesTheSideItReaches) {
  for (const std::optional<Psk>& psk : {std::optional<Psk>(), std::optional<Psk>(psk_of(1))}) {
    for (const bool towards_responder : {true, false}) {
      std::size_t index = 0;
      for (;; ++index) {
        Pair pair(psk, psk);
        if (!talk_with_flip(pair, towards_responder, index)) {
          break;
        }
        const End& reached = towards_responder ? pair.responder : pair.initiator;
        EXPECT_FALSE(reached.was_established()) << "byte " << index;
      }
      EXPECT_GT(index, 100U);
    }
  }
}

// What each side sends in a whole handshake.
struct Recording {
  Bytes from_initiator;
  Bytes from_responder;
};

void append(ByteView bytes, Bytes& to) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}

Recording record(Pair& pair) {
  Recording recording;
  for (;;) {
    const Bytes to_responder = pair.initiator.take();
    const Bytes to_initiator = pair.responder.take();
    if (to_responder.empty() && to_initiator.empty()) {
      return recording;
    }
    append(to_responder, recording.from_initiator);
    append(to_initiator, recording.from_responder);
    pair.responder.receive(to_responder);
    pair.initiator.receive(to_initiator);
  }
}

TEST(ChannelFailure, HandshakeCutShortAnywhereNeverEstablishes) {
  Pair whole;
  const Recording recorded = record(whole);
  ASSERT_TRUE(whole.initiator.was_established());

  // The same seeds give the same keys, so the recorded bytes fit a new pair.
  for (std::size_t size = 0; size < recorded.from_initiator.size(); ++size) {
    Pair cut;
    cut.responder.receive(ByteView(recorded.from_initiator).first(size));
    EXPECT_THAT(cut.responder.output.events, IsEmpty());
  }
  for (std::size_t size = 0; size < recorded.from_responder.size(); ++size) {
    Pair cut;
    cut.initiator.receive(ByteView(recorded.from_responder).first(size));
    EXPECT_THAT(cut.initiator.output.events, IsEmpty());
  }
}

TEST(ChannelFailure, ConversationReplayedToAnotherResponderFails) {
  Pair whole;
  const Recording recorded = record(whole);
  ASSERT_TRUE(whole.responder.was_established());
  SeededEntropy fresh{Rng(99)};
  Channel victim({.role = Channel::Role::Responder,
                  .key = whole.responder.key,
                  .passwords = {psk_of(1)},
                  .hello = {},
                  .versions = {}},
                 fresh);
  Channel::Output output;
  victim.start(output);

  victim.on_bytes(recorded.from_initiator, output);

  EXPECT_TRUE(victim.failed());
  ASSERT_THAT(output.events, SizeIs(1));
  EXPECT_TRUE(std::holds_alternative<Channel::Failed>(output.events[0]));
}

TEST(ChannelFailure, ReplayedReorderedAndDroppedFramesAreRefused) {
  enum class Mischief { Replay, Reorder, Drop };
  for (const Mischief mischief : {Mischief::Replay, Mischief::Reorder, Mischief::Drop}) {
    Pair pair;
    pair.talk();
    pair.initiator.send(as_bytes("first"));
    const Bytes first = pair.initiator.take();
    pair.initiator.send(as_bytes("second"));
    const Bytes second = pair.initiator.take();

    if (mischief == Mischief::Replay) {
      pair.responder.receive(first);
      pair.responder.receive(first);
    } else if (mischief == Mischief::Reorder) {
      pair.responder.receive(second);
      pair.responder.receive(first);
    } else {
      pair.responder.receive(second);
    }

    EXPECT_TRUE(pair.responder.channel.failed());
    EXPECT_EQ(code_of(pair.responder), Errc::Denied);
    EXPECT_THAT(pair.responder.events<Channel::Frame>(),
                SizeIs(mischief == Mischief::Replay ? 1 : 0));
  }
}

TEST(ChannelFailure, FrameReflectedToItsSenderIsRefused) {
  Pair pair;
  pair.talk();

  pair.initiator.send(as_bytes("mine"));
  pair.initiator.receive(pair.initiator.take());

  EXPECT_EQ(code_of(pair.initiator), Errc::Denied);
  EXPECT_THAT(pair.initiator.events<Channel::Frame>(), IsEmpty());
}

TEST(ChannelFailure, HandshakeLengthOutOfBoundsIsRefusedBeforeItsBytesArrive) {
  for (const std::uint16_t length :
       std::array<std::uint16_t, 3>{47, 97, 65535}) {  // Message 1 has 48 bytes per password.
    Pair pair;
    pair.responder.receive(pair.initiator.take());

    pair.responder.receive(Writer().u16(length).take());

    EXPECT_EQ(pair.responder.failure(),
              "message of " + std::to_string(length) + " bytes (expected 48 to 96)");
  }
}

TEST(ChannelFailure, UnknownRefusalIsReportedByNumber) {
  Pair pair;
  pair.initiator.receive(pair.responder.take());

  pair.initiator.receive(Writer().u16(0).u8(7).take());

  EXPECT_EQ(pair.initiator.failure(), "the peer refused us for reason 7");
}

TEST(ChannelFailure, NothingHappensAfterAFailure) {
  Pair pair;
  pair.responder.receive(as_bytes("GET / HTTP/1.1"));
  const std::size_t event_count = pair.responder.output.events.size();
  (void)pair.responder.take();  // Its greeting.

  pair.responder.receive(pair.initiator.take());

  EXPECT_EQ(pair.responder.output.events.size(), event_count);
  EXPECT_THAT(pair.responder.output.bytes, IsEmpty());
}

// Peers that know the keys and break the framing.

struct Victim {
  explicit Victim(Channel::Role role)
      : end(role, std::nullopt),
        peer(role, end.channel, end.output) {}

  End end;
  RawPeer peer;
};

TEST(ChannelFailure, FrameLongerThanTheLimitIsRefusedAtItsLength) {
  Victim victim(Channel::Role::Responder);
  ASSERT_TRUE(victim.end.was_established());

  victim.peer.send_sealed(Writer().u32(kFrameMax + 1).take());

  EXPECT_THAT(victim.end.failure(), HasSubstr("exceeds"));
}

TEST(ChannelFailure, ChunksThatAreNotFullOrTooFullAreRefused) {
  for (const std::size_t size : {0U, 9U, 11U}) {
    Victim victim(Channel::Role::Responder);

    victim.peer.send_sealed(Writer().u32(10).append(Bytes(size)).take());

    EXPECT_THAT(victim.end.failure(), HasSubstr("(expected 14)"));
    EXPECT_THAT(victim.end.events<Channel::Frame>(), IsEmpty());
  }
}

TEST(ChannelFailure, EmptyChunkInsideAFrameIsRefused) {
  Victim victim(Channel::Role::Responder);
  victim.peer.send_sealed(Writer().u32(70000).append(Bytes(65515)).take());
  ASSERT_FALSE(victim.end.channel.failed());

  victim.peer.send_sealed({});

  EXPECT_EQ(victim.end.failure(), "chunk of 0 bytes (expected 4485)");
}

TEST(ChannelFailure, ChunkWithoutRoomForALengthIsRefused) {
  Victim victim(Channel::Role::Responder);

  victim.peer.send_sealed(Bytes(3));

  EXPECT_EQ(code_of(victim.end), Errc::Invalid);
}

TEST(ChannelFailure, UnsealedChunkIsRefused) {
  Victim victim(Channel::Role::Responder);
  Victim shorter(Channel::Role::Responder);

  victim.peer.send_unit(Bytes(100));
  shorter.peer.send_unit(Bytes(15));

  EXPECT_EQ(victim.end.failure(), "frame: sealed text does not authenticate");
  EXPECT_EQ(shorter.end.failure(), "message of 15 bytes (expected 16 to 65535)");
}

TEST(ChannelFailure, PeerThatDoesNotChangeItsKeyInTimeIsRefused) {
  Victim victim(Channel::Role::Responder);
  const Bytes empty_frame = Writer().u32(0).take();
  for (std::uint64_t i = 0; i < kRekeyChunks; ++i) {
    victim.peer.send_sealed(empty_frame);
  }
  ASSERT_FALSE(victim.end.channel.failed());

  victim.peer.send_sealed(empty_frame);

  EXPECT_EQ(victim.end.failure(), "frame: sealed text does not authenticate");
}

TEST(ChannelFailure, ConfirmationThatIsNotEmptyIsRefused) {
  Victim longer(Channel::Role::Initiator);
  Victim lying(Channel::Role::Initiator);
  Victim proper(Channel::Role::Initiator);

  longer.peer.send_sealed(Writer().u32(1).u8(0).take());
  lying.peer.send_sealed(Writer().u32(1).take());
  proper.peer.send_sealed(Writer().u32(0).take());

  EXPECT_EQ(longer.end.failure(), "message of 21 bytes (expected 20 to 20)");
  EXPECT_EQ(lying.end.failure(), "chunk of 4 bytes (expected 5)");
  EXPECT_TRUE(proper.end.was_established());
  EXPECT_FALSE(longer.end.was_established());
  EXPECT_FALSE(lying.end.was_established());
}

}  // namespace
}  // namespace weft::router
