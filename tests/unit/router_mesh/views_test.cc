#include "router/overlay/views.h"

#include <chrono>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::router {
namespace {

using std::chrono::seconds;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr TimePoint kStart{};

std::vector<Views::Link> links(std::size_t count, std::size_t degree) {
  std::vector<Views::Link> found;
  for (std::size_t i = 1; i <= count; ++i) {
    found.push_back({.peer = PeerName(i), .degree = degree});
  }
  return found;
}

TEST(Views, ASmallClusterIsFullyMeshed) {
  const Views views({}, Rng(1));

  EXPECT_TRUE(views.is_full_mesh(8));
  EXPECT_EQ(views.wanted(6, 0, 8), 1U);
  EXPECT_EQ(views.wanted(7, 0, 8), 0U);
}

TEST(Views, ALargeOneIsNotAndFewAreSoughtAtATime) {
  const Views views({}, Rng(1));

  EXPECT_EQ(views.wanted(0, 0, 1000), 2U);
  EXPECT_EQ(views.wanted(1, 1, 1000), 1U);
  EXPECT_EQ(views.wanted(2, 0, 1000), 1U);  // Two are enough to be safe: the rest has time.
  EXPECT_EQ(views.wanted(3, 1, 1000), 0U);
  EXPECT_EQ(views.wanted(5, 0, 1000), 0U);
  EXPECT_EQ(views.wanted(9, 0, 1000), 0U);
}

TEST(Views, WhoHasLinksIsLetInUpToTheLimitAndWhoHasNoneALittleBeyond) {
  const Views views({}, Rng(1));

  EXPECT_TRUE(views.admits(7, Views::Standing::Linked, 1000));
  EXPECT_FALSE(views.admits(8, Views::Standing::Linked, 1000));
  EXPECT_TRUE(views.admits(8, Views::Standing::Alone, 1000));
  EXPECT_FALSE(views.admits(12, Views::Standing::Alone, 1000));
}

TEST(Views, WhoRefusedIsNotAskedAgainForAWhile) {
  Views views({}, Rng(1));
  views.avoid(kStart, PeerName(7));

  EXPECT_THAT(views.choose(kStart, {{PeerName(7), 1}}, 3), IsEmpty());
  EXPECT_THAT(views.choose(kStart + seconds(10), {{PeerName(7), 1}}, 3), SizeIs(1));
}

TEST(Views, AboveTheLimitALinkIsGivenUpThatNobodyNeeds) {
  Views views({}, Rng(1));
  EXPECT_EQ(views.spare(links(8, 6), 1000), std::nullopt);
  EXPECT_EQ(views.spare(links(9, 4), 1000), std::nullopt);  // The others have too few.
  EXPECT_EQ(views.spare(links(9, 5), 1000), std::nullopt);  // They would look for another.

  std::vector<Views::Link> many = links(9, 6);
  for (Views::Link& link : many) {
    link.is_target = link.peer != PeerName(4);
  }

  EXPECT_EQ(views.spare(many, 1000), PeerName(4));
}

TEST(Views, ABranchOfTheTreeIsTheLastToGo) {
  Views views({}, Rng(1));
  std::vector<Views::Link> many = links(9, 6);
  for (Views::Link& link : many) {
    link.is_branch = link.peer != PeerName(5);
  }

  EXPECT_EQ(views.spare(many, 1000), PeerName(5));
}

}  // namespace
}  // namespace weft::router
