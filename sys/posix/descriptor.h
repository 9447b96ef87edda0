// A file descriptor that is closed with its owner.
#pragma once

#include <utility>

#include <unistd.h>

namespace weft::sys {

class Descriptor {
 public:
  // Of a call that failed: negative, and nothing is closed.
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) {
      ::close(number_);
    }
  }

  int get() const { return number_; }
  // To be closed by somebody else.
  int release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

}  // namespace weft::sys
