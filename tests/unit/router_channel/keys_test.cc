#include "router/keys.h"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/rng.h"

namespace weft::router {
namespace {

PrivateKey secret_of(std::string_view hex) {
  const Bytes bytes = from_hex(hex).value();
  PrivateKey key;
  std::copy(bytes.begin(), bytes.end(), key.bytes().begin());
  return key;
}

TEST(Keys, PublicHalfIsThatOfRfc7748Section61) {
  const PrivateKey bob =
      secret_of("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");

  const KeyPair pair = KeyPair::from_secret(bob);

  EXPECT_EQ(to_hex(pair.pub), "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
}

TEST(Keys, GeneratedKeyIsWhatTheEntropyGave) {
  SeededEntropy first{Rng(1)};
  SeededEntropy again{Rng(1)};
  SeededEntropy other{Rng(2)};

  const KeyPair pair = KeyPair::generate(first);

  EXPECT_EQ(pair.pub, KeyPair::generate(again).pub);
  EXPECT_NE(pair.pub, KeyPair::generate(other).pub);
  EXPECT_NE(pair.pub, KeyPair::generate(first).pub);
}

TEST(Keys, SamePasswordStretchesToTheSameKeyOnEveryHost) {
  const Result<Psk> psk = stretch_password("correct horse battery staple");

  // Recorded from this function: a change would split every running cluster.
  ASSERT_TRUE(psk.ok());
  EXPECT_EQ(to_hex(psk.value().bytes()),
            "aa61dac04c4cb991ada2fa5a2463ac61d917dd6ca97ecc66f4b6289b85130717");
  EXPECT_NE(stretch_password("correct horse battery stapler").value().bytes(), psk.value().bytes());
}

TEST(Keys, EmptyPasswordIsRefused) {
  const Result<Psk> psk = stretch_password("");

  ASSERT_FALSE(psk.ok());
  EXPECT_EQ(psk.error().code, Errc::Invalid);
}

TEST(Keys, PasswordOfAnAbsurdLengthIsRefused) {
  EXPECT_TRUE(stretch_password(std::string(4096, 'x')).ok());

  const Result<Psk> psk = stretch_password(std::string(4097, 'x'));

  ASSERT_FALSE(psk.ok());
  EXPECT_EQ(psk.error().code, Errc::Invalid);
}

}  // namespace
}  // namespace weft::router
