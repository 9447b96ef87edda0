#include "agent/http/process_usage.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

namespace weft::agent {
namespace {

// Fields of /proc/PID/stat behind the command's name (proc(5) counts from 1; the state is 3).
constexpr std::size_t kUserTicks = 14 - 3;
constexpr std::size_t kSystemTicks = 15 - 3;
constexpr std::size_t kStartTicks = 22 - 3;
constexpr std::size_t kVirtualBytes = 23 - 3;
constexpr std::size_t kResidentPages = 24 - 3;

std::vector<std::uint64_t> read_stat() {
  std::ifstream file("/proc/self/stat");
  std::string text;
  std::getline(file, text);
  std::istringstream fields(text.substr(std::min(text.rfind(')') + 2, text.size())));
  std::vector<std::uint64_t> numbers;
  for (std::string field; fields >> field;) {
    numbers.push_back(std::strtoull(field.c_str(), nullptr, 10));  // Of the state: 0.
  }
  return numbers;
}

// When the host was booted, since 1970.
double boot_seconds() {
  std::ifstream file("/proc/stat");
  for (std::string word; file >> word;) {
    if (word == "btime") {
      double seconds = 0;
      file >> seconds;
      return seconds;
    }
  }
  return 0;
}

}  // namespace

std::optional<ProcessUsage> read_process_usage() {
  const std::vector<std::uint64_t> stat = read_stat();
  if (stat.size() <= kResidentPages) {
    return std::nullopt;
  }
  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  ProcessUsage usage;
  usage.cpu_seconds = static_cast<double>(stat[kUserTicks] + stat[kSystemTicks]) / ticks;
  usage.start_seconds = boot_seconds() + static_cast<double>(stat[kStartTicks]) / ticks;
  usage.virtual_bytes = stat[kVirtualBytes];
  usage.resident_bytes = stat[kResidentPages] * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator("/proc/self/fd", error)) {
    (void)file;
    ++usage.open_files;
  }
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    usage.open_files_max = limit.rlim_cur;
  }
  return usage;
}

}  // namespace weft::agent
