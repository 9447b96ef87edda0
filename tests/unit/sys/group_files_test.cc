#include "sys/cgroup/group_files.h"

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::sys {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

TEST(GroupMounts, AreThoseOfControlGroupsAlone) {
  const auto mounts = parse_group_mounts(
      "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
      "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 master:2 - cgroup cgroup "
      "rw,cpu,cpuacct\n"
      "41 31 0:38 /docker/a /run/with\\040blank rw - cgroup2 cgroup2 rw,nsdelegate\n");

  ASSERT_THAT(mounts, SizeIs(2));
  EXPECT_EQ(mounts[0],
            (GroupMount{.is_v2 = false,
                        .controllers = "rw,cpu,cpuacct",
                        .root = "/",
                        .point = "/sys/fs/cgroup/cpu,cpuacct"}));
  EXPECT_TRUE(mounts[0].has_controller("cpuacct"));
  EXPECT_FALSE(mounts[0].has_controller("cpuset"));
  EXPECT_TRUE(mounts[1].is_v2);
  EXPECT_EQ(mounts[1].root, "/docker/a");
  EXPECT_EQ(mounts[1].point, "/run/with blank");
}

TEST(GroupMounts, LeaveOutLinesThatAreNone) {
  EXPECT_THAT(parse_group_mounts(""), IsEmpty());
  EXPECT_THAT(parse_group_mounts("\n\n   \n- - - -"), IsEmpty());
  EXPECT_THAT(parse_group_mounts("1 2 0:3 / /mnt rw cgroup cgroup rw,cpu"), IsEmpty());
  EXPECT_THAT(parse_group_mounts("1 2 0:3 relative /mnt rw - cgroup cgroup rw,cpu"), IsEmpty());
  EXPECT_EQ(parse_group_mounts("1 2 0:3 / /a\\777\\04\\ rw - cgroup2 c rw").front().point,
            "/a\\777\\04\\")
      << "no octets";
}

TEST(GroupMounts, SayWhereAGroupIs) {
  const GroupMount all{.is_v2 = true, .controllers = "", .root = "/", .point = "/cg"};
  const GroupMount part{.is_v2 = true, .controllers = "", .root = "/docker", .point = "/cg"};

  EXPECT_EQ(all.folder_of("/docker/a"), "/cg/docker/a");
  EXPECT_EQ(part.folder_of("/docker/a"), "/cg/a");
  EXPECT_EQ(part.folder_of("/docker"), "/cg");
  EXPECT_EQ(part.folder_of("/dockers/a"), std::nullopt);
  EXPECT_EQ(part.folder_of("/system.slice"), std::nullopt);
}

TEST(GroupMounts, DoNotFollowAPathThatLeadsOutOfThem) {
  const GroupMount all{.is_v2 = true, .controllers = "", .root = "/", .point = "/cg"};
  const GroupMount outside{.is_v2 = true, .controllers = "", .root = "/../..", .point = "/cg"};

  EXPECT_EQ(all.folder_of("/../a"), std::nullopt);
  EXPECT_EQ(all.folder_of("/a/.."), std::nullopt);
  EXPECT_EQ(all.folder_of("a"), std::nullopt);
  EXPECT_EQ(all.folder_of(""), std::nullopt);
  EXPECT_EQ(outside.folder_of("/../../a"), std::nullopt);
  EXPECT_EQ(all.folder_of("/a..b/..."), "/cg/a..b/...");
}

TEST(GroupNumbers, AreWholeOrNone) {
  EXPECT_EQ(parse_group_number("123\n"), 123U);
  EXPECT_EQ(parse_group_number("18446744073709551615\n"),
            std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(parse_group_number("18446744073709551616\n"), std::nullopt);
  EXPECT_EQ(parse_group_number("max\n"), std::nullopt);
  EXPECT_EQ(parse_group_number("-1\n"), std::nullopt);
  EXPECT_EQ(parse_group_number("12 34\n"), std::nullopt);
  EXPECT_EQ(parse_group_number(""), std::nullopt);
}

TEST(GroupKeys, AreWholeWordsThatBeginALine) {
  const std::string_view stat = "inactive_file 7\ntotal_inactive_file 9\nodd\nempty \nlast 3";

  EXPECT_EQ(parse_group_key(stat, "inactive_file"), 7U);
  EXPECT_EQ(parse_group_key(stat, "total_inactive_file"), 9U);
  EXPECT_EQ(parse_group_key(stat, "last"), 3U);
  EXPECT_EQ(parse_group_key(stat, "inactive"), std::nullopt);
  EXPECT_EQ(parse_group_key(stat, "odd"), std::nullopt);
  EXPECT_EQ(parse_group_key(stat, "empty"), std::nullopt);
  EXPECT_EQ(parse_group_key("", "last"), std::nullopt);
}

TEST(GroupDisksText, IsSummedUpOverDevices) {
  EXPECT_EQ(parse_group_disks("8:0 Read 4096\n8:0 Write 10\n8:0 Sync 1\n8:16 Read 4\nTotal 4111\n"),
            (GroupDisks{.read_bytes = 4100, .written_bytes = 10}));
  EXPECT_EQ(parse_group_disks("8:0 rbytes=7 wbytes=5 rios=1 wios=1\n259:1 wbytes=1 rbytes=1\n"),
            (GroupDisks{.read_bytes = 8, .written_bytes = 6}));
}

TEST(GroupDisksText, CountsForNothingWhereItIsNotAsDocumented) {
  EXPECT_EQ(parse_group_disks(""), GroupDisks{});
  EXPECT_EQ(parse_group_disks("Total 0\n"), GroupDisks{});
  EXPECT_EQ(parse_group_disks("8:0 Read\n8:0 Write x\n8:0 rbytes= wbytes=-3\n"), GroupDisks{});
  EXPECT_EQ(parse_group_disks("a rbytes=18446744073709551615\nb rbytes=5\n").read_bytes,
            std::numeric_limits<std::uint64_t>::max());
}

}  // namespace
}  // namespace weft::sys
