#include "sys/bpf/log.h"

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include <bpf/libbpf.h>

namespace weft::sys {
namespace {

// Enough of libbpf's complaints to understand a failure; the verifier's own log is longer.
constexpr std::size_t kLogMax = 600;

std::string& captured_log() {
  static thread_local std::string log;
  return log;
}

__attribute__((format(printf, 2, 0))) int capture_line(libbpf_print_level level,
                                                       const char* format,
                                                       va_list arguments) {
  std::string& log = captured_log();
  if (level != LIBBPF_WARN || log.size() >= kLogMax) {
    return 0;
  }
  std::array<char, kLogMax> line{};
  const int length = std::vsnprintf(line.data(), line.size(), format, arguments);
  log.append(line.data(), strnlen(line.data(), line.size()));
  std::replace(log.begin(), log.end(), '\n', ' ');
  return length;
}

}  // namespace

BpfLog::BpfLog() {
  captured_log().clear();
  libbpf_set_print(capture_line);
}

std::string BpfLog::text() const {
  return captured_log();
}

}  // namespace weft::sys
