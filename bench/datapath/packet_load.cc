// UDP as fast as it goes, and one packet at a time: what a data path does with packets.
//
//   packet_load serve PORT                          counts what comes to PORT, echoes what comes to
//   PORT + 1 packet_load blast ADDRESS PORT SIZE SECONDS     sends unpaced, 32 packets per system
//   call packet_load echo ADDRESS PORT SECONDS           64 octets there and back, one at a time
//
// Prints one line of names and values:
//   sent 1234567 received 1200000 seconds 1.50
//   count 41000 p50_us 22.1 p99_us 61.0 lost 0
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
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
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr std::size_t kBatch = 32;
constexpr std::size_t kSizeMax = 9000;
constexpr std::size_t kEchoSize = 64;
constexpr int kSocketBuffer = 4 << 20;

// A packet of this size asks the server how many of other sizes it has counted, or to begin anew.
constexpr std::size_t kQuestionSize = 9;
constexpr std::uint8_t kReset = 1;

[[noreturn]] void fail(std::string_view what) {
  fmt::print(stderr, "packet_load: {}: {}\n", what, std::strerror(errno));
  std::exit(1);
}

int open_socket() {
  const int file = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (file < 0) {
    fail("socket");
  }
  (void)::setsockopt(file, SOL_SOCKET, SO_RCVBUFFORCE, &kSocketBuffer, sizeof kSocketBuffer);
  (void)::setsockopt(file, SOL_SOCKET, SO_SNDBUFFORCE, &kSocketBuffer, sizeof kSocketBuffer);
  return file;
}

int bound_socket(int port) {
  const int file = open_socket();
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  if (::bind(file, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    fail("bind");
  }
  return file;
}

int connected_socket(const char* host, int port) {
  const int file = open_socket();
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  if (::inet_pton(AF_INET, host, &address.sin_addr) != 1
      || ::connect(file, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    fail(host);
  }
  return file;
}

// A batch of buffers for recvmmsg and sendmmsg.
struct Batch {
  explicit Batch(std::size_t size) {
    for (std::size_t i = 0; i < kBatch; ++i) {
      parts[i] = {buffers[i].data(), size};
      messages[i] = {};
      messages[i].msg_hdr.msg_iov = &parts[i];
      messages[i].msg_hdr.msg_iovlen = 1;
      messages[i].msg_hdr.msg_name = &from[i];
      messages[i].msg_hdr.msg_namelen = sizeof from[i];
    }
  }
  std::array<std::array<char, kSizeMax>, kBatch> buffers{};
  std::array<sockaddr_in, kBatch> from{};
  std::array<iovec, kBatch> parts{};
  std::array<mmsghdr, kBatch> messages{};
};

void answer(int file, Batch& batch, std::size_t index, std::uint64_t& count) {
  const bool is_reset = batch.buffers[index][0] == kReset;
  count = is_reset ? 0 : count;
  (void)::sendto(file,
                 &count,
                 sizeof count,
                 0,
                 reinterpret_cast<const sockaddr*>(&batch.from[index]),
                 sizeof batch.from[index]);
}

[[noreturn]] void count_packets(int file) {
  static Batch batch(kSizeMax);
  std::uint64_t count = 0;
  while (true) {
    const int got = ::recvmmsg(file, batch.messages.data(), kBatch, MSG_WAITFORONE, nullptr);
    for (std::size_t i = 0; i < static_cast<std::size_t>(std::max(got, 0)); ++i) {
      if (batch.messages[i].msg_len == kQuestionSize) {
        answer(file, batch, i, count);
      } else {
        ++count;
      }
    }
  }
}

[[noreturn]] void echo_packets(int file) {
  std::array<char, kSizeMax> buffer{};
  while (true) {
    sockaddr_in from{};
    socklen_t size = sizeof from;
    auto* address = reinterpret_cast<sockaddr*>(&from);
    const ssize_t got = ::recvfrom(file, buffer.data(), buffer.size(), 0, address, &size);
    if (got >= 0) {
      (void)::sendto(file, buffer.data(), static_cast<std::size_t>(got), 0, address, size);
    }
  }
}

// One process each, so that an echo costs no more system calls than it must.
[[noreturn]] void serve(int port) {
  const int counter = bound_socket(port);
  const int echoer = bound_socket(port + 1);
  const pid_t server = ::getpid();
  if (::fork() == 0) {
    (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != server) {
      std::exit(1);  // It died before the signal was asked for.
    }
    echo_packets(echoer);
  }
  count_packets(counter);
}

// The server's count, after a reset if `what` says so. Asked until it is answered: the path may
// still be full.
std::uint64_t ask(int file, std::uint8_t what) {
  std::array<std::uint8_t, kQuestionSize> question{what};
  for (int tries = 0; tries < 50; ++tries) {
    (void)::send(file, question.data(), question.size(), 0);
    pollfd polled{.fd = file, .events = POLLIN, .revents = 0};
    std::uint64_t count = 0;
    if (::poll(&polled, 1, 100) > 0 && ::recv(file, &count, sizeof count, 0) == sizeof count) {
      return count;
    }
  }
  errno = ETIMEDOUT;
  fail("server");
}

void blast(int file, std::size_t size, Seconds length) {
  static Batch batch(size);
  for (mmsghdr& message : batch.messages) {
    message.msg_hdr.msg_name = nullptr;
    message.msg_hdr.msg_namelen = 0;
  }
  (void)ask(file, kReset);
  std::uint64_t sent = 0;
  const auto start = Clock::now();
  Seconds taken{};
  while ((taken = Clock::now() - start) < length) {
    const int done = ::sendmmsg(file, batch.messages.data(), kBatch, 0);
    sent += static_cast<std::uint64_t>(std::max(done, 0));
  }
  // The question takes the packets' own way, behind them.
  fmt::print("sent {} received {} seconds {:.3f}\n", sent, ask(file, 0), taken.count());
}

double percentile(std::vector<double>& values, double share) {
  const auto at = static_cast<std::size_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at), values.end());
  return values[at];
}

