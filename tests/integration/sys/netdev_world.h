// A network namespace as the contract tests of sys/netdev.h see it: the Netdev under test, and what
// an administrator does behind its back.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "sys/netdev.h"

namespace weft::sys {

class NetdevWorld {
 public:
  NetdevWorld() = default;
  NetdevWorld(const NetdevWorld&) = delete;
  NetdevWorld& operator=(const NetdevWorld&) = delete;
  virtual ~NetdevWorld() = default;

  virtual Netdev& netdev() = 0;
  // A device somebody else made, up and with a carrier: one end of a veth pair, the kind every
  // kernel that runs containers has.
  virtual void add_device(const std::string& name, std::uint32_t mtu) = 0;
  virtual void take_down(const std::string& link) = 0;
  virtual void clear_alias(const std::string& link) = 0;
  virtual void reset_port_flags(const std::string& link) = 0;  // To the kernel's defaults.
  virtual void add_address(const std::string& link, const std::string& cidr) = 0;
  virtual void add_gateway_route(const std::string& cidr,
                                 const std::string& gateway,
                                 const std::string& link) = 0;
  virtual void move_away(const std::string& link) = 0;
};

// The twin in memory.
std::unique_ptr<NetdevWorld> make_fake_world();
// The kernel. Each call enters a new namespace of its own, for good.
std::unique_ptr<NetdevWorld> make_real_world();

}  // namespace weft::sys
