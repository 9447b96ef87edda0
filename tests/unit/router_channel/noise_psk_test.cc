// The pattern with both modifiers, against the vector that the Noise implementation snow publishes
// for Noise_XXpsk0+psk3_25519_ChaChaPoly_SHA256: tests/vectors/snow.txt at commit 8ac60f5.
#include <array>
#include <cstddef>
#include <string_view>

#include <gtest/gtest.h>

#include "router/noise.h"
#include "tests/unit/router_channel/noise_inputs.h"

namespace weft::router::noise {
namespace {

constexpr std::string_view kPrologue =
    "5468657265206973206e6f20726967687420616e642077726f6e672e2054686572652773206f6e6c792066756e"
    "20616e6420626f72696e672e";
constexpr std::string_view kPsk0 =
    "3829658d61de7c60129328910df4e4cdee261f7b9cb1aa2a326bd50dead817df";
constexpr std::string_view kPsk3 =
    "3b9b4c7f360b3dbea6511b2287dfe76180049f5127c27fb3376ae514732ce40f";
constexpr std::string_view kInitiatorStatic =
    "e9c2c125ba62723d19c2a666ca87e4aea7997e7086d724715e647cbb7e3dced9";
constexpr std::string_view kInitiatorEphemeral =
    "0b8e02c4bdd7a4f00d5cec49d2418aa4c50fce820d851039a18f5d603c2c38b9";
constexpr std::string_view kResponderStatic =
    "a56eff6ea4b13103cbff6f68e18d23c15476259b8eaf3a7636f64c08f431969f";
constexpr std::string_view kResponderEphemeral =
    "e09e1b02aa28340c45132a19675a7386f24dfe3700905bdb67b1554486661c44";

struct Message {
  std::string_view payload;
  std::string_view ciphertext;
};
constexpr std::array<Message, 5> kMessages{{
    {"151cb17403c63f2a7c4be662f989854aaf727c61222c78a6eda9b1cd9a4ef884",
     "e29aafc005c2d034941ecc120973bdc81778728c10d6bbea5df041e2b2ed79073a1bc0b8a4cbac3893b9621f23"
     "76ebc78eef4286ec65239ec4329d07639ca6cda0f1072dc24f0c6efe905e8d3a261d94"},
    {"20513d30ac69774a37b8dd80a145d179eca53ec26ddd26193acfc7857bc42244",
     "9f6c1d9af2b8d64e8338ad1692972ac72fbd2172e41c2c226986e9e25cfa86201701845f5357d91e3ef9cb17dd"
     "3d18b95394375f2a099d7013c269bb10b813103bbf5f3a52a4422d4e48be3cf6d9aa07fa2066438390f994a71d"
     "646133cfb034fcfe9220b80f52ba771850ad23c938fcf10f11a15c5b81ccf6b2941b20c53907"},
    {"6a71df147bbab68e95003fb62d8065bb57f3c7266310b0644f00f3fd52790815",
     "337634cb103903adcb05a30c70f37a1dd1a7bd2b31ba35c1607fd915075f13b50d95d834bc82c211f871af8742"
     "6ac1e05865b6bdd1e31363b6bc51e5c9164ec2116c77b5117e7b662f8a52aaed936d3b7146399ec385d873f0ce"
     "4bc4887ebe6b"},
    {"639f40d22a8e4f00ba46cef25a28bc7fe6143cd89473f0c920e0af9bea202a39",
     "249a5f6477c311ca2645ba0c8a5a51232dabf86226cda8d2536407022129718fa4641012f83394f9375a070574"
     "e2a2e0"},
    {"8641662e37ba2b7dfb3ba24fb1620b70a9e7118efa41b5fefd74f82d217f6b83",
     "e6a34abea461f8bbce42f1f4be7d46661bd1d846a0c588dac03cc29f133955d91286b43132458484412663ebb1"
     "27107e"},
}};

HandshakeState::Options options(Role role) {
  return {.role = role,
          .key = KeyPair::from_secret(
              secret_of(role == Role::Initiator ? kInitiatorStatic : kResponderStatic)),
          .psk0 = secret_of(kPsk0),
          .psk3 = secret_of(kPsk3),
          .prologue = from_hex(kPrologue).value()};
}

TEST(Noise, XxPsk0Psk3AgreesWithThePublishedVector) {
  FixedEntropy initiator_entropy(kInitiatorEphemeral);
  FixedEntropy responder_entropy(kResponderEphemeral);
  HandshakeState initiator(options(Role::Initiator), initiator_entropy);
  HandshakeState responder(options(Role::Responder), responder_entropy);

  for (std::size_t i = 0; i < 3; ++i) {
    HandshakeState& writer = i % 2 == 0 ? initiator : responder;
    HandshakeState& reader = i % 2 == 0 ? responder : initiator;
    const Bytes payload = from_hex(kMessages[i].payload).value();
    Bytes message;
    ASSERT_TRUE(writer.write_message(payload, message).ok());
    EXPECT_EQ(to_hex(message), kMessages[i].ciphertext);
    EXPECT_EQ(reader.read_message(message).value(), payload);
  }

  auto sent_by_responder = responder.split().send;
  auto sent_by_initiator = initiator.split().send;
  Bytes third;
  Bytes fourth;
  ASSERT_TRUE(sent_by_responder.encrypt({}, from_hex(kMessages[3].payload).value(), third).ok());
  ASSERT_TRUE(sent_by_initiator.encrypt({}, from_hex(kMessages[4].payload).value(), fourth).ok());
  EXPECT_EQ(to_hex(third), kMessages[3].ciphertext);
  EXPECT_EQ(to_hex(fourth), kMessages[4].ciphertext);
}

TEST(Noise, FirstMessageUnderAnotherPsk0IsRefusedWithoutAMultiplication) {
  FixedEntropy initiator_entropy(kInitiatorEphemeral);
  FixedEntropy responder_entropy(kResponderEphemeral);
  HandshakeState::Options stranger = options(Role::Initiator);
  stranger.psk0 = secret_of(kPsk3);
  HandshakeState initiator(stranger, initiator_entropy);
  HandshakeState responder(options(Role::Responder), responder_entropy);
  Bytes message;
  ASSERT_TRUE(initiator.write_message({}, message).ok());

  const Result<Bytes> payload = responder.read_message(message);

  ASSERT_FALSE(payload.ok());
  EXPECT_EQ(payload.error().code, Errc::Denied);
  EXPECT_EQ(responder.dh_count(), 0U);
}

}  // namespace
}  // namespace weft::router::noise
