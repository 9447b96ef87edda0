#include "probe/mask.h"

#include <gtest/gtest.h>

namespace weft::probe {
namespace {

TEST(Mask, HidesTheValueOfASecretFlag) {
  EXPECT_EQ(mask_command("db --password=hunter2 --port=1"), "db --password=*** --port=1");
  EXPECT_EQ(mask_command("db --api-key hunter2 run"), "db --api-key *** run");
  EXPECT_EQ(mask_command("env DB_PASSWORD=hunter2 db"), "env DB_PASSWORD=*** db");
}

TEST(Mask, HidesThePasswordOfAUrl) {
  EXPECT_EQ(mask_command("psql postgres://me:hunter2@db/app"), "psql postgres://me:***@db/app");
  EXPECT_EQ(mask_command("curl http://host:80/a@b"), "curl http://host:80/a@b");
}

TEST(Mask, LeavesTheRestAsItIs) {
  EXPECT_EQ(mask_command("weft agent --password-file /etc/weft/password"),
            "weft agent --password-file /etc/weft/password");
  EXPECT_EQ(mask_command("  sleep   1 "), "  sleep   1 ");
  EXPECT_EQ(mask_command(""), "");
}

}  // namespace
}  // namespace weft::probe
