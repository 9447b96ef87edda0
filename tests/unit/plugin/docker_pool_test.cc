#include "plugin/docker_pool.h"

#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

namespace weft::plugin {
namespace {

TEST(DockerPool, ItsIdSaysAllThereIsToKnow) {
  const std::vector<std::tuple<std::string, std::string, std::string>> cases = {
      {"10.32.0.0/12", "", "weft-10.32.0.0/12"},
      {"10.40.0.0/16", "10.40.1.0/24", "weft-10.40.0.0/16-10.40.1.0/24"},
      {"10.40.0.0/16", "10.40.0.0/16", "weft-10.40.0.0/16"},
      {"192.168.0.0/30", "192.168.0.2/32", "weft-192.168.0.0/30-192.168.0.2/32"},
  };
  for (const auto& [subnet, within, id] : cases) {
    const auto pool = DockerPool::make(subnet, within);
    ASSERT_TRUE(pool.ok()) << pool.error().what;
    EXPECT_EQ(pool.value().id(), id);
    EXPECT_EQ(DockerPool::from_id(id).value(), pool.value());
  }
}

TEST(DockerPool, WhatCannotBeAPoolIsRefusedNamingWhatDoesNotFit) {
  const std::vector<std::tuple<std::string, std::string, std::string>> cases = {
      {"10.40.0.5/16", "", "subnet 10.40.0.5/16 has host bits set (expected 10.40.0.0/16)"},
      {"10.40.0.0/16", "10.41.1.0/24", "ip-range 10.41.1.0/24 is not inside subnet 10.40.0.0/16"},
      {"10.40.0.0/16", "10.0.0.0/8", "ip-range 10.0.0.0/8 is not inside subnet 10.40.0.0/16"},
      {"10.40.0.0/16",
       "10.40.1.7/24",
       "ip-range 10.40.1.7/24 has host bits set (expected 10.40.1.0/24)"},
      {"fd00::/127", "", "subnet fd00::/127 has no room for containers (expected /126 or larger)"},
      {"fd00::/64", "fd01::/80", "ip-range fd01::/80 is not inside subnet fd00::/64"},
      {"fe80::/64",
       "",
       "subnet fe80::/64 overlaps fe80::/10, whose addresses no container can have"},
      {"10.0.0.0/31", "", "subnet 10.0.0.0/31 has no room for containers (expected /30 or larger)"},
      {"127.0.0.0/24",
       "",
       "subnet 127.0.0.0/24 overlaps 127.0.0.0/8, whose addresses no container can have"},
      {"224.0.1.0/24",
       "",
       "subnet 224.0.1.0/24 overlaps 224.0.0.0/3, whose addresses no container can have"},
      {"0.0.0.0/0",
       "",
       "subnet 0.0.0.0/0 overlaps 0.0.0.0/8, whose addresses no container can have"},
  };
  for (const auto& [subnet, within, what] : cases) {
    const auto pool = DockerPool::make(subnet, within);
    ASSERT_FALSE(pool.ok()) << subnet;
    EXPECT_EQ(pool.error().what, what);
  }
}

TEST(DockerPool, TextThatIsNoBlockIsRefused) {
  for (const char* id : {"",
                         "weft",
                         "weft-",
                         "weft-10.32.0.0",
                         "weft-10.32.0.0/12-",
                         "weft-10.32.0.0/12-x",
                         "10.32.0.0/12",
                         "weft-10.32.0.0/12-10.32.0.0/16-"}) {
    EXPECT_FALSE(DockerPool::from_id(id).ok()) << id;
  }
}

TEST(DockerPool, OwnersTellPoolsAndClaimedAddressesApart) {
  const DockerPool pool = DockerPool::make("10.40.0.0/16", "10.40.1.0/24").value();

  EXPECT_EQ(pool.owner(), "docker/weft-10.40.0.0/16-10.40.1.0/24");
  EXPECT_EQ(pool.owner_of(Ipv4(0x0a280107U)), "docker/weft-10.40.0.0/16-10.40.1.0/24/10.40.1.7");
}

}  // namespace
}  // namespace weft::plugin
