#include "control/catalog.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::control {
namespace {

using testing::ElementsAre;

std::vector<std::string> applicable(ContainerPhase phase) {
  std::vector<std::string> ids;
  for (const Control& control : controls()) {
    if (applies(control, phase)) {
      ids.emplace_back(control.label);
    }
  }
  return ids;
}

TEST(Catalog, OffersWhatMakesSenseInEachPhaseAsScopeDoes) {
  EXPECT_THAT(applicable(ContainerPhase::Running),
              ElementsAre("Logs", "Attach", "Exec shell", "Restart", "Pause", "Stop"));
  EXPECT_THAT(applicable(ContainerPhase::Paused), ElementsAre("Logs", "Unpause"));
  EXPECT_THAT(applicable(ContainerPhase::Stopped), ElementsAre("Logs", "Start", "Remove"));
}

TEST(Catalog, AsksBeforeWhatCannotBeUndone) {
  for (const char* id :
       {"docker_stop_container", "docker_restart_container", "docker_remove_container"}) {
    EXPECT_NE(find_control(id)->confirmation, "") << id;
  }
}

TEST(Catalog, KeepsShellsAndRemovalForAdministrators) {
  for (const char* id : {"docker_exec_container",
                         "docker_attach_container",
                         "docker_remove_container",
                         "host_exec"}) {
    EXPECT_EQ(find_control(id)->role, Role::Admin) << id;
  }
  EXPECT_EQ(find_control("docker_restart_container")->role, Role::Operator);
}

TEST(Catalog, KnowsItsRolesByName) {
  for (const Role role : {Role::Viewer, Role::Operator, Role::Admin}) {
    EXPECT_EQ(parse_role(text_of(role)), role);
  }
  EXPECT_FALSE(parse_role("root").has_value());
  EXPECT_LT(Role::Viewer, Role::Operator);
  EXPECT_LT(Role::Operator, Role::Admin);
}

}  // namespace
}  // namespace weft::control
