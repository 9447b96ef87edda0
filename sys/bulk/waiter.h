// Lets a thread that does system calls of its own wait for several descriptors, and others wake it
// (epoll(7), edge-triggered: what is not ready costs nothing per wait).
#pragma once

#include <cstdint>

namespace weft::sys {

class Waiter {
 public:
  // Sources have numbers below this; each is a bit of what wait() returns.
  static constexpr std::uint32_t kSourcesMax = 31;
  using Ready = std::uint32_t;
  static constexpr Ready kWoken = 1U << kSourcesMax;
  static constexpr Ready bit(std::uint32_t source) { return 1U << source; }

  Waiter();
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;
  ~Waiter();

  // Until the descriptor is closed. It is told of once when something arrives: whoever was told
  // reads until nothing is left, or remembers that something is. An error is told of like data.
  void watch(int descriptor, std::uint32_t source);

  // From any thread; remembered if nobody waits.
  void wake();

  // Bits of what has something new.
  enum class Patience : std::uint8_t { Block, Poll };
  Ready wait(Patience patience);

 private:
  int event_;
  int epoll_;
};

}  // namespace weft::sys
