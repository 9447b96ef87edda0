#include "tests/integration/datapath/namespace.h"

#include <array>

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"

namespace weft::test {

namespace {

// The exit status, or -1 if the command could not be started or was killed.
int run_shell(std::string command) {
  std::string shell = "sh";
  std::string option = "-c";
  std::array<char*, 4> words{shell.data(), option.data(), command.data(), nullptr};
  pid_t child = 0;
  int status = 0;
  {
    const std::lock_guard lock(Namespace::starting());
    if (posix_spawn(&child, "/bin/sh", nullptr, nullptr, words.data(), environ) != 0) {
      return -1;
    }
  }
  if (waitpid(child, &status, 0) != child || !WIFEXITED(status)) {
    return -1;
  }
  return WEXITSTATUS(status);
}

}  // namespace

Namespace::Namespace() : work_(context_.get_executor()) {
  std::promise<std::string> ready;
  thread_ = std::thread([this, &ready] {
    const bool entered = unshare(CLONE_NEWNET) == 0;
    WEFT_ASSERT(entered);  // These tests need root.
    ready.set_value(fmt::format("/proc/{}/task/{}/ns/net", getpid(), gettid()));
    context_.run();
  });
  path_ = ready.get_future().get();
  must("ip link set lo up");
}

Namespace::~Namespace() {
  work_.reset();
  context_.stop();
  thread_.join();
}

std::mutex& Namespace::starting() {
  static std::mutex mutex;
  return mutex;
}

// On a thread of its own: what lives in the namespace goes on working meanwhile.
int Namespace::shell(const std::string& command) {
  return std::async(std::launch::async,
                    [&] {
                      const int fd = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
                      const bool entered = setns(fd, CLONE_NEWNET) == 0;
                      WEFT_ASSERT(entered);
                      close(fd);
                      return run_shell(command);
                    })
      .get();
}

void Namespace::must(const std::string& command) {
  EXPECT_EQ(shell(command), 0) << command;
}

}  // namespace weft::test
