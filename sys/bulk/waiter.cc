#include "sys/bulk/waiter.h"

#include <array>
#include <cstdint>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"

namespace weft::sys {

Waiter::Waiter() : event_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  WEFT_ASSERT(event_ >= 0);  // Fails only without descriptors or memory, at a start.
}

Waiter::~Waiter() {
  ::close(event_);
}

void Waiter::wake() {
  const std::uint64_t one = 1;
  // Fails only at 2^64 - 1 unread wakes, and then the thread is woken anyway.
  (void)!::write(event_, &one, sizeof one);
}

Waiter::Ready Waiter::wait(int first, int second) {
  std::array<pollfd, 3> polled{
      pollfd{.fd = first, .events = POLLIN, .revents = 0},
      pollfd{.fd = second, .events = POLLIN, .revents = 0},
      pollfd{.fd = event_, .events = POLLIN, .revents = 0},
  };
  if (::poll(polled.data(), polled.size(), -1) <= 0) {
    return {};
  }
  if (polled[2].revents != 0) {
    std::uint64_t count = 0;
    (void)!::read(event_, &count, sizeof count);
  }
  // An error is read like data, and so taken off the descriptor.
  return {.first = polled[0].revents != 0,
          .second = polled[1].revents != 0,
          .woken = polled[2].revents != 0};
}

}  // namespace weft::sys
