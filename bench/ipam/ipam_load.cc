// Allocates addresses over the HTTP API of an address manager as fast as its clients can, and says
// how fast that was. Speaks what weft and Weave's router have in common: POST /ip/OWNER.
//
//   ipam_load ADDRESS CLIENTS COUNT OWNER_PREFIX     ADDRESS: a socket's path, or IPV4:PORT
//
// Each client is one kept connection with one request under way. Prints one line:
//   clients 16 count 20000 held_from x per_second 21034 p50_us 612 p99_us 1800 max_us 5100 failed 0
#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(std::string_view what) {
  fmt::print(stderr, "ipam_load: {}: {}\n", what, std::strerror(errno));
  std::exit(1);
}

int connect_unix(const std::string& path) {
  const int file = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    fail("path too long");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  if (::connect(file, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    fail(path);
  }
  return file;
}

int connect_tcp(const std::string& text) {
  const std::size_t colon = text.find(':');
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(text.c_str() + colon + 1)));
  if (::inet_pton(AF_INET, text.substr(0, colon).c_str(), &address.sin_addr) != 1) {
    fail(text);
  }
  const int file = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  (void)::setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));  // Only speed.
  if (::connect(file, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    fail(text);
  }
  return file;
}

// One connection and the request that is under way on it.
class Client {
 public:
  explicit Client(const std::string& address)
      : file_(address.front() == '/' ? connect_unix(address) : connect_tcp(address)) {}

  int file() const { return file_; }

  void ask(const std::string& owner) {
    const std::string request =
        fmt::format("POST /ip/{} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", owner);
    sent_ = Clock::now();
    if (::send(file_, request.data(), request.size(), 0) != static_cast<ssize_t>(request.size())) {
      fail("send");
    }
    answer_.clear();
  }

  // Reads what has come; true once the answer is whole.
  bool read() {
    std::array<char, 4096> buffer{};
    const ssize_t size = ::recv(file_, buffer.data(), buffer.size(), 0);
    if (size <= 0) {
      fail("receive");
    }
    answer_.append(buffer.data(), static_cast<std::size_t>(size));
    const std::size_t head = answer_.find("\r\n\r\n");
    return head != std::string::npos && answer_.size() >= head + 4 + body_size();
  }

  bool succeeded() const { return answer_.starts_with("HTTP/1.1 200"); }
  double microseconds() const {
    return std::chrono::duration<double, std::micro>(Clock::now() - sent_).count();
  }

 private:
  std::size_t body_size() const {
    constexpr std::string_view kName = "\r\nContent-Length: ";
    const std::size_t found = answer_.find(kName);
    std::size_t size = 0;
    if (found != std::string::npos) {
      const char* const first = answer_.data() + found + kName.size();
      (void)std::from_chars(first, answer_.data() + answer_.size(), size);  // 0 if it is none.
    }
    return size;
  }

  int file_;
  Clock::time_point sent_;
  std::string answer_;
};

class Run {
 public:
  Run(const std::string& address, std::size_t client_count, std::size_t count, std::string prefix)
      : count_(count),
        prefix_(std::move(prefix)) {
    for (std::size_t i = 0; i < client_count; ++i) {
      clients_.emplace_back(address);
      polls_.push_back({.fd = clients_.back().file(), .events = POLLIN, .revents = 0});
    }
    times_.reserve(count);
  }

  void go() {
    const auto start = Clock::now();
    for (Client& client : clients_) {
      ask(client);
    }
    while (times_.size() < count_) {
      if (::poll(polls_.data(), polls_.size(), -1) < 0) {
        fail("poll");
      }
      for (std::size_t i = 0; i < clients_.size(); ++i) {
        if ((polls_[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && clients_[i].read()) {
          finish(clients_[i]);
        }
      }
    }
    seconds_ = std::chrono::duration<double>(Clock::now() - start).count();
  }

  void print() {
    std::sort(times_.begin(), times_.end());
    const auto at = [this](double share) {
      return times_[static_cast<std::size_t>(share * static_cast<double>(times_.size() - 1))];
    };
    fmt::print(
        "clients {} count {} per_second {:.0f} p50_us {:.0f} p99_us {:.0f} max_us {:.0f} "
        "failed {}\n",
        clients_.size(),
        count_,
        static_cast<double>(count_) / seconds_,
        at(0.5),
        at(0.99),
        times_.back(),
        failed_);
  }

  bool succeeded() const { return failed_ == 0; }

 private:
  void ask(Client& client) {
    if (asked_ < count_) {
      client.ask(fmt::format("{}{:08x}", prefix_, asked_++));
    }
  }

  void finish(Client& client) {
    times_.push_back(client.microseconds());
    failed_ += client.succeeded() ? 0U : 1U;
    ask(client);
  }

  std::vector<Client> clients_;
  std::vector<pollfd> polls_;
  std::size_t count_;
  std::string prefix_;
  std::size_t asked_ = 0;
  std::size_t failed_ = 0;
  std::vector<double> times_;
  double seconds_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() != 4 || std::atoi(words[1].c_str()) < 1 || std::atoi(words[2].c_str()) < 1) {
    fmt::print(stderr, "usage: ipam_load ADDRESS CLIENTS COUNT OWNER_PREFIX\n");
    return 2;
  }
  Run run(words[0], std::stoul(words[1]), std::stoul(words[2]), words[3]);
  run.go();
  run.print();
  return run.succeeded() ? 0 : 1;
}
