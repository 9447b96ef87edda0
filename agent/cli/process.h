// Waiting for another process by its pidfd (Linux 5.3): no polling of ids that may be reused.
#pragma once

#include <chrono>

#include "base/result.h"

namespace weft::agent {

class ProcessHandle {
 public:
  // Errc::NotFound if there is no such process.
  static Result<ProcessHandle> open(int pid);
  ProcessHandle(ProcessHandle&& other) noexcept;
  ProcessHandle& operator=(ProcessHandle&&) = delete;
  ~ProcessHandle();

  // True once it has ended; false after `timeout`.
  bool wait_end(std::chrono::milliseconds timeout) const;

 private:
  explicit ProcessHandle(int file) : file_(file) {}

  int file_;
};

}  // namespace weft::agent
