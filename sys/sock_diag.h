// The sockets of a network namespace, by NETLINK_SOCK_DIAG (sock_diag(7)): TCP and UDP, IPv4 and
// IPv6.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/observed.h"
#include "base/result.h"
#include "sys/posix/host_paths.h"

namespace weft::sys {

class SocketSource {
 public:
  SocketSource() = default;
  SocketSource(const SocketSource&) = delete;
  SocketSource& operator=(const SocketSource&) = delete;
  virtual ~SocketSource() = default;

  // Which sockets are wanted: those in use, or those also that ended within the last seconds
  // (TCP's TIME_WAIT), which have no inode.
  enum class Wanted : std::uint8_t { Live, Recent };

  // Of the namespace that process `pid` of the host is in; of our own for 0. An IPv4 peer of an
  // IPv6 socket is given as IPv4. Errc::NotFound if the process is gone, Errc::Denied without
  // CAP_SYS_ADMIN.
  virtual Result<std::vector<ObservedSocket>> sockets(std::uint32_t pid, Wanted wanted) = 0;
};

// The calling thread enters the other namespace for the length of a call; use it from a thread that
// does nothing else meanwhile.
std::unique_ptr<SocketSource> open_sock_diag(const HostPaths& host = {});

// The inode of the network namespace this thread is in; 0 if it cannot be known.
std::uint64_t own_netns();

}  // namespace weft::sys
