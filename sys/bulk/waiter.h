// Lets a thread that does system calls of its own wait for two descriptors, and others wake it.
#pragma once

namespace weft::sys {

class Waiter {
 public:
  Waiter();
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;
  ~Waiter();

  // From any thread; remembered if nobody waits.
  void wake();

  struct Ready {
    bool first = false;
    bool second = false;
    bool woken = false;
  };
  // Until something can be read, or wake(). A descriptor of -1 is never ready.
  Ready wait(int first, int second);

 private:
  int event_;
};

}  // namespace weft::sys
