#include "sys/netns.h"

#include <cerrno>
#include <cstring>
#include <string_view>

#include <fmt/format.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

namespace weft::sys {
namespace {

Error failure(std::string_view doing) {
  const int error = errno;
  return Error{error == EPERM || error == EACCES ? Errc::Denied : Errc::Os,
               fmt::format("{}: {}", doing, std::strerror(error)),
               error};
}

Result<Ok> bring_loopback_up() {
  const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) {
    return failure("open a socket");
  }
  ifreq request{};
  std::memcpy(request.ifr_name, "lo", sizeof "lo");
  request.ifr_flags = IFF_UP;
  const int done = ::ioctl(socket, SIOCSIFFLAGS, &request);
  Error error = failure("bring lo up");
  ::close(socket);
  if (done < 0) {
    return error;
  }
  return Ok{};
}

}  // namespace

Result<Ok> enter_new_namespace() {
  if (::unshare(CLONE_NEWNET | CLONE_NEWNS) < 0) {
    return failure("make a network namespace");
  }
  // Mounts made below must not spread to the host.
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) {
    return failure("make mounts private");
  }
  // sysfs shows the network namespace it was mounted in.
  if (::mount("sysfs", "/sys", "sysfs", 0, nullptr) < 0) {
    return failure("mount /sys");
  }
  return bring_loopback_up();
}

Result<Ok> enter_scratch_network() {
  if (::unshare(CLONE_NEWNET) < 0) {
    return failure("make a network namespace");
  }
  return bring_loopback_up();
}

}  // namespace weft::sys
