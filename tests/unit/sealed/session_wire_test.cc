#include "router/sealed/session_wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::router {
namespace {

using enum CipherId;
using testing::ElementsAre;

Psk psk_of(std::uint8_t octet) {
  Psk psk;
  psk.bytes().fill(octet);
  return psk;
}

const PublicKey kKey{1, 2, 3};
const Endpoint kFrom{Ipv4(0xc6120001), 6783};

TEST(SessionWire, DataHeaderHasFixedOctets) {
  Bytes datagram(kDataHeaderSize + kAeadTagSize);

  write_data_header({.receiver = 0x01020304, .counter = 0x05060708090a0b0c}, datagram.data());

  EXPECT_EQ(to_hex(ByteView(datagram).first(kDataHeaderSize)), "040000000102030405060708090a0b0c");
  EXPECT_EQ(read_data_header(datagram),
            (DataHeader{.receiver = 0x01020304, .counter = 0x05060708090a0b0c}));
}

TEST(SessionWire, DataHeaderNamesItsLaneInTheSecondOctet) {
  Bytes datagram(kDataHeaderSize + kAeadTagSize);

  write_data_header({.receiver = 7, .counter = 9, .lane = Lane::Express}, datagram.data());

  EXPECT_EQ(to_hex(ByteView(datagram).first(4)), "04010000");
  EXPECT_EQ(read_data_header(datagram).value().lane, Lane::Express);
  datagram[1] = 2;
  EXPECT_EQ(read_data_header(datagram).value().lane, Lane::Kernel);
}

TEST(SessionWire, DataHeaderOfAnotherTypeOrSizeIsNone) {
  Bytes datagram(kDataHeaderSize + kAeadTagSize);
  write_data_header({}, datagram.data());
  Bytes reserved = datagram;
  reserved[2] = 1;
  Bytes unknown_lane = datagram;
  unknown_lane[1] = 3;

  EXPECT_FALSE(read_data_header(ByteView(datagram).first(datagram.size() - 1)));
  EXPECT_FALSE(read_data_header(reserved));
  EXPECT_FALSE(read_data_header(unknown_lane));
  EXPECT_FALSE(read_data_header({}));
}

TEST(SessionWire, ProposalAndChoiceComeBack) {
  const Proposal proposal{
      .incarnation = 3, .serial = 9, .ciphers = {ChaCha20Poly1305, Aes256Gcm}, .clear = true};
  const Choice choice{.cipher = ChaCha20Poly1305, .clear = true};
  const Proposal with_esp{.ciphers = {Aes256Gcm}, .clear = false, .esp = true};
  const Choice chosen_esp{.cipher = Aes256Gcm, .clear = false, .esp = true};
  const Proposal with_lane{.ciphers = {Aes256Gcm}, .lane = true};
  const Choice chosen_lane{.cipher = Aes256Gcm, .lane = true};

  EXPECT_EQ(decode_proposal(encode(proposal)).value(), proposal);
  EXPECT_EQ(decode_choice(encode(choice)).value(), choice);
  EXPECT_EQ(decode_proposal(encode(with_esp)).value(), with_esp);
  EXPECT_EQ(decode_choice(encode(chosen_esp)).value(), chosen_esp);
  EXPECT_EQ(decode_proposal(encode(with_lane)).value(), with_lane);
  EXPECT_EQ(decode_choice(encode(chosen_lane)).value(), chosen_lane);
}

TEST(SessionWire, CiphersOfALaterVersionAreLeftOut) {
  Bytes bytes = encode(Proposal{.ciphers = {Aes256Gcm}});
  bytes[17] = 99;

  EXPECT_THAT(decode_proposal(bytes).value().ciphers, ElementsAre(Aes256Gcm));
  EXPECT_EQ(decode_choice(Bytes{99, 0}).error().code, Errc::Invalid);
}

TEST(SessionWire, ChoosesTheCipherBothDoBest) {
  EXPECT_EQ(choose_cipher({Aes256Gcm, ChaCha20Poly1305}, {Aes256Gcm, ChaCha20Poly1305}), Aes256Gcm);
  EXPECT_EQ(choose_cipher({Aes256Gcm, ChaCha20Poly1305}, {ChaCha20Poly1305}), ChaCha20Poly1305);
  EXPECT_EQ(choose_cipher({ChaCha20Poly1305}, {Aes256Gcm}), std::nullopt);
}

TEST(HandshakeCodes, OnlyMembersWithTheKeyMakeTheFirst) {
  const HandshakeCodes ours(psk_of(1), kKey);
  Bytes datagram(40, 9);
  ours.append(datagram, std::nullopt);

  EXPECT_TRUE(ours.has_first(datagram));
  EXPECT_FALSE(HandshakeCodes(psk_of(2), kKey).has_first(datagram));
  EXPECT_FALSE(HandshakeCodes(psk_of(1), PublicKey{4}).has_first(datagram));
  datagram[0] ^= 1U;
  EXPECT_FALSE(ours.has_first(datagram));
  EXPECT_FALSE(ours.has_first(Bytes(3)));
}

TEST(HandshakeCodes, ACookieLetsTheSecondBeMade) {
  SeededEntropy entropy{Rng(1)};
  const HandshakeCodes codes(psk_of(1), kKey);
  const Code cookie = cookie_for(psk_of(7), kFrom);
  Bytes datagram(40, 9);
  const Code first = codes.append(datagram, std::nullopt);
  ASSERT_FALSE(HandshakeCodes::has_second(datagram, cookie));

  const CookieReply reply = codes.seal_cookie(cookie, datagram, 5, entropy);
  const Code learned = codes.open_cookie(decode_cookie(encode(reply)).value(), first).value();
  Bytes again(40, 9);
  codes.append(again, learned);

  EXPECT_TRUE(HandshakeCodes::has_second(again, cookie));
  EXPECT_FALSE(HandshakeCodes::has_second(again, cookie_for(psk_of(7), {kFrom.address, 1})));
}

TEST(HandshakeCodes, ACookieForAnotherDatagramIsRefused) {
  SeededEntropy entropy{Rng(1)};
  const HandshakeCodes codes(psk_of(1), kKey);
  Bytes datagram(40, 9);
  codes.append(datagram, std::nullopt);
  const CookieReply reply = codes.seal_cookie(Code{1}, datagram, 5, entropy);

  EXPECT_EQ(codes.open_cookie(reply, Code{2}).error().code, Errc::Denied);
}

}  // namespace
}  // namespace weft::router
