#include "router/noise.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/router_channel/noise_inputs.h"

namespace weft::router::noise {
namespace {

using testing::HasSubstr;

// Both vectors are from the Noise implementation cacophony, vectors/cacophony.txt at commit
// 8ee9d41. They share keys, prologue and payloads.
constexpr std::string_view kPrologue = "4a6f686e2047616c74";
constexpr std::string_view kPsk =
    "54686973206973206d7920417573747269616e20706572737065637469766521";
constexpr std::string_view kInitiatorStatic =
    "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1";
constexpr std::string_view kInitiatorEphemeral =
    "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a";
constexpr std::string_view kResponderStatic =
    "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893";
constexpr std::string_view kResponderEphemeral =
    "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b";
constexpr std::array<std::string_view, 6> kPayloads{
    "4c756477696720766f6e204d69736573",
    "4d757272617920526f746862617264",
    "462e20412e20486179656b",
    "4361726c204d656e676572",
    "4a65616e2d426170746973746520536179",
    "457567656e2042f6686d20766f6e2042617765726b",
};

struct Vector {
  bool with_psk = false;
  Pattern pattern = Pattern::Xx;
  std::string_view handshake_hash;
  std::array<std::string_view, 6> ciphertexts;
};

constexpr Vector kXx{
    .with_psk = false,
    .handshake_hash = "c8e5f64e846193be2a834104c2a009868d6c9f3bd3c186299888b488b2f1f58e",
    .ciphertexts = {
        "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c79444c756477696720766f6e204d69"
        "736573",
        "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f14480884381cbad1f276e038c48378ffce2"
        "b65285e08d6b68aaa3629a5a8639392490e5b9bd5269c2f1e4f488ed8831161f19b7815528f8982ffe09be9b5c"
        "412f8a0db50f8814c7194e83f23dbd8d162c9326ad",
        "c7195ffacac1307ff99046f219750fc47693e23c3cb08b89c2af808b444850a80ae475b9df0f169ae80a89be08"
        "65b57f58c9fea0d4ec82a286427402f113e4b6ae769a1d95941d49b25030",
        "96763ed773f8e47bb3712f0e29b3060ffc956ffc146cee53d5e1df",
        "3e40f15f6f3a46ae446b253bf8b1d9ffb6ed9b174d272328ff91a7e2e5c79c07f5",
        "eb3f3515110702e047a6c9da4478b6ead94873c11c0f2d710ddb3f09fce024b3a58502ae3f",
    }};

constexpr Vector kXxPsk3{
    .with_psk = true,
    .handshake_hash = "a477edf6a131bbdb54707f6ea30eab6cd935d9b560f0e5fd1f053a95a99669fb",
    .ciphertexts = {
        "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944c9f5ff0e8079630cb7e270c20b"
        "bf480821b77a384a645c71a2fd9b3db1c16a5f",
        "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843b123def17f71e6ae8e57e0e1de"
        "c5949c5f7415c6f33517398747d821a06dc23ad430aa1fd7381d46195c378a819fd574425462cbb2d4ca339e73"
        "8a0b7001dc91423fbf55a99af0c6f1df21012ceb2f",
        "52187316111b118d4c060364f7b975dc0809b2590779aff2d63113c564f11744493384db7bf32d5ae6686df6ab"
        "06d508d2e07caaf1d6afc010b978735fc78900e71ae1d314130d042e729a",
        "eaedc672d4c21e0e2955758756fb98f194c4e90d5deb5b6cf30b27",
        "522d543c5fe799d09a3d9da7ff54d0dc03c8af1dc7751d2ff708339d2290943e98",
        "7d4e2c3873eef6a213b04e72f9df60a91666072d3544c5d96c34a09e2329b5030bee796741",
    }};

constexpr Vector kIkPsk2{
    .with_psk = true,
    .pattern = Pattern::Ik,
    .handshake_hash = "8310f86394dc0dabb40beb8210031556db4403ab1202db7034c526232147a700",
    .ciphertexts = {
        "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c79442ec9b09893d0f510791784c10c"
        "bc959f25b1766e0def6e301d14fbca1c7790ac829b8b3674f5f649a5f0e98479662cbfbf2b2c47cd4b09fcd266"
        "cd29d7cb675f1808849707847840f6d178ec4d3733aa",
        "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f1448088439a1b3cebf680b2c74217fcb5eb"
        "a4ff58a9468cd90c4aca6194f57479b379a7",
        "a8fde7a0accec190cd306c5950d4fd8e04a205ec288aa747d8b347",
        "59caddd9984a3bbe24c4fb31a2bd455b7eba3fa0980674b1a3a5f9",
        "3b9bfebd210c22ba0cff9de79b4007d7a552fffbf92616881faa8a883e25b80258",
        "f37512df1043d564d7c46ac85c53d3b6a9a05724bc297e7142808f217561651217fe85b782",
    }};

HandshakeState::Options options(Role role, std::string_view secret, const Vector& vector) {
  HandshakeState::Options options;
  options.role = role;
  options.key = KeyPair::from_secret(secret_of(secret));
  options.prologue = from_hex(kPrologue).value();
  if (vector.with_psk) {
    (vector.pattern == Pattern::Ik ? options.psk2 : options.psk3) = secret_of(kPsk);
  }
  options.pattern = vector.pattern;
  if (vector.pattern == Pattern::Ik && role == Role::Initiator) {
    options.remote_static = KeyPair::from_secret(secret_of(kResponderStatic)).pub;
  }
  return options;
}

void expect_vector(const Vector& vector) {
  FixedEntropy initiator_entropy(kInitiatorEphemeral);
  FixedEntropy responder_entropy(kResponderEphemeral);
  HandshakeState initiator(options(Role::Initiator, kInitiatorStatic, vector), initiator_entropy);
  HandshakeState responder(options(Role::Responder, kResponderStatic, vector), responder_entropy);

  const std::size_t handshake_count = vector.pattern == Pattern::Xx ? 3 : 2;
  for (std::size_t i = 0; i < handshake_count; ++i) {
    HandshakeState& writer = i % 2 == 0 ? initiator : responder;
    HandshakeState& reader = i % 2 == 0 ? responder : initiator;
    const Bytes payload = from_hex(kPayloads[i]).value();
    const std::size_t overhead = writer.overhead();
    Bytes message;
    ASSERT_TRUE(writer.write_message(payload, message).ok());
    EXPECT_EQ(to_hex(message), vector.ciphertexts[i]);
    EXPECT_EQ(message.size(), overhead + payload.size());
    EXPECT_EQ(reader.read_message(message).value(), payload);
  }

  EXPECT_EQ(to_hex(initiator.hash()), vector.handshake_hash);
  EXPECT_EQ(to_hex(responder.hash()), vector.handshake_hash);
  EXPECT_EQ(initiator.remote_static(), KeyPair::from_secret(secret_of(kResponderStatic)).pub);
  EXPECT_EQ(responder.remote_static(), KeyPair::from_secret(secret_of(kInitiatorStatic)).pub);
  auto initiator_transport = initiator.split();
  auto responder_transport = responder.split();
  for (std::size_t i = handshake_count; i < kPayloads.size(); ++i) {
    auto& writer = i % 2 == 0 ? initiator_transport : responder_transport;
    auto& reader = i % 2 == 0 ? responder_transport : initiator_transport;
    const Bytes payload = from_hex(kPayloads[i]).value();
    Bytes sealed;
    Bytes opened;
    ASSERT_TRUE(writer.send.encrypt({}, payload, sealed).ok());
    ASSERT_TRUE(reader.receive.decrypt({}, sealed, opened).ok());
    EXPECT_EQ(to_hex(sealed), vector.ciphertexts[i]);
    EXPECT_EQ(opened, payload);
  }
}

TEST(Noise, XxAgreesWithThePublishedVector) {
  expect_vector(kXx);
}

TEST(Noise, XxPsk3AgreesWithThePublishedVector) {
  expect_vector(kXxPsk3);
}

TEST(Noise, IkPsk2AgreesWithThePublishedVector) {
  expect_vector(kIkPsk2);
}

TEST(Noise, IkWithAnotherPskDoesNotAgree) {
  FixedEntropy initiator_entropy(kInitiatorEphemeral);
  FixedEntropy responder_entropy(kResponderEphemeral);
  HandshakeState::Options changed = options(Role::Responder, kResponderStatic, kIkPsk2);
  changed.psk2->bytes()[0] ^= 1;
  HandshakeState initiator(options(Role::Initiator, kInitiatorStatic, kIkPsk2), initiator_entropy);
  HandshakeState responder(changed, responder_entropy);
  Bytes first;
  Bytes second;
  ASSERT_TRUE(initiator.write_message({}, first).ok());
  ASSERT_TRUE(responder.read_message(first).ok());
  ASSERT_TRUE(responder.write_message({}, second).ok());

  const Result<Bytes> payload = initiator.read_message(second);

  ASSERT_FALSE(payload.ok());
  EXPECT_EQ(payload.error().code, Errc::Denied);
}

TEST(Noise, PeersWithDifferentProloguesDoNotAgree) {
  FixedEntropy initiator_entropy(kInitiatorEphemeral);
  FixedEntropy responder_entropy(kResponderEphemeral);
  HandshakeState::Options changed = options(Role::Responder, kResponderStatic, kXx);
  changed.prologue.push_back(1);
  HandshakeState initiator(options(Role::Initiator, kInitiatorStatic, kXx), initiator_entropy);
  HandshakeState responder(changed, responder_entropy);
  Bytes first;
  Bytes second;
  ASSERT_TRUE(initiator.write_message({}, first).ok());
  ASSERT_TRUE(responder.read_message(first).ok());
  ASSERT_TRUE(responder.write_message({}, second).ok());

  const Result<Bytes> payload = initiator.read_message(second);

  ASSERT_FALSE(payload.ok());
  EXPECT_EQ(payload.error().code, Errc::Denied);
}

TEST(Noise, PublicKeyOfLowOrderIsRefused) {
  FixedEntropy entropy(kResponderEphemeral);
  HandshakeState responder(options(Role::Responder, kResponderStatic, kXx), entropy);
  const Bytes zero_key(kKeySize, 0);  // The point of order 1: every shared secret would be zero.
  ASSERT_TRUE(responder.read_message(zero_key).ok());
  Bytes message;

  const Result<Ok> written = responder.write_message({}, message);

  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().code, Errc::Denied);
  EXPECT_THAT(written.error().what, HasSubstr("low order"));
}

TEST(Noise, TruncatedHandshakeMessageIsRefused) {
  FixedEntropy entropy(kResponderEphemeral);
  HandshakeState responder(options(Role::Responder, kResponderStatic, kXx), entropy);

  const Result<Bytes> payload = responder.read_message(Bytes(kKeySize - 1, 7));

  ASSERT_FALSE(payload.ok());
  EXPECT_EQ(payload.error().code, Errc::Invalid);
}

TEST(CipherState, PassesTextThroughWithoutAKey) {
  CipherState cipher;
  Bytes sealed;

  ASSERT_TRUE(cipher.encrypt({}, as_bytes("in clear"), sealed).ok());

  EXPECT_EQ(as_text(sealed), "in clear");
  EXPECT_EQ(cipher.nonce(), 0U);
}

TEST(CipherState, RefusesToRunOutOfNonces) {
  CipherState cipher(secret_of(kPsk));
  cipher.set_nonce(std::numeric_limits<std::uint64_t>::max() - 1);
  CipherState reader = cipher;
  Bytes sealed;
  Bytes opened;
  ASSERT_TRUE(cipher.encrypt({}, as_bytes("the last"), sealed).ok());
  ASSERT_TRUE(reader.decrypt({}, sealed, opened).ok());

  const Result<Ok> written = cipher.encrypt({}, as_bytes("one too many"), sealed);
  const Result<Ok> read = reader.decrypt({}, sealed, opened);

  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().code, Errc::Exhausted);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code, Errc::Exhausted);
}

