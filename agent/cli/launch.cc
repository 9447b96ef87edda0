#include "agent/cli/launch.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <optional>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/cli/client.h"
#include "agent/cli/process.h"
#include "agent/cli/weave/keeper.h"
#include "agent/identity.h"
#include "sys/store.h"

namespace weft::agent {

namespace {

constexpr const char* kLogFile = "/var/log/weft.log";

// Ready takes a few tenths of a second; a machine that is booting may need longer.
constexpr std::chrono::seconds kReadyTimeout{10};
constexpr std::chrono::milliseconds kReadyPoll{10};

// The agent's last words: what it writes before it dies is a line or two.
constexpr ::off_t kTailMax = 4096;

Error os_error(std::string_view doing) {
  const int error = errno;
  return Error{Errc::Os, fmt::format("{}: {}", doing, std::strerror(error)), error};
}

// As the next one: only what POSIX allows between fork and exec.
void leave_terminal(int log) {
  ::setsid();
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::dup2(null, STDIN_FILENO);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  (void)!::chdir("/");
}

[[noreturn]] void become_agent(char* const* arguments) {
  ::execv("/proc/self/exe", arguments);
  ::_exit(static_cast<int>(ExitCode::Failure));
}

std::string text_behind(int file, ::off_t offset) {
  struct stat status {};
  if (::fstat(file, &status) != 0 || status.st_size <= offset) {
    return "";
  }
  std::array<char, kTailMax> buffer{};
  const ::off_t from = std::max(offset, status.st_size - kTailMax);
  const ::ssize_t size = ::pread(file, buffer.data(), buffer.size(), from);
  return size > 0 ? std::string(buffer.data(), static_cast<std::size_t>(size)) : "";
}

class Launch {
 public:
  Launch(const Config& config, std::span<const std::string> words)
      : socket_(config.control_socket()),
        log_path_(config.log_file.empty() ? kLogFile : config.log_file),
        run_dir_(config.run_dir),
        store_path_(config.store_path),
        words_(words.begin(), words.end()),
        quiet_(std::erase(words_, "--quiet") > 0),
        kept_(std::erase(words_, "--keep-running") > 0) {}
  Launch(const Launch&) = delete;
  Launch& operator=(const Launch&) = delete;
  ~Launch() {
    if (log_ >= 0) {
      ::close(log_);
    }
  }

  ExitCode run() {
    if (const auto running = running_agent(socket_); running.ok()) {
      fmt::print(stderr, "weft: an agent is running already (pid {})\n", running.value());
      return ExitCode::AlreadyRunning;
    }
    begin_afresh();
    if (const auto started = start(); !started.ok()) {
      return report(started.error());
    }
    return wait_ready();
  }

 private:
  void begin_afresh();
  Result<Ok> start();
  ExitCode wait_ready();
  ExitCode report_death();

  std::string socket_;
  std::string log_path_;
  std::string run_dir_;
  std::string store_path_;
  std::vector<std::string> words_;
  bool quiet_;
  bool kept_;
  std::optional<Keeper> keeper_;
  int log_ = -1;
  ::off_t log_offset_ = 0;
  ::pid_t child_ = -1;
};

// An operator is at work: what was said before a crash counts no more than what is said here. What
// is wrong with the store, the agent will say.
void Launch::begin_afresh() {
  if (::access(store_path_.c_str(), F_OK) != 0) {
    return;
  }
  if (auto store = sys::open_store(store_path_); store.ok()) {
    (void)mark_ended(*store.value());
  }
}

Result<Ok> Launch::start() {
  log_ = ::open(log_path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (log_ < 0) {
    return os_error("log file " + log_path_);
  }
  log_offset_ = ::lseek(log_, 0, SEEK_END);
  std::string program = "weft";
  std::string command = "agent";
  std::vector<char*> arguments{program.data(), command.data()};
  for (std::string& word : words_) {
    arguments.push_back(word.data());
  }
  arguments.push_back(nullptr);
  if (kept_) {
    keeper_.emplace(WEFT_TRY(Keeper::start(
        run_dir_,
        [this] { leave_terminal(log_); },
        [&arguments] { become_agent(arguments.data()); })));
    child_ = keeper_->agent();
    return Ok{};
  }
  child_ = ::fork();
  if (child_ < 0) {
    return os_error("fork");
  }
  if (child_ == 0) {
    leave_terminal(log_);
    become_agent(arguments.data());
  }
  return Ok{};
}

ExitCode Launch::wait_ready() {
  const auto process = ProcessHandle::open(child_);
  if (!process.ok()) {
    return report(process.error());
  }
  for (auto waited = std::chrono::milliseconds(0); waited < kReadyTimeout; waited += kReadyPoll) {
    if (process.value().wait_end(kReadyPoll)) {
      return report_death();
    }
    if (const auto ready = running_agent(socket_); ready.ok() && ready.value() == child_) {
      if (quiet_) {
        fmt::print("{}\n", child_);
      } else {
        fmt::print("weft is ready (pid {}, log {})\n", child_, log_path_);
      }
      return ExitCode::Ok;
    }
  }
  end_keeper(socket_);
  ::kill(child_, SIGTERM);
  fmt::print(stderr, "weft: the agent was not ready after {} s\n", kReadyTimeout.count());
  fmt::print(stderr, "{}", text_behind(log_, log_offset_));
  return ExitCode::Failure;
}

ExitCode Launch::report_death() {
  int status = 0;
  if (keeper_) {
    status = keeper_->wait_status();
  } else {
    ::waitpid(child_, &status, 0);
  }
  fmt::print(stderr, "weft: the agent did not start:\n{}", text_behind(log_, log_offset_));
  // Its exit codes are ours; a signal is just a failure.
  return WIFEXITED(status) ? static_cast<ExitCode>(WEXITSTATUS(status)) : ExitCode::Failure;
}

}  // namespace

ExitCode run_launch(const Config& config, std::span<const std::string> words) {
  return Launch(config, words).run();
}

}  // namespace weft::agent
