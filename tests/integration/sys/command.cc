#include "tests/integration/sys/command.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace weft::sys {
namespace {

struct Outcome {
  int status = -1;
  std::string output;
};

Outcome execute(const std::string& command) {
  Outcome outcome;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) {
    return outcome;
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
  std::string shell = "sh";
  std::string option = "-c";
  std::string text = command;
  char* const arguments[] = {shell.data(), option.data(), text.data(), nullptr};
  pid_t child = 0;
  const int spawned = ::posix_spawn(&child, "/bin/sh", &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  char buffer[4096];
  ssize_t size = 0;
  while ((size = ::read(ends[0], buffer, sizeof buffer)) > 0) {
    outcome.output.append(buffer, static_cast<std::size_t>(size));
  }
  ::close(ends[0]);
  if (spawned == 0) {
    ::waitpid(child, &outcome.status, 0);
  }
  return outcome;
}

}  // namespace

std::string run(const std::string& command) {
  Outcome outcome = execute(command);
  EXPECT_EQ(outcome.status, 0) << command << ": " << outcome.output;
  return std::move(outcome.output);
}

bool succeeds(const std::string& command) {
  return execute(command).status == 0;
}

}  // namespace weft::sys