TEST(CipherState, LeavesEverythingAsItWasWhenTextDoesNotAuthenticate) {
  CipherState writer(secret_of(kPsk));
  CipherState reader(secret_of(kPsk));
  Bytes sealed;
  ASSERT_TRUE(writer.encrypt({}, as_bytes("text"), sealed).ok());
  Bytes changed = sealed;
  changed[0] ^= 1;
  Bytes opened;

  const Result<Ok> refused = reader.decrypt({}, changed, opened);

  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Errc::Denied);
  EXPECT_TRUE(opened.empty());
  EXPECT_TRUE(reader.decrypt({}, sealed, opened).ok());
}

TEST(CipherState, BindsTheAssociatedData) {
  CipherState writer(secret_of(kPsk));
  CipherState reader(secret_of(kPsk));
  Bytes sealed;
  Bytes opened;
  ASSERT_TRUE(writer.encrypt(as_bytes("right"), as_bytes("text"), sealed).ok());

  EXPECT_FALSE(reader.decrypt(as_bytes("wrong"), sealed, opened).ok());
  EXPECT_TRUE(reader.decrypt(as_bytes("right"), sealed, opened).ok());
}

TEST(CipherState, RekeyChangesTheKeyAndKeepsTheNonce) {
  CipherState writer(secret_of(kPsk));
  CipherState reader = writer;
  CipherState stale = writer;
  Bytes sealed;
  Bytes opened;
  writer.set_nonce(5);
  reader.set_nonce(5);
  stale.set_nonce(5);

  writer.rekey();
  reader.rekey();
  ASSERT_TRUE(writer.encrypt({}, as_bytes("text"), sealed).ok());

  EXPECT_FALSE(stale.decrypt({}, sealed, opened).ok());
  EXPECT_TRUE(reader.decrypt({}, sealed, opened).ok());
  EXPECT_EQ(reader.nonce(), 6U);
}

TEST(CipherState, RekeyIsTheKeyTheSpecificationDerives) {
  CipherState cipher(secret_of(kPsk));
  // The first 32 bytes of ENCRYPT(k, 2^64 - 1, empty, 32 zeros), by Python's cryptography package.
  CipherState expected(
      secret_of("0f8abe4529281c26509c492341d3e213e2cfe59c20bf89744c9bd4f218392fad"));
  Bytes sealed;
  Bytes sealed_expected;

  cipher.rekey();
  ASSERT_TRUE(cipher.encrypt({}, as_bytes("text"), sealed).ok());
  ASSERT_TRUE(expected.encrypt({}, as_bytes("text"), sealed_expected).ok());

  EXPECT_EQ(sealed, sealed_expected);
}

}  // namespace
}  // namespace weft::router::noise
