#include "probe/container_id.h"

#include <gtest/gtest.h>

namespace weft::probe {
namespace {

const std::string kId(64, 'a');

std::optional<ContainerId> in(std::string cgroup, std::string root = {}) {
  ObservedProcess process;
  process.name = "server";
  process.cgroup = std::move(cgroup);
  process.root = std::move(root);
  return container_of(process, "h1");
}

TEST(ContainerIds, AreWhatEnginesCallThem) {
  EXPECT_EQ(in("/docker/" + kId, "801-2"), (ContainerId{kId, kId.substr(0, 12)}));
  EXPECT_EQ(in("/machine.slice/libpod-" + kId + ".scope")->id, kId);
}

TEST(ContainerIds, AreNamesOfCgroupsOnTheirHost) {
  EXPECT_EQ(in("/lxc.payload.web/system.slice/cron.service"), (ContainerId{"web@h1", "web"}));
  EXPECT_EQ(in("/lxc/old/init.scope"), (ContainerId{"old@h1", "old"}));
  EXPECT_EQ(in("/machine.slice/machine-deb.scope/payload"), (ContainerId{"deb@h1", "deb"}));
  EXPECT_EQ(in("/machine.slice/systemd-nspawn@deb.service"), (ContainerId{"deb@h1", "deb"}));
  EXPECT_EQ(in("/system.slice/runc-job.scope"), (ContainerId{"job@h1", "job"}));
  EXPECT_EQ(in("/lxc.payload.outer/lxc.payload.inner"), (ContainerId{"inner@h1", "inner"}));
}

TEST(ContainerIds, AreRootsWhereThereIsNothingElse) {
  EXPECT_EQ(in("/user.slice/session-1.scope", "801-2"), (ContainerId{"root-801-2@h1", "server"}));
}

TEST(GroupsOfContainers, AreThosePartsOfPathsThatNameThem) {
  EXPECT_EQ(group_of_container("/docker/" + kId), "/docker/" + kId);
  EXPECT_EQ(group_of_container("/docker/" + kId + "/init.scope/x"), "/docker/" + kId);
  EXPECT_EQ(group_of_container("/machine.slice/libpod-" + kId + ".scope/container"),
            "/machine.slice/libpod-" + kId + ".scope");
  EXPECT_EQ(group_of_container("/docker/" + kId + "/docker/" + std::string(64, 'c') + "/a"),
            "/docker/" + kId + "/docker/" + std::string(64, 'c'));
  EXPECT_EQ(group_of_container("/lxc.payload.web/system.slice"), "/lxc.payload.web");
  EXPECT_EQ(group_of_container("/lxc/old/init.scope"), "/lxc/old");
  EXPECT_EQ(group_of_container("/lxc.payload.outer/lxc.payload.inner/x"),
            "/lxc.payload.outer/lxc.payload.inner");
}

TEST(GroupsOfContainers, AreNoneOfTheHosts) {
  EXPECT_EQ(group_of_container("/user.slice/session-1.scope"), "");
  EXPECT_EQ(group_of_container("/"), "");
  EXPECT_EQ(group_of_container(""), "");
}

TEST(ContainerIds, AreNotThoseOfTheHostsOwnPrograms) {
  EXPECT_EQ(in("/user.slice/session-1.scope"), std::nullopt);
  EXPECT_EQ(in("/lxc.monitor.web"), std::nullopt);
  EXPECT_EQ(in("/machine.slice/machine-qemu\\x2d1.scope"), std::nullopt) << "a virtual machine";
  EXPECT_EQ(in("/lxc"), std::nullopt);
  EXPECT_EQ(in("/system.slice/runc-.scope"), std::nullopt);
  EXPECT_EQ(in(""), std::nullopt);
}

}  // namespace
}  // namespace weft::probe
