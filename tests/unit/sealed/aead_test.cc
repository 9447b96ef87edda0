// One contract for every cipher implementation of this machine.
#include "sys/aead/aead.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/rng.h"

namespace weft::sys {
namespace {

using Key = std::array<std::uint8_t, kAeadKeySize>;

Bytes sealed(const Aead& aead, std::uint64_t counter, ByteView text) {
  Key key{};
  for (std::size_t i = 0; i < key.size(); ++i) {
    key.at(i) = static_cast<std::uint8_t>(i);
  }
  Bytes out(text.size() + kAeadTagSize);
  aead.make_key(key)->seal(counter, as_bytes("ad"), text, out.data());
  return out;
}

TEST(Aead, ThereIsAnImplementationOfEachCipher) {
  bool gcm = false;
  bool chacha = false;
  for (const auto& aead : aead_backends()) {
    gcm = gcm || aead->cipher() == CipherId::Aes256Gcm;
    chacha = chacha || aead->cipher() == CipherId::ChaCha20Poly1305;
  }
  EXPECT_TRUE(gcm);
  EXPECT_TRUE(chacha);
}

TEST(Aead, ImplementationsOfOneCipherAgreeOnEverySize) {
  const auto backends = aead_backends();
  Bytes text(1500);
  Rng rng(3);
  for (std::uint8_t& octet : text) {
    octet = static_cast<std::uint8_t>(rng.next());
  }
  for (const auto& first : backends) {
    for (const auto& second : backends) {
      if (first->cipher() != second->cipher()) {
        continue;
      }
      for (const std::size_t size : {0U, 1U, 15U, 16U, 17U, 64U, 255U, 1400U, 1499U}) {
        const ByteView part = ByteView(text).first(size);
        EXPECT_EQ(sealed(*first, size << 33U, part), sealed(*second, size << 33U, part))
            << first->name() << " and " << second->name() << ", " << size << " octets";
      }
    }
  }
}

TEST(Aead, OpensWhatWasSealedAndNothingElse) {
  for (const auto& aead : aead_backends()) {
    const Bytes text(100, 42);
    const auto key = aead->make_key(Key{1});
    Bytes out(text.size() + kAeadTagSize);
    Bytes opened(text.size());
    key->seal(7, as_bytes("ad"), text, out.data());

    EXPECT_TRUE(key->open(7, as_bytes("ad"), out, opened.data())) << aead->name();
    EXPECT_EQ(opened, text);
    EXPECT_FALSE(key->open(8, as_bytes("ad"), out, opened.data()));
    EXPECT_FALSE(key->open(7, as_bytes("da"), out, opened.data()));
    EXPECT_FALSE(aead->make_key(Key{2})->open(7, as_bytes("ad"), out, opened.data()));
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] ^= 0x80U;
      EXPECT_FALSE(key->open(7, as_bytes("ad"), out, opened.data())) << aead->name() << i;
      out[i] ^= 0x80U;
    }
  }
}

TEST(Aead, ChoosesOneImplementationOfEachCipherFastestFirst) {
  const SystemClock clock;

  const std::vector<MeasuredAead> chosen = choose_aeads(clock);

  ASSERT_EQ(chosen.size(), 2U);
  EXPECT_NE(chosen[0].aead->cipher(), chosen[1].aead->cipher());
  EXPECT_GE(chosen[0].bytes_per_second, chosen[1].bytes_per_second);
}

}  // namespace
}  // namespace weft::sys
