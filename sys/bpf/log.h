// What libbpf says of a failure, kept for the error instead of printed.
#pragma once

#include <string>

namespace weft::sys {

// While it lives, complaints of libbpf's calls on this thread are collected.
class BpfLog {
 public:
  BpfLog();
  BpfLog(const BpfLog&) = delete;
  BpfLog& operator=(const BpfLog&) = delete;
  ~BpfLog() = default;

  std::string text() const;
};

}  // namespace weft::sys
