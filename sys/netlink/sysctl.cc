#include "sys/netlink/sysctl.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace weft::sys {

namespace {

// Empty if the kernel has no such setting.
std::string present_value(const std::string& name) {
  std::ifstream file("/proc/sys/" + name);
  std::string present;
  std::getline(file, present);
  return present;
}

}  // namespace

bool has_sysctl(const std::string& name) {
  return ::access(("/proc/sys/" + name).c_str(), F_OK) == 0;
}

Result<Ok> set_sysctl(const std::string& name, std::string_view value) {
  const std::string path = "/proc/sys/" + name;
  const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0 && errno == ENOENT) {
    return Ok{};
  }
  const bool written =
      file >= 0 && ::write(file, value.data(), value.size()) == static_cast<ssize_t>(value.size());
  const int error = errno;
  if (file >= 0) {
    ::close(file);
  }
  if (!written) {
    return Error{
        Errc::Os, fmt::format("set {} to {}: {}", path, value, std::strerror(error)), error};
  }
  return Ok{};
}

Result<Ok> ensure_sysctl(const std::string& name, std::string_view value) {
  return present_value(name) == value ? Result<Ok>(Ok{}) : set_sysctl(name, value);
}

Result<Ok> silence_ipv6(const std::string& link) {
  return set_sysctl("net/ipv6/conf/" + link + "/disable_ipv6", "1");
}

Result<Ok> ensure_ipv6_forwarding() {
  constexpr const char* kForwarding = "net/ipv6/conf/all/forwarding";
  const std::string folder = "net/ipv6/conf/";
  if (present_value(kForwarding) == "1") {
    return Ok{};
  }
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/sys/" + folder, failure)) {
    const std::string setting = folder + entry.path().filename().string() + "/accept_ra";
    if (present_value(setting) == "1") {
      WEFT_TRY(set_sysctl(setting, "2"));  // Although it forwards.
    }
  }
  return set_sysctl(kForwarding, "1");
}

}  // namespace weft::sys
