#include "agent/cli/weave/keeper.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/cli/exit_code.h"
#include "agent/config.h"

namespace weft::agent {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kPauseMin{1};
constexpr std::chrono::seconds kPauseMax{60};
constexpr ::mode_t kRunDirectoryMode = 0755;

Error os_error(std::string_view doing) {
  const int error = errno;
  return Error{Errc::Os, fmt::format("{}: {}", doing, std::strerror(error)), error};
}

bool is_in_charge(const std::string& file) {
  ::pid_t named = 0;
  std::ifstream(file) >> named;
  return named == ::getpid();
}

// Whether whoever launched is still there to hear it.
bool tell(int news, int number) {
  return ::send(news, &number, sizeof number, MSG_NOSIGNAL) == sizeof number;
}

int hear(int news) {
  int number = -1;
  const ::ssize_t size = ::recv(news, &number, sizeof number, MSG_WAITALL);
  return size == sizeof number ? number : -1;
}

bool found_another(int status) {
  return WIFEXITED(status) && WEXITSTATUS(status) == static_cast<int>(ExitCode::AlreadyRunning);
}

[[noreturn]] void keep(const std::string& file,
                       int news,
                       const std::function<void()>& become_agent) {
  std::ofstream(file) << ::getpid() << "\n";
  auto pause = kPauseMin;
  for (bool is_first = true;; is_first = false) {
    const auto begun = Clock::now();
    const ::pid_t agent = ::fork();
    if (agent == 0) {
      become_agent();
    }
    int status = 0;
    if (is_first) {
      (void)tell(news, agent);
    }
    while (agent > 0 && ::waitpid(agent, &status, 0) < 0 && errno == EINTR) {
    }
    const bool was_never_ready = is_first && tell(news, status);
    if (agent < 0 || was_never_ready || found_another(status) || !is_in_charge(file)) {
      break;
    }
    pause = Clock::now() - begun > kPauseMax ? kPauseMin : pause;
    ::poll(nullptr, 0, static_cast<int>(std::chrono::milliseconds(pause).count()));
    pause = std::min(pause * 2, kPauseMax);
    if (!is_in_charge(file)) {
      break;
    }
    fmt::print(stderr, "weft: the agent has ended, and is started again\n");
  }
  if (std::error_code ignored; is_in_charge(file)) {
    fs::remove(file, ignored);
  }
  ::_exit(0);
}

}  // namespace

Result<Keeper> Keeper::start(const std::string& run_dir,
                             const std::function<void()>& leave_terminal,
                             const std::function<void()>& become_agent) {
  if (::mkdir(run_dir.c_str(), kRunDirectoryMode) != 0 && errno != EEXIST) {
    return os_error("directory " + run_dir);
  }
  int ends[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return os_error("socketpair");
  }
  const ::pid_t keeper = ::fork();
  if (keeper == 0) {
    leave_terminal();
    ::close(ends[0]);
    keep(keeper_file_in(run_dir), ends[1], become_agent);
  }
  ::close(ends[1]);
  const int agent = keeper < 0 ? -1 : hear(ends[0]);
  if (agent < 0) {
    auto error = os_error("fork");
    ::close(ends[0]);
    return error;
  }
  return Keeper(ends[0], agent);
}

Keeper::Keeper(Keeper&& other) noexcept
    : news_(std::exchange(other.news_, -1)),
      agent_(other.agent_) {}

Keeper::~Keeper() {
  if (news_ >= 0) {
    ::close(news_);
  }
}

int Keeper::wait_status() const {
  return hear(news_);
}

void end_keeper(const std::string& control_socket) {
  std::error_code ignored;
  fs::remove(keeper_file_in(fs::path(control_socket).parent_path().string()), ignored);
}

}  // namespace weft::agent
