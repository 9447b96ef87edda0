#include "tests/integration/datapath/namespace.h"

#include <cstdlib>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include "base/assert.h"

namespace weft::test {

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

int Namespace::shell(const std::string& command) {
  return run([&command] { return std::system(command.c_str()); });
}

void Namespace::must(const std::string& command) {
  EXPECT_EQ(shell(command), 0) << command;
}

}  // namespace weft::test
