#include "sys/posix/host_paths.h"

#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>

#include "base/assert.h"

namespace weft::sys {
namespace {

namespace fs = std::filesystem;

class HostPathsTest : public testing::Test {
 protected:
  HostPathsTest() {
    std::string name = fs::temp_directory_path() / "weft-root-XXXXXX";
    WEFT_ASSERT(::mkdtemp(name.data()) != nullptr);
    root_ = name;
    fs::create_directories(root_ / "etc");
    fs::create_directories(root_ / "run/resolver");
    fs::create_directories(root_ / "var");
  }
  ~HostPathsTest() override {
    std::error_code ignored;  // Nothing depends on the removal.
    fs::remove_all(root_, ignored);
  }

  std::string here(const std::string& path) const {
    return HostPaths{.root = root_, .proc = "/outer/proc"}.here(path);
  }
  std::string below(const std::string& path) const { return root_.string() + path; }

  fs::path root_;
};

TEST_F(HostPathsTest, AreTheirOwnOutsideOfAContainer) {
  const HostPaths host;

  EXPECT_EQ(host.here("/etc/resolv.conf"), "/etc/resolv.conf");
  EXPECT_EQ(host.here("/proc/7/ns/net"), "/proc/7/ns/net");
  EXPECT_EQ(host.of_process(7, "ns/net"), "/proc/7/ns/net");
}

TEST_F(HostPathsTest, AreBelowTheRootWhetherTheyExistOrNot) {
  EXPECT_EQ(here("/etc"), below("/etc"));
  EXPECT_EQ(here("/run/weft/weft.sock"), below("/run/weft/weft.sock"));
  EXPECT_EQ(here("/"), below("/"));
}

TEST_F(HostPathsTest, OfProcessesAreInTheGivenProc) {
  const HostPaths host{.root = root_, .proc = "/outer/proc"};

  EXPECT_EQ(host.here("/proc/7/ns/net"), "/outer/proc/7/ns/net");
  EXPECT_EQ(host.of_process(7, "ns/net"), "/outer/proc/7/ns/net");
}

TEST_F(HostPathsTest, FollowAbsoluteLinksInsideTheRoot) {
  fs::create_symlink("/run/resolver/stub.conf", root_ / "etc/resolv.conf");
  fs::create_directory_symlink("/run", root_ / "var/run");

  EXPECT_EQ(here("/etc/resolv.conf"), below("/run/resolver/stub.conf"));
  EXPECT_EQ(here("/var/run/netns/blue"), below("/run/netns/blue"));
}

TEST_F(HostPathsTest, FollowRelativeLinksThatCannotLeaveTheRoot) {
  fs::create_symlink("../run/resolver/stub.conf", root_ / "etc/resolv.conf");
  fs::create_symlink("../../../../../etc/shadow", root_ / "run/escape");

  EXPECT_EQ(here("/etc/resolv.conf"), below("/run/resolver/stub.conf"));
  EXPECT_EQ(here("/run/escape"), below("/etc/shadow"));
}

TEST_F(HostPathsTest, EndWhereLinksLeadInACircle) {
  fs::create_symlink("/etc/b", root_ / "etc/a");
  fs::create_symlink("/etc/a", root_ / "etc/b");

  EXPECT_TRUE(here("/etc/a").starts_with(below("/etc/")));
}

}  // namespace
}  // namespace weft::sys