void echo(int file, Seconds length) {
  std::array<char, kEchoSize> buffer{};
  std::vector<double> taken;
  std::uint64_t lost = 0;
  std::uint64_t number = 0;
  const timeval timeout{.tv_sec = 0, .tv_usec = 500000};
  (void)::setsockopt(file, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  const auto start = Clock::now();
  while (Clock::now() - start < length) {
    ++number;
    std::memcpy(buffer.data(), &number, sizeof number);
    const auto before = Clock::now();
    (void)::send(file, buffer.data(), buffer.size(), 0);
    std::uint64_t answered = 0;
    while (answered != number) {
      if (::recv(file, buffer.data(), buffer.size(), 0) < 0) {
        ++lost;
        break;
      }
      std::memcpy(&answered, buffer.data(), sizeof answered);  // Later ones are of a lost packet.
    }
    if (answered == number) {
      taken.push_back(std::chrono::duration<double, std::micro>(Clock::now() - before).count());
    }
  }
  if (taken.empty()) {
    errno = ETIMEDOUT;
    fail("no echo");
  }
  const double middle = percentile(taken, 0.5);
  fmt::print("count {} p50_us {:.1f} p99_us {:.1f} lost {}\n",
             taken.size(),
             middle,
             percentile(taken, 0.99),
             lost);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "serve" && argc == 3) {
    serve(std::atoi(argv[2]));
  } else if (what == "blast" && argc == 6) {
    const auto size = static_cast<std::size_t>(std::atoi(argv[4]));
    if (size == 0 || size > kSizeMax || size == kQuestionSize) {
      errno = EINVAL;
      fail("size");
    }
    blast(connected_socket(argv[2], std::atoi(argv[3])), size, Seconds(std::atof(argv[5])));
  } else if (what == "echo" && argc == 5) {
    echo(connected_socket(argv[2], std::atoi(argv[3]) + 1), Seconds(std::atof(argv[4])));
  } else {
    fmt::print(stderr,
               "packet_load serve PORT | blast ADDRESS PORT SIZE SECONDS | echo ADDRESS PORT "
               "SECONDS\n");
    return 2;
  }
  return 0;
}
