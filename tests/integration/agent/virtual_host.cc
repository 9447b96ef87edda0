#include "tests/integration/agent/virtual_host.h"

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace weft::test {

namespace {

constexpr int kNamespaces = CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWPID;

[[noreturn]] void die(const char* doing) {
  std::perror(doing);
  ::_exit(125);
}

void mount_private(const char* kind, const char* path) {
  if (::mount(kind, path, kind, 0, nullptr) != 0) {
    die(path);
  }
}

// PID 1 of the host: holds the namespaces, reaps what is orphaned.
[[noreturn]] void be_init(const std::string& name, int ready) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::signal(SIGCHLD, SIG_IGN);
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    die("make mounts private");
  }
  mount_private("proc", "/proc");
  for (const char* path : {"/run", "/var/lib", "/var/log"}) {
    mount_private("tmpfs", path);
  }
  if (::sethostname(name.data(), name.size()) != 0 || ::write(ready, "r", 1) != 1) {
    die("set up host");
  }
  ::close(ready);
  for (;;) {
    ::pause();
  }
}

[[noreturn]] void be_keeper(const std::string& name, int told, int ready) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::unshare(kNamespaces) != 0) {
    die("unshare");
  }
  const ::pid_t init = ::fork();
  if (init == 0) {
    be_init(name, ready);
  }
  if (::write(told, &init, sizeof init) != sizeof init) {
    die("tell pid");
  }
  ::close(ready);
  int status = 0;
  ::waitpid(init, &status, 0);
  ::_exit(0);
}

int open_pidfd(::pid_t pid) {
  return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
}

[[noreturn]] void be_program(::pid_t host,
                             const std::vector<std::string>& words,
                             int out,
                             int err) {
  const int pidfd = open_pidfd(host);
  if (pidfd < 0 || ::setns(pidfd, kNamespaces) != 0) {
    die("enter host");
  }
  // Joining a PID namespace takes effect for children.
  const ::pid_t child = ::fork();
  if (child != 0) {
    int status = 0;
    ::waitpid(child, &status, 0);
    ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  }
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  std::vector<char*> arguments;
  for (const std::string& word : words) {
    arguments.push_back(const_cast<char*>(word.c_str()));
  }
  arguments.push_back(nullptr);
  ::execvp(arguments.front(), arguments.data());
  die(arguments.front());
}

// Reads both pipes until both have ended.
void drain(int out, int err, Outcome& outcome) {
  std::array<pollfd, 2> files{{{out, POLLIN, 0}, {err, POLLIN, 0}}};
  const std::array<std::string*, 2> texts{&outcome.out, &outcome.err};
  std::size_t open_count = files.size();
  while (open_count > 0) {
    ::poll(files.data(), files.size(), -1);
    for (std::size_t i = 0; i < files.size(); ++i) {
      if (files.at(i).fd < 0 || files.at(i).revents == 0) {
        continue;
      }
      std::array<char, 4096> buffer{};
      const ::ssize_t size = ::read(files.at(i).fd, buffer.data(), buffer.size());
      if (size <= 0) {
        files.at(i).fd = -1;
        --open_count;
        continue;
      }
      texts.at(i)->append(buffer.data(), static_cast<std::size_t>(size));
    }
  }
}

}  // namespace

VirtualHost::VirtualHost(const std::string& name) {
  std::array<int, 2> told{};
  std::array<int, 2> ready{};
  if (::pipe2(told.data(), O_CLOEXEC) != 0 || ::pipe2(ready.data(), O_CLOEXEC) != 0) {
    ADD_FAILURE() << "pipe: " << std::strerror(errno);
    return;
  }
  keeper_ = ::fork();
  if (keeper_ == 0) {
    be_keeper(name, told[1], ready[1]);
  }
  ::close(told[1]);
  ::close(ready[1]);
  char octet = 0;
  const bool up =
      ::read(told[0], &init_, sizeof init_) == sizeof init_ && ::read(ready[0], &octet, 1) == 1;
  EXPECT_TRUE(up) << "host " << name << " did not come up";
  ::close(told[0]);
  ::close(ready[0]);
}

VirtualHost::~VirtualHost() {
  if (init_ > 0) {
    ::kill(init_, SIGKILL);
  }
  int status = 0;
  ::waitpid(keeper_, &status, 0);
}

Outcome VirtualHost::run(const std::vector<std::string>& words) const {
  Outcome outcome;
  std::array<int, 2> out{};
  std::array<int, 2> err{};
  if (::pipe2(out.data(), O_CLOEXEC) != 0 || ::pipe2(err.data(), O_CLOEXEC) != 0) {
    return outcome;
  }
  const ::pid_t child = ::fork();
  if (child == 0) {
    be_program(init_, words, out[1], err[1]);
  }
  ::close(out[1]);
  ::close(err[1]);
  drain(out[0], err[0], outcome);
  ::close(out[0]);
  ::close(err[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

Outcome VirtualHost::weft(std::vector<std::string> words) const {
  words.insert(words.begin(), WEFT_BINARY);
  return run(words);
}

void VirtualHost::must(const std::vector<std::string>& words) const {
  const Outcome outcome = run(words);
  ASSERT_EQ(outcome.exit_code, 0) << words.front() << ": " << outcome.err;
}

std::string VirtualHost::read_file(const std::string& path) const {
  return run({"cat", path}).out;
}

void VirtualHost::write_file(const std::string& path, const std::string& content) const {
  must({"sh", "-c", "umask 077; printf '%s' \"$1\" > \"$2\"", "sh", content, path});
}

void wire(const VirtualHost& left,
          const std::string& left_device,
          const VirtualHost& right,
          const std::string& right_device) {
  // Made in a host of its own pair, so that nothing of it is ever seen outside.
  const ::pid_t child = ::fork();
  if (child == 0) {
    ::execlp("ip",
             "ip",
             "link",
             "add",
             "name",
             left_device.c_str(),
             "netns",
             std::to_string(left.pid()).c_str(),
             "type",
             "veth",
             "peer",
             "name",
             right_device.c_str(),
             "netns",
             std::to_string(right.pid()).c_str(),
             static_cast<char*>(nullptr));
    die("ip");
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_EQ(status, 0);
}

void join(const VirtualHost& left,
          const std::string& left_address,
          const VirtualHost& right,
          const std::string& right_address) {
  wire(left, "eth0", right, "eth0");
  std::array<const VirtualHost*, 2> hosts{&left, &right};
  std::array<std::string, 2> addresses{left_address, right_address};
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    hosts.at(i)->must({"ip", "link", "set", "lo", "up"});
    hosts.at(i)->must({"ip", "address", "add", addresses.at(i), "dev", "eth0"});
    hosts.at(i)->must({"ip", "link", "set", "eth0", "up"});
  }
}

}  // namespace weft::test
