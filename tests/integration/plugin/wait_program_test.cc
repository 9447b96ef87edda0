// The program that containers made through the proxy begin with, in a network namespace that this
// test lays out.
#include "plugin/proxy/io/wait_program.h"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

namespace weft::plugin::proxy {
namespace {

constexpr int kNoNetwork = 99;

class WaitProgramTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "weft-wait-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    ASSERT_TRUE(install_wait_program(folder_).ok());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // With a network that the commands lay out; how it ended, or nothing if it still waits.
  std::optional<int> run(const std::string& network, std::chrono::seconds patience) const {
    const std::string program = folder_ / "w";
    const ::pid_t child = ::fork();
    if (child == 0) {
      const bool has_network = ::unshare(CLONE_NEWNET) == 0 && std::system(network.c_str()) == 0;
      if (has_network) {
        ::execl(program.c_str(), program.c_str(), "sh", "-c", "exit 7", nullptr);
      }
      ::_exit(kNoNetwork);
    }
    const auto end = std::chrono::steady_clock::now() + patience;
    int status = 0;
    while (::waitpid(child, &status, WNOHANG) == 0) {
      if (std::chrono::steady_clock::now() > end) {
        ::kill(child, SIGKILL);
        ::waitpid(child, &status, 0);
        return std::nullopt;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return WEXITSTATUS(status);
  }

  std::filesystem::path folder_;
};

constexpr const char* kInterface =
    "ip link add ethwe type veth peer name other && ip link set ethwe up";

TEST_F(WaitProgramTest, WaitsForTheRouteOfMulticastAndBecomesTheCommand) {
  EXPECT_EQ(run(std::string(kInterface) + " && ip route add 10.0.0.0/8 dev ethwe",
                std::chrono::seconds(1)),
            std::nullopt);
  EXPECT_EQ(run(std::string(kInterface) + " && ip route add 224.0.0.0/4 dev ethwe",
                std::chrono::seconds(30)),
            7);
}

TEST_F(WaitProgramTest, FindsTheRouteBehindHundredsOfOthers) {
  EXPECT_EQ(run(std::string(kInterface)
                    + " && for i in $(seq 0 199); do echo route add 10.$i.0.0/16 dev ethwe; done |"
                      " ip -batch - && ip route add 224.0.0.0/4 dev ethwe",
                std::chrono::seconds(30)),
            7);
}

}  // namespace
}  // namespace weft::plugin::proxy
