#include "sys/link/checksum_offload.h"

#include <cerrno>
#include <cstring>

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "sys/netlink/netdev_kernel.h"
#include "sys/posix/descriptor.h"

namespace weft::sys {
namespace {

// The ioctl rather than netlink: one flag stands for all protocols there, on every kernel.
Result<std::uint32_t> ask(const std::string& link, std::uint32_t command, std::uint32_t value) {
  const Descriptor file(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ethtool_value question{.cmd = command, .data = value};
  ifreq request{};
  if (link.size() >= sizeof request.ifr_name) {
    return Error{Errc::Invalid, "device name " + link};
  }
  std::memcpy(request.ifr_name, link.data(), link.size());
  request.ifr_data = reinterpret_cast<char*>(&question);
  if (file.get() < 0 || ::ioctl(file.get(), SIOCETHTOOL, &request) < 0) {
    const int error = errno;
    return os_error("checksum offload of " + link, error);
  }
  return question.data;
}

}  // namespace

Result<bool> has_checksum_offload(const std::string& link) {
  const std::uint32_t is_on = WEFT_TRY(ask(link, ETHTOOL_GTXCSUM, 0));
  return is_on != 0;
}

Result<Ok> set_checksum_offload(const std::string& link, bool enabled) {
  WEFT_TRY(ask(link, ETHTOOL_STXCSUM, enabled ? 1 : 0));
  return Ok{};
}

}  // namespace weft::sys
