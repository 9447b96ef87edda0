#include "sys/bulk/waiter.h"

#include <array>
#include <cstddef>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"

namespace weft::sys {

Waiter::Waiter()
    : event_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  // These fail only without descriptors or memory, at a start.
  WEFT_ASSERT(event_ >= 0);
  WEFT_ASSERT(epoll_ >= 0);
  watch(event_, kSourcesMax);
}

Waiter::~Waiter() {
  ::close(epoll_);
  ::close(event_);
}

void Waiter::watch(int descriptor, std::uint32_t source) {
  WEFT_ASSERT(source <= kSourcesMax);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u32 = source;
  const int failed = ::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event);
  WEFT_ASSERT(failed == 0);
}

void Waiter::wake() {
  const std::uint64_t one = 1;
  // Fails only at 2^64 - 1 unread wakes, and then the thread is woken anyway.
  (void)!::write(event_, &one, sizeof one);
}

Waiter::Ready Waiter::wait(Patience patience) {
  std::array<epoll_event, 8> events{};
  const int count = ::epoll_wait(
      epoll_, events.data(), static_cast<int>(events.size()), patience == Patience::Block ? -1 : 0);
  Ready ready = 0;
  for (int i = 0; i < count; ++i) {
    ready |= bit(events.at(static_cast<std::size_t>(i)).data.u32);
  }
  if ((ready & kWoken) != 0) {
    std::uint64_t unread = 0;
    (void)!::read(event_, &unread, sizeof unread);
  }
  return ready;
}

}  // namespace weft::sys
