// What `weft setup-cni` leaves for container runtimes.
#include <cstdlib>
#include <filesystem>
#include <future>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "agent/cni/setup.h"

namespace weft::agent {
namespace {

// As containers do that set up one host: each may be process 1 of its own.
TEST(SetupCni, MayBeDoneByManyAtOnce) {
  std::string folder = testing::TempDir() + "weft-cni-XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  CniSetup setup;
  setup.plugin_dir = folder + "/bin";
  setup.conf_dir = folder;
  std::vector<std::future<Result<Ok>>> all;
  for (int i = 0; i < 16; ++i) {
    all.push_back(std::async(std::launch::async, [&setup] {
      Result<Ok> done = Ok{};
      for (int turn = 0; turn < 50 && done.ok(); ++turn) {
        done = setup_cni(setup);
      }
      return done;
    }));
  }

  for (auto& one : all) {
    const Result<Ok> done = one.get();
    EXPECT_TRUE(done.ok()) << done.error().what;
  }

  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  EXPECT_THAT(names,
              testing::UnorderedElementsAre("bin", "weft-net", "weft-ipam", "10-weft.conflist"));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace weft::agent
