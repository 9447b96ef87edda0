#include "router/sealed/replay_window.h"

#include <set>

#include <gtest/gtest.h>

#include "base/rng.h"

namespace weft::router {
namespace {

TEST(ReplayWindow, TakesEachCounterOnce) {
  ReplayWindow window;
  window.accept(0);
  window.accept(5);

  EXPECT_FALSE(window.is_fresh(0));
  EXPECT_FALSE(window.is_fresh(5));
  EXPECT_TRUE(window.is_fresh(4));
  EXPECT_TRUE(window.is_fresh(6));
}

TEST(ReplayWindow, RefusesWhatIsTooOldToKnow) {
  ReplayWindow window;
  window.accept(ReplayWindow::kSize + 10);

  EXPECT_TRUE(window.is_fresh(11));
  EXPECT_FALSE(window.is_fresh(10));
  EXPECT_FALSE(window.is_fresh(0));
}

TEST(ReplayWindow, ForgetsNothingInAJumpOverTheWholeRing) {
  ReplayWindow window;
  for (std::uint64_t counter = 0; counter < 100; ++counter) {
    window.accept(counter);
  }
  const std::uint64_t far = 1ULL << 40U;
  window.accept(far);

  EXPECT_TRUE(window.is_fresh(far - 1));
  EXPECT_TRUE(window.is_fresh(far - ReplayWindow::kSize + 1));
  EXPECT_FALSE(window.is_fresh(far));
  EXPECT_FALSE(window.is_fresh(99));
}

TEST(ReplayWindow, AgreesWithASetUnderAnyOrder) {
  Rng rng(7);
  ReplayWindow window;
  std::set<std::uint64_t> seen;
  std::uint64_t highest = 0;
  for (int i = 0; i < 50000; ++i) {
    const std::uint64_t middle = static_cast<std::uint64_t>(i) * 3;
    const std::uint64_t counter = middle + rng.below(2 * ReplayWindow::kSize);
    const bool too_old = highest + 1 > counter && highest + 1 - counter > ReplayWindow::kSize;
    const bool expected = !too_old && !seen.contains(counter);

    ASSERT_EQ(window.is_fresh(counter), expected) << counter;

    if (expected) {
      window.accept(counter);
      seen.insert(counter);
      highest = std::max(highest, counter);
    }
  }
}

}  // namespace
}  // namespace weft::router
