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
