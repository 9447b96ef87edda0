#include "sys/posix/host_shell.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "sys/posix/descriptor.h"
#include "sys/posix/write_queue.h"

namespace weft::sys {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

Error os_error(const char* what) {
  const int error = errno;
  return Error{Errc::Os, fmt::format("{}: {}", what, std::strerror(error)), error};
}

// The namespaces of process 1 that may not be ours, with what setns() calls them.
constexpr std::array<std::pair<const char*, int>, 5> kNamespaces{{
    {"ns/ipc", CLONE_NEWIPC},
    {"ns/uts", CLONE_NEWUTS},
    {"ns/net", CLONE_NEWNET},
    {"ns/cgroup", CLONE_NEWCGROUP},
    {"ns/mnt", CLONE_NEWNS},
}};

using Namespaces = std::array<int, kNamespaces.size()>;

// Between fork and exec in a process with threads: system calls alone.
[[noreturn]] void become_shell(int terminal, const Namespaces& namespaces) {
  for (std::size_t i = 0; i < namespaces.size(); ++i) {
    if (namespaces[i] >= 0) {
      (void)::setns(namespaces[i], kNamespaces[i].second);  // What is shared already may refuse.
    }
  }
  ::setsid();
  ::ioctl(terminal, TIOCSCTTY, 0);
  ::dup2(terminal, STDIN_FILENO);
  ::dup2(terminal, STDOUT_FILENO);
  ::dup2(terminal, STDERR_FILENO);
  (void)::syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0U);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int number : {SIGHUP, SIGINT, SIGPIPE, SIGTERM, SIGCHLD}) {
    std::signal(number, SIG_DFL);
  }
  (void)!::chdir("/root");
  std::array<const char*, 6> environment{"TERM=xterm-256color",
                                         "HOME=/root",
                                         "USER=root",
                                         "LANG=C.UTF-8",
                                         "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
                                         "/sbin:/bin",
                                         nullptr};
  std::array<const char*, 3> arguments{"bash", "-l", nullptr};
  auto* const envp = const_cast<char* const*>(environment.data());
  ::execve("/bin/bash", const_cast<char* const*>(arguments.data()), envp);
  arguments[0] = "sh";
  ::execve("/bin/sh", const_cast<char* const*>(arguments.data()), envp);
  constexpr int kNotFound = 127;  // As shells say it.
  ::_exit(kNotFound);
}

Result<pid_t> fork_shell(int master, const HostPaths& host) {
  std::array<char, 64> name{};
  if (::grantpt(master) != 0 || ::unlockpt(master) != 0
      || ::ptsname_r(master, name.data(), name.size()) != 0) {
    return os_error("pseudo-terminal");
  }
  const Descriptor terminal(::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (terminal.get() < 0) {
    return os_error("open pseudo-terminal");
  }
  Namespaces namespaces{};
  for (std::size_t i = 0; i < namespaces.size(); ++i) {
    namespaces[i] = ::open(host.of_process(1, kNamespaces[i].first).c_str(), O_RDONLY | O_CLOEXEC);
  }
  const pid_t child = ::fork();
  if (child == 0) {
    become_shell(terminal.get(), namespaces);
  }
  const int error = errno;
  for (const int descriptor : namespaces) {
    if (descriptor >= 0) {
      ::close(descriptor);
    }
  }
  errno = error;
  if (child < 0) {
    return os_error("fork");
  }
  return child;
}

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(const asio::any_io_executor& executor,
          int master,
          int process,
          HostShell::Handlers handlers)
      : master_(executor, master),
        process_(executor, process),
        handlers_(std::move(handlers)) {}

  void start() {
    read();
    // Reaps it, whenever it ends: also one that outlives the terminal.
    process_.async_wait(asio::posix::descriptor_base::wait_read,
                        [self = shared_from_this()](const error_code&) {
                          siginfo_t info{};
                          (void)::waitid(static_cast<idtype_t>(P_PIDFD),
                                         static_cast<id_t>(self->process_.native_handle()),
                                         &info,
                                         WEXITED);
                        });
  }

  void close() {
    handlers_.reset();
    error_code ignored;
    master_.close(ignored);  // The kernel sends the session a SIGHUP.
  }

  void write(std::string_view input) {
    unwritten_.push(input);
    if (handlers_) {
      unwritten_.run(master_, shared_from_this());
    }
  }

  bool on_written(std::size_t size) {
    if (handlers_) {
      const auto tell = handlers_->on_written;
      tell(size);
    }
    return handlers_.has_value();
  }

  void hold(bool is_held) {
    is_held_ = is_held;
    if (!is_held && std::exchange(is_waiting_, false)) {
      asio::post(master_.get_executor(), [self = shared_from_this()] { self->read(); });
    }
  }

  void resize(std::uint16_t columns, std::uint16_t rows) {
    winsize size{.ws_row = rows, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    (void)::ioctl(master_.native_handle(), TIOCSWINSZ, &size);
  }

 private:
  void read() {
    if (!handlers_) {
      return;
    }
    if (is_held_) {
      is_waiting_ = true;
      return;
    }
    master_.async_read_some(asio::buffer(piece_),
                            [self = shared_from_this()](const error_code& error, std::size_t size) {
                              self->on_read(error, size);
                            });
  }

  void on_read(const error_code& error, std::size_t size) {
    if (size > 0 && handlers_) {
      const auto tell = handlers_->on_output;
      tell(std::string_view(piece_.data(), size));
    }
    if (!error) {
      return read();
    }
    if (auto handlers = std::exchange(handlers_, std::nullopt)) {
      handlers->on_end();
    }
  }

  asio::posix::stream_descriptor master_;
  asio::posix::stream_descriptor process_;
  std::optional<HostShell::Handlers> handlers_;  // Nothing once ended.
  std::array<char, 16384> piece_{};
  bool is_held_ = false;
  bool is_waiting_ = false;
  WriteQueue unwritten_;
};

class PtyShell final : public HostShell {
 public:
  explicit PtyShell(std::shared_ptr<Session> session) : session_(std::move(session)) {}
  ~PtyShell() override { session_->close(); }

  void write(std::string_view input) override { session_->write(input); }
  void hold(bool is_held) override { session_->hold(is_held); }
  void resize(std::uint16_t columns, std::uint16_t rows) override {
    session_->resize(columns, rows);
  }

 private:
  std::shared_ptr<Session> session_;
};

}  // namespace

Result<std::unique_ptr<HostShell>> start_host_shell(const asio::any_io_executor& executor,
                                                    const HostPaths& host,
                                                    HostShell::Handlers handlers) {
  Descriptor master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (master.get() < 0) {
    return os_error("pseudo-terminal");
  }
  const pid_t child = WEFT_TRY(fork_shell(master.get(), host));
  const int process = static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
  if (process < 0) {
    const Error error = os_error("pidfd_open");
    ::kill(child, SIGKILL);
    (void)::waitpid(child, nullptr, 0);
    return error;
  }
  auto session =
      std::make_shared<Session>(executor, master.release(), process, std::move(handlers));
  session->start();
  return std::unique_ptr<HostShell>(std::make_unique<PtyShell>(std::move(session)));
}

}  // namespace weft::sys
