// The program that containers made through the proxy begin with, in a network namespace that this
// test lays out.
#include "plugin/proxy/io/wait_program.h"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/posix/descriptor.h"

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
  std::optional<int> run(const std::string& network, int patience_ms) const {
    const std::string program = folder_ / "w";
    const std::string script = network + " && exec " + program + " sh -c 'exit 7'";
    const ::pid_t child = ::fork();
    if (child == 0) {
      if (::unshare(CLONE_NEWNET) == 0) {
        ::execl("/bin/sh", "sh", "-c", script.c_str(), nullptr);
      }
      ::_exit(kNoNetwork);
    }
    const sys::Descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
    pollfd end{.fd = process.get(), .events = POLLIN, .revents = 0};
    const bool has_ended = ::poll(&end, 1, patience_ms) == 1;
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    return has_ended ? std::optional(WEXITSTATUS(status)) : std::nullopt;
  }

  std::filesystem::path folder_;
};

constexpr const char* kInterface =
    "ip link add ethwe type veth peer name other && ip link set ethwe up";

TEST_F(WaitProgramTest, WaitsForTheRouteOfMulticastAndBecomesTheCommand) {
  EXPECT_EQ(run(std::string(kInterface) + " && ip route add 10.0.0.0/8 dev ethwe", 1'000),
            std::nullopt);
  EXPECT_EQ(run(std::string(kInterface) + " && ip route add 224.0.0.0/4 dev ethwe", 30'000), 7);
}

TEST_F(WaitProgramTest, FindsTheRouteBehindHundredsOfOthers) {
  EXPECT_EQ(run(std::string(kInterface)
                    + " && for i in $(seq 0 199); do echo route add 10.$i.0.0/16 dev ethwe; done |"
                      " ip -batch - && ip route add 224.0.0.0/4 dev ethwe",
                30'000),
            7);
}

}  // namespace
}  // namespace weft::plugin::proxy
