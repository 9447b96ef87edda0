#include "agent/http/remote_access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::agent {
namespace {

using testing::HasSubstr;

constexpr std::string_view kToken = "sixteen-and-more";

sys::HttpRequest with(const std::string& authorization, const std::string& origin = "") {
  return {.id = RequestId(1),
          .method = "GET",
          .target = "/status",
          .body = "",
          .host = "10.0.0.1:6784",
          .origin = origin,
          .authorization = authorization};
}

TEST(RemoteAccess, IsForWhoBringsTheToken) {
  EXPECT_FALSE(refuse_without_token(with("Bearer sixteen-and-more"), kToken));
}

TEST(RemoteAccess, IsRefusedWithoutTheWholeToken) {
  for (const auto* given : {"",
                            "sixteen-and-more",
                            "Bearer ",
                            "Bearer sixteen-and-mor",
                            "Bearer sixteen-and-more ",
                            "Bearer Sixteen-and-more",
                            "Basic sixteen-and-more"}) {
    const auto refusal = refuse_without_token(with(given), kToken);

    ASSERT_TRUE(refusal) << given;
    EXPECT_EQ(refusal->status, 401U) << given;
    EXPECT_THAT(refusal->body, HasSubstr("Bearer"));
  }
}

TEST(RemoteAccess, IsNotForWebPagesEvenWithTheToken) {
  const auto refusal =
      refuse_without_token(with("Bearer sixteen-and-more", "https://evil.example"), kToken);

  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->status, 403U);
}

}  // namespace
}  // namespace weft::agent
