#include "sys/lifetime.h"

#include <memory>
#include <optional>
#include <utility>

#include <gtest/gtest.h>

namespace weft::sys {
namespace {

TEST(Lifetime, LetsHandlersRunWhileTheOwnerLives) {
  const Lifetime lifetime;
  int seen = 0;
  auto handler = lifetime.guard([&](int value) { seen = value; });
  handler(3);
  EXPECT_EQ(seen, 3);
}

TEST(Lifetime, SilencesHandlersThatWereQueuedBeforeTheOwnerWent) {
  std::optional<Lifetime> lifetime(std::in_place);
  int calls = 0;
  auto handler = lifetime->guard([&] { ++calls; });
  lifetime.reset();
  handler();
  EXPECT_EQ(calls, 0);
}

TEST(Lifetime, HandsOverWhatCanOnlyBeMoved) {
  const Lifetime lifetime;
  std::unique_ptr<int> taken;
  auto handler = lifetime.guard([&, kept = std::make_unique<int>(1)](std::unique_ptr<int> given) {
    *kept += *given;
    taken = std::move(given);
  });
  handler(std::make_unique<int>(4));
  ASSERT_NE(taken, nullptr);
  EXPECT_EQ(*taken, 4);
}

}  // namespace
}  // namespace weft::sys
