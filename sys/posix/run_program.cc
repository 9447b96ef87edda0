#include "sys/posix/run_program.h"

#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/posix/descriptor.h"

namespace weft::sys {
namespace {

Error failure(const std::string& doing, int error) {
  return Error{error == ENOENT ? Errc::NotFound : Errc::Os,
               fmt::format("{}: {}", doing, std::strerror(error)),
               error};
}

Result<Ok> write_all(int file, const std::string& text) {
  std::size_t written = 0;
  while (written < text.size()) {
    const ssize_t count = ::write(file, text.data() + written, text.size() - written);
    if (count < 0 && errno != EINTR) {
      return failure("write", errno);
    }
    written += count > 0 ? static_cast<std::size_t>(count) : 0;
  }
  return ::lseek(file, 0, SEEK_SET) == 0 ? Result<Ok>(Ok{}) : failure("rewind", errno);
}

Result<std::string> read_all(int file, std::size_t size_max) {
  struct stat status {};
  if (::fstat(file, &status) != 0) {
    return failure("stat", errno);
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size > size_max) {
    return Error{Errc::Exhausted, fmt::format("output of {} bytes (at most {})", size, size_max)};
  }
  std::string text(size, '\0');
  std::size_t done = 0;
  while (done < size) {
    const ssize_t count = ::pread(file, text.data() + done, size - done, static_cast<off_t>(done));
    if (count == 0 || (count < 0 && errno != EINTR)) {
      return failure("read", errno);
    }
    done += count > 0 ? static_cast<std::size_t>(count) : 0;
  }
  return text;
}

Result<int> wait_for(pid_t child) {
  constexpr int kSignalled = 128;  // As shells say it.
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) {
      return failure("wait", errno);
    }
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : kSignalled + WTERMSIG(status);
}

}  // namespace

// Files in memory instead of pipes: neither side ever waits for the other.
Result<ProgramAnswer> run_program(const std::string& path,
                                  const std::string& input,
                                  std::size_t output_max) {
  const Descriptor in(::memfd_create("input", MFD_CLOEXEC));
  const Descriptor out(::memfd_create("output", MFD_CLOEXEC));
  if (in.get() < 0 || out.get() < 0) {
    return failure("memory for a program's input and output", errno);
  }
  WEFT_TRY(write_all(in.get(), input));
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in.get(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, out.get(), STDOUT_FILENO);
  std::string name = std::filesystem::path(path).filename().string();
  std::string whole = path;
  char* const arguments[] = {whole.data(), nullptr};
  pid_t child = 0;
  const int error = ::posix_spawn(&child, path.c_str(), &actions, nullptr, arguments, environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    return failure("run " + name, error);
  }
  ProgramAnswer answer;
  answer.status = WEFT_TRY(wait_for(child));
  answer.output = WEFT_TRY(read_all(out.get(), output_max));
  return answer;
}

}  // namespace weft::sys
